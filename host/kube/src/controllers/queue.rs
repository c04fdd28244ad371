//! The loop of a controller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use podlab_sim::Time;

use super::{Context, Controller, Key, Next};
use crate::control_plane::Shared;
use crate::events::Recorder;

/// The first wait after an error…
const FIRST: Duration = Duration::from_millis(5);
/// …and the longest (`workqueue.DefaultTypedControllerRateLimiter`).
const LONGEST: Duration = Duration::from_secs(1000);

/// Starts a controller: it begins with every object there is.
pub(crate) fn start<C: Controller>(shared: &Arc<Shared>, mut controller: C) {
    let sim = shared.sim.clone();
    let now = sim.now().as_nanos();
    let place = shared.trace.place(now, "", "kube-system", "", C::NAME);
    let store = shared.store.acting_at(place).shaken();
    let events = Recorder::new(&store, C::NAME, "");
    let context = Context { store, events, shared: shared.clone() };
    let mut inbox = shared.store.changes(&controller.kinds());
    let trace = shared.trace.clone();
    sim.clone().spawn(async move {
        // Keys that wait for a time, and the wait after each one's last failure.
        let mut later: BTreeSet<(Time, Key)> = BTreeSet::new();
        let mut at: BTreeMap<Key, Time> = BTreeMap::new();
        let mut failed: BTreeMap<Key, Duration> = BTreeMap::new();
        loop {
            let first = match later.first() {
                None => match inbox.recv().await {
                    Some(change) => Some(change),
                    None => return,
                },
                Some((due, _)) => {
                    let wait = due.since(sim.now());
                    match sim.timeout(wait, inbox.recv()).await {
                        Ok(Some(change)) => Some(change),
                        Ok(None) => return,
                        Err(_) => None,
                    }
                }
            };
            let mut due: BTreeSet<Key> = BTreeSet::new();
            let mut next = first;
            while let Some((kind, change)) = next {
                let before = due.len();
                due.extend(controller.concerns(&context, kind, &change));
                if due.len() > before && change.event > 0 {
                    trace.took(place, change.event);
                }
                next = inbox.try_recv();
            }
            while let Some((time, key)) = later.first().cloned() {
                if time > sim.now() {
                    break;
                }
                later.remove(&(time, key.clone()));
                at.remove(&key);
                due.insert(key);
            }
            for key in due {
                let wait = match controller.sync(&context, &key) {
                    Ok(Next::Change) => {
                        failed.remove(&key);
                        None
                    }
                    Ok(Next::After(wait)) => {
                        failed.remove(&key);
                        Some(wait)
                    }
                    Err(_) => {
                        let wait = failed.get(&key).map_or(FIRST, |w| (*w * 2).min(LONGEST));
                        failed.insert(key.clone(), wait);
                        Some(wait)
                    }
                };
                if let Some(old) = at.remove(&key) {
                    later.remove(&(old, key.clone()));
                }
                if let Some(wait) = wait {
                    let time = sim.now() + wait.max(Duration::from_nanos(1));
                    at.insert(key.clone(), time);
                    later.insert((time, key));
                }
            }
        }
    });
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
