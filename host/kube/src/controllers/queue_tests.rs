//! The loop: what a change causes, and what becomes of a failure.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use podlab_fs::{Volume, VolumeOptions};
use podlab_net::{Net, NetOptions};
use podlab_sim::{Handle, Sim, Stop, Time};
use podlab_trace::Trace;

use super::super::{Context, Controller, Key, Next};
use crate::control_plane::{Cluster, ControlPlane, Delays};
use crate::runtime::{ImageInfo, Running, Runtime, StartSpec};
use crate::store::watch::Change;
use crate::store::{Error, Store, object};

/// Runs nothing: these tests have no pods.
struct NoPrograms(Handle);

impl Runtime for NoPrograms {
    fn image(&self, name: &str) -> Result<ImageInfo, String> {
        Err(format!("no image {name}"))
    }

    fn root(&self, _: &str, id: &str) -> Volume {
        Volume::new(&self.0, id, VolumeOptions::default())
    }

    fn start(&self, spec: StartSpec) -> Arc<dyn Running> {
        unreachable!("{} has no image", spec.container)
    }
}

/// Writes down when it is asked about which object, and fails as often as it was told.
struct Diary {
    seen: Arc<Mutex<Vec<(u64, String)>>>,
    failures: u32,
    again: Option<Duration>,
}

impl Controller for Diary {
    const NAME: &'static str = "diary-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec!["configmaps"]
    }

    fn concerns(&mut self, _: &Context, _: &str, change: &Change) -> Vec<Key> {
        let name = object::name(&change.object).to_owned();
        if name.starts_with("diary") { vec![("default".into(), name)] } else { Vec::new() }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let now = context.shared.sim.now().as_nanos() / 1_000_000;
        self.seen.lock().expect("test").push((now, key.1.clone()));
        if self.failures > 0 {
            self.failures -= 1;
            return Err(Error::internal("not yet"));
        }
        Ok(self.again.take().map_or(Next::Change, Next::After))
    }
}

fn diary(failures: u32, again: Option<Duration>) -> Vec<(u64, String)> {
    let mut sim = Sim::new(7, 1_795_237_178_000_000_000);
    let trace = Trace::default();
    let store = Store::new(&sim.handle(), &trace);
    let control = ControlPlane::start(Cluster {
        sim: sim.handle(),
        net: Net::new(&sim.handle(), &trace, NetOptions::default()),
        trace,
        store: store.clone(),
        runtime: Arc::new(NoPrograms(sim.handle())),
        nodes: Vec::new(),
        delays: Delays::default(),
    });
    let seen: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
    super::start(&control.shared, Diary { seen: seen.clone(), failures, again });
    let map = serde_json::json!({"metadata": {"name": "diary", "namespace": "default"}});
    store.create("configmaps", map).expect("a valid map");
    let stop = sim.run_until(Time::ZERO + Duration::from_secs(10), u64::MAX);
    assert!(matches!(stop, Stop::Reached | Stop::Idle), "{stop:?}");
    seen.lock().expect("test").clone()
}

#[test]
fn a_change_is_acted_on_at_once_and_once() {
    assert_eq!(diary(0, None), [(0, "diary".to_owned())]);
}

#[test]
fn a_failure_is_tried_again_after_5_10_20_ms() {
    let at: Vec<u64> = diary(3, None).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [0, 5, 15, 35]);
}

#[test]
fn a_controller_can_ask_to_be_woken() {
    let at: Vec<u64> =
        diary(0, Some(Duration::from_secs(2))).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [0, 2000]);
}
