//! `wasi:io/poll`: waiting for several things at once, paid for by their number.

use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::{Host, HostPollable};

use super::Context;
use crate::metering::Meter;

/// What one entry of a list costs, in fuel: each is looked at on every wake, so a program must
/// not have thousands looked at for the price of one call.
const ENTRY: u64 = 50;

/// What the functions of the interface need.
pub struct Polls<'a> {
    table: &'a mut ResourceTable,
    meter: &'a Meter,
}

/// Names [`Polls`] for the generated code.
pub struct Polling;

impl HasData for Polling {
    type Data<'a> = Polls<'a>;
}

/// The part of a context that polls.
pub fn polls(context: &mut Context) -> Polls<'_> {
    Polls { table: &mut context.table, meter: &context.meter }
}

impl Host for Polls<'_> {
    async fn poll(&mut self, list: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        self.meter.owe(list.len() as u64 * ENTRY);
        self.table.poll(list).await
    }
}

impl HostPollable for Polls<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        self.table.ready(pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        self.table.block(pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        HostPollable::drop(self.table, pollable)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use podlab_sim::Sim;
    use podlab_sim::cpu::Cpu;
    use wasmtime_wasi::p2::{Pollable, subscribe};

    use super::*;

    struct Ready;

    #[async_trait::async_trait]
    impl Pollable for Ready {
        async fn ready(&mut self) {}
    }

    #[test]
    fn a_list_is_paid_for_by_its_length() {
        let sim = Sim::new(1, 0);
        let meter = Meter::new(&Cpu::new(&sim.handle(), 1, 1_000_000).account(1, None), 1000);
        let mut table = ResourceTable::new();
        let ready = table.push(Ready).unwrap();
        let pollable = subscribe(&mut table, ready).unwrap();
        let list = (0..10_000).map(|_| Resource::new_borrow(pollable.rep())).collect();
        let mut polls = Polls { table: &mut table, meter: &meter };
        let polled = pin!(polls.poll(list)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(indices)) = polled else { panic!("it was ready") };
        assert_eq!(indices.len(), 10_000);
        assert_eq!(meter.owed(), 10_000 * ENTRY);
    }
}
