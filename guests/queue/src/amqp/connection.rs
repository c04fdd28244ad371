//! A session on a socket: heartbeats, time-outs, and the end.

use std::time::{Duration, Instant};

use podlab_guest::log;
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{Either, Flag, race, sleep_until, timeout};

use super::session::{Session, Step};
use super::{Refusal, code};
use crate::broker::Shared;

/// How long a client may take to accept what is sent to it.
const SEND: Duration = Duration::from_secs(15);
/// How long a client may take to say that it has heard of the end.
const GOODBYE: Duration = Duration::from_secs(2);
/// Bytes that have come and are not taken in yet. A frame and a half.
const MAX_INPUT: usize = 48 << 10;

/// One connection, to its end. What a client begins (a log-in, a frame, a message) must be here as a
/// whole within `patience`.
pub async fn converse(
    stream: TcpStream,
    broker: Shared,
    login: String,
    patience: Duration,
    stop: Flag,
) {
    let (id, mut session) = {
        let broker = &mut broker.borrow_mut();
        broker.clients += 1;
        let id = broker.clients;
        (id, Session::new(id, &login, broker))
    };
    talk(&stream, &broker, &mut session, id, patience, &stop).await;
    session.leave(&mut broker.borrow_mut());
}

async fn talk(
    stream: &TcpStream,
    broker: &Shared,
    session: &mut Session,
    id: u64,
    patience: Duration,
    stop: &Flag,
) {
    let mut input: Vec<u8> = Vec::new();
    let (mut heard, mut said) = (Instant::now(), Instant::now());
    // Since when something is unfinished; when an end that was announced is one.
    let (mut begun, mut goodbye): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        let step = session.feed(&mut broker.borrow_mut(), &mut input);
        if !session.out.is_empty() {
            let out = std::mem::take(&mut session.out);
            if !matches!(timeout(SEND, stream.write_all(&out)).await, Some(Ok(()))) {
                log::warn("amqp-client-lost", &[("client", &id)]);
                return;
            }
            said = Instant::now();
            let broker = &mut broker.borrow_mut();
            let now = broker.now();
            broker.amqp.sent(id, now);
            broker.commit_amqp();
        }
        if step == Step::End {
            return;
        }
        let blocked = step == Step::Blocked;
        let (bell, roomy) = {
            let broker = broker.borrow();
            if broker.amqp.waiting(id) || !blocked && session.pending(&input) {
                continue;
            }
            (broker.amqp.bell(id), broker.roomy())
        };
        begun = if blocked || goodbye.is_some() || !session.unfinished() && input.is_empty() {
            None
        } else {
            begun.or_else(|| Some(Instant::now()))
        };
        let beat = Duration::from_secs(session.heartbeat.into());
        let beats = !beat.is_zero();
        let speak = beats.then(|| said + beat / 2);
        let silent = (beats && !blocked).then(|| heard + 2 * beat);
        let late = begun.map(|at| at + patience);
        let next = [speak, silent, late, goodbye].into_iter().flatten().min();
        let clock = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let read = async {
            if input.len() < MAX_INPUT {
                stream.read(16 << 10).await
            } else {
                std::future::pending().await
            }
        };
        let room =
            async { if blocked { roomy.wait().await } else { std::future::pending().await } };
        let end = async {
            if goodbye.is_none() { stop.wait().await } else { std::future::pending().await }
        };
        match race(race(read, race(bell.wait(), room)), race(clock, end)).await {
            Either::First(Either::First(Ok(bytes))) if !bytes.is_empty() => {
                heard = Instant::now();
                input.extend(bytes);
            }
            Either::First(Either::First(_)) => return,
            Either::First(Either::Second(_)) => {}
            Either::Second(Either::First(())) => {
                let now = Instant::now();
                let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
                if over(goodbye) {
                    return;
                }
                if over(silent) {
                    log::warn("amqp-heartbeat-missed", &[("client", &id)]);
                    return;
                }
                if over(late) {
                    log::warn("request-too-slow", &[("client", &id)]);
                    return;
                }
                if over(speak) {
                    session.beat();
                }
            }
            Either::Second(Either::Second(())) => {
                goodbye = Some(Instant::now() + GOODBYE);
                let text = "broker forced connection closure with reason 'shutdown'";
                let refusal = Refusal::new(code::CONNECTION_FORCED, text);
                session.fail(&mut broker.borrow_mut(), &refusal, (0, 0));
            }
        }
    }
}
