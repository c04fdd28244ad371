//! Deterministic worlds of pods for Rust tests.
//!
//! A test brings wasm programs and Kubernetes manifests, breaks what it likes, waits for conditions
//! on virtual time, and asserts on the objects of the real API. The same seed gives the same run,
//! event by event, and five virtual minutes take milliseconds.
//!
//! ```no_run
//! use std::time::Duration;
//! use podlab_testkit::{Fault, Kit, api::core::v1::Pod};
//!
//! # fn main() -> Result<(), podlab_testkit::Error> {
//! let mut kit = Kit::new()?;
//! kit.image("hello:v1", &std::fs::read("hello.wasm").unwrap())?;
//! for seed in 1..=20 {
//!     let mut world = kit.world(seed);
//!     world.apply("kind: Pod # and so on")?;
//!     world.until("ready('hello')", Duration::from_secs(60))?;
//!     world.fault(Fault::Kill { target: "default/hello/hello".into() })?;
//!     world.until("restarts('hello', 'hello') == 1", Duration::from_secs(60))?;
//!     let pod: Pod = world.object("default", "hello")?;
//!     assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//! - [`Kit`]: an engine and images, shared by worlds; [`TestWorld`]: a world under test
//!
//! # What this crate must never know
//! Real time, files, HTTP servers.
#![warn(missing_docs)]

use std::time::Duration;

use podlab_lab::check::seen;
use podlab_lab::expression::{Evaluator, Expression};
use podlab_lab::history::{Finished, History};
use podlab_lab::outside::Clients;
use podlab_lab::scenario::{Request, Span};
use podlab_sim::Stop;
use podlab_wasm::{Engine, EngineOptions};
use podlab_world::options::NodeOptions;
use podlab_world::{Images, Input, Outcome, World, WorldOptions};
use serde::de::DeserializeOwned;

pub use k8s_openapi::api;
pub use podlab_trace::{Event, Kind};
pub use podlab_world::{Fault, Recording};

/// How often a condition is looked at, in virtual time.
const TICK: Duration = Duration::from_millis(5);
/// How many polls of the executor one turn takes at most.
const BUDGET: u64 = 1_000_000;
/// The name of requests; nobody asks for it.
const REQUEST: &str = "request";

/// Why a test cannot go on: what was done, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// An engine, and the images that worlds can run. Make one, and many worlds with it.
pub struct Kit {
    engine: Engine,
    images: Images,
    nodes: u32,
    cores: u32,
}

impl Kit {
    /// Without images; worlds have three nodes of four cores.
    ///
    /// # Errors
    /// If this machine cannot run wasm.
    pub fn new() -> Result<Kit, Error> {
        let engine = Engine::new(EngineOptions::default()).map_err(|e| Error(e.to_string()))?;
        Ok(Kit { engine, images: Images::new(), nodes: 3, cores: 4 })
    }

    /// Adds an image: a WASI 0.2 component or a WASI 0.1 module, under the name and tag by which
    /// manifests call it.
    ///
    /// # Errors
    /// If it is neither, or wants what no container has.
    pub fn image(&mut self, name: &str, wasm: &[u8]) -> Result<(), Error> {
        self.images.load(&self.engine, name, wasm).map_err(|e| Error(format!("{name}: {e}")))
    }

    /// Worlds made from now on have so many nodes (1 to 50) of so many cores (1 to 64).
    pub fn nodes(&mut self, nodes: u32, cores: u32) {
        (self.nodes, self.cores) = (nodes.clamp(1, 50), cores.clamp(1, 64));
    }

    /// A world under `seed`, at its beginning.
    pub fn world(&self, seed: u64) -> TestWorld {
        let node =
            |n| NodeOptions { cores: self.cores, ..NodeOptions::named(&format!("node-{n}")) };
        let nodes = (1..=self.nodes).map(node).collect();
        let world =
            World::new(&self.images, WorldOptions { seed, nodes, ..WorldOptions::default() });
        let evaluator = Evaluator::new(History::default());
        TestWorld { world, evaluator, clients: Clients::default(), read: 0 }
    }
}

/// A world under test. Time passes only in [`run_for`](TestWorld::run_for),
/// [`until`](TestWorld::until) and [`request`](TestWorld::request).
pub struct TestWorld {
    world: World,
    evaluator: Evaluator,
    clients: Clients,
    read: u64,
}

impl TestWorld {
    /// Applies every object of a manifest (YAML, several documents), as `kubectl apply` does.
    ///
    /// # Errors
    /// What the API server says.
    pub fn apply(&mut self, manifest: &str) -> Result<(), Error> {
        self.world.apply(manifest).map(drop).map_err(Error)
    }

    /// Deletes an object: `("Pod", "default", "web")`.
    ///
    /// # Errors
    /// What the API server says.
    pub fn delete(&mut self, kind: &str, namespace: &str, name: &str) -> Result<(), Error> {
        self.world.delete_object(kind, namespace, name).map_err(Error)
    }

    /// Breaks something, or mends it.
    ///
    /// # Errors
    /// If there is no such target.
    pub fn fault(&mut self, fault: Fault) -> Result<(), Error> {
        fault.check().map_err(Error)?;
        match self.world.input(Input::Fault(fault)) {
            Outcome::Refused(why) => Err(Error(why)),
            _ => Ok(()),
        }
    }

    /// The time that has passed in the world.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.world.now().as_nanos())
    }

    /// Lets virtual time pass.
    ///
    /// # Errors
    /// If the world spins without moving time.
    pub fn run_for(&mut self, span: Duration) -> Result<(), Error> {
        let end = self.world.now() + span;
        while self.world.now() < end {
            match self.world.run_until(end, BUDGET) {
                Stop::Reached | Stop::Idle => break,
                Stop::Budget => {}
                Stop::Livelock => {
                    let message =
                        format!("the world spins without moving time at {}", self.world.now());
                    return Err(Error(message));
                }
            }
        }
        self.observe();
        Ok(())
    }

    /// Lets time pass until a CEL expression holds, in the words of scenarios' checks:
    /// `ready('web') && restarts('web', 'main') == 0`.
    ///
    /// # Errors
    /// If it is no expression, or does not hold within the time: with what was seen.
    pub fn until(&mut self, expression: &str, within: Duration) -> Result<(), Error> {
        let expression = Expression::compile(expression).map_err(Error)?;
        let end = self.world.now() + within;
        loop {
            self.observe();
            if expression.holds(&self.evaluator, None) == Ok(true) {
                return Ok(());
            }
            if self.world.now() >= end {
                let seen = seen(&expression, &self.evaluator);
                let source = expression.source();
                return Err(Error(format!(
                    "`{source}` did not hold within {}: {seen}",
                    Span(within)
                )));
            }
            self.run_for(TICK)?;
        }
    }

    /// Whether a CEL expression holds now.
    ///
    /// # Errors
    /// If it is no expression, or cannot be told.
    pub fn holds(&mut self, expression: &str) -> Result<bool, Error> {
        self.observe();
        Expression::compile(expression).and_then(|e| e.holds(&self.evaluator, None)).map_err(Error)
    }

    /// Sends an HTTP request from outside the cluster, to `service.namespace:port` or
    /// `pod/NAME:port`, and lets time pass until it is answered, five seconds at most. What comes
    /// back says whether it was: `ok`, `status`, `error`.
    ///
    /// # Errors
    /// If the world spins without moving time.
    pub fn request(
        &mut self,
        method: &str,
        to: &str,
        path: &str,
        body: &str,
    ) -> Result<Finished, Error> {
        let request = Request {
            name: REQUEST.into(),
            to: to.into(),
            path: path.into(),
            method: method.into(),
            headers: Default::default(),
            body: body.into(),
            timeout: Span(Duration::from_secs(5)),
        };
        let id = self.clients.send(&mut self.world, &request);
        loop {
            let mut done = self.clients.take(&mut self.world);
            if !self.clients.is_pending(id) {
                // Requests are sent one after the other: the last one to end is this one.
                return done
                    .pop()
                    .ok_or_else(|| Error("the request ended without an answer".into()));
            }
            self.run_for(TICK)?;
        }
    }

    /// An object by its type: `world.object::<Pod>("default", "web")`.
    ///
    /// # Errors
    /// If there is none.
    pub fn object<K>(&self, namespace: &str, name: &str) -> Result<K, Error>
    where
        K: k8s_openapi::Resource + DeserializeOwned,
    {
        self.world
            .store()
            .get_as(namespace, name)
            .ok_or_else(|| Error(format!("there is no {} {namespace}/{name}", K::KIND)))
    }

    /// All objects of a type, by namespace and name.
    pub fn objects<K>(&self) -> Vec<K>
    where
        K: k8s_openapi::Resource + DeserializeOwned,
    {
        self.world.store().list_as(None)
    }

    /// What a container of a pod in `default` has logged, over all its runs.
    pub fn logs(&mut self, pod: &str, container: &str) -> Vec<String> {
        let mut from = 1;
        let mut lines = Vec::new();
        let trace = self.world.trace();
        loop {
            let events = trace.read(from, 4096);
            let Some(last) = events.last() else { return lines };
            from = last.seq + 1;
            trace.with_state(|state| {
                let here = |event: &&Event| {
                    state.places.get(&event.place).is_some_and(|p| {
                        p.namespace == "default" && p.pod == pod && p.container == container
                    })
                };
                lines.extend(events.iter().filter(here).filter_map(|e| match &e.kind {
                    Kind::Log { line, .. } => Some(line.clone()),
                    _ => None,
                }));
            });
        }
    }

    /// The number of events so far and their digest: the same for the same seed, on any machine.
    pub fn digest(&self) -> (u64, String) {
        let trace = self.world.trace();
        (trace.last(), trace.digest().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The recording so far, with its images: `podlab replay`, `podlab trace` and
    /// `podlab up --recording` take it once it is written to a file with [`Recording::encode`].
    pub fn recording(&mut self) -> Recording {
        self.world.mark();
        self.world.export()
    }

    /// The world itself, for all else.
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }

    /// Takes in what has happened.
    fn observe(&mut self) {
        let trace = self.world.trace().clone();
        loop {
            let events = trace.read(self.read + 1, 4096);
            let Some(last) = events.last() else { break };
            self.read = last.seq;
            for event in &events {
                self.evaluator.history().take(event);
            }
        }
        self.evaluator.history().advance(self.world.now().as_nanos());
    }
}
