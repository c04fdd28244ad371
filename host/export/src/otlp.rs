//! OpenTelemetry spans as OTLP/JSON (`ExportTraceServiceRequest`), as collectors take them at
//! `/v1/traces`.
//!
//! Programs need not be instrumented: a request is a client's span and a server's span, and what a
//! program asked after it took a request in is a part of that. The trace's own causes say so.

use std::collections::BTreeMap;

use podlab_trace::{Event, PlaceId, Seq, State, text};
use serde_json::{Value, json};

use crate::exchange::{Exchange, Exchanges};

const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// Collects the spans of a trace.
pub struct Otlp {
    epoch_ns: u64,
    state: State,
    exchanges: Exchanges,
    done: Vec<Exchange>,
    /// Requests: who they went to and what caused them.
    requests: BTreeMap<Seq, Seq>,
}

impl Otlp {
    /// `epoch_ns` is what the world's wall clock showed at its beginning, in ns since 1970.
    pub fn new(epoch_ns: u64) -> Otlp {
        Otlp {
            epoch_ns,
            state: State::default(),
            exchanges: Exchanges::default(),
            done: Vec::new(),
            requests: BTreeMap::new(),
        }
    }

    /// Takes in the next event; only messages that are `wanted` become spans.
    pub fn take(&mut self, event: &Event, wanted: bool) {
        if let podlab_trace::Kind::Message { answers: 0, .. } = &event.kind {
            self.requests.insert(event.seq, event.cause);
        }
        if wanted {
            self.exchanges.take(&self.state, event);
            self.done.extend(self.exchanges.drain());
        }
        self.state.apply(event);
    }

    /// The request to send to a collector.
    pub fn finish(mut self) -> Value {
        self.done.extend(std::mem::take(&mut self.exchanges).finish());
        self.done.sort_by_key(|e| e.request.seq);
        let mut by_place: BTreeMap<PlaceId, Vec<Value>> = BTreeMap::new();
        for exchange in &self.done {
            by_place.entry(exchange.request.place).or_default().push(self.span(exchange, CLIENT));
            if exchange.response.is_some() {
                by_place.entry(exchange.server).or_default().push(self.span(exchange, SERVER));
            }
        }
        let resources: Vec<Value> =
            by_place.into_iter().map(|(place, spans)| self.resource(place, &spans)).collect();
        json!({"resourceSpans": resources})
    }

    fn resource(&self, place: PlaceId, spans: &[Value]) -> Value {
        let p = self.state.places.get(&place).cloned().unwrap_or_default();
        let mut attributes = vec![text_attribute("service.name", &text::place(&self.state, place))];
        for (key, value) in [
            ("k8s.namespace.name", &p.namespace),
            ("k8s.pod.name", &p.pod),
            ("k8s.container.name", &p.container),
            ("k8s.node.name", &p.node),
        ] {
            if !value.is_empty() {
                attributes.push(text_attribute(key, value));
            }
        }
        json!({
            "resource": {"attributes": attributes},
            "scopeSpans": [{"scope": {"name": "podlab", "version": env!("CARGO_PKG_VERSION")}, "spans": spans}],
        })
    }

    fn span(&self, exchange: &Exchange, kind: u8) -> Value {
        let request = &exchange.request;
        let (parent, root) = (self.parent(exchange.cause), self.root(request.seq));
        let end = match &exchange.response {
            Some(r) if kind == CLIENT && r.arrives != u64::MAX => r.arrives,
            Some(r) => r.began,
            None => request.began,
        };
        let begin = match kind {
            SERVER if request.arrives != u64::MAX => request.arrives,
            _ => request.began,
        };
        let mut words = request.summary.split_whitespace();
        let mut attributes = vec![
            text_attribute(
                "network.protocol.name",
                exchange.protocol.split('/').next().unwrap_or(""),
            ),
            text_attribute("server.address", &exchange.to),
            number_attribute("podlab.event", request.seq),
        ];
        let mut failed = exchange.response.is_none();
        if exchange.protocol.starts_with("http/") {
            let method = words.next().unwrap_or("");
            let path = words.next().unwrap_or("").split('?').next().unwrap_or("").to_owned();
            attributes.push(text_attribute("http.request.method", method));
            attributes.push(text_attribute("url.path", &path));
            let status = exchange.response.as_ref().and_then(|r| status(&r.summary));
            if let Some(status) = status {
                attributes.push(number_attribute("http.response.status_code", u64::from(status)));
                failed |= status >= 500 || (kind == CLIENT && status >= 400);
            }
        }
        if !exchange.via.is_empty() {
            attributes.push(text_attribute("podlab.service", &exchange.via));
        }
        let mut span = json!({
            "traceId": format!("{root:032x}"),
            "spanId": span_id(request.seq, kind),
            "name": request.summary,
            "kind": kind,
            "startTimeUnixNano": (self.epoch_ns + begin).to_string(),
            "endTimeUnixNano": (self.epoch_ns + end.max(begin)).to_string(),
            "attributes": attributes,
            "status": {"code": if failed { 2 } else { 0 }},
        });
        if kind == SERVER {
            span["parentSpanId"] = span_id(request.seq, CLIENT).into();
        } else if let Some(parent) = parent {
            span["parentSpanId"] = span_id(parent, SERVER).into();
        }
        span
    }

    /// The request that whoever caused this was working on.
    fn parent(&self, cause: Seq) -> Option<Seq> {
        self.requests.contains_key(&cause).then_some(cause)
    }

    /// The request at the beginning of a chain of causes.
    fn root(&self, request: Seq) -> Seq {
        let mut at = request;
        while let Some(cause) = self.requests.get(&at) {
            // Causes come before their effects, so this ends.
            match self.parent(*cause) {
                Some(parent) if parent < at => at = parent,
                _ => break,
            }
        }
        at
    }
}

fn status(summary: &str) -> Option<u16> {
    summary.split_whitespace().next()?.parse().ok()
}

/// Eight bytes: the request's event and which side of it.
fn span_id(request: Seq, kind: u8) -> String {
    format!("{:016x}", request << 2 | u64::from(kind))
}

fn text_attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number_attribute(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}
