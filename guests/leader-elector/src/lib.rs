//! A sidecar that takes part in an election, and tells the container beside it who leads.
//!
//! # Layout
//! - `elector`: the election; `lease`: the record it is about; `api`: where that is kept
//! - this file: the command line and the page on localhost

mod api;
mod elector;
mod lease;

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response, Url};
use podlab_guest::runtime::{Flag, spawn};
use podlab_guest::{json, program};

use api::Api;
use elector::{Elector, Settings};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "leader-elector",
    version: env!("CARGO_PKG_VERSION"),
    about: "Takes part in an election by a Lease, and says on localhost who leads.",
    options: &[
        opt("lease", "NAME", "leader", "the Lease"),
        opt("identity", "NAME", "", "who we are; else the environment's POD_NAME or HOSTNAME"),
        opt("namespace", "NAME", "", "the Lease's namespace; else the service account's"),
        opt("api", "URL", "http://kubernetes.default.svc", "the API server"),
        opt(
            "account",
            "DIR",
            "/var/run/secrets/kubernetes.io/serviceaccount",
            "where token and namespace of the service account are",
        ),
        opt("lease-duration", "TIME", "15s", "others take over after this much silence"),
        opt("renew-deadline", "TIME", "10s", "a leader that cannot renew for this long stops"),
        opt("retry-period", "TIME", "2s", "from one try to the next"),
        opt("jitter", "N", "1.2", "while not leading, up to N times the period more"),
        opt("release", "BOOL", "true", "gives leadership up when asked to end"),
        opt("listen", "ADDR", "127.0.0.1:4040", "where to say who leads"),
    ],
};

/// Takes part until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let settings = settings(&args)?;
    let url = Url::parse(&args.text("api"))?;
    let (namespace, name) = &settings.lease;
    let token = format!("{}/token", args.text("account"));
    let limit = settings.renew.div_f64(2.0).max(Duration::from_millis(50));
    let api = Api::new(&url, namespace, name, &token, limit);
    let seed = RandomState::new().build_hasher().finish();
    let identity = settings.identity.clone();
    let elector = Rc::new(Elector::new(settings, api, seed));
    let listener = program::listen(&args).await?;
    let asked = elector.clone();
    let handler: http::Handler = Rc::new(move |request| {
        let response = answer(&asked, &identity, &request);
        Box::pin(async move { response })
    });
    let ended = Flag::default();
    let end = ended.clone();
    // The page stays until leadership is given up: a main container that still works may ask.
    spawn(async move {
        elector.run(&stop).await;
        end.raise();
    });
    http::serve(listener, handler, Limits::default(), ended).await.map_err(|e| e.to_string())
}

fn settings(args: &Args) -> Result<Settings, String> {
    let first = |texts: [String; 3]| texts.into_iter().find(|t| !t.is_empty());
    let environment = |name: &str| std::env::var(name).unwrap_or_default();
    let names = [args.text("identity"), environment("POD_NAME"), environment("HOSTNAME")];
    let identity = first(names).ok_or("--identity: nobody says who we are")?;
    let account = args.text("account");
    let file = fs::read_to_string(format!("{account}/namespace")).unwrap_or_default();
    let spaces = [args.text("namespace"), file.trim().to_owned(), "default".into()];
    let namespace = first(spaces).unwrap_or_default();
    let settings = Settings {
        identity,
        lease: (namespace, args.text("lease")),
        duration: args.duration("lease-duration")?,
        renew: args.duration("renew-deadline")?,
        retry: args.duration("retry-period")?,
        jitter: args.number("jitter")?,
        release: args.switch("release"),
    };
    let plain = |t: &str| t.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if !plain(&settings.lease.0) || !plain(&settings.lease.1) || settings.lease.1.is_empty() {
        return Err("--lease, --namespace: names have letters, digits, '-' and '.'".into());
    }
    if !(0.0..=100.0).contains(&settings.jitter) {
        return Err("--jitter: 0 to 100".into());
    }
    // As client-go has it: otherwise two could lead at a time, or none for long.
    if settings.duration <= settings.renew {
        return Err("--lease-duration must be longer than --renew-deadline".into());
    }
    if settings.renew <= settings.retry.mul_f64(settings.jitter.max(1.0)) {
        return Err("--renew-deadline must be longer than --retry-period times --jitter".into());
    }
    if settings.duration < Duration::from_secs(1) || settings.retry.is_zero() {
        return Err("--lease-duration: at least 1s; --retry-period: longer than nothing".into());
    }
    if settings.duration.subsec_nanos() != 0 {
        return Err("--lease-duration: whole seconds, as a Lease has them".into());
    }
    Ok(settings)
}

fn answer(elector: &Elector, identity: &str, request: &Request) -> Response {
    if request.method != "GET" {
        return Response::text(405, "only GET").with("Allow", "GET");
    }
    let status = elector.status();
    let name = json::string(&status.name);
    match request.path.as_str() {
        "/" => Response::json(200, format!("{{\"name\":{name}}}")),
        "/status" => Response::json(
            200,
            format!(
                "{{\"name\":{name},\"identity\":{},\"leading\":{},\"token\":{},\"leftMs\":{}}}",
                json::string(identity),
                status.leading,
                status.token,
                status.left.as_millis()
            ),
        ),
        "/healthz" | "/readyz" => Response::text(200, "ok"),
        _ => Response::text(404, "there are /, /status, /healthz and /readyz"),
    }
}
