//! `wasi:clocks` over virtual time.

use std::pin::Pin;

use podlab_sim::Time;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable};

use super::{View, handles};
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};

/// Waits for an instant.
struct Deadline {
    sim: podlab_sim::Handle,
    at: Time,
    /// Kept between polls, so that waiting again does not set another timer.
    sleep: Option<Pin<Box<podlab_sim::Sleep>>>,
}

#[async_trait::async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        if self.at <= self.sim.now() {
            return;
        }
        let (sim, at) = (&self.sim, self.at);
        self.sleep.get_or_insert_with(|| Box::pin(sim.sleep_until(at))).await;
        self.sleep = None;
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.sim.now().as_nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let deadline = Deadline { sim: self.sim.clone(), at: Time(when), sleep: None };
        let deadline = self.table.push(deadline).map_err(handles)?;
        wasmtime_wasi::p2::subscribe(self.table, deadline)
    }

    fn subscribe_duration(&mut self, span: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let when = self.sim.now().as_nanos().saturating_add(span);
        self.subscribe_instant(when)
    }
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let ns = self.sim.unix_nanos().saturating_add_signed(self.skew);
        Ok(wall_clock::Datetime {
            seconds: ns / 1_000_000_000,
            nanoseconds: (ns % 1_000_000_000) as u32,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}
