//! Makes the figures of an application, whatever their format, look like everybody's: `/metrics`.
//!
//! # Layout
//! - `config`: the file that says what becomes what
//! - `figures`: INFO and JSON; `statsd`: lines over UDP
//! - this file: the page, and what happens when the application is ill

mod config;
mod figures;
mod statsd;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::exposition::{self, Family, Kind, Sample};
use podlab_guest::http::{self, Client, Limits, Request, Response};
use podlab_guest::resp::Value;
use podlab_guest::runtime::{Either, Flag, race, sleep, spawn};
use podlab_guest::udp::UdpSocket;
use podlab_guest::{keyvalue, log, program};

use config::{Config, Metric, Source};
use statsd::Statsd;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "metrics-adapter",
    version: env!("CARGO_PKG_VERSION"),
    about: "Turns an application's own figures into Prometheus' text format at /metrics.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:9100", "where to listen: /metrics, /healthz, /readyz"),
        opt("config", "FILE", "/etc/metrics-adapter/metrics.conf", "what becomes what"),
        opt("refresh", "TIME", "2s", "how often the file is looked at"),
        opt("timeout", "TIME", "1s", "how long the application may take"),
    ],
};

struct Adapter {
    config: RefCell<Rc<Config>>,
    statsd: RefCell<Statsd>,
    timeout: Duration,
    /// What was said in the log, so that it is said once.
    trouble: RefCell<String>,
    missing: RefCell<BTreeSet<String>>,
    failures: std::cell::Cell<u64>,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a file that is none, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let file = args.text("config");
    let read = |file: &str| -> Result<(String, Config), String> {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        let config = Config::parse(&text).map_err(|e| format!("{file}: {e}"))?;
        Ok((text, config))
    };
    let (mut text, config) = read(&file)?;
    let adapter = Rc::new(Adapter {
        config: RefCell::new(Rc::new(config)),
        statsd: RefCell::default(),
        timeout: args.duration("timeout")?,
        trouble: RefCell::default(),
        missing: RefCell::default(),
        failures: std::cell::Cell::new(0),
    });
    let every = args.duration("refresh")?.max(Duration::from_millis(10));
    let listener = program::listen(&args).await?;
    let mut ear = adapter.clone().hear().await?;
    {
        let (adapter, stop) = (adapter.clone(), stop.clone());
        spawn(async move {
            let mut said = String::new();
            while let Either::First(()) = race(sleep(every), stop.wait()).await {
                match read(&file) {
                    Ok((new, _)) if new == text => {}
                    Ok((new, config)) => {
                        let moved = adapter.config.borrow().source != config.source;
                        text = new;
                        *adapter.config.borrow_mut() = Rc::new(config);
                        adapter.missing.borrow_mut().clear();
                        log::info("configured", &[("file", &file)]);
                        if moved {
                            ear.raise();
                            match adapter.clone().hear().await {
                                Ok(new) => ear = new,
                                Err(error) => log::warn("cannot-listen", &[("error", &error)]),
                            }
                        }
                    }
                    // The old one stays in force.
                    Err(error) if error != said => {
                        log::warn("bad-config", &[("error", &error)]);
                        said = error;
                    }
                    Err(_) => {}
                }
            }
        });
    }
    let handler: http::Handler = Rc::new(move |request| {
        let adapter = adapter.clone();
        Box::pin(async move { adapter.answer(&request).await })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Adapter {
    /// Listens for statsd if that is the source, until the flag is raised.
    async fn hear(self: Rc<Self>) -> Result<Flag, String> {
        let over = Flag::default();
        let source = self.config.borrow().source.clone();
        if let Source::Statsd(place) = source {
            let addr = place.parse().map_err(|_| format!("{place}: no address to listen at"))?;
            let socket = UdpSocket::bind(addr).await.map_err(|e| format!("{place}: {e}"))?;
            let over = over.clone();
            spawn(async move {
                while let Either::First(got) = race(socket.receive(), over.wait()).await {
                    // An error here is about something sent, and nothing is.
                    let Ok((bytes, _)) = got else { continue };
                    let config = self.config.borrow().clone();
                    let mut statsd = self.statsd.borrow_mut();
                    statsd.take(&bytes, &config.metrics);
                    if statsd.bad > 0 {
                        self.said("lines that are none");
                    }
                }
            });
        }
        Ok(over)
    }

    /// Logs a trouble once, until it is over.
    fn said(&self, trouble: &str) {
        let mut said = self.trouble.borrow_mut();
        if *said != trouble {
            match trouble {
                "" => log::info("source-well", &[]),
                _ => log::warn("source-ill", &[("error", &trouble)]),
            }
            trouble.clone_into(&mut said);
        }
    }

    async fn answer(&self, request: &Request) -> Response {
        match request.path.as_str() {
            "/healthz" | "/readyz" => Response::text(200, "ok"),
            "/metrics" => {
                let accept = request.headers.get("accept").unwrap_or_default();
                let open = accept.contains("application/openmetrics-text");
                let kind = if open { exposition::OPEN_METRICS } else { exposition::TEXT };
                Response::new(200, kind, exposition::write(&self.families().await, open))
            }
            _ => Response::text(404, "there are /metrics, /healthz, /readyz"),
        }
    }

    async fn families(&self) -> Vec<Family> {
        let config = self.config.borrow().clone();
        let figures = self.figures(&config).await;
        let mut families: Vec<Family> = Vec::new();
        let up = match &figures {
            Ok(figures) => {
                for metric in &config.metrics {
                    self.add(&mut families, metric, figures);
                }
                if !matches!(config.source, Source::Statsd(_)) {
                    self.said("");
                }
                1.0
            }
            Err(error) => {
                self.failures.set(self.failures.get() + 1);
                self.said(error);
                0.0
            }
        };
        let own = [
            ("adapter_up", Kind::Gauge, "Whether the application's figures could be had.", up),
            (
                "adapter_failures_total",
                Kind::Counter,
                "How often they could not.",
                self.failures.get() as f64,
            ),
            (
                "adapter_bad_lines_total",
                Kind::Counter,
                "Lines that were none.",
                self.statsd.borrow().bad as f64,
            ),
        ];
        for (name, kind, help, value) in own {
            families.push(Family {
                name: name.into(),
                kind,
                help: help.into(),
                samples: vec![Sample { name: name.into(), labels: BTreeMap::new(), value }],
            });
        }
        families
    }

    /// The application's figures, by the names of the configuration.
    async fn figures(&self, config: &Config) -> Result<BTreeMap<String, f64>, String> {
        match &config.source {
            Source::Statsd(_) => Ok(self.statsd.borrow().values.clone()),
            Source::Redis(place) => {
                let client = keyvalue::Client::new(place, self.timeout)?;
                match client.redis(&[b"INFO"]).await {
                    Ok(Value::Bulk(text)) => {
                        let figures = figures::from_info(&String::from_utf8_lossy(&text));
                        if figures.is_empty() {
                            Err("INFO has no figures".into())
                        } else {
                            Ok(figures)
                        }
                    }
                    Ok(other) => Err(format!("INFO was answered by {other:?}")),
                    Err(error) => Err(format!("{place}: {error}")),
                }
            }
            Source::Json(url) => {
                let mut client = Client::new("metrics-adapter", self.timeout).keep(false);
                let reply = client.send("GET", url, &[], &[]).await;
                let reply = reply.map_err(|e| format!("{}:{}: {e}", url.host, url.port))?;
                if reply.status != 200 {
                    return Err(format!("the status was answered by {}", reply.status));
                }
                let json: serde_json::Value =
                    serde_json::from_slice(&reply.body).map_err(|e| format!("no JSON: {e}"))?;
                let value = |m: &Metric| {
                    figures::at(&json, &m.from)
                        .and_then(figures::number)
                        .map(|v| (m.from.clone(), v))
                };
                Ok(config.metrics.iter().filter_map(value).collect())
            }
        }
    }

    fn add(&self, families: &mut Vec<Family>, metric: &Metric, figures: &BTreeMap<String, f64>) {
        let samples = if metric.kind == Kind::Histogram {
            histogram(metric, self.statsd.borrow().timers.get(&metric.name))
        } else {
            let value = figures.get(&metric.from).map(|v| v * metric.factor);
            // A counter cannot be below 0, whatever the application says.
            let value =
                value.filter(|v| v.is_finite() && (metric.kind != Kind::Counter || *v >= 0.0));
            let Some(value) = value else {
                let statsd = matches!(self.config.borrow().source, Source::Statsd(_));
                if !statsd && self.missing.borrow_mut().insert(metric.from.clone()) {
                    log::warn(
                        "no-such-figure",
                        &[("from", &metric.from), ("metric", &metric.name)],
                    );
                }
                return;
            };
            vec![Sample { name: metric.name.clone(), labels: metric.labels.clone(), value }]
        };
        match families.iter_mut().find(|f| f.name == metric.name) {
            Some(family) => family.samples.extend(samples),
            None => families.push(Family {
                name: metric.name.clone(),
                kind: metric.kind,
                help: metric.help.clone(),
                samples,
            }),
        }
    }
}

fn histogram(metric: &Metric, timer: Option<&statsd::Timer>) -> Vec<Sample> {
    let none = statsd::Timer { buckets: vec![0; metric.buckets.len()], ..Default::default() };
    let timer = timer.unwrap_or(&none);
    let sample = |suffix: &str, le: Option<String>, value: f64| {
        let mut labels = metric.labels.clone();
        labels.extend(le.map(|le| ("le".to_owned(), le)));
        Sample { name: format!("{}{suffix}", metric.name), labels, value }
    };
    let (mut samples, mut so_far) = (Vec::new(), 0);
    for (end, n) in metric.buckets.iter().zip(&timer.buckets) {
        so_far += n;
        samples.push(sample("_bucket", Some(exposition::number(*end)), so_far as f64));
    }
    samples.push(sample("_bucket", Some("+Inf".into()), timer.count as f64));
    samples.push(sample("_sum", None, timer.sum));
    samples.push(sample("_count", None, timer.count as f64));
    samples
}
