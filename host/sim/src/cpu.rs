//! Virtual processors.
//!
//! A program runs in no virtual time until it touches its world; then it pays for what it
//! computed, before the touch takes effect. Paying means holding one of the node's cores for as
//! long as the work takes: with more programs than cores they take turns, in proportion to their
//! weights (as CFS does: the least virtual runtime goes first). A limit is a quota a period, as
//! `cpu.cfs_quota_us` is. Idle capacity is everyone's.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::executor::{Handle, Sleep};
use crate::time::Time;

/// The period over which a limit is enforced (Linux `cpu.cfs_period_us`, Kubernetes' default).
pub const PERIOD: Duration = Duration::from_millis(100);
/// The longest a program computes before others get their turn.
pub const QUANTUM: Duration = Duration::from_millis(5);

/// The processors of one node.
#[derive(Clone)]
pub struct Cpu {
    sim: Handle,
    fuel_per_second: u64,
    cores: Arc<Mutex<Cores>>,
}

struct Cores {
    free: u32,
    /// Who waits for a core, by virtual runtime and then by arrival.
    waiting: BTreeMap<(u64, u64), Waker>,
    arrivals: u64,
    /// The virtual runtime of whoever got a core last: newcomers start there.
    floor: u64,
}

impl Cpu {
    /// `cores` cores, each of which does `fuel_per_second` units of work a virtual second.
    ///
    /// # Panics
    /// If either is zero.
    pub fn new(sim: &Handle, cores: u32, fuel_per_second: u64) -> Cpu {
        assert!(cores > 0 && fuel_per_second > 0, "a node needs a processor");
        let cores = Cores { free: cores, waiting: BTreeMap::new(), arrivals: 0, floor: 0 };
        Cpu { sim: sim.clone(), fuel_per_second, cores: Arc::new(Mutex::new(cores)) }
    }

    /// Opens an account for one program. `weight` is its share when cores are short (Kubernetes:
    /// the request in millicores, at least 2); `limit` is the most it may use, in millicores.
    pub fn account(&self, weight: u32, limit: Option<u32>) -> Account {
        let state = Usage {
            weight: u64::from(weight.max(2)),
            quota: limit.map(quota),
            budget: limit.map_or(0, |l| quota(l) as i64),
            period: 0,
            runtime: 0,
            used: 0,
            throttled: 0,
            owed: 0,
            frozen: false,
            thaw: Vec::new(),
        };
        Account { cpu: self.clone(), usage: Arc::new(Mutex::new(state)) }
    }

    /// How many units of work fit into [`QUANTUM`]: what a program may do between two payments.
    pub fn fuel_per_quantum(&self) -> u64 {
        (u128::from(self.fuel_per_second) * QUANTUM.as_nanos() / 1_000_000_000).max(1) as u64
    }

    fn cores(&self) -> MutexGuard<'_, Cores> {
        self.cores.lock().expect("cores lock")
    }

    fn release(&self) {
        let next = {
            let mut cores = self.cores();
            cores.free += 1;
            cores.waiting.values().next().cloned()
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

fn quota(millicores: u32) -> u64 {
    (u64::from(millicores.max(1)) * PERIOD.as_nanos() as u64) / 1000
}

struct Usage {
    weight: u64,
    quota: Option<u64>,
    /// What is left of the quota, in ns; negative after a slice that went beyond it.
    budget: i64,
    period: u64,
    runtime: u64,
    used: u64,
    throttled: u64,
    /// Units of work too small to be a nanosecond, times 1e9.
    owed: u64,
    frozen: bool,
    thaw: Vec<Waker>,
}

/// What one program has used and may use.
#[derive(Clone)]
pub struct Account {
    cpu: Cpu,
    usage: Arc<Mutex<Usage>>,
}

impl Account {
    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().expect("usage lock")
    }

    /// Pays for `fuel` units of work without leaving the current poll, where that is exactly
    /// what paying slowly would do. `Err` holds the price in ns, to be given to
    /// [`pay`](Account::pay).
    ///
    /// # Errors
    /// The price, if other programs or timers must run first, or the limit is reached.
    pub fn try_charge(&self, fuel: u64) -> Result<(), u64> {
        let mut u = self.usage();
        let ns = u.price(fuel, self.cpu.fuel_per_second);
        if ns == 0 && !u.frozen {
            return Ok(());
        }
        let mut cores = self.cpu.cores();
        if cores.free == 0 || !cores.waiting.is_empty() || u.frozen {
            return Err(ns);
        }
        if u.quota.is_some() {
            u.refill(self.cpu.sim.now());
            if u.budget <= 0 {
                return Err(ns);
            }
        }
        if !self.cpu.sim.try_advance(Duration::from_nanos(ns)) {
            return Err(ns);
        }
        u.start(&cores);
        cores.floor = cores.floor.max(u.runtime);
        u.spend(ns);
        Ok(())
    }

    /// Pays `ns` of computing: waits for a core, holds it for that long, gives it back.
    pub fn pay(&self, ns: u64) -> Pay {
        Pay { account: self.clone(), left: ns, stage: Stage::Enter }
    }

    /// Total computing so far.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.usage().used)
    }

    /// Total time spent waiting because the limit was reached.
    pub fn throttled(&self) -> Duration {
        Duration::from_nanos(self.usage().throttled)
    }

    /// Changes the limit, in millicores.
    pub fn set_limit(&self, limit: Option<u32>) {
        let mut u = self.usage();
        u.quota = limit.map(quota);
        u.budget = u.quota.map_or(0, |q| q as i64);
    }

    /// Stops the program at its next touch of the world (as the cgroup freezer does), or lets
    /// it go on.
    pub fn set_frozen(&self, frozen: bool) {
        let thaw = {
            let mut u = self.usage();
            u.frozen = frozen;
            if frozen { Vec::new() } else { std::mem::take(&mut u.thaw) }
        };
        thaw.into_iter().for_each(Waker::wake);
    }

    /// Whether the program is frozen.
    pub fn is_frozen(&self) -> bool {
        self.usage().frozen
    }
}

impl Usage {
    /// Turns units of work into ns, carrying the remainder to the next payment.
    fn price(&mut self, fuel: u64, rate: u64) -> u64 {
        // Called at every host call of every program: one 64-bit division where that is enough.
        if let Some(total) = fuel.checked_mul(1_000_000_000).and_then(|t| t.checked_add(self.owed))
        {
            let ns = total / rate;
            self.owed = total - ns * rate;
            return ns;
        }
        let total = u128::from(fuel) * 1_000_000_000 + u128::from(self.owed);
        self.owed = (total % u128::from(rate)) as u64;
        (total / u128::from(rate)) as u64
    }

    fn refill(&mut self, now: Time) {
        let Some(quota) = self.quota else { return };
        let period = now.as_nanos() / PERIOD.as_nanos() as u64;
        let passed = period.saturating_sub(self.period);
        if passed > 0 {
            self.period = period;
            let more = quota.saturating_mul(passed).min(i64::MAX as u64 / 4) as i64;
            self.budget = self.budget.saturating_add(more).min(quota as i64);
        }
    }

    /// A program that slept does not save up turns: it starts at most one quantum ahead.
    fn start(&mut self, cores: &Cores) {
        self.runtime = self.runtime.max(cores.floor.saturating_sub(QUANTUM.as_nanos() as u64));
    }

    fn spend(&mut self, ns: u64) {
        self.used += ns;
        self.runtime += ns * 1024 / self.weight;
        if self.quota.is_some() {
            self.budget -= ns as i64;
        }
    }
}

enum Stage {
    Enter,
    Frozen,
    Throttled(Sleep, Time),
    Queued((u64, u64)),
    Running(Sleep, u64),
    Done,
}

/// See [`Account::pay`].
pub struct Pay {
    account: Account,
    left: u64,
    stage: Stage,
}

impl Future for Pay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let cpu = this.account.cpu.clone();
        loop {
            match &mut this.stage {
                Stage::Enter | Stage::Frozen => {
                    let now = cpu.sim.now();
                    let mut u = this.account.usage();
                    if u.frozen {
                        u.thaw.push(cx.waker().clone());
                        this.stage = Stage::Frozen;
                        return Poll::Pending;
                    }
                    if this.left == 0 {
                        this.stage = Stage::Done;
                        return Poll::Ready(());
                    }
                    u.refill(now);
                    if u.quota.is_some() && u.budget <= 0 {
                        let period = PERIOD.as_nanos() as u64;
                        let next = Time((now.as_nanos() / period + 1) * period);
                        this.stage = Stage::Throttled(cpu.sim.sleep_until(next), now);
                        continue;
                    }
                    let mut cores = cpu.cores();
                    u.start(&cores);
                    let key = (u.runtime, cores.arrivals);
                    cores.arrivals += 1;
                    cores.waiting.insert(key, cx.waker().clone());
                    this.stage = Stage::Queued(key);
                }
                Stage::Throttled(sleep, since) => {
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let waited = cpu.sim.now().since(*since);
                    this.account.usage().throttled += waited.as_nanos() as u64;
                    this.stage = Stage::Enter;
                }
                Stage::Queued(key) => {
                    let mut cores = cpu.cores();
                    let first = cores.waiting.keys().next() == Some(&*key);
                    if cores.free == 0 || !first {
                        cores.waiting.insert(*key, cx.waker().clone());
                        // Whoever is first may have been woken before this one arrived.
                        return Poll::Pending;
                    }
                    cores.waiting.remove(key);
                    cores.floor = cores.floor.max(key.0);
                    cores.free -= 1;
                    let next = (cores.free > 0).then(|| cores.waiting.values().next().cloned());
                    drop(cores);
                    if let Some(Some(waker)) = next {
                        waker.wake();
                    }
                    let slice = this.left.min(QUANTUM.as_nanos() as u64);
                    let sleep = cpu.sim.sleep(Duration::from_nanos(slice));
                    this.stage = Stage::Running(sleep, slice);
                }
                Stage::Running(sleep, slice) => {
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let slice = *slice;
                    this.left -= slice;
                    this.account.usage().spend(slice);
                    this.stage = Stage::Enter;
                    cpu.release();
                }
                Stage::Done => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for Pay {
    fn drop(&mut self) {
        match &self.stage {
            Stage::Queued(key) => {
                let next = {
                    let mut cores = self.account.cpu.cores();
                    cores.waiting.remove(key);
                    (cores.free > 0).then(|| cores.waiting.values().next().cloned()).flatten()
                };
                if let Some(waker) = next {
                    waker.wake();
                }
            }
            Stage::Running(..) => self.account.cpu.release(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sim;

    const RATE: u64 = 1_000_000_000; // one unit of work a nanosecond

    /// Runs programs that each want `work` ns, and says when each was done, in ms.
    fn finish(cores: u32, programs: &[(u32, Option<u32>, u64)]) -> Vec<u64> {
        let mut sim = Sim::new(1, 0);
        let cpu = Cpu::new(&sim.handle(), cores, RATE);
        let ends = Arc::new(Mutex::new(vec![0; programs.len()]));
        for (i, (weight, limit, work)) in programs.iter().copied().enumerate() {
            let (account, ends, h) = (cpu.account(weight, limit), ends.clone(), sim.handle());
            sim.handle().spawn(async move {
                let mut left = work;
                while left > 0 {
                    let piece = left.min(QUANTUM.as_nanos() as u64);
                    if let Err(ns) = account.try_charge(piece) {
                        account.pay(ns).await;
                    }
                    left -= piece;
                }
                ends.lock().unwrap()[i] = h.now().as_nanos() / 1_000_000;
            });
        }
        sim.run_until(Time::MAX, u64::MAX);
        ends.lock().unwrap().clone()
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn one_program_runs_at_the_speed_of_a_core() {
        assert_eq!(finish(1, &[(100, None, SECOND)]), [1000]);
    }

    #[test]
    fn two_programs_share_one_core_and_not_two() {
        let shared = finish(1, &[(100, None, SECOND), (100, None, SECOND)]);
        assert!(shared.iter().all(|t| (1990..=2000).contains(t)), "{shared:?}");
        assert_eq!(finish(2, &[(100, None, SECOND), (100, None, SECOND)]), [1000, 1000]);
    }

    #[test]
    fn weights_divide_a_busy_core() {
        let ends = finish(1, &[(900, None, SECOND * 9), (100, None, SECOND * 9)]);
        assert!((9_900..=10_100).contains(&ends[0]), "{ends:?}");
        assert!((17_900..=18_100).contains(&ends[1]), "{ends:?}");
    }

    #[test]
    fn a_limit_throttles_even_an_idle_core() {
        let ends = finish(4, &[(100, Some(250), SECOND)]);
        assert!((3_900..=4_000).contains(&ends[0]), "{ends:?}");
    }

    #[test]
    fn a_frozen_program_goes_on_where_it_stopped() {
        let mut sim = Sim::new(1, 0);
        let cpu = Cpu::new(&sim.handle(), 1, RATE);
        let account = cpu.account(100, None);
        let end = Arc::new(Mutex::new(Time::ZERO));
        let (a, e, h) = (account.clone(), end.clone(), sim.handle());
        sim.handle().spawn(async move {
            for _ in 0..10 {
                a.pay(1_000_000).await;
            }
            *e.lock().unwrap() = h.now();
        });
        sim.run_until(Time::from_millis(4), u64::MAX);
        account.set_frozen(true);
        sim.run_until(Time::from_millis(100), u64::MAX);
        assert_eq!(*end.lock().unwrap(), Time::ZERO);
        account.set_frozen(false);
        sim.run_until(Time::MAX, u64::MAX);
        assert!((Time::from_millis(104)..=Time::from_millis(107)).contains(&end.lock().unwrap()));
    }
}
