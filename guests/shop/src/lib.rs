//! A shop's catalogue: products from a slow database, kept in a cache.
//!
//! It knows one address of a cache, on its own host. How many caches there are behind it is none of
//! its business, unless `--modulo` makes it so.

mod shards;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::memcached::{self as mc, Reply, Verb};
use podlab_guest::runtime::{Flag, sleep};
use podlab_guest::{log, program};

use shards::Cache;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "shop",
    version: env!("CARGO_PKG_VERSION"),
    about: "A catalogue over HTTP: products of a slow database, kept in a cache.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("cache", "ADDR", "localhost:11211", "the cache"),
        opt("modulo", "NAME", "", "instead: shards at the addresses of NAME:PORT, by key % n"),
        opt("cache-timeout", "TIME", "1s", "how long the cache may take"),
        opt("db-delay", "TIME", "20ms", "how long the database takes for a product"),
        opt("products", "N", "1000", "how many products there are"),
        opt("ttl", "SECONDS", "600", "how long the cache keeps a product"),
    ],
};

struct Shop {
    cache: Cache,
    delay: Duration,
    products: u64,
    ttl: i64,
    hits: Cell<u64>,
    misses: Cell<u64>,
    errors: Cell<u64>,
    visitors: Cell<u64>,
}

/// Products of one page of the catalogue.
const PAGE: u64 = 500;

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let limit = args.duration("cache-timeout")?;
    let cache = match args.text("modulo").as_str() {
        "" => Cache::one(&args.text("cache"), limit)?,
        name => Cache::modulo(name, limit)?,
    };
    let shop = Rc::new(Shop {
        cache,
        delay: args.duration("db-delay")?,
        products: args.number::<u64>("products")?.max(1),
        ttl: args.number("ttl")?,
        hits: Cell::new(0),
        misses: Cell::new(0),
        errors: Cell::new(0),
        visitors: Cell::new(0),
    });
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let shop = shop.clone();
        Box::pin(async move { shop.answer(&request).await })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

fn add(cell: &Cell<u64>, n: u64) {
    cell.set(cell.get() + n);
}

impl Shop {
    async fn answer(&self, request: &Request) -> Response {
        if request.method != "GET" {
            return Response::text(405, "only GET").with("Allow", "GET");
        }
        let number = |name: &str| request.parameter(name).and_then(|n| n.parse::<u64>().ok());
        match request.path.as_str() {
            "/healthz" | "/readyz" => Response::text(200, "ok"),
            "/stats" => Response::json(
                200,
                format!(
                    "{{\"hits\":{},\"misses\":{},\"errors\":{},\"databaseReads\":{}}}",
                    self.hits.get(),
                    self.misses.get(),
                    self.errors.get(),
                    self.misses.get() + self.errors.get()
                ),
            ),
            "/catalogue" => {
                let from = number("from").unwrap_or(0);
                let n = number("n").unwrap_or(20);
                if n == 0 || n > PAGE || from + n > self.products {
                    let most = format!("n is 1 to {PAGE}; there are {} products", self.products);
                    return Response::text(400, most);
                }
                self.catalogue(from, n).await
            }
            // Visitors look at products in an order that looks like chance and is not.
            "/browse" => {
                add(&self.visitors, 1);
                let n = self.visitors.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                self.product(n % self.products).await
            }
            path => match path.strip_prefix("/product/").map(str::parse::<u64>) {
                Some(Ok(id)) if id < self.products => self.product(id).await,
                Some(_) => Response::text(404, "there is no such product"),
                None => Response::text(
                    404,
                    "there are /product/N, /browse, /catalogue?from=&n=, /stats, /healthz",
                ),
            },
        }
    }

    /// Cache-aside: look there first; on a miss read the database and leave a copy.
    async fn product(&self, id: u64) -> Response {
        let key = format!("product:{id}").into_bytes();
        let found = self.cache.ask(&mc::Request::new(Verb::Get, vec![key.clone()])).await;
        let (text, from) = match found {
            Ok(Reply::Items(items)) if !items.is_empty() => {
                add(&self.hits, 1);
                (String::from_utf8_lossy(&items[0].data).into_owned(), "cache")
            }
            found => {
                self.missed(1, found.as_ref().err().cloned().or_else(|| refusal(&found)));
                let text = self.database(id).await;
                self.keep(key, &text).await;
                (text, "database")
            }
        };
        Response::json(200, text).with("X-From", from)
    }

    /// Many products at once, with what came from where.
    async fn catalogue(&self, from: u64, n: u64) -> Response {
        let keys = (from..from + n).map(|id| format!("product:{id}").into_bytes()).collect();
        let found = self.cache.ask(&mc::Request::new(Verb::Get, keys)).await;
        let items = match &found {
            Ok(Reply::Items(items)) => items.as_slice(),
            _ => &[],
        };
        let mut missing = Vec::new();
        for id in from..from + n {
            let key = format!("product:{id}").into_bytes();
            if !items.iter().any(|i| i.key == key) {
                missing.push((id, key));
            }
        }
        let (hits, misses) = (items.len() as u64, missing.len() as u64);
        add(&self.hits, hits);
        if misses > 0 {
            self.missed(misses, found.as_ref().err().cloned().or_else(|| refusal(&found)));
        }
        for (id, key) in missing {
            // A batch is cheaper for the database than one by one: no delay for each.
            self.keep(key, &text_of(id)).await;
        }
        Response::json(200, format!("{{\"products\":{n},\"hits\":{hits},\"misses\":{misses}}}"))
    }

    fn missed(&self, n: u64, error: Option<String>) {
        match error {
            None => add(&self.misses, n),
            Some(error) => {
                add(&self.errors, n);
                log::warn("cache-failed", &[("error", &error)]);
            }
        }
    }

    async fn database(&self, id: u64) -> String {
        sleep(self.delay).await;
        text_of(id)
    }

    /// A cache that does not take it costs a read of the database later, nothing else.
    async fn keep(&self, key: Vec<u8>, text: &str) {
        let request = mc::Request::set(&key, text.as_bytes(), self.ttl);
        if let Some(error) = self.cache.ask(&request).await.map_or_else(Some, |r| refusal(&Ok(r))) {
            log::warn("cache-failed", &[("error", &error)]);
        }
    }
}

/// What the cache says when it cannot.
fn refusal(reply: &Result<Reply, String>) -> Option<String> {
    match reply {
        Ok(reply @ Reply::Line(line)) if reply.is_error() => Some(line.clone()),
        _ => None,
    }
}

fn text_of(id: u64) -> String {
    let price = 100 + id * 7919 % 9900;
    format!("{{\"id\":{id},\"name\":\"product {id}\",\"cents\":{price}}}")
}
