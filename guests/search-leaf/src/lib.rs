//! One shard of a search engine: documents made from a seed, searched by reading them.
//!
//! # Layout
//! - `corpus`: the documents
//! - this file: asking for them over HTTP, and being slow on purpose

pub mod corpus;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::runtime::{Flag, sleep};
use podlab_guest::{json, log, program};

use corpus::Corpus;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "search-leaf",
    version: env!("CARGO_PKG_VERSION"),
    about: "Searches one shard of a generated corpus: /search?q=&k=, /words.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("shard", "I/N", "0/1", "which part of the corpus: 0/8 to 7/8"),
        opt("documents", "N", "1600", "how many documents all shards have together"),
        opt("read-time", "TIME", "0.1ms", "how long the disk takes for a document"),
        opt("corpus-seed", "N", "1", "what the documents are made from"),
        opt("straggle-percent", "P", "0", "of a hundred answers so many are late"),
        opt("straggle-time", "TIME", "200ms", "by this much"),
        opt("straggle-seed", "N", "0", "which ones; give each replica of a shard its own"),
        opt("wrong-percent", "P", "0", "of a hundred answers so many are to another question"),
    ],
};

struct Leaf {
    corpus: Corpus,
    /// Two replicas of a shard are late at different times if their names or seeds differ.
    salt: u64,
    straggle: Cell<u64>,
    late: Duration,
    /// For all documents of the shard.
    reading: Duration,
    wrong: u64,
    asked: Cell<u64>,
}

/// Bytes of a question.
pub const MAX_QUERY: usize = 200;
/// Hits of one answer.
pub const MAX_HITS: usize = 100;

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let text = args.text("shard");
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    let (shard, shards): (u32, u32) = parts
        .filter(|(i, n)| i < n && *n <= 1000)
        .ok_or_else(|| format!("--shard: {text:?} is no I/N such as 0/8"))?;
    let documents: u32 = args.number("documents")?;
    if documents > 1_000_000 {
        return Err("--documents: at most a million".into());
    }
    let percent = |name: &str| -> Result<u64, String> {
        let p: u64 = args.number(name)?;
        if p > 100 { Err(format!("--{name}: 0 to 100")) } else { Ok(p) }
    };
    let corpus = Corpus::new(args.number("corpus-seed")?, documents, shard, shards);
    log::info("corpus", &[("documents", &corpus.documents()), ("shard", &text)]);
    let reading = args.duration("read-time")? * corpus.documents() as u32;
    let leaf = Rc::new(Leaf {
        corpus,
        reading,
        salt: salt(shard, args.number("straggle-seed")?),
        straggle: Cell::new(percent("straggle-percent")?),
        late: args.duration("straggle-time")?,
        wrong: percent("wrong-percent")?,
        asked: Cell::new(0),
    });
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let leaf = leaf.clone();
        Box::pin(async move { leaf.answer(&request).await })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

fn salt(shard: u32, seed: u64) -> u64 {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let fold = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
    host.bytes().fold(u64::from(shard) << 32, fold) ^ seed.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

const SHARDS: &str = "{\"asked\":1,\"answered\":1,\"missing\":[]}";

impl Leaf {
    async fn answer(&self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            (_, "/healthz" | "/readyz") => Response::text(200, "ok"),
            ("GET", "/stats") => Response::json(
                200,
                format!(
                    "{{\"documents\":{},\"asked\":{}}}",
                    self.corpus.documents(),
                    self.asked.get()
                ),
            ),
            ("PUT", "/mode") => {
                let percent = request.parameter("straggle").and_then(|p| p.parse().ok());
                match percent.filter(|p| *p <= 100) {
                    Some(percent) => {
                        self.straggle.set(percent);
                        Response::text(200, "ok")
                    }
                    None => Response::text(400, "straggle is 0 to 100 of a hundred"),
                }
            }
            ("GET", "/search") => {
                let chance = self.chance().await;
                let query = request.parameter("q").unwrap_or_default();
                let k = request.parameter("k").map_or(Some(10), |k| k.parse().ok());
                let Some(k) = k.filter(|k| (1..=MAX_HITS).contains(k)) else {
                    return Response::text(400, format!("k is 1 to {MAX_HITS}"));
                };
                self.search(&query, k, chance >= 100 - self.wrong)
            }
            ("GET", "/words") => {
                self.chance().await;
                let counts: Vec<String> = self
                    .corpus
                    .count()
                    .into_iter()
                    .map(|(word, n)| format!("{}:{n}", json::string(word)))
                    .collect();
                let counts = counts.join(",");
                Response::json(200, format!("{{\"shards\":{SHARDS},\"counts\":{{{counts}}}}}"))
            }
            _ => Response::text(404, "there are GET /search?q=&k=, /words, /stats, PUT /mode"),
        }
    }

    /// Counts the question, waits for the disk, is late if it is this one's turn, and gives a number below 100 that
    /// looks like chance: the same for the same question of the same
    /// replica.
    async fn chance(&self) -> u64 {
        let n = self.asked.get() + 1;
        self.asked.set(n);
        let mix = (n ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mix = (mix ^ (mix >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let chance = (mix >> 33) % 100;
        let late = if chance < self.straggle.get() { self.late } else { Duration::ZERO };
        sleep(self.reading + late).await;
        chance
    }

    fn search(&self, query: &str, k: usize, wrong: bool) -> Response {
        let terms: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        if terms.is_empty() || terms.len() > corpus::MAX_TERMS || query.len() > MAX_QUERY {
            let words = corpus::MAX_TERMS;
            return Response::text(
                400,
                format!("q has 1 to {words} words, {MAX_QUERY} bytes at most"),
            );
        }
        let (query, terms) = match wrong {
            true => ("the", vec!["the".to_owned()]),
            false => (query, terms),
        };
        let (hits, matches) = self.corpus.search(&terms, k);
        let hits: Vec<String> = hits
            .iter()
            .map(|h| {
                let title = json::string(&h.title);
                format!("{{\"doc\":{},\"score\":{},\"title\":{title}}}", h.doc, h.score)
            })
            .collect();
        Response::json(
            200,
            format!(
                "{{\"query\":{},\"k\":{k},\"shards\":{SHARDS},\"matches\":{matches},\"hits\":[{}]}}",
                json::string(query),
                hits.join(",")
            ),
        )
    }
}
