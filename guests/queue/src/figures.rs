//! What a broker says of itself: JSON for people and programs, metrics for monitors.

use std::collections::BTreeMap;

use podlab_guest::exposition::{self, Family, Kind, Sample};
use podlab_guest::json;

use crate::broker::Broker;
use crate::tasks::{Counters, Queue};

/// Bytes of a dead task's body that are shown.
const SHOWN: usize = 200;

/// A queue in figures; one that was never used is empty.
pub fn queue(broker: &Broker, name: &str) -> String {
    let queue = broker.tasks.queue(name);
    let c = queue.map_or_else(Counters::default, |q| q.counters);
    let count = |f: fn(&Queue) -> usize| queue.map_or(0, f);
    format!(
        "{{\"waiting\":{},\"taken\":{},\"dead\":{},\"published\":{},\"duplicates\":{},\
         \"refused\":{},\"delivered\":{},\"done\":{},\"expired\":{},\"returned\":{}}}",
        count(Queue::waiting),
        count(Queue::taken),
        count(|q| q.dead().len()),
        c.published,
        c.duplicates,
        c.refused,
        c.delivered,
        c.done,
        c.expired,
        c.returned
    )
}

/// The queues of AMQP in figures.
pub fn amqp(broker: &Broker) -> String {
    let queues = broker.amqp.queues().map(|(name, queue)| {
        let c = queue.counters;
        format!(
            "{}:{{\"ready\":{},\"unacked\":{},\"consumers\":{},\"published\":{},\"delivered\":{},\
             \"acknowledged\":{},\"requeued\":{},\"dead\":{}}}",
            json::string(name),
            queue.ready.len(),
            queue.unacked,
            queue.consumers.len(),
            c.published,
            c.delivered,
            c.acknowledged,
            c.requeued,
            c.dead
        )
    });
    format!("{{{}}}", queues.collect::<Vec<_>>().join(","))
}

/// The dead of a queue, the oldest first.
pub fn dead(broker: &Broker, name: &str) -> String {
    let dead = broker.tasks.queue(name).map(Queue::dead).into_iter().flatten();
    let dead = dead.map(|task| {
        let body = &task.body[..task.body.len().min(SHOWN)];
        format!(
            "{{\"id\":{},\"key\":{},\"tries\":{},\"reason\":{},\"body\":{}}}",
            task.id,
            json::string(&task.key),
            task.tries,
            json::string(&task.reason),
            json::string(&String::from_utf8_lossy(body))
        )
    });
    format!("[{}]", dead.collect::<Vec<_>>().join(","))
}

/// All queues as metrics.
pub fn metrics(broker: &mut Broker) -> String {
    broker.settle();
    type Read = fn(&Queue) -> u64;
    let each: [(&str, Kind, &str, Read); 7] = [
        ("queue_waiting", Kind::Gauge, "Tasks that wait", |q| q.waiting() as u64),
        ("queue_taken", Kind::Gauge, "Tasks that somebody works on", |q| q.taken() as u64),
        ("queue_dead", Kind::Gauge, "Tasks tried often enough", |q| q.dead().len() as u64),
        ("queue_published_total", Kind::Counter, "Tasks taken in", |q| q.counters.published),
        ("queue_done_total", Kind::Counter, "Tasks acknowledged", |q| q.counters.done),
        ("queue_expired_total", Kind::Counter, "Tasks not acknowledged in time", |q| {
            q.counters.expired
        }),
        ("queue_refused_total", Kind::Counter, "Tasks without room", |q| q.counters.refused),
    ];
    let family = |name: &str, kind, help: &str, samples| Family {
        name: name.to_owned(),
        kind,
        help: help.to_owned(),
        samples,
    };
    let mut families = Vec::new();
    for (name, kind, help, read) in each {
        let samples = broker.tasks.names().filter_map(|queue| {
            let labels = BTreeMap::from([("queue".to_owned(), queue.to_owned())]);
            let value = read(broker.tasks.queue(queue)?) as f64;
            Some(Sample { name: name.to_owned(), labels, value })
        });
        families.push(family(name, kind, help, samples.collect()));
    }
    type ReadAmqp = fn(&crate::amqp::Queue) -> u64;
    let each: [(&str, Kind, &str, ReadAmqp); 4] = [
        ("queue_amqp_ready", Kind::Gauge, "Messages that wait", |q| q.ready.len() as u64),
        ("queue_amqp_unacked", Kind::Gauge, "Messages handed out", |q| q.unacked as u64),
        ("queue_amqp_published_total", Kind::Counter, "Messages that came in", |q| {
            q.counters.published
        }),
        ("queue_amqp_dead_total", Kind::Counter, "Messages nobody wanted", |q| q.counters.dead),
    ];
    for (name, kind, help, read) in each {
        let sample = |(queue, q): (&str, &crate::amqp::Queue)| {
            let labels = BTreeMap::from([("queue".to_owned(), queue.to_owned())]);
            Sample { name: name.to_owned(), labels, value: read(q) as f64 }
        };
        families.push(family(name, kind, help, broker.amqp.queues().map(sample).collect()));
    }
    let bytes = Sample {
        name: "queue_bytes".into(),
        labels: BTreeMap::new(),
        value: broker.bytes() as f64,
    };
    families.push(family(
        "queue_bytes",
        Kind::Gauge,
        "Bytes of tasks, lists and messages",
        vec![bytes],
    ));
    exposition::write(&families, false)
}
