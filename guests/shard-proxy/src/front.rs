//! A client's connection: requests are taken as they come, answered beside each other, and their
//! answers go back in order.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use podlab_guest::log;
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{Either, Flag, race, timeout};

use crate::promise::all;

/// Requests of one client that are answered beside each other.
const BATCH: usize = 64;

/// What brings an answer. It sends its requests when it is polled first.
pub type Work = Pin<Box<dyn Future<Output = Vec<u8>>>>;

/// A piece of the input.
pub struct Step {
    /// Its length.
    pub used: usize,
    /// How many of the bytes that follow belong to it, too, and are to be dropped.
    pub skip: u64,
    /// What answers it.
    pub work: Option<Work>,
    /// The conversation is over after it.
    pub close: bool,
    /// It is wrong: why.
    pub refused: Option<String>,
}

impl Step {
    /// A request, and what answers it.
    pub fn request(used: usize, work: impl Future<Output = Vec<u8>> + 'static) -> Step {
        Step { used, skip: 0, work: Some(Box::pin(work)), close: false, refused: None }
    }

    /// A request that the proxy answers itself.
    pub fn answer(used: usize, bytes: Vec<u8>) -> Step {
        Step::request(used, std::future::ready(bytes))
    }
}

/// One protocol's side towards a client.
pub trait Front {
    /// Takes the first request of `input`; `None` if it is not all there.
    fn step(&mut self, input: &[u8]) -> Option<Step>;
}

/// Serves one client to its end. A request that has begun must be complete within `patience`.
pub async fn serve(
    stream: TcpStream,
    mut front: impl Front,
    client: u64,
    patience: Duration,
    stop: Flag,
) {
    let (mut input, mut skip, mut refused): (Vec<u8>, u64, u64) = (Vec::new(), 0, 0);
    loop {
        let (mut works, mut at, mut close, mut more) = (Vec::new(), 0, false, false);
        while works.len() < BATCH && !close {
            let dropped = skip.min((input.len() - at) as u64);
            skip -= dropped;
            at += dropped as usize;
            more = at == input.len();
            let Some(step) = (!more).then(|| front.step(&input[at..])).flatten() else {
                more = true;
                break;
            };
            at += step.used;
            (skip, close) = (step.skip, step.close);
            works.extend(step.work);
            if let Some(why) = step.refused {
                refused += 1;
                // One line a connection: who sends nothing else must not fill the log.
                if refused == 1 {
                    log::warn("bad-request", &[("client", &client), ("answer", &why)]);
                }
            }
        }
        input.drain(..at);
        if !works.is_empty() {
            let output = all(works).await.concat();
            let sent = timeout(patience, stream.write_all(&output)).await;
            if !matches!(sent, Some(Ok(()))) {
                return;
            }
        }
        if close || (stop.raised() && input.is_empty()) {
            return;
        }
        if !more {
            continue;
        }
        let read = stream.read(64 << 10);
        let got = if input.is_empty() && skip == 0 {
            match race(read, stop.wait()).await {
                Either::First(got) => Some(got),
                Either::Second(()) => return,
            }
        } else {
            timeout(patience, read).await
        };
        match got {
            Some(Ok(bytes)) if !bytes.is_empty() => input.extend(bytes),
            Some(_) => return,
            None => return log::warn("request-too-slow", &[("client", &client)]),
        }
    }
}
