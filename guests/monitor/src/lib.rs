//! Asks many applications alike for their figures, keeps them, and raises alerts.
//!
//! # Layout
//! - `rule`: the configuration; what is computed from series, and when it is alarming
//! - `series`: what was seen
//! - this file: asking, and the page

mod rule;
mod series;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::exposition::{self, Sample};
use podlab_guest::http::{self, Client, Limits, Request, Response, Url};
use podlab_guest::runtime::{Either, Flag, race, sleep_until, spawn};
use podlab_guest::{json, log, program};

use rule::{Config, Query};
use series::Series;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "monitor",
    version: env!("CARGO_PKG_VERSION"),
    about: "Scrapes /metrics of its targets, keeps series, raises alerts.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:9090", "HTTP: /, /targets, /series, /query, /alerts"),
        opt("config", "FILE", "/etc/monitor/monitor.conf", "targets and alerts"),
        opt("timeout", "TIME", "800ms", "how long a target may take"),
    ],
};

#[derive(Default)]
struct Target {
    series: Series,
    scrapes: u64,
    failures: u64,
    error: String,
}

#[derive(Default)]
struct Alert {
    since: Option<f64>,
    firing: bool,
    raised: u64,
}

struct Monitor {
    config: Config,
    born: Instant,
    targets: RefCell<BTreeMap<String, Target>>,
    /// By rule and target.
    alerts: RefCell<BTreeMap<(usize, String), Alert>>,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a file that is none, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let file = args.text("config");
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
    let config = Config::parse(&text).map_err(|e| format!("{file}: {e}"))?;
    let timeout = args.duration("timeout")?;
    let targets = config.targets.iter().map(|(name, _)| (name.clone(), Target::default()));
    let monitor = Rc::new(Monitor {
        targets: RefCell::new(targets.collect()),
        alerts: RefCell::default(),
        born: Instant::now(),
        config,
    });
    for (name, url) in monitor.config.targets.clone() {
        let (monitor, url, stop) = (monitor.clone(), Url::parse(&url)?, stop.clone());
        spawn(async move {
            let mut client = Client::new("monitor", timeout);
            for n in 0u32.. {
                let due = monitor.born + monitor.config.interval * n;
                if let Either::Second(()) = race(sleep_until(due), stop.wait()).await {
                    return;
                }
                // Longer than an interval: the one that was missed is not made up for.
                if due.elapsed() < monitor.config.interval {
                    monitor.scrape(&name, &url, &mut client).await;
                    monitor.judge(&name);
                }
            }
        });
    }
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let monitor = monitor.clone();
        Box::pin(async move { monitor.answer(&request) })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Monitor {
    fn now(&self) -> f64 {
        self.born.elapsed().as_secs_f64()
    }

    async fn scrape(&self, name: &str, url: &Url, client: &mut Client) {
        let at = self.now();
        let wanted = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
        let reply = client.send("GET", url, &[("Accept", wanted)], &[]).await;
        let read = match reply {
            Err(error) => Err(error.to_string()),
            Ok(reply) if reply.status != 200 => Err(format!("answered by {}", reply.status)),
            Ok(reply) => {
                let kind = reply.headers.get("content-type").unwrap_or_default();
                let open = kind.starts_with("application/openmetrics-text");
                let text = String::from_utf8(reply.body).map_err(|_| "no UTF-8".to_owned());
                text.and_then(|text| exposition::parse(&text, open))
            }
        };
        let mut targets = self.targets.borrow_mut();
        let target = targets.entry(name.to_owned()).or_default();
        target.scrapes += 1;
        let up = if read.is_ok() { 1.0 } else { 0.0 };
        let sample =
            |name: &str, value| Sample { name: name.into(), labels: BTreeMap::new(), value };
        target.series.add(at, sample("up", up));
        target.series.add(at, sample("scrape_duration_seconds", self.now() - at));
        match read {
            Ok(families) => {
                if !target.error.is_empty() {
                    log::info("target-well", &[("target", &name)]);
                    target.error.clear();
                }
                for sample in families.into_iter().flat_map(|f| f.samples) {
                    target.series.add(at, sample);
                }
            }
            Err(error) => {
                target.failures += 1;
                if target.error != error {
                    log::warn("target-ill", &[("target", &name), ("error", &error)]);
                    target.error = error;
                }
            }
        }
    }

    /// Looks at every rule for one target.
    fn judge(&self, name: &str) {
        let now = self.now();
        let targets = self.targets.borrow();
        let Some(target) = targets.get(name) else { return };
        for (n, rule) in self.config.rules.iter().enumerate() {
            let value = rule.query.value(|term| target.series.value(term, now));
            let alarming =
                value.is_some_and(|v| if rule.above { v > rule.limit } else { v < rule.limit });
            let mut alerts = self.alerts.borrow_mut();
            let alert = alerts.entry((n, name.to_owned())).or_default();
            if !alarming {
                if alert.firing {
                    log::info("alert-resolved", &[("alert", &rule.name), ("target", &name)]);
                }
                (alert.since, alert.firing) = (None, false);
                continue;
            }
            let since = *alert.since.get_or_insert(now);
            if !alert.firing && Duration::from_secs_f64((now - since).max(0.0)) >= rule.hold {
                alert.firing = true;
                alert.raised += 1;
                let value = value.unwrap_or_default();
                log::warn(
                    "alert",
                    &[("alert", &rule.name), ("target", &name), ("value", &format!("{value:.3}"))],
                );
            }
        }
    }

    fn answer(&self, request: &Request) -> Response {
        match request.path.as_str() {
            "/healthz" | "/readyz" => Response::text(200, "ok"),
            "/targets" => Response::json(200, self.list_targets()),
            "/alerts" => Response::json(200, self.list_alerts()),
            "/series" => self.list_series(request),
            "/query" => self.query(request),
            "/" => Response::new(200, "text/html; charset=utf-8", self.page()),
            _ => Response::text(
                404,
                "there are /, /targets, /alerts, /series?target=&name=, /query?expr=, /healthz",
            ),
        }
    }

    fn list_targets(&self) -> String {
        let targets = self.targets.borrow();
        let items = targets.iter().map(|(name, t)| {
            let names: Vec<String> = t.series.names().iter().map(|n| json::string(n)).collect();
            format!(
                "{{\"name\":{},\"up\":{},\"scrapes\":{},\"failures\":{},\"error\":{},\"metrics\":[{}]}}",
                json::string(name),
                t.error.is_empty() && t.scrapes > 0,
                t.scrapes,
                t.failures,
                json::string(&t.error),
                names.join(",")
            )
        });
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    }

    fn list_alerts(&self) -> String {
        let alerts = self.alerts.borrow();
        let items = alerts.iter().map(|((n, target), alert)| {
            let state = match (alert.firing, alert.since) {
                (true, _) => "firing",
                (false, Some(_)) => "pending",
                (false, None) => "inactive",
            };
            format!(
                "{{\"alert\":{},\"target\":{},\"state\":\"{state}\",\"raised\":{}}}",
                json::string(&self.config.rules[*n].name),
                json::string(target),
                alert.raised
            )
        });
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    }

    fn list_series(&self, request: &Request) -> Response {
        let name = request.parameter("name").unwrap_or_default();
        let wanted = request.parameter("target");
        let mut items = Vec::new();
        for (target, t) in self.targets.borrow().iter() {
            if wanted.as_ref().is_some_and(|w| w != target) {
                continue;
            }
            for ((_, labels), values) in t.series.named(&name) {
                let labels: Vec<String> = labels
                    .iter()
                    .map(|(n, v)| format!("{}:{}", json::string(n), json::string(v)))
                    .collect();
                let values: Vec<String> =
                    values.iter().map(|(at, v)| format!("[{at:.3},{}]", json_number(*v))).collect();
                items.push(format!(
                    "{{\"target\":{},\"labels\":{{{}}},\"values\":[{}]}}",
                    json::string(target),
                    labels.join(","),
                    values.join(",")
                ));
            }
        }
        Response::json(200, format!("[{}]", items.join(",")))
    }

    fn query(&self, request: &Request) -> Response {
        let query = match Query::parse(&request.parameter("expr").unwrap_or_default()) {
            Ok(query) => query,
            Err(error) => return Response::text(400, error),
        };
        let now = self.now();
        let targets = self.targets.borrow();
        let items = targets.iter().filter_map(|(name, target)| {
            let value = query.value(|term| target.series.value(term, now))?;
            Some(format!("{}:{}", json::string(name), json_number(value)))
        });
        Response::json(200, format!("{{{}}}", items.collect::<Vec<_>>().join(",")))
    }

    fn page(&self) -> String {
        let safe = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let rows: String = self
            .targets
            .borrow()
            .iter()
            .map(|(name, t)| {
                let state = if t.error.is_empty() { "up" } else { t.error.as_str() };
                format!("<tr><td>{}<td>{}<td>{}\n", safe(name), safe(state), t.scrapes)
            })
            .collect();
        let firing: String = self
            .alerts
            .borrow()
            .iter()
            .filter(|(_, a)| a.firing)
            .map(|((n, target), _)| {
                format!("<li>{}: {}\n", safe(&self.config.rules[*n].name), safe(target))
            })
            .collect();
        format!(
            "<!doctype html><title>monitor</title><h1>Targets</h1><table>\n{rows}</table>\
             <h1>Alerts</h1><ul>\n{firing}</ul>\n"
        )
    }
}

/// JSON knows no infinity.
fn json_number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { "null".into() }
}
