//! Asking many at once, and not waiting for ever: time-outs, second requests, a budget for them.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::http::{Client, Url};
use podlab_guest::log;
use podlab_guest::runtime::{Either, race, sleep, timeout};
use serde_json::Value;

/// Connections kept to one address.
const IDLE: usize = 16;
/// Bytes of an answer: hits and words of one part take far less, and two hundred may answer at once.
const MAX_ANSWER: usize = 1 << 20;

/// Who is asked for one part: a leaf, or a root of more leaves.
pub struct Child {
    /// What it is called when it is missing.
    pub name: String,
    /// Replicas: any of them will do.
    replicas: Vec<Replica>,
    /// How many shards are behind it, for when it does not say.
    pub weight: u64,
    turn: Cell<usize>,
}

struct Replica {
    url: Url,
    idle: RefCell<Vec<Client>>,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// First requests.
    pub sent: u64,
    /// Second requests because the first took long.
    pub hedges: u64,
    /// Of those, the ones that answered first.
    pub hedges_won: u64,
    /// Second requests because the first failed.
    pub failovers: u64,
    /// Requests without an answer in time.
    pub missing: u64,
    /// Answers that were none.
    pub wrong: u64,
}

/// How children are asked.
pub struct Manner {
    /// After how long a second request is sent; zero for never.
    pub hedge_after: Duration,
    /// How many second requests a hundred first ones may have.
    pub hedge_budget: u64,
    /// How often what happened.
    pub counters: Cell<Counters>,
}

impl Manner {
    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }
}

impl Child {
    /// Reads `http://a:8080`, `http://a0:8080|http://a1:8080` (replicas), `http://root:8080*4`.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn parse(text: &str) -> Result<Child, String> {
        let (urls, weight) = match text.rsplit_once('*') {
            Some((urls, weight)) => {
                let weight = weight.parse().ok().filter(|w| (1..=1000).contains(w));
                (urls, weight.ok_or_else(|| format!("{text}: a weight is 1 to 1000"))?)
            }
            None => (text, 1),
        };
        let mut replicas = Vec::new();
        for url in urls.split('|') {
            replicas.push(Replica { url: Url::parse(url.trim())?, idle: RefCell::default() });
        }
        let name = replicas[0].url.host.clone();
        Ok(Child { name, replicas, weight, turn: Cell::new(0) })
    }

    /// Asks for `target`, once or twice, until `deadline`. An answer counts if `check` takes it.
    pub async fn ask(
        &self,
        manner: &Manner,
        target: &str,
        deadline: Instant,
        check: impl Fn(&Value) -> Result<(), String>,
    ) -> Option<Value> {
        manner.count(|c| c.sent += 1);
        let first = self.turn.replace(self.turn.get() + 1);
        let attempt = |n: usize| self.once(manner, n, target, deadline, &check);
        let both = async {
            let mut one = std::pin::pin!(attempt(first));
            let late = async {
                match manner.hedge_after.is_zero() {
                    true => std::future::pending().await,
                    false => sleep(manner.hedge_after).await,
                }
            };
            match race(one.as_mut(), late).await {
                Either::First(Some(answer)) => Some(answer),
                Either::First(None) if self.replicas.len() > 1 => {
                    manner.count(|c| c.failovers += 1);
                    attempt(first + 1).await
                }
                Either::First(None) => None,
                Either::Second(()) => {
                    let c = manner.counters.get();
                    if c.hedges * 100 >= c.sent * manner.hedge_budget {
                        return one.await;
                    }
                    manner.count(|c| c.hedges += 1);
                    match first_some(one, attempt(first + 1)).await {
                        Some((answer, second)) => {
                            manner.count(|c| c.hedges_won += u64::from(second));
                            Some(answer)
                        }
                        None => None,
                    }
                }
            }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = timeout(left, both).await.flatten();
        if answer.is_none() {
            manner.count(|c| c.missing += 1);
        }
        answer
    }

    async fn once(
        &self,
        manner: &Manner,
        n: usize,
        target: &str,
        deadline: Instant,
        check: &impl Fn(&Value) -> Result<(), String>,
    ) -> Option<Value> {
        let replica = &self.replicas[n % self.replicas.len()];
        let left = deadline.saturating_duration_since(Instant::now());
        let kept = replica.idle.borrow_mut().pop();
        // The deadline above bounds it; this bound is for who is left alone.
        let new = || Client::new("scatter-root", Duration::from_secs(60)).largest(MAX_ANSWER);
        let mut client = kept.unwrap_or_else(new);
        // What is behind must give up a little earlier, to tell what it has.
        let told = (left.as_millis() as u64 * 9 / 10).to_string();
        let url = replica.url.at(target);
        let reply = client.send("GET", &url, &[("X-Deadline-Ms", &told)], &[]).await;
        let wrong = |why: &str| {
            manner.count(|c| c.wrong += 1);
            log::warn("wrong-answer", &[("from", &replica.url.host), ("error", &why)]);
            None
        };
        match reply {
            Ok(reply) => {
                if replica.idle.borrow().len() < IDLE {
                    replica.idle.borrow_mut().push(client);
                }
                match serde_json::from_slice::<Value>(&reply.body) {
                    _ if reply.status == 503 => None,
                    _ if reply.status != 200 => wrong(&format!("status {}", reply.status)),
                    Err(error) => wrong(&error.to_string()),
                    Ok(value) => match check(&value) {
                        Ok(()) => Some(value),
                        Err(error) => wrong(&error),
                    },
                }
            }
            // What is no HTTP is worth a line; who is away, or closes, is counted as missing.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                wrong(&error.to_string())
            }
            Err(_) => None,
        }
    }
}

/// The first answer of two, and whether it is the second's; nothing if neither has one.
async fn first_some<T>(
    mut one: std::pin::Pin<&mut impl Future<Output = Option<T>>>,
    two: impl Future<Output = Option<T>>,
) -> Option<(T, bool)> {
    let mut two = std::pin::pin!(two);
    match race(one.as_mut(), two.as_mut()).await {
        Either::First(Some(answer)) => Some((answer, false)),
        Either::First(None) => two.await.map(|answer| (answer, true)),
        Either::Second(Some(answer)) => Some((answer, true)),
        Either::Second(None) => one.await.map(|answer| (answer, false)),
    }
}

/// Asks all of them beside each other; their answers in order.
pub async fn scatter<F>(asked: Vec<F>) -> Vec<Option<Value>>
where
    F: Future<Output = Option<Value>>,
{
    let mut asked: Vec<_> = asked.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(move |cx| {
        let mut waiting = false;
        for (future, answer) in &mut asked {
            if answer.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(done) => *answer = Some(done),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        match waiting {
            true => std::task::Poll::Pending,
            false => {
                std::task::Poll::Ready(asked.iter_mut().filter_map(|(_, a)| a.take()).collect())
            }
        }
    })
    .await
}

/// All children.
pub type Children = Rc<Vec<Child>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children() {
        let child = Child::parse("http://a0:8080|http://a1:8080").unwrap();
        assert_eq!((child.name.as_str(), child.replicas.len(), child.weight), ("a0", 2, 1));
        assert_eq!(Child::parse("http://root:8080*4").unwrap().weight, 4);
        assert!(Child::parse("http://root:8080*0").is_err() && Child::parse("ftp://x").is_err());
    }
}
