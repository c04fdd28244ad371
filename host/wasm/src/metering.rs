//! Fuel becomes virtual time.
//!
//! A program runs in no virtual time until it calls the host. Then, before the call takes
//! effect, exactly the fuel it has used since is paid from its CPU account. Between host calls
//! the engine makes it yield every so often; each yield pays one interval in advance, which the
//! next exact reading takes into account.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context as TaskContext, Poll};

use podlab_sim::cpu::{Account, Pay};
use wasmtime::{CallHook, CallHookHandler, Store, StoreContextMut};

use crate::host::Context;

/// What a host call costs beside the program's own work, in fuel: a system call is not free, and
/// a program that only polls must not stop time.
const HOST_CALL: u64 = 200;
/// The tank of a store, in fuel; never empty.
const TANK: u64 = u64::MAX / 2;

/// The meter of one program.
#[derive(Clone)]
pub struct Meter {
    account: Account,
    interval: u64,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Whether the program is inside a host call (or has not begun).
    in_host: AtomicBool,
    /// Fuel in the tank when it was read last.
    last: AtomicU64,
    /// Fuel paid in advance at yields.
    advance: AtomicU64,
    /// Fuel for what the host did in between, to be paid with the next call.
    owed: AtomicU64,
}

impl Meter {
    pub(crate) fn new(account: &Account, interval: u64) -> Meter {
        let shared = Shared { in_host: AtomicBool::new(true), ..Shared::default() };
        Meter { account: account.clone(), interval, shared: Arc::new(shared) }
    }

    /// Prepares `store` so that the program in it pays for what it does.
    pub(crate) fn attach(&self, store: &mut Store<Context>) -> wasmtime::Result<()> {
        store.set_fuel(TANK)?;
        store.fuel_async_yield_interval(Some(self.interval))?;
        self.shared.last.store(TANK, Relaxed);
        store.call_hook_async(Hook);
        Ok(())
    }

    /// Adds to what the next call pays.
    pub(crate) fn owe(&self, fuel: u64) {
        self.shared.owed.fetch_add(fuel, Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn owed(&self) -> u64 {
        self.shared.owed.load(Relaxed)
    }

    /// The fuel used since it was asked last and not paid yet.
    fn due(&self, store: &StoreContextMut<'_, Context>) -> wasmtime::Result<u64> {
        let now = store.get_fuel()?;
        let used = self.shared.last.load(Relaxed).saturating_sub(now);
        self.shared.last.store(now, Relaxed);
        let advance = self.shared.advance.load(Relaxed);
        let covered = advance.min(used);
        if covered > 0 {
            self.shared.advance.store(advance - covered, Relaxed);
        }
        let owed = self.shared.owed.load(Relaxed);
        if owed > 0 {
            self.shared.owed.store(0, Relaxed);
        }
        Ok(used - covered + owed)
    }

    /// Runs `program`, which must be a call into the store that this meter is attached to.
    pub(crate) fn run<F: Future>(&self, program: F) -> Metered<F> {
        Metered { program: Box::pin(program), meter: self.clone(), paying: None }
    }
}

struct Hook;

/// A future that is over, of no size, so that boxing it allocates nothing: almost every call is
/// paid at once.
struct Paid;

impl Future for Paid {
    type Output = wasmtime::Result<()>;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

/// Written out instead of with `async_trait`, which would allocate twice for each call to the
/// host: these run some millions of times a second.
impl CallHookHandler<Context> for Hook {
    fn handle_call_event<'this, 'store, 'out>(
        &'this self,
        store: StoreContextMut<'store, Context>,
        event: CallHook,
    ) -> Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + 'out>>
    where
        'this: 'out,
        'store: 'out,
    {
        let meter = &store.data().meter;
        match event {
            CallHook::CallingHost | CallHook::ReturningFromWasm => {
                meter.shared.in_host.store(true, Relaxed);
                let fuel = match meter.due(&store) {
                    Ok(due) => due + HOST_CALL,
                    Err(error) => return Box::pin(std::future::ready(Err(error))),
                };
                if let Err(ns) = meter.account.try_charge(fuel) {
                    let pay = meter.account.pay(ns);
                    return Box::pin(async {
                        pay.await;
                        Ok(())
                    });
                }
            }
            CallHook::ReturningFromHost | CallHook::CallingWasm => {
                meter.shared.in_host.store(false, Relaxed);
            }
        }
        Box::pin(Paid)
    }
}

/// See [`Meter::run`].
pub(crate) struct Metered<F> {
    program: Pin<Box<F>>,
    meter: Meter,
    paying: Option<Pin<Box<Pay>>>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        loop {
            if let Some(paying) = &mut this.paying {
                if paying.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.paying = None;
            }
            if let Poll::Ready(out) = this.program.as_mut().poll(cx) {
                return Poll::Ready(out);
            }
            if this.meter.shared.in_host.load(Relaxed) {
                return Poll::Pending;
            }
            // The program was stopped in the middle of its own code: the interval is used up.
            this.meter.shared.advance.fetch_add(this.meter.interval, Relaxed);
            if let Err(ns) = this.meter.account.try_charge(this.meter.interval) {
                this.paying = Some(Box::pin(this.meter.account.pay(ns)));
            } else {
                // The engine has woken this task already; going on at once would keep the
                // driver from ever getting control back.
                return Poll::Pending;
            }
        }
    }
}
