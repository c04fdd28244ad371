//! The connections of callers: one request after the other, each with a line in the log.

use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::http::{Fault, Reader, Refusal, Request, Rest, reason};
use podlab_guest::log;
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{Either, Flag, race, timeout};

use crate::canary::Why;
use crate::exchange::{From, Gateway, Outcome, host};
use crate::objects::shown;

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// How long a head may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long a connection may be idle between requests.
const IDLE: Duration = Duration::from_secs(75);
/// Characters of a path in the log.
const SHOWN: usize = 500;

/// Serves one caller until it ends, or `stop`.
pub async fn serve(gateway: Rc<Gateway>, stream: TcpStream, port: u16, stop: Flag) {
    let peer = stream.peer_addr().map(|a| a.ip().to_string()).unwrap_or_default();
    let open = &gateway.figures.open;
    open.set(open.get() + 1);
    let mut reader = Reader::new(Rc::new(stream));
    while next(&gateway, &mut reader, &peer, port, &stop).await {}
    open.set(open.get() - 1);
}

/// Deals with the next request; whether another can follow.
async fn next(gateway: &Gateway, reader: &mut Reader, peer: &str, port: u16, stop: &Flag) -> bool {
    if reader.is_empty() {
        let more = race(timeout(IDLE, reader.more()), stop.wait()).await;
        if !matches!(more, Either::First(Some(Ok(true)))) {
            return false;
        }
    }
    let began = Instant::now();
    let late = Fault::Refused(Refusal { status: 408, reason: "the head came too slowly" });
    let head = timeout(ARRIVAL, reader.head(HEAD)).await.unwrap_or(Err(late));
    let request = head.and_then(|head| {
        let Some(head) = head else { return Ok(None) };
        let request = Request::from_head(head, peer)?;
        let rest = Rest::of_request(&request.headers)?;
        Ok(Some((request, rest)))
    });
    let (request, rest) = match request {
        Ok(Some(asked)) => asked,
        Ok(None) | Err(Fault::Io(_)) => return false,
        Err(Fault::Refused(refusal)) => {
            gateway.figures.answered(None, refusal.status, began.elapsed());
            if gateway.settings.log {
                log::info("refused", &[("status", &refusal.status), ("error", &refusal.reason)]);
            }
            refuse(reader, refusal).await;
            return false;
        }
    };
    let close = request.minor == 0 || !request.keep_alive() || stop.raised();
    let mut from = From { reader, rest, port, close };
    let outcome = gateway.exchange(&request, &mut from).await;
    let took = began.elapsed();
    let route = outcome.route.as_ref().map(|(route, canary)| (route, *canary));
    gateway.figures.answered(route, outcome.status, took);
    if gateway.settings.log {
        write(&request, &outcome, took);
    }
    if !outcome.keep && outcome.status != 499 {
        linger(reader).await;
    }
    outcome.keep
}

/// One line of the log.
fn write(request: &Request, outcome: &Outcome, took: Duration) {
    let path: String = request.target.chars().take(SHOWN).collect();
    let host: String = host(request).chars().take(SHOWN).collect();
    let ms = format!("{:.1}", took.as_secs_f64() * 1000.0);
    let mut fields: Vec<(&str, &dyn std::fmt::Display)> = vec![
        ("method", &request.method),
        ("host", &host),
        ("path", &path),
        ("from", &request.peer),
        ("status", &outcome.status),
        ("ms", &ms),
        ("bytes", &outcome.bytes),
    ];
    let texts = outcome.route.as_ref().map(|(route, canary)| {
        let backend = match &route.canary {
            Some((_, backend)) if *canary => backend,
            _ => &route.backend,
        };
        (shown(&route.ingress), backend.to_string())
    });
    if let Some((ingress, backend)) = &texts {
        fields.extend([("ingress", ingress as &dyn std::fmt::Display), ("backend", backend)]);
    }
    let canary = outcome.why.map(|why| {
        let by = match why {
            Why::Header => "header",
            Why::Cookie => "cookie",
            Why::Weight => "weight",
        };
        let taken = outcome.route.as_ref().is_some_and(|(_, canary)| *canary);
        format!("{}-by-{by}", if taken { "yes" } else { "no" })
    });
    if let Some(canary) = &canary {
        fields.push(("canary", canary));
    }
    if let Some(address) = &outcome.address {
        fields.push(("endpoint", address));
    }
    if let Some(error) = &outcome.error {
        fields.push(("error", error));
    }
    log::info("request", &fields);
}

/// Says what is wrong with what is no request.
async fn refuse(reader: &mut Reader, refusal: Refusal) {
    let (status, why) = (refusal.status, refusal.reason);
    let body = format!("{status} {}: {why}\n", reason(status));
    let text = format!(
        "HTTP/1.1 {status} {}\r\nServer: gateway\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        reason(status),
        body.len()
    );
    let told = timeout(ARRIVAL, reader.stream().write_all(text.as_bytes())).await;
    if matches!(told, Some(Ok(()))) {
        linger(reader).await;
    }
}

/// Ends our half and reads on for a moment, so that a caller still sending sees the answer instead
/// of a reset (RFC 9112, 9.6).
async fn linger(reader: &mut Reader) {
    if reader.stream().shutdown_write().is_err() {
        return;
    }
    let drain = async {
        let mut seen = 0;
        while let Ok(bytes) = reader.stream().read(16 << 10).await {
            seen += bytes.len();
            if bytes.is_empty() || seen > 1 << 20 {
                break;
            }
        }
    };
    timeout(Duration::from_secs(1), drain).await;
}
