//! The world itself: run, input, look.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use podlab_kube::api::{Request, Response, Streaming};
use podlab_kube::control_plane::SessionSpec;
use podlab_sim::{Handle, Sim, Stop, Time};
use podlab_trace::{Kind, Trace};

use crate::cluster::Cluster;
use crate::gateway::OutsideEvent;
use crate::images::Images;
use crate::input::{Input, Outcome};
use crate::options::WorldOptions;
use crate::recording::{Header, Mark, Recording, Stamped};

/// What builds of this crate call themselves in recordings.
pub const BUILD: &str = concat!("podlab ", env!("CARGO_PKG_VERSION"));

/// A whole cluster on virtual time. `Send`: whoever drives it may move it between threads.
pub struct World {
    sim: Sim,
    handle: Handle,
    trace: Trace,
    cluster: Cluster,
    images: Images,
    recording: Recording,
    /// Inputs of a recording that lie ahead, to enter when their time comes.
    future: VecDeque<Stamped>,
    /// How far the future is known, in ns: the end of the recording that is played.
    horizon: u64,
}

impl World {
    /// A new world at [`Time::ZERO`], with its control plane about to start. It can run
    /// `images`.
    pub fn new(images: &Images, options: WorldOptions) -> World {
        let sim = Sim::new(options.seed, options.epoch);
        let handle = sim.handle();
        let trace = Trace::new(usize::try_from(options.trace_quota).unwrap_or(usize::MAX));
        let cluster = Cluster::start(&handle, &trace, images, &options);
        let header = Header {
            build: BUILD.into(),
            options,
            images: images.iter().map(|i| (i.name.clone(), i.digest.clone())).collect(),
            carried: Vec::new(),
        };
        let recording = Recording { header, inputs: Vec::new(), marks: Vec::new() };
        World {
            sim,
            handle,
            trace,
            cluster,
            images: images.clone(),
            recording,
            future: VecDeque::new(),
            horizon: 0,
        }
    }

    /// The current instant.
    pub fn now(&self) -> Time {
        self.sim.now()
    }

    /// When something is next due, if anything is: a timer, a task, an input that lies ahead.
    pub fn next_due(&self) -> Option<Time> {
        let ahead = self.future.front().map(|i| Time(i.at));
        [self.sim.next_due(), ahead].into_iter().flatten().min()
    }

    /// The trace.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What the world was made with.
    pub fn options(&self) -> &WorldOptions {
        &self.recording.header.options
    }

    /// What has entered so far (and nothing that lies ahead).
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The images that pods can name.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// A recording that carries the images that were used and names no others, to be replayed
    /// elsewhere.
    pub fn export(&self) -> Recording {
        let mut recording = self.recording.clone();
        let mut digests: Vec<(String, String)> = recording.header.images.clone();
        for input in &recording.inputs {
            if let Input::Image { name, digest } = &input.input {
                digests.push((name.clone(), digest.clone()));
            }
        }
        let used: Vec<String> = self.cluster.images_used();
        // What was never asked for cannot have mattered, and must not be asked for elsewhere.
        recording.header.images.retain(|(_, digest)| used.contains(digest));
        let mut carried = BTreeSet::new();
        for (name, digest) in digests {
            // By digest: a name may have stood for several programs, and a program have several.
            if used.contains(&digest)
                && carried.insert(digest.clone())
                && let Some(image) = self.images.by_digest(&digest)
            {
                let wasm = serde_bytes::ByteBuf::from(image.wasm.to_vec());
                recording.header.carried.push(crate::recording::CarriedImage { name, wasm });
            }
        }
        recording
    }

    /// Runs all that is due up to and including `limit`, at most about `budget` polls of it.
    /// Inputs that lie ahead enter when their time comes.
    pub fn run_until(&mut self, limit: Time, budget: u64) -> Stop {
        loop {
            let next = self.future.front().map_or(limit, |i| Time(i.at).min(limit));
            match self.sim.run_until(next, budget) {
                stop @ (Stop::Budget | Stop::Livelock) => return stop,
                stop @ (Stop::Reached | Stop::Idle) => match self.future.front() {
                    Some(input) if Time(input.at) <= limit => {
                        let input = self.future.pop_front().expect("peeked");
                        self.enter(input.input);
                    }
                    _ => return stop,
                },
            }
        }
    }

    /// Runs until at least one event has happened (or `limit` is reached), and no further than
    /// needed.
    pub fn step_event(&mut self, limit: Time) -> Stop {
        let before = self.trace.last();
        loop {
            let next = self.future.front().map_or(limit, |i| Time(i.at).min(limit));
            match self.sim.step(next) {
                Stop::Budget => {}
                Stop::Livelock => return Stop::Livelock,
                stop => match self.future.front() {
                    Some(input) if Time(input.at) <= limit => {
                        let input = self.future.pop_front().expect("peeked");
                        self.enter(input.input);
                    }
                    _ => return stop,
                },
            }
            if self.trace.last() > before {
                return Stop::Budget;
            }
        }
    }

    /// Lets `input` enter now: after all that is due at this instant, before anything later. If
    /// a recording was being played, this is where the world leaves it: what lay ahead is
    /// forgotten.
    pub fn input(&mut self, input: Input) -> Outcome {
        self.future.clear();
        self.horizon = 0;
        self.settle();
        self.enter(input)
    }

    /// Answers a request that changes nothing. Draws no random number, emits no event, and is
    /// not recorded.
    pub fn look(&self, request: &Request) -> Response {
        self.cluster.api().handle(request)
    }

    /// Answers any request to the Kubernetes API: a mutation enters as an input.
    pub fn api(&mut self, request: Request) -> Response {
        if !request.mutates() {
            return self.look(&request);
        }
        match self.input(Input::Api(request)) {
            Outcome::Api(response) => response,
            other => unreachable!("an API request has an API response, not {other:?}"),
        }
    }

    /// What a request for exec, attach or portforward asks for.
    ///
    /// # Errors
    /// The answer to give instead of switching protocols.
    pub fn streaming(&self, request: &Request) -> Result<Streaming, Response> {
        self.cluster.api().streaming(request)
    }

    /// The user as whom `user` may act when they want to be `wanted`.
    ///
    /// # Errors
    /// The answer to give instead.
    pub fn impersonate(
        &self,
        user: &str,
        wanted: &str,
        only_user: bool,
    ) -> Result<String, Response> {
        self.cluster.api().impersonate(user, wanted, only_user)
    }

    /// How many bytes of a session's input wait for its program.
    pub fn session_backlog(&self, id: u64) -> usize {
        self.cluster.sessions().backlog(id)
    }

    /// Takes what came out of the world for clients outside.
    pub fn take_outside(&mut self) -> Vec<OutsideEvent> {
        self.cluster.gateway().outbox().take()
    }

    /// Makes an image known that was added to the process; from now on pods can name it.
    /// The input says only its digest, so the image itself must be in `images` first.
    pub fn add_image(&mut self, image: std::sync::Arc<crate::images::Image>) -> Outcome {
        let (name, digest) = (image.name.clone(), image.digest.clone());
        self.images.add_by_digest(image);
        self.input(Input::Image { name, digest })
    }

    /// Sets a mark in the recording: how far the trace has come, and what it is.
    pub fn mark(&mut self) {
        self.settle();
        let (last_seq, inputs) =
            self.recording.marks.last().map_or((0, u64::MAX), |m| (m.last, m.inputs));
        let entered = self.recording.inputs.len() as u64;
        let last = self.trace.last();
        if last == last_seq && inputs == entered {
            return;
        }
        self.recording.marks.push(Mark {
            now: self.now().as_nanos(),
            inputs: entered,
            last,
            digest: self.trace.digest(),
            sums: self.trace.sums(last_seq + 1),
        });
    }

    /// Lays the inputs of `recording` that this world has not had yet ahead of it.
    pub fn expect(&mut self, recording: &Recording) {
        let had = self.recording.inputs.len();
        self.future = recording.inputs.iter().skip(had).cloned().collect();
        self.horizon = recording.end().as_nanos();
    }

    /// Becomes the present in the place of `other`, a world of the same recording that has run
    /// further: takes over the older part of its trace, its quota, and the marks of the past.
    pub fn take_over(&mut self, other: &World) {
        self.trace.set_quota(usize::try_from(self.options().trace_quota).unwrap_or(usize::MAX));
        self.trace.adopt_older(&other.trace);
        let now = self.now().as_nanos();
        let (last, inputs) = (self.trace.last(), self.recording.inputs.len() as u64);
        let past = |m: &&Mark| m.now <= now && m.last <= last && m.inputs <= inputs;
        self.recording.marks = other.recording.marks.iter().filter(past).cloned().collect();
    }

    /// How far the recording that is being played reaches; [`Time::ZERO`] in the present.
    pub fn horizon(&self) -> Time {
        if self.now().as_nanos() < self.horizon { Time(self.horizon) } else { Time::ZERO }
    }

    /// Everything due at this instant happens.
    fn settle(&mut self) {
        let now = self.now();
        loop {
            match self.sim.run_until(now, 1 << 20) {
                Stop::Budget => {}
                _ => return,
            }
        }
    }

    fn enter(&mut self, input: Input) -> Outcome {
        let at = self.now().as_nanos();
        let number = self.recording.inputs.len() as u64 + 1;
        let what = input.summary();
        self.recording.inputs.push(Stamped { at, input: input.clone() });
        self.trace.emit(at, 0, Kind::Input { number, what });
        let outcome = match input {
            Input::Api(request) => Outcome::Api(self.cluster.api().handle(&request)),
            Input::Fault(fault) => match self.cluster.fault(&fault) {
                Ok(()) => {
                    let (name, target, on) = (fault.name().into(), fault.target(), fault.begins());
                    self.trace.emit(at, 0, Kind::Fault { name, target, on });
                    Outcome::Done
                }
                Err(why) => Outcome::Refused(why),
            },
            Input::Open { id, target } => match self.cluster.open(id, &target) {
                Ok(()) => Outcome::Done,
                Err(why) => {
                    let failed = crate::gateway::Outside::Failed(why.clone());
                    self.cluster.gateway().outbox().put(id, failed);
                    Outcome::Refused(why)
                }
            },
            Input::Send { id, bytes } => {
                if !self.cluster.sessions().input(id, &bytes) {
                    self.cluster.gateway().send(id, Bytes::from(bytes.into_vec()));
                }
                Outcome::Done
            }
            Input::Shut { id } => {
                if !self.cluster.sessions().end_input(id) {
                    self.cluster.gateway().shut(id);
                }
                Outcome::Done
            }
            Input::Drop { id } => {
                if !self.cluster.sessions().hang_up(id) {
                    self.cluster.gateway().drop_connection(id);
                }
                Outcome::Done
            }
            Input::Exec { id, namespace, pod, container, command } => {
                match self.cluster.exec(id, &namespace, &pod, &container, command) {
                    Ok(()) => Outcome::Done,
                    Err(why) => Outcome::Refused(why),
                }
            }
            Input::Session { id, namespace, pod, container, command, stdin, terminal } => {
                let spec = SessionSpec { namespace, pod, container, command, stdin, terminal };
                match self.cluster.sessions().begin(self.cluster.control(), id, &spec) {
                    Ok(()) => Outcome::Done,
                    Err(why) => Outcome::Refused(why),
                }
            }
            Input::Resize { id, .. } => {
                self.cluster.sessions().resize(id);
                Outcome::Done
            }
            Input::Image { name, digest } => match self.images.tag(&name, &digest) {
                Ok(()) => {
                    self.cluster.set_images(&self.images);
                    Outcome::Done
                }
                Err(why) => Outcome::Refused(why.to_string()),
            },
        };
        self.settle();
        outcome
    }

    /// The objects of the control plane, to be read.
    pub fn store(&self) -> &podlab_kube::store::Store {
        self.cluster.store()
    }

    /// What tasks of this world use to reach its executor.
    pub fn sim(&self) -> &Handle {
        &self.handle
    }
}
