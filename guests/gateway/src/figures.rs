//! What was done, as a monitor reads it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use podlab_guest::exposition::{Family, Kind, Sample, TEXT, write};
use podlab_guest::http::Response;

use crate::objects::shown;
use crate::table::Route;

/// Bounds of the time an answer takes, in seconds.
const BOUNDS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
/// Different series of requests: more are counted together.
const MOST: usize = 2000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Labels {
    ingress: String,
    backend: String,
    canary: bool,
    status: u16,
}

/// Figures.
#[derive(Default)]
pub struct Figures {
    requests: RefCell<BTreeMap<Labels, u64>>,
    times: RefCell<[u64; BOUNDS.len() + 1]>,
    sum: Cell<f64>,
    retries: Cell<u64>,
    /// Connections of callers that are open.
    pub open: Cell<u64>,
}

impl Figures {
    /// A request was answered with `status`.
    pub fn answered(&self, route: Option<(&Route, bool)>, status: u16, took: Duration) {
        let mut labels = Labels { status, ..Labels::default() };
        if let Some((route, canary)) = route {
            labels.ingress = shown(&route.ingress);
            labels.backend = match &route.canary {
                Some((_, backend)) if canary => backend.to_string(),
                _ => route.backend.to_string(),
            };
            labels.canary = canary;
        }
        let mut requests = self.requests.borrow_mut();
        if requests.len() >= MOST && !requests.contains_key(&labels) {
            labels = Labels::default();
        }
        *requests.entry(labels).or_default() += 1;
        let seconds = took.as_secs_f64();
        let slot = BOUNDS.iter().position(|b| seconds <= *b).unwrap_or(BOUNDS.len());
        self.times.borrow_mut()[slot] += 1;
        self.sum.set(self.sum.get() + seconds);
    }

    /// A request was sent to another address, since the first did not answer.
    pub fn retried(&self) {
        self.retries.set(self.retries.get() + 1);
    }

    /// The page; what is known only elsewhere is given.
    pub fn page(&self, routes: usize, made: u64, api: bool) -> Response {
        let plain = |name: &str, kind, help: &str, value: f64| Family {
            name: name.into(),
            kind,
            help: help.into(),
            samples: vec![Sample { name: name.into(), labels: BTreeMap::new(), value }],
        };
        let requests = self.requests.borrow();
        let request = |(labels, n): (&Labels, &u64)| Sample {
            name: "gateway_requests_total".into(),
            labels: [
                ("ingress", labels.ingress.clone()),
                ("backend", labels.backend.clone()),
                ("canary", labels.canary.to_string()),
                ("status", labels.status.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            value: *n as f64,
        };
        let families = [
            Family {
                name: "gateway_requests_total".into(),
                kind: Kind::Counter,
                help: "Requests answered, by who answered and how.".into(),
                samples: requests.iter().map(request).collect(),
            },
            self.histogram(),
            plain(
                "gateway_retries_total",
                Kind::Counter,
                "Requests sent to another address because one did not answer.",
                self.retries.get() as f64,
            ),
            plain(
                "gateway_open_connections",
                Kind::Gauge,
                "Connections of callers.",
                self.open.get() as f64,
            ),
            plain("gateway_routes", Kind::Gauge, "Hosts' paths that are served.", routes as f64),
            plain(
                "gateway_tables_total",
                Kind::Counter,
                "How often the routing table was made anew.",
                made as f64,
            ),
            plain(
                "gateway_api_up",
                Kind::Gauge,
                "Whether the API server answers.",
                f64::from(u8::from(api)),
            ),
        ];
        Response::new(200, TEXT, write(&families, false))
    }

    fn histogram(&self) -> Family {
        let name = "gateway_request_duration_seconds";
        let mut samples = Vec::new();
        let mut sum = 0;
        for (i, n) in self.times.borrow().iter().enumerate() {
            sum += n;
            let bound = BOUNDS.get(i).map_or("+Inf".to_owned(), |b| format!("{b}"));
            let labels = BTreeMap::from([("le".to_owned(), bound)]);
            samples.push(Sample { name: format!("{name}_bucket"), labels, value: sum as f64 });
        }
        for (suffix, value) in [("sum", self.sum.get()), ("count", sum as f64)] {
            let labels = BTreeMap::new();
            samples.push(Sample { name: format!("{name}_{suffix}"), labels, value });
        }
        let help = "From a request's head to the end of its answer.".into();
        Family { name: name.into(), kind: Kind::Histogram, help, samples }
    }
}

#[cfg(test)]
mod tests {
    use podlab_guest::exposition::parse;
    use podlab_guest::http::Body;

    use super::*;

    #[test]
    fn the_page_is_what_monitors_read() {
        let figures = Figures::default();
        figures.answered(None, 404, Duration::from_millis(3));
        figures.answered(None, 404, Duration::from_secs(20));
        let Body::Bytes(page) = figures.page(2, 1, true).body else { panic!("a text") };
        let families = parse(&String::from_utf8(page).unwrap(), false).unwrap();
        let of = |name: &str| families.iter().find(|f| f.name == name).unwrap();
        assert_eq!(of("gateway_requests_total").samples[0].value, 2.0);
        let buckets = &of("gateway_request_duration_seconds").samples;
        assert_eq!((buckets[0].value, buckets[BOUNDS.len()].value), (1.0, 2.0));
    }
}
