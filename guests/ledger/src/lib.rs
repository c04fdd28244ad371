//! A ledger: entries with consecutive numbers, and one writer at a time, if fencing sees to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::runtime::Flag;
use podlab_guest::{json, log, program};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "ledger",
    version: env!("CARGO_PKG_VERSION"),
    about: "Keeps numbered entries; with fencing, only of the latest leader.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("fencing", "BOOL", "true", "whether a token older than one seen before is refused"),
    ],
};

/// Entries and writers that are remembered.
const MOST: usize = 1_000_000;

#[derive(Default)]
struct Ledger {
    fencing: bool,
    /// By whom each number was written last.
    entries: BTreeMap<u64, (String, u64)>,
    writes: u64,
    last: u64,
    highest: u64,
    overwritten: u64,
    stale: u64,
    refused: u64,
    gaps: u64,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let fencing = args.switch("fencing");
    let ledger = Rc::new(RefCell::new(Ledger { fencing, ..Ledger::default() }));
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let response = ledger.borrow_mut().answer(&request);
        Box::pin(async move { response })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Ledger {
    fn answer(&mut self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/healthz" | "/readyz") => Response::text(200, "ok"),
            ("GET", "/last") => Response::text(200, self.last.to_string()),
            ("GET", "/stats") => Response::json(200, self.stats()),
            ("POST", "/entries") => self.write(request),
            _ => Response::text(
                404,
                "there are POST /entries?seq=&by=&token=, GET /last, /stats, /healthz",
            ),
        }
    }

    fn write(&mut self, request: &Request) -> Response {
        let number = |name: &str| request.parameter(name).and_then(|n| n.parse::<u64>().ok());
        let by = request.parameter("by").filter(|b| !b.is_empty() && b.len() <= 100);
        let (Some(seq), Some(token), Some(by)) = (number("seq"), number("token"), by) else {
            return Response::text(400, "seq and token are numbers, by is a name");
        };
        if token < self.highest {
            if self.fencing {
                self.refused += 1;
                let (highest, fields) = (self.highest, &by);
                log::warn("refused", &[("by", fields), ("token", &token), ("highest", &highest)]);
                return Response::text(409, format!("there was a token {highest} already"));
            }
            self.stale += 1;
        }
        if seq == 0 || self.entries.len() >= MOST && !self.entries.contains_key(&seq) {
            return Response::text(400, "entries are numbered from 1, and are not without end");
        }
        self.highest = self.highest.max(token);
        self.writes += 1;
        self.gaps += u64::from(seq > self.last + 1);
        if let Some((before, _)) = self.entries.insert(seq, (by.clone(), token)) {
            // Without fencing this is a plain store: what was there is gone.
            self.overwritten += 1;
            log::warn("overwritten", &[("seq", &seq), ("before", &before), ("by", &by)]);
        }
        self.last = seq;
        Response::json(201, format!("{{\"seq\":{seq}}}"))
    }

    fn stats(&self) -> String {
        let mut writers: BTreeMap<&str, u64> = BTreeMap::new();
        for (by, _) in self.entries.values() {
            *writers.entry(by).or_default() += 1;
        }
        let writers: Vec<String> =
            writers.iter().map(|(by, n)| format!("{}:{n}", json::string(by))).collect();
        format!(
            "{{\"entries\":{},\"writes\":{},\"last\":{},\"token\":{},\"overwritten\":{},\
             \"stale\":{},\"refused\":{},\"gaps\":{},\"writers\":{{{}}}}}",
            self.entries.len(),
            self.writes,
            self.last,
            self.highest,
            self.overwritten,
            self.stale,
            self.refused,
            self.gaps,
            writers.join(",")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(ledger: &mut Ledger, query: &str) -> u16 {
        let request = Request {
            method: "POST".into(),
            target: String::new(),
            path: "/entries".into(),
            query: query.into(),
            minor: 1,
            headers: Default::default(),
            body: Vec::new(),
            peer: String::new(),
        };
        ledger.answer(&request).status
    }

    #[test]
    fn a_token_that_is_past_is_refused_only_with_fencing() {
        for (fencing, status, overwritten) in [(true, 409, 0), (false, 201, 1)] {
            let mut ledger = Ledger { fencing, ..Ledger::default() };
            assert_eq!(write(&mut ledger, "seq=1&by=a&token=1"), 201);
            assert_eq!(write(&mut ledger, "seq=2&by=b&token=2"), 201);
            assert_eq!(write(&mut ledger, "seq=2&by=a&token=1"), status);
            assert_eq!(ledger.overwritten, overwritten);
            assert_eq!(write(&mut ledger, "seq=x&by=a&token=1"), 400);
            assert_eq!(write(&mut ledger, "seq=0&by=a&token=9"), 400);
        }
    }
}
