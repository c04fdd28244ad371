//! The election, step by step as client-go's `leaderelection` has it.
//!
//! Clocks are never compared between machines: an elector notes by its own clock when it *saw* the
//! record change, and takes the lease for given up when it has not seen that for its duration.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime};

use podlab_guest::log;
use podlab_guest::runtime::{Either, Flag, race, sleep, timeout};
use serde_json::Value;

use crate::api::{Api, Refused};
use crate::lease::{Record, micro_time};

/// How an elector behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who it is.
    pub identity: String,
    /// The Lease's namespace and name.
    pub lease: (String, String),
    /// For how long others wait before they take over.
    pub duration: Duration,
    /// A leader that could not renew for so long leads no more.
    pub renew: Duration,
    /// From one try to the next.
    pub retry: Duration,
    /// While not leading, up to this many times `retry` more, by chance.
    pub jitter: f64,
    /// Whether leadership is given up at the end.
    pub release: bool,
}

struct Observed {
    record: Record,
    at: Instant,
}

/// An elector.
pub struct Elector {
    settings: Settings,
    api: Api,
    observed: RefCell<Option<Observed>>,
    /// When it last renewed; `None` while it does not lead.
    renewed: Cell<Option<Instant>>,
    chance: Cell<u64>,
    /// What it wrote last about a failure, so that it is not written again and again.
    said: RefCell<String>,
}

/// What an elector knows at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Who leads, as far as it knows; empty if nobody.
    pub name: String,
    /// Whether it is the leader itself, and may act now.
    pub leading: bool,
    /// The fencing token of that leader: how often leaders have changed.
    pub token: u64,
    /// For how long it may act without renewing.
    pub left: Duration,
}

impl Elector {
    /// An elector; `seed` is for its chance.
    pub fn new(settings: Settings, api: Api, seed: u64) -> Elector {
        Elector {
            settings,
            api,
            observed: RefCell::default(),
            renewed: Cell::new(None),
            chance: Cell::new(seed),
            said: RefCell::default(),
        }
    }

    /// What it knows now. A leader that was not able to renew in time does not lead, even before it
    /// has noticed: whoever asks first after a pause gets the truth.
    pub fn status(&self) -> Status {
        let observed = self.observed.borrow();
        let Some(o) = observed.as_ref() else { return Status::default() };
        let left = self.renewed.get().map_or(Duration::ZERO, |at| {
            (at + self.settings.renew).saturating_duration_since(Instant::now())
        });
        Status {
            name: o.record.holder.clone(),
            leading: o.record.holder == self.settings.identity && !left.is_zero(),
            token: o.record.transitions,
            left,
        }
    }

    /// Takes part until `stop`: acquires, renews, loses, begins anew.
    pub async fn run(&self, stop: &Flag) {
        while !stop.raised() {
            self.acquire(stop).await;
            if stop.raised() {
                break;
            }
            self.hold(stop).await;
            if stop.raised() {
                break;
            }
            self.renewed.set(None);
            log::warn("lost", &[("identity", &self.settings.identity)]);
        }
        self.release().await;
    }

    async fn acquire(&self, stop: &Flag) {
        while !stop.raised() {
            if self.attempt().await {
                let token = self.status().token;
                log::info("leading", &[("identity", &self.settings.identity), ("token", &token)]);
                return;
            }
            let wait = self.settings.retry.mul_f64(1.0 + self.random() * self.settings.jitter);
            // No later than when the lease is over: client-go tries one wait later than it could.
            let over = self.until_over().filter(|left| !left.is_zero());
            let wait = over.map_or(wait, |left| left.min(wait));
            race(sleep(wait), stop.wait()).await;
        }
    }

    /// When the lease of whoever holds it is over, unless it is seen to be renewed before.
    fn until_over(&self) -> Option<Duration> {
        let observed = self.observed.borrow();
        let held = observed.as_ref().filter(|o| !o.record.holder.is_empty())?;
        let over = held.at + Duration::from_secs(held.record.seconds.max(1));
        Some(over.saturating_duration_since(Instant::now()))
    }

    /// Renews until that fails for too long.
    async fn hold(&self, stop: &Flag) {
        loop {
            if let Either::Second(()) = race(sleep(self.settings.retry), stop.wait()).await {
                return;
            }
            let renew = async {
                while !self.attempt().await {
                    sleep(self.settings.retry).await;
                }
            };
            let since = self.renewed.get().map_or(Duration::ZERO, |at| at.elapsed());
            let left = self.settings.renew.saturating_sub(since);
            match race(timeout(left, renew), stop.wait()).await {
                Either::First(Some(())) => {}
                Either::First(None) | Either::Second(()) => return,
            }
        }
    }

    /// Tries once to get or to keep the lease.
    async fn attempt(&self) -> bool {
        match self.try_once().await {
            Ok(leads) => {
                self.said.borrow_mut().clear();
                leads
            }
            Err(refused) => {
                let text = match refused {
                    Refused::Missing => "there is no such Lease".to_owned(),
                    Refused::Conflict => "somebody else was faster".to_owned(),
                    Refused::Other(text) => text,
                };
                if *self.said.borrow() != text {
                    log::warn("try-failed", &[("error", &text)]);
                    *self.said.borrow_mut() = text;
                }
                false
            }
        }
    }

    async fn try_once(&self) -> Result<bool, Refused> {
        // As of before the request: an answer that took long must not lengthen the lease.
        let begun = Instant::now();
        let me = &self.settings.identity;
        let lease = self.api.get().await;
        let mut lease = match lease {
            Err(Refused::Missing) => {
                let now = micro_time(SystemTime::now());
                let record = self.record(0, now.clone(), now);
                let (namespace, name) = &self.settings.lease;
                let new = record.object(namespace, name);
                let made = self.api.create(&new).await?;
                self.observe(&made);
                self.renewed.set(Some(begun));
                return Ok(true);
            }
            other => other?,
        };
        self.observe(&lease);
        let (record, seen) = match self.observed.borrow().as_ref() {
            Some(o) => (o.record.clone(), o.at),
            None => return Ok(false),
        };
        let own = record.holder == *me;
        let duration = Duration::from_secs(record.seconds).max(Duration::from_secs(1));
        if !record.holder.is_empty() && !own && seen + duration > Instant::now() {
            return Ok(false);
        }
        let now = micro_time(SystemTime::now());
        // Holding on is no change; taking it from whomever is.
        let held = own && self.renewed.get().is_some();
        let new = if held {
            self.record(record.transitions, record.acquired, now)
        } else {
            self.record(record.transitions + 1, now.clone(), now)
        };
        new.put(&mut lease);
        let made = self.api.update(&lease).await?;
        self.observe(&made);
        self.renewed.set(Some(begun));
        Ok(true)
    }

    fn record(&self, transitions: u64, acquired: String, renewed: String) -> Record {
        Record {
            holder: self.settings.identity.clone(),
            seconds: self.settings.duration.as_secs(),
            transitions,
            acquired,
            renewed,
        }
    }

    /// Notes when the record was seen to change.
    fn observe(&self, lease: &Value) {
        let record = Record::of(lease);
        let mut observed = self.observed.borrow_mut();
        let before = observed.as_ref().map(|o| (o.record.clone(), o.at));
        if before.as_ref().is_none_or(|(r, _)| r.holder != record.holder) {
            let (leader, token) = (&record.holder, &record.transitions);
            log::info("leader", &[("name", leader), ("token", token)]);
        }
        let at = match before {
            Some((old, at)) if old == record => at,
            _ => Instant::now(),
        };
        *observed = Some(Observed { record, at });
    }

    /// Gives leadership up, so that nobody has to wait for its end.
    async fn release(&self) {
        let leading = self.status().leading;
        self.renewed.set(None);
        if !leading || !self.settings.release {
            return;
        }
        // Read again: a renewal may have been on its way when we were asked to end.
        let lease = self.api.get().await;
        let mut lease = match lease {
            Ok(lease) if Record::of(&lease).holder == self.settings.identity => lease,
            other => {
                let why = format!("{:?}", other.err());
                return log::warn("not-released", &[("error", &why)]);
            }
        };
        let record = Record::of(&lease);
        let now = micro_time(SystemTime::now());
        let free = Record {
            holder: String::new(),
            seconds: 1,
            acquired: now.clone(),
            renewed: now,
            ..record
        };
        free.put(&mut lease);
        let result = self.api.update(&lease).await;
        match result {
            Ok(_) => log::info("released", &[("identity", &self.settings.identity)]),
            Err(why) => log::warn("not-released", &[("error", &format!("{why:?}"))]),
        }
    }

    /// A number from 0 to 1 (SplitMix64).
    fn random(&self) -> f64 {
        let seed = self.chance.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.chance.set(seed);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
