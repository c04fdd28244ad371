//! The broker over HTTP: a task is kept for as long as it is asked for.

use std::io;
use std::time::Duration;

use podlab_guest::http::{Client, Reply, Url};

use crate::broker::{Taken, Task};

/// A queue of a broker over HTTP.
pub struct Http {
    limit: Duration,
    url: Url,
    queue: String,
    visibility: Duration,
}

impl Http {
    /// A queue of the broker at `url`.
    pub fn new(url: Url, queue: &str, visibility: Duration, limit: Duration) -> Http {
        Http { limit, url, queue: queue.to_owned(), visibility }
    }

    async fn post(&self, target: String, key: &str, body: &[u8]) -> Result<Reply, String> {
        let fields = [("Idempotency-Key", key)];
        let fields = if key.is_empty() { &[][..] } else { &fields[..] };
        let mut client = Client::new("queue-worker", self.limit).keep(false);
        let sent = client.send("POST", &self.url.at(target), fields, body).await;
        sent.map_err(|e: io::Error| e.to_string())
    }

    /// Asks for a task, and waits for one.
    ///
    /// # Errors
    /// What the broker said, or why it said nothing.
    pub async fn take(&self, wait: Duration) -> Result<Taken, String> {
        let (visibility, wait) = (self.visibility.as_millis(), wait.as_millis());
        let queue = &self.queue;
        let target = format!("/queues/{queue}/take?visibility={visibility}ms&wait={wait}ms");
        let reply = self.post(target, "", b"").await?;
        let field = |name: &str| reply.headers.get(name).unwrap_or_default().to_owned();
        match reply.status {
            200 => Ok(Taken::Task(Task {
                id: field("x-task-id"),
                receipt: field("x-receipt"),
                key: field("idempotency-key"),
                tries: field("x-tries"),
                body: reply.body,
            })),
            204 => Ok(Taken::None(field("x-left").parse().unwrap_or(1))),
            status => Err(format!("the broker answered {status}")),
        }
    }

    /// Keeps a task. False if it is no longer ours.
    ///
    /// # Errors
    /// As [`Http::take`].
    pub async fn extend(&self, receipt: &str) -> Result<bool, String> {
        let visibility = self.visibility.as_millis();
        self.about("extend", &format!("receipt={receipt}&visibility={visibility}ms")).await
    }

    /// The task is done. False if it is no longer ours.
    ///
    /// # Errors
    /// As [`Http::take`].
    pub async fn ack(&self, receipt: &str) -> Result<bool, String> {
        self.about("ack", &format!("receipt={receipt}")).await
    }

    /// The task failed, or is given back.
    ///
    /// # Errors
    /// As [`Http::take`].
    pub async fn nack(
        &self,
        receipt: &str,
        counted: bool,
        reason: &str,
        delay: Duration,
    ) -> Result<bool, String> {
        let (reason, delay) = (encoded(reason), delay.as_millis());
        let query = format!("receipt={receipt}&counted={counted}&reason={reason}&delay={delay}ms");
        self.about("nack", &query).await
    }

    async fn about(&self, what: &str, query: &str) -> Result<bool, String> {
        let target = format!("/queues/{}/{what}?{query}", self.queue);
        match self.post(target, "", b"").await?.status {
            200 => Ok(true),
            410 => Ok(false),
            status => Err(format!("the broker answered {status}")),
        }
    }

    /// Publishes a result under a key (none if it is empty).
    ///
    /// # Errors
    /// As [`Http::take`].
    pub async fn publish(&self, queue: &str, key: &str, body: &[u8]) -> Result<(), String> {
        match self.post(format!("/queues/{queue}"), key, body).await?.status {
            200 | 201 => Ok(()),
            status => Err(format!("the broker answered {status} to a result")),
        }
    }
}

/// A text as a value in a query, cut to a sensible length.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for b in text.chars().take(200).collect::<String>().bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(b as char),
            b' ' => out.push('+'),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn reasons_survive_a_query() {
        assert_eq!(super::encoded("no: é&"), "no%3A+%C3%A9%26");
    }
}
