//! Asks all shards at once, and makes one answer of theirs: complete, or honest about what is missing.
//!
//! # Layout
//! - `gather`: asking, second requests, deadlines
//! - `merge`: one answer of many
//! - this file: the command line and the page

mod gather;
mod merge;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::program;
use podlab_guest::runtime::Flag;
use serde_json::Value;

use gather::{Child, Children, Manner, scatter};
use merge::Shards;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "scatter-root",
    version: env!("CARGO_PKG_VERSION"),
    about: "Asks all shards at once and merges their answers: /search?q=&k=, /words?top=, /stats.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt(
            "leaves",
            "A,B",
            "",
            "URLs of leaves or roots; `[0-7]` for eight, `A|B` replicas, `A*4`",
        ),
        opt("deadline", "TIME", "500ms", "when to answer with what there is"),
        opt("hedge-after", "TIME", "0", "after how long to ask a second time; 0 for never"),
        opt("hedge-budget", "N", "10", "second requests for each hundred first ones at most"),
    ],
};

struct Root {
    children: Children,
    manner: Manner,
    deadline: Duration,
    requests: Cell<u64>,
    partial: Cell<u64>,
    /// Microseconds of the last answers.
    times: RefCell<std::collections::VecDeque<u64>>,
}

/// Answers whose time is remembered.
const TIMES: usize = 2000;
/// Hits of one answer.
const MAX_HITS: usize = 100;

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let children = children(&args.text("leaves"))?;
    if children.is_empty() || children.len() > 200 {
        return Err("--leaves: 1 to 200 leaves".into());
    }
    let root = Rc::new(Root {
        children: Rc::new(children),
        manner: Manner {
            hedge_after: args.duration("hedge-after")?,
            hedge_budget: args.number("hedge-budget")?,
            counters: Cell::default(),
        },
        deadline: args.duration("deadline")?.max(Duration::from_millis(1)),
        requests: Cell::new(0),
        partial: Cell::new(0),
        times: RefCell::default(),
    });
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let root = root.clone();
        Box::pin(async move { root.answer(&request).await })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

/// Children from `http://leaf-[0-7].leaf:8080,http://root-b:8080*4`.
fn children(list: &str) -> Result<Vec<Child>, String> {
    let mut out = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let range = entry.split_once('[').and_then(|(before, rest)| {
            let (range, _) = rest.split_once(']')?;
            let (first, last) = range.split_once('-')?;
            Some((
                before,
                format!("[{range}]"),
                first.parse::<u32>().ok()?,
                last.parse::<u32>().ok()?,
            ))
        });
        match range {
            Some((_, range, first, last)) if first <= last && last - first < 200 => {
                for n in first..=last {
                    out.push(Child::parse(&entry.replace(&range, &n.to_string()))?);
                }
            }
            Some(_) => return Err(format!("--leaves: {entry:?} is no range")),
            None => out.push(Child::parse(entry)?),
        }
    }
    Ok(out)
}

impl Root {
    async fn answer(&self, request: &Request) -> Response {
        if request.method != "GET" {
            return Response::text(405, "only GET").with("Allow", "GET");
        }
        match request.path.as_str() {
            "/healthz" | "/readyz" => Response::text(200, "ok"),
            "/stats" => Response::json(200, self.stats()),
            "/search" => {
                let query = request.parameter("q").unwrap_or_default();
                let words = query.split_whitespace().count();
                let k = request.parameter("k").map_or(Some(10), |k| k.parse().ok());
                let Some(k) = k.filter(|k| (1..=MAX_HITS).contains(k)) else {
                    return Response::text(400, format!("k is 1 to {MAX_HITS}"));
                };
                if words == 0 || words > 8 || query.len() > 200 {
                    return Response::text(400, "q has 1 to 8 words");
                }
                let target = format!("/search?q={}&k={k}", encode(&query));
                let check = |value: &Value| merge::is_answer(value, &query, k);
                let (shards, answers) = self.ask(request, &target, check).await;
                self.respond(&shards, merge::ranked(&query, k, &shards, &answers))
            }
            "/words" => {
                let top = request.parameter("top").and_then(|t| t.parse().ok()).unwrap_or(0);
                let check = |value: &Value| match value["counts"].is_object() {
                    true => Ok(()),
                    false => Err("no counts".to_owned()),
                };
                // Only the whole counts can be added up: a word that is eleventh everywhere may
                // be first of all.
                let (shards, answers) = self.ask(request, "/words", check).await;
                self.respond(&shards, merge::counted(top, &shards, &answers))
            }
            _ => Response::text(404, "there are /search?q=&k=, /words?top=, /stats, /healthz"),
        }
    }

    async fn ask(
        &self,
        request: &Request,
        target: &str,
        check: impl Fn(&Value) -> Result<(), String>,
    ) -> (Shards, Vec<Value>) {
        let begun = Instant::now();
        let told = request.headers.get("x-deadline-ms").and_then(|t| t.parse().ok());
        let limit = told.map_or(self.deadline, |ms| self.deadline.min(Duration::from_millis(ms)));
        let deadline = begun + limit;
        let ask = |child| Child::ask(child, &self.manner, target, deadline, &check);
        let answers = scatter(self.children.iter().map(ask).collect()).await;
        let mut shards = Shards::default();
        for (child, answer) in self.children.iter().zip(&answers) {
            shards.add(child, answer.as_ref());
        }
        self.requests.set(self.requests.get() + 1);
        self.partial.set(self.partial.get() + u64::from(shards.answered < shards.asked));
        let mut times = self.times.borrow_mut();
        times.push_back(begun.elapsed().as_micros() as u64);
        if times.len() > TIMES {
            times.pop_front();
        }
        (shards, answers.into_iter().flatten().collect())
    }

    /// A partial answer says so; nothing at all is no answer.
    fn respond(&self, shards: &Shards, body: String) -> Response {
        let status = if shards.answered == 0 { 503 } else { 200 };
        Response::json(status, body).with("X-Shards", shards.text())
    }

    fn stats(&self) -> String {
        let mut times: Vec<u64> = self.times.borrow().iter().copied().collect();
        times.sort_unstable();
        let rank = |p: usize| {
            let rank = (times.len() * p).div_ceil(100).saturating_sub(1);
            times.get(rank).copied().unwrap_or(0) as f64 / 1000.0
        };
        let c = self.manner.counters.get();
        format!(
            "{{\"requests\":{},\"partial\":{},\"sent\":{},\"hedges\":{},\"hedgesWon\":{},\
             \"failovers\":{},\"missing\":{},\"wrong\":{},\"p50Ms\":{:.3},\"p90Ms\":{:.3},\"p99Ms\":{:.3}}}",
            self.requests.get(),
            self.partial.get(),
            c.sent,
            c.hedges,
            c.hedges_won,
            c.failovers,
            c.missing,
            c.wrong,
            rank(50),
            rank(90),
            rank(99)
        )
    }
}

/// A text as a parameter's value (RFC 3986).
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_leaves() {
        let names = |list: &str| -> Vec<String> {
            children(list).unwrap().into_iter().map(|c| c.name).collect()
        };
        assert_eq!(names("http://l-[0-2].l:80, http://r*4"), ["l-0.l", "l-1.l", "l-2.l", "r"]);
        assert_eq!(names("http://l-[0-1]a:8|http://l-[0-1]b:8"), ["l-0a", "l-1a"]);
        assert!(children("http://l-[3-1]").is_err() && children("x://y").is_err());
        assert_eq!(encode("a b&c=é"), "a+b%26c%3D%C3%A9");
    }
}
