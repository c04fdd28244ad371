//! Programs with one well-known mistake each: `bugs NAME ROLE`. With VARIANT=wrong the mistake is in,
//! with VARIANT=right it is not; nothing else differs. `tests/bugs/` has a scenario for each, which the
//! right one passes and the wrong one fails.
//!
//! # Layout
//! One file for each mistake, named as its folder in `tests/bugs/`. [`service`]: servers and calls;
//! [`dice`]: chance; [`say`]: what checks read.

mod dice;
mod say;
mod service;

mod ack_before_work;
mod double_booking;
mod flush_late;
mod full_pipe;
mod kept_address;
mod leak;
mod log_position;
mod log_rotation;
mod lost_update;
mod no_fencing;
mod out_of_order;
mod retried_write;
mod retry_storm;
mod skewed_leader;
mod stale_cache;
mod stale_failover;
mod stops_at_once;
mod torn_journal;
mod torn_write;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::program;
use podlab_guest::runtime::Flag;

const SPEC: Spec = Spec {
    name: "bugs",
    version: env!("CARGO_PKG_VERSION"),
    about: "bugs NAME ROLE: a program that is right, or has one well-known mistake.",
    options: &[opt("variant", "NAME", "right", "right or wrong")],
};

/// What a program of a pod is told.
pub struct Part {
    /// Which program of the pod it is.
    pub role: String,
    /// Whether the mistake is in.
    pub wrong: bool,
    /// Raised when it is to end.
    pub stop: Flag,
}

/// How a program ends: with what was wrong, if anything.
pub type Ended = Result<(), String>;

type Play = fn(Part) -> Pin<Box<dyn Future<Output = Ended>>>;

const ALL: &[(&str, Play)] = &[
    ("ack-before-work", |part| Box::pin(ack_before_work::play(part))),
    ("double-booking", |part| Box::pin(double_booking::play(part))),
    ("flush-late", |part| Box::pin(flush_late::play(part))),
    ("full-pipe", |part| Box::pin(full_pipe::play(part))),
    ("kept-address", |part| Box::pin(kept_address::play(part))),
    ("leak", |part| Box::pin(leak::play(part))),
    ("log-position", |part| Box::pin(log_position::play(part))),
    ("log-rotation", |part| Box::pin(log_rotation::play(part))),
    ("lost-update", |part| Box::pin(lost_update::play(part))),
    ("no-fencing", |part| Box::pin(no_fencing::play(part))),
    ("out-of-order", |part| Box::pin(out_of_order::play(part))),
    ("retried-write", |part| Box::pin(retried_write::play(part))),
    ("retry-storm", |part| Box::pin(retry_storm::play(part))),
    ("skewed-leader", |part| Box::pin(skewed_leader::play(part))),
    ("stale-cache", |part| Box::pin(stale_cache::play(part))),
    ("stale-failover", |part| Box::pin(stale_failover::play(part))),
    ("stops-at-once", |part| Box::pin(stops_at_once::play(part))),
    ("torn-journal", |part| Box::pin(torn_journal::play(part))),
    ("torn-write", |part| Box::pin(torn_write::play(part))),
];

fn main() -> ExitCode {
    program::main(&SPEC, run)
}

async fn run(args: Args, stop: Flag) -> Ended {
    let wrong = match args.text("variant").as_str() {
        "right" => false,
        "wrong" => true,
        other => return Err(format!("VARIANT is {other:?}: it is right or wrong")),
    };
    let [name, role] = &args.rest[..] else { return Err("usage: bugs NAME ROLE".into()) };
    let Some((_, play)) = ALL.iter().find(|(n, _)| n == name) else {
        return Err(format!("there is no program {name:?}"));
    };
    play(Part { role: role.clone(), wrong, stop }).await
}

impl Part {
    /// Has nothing more to do, and stays: a container that ends would be started again.
    pub async fn rest(self) -> Ended {
        self.stop.wait().await;
        Ok(())
    }

    /// That there is no such role.
    pub fn unknown(&self) -> Ended {
        Err(format!("there is no role {:?}", self.role))
    }
}
