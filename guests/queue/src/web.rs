//! The HTTP API: publish, take, acknowledge.

use std::time::Duration;

use podlab_guest::amqp::method::Properties;
use podlab_guest::args::duration;
use podlab_guest::http::{Request, Response};
use podlab_guest::json;
use podlab_guest::runtime::{Either, Flag, race, sleep_until};

use crate::amqp;
use crate::broker::{Broker, Shared};
use crate::tasks::{Fate, MAX_KEY, MAX_TASK, Published, Task};

/// For how long a task can be taken, and a taker wait.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

type Answer = Result<Response, Response>;

fn refuse(status: u16, text: impl Into<String>) -> Response {
    Response::text(status, text)
}

/// Answers a request.
pub async fn answer(
    broker: &Shared,
    request: &Request,
    visibility: Duration,
    stop: &Flag,
) -> Response {
    let path: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let result = match (request.method.as_str(), path.as_slice()) {
        ("GET", ["healthz" | "readyz"]) => Ok(Response::text(200, "ok")),
        ("GET", ["stats"]) => Ok(Response::json(200, stats(&mut broker.borrow_mut()))),
        ("GET", ["metrics"]) => {
            let text = crate::figures::metrics(&mut broker.borrow_mut());
            Ok(Response::new(200, podlab_guest::exposition::TEXT, text))
        }
        (method, ["queues", name, rest @ ..]) => match plain(name) {
            Ok(()) => queue(broker, request, (method, name, rest), visibility, stop).await,
            Err(response) => Err(response),
        },
        ("POST", ["amqp", key]) => publish_amqp(&mut broker.borrow_mut(), request, key),
        _ => Err(missing()),
    };
    result.unwrap_or_else(|response| response)
}

fn missing() -> Response {
    refuse(
        404,
        "there are POST /amqp/KEY; POST /queues/NAME, /queues/NAME/take, /ack, /nack, /extend, /dead/revive; \
         GET /queues/NAME, /queues/NAME/dead, /stats, /metrics, /healthz, /readyz",
    )
}

fn plain(name: &str) -> Result<(), Response> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.len() <= 100 && name.chars().all(plain) {
        return Ok(());
    }
    Err(refuse(400, "a queue's name has letters, digits, '-', '_' and '.', at most 100"))
}

async fn queue(
    broker: &Shared,
    request: &Request,
    what: (&str, &str, &[&str]),
    visibility: Duration,
    stop: &Flag,
) -> Answer {
    let span = |name: &str, default: Duration| match request.parameter(name) {
        None => Ok(default),
        Some(text) => duration(&text).filter(|d| *d <= LONGEST).ok_or_else(|| {
            refuse(400, format!("{name} is a time such as 250ms or 30s, at most 12h"))
        }),
    };
    let receipt = || {
        let number = request.parameter("receipt").and_then(|r| r.parse::<u64>().ok());
        number.ok_or_else(|| refuse(400, "receipt is the number that came with the task"))
    };
    let gone = || refuse(410, "this receipt is no longer good: the task has come back, or is done");
    let (method, name, rest) = what;
    match (method, rest) {
        ("POST", []) => publish(&mut broker.borrow_mut(), request, name),
        ("GET", []) => {
            let mut broker = broker.borrow_mut();
            broker.settle();
            Ok(Response::json(200, crate::figures::queue(&broker, name)))
        }
        ("POST", ["take"]) => {
            let visibility = span("visibility", visibility)?;
            let wait = span("wait", Duration::ZERO)?;
            if visibility.is_zero() {
                return Err(refuse(400, "visibility is longer than nothing"));
            }
            match take(broker, name, visibility, wait, stop).await {
                Some((receipt, task)) => Ok(handed_out(receipt, task)),
                None => {
                    let mut broker = broker.borrow_mut();
                    broker.settle();
                    let queue = broker.tasks.queue(name);
                    let left = queue.map_or(0, |q| q.waiting() + q.taken());
                    Ok(Response::new(204, "text/plain", "").with("X-Left", left.to_string()))
                }
            }
        }
        ("POST", ["ack"]) => {
            let id = broker.borrow_mut().ack(name, receipt()?).ok_or_else(gone)?;
            Ok(Response::json(200, format!("{{\"id\":{id},\"state\":\"done\"}}")))
        }
        ("POST", ["nack"]) => {
            let counted = request.parameter("counted").as_deref() != Some("false");
            let reason = request.parameter("reason").unwrap_or_default();
            let delay = span("delay", Duration::ZERO)?;
            let receipt = receipt()?;
            let fate = broker.borrow_mut().nack(name, receipt, counted, &reason, delay);
            let (id, state) = match fate.ok_or_else(gone)? {
                Fate::Waits(id) => (id, "waiting"),
                Fate::Dead(id) => (id, "dead"),
            };
            Ok(Response::json(200, format!("{{\"id\":{id},\"state\":\"{state}\"}}")))
        }
        ("POST", ["extend"]) => {
            let visibility = span("visibility", visibility)?;
            let good = broker.borrow_mut().extend(name, receipt()?, visibility);
            if good { Ok(Response::json(200, "{\"state\":\"taken\"}")) } else { Err(gone()) }
        }
        ("GET", ["dead"]) => Ok(Response::json(200, crate::figures::dead(&broker.borrow(), name))),
        ("POST", ["dead", "revive"]) => {
            let n = broker.borrow_mut().revive(name);
            Ok(Response::json(200, format!("{{\"revived\":{n}}}")))
        }
        _ => Err(missing()),
    }
}

/// Publishes messages to an exchange, for who has no client of AMQP at hand.
fn publish_amqp(broker: &mut Broker, request: &Request, key: &str) -> Answer {
    let exchange = request.parameter("exchange").unwrap_or_default();
    let bodies: Vec<&[u8]> = match request.parameter("each").as_deref() {
        None => vec![&request.body],
        Some("line") => {
            request.body.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).collect()
        }
        Some(_) => return Err(refuse(400, "each is line, or is not there")),
    };
    if exchange.len() > MAX_KEY || key.len() > MAX_KEY || bodies.is_empty() {
        return Err(refuse(400, "an exchange, a key of at most 200 bytes, a message at least"));
    }
    if bodies.iter().any(|b| b.len() > MAX_TASK) {
        return Err(refuse(413, format!("a message has at most {MAX_TASK} bytes")));
    }
    let id = request.headers.get("idempotency-key").unwrap_or_default().to_owned();
    let mut properties = Properties { delivery_mode: Some(2), ..Properties::default() };
    let route = broker.amqp.route(&exchange, key);
    let targets = route.map_err(|r| refuse(r.code, r.full()))?.len();
    if targets == 0 {
        return Err(refuse(404, "NO_ROUTE - no queue wants this"));
    }
    let heads = 2 * (MAX_KEY + 32);
    let needed: usize = bodies.iter().map(|b| (b.len() + heads) * targets).sum();
    if needed > broker.room() {
        return Err(refuse(429, "there is no room").with("Retry-After", "1"));
    }
    let mut rejected = 0;
    for body in &bodies {
        let name = if id.is_empty() {
            format!("{key}-{}", broker.amqp.published() + 1)
        } else {
            id.clone()
        };
        properties.message_id = Some(name);
        let now = broker.now();
        let published = broker.amqp.publish(&exchange, key, &properties, body.to_vec(), now);
        if published.map_err(|r| refuse(400, r.full()))? == amqp::host::Published::Rejected {
            rejected += 1;
        }
    }
    if !broker.commit_amqp() {
        return Err(refuse(500, "the journal cannot be written"));
    }
    let taken = bodies.len() - rejected;
    Ok(Response::json(201, format!("{{\"published\":{taken},\"rejected\":{rejected}}}")))
}

fn publish(broker: &mut Broker, request: &Request, name: &str) -> Answer {
    let each = request.parameter("each");
    let key = request.headers.get("idempotency-key").filter(|k| !k.is_empty());
    let bodies: Vec<&[u8]> = match each.as_deref() {
        None => vec![&request.body],
        Some("line") => request.body.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect(),
        Some(_) => return Err(refuse(400, "each=line publishes each line; there is nothing else")),
    };
    if bodies.is_empty() {
        return Err(refuse(400, "there is no line in the body"));
    }
    if key.is_some() && each.is_some() {
        return Err(refuse(400, "Idempotency-Key is for one task, not for each line"));
    }
    if key.is_some_and(|k| k.len() > MAX_KEY) {
        return Err(refuse(400, format!("Idempotency-Key has at most {MAX_KEY} bytes")));
    }
    if bodies.iter().any(|b| b.len() > MAX_TASK) {
        return Err(refuse(413, format!("a task has at most {MAX_TASK} bytes")));
    }
    match broker.publish(name, &bodies, key) {
        Ok(Published::New(id)) => {
            Ok(Response::json(201, format!("{{\"id\":{id},\"count\":{}}}", bodies.len())))
        }
        Ok(Published::Known(id)) => {
            Ok(Response::json(200, format!("{{\"id\":{id},\"count\":0,\"known\":true}}")))
        }
        // Whoever publishes waits, instead of our memory growing.
        Ok(Published::Full) => {
            Err(refuse(429, "the queue is full: try again later").with("Retry-After", "1"))
        }
        Err(error) => Err(refuse(503, error)),
    }
}

async fn take(
    broker: &Shared,
    name: &str,
    visibility: Duration,
    wait: Duration,
    stop: &Flag,
) -> Option<(u64, Task)> {
    let end = {
        let broker = broker.borrow();
        broker.instant(broker.now().saturating_add(wait))
    };
    loop {
        let bell = {
            let mut broker = broker.borrow_mut();
            let taken = broker.take(name, visibility);
            if taken.is_some() {
                return taken;
            }
            broker.bell()
        };
        let over = race(sleep_until(end), stop.wait());
        if let Either::Second(_) = race(bell.wait(), over).await {
            return None;
        }
    }
}

fn handed_out(receipt: u64, task: Task) -> Response {
    Response::new(200, "application/octet-stream", task.body)
        .with("X-Receipt", receipt.to_string())
        .with("X-Task-Id", task.id.to_string())
        .with("X-Tries", task.tries.to_string())
        .with("Idempotency-Key", task.key)
}

fn stats(broker: &mut Broker) -> String {
    broker.settle();
    let queues: Vec<String> = broker
        .tasks
        .names()
        .map(|name| format!("{}:{}", json::string(name), crate::figures::queue(broker, name)))
        .collect();
    format!(
        "{{\"bytes\":{},\"limit\":{},\"lists\":{},\"queues\":{{{}}},\"amqp\":{}}}",
        broker.bytes(),
        broker.limit(),
        broker.lists.count(),
        queues.join(","),
        crate::figures::amqp(broker)
    )
}
