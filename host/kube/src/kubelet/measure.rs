//! What programs use, measured every 15 seconds as metrics-server does. It looks and changes
//! nothing; what programs say of themselves is asked in the same rhythm (`scrape`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podlab_sim::Time;

use super::cell::State;
use super::scrape;
use crate::control_plane::Shared;
use crate::store::usage::{Sample, Usage};

/// How often it is looked (`--metric-resolution`).
const EVERY: Duration = Duration::from_secs(15);
/// A container that is younger is not measured yet.
const YOUNG: Duration = Duration::from_secs(10);

/// The time computed by a run of a container, by its id, and when that was seen.
type Seen = BTreeMap<String, (u64, Time)>;

/// Measures from now on.
pub(crate) fn start(shared: &Arc<Shared>) {
    let shared = shared.clone();
    shared.clone().sim.spawn(async move {
        let mut before = Seen::new();
        loop {
            shared.sim.sleep(EVERY).await;
            before = look(&shared, &before);
            scrape::all(&shared);
        }
    });
}

fn look(shared: &Shared, before: &Seen) -> Seen {
    let now = shared.sim.now();
    let at = shared.sim.unix_nanos();
    let mut seen = Seen::new();
    let (mut pods, mut nodes) = (BTreeMap::new(), BTreeMap::<String, Sample>::new());
    for (name, node) in &shared.nodes {
        if node.lock().up {
            let usage = BTreeMap::from([(String::new(), Usage::default())]);
            let window = EVERY.as_nanos() as u64;
            nodes.insert(name.clone(), Sample { at, window, usage });
        }
    }
    let cells: Vec<_> = shared.pods().iter().map(|(k, c)| (k.clone(), c.clone())).collect();
    for (key, cell) in cells {
        let inner = cell.lock();
        let mut sample = Sample { at, window: EVERY.as_nanos() as u64, ..Sample::default() };
        let mut whole = true;
        for c in &inner.containers {
            let (State::Running(began), Some(program)) = (&c.state, &c.program) else { continue };
            let cpu = program.running.cpu_nanos();
            seen.insert(c.container_id.clone(), (cpu, now));
            let (from, since) = match before.get(&c.container_id) {
                Some((cpu, at)) => (*cpu, *at),
                // Its first sight counts from its beginning.
                None => (0, *began),
            };
            let time = now.since(since);
            if time < YOUNG {
                whole = false;
                continue;
            }
            let computed = u128::from(cpu.saturating_sub(from));
            let nanocores = computed * 1_000_000_000 / time.as_nanos().max(1);
            let usage = Usage {
                nanocores: u64::try_from(nanocores).unwrap_or(u64::MAX),
                memory: program.running.memory(),
            };
            if let Some(node) = nodes.get_mut(&cell.node)
                && let Some(sum) = node.usage.get_mut("")
            {
                sum.nanocores = sum.nanocores.saturating_add(usage.nanocores);
                sum.memory = sum.memory.saturating_add(usage.memory);
            }
            sample.usage.insert(c.spec.name.clone(), usage);
        }
        // A pod is measured whole or not at all.
        if whole && !sample.usage.is_empty() {
            pods.insert(key, sample);
        }
    }
    shared.store.measured().set(pods, nodes);
    seen
}
