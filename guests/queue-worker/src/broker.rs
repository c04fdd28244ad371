//! The broker as a worker sees it, whatever it speaks.

use std::time::Duration;

use crate::amqp::Amqp;
use crate::http::Http;

/// A task that was handed out.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its number.
    pub id: String,
    /// Its receipt.
    pub receipt: String,
    /// Its key.
    pub key: String,
    /// How often it was handed out.
    pub tries: String,
    /// What is to be done.
    pub body: Vec<u8>,
}

/// What asking for a task led to.
#[derive(Debug)]
pub enum Taken {
    /// One.
    Task(Task),
    /// There was none; so many are not done yet.
    None(u64),
}

/// A queue of a broker.
pub enum Broker {
    /// Over HTTP.
    Http(Http),
    /// Over AMQP.
    Amqp(Amqp),
}

impl Broker {
    /// Asks for a task, and waits for one.
    ///
    /// # Errors
    /// What the broker said, or why it said nothing.
    pub async fn take(&self, wait: Duration) -> Result<Taken, String> {
        match self {
            Broker::Http(http) => http.take(wait).await,
            Broker::Amqp(amqp) => amqp.take(wait).await,
        }
    }

    /// Keeps a task. False if it is no longer ours.
    ///
    /// # Errors
    /// As [`Broker::take`].
    pub async fn extend(&self, receipt: &str) -> Result<bool, String> {
        match self {
            Broker::Http(http) => http.extend(receipt).await,
            Broker::Amqp(amqp) => Ok(amqp.keeps(receipt)),
        }
    }

    /// The task is done. False if it is no longer ours.
    ///
    /// # Errors
    /// As [`Broker::take`].
    pub async fn ack(&self, receipt: &str) -> Result<bool, String> {
        match self {
            Broker::Http(http) => http.ack(receipt).await,
            Broker::Amqp(amqp) => amqp.ack(receipt).await,
        }
    }

    /// The task failed, or is given back.
    ///
    /// # Errors
    /// As [`Broker::take`].
    pub async fn nack(
        &self,
        receipt: &str,
        counted: bool,
        reason: &str,
        delay: Duration,
    ) -> Result<bool, String> {
        match self {
            Broker::Http(http) => http.nack(receipt, counted, reason, delay).await,
            Broker::Amqp(amqp) => amqp.nack(receipt, counted, delay).await,
        }
    }

    /// Publishes a result under a key (none if it is empty).
    ///
    /// # Errors
    /// As [`Broker::take`].
    pub async fn publish(&self, queue: &str, key: &str, body: &[u8]) -> Result<(), String> {
        match self {
            Broker::Http(http) => http.publish(queue, key, body).await,
            Broker::Amqp(amqp) => amqp.publish(queue, key, body).await,
        }
    }
}
