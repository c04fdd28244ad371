//! Who may ask, and what errors look like.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use podlab_server::Limits;
use serde_json::json;

use crate::client::{server, with_limits};

fn from(host: &str, more: &[(&str, &str)], path: &str) -> Request<Body> {
    let mut request = Request::builder().uri(path).header("host", host);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).expect("a request")
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let server = server();
    let own = "127.0.0.1:7878";
    for (request, status, reason) in [
        (from("evil.example", &[], "/healthz"), 421, "ForeignHost"),
        (from("evil.example:7878", &[], "/"), 421, "ForeignHost"),
        (from("", &[], "/api/worlds"), 421, "ForeignHost"),
        (from(own, &[("origin", "http://evil.example")], "/api/worlds"), 403, "ForeignOrigin"),
        (from(own, &[("origin", "null")], "/api/worlds"), 403, "ForeignOrigin"),
        (from(own, &[("origin", "http://127.0.0.1:3000")], "/api/worlds"), 403, "ForeignOrigin"),
        (from(own, &[("sec-fetch-site", "cross-site")], "/api/worlds"), 403, "ForeignOrigin"),
        (
            from(
                own,
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
                "/api/worlds",
            ),
            403,
            "ForeignOrigin",
        ),
    ] {
        let shown = format!("{request:?}");
        let answer = server.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{shown}");
    }
    for request in [
        from(own, &[("origin", "http://127.0.0.1:7878")], "/api/worlds"),
        from("localhost:7878", &[], "/api/worlds"),
        from("[::1]:7878", &[], "/healthz"),
        from(own, &[("sec-fetch-site", "same-origin")], "/api/worlds"),
        from(own, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], "/"),
    ] {
        assert_eq!(server.send(request).await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_security_headers() {
    let server = server();
    for path in ["/", "/healthz", "/api/worlds", "/api/nothing", "/api/worlds/w9/kube/api"] {
        let answer = server.get(path).await;
        let header = |name: &str| {
            answer.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned()
        };
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        let policy = header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe-eval'; script"),
            "{path}: {policy}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_reason_message_and_remedy() {
    let server = with_limits(Limits { body: 1000, image: 5000, ..Limits::default() });
    let id = server.world(json!({ "speed": 0 })).await;
    let raw = |method: Method, path: String, kind: &str, body: Vec<u8>| {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        request.body(Body::from(body)).expect("a request")
    };
    let worlds = || "/api/worlds".to_owned();
    let time = format!("/api/worlds/{id}/time");
    let faults = format!("/api/worlds/{id}/faults");
    let json = "application/json";
    for (request, status, reason) in [
        (raw(Method::GET, "/api/nothing".into(), "", vec![]), 404, "NotFound"),
        (raw(Method::GET, "/api/worlds/w99".into(), "", vec![]), 404, "NotFound"),
        (raw(Method::GET, "/api/worlds/w01".into(), "", vec![]), 404, "NotFound"),
        (raw(Method::GET, "/api/patterns/none".into(), "", vec![]), 404, "NotFound"),
        (raw(Method::POST, worlds(), json, b"{\"pattern\": \"none\"}".to_vec()), 404, "NotFound"),
        (raw(Method::PATCH, worlds(), "", vec![]), 405, "MethodNotAllowed"),
        (raw(Method::POST, "/healthz".into(), "", vec![]), 405, "MethodNotAllowed"),
        (raw(Method::POST, worlds(), json, vec![b' '; 2000]), 413, "TooLarge"),
        (raw(Method::PUT, "/api/images/a:v1".into(), "", vec![0; 6000]), 413, "TooLarge"),
        (raw(Method::POST, worlds(), "", b"{}".to_vec()), 415, "UnsupportedMediaType"),
        (raw(Method::POST, worlds(), "text/plain", b"{}".to_vec()), 415, "UnsupportedMediaType"),
        (raw(Method::POST, worlds(), json, b"{".to_vec()), 400, "JsonSyntax"),
        (raw(Method::POST, worlds(), json, b"[]".to_vec()), 400, "BadRequest"),
        (raw(Method::POST, worlds(), json, b"{\"sead\": 1}".to_vec()), 400, "BadRequest"),
        (raw(Method::POST, worlds(), json, b"{\"seed\": -1}".to_vec()), 400, "BadRequest"),
        (raw(Method::POST, worlds(), json, b"{\"speed\": 1000}".to_vec()), 400, "BadRequest"),
        (raw(Method::POST, time.clone(), json, b"{}".to_vec()), 400, "BadRequest"),
        (
            raw(Method::POST, time.clone(), json, b"{\"speed\": 1, \"step\": \"event\"}".to_vec()),
            400,
            "BadRequest",
        ),
        (raw(Method::POST, time.clone(), json, b"{\"seek\": \"-5s\"}".to_vec()), 400, "BadRequest"),
        (
            raw(Method::POST, time.clone(), json, b"{\"seek\": \"1e99s\"}".to_vec()),
            400,
            "BadRequest",
        ),
        (raw(Method::POST, time, json, b"{\"fork\": \"1h\"}".to_vec()), 400, "BadRequest"),
        (
            raw(Method::POST, faults.clone(), json, b"{\"kind\": \"kil\"}".to_vec()),
            400,
            "BadRequest",
        ),
        (
            raw(
                Method::POST,
                faults,
                json,
                b"{\"kind\": \"kill\", \"target\": \"default/nobody/c\"}".to_vec(),
            ),
            422,
            "Refused",
        ),
        (raw(Method::GET, format!("/api/worlds/{id}/trace?from=x"), "", vec![]), 400, "BadRequest"),
        (
            raw(Method::GET, format!("/api/worlds/{id}/trace?limit=1000000"), "", vec![]),
            400,
            "BadRequest",
        ),
        (raw(Method::GET, format!("/api/worlds/{id}/proxy/web/"), "", vec![]), 400, "BadRequest"),
        (raw(Method::PUT, "/api/images/a:v1".into(), "", vec![]), 400, "BadRequest"),
        (raw(Method::PUT, "/api/images/a:v1".into(), "", b"GIF89a".to_vec()), 422, "ImageRefused"),
        (
            raw(Method::PUT, "/api/images/untagged".into(), "", b"\0asm".to_vec()),
            422,
            "ImageRefused",
        ),
    ] {
        let shown = format!("{} {}", request.method(), request.uri());
        let answer = server.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (status, reason),
            "{shown}: {}",
            answer.text
        );
    }
    let wrong = server.call(Method::PATCH, "/api/worlds", None).await;
    assert!(wrong.headers["allow"].to_str().unwrap().contains("POST"));
}
