//! An ingress controller: a reverse proxy that follows the Ingresses of its class.
//!
//! # Layout
//! - pure: `objects` (what is read of them), `table` (which backend), `canary` (which of two),
//!   `fields` (of messages that are passed on)
//! - the cluster: `api`, `reflect` (lists and watches), `cluster` (what is known)
//! - requests: `connection`, `exchange`, `upstream`; `chance`, `figures`
//! - this file: the command line and the page for probes and monitors

mod api;
mod canary;
mod chance;
mod cluster;
mod connection;
mod exchange;
mod fields;
mod figures;
mod objects;
mod reflect;
mod table;
mod upstream;

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::connections;
use podlab_guest::http::{self, Limits, Request, Response, Url};
use podlab_guest::log;
use podlab_guest::program;
use podlab_guest::runtime::{Flag, sleep, spawn};

use api::Api;
use chance::Chance;
use cluster::{Cluster, Kind};
use exchange::{Gateway, Settings};
use figures::Figures;
use objects::{Backend, Name, Port};
use reflect::Link;
use table::Classes;
use upstream::Upstreams;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "gateway",
    version: env!("CARGO_PKG_VERSION"),
    about: "An ingress controller: serves the Ingresses of its class, canaries by weight included.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where callers come in"),
        opt("status", "ADDR", "0.0.0.0:10254", "where /healthz, /readyz and /metrics are"),
        opt(
            "controller-class",
            "NAME",
            "podlab.dev/gateway",
            "IngressClasses of this controller are ours",
        ),
        opt("ingress-class", "NAME", "podlab", "so is this class, if nobody has made it"),
        opt("watch-namespace", "NAME", "", "only this namespace; else all"),
        opt(
            "publish-service",
            "NS/NAME",
            "",
            "the Service whose address Ingresses get; - for none",
        ),
        opt(
            "default-backend-service",
            "NS/NAME",
            "",
            "answers (first port) what no Ingress is for",
        ),
        opt("api", "URL", "http://kubernetes.default.svc", "the API server"),
        opt(
            "account",
            "DIR",
            "/var/run/secrets/kubernetes.io/serviceaccount",
            "where token and namespace of the service account are",
        ),
        opt("api-timeout", "TIME", "10s", "how long the API server may take to answer"),
        opt("watch-span", "TIME", "5m", "how long a watch lasts"),
        opt("proxy-connect-timeout", "TIME", "5s", "to connect to an endpoint"),
        opt("proxy-read-timeout", "TIME", "60s", "from one piece of a message to the next"),
        opt("proxy-body-size", "BYTES", "1048576", "bytes of a request's body"),
        opt("proxy-tries", "N", "3", "endpoints tried for one request"),
        opt("connections", "N", "512", "callers at a time"),
        opt("use-forwarded-headers", "BOOL", "false", "believes X-Forwarded-*"),
        opt("access-log", "BOOL", "true", "a line for each request"),
        opt("shutdown-grace-period", "TIME", "0", "goes on serving for so long when asked to end"),
        opt("election-id", "NAME", "", "without effect: every replica may write statuses"),
        opt("configmap", "NS/NAME", "", "without effect"),
        opt("validating-webhook", "ADDR", "", "without effect"),
        opt("validating-webhook-certificate", "FILE", "", "without effect"),
        opt("validating-webhook-key", "FILE", "", "without effect"),
        opt("enable-metrics", "BOOL", "", "without effect: there is always /metrics"),
        opt("watch-ingress-without-class", "BOOL", "", "without effect: the default class decides"),
    ],
};

/// For how long requests at hand may take when asked to end.
const DRAIN: Duration = Duration::from_secs(25);

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let account = args.text("account");
    let limit = args.duration("api-timeout")?;
    let span = args.duration("watch-span")?;
    let url = Url::parse(&args.text("api"))?;
    let settings = Settings {
        connect: args.duration("proxy-connect-timeout")?,
        patience: args.duration("proxy-read-timeout")?,
        body: args.number("proxy-body-size")?,
        tries: args.number::<usize>("proxy-tries")?.clamp(1, 100),
        trusted: args.switch("use-forwarded-headers"),
        log: args.switch("access-log"),
    };
    let most = args.number::<usize>("connections")?.clamp(1, 10_000);
    let grace = args.duration("shutdown-grace-period")?;
    let classes =
        Classes { controller: args.text("controller-class"), name: args.text("ingress-class") };
    let otherwise = name(&args, "default-backend-service", "")?;
    // A port of no number and no name is the first: such Services have but one.
    let otherwise = otherwise.map(|service| Backend { service, port: Port::First });
    let own = fs::read_to_string(format!("{account}/namespace")).unwrap_or_default();
    let own = if own.trim().is_empty() { "default" } else { own.trim() };
    let publish = name(&args, "publish-service", &format!("{own}/gateway"))?;
    let namespace = args.text("watch-namespace");
    let plain = |t: &str| t.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if !plain(&namespace) {
        return Err("--watch-namespace: names have letters, digits, '-' and '.'".into());
    }

    let cluster = Rc::new(Cluster::new(classes, otherwise, publish));
    let api = Api::new(url, format!("{account}/token"), limit);
    let link = Rc::new(Link::new(api, cluster.clone()));
    let gateway = Rc::new(Gateway {
        cluster,
        upstreams: Upstreams::default(),
        figures: Figures::default(),
        chance: Chance::any(),
        settings,
    });
    let ended = Flag::default();
    let listener = program::listen(&args).await?;
    let port = listener.local_addr().map(|a| a.port()).unwrap_or_default();
    if let Some(status) = connections::listen(&args, "status").await? {
        let (gateway, link, stop, ended) =
            (gateway.clone(), link.clone(), stop.clone(), ended.clone());
        let handler: http::Handler = Rc::new(move |request| {
            let response = page(&gateway, &link, &stop, &request);
            Box::pin(async move { response })
        });
        spawn(async move {
            if let Err(error) = http::serve(status, handler, Limits::default(), ended).await {
                log::error("status-page-failed", &[("error", &error)]);
            }
        });
    }
    for kind in Kind::ALL {
        let (link, ended, namespace) = (link.clone(), ended.clone(), namespace.clone());
        spawn(async move { link.follow(kind, &namespace, span, &ended).await });
    }
    let (publisher, until) = (link.clone(), ended.clone());
    spawn(async move { publisher.publish(&until).await });

    // Endpoints and proxies hear later than we do that we end: until then callers still come.
    let closing = Flag::default();
    let (asked, close) = (stop.clone(), closing.clone());
    spawn(async move {
        asked.wait().await;
        log::info("ending", &[("grace_ms", &grace.as_millis())]);
        sleep(grace).await;
        close.raise();
    });
    let serving = gateway.clone();
    let until = closing.clone();
    let serve = move |stream| connection::serve(serving.clone(), stream, port, until.clone());
    connections::accept(listener, most, &closing, serve).await;
    let mut left = DRAIN;
    while gateway.figures.open.get() > 0 && !left.is_zero() {
        let step = Duration::from_millis(100);
        sleep(step).await;
        left = left.saturating_sub(step);
    }
    ended.raise();
    Ok(())
}

/// An option that names an object; `-` for none.
fn name(args: &Args, option: &str, otherwise: &str) -> Result<Option<Name>, String> {
    let text = args.text(option);
    let text = if text.is_empty() { otherwise } else { &text };
    if matches!(text, "" | "-") {
        return Ok(None);
    }
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(Some((namespace.to_owned(), name.to_owned())))
        }
        _ => Err(format!("--{option}: {text:?} is no NAMESPACE/NAME")),
    }
}

fn page(gateway: &Gateway, link: &Link, stop: &Flag, request: &Request) -> Response {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Response::text(405, "only GET").with("Allow", "GET");
    }
    let cluster = &gateway.cluster;
    match request.path.as_str() {
        "/healthz" => Response::text(200, "ok"),
        "/readyz" if stop.raised() => Response::text(503, "ending"),
        "/readyz" if !cluster.known() => Response::text(503, "the API server has not answered yet"),
        "/readyz" => Response::text(200, "ok"),
        "/metrics" => {
            let routes = if cluster.known() { cluster.table().routes() } else { 0 };
            gateway.figures.page(routes, cluster.made.get(), link.up())
        }
        _ => Response::text(404, "there are /healthz, /readyz and /metrics"),
    }
}
