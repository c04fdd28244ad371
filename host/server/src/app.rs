//! What all requests share.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use podlab_lab::{Catalogue, Pattern};
use podlab_wasm::Engine;
use podlab_world::{Allowance, Image, Images, World, WorldOptions};
use tokio::sync::Semaphore;

use crate::assets::Assets;
use crate::driver::Driver;
use crate::error::ApiError;
use crate::guard::Names;
use crate::journal::Journal;
use crate::live::{Live, Speed};
use crate::workshop::Workshop;
use crate::workshop::viewer::Viewer;

/// How many bytes of its trace a world of a server keeps.
pub const TRACE_QUOTA: u64 = 64 << 20;

/// How much of everything the server holds at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Worlds.
    pub worlds: usize,
    /// Streams, watches and followed logs together.
    pub streams: usize,
    /// Those at the worlds of one learner.
    pub streams_each: usize,
    /// Bytes of an uploaded image.
    pub image: usize,
    /// Bytes of an uploaded recording.
    pub recording: usize,
    /// Bytes of any other request.
    pub body: usize,
    /// Bytes of a request to a Service of a world.
    pub proxied: usize,
    /// Images uploaded.
    pub images: usize,
    /// Paused copies of worlds, by which going back is fast.
    pub twins: usize,
    /// Bytes of a world's trace that are kept.
    pub trace: u64,
    /// Recordings on disk.
    pub recordings: usize,
    /// Bytes of what enters a world, all its life long.
    pub entered: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            worlds: 64,
            streams: 256,
            streams_each: 24,
            image: 64 << 20,
            recording: 128 << 20,
            body: 4 << 20,
            proxied: 16 << 20,
            images: 256,
            twins: 64,
            trace: TRACE_QUOTA,
            recordings: crate::journal::KEPT,
            entered: u64::MAX,
        }
    }
}

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The names it answers to.
    pub names: Names,
    /// Its limits.
    pub limits: Limits,
    /// Where recordings and uploaded images are kept; `None` for nowhere.
    pub state: Option<PathBuf>,
    /// How many threads drive worlds; 0 for as many as there are processors.
    pub threads: usize,
    /// The workshop that is held here, if one is.
    pub workshop: Option<Arc<Workshop>>,
}

/// A server.
pub struct App {
    engine: Engine,
    images: Mutex<Images>,
    uploaded: AtomicUsize,
    catalogue: Catalogue,
    assets: Assets,
    options: Options,
    worlds: Mutex<BTreeMap<u64, Arc<Live>>>,
    next: AtomicU64,
    driver: Driver,
    streams: Arc<AtomicUsize>,
    /// Of each learner, by the number of their seat.
    theirs: Mutex<BTreeMap<u32, Arc<AtomicUsize>>>,
    twins: Allowance,
    attempts: Arc<Semaphore>,
    /// Worlds are brought back as many at once as there are threads, and each by one of them.
    waking: Vec<Mutex<()>>,
}

/// What a new world is to be.
pub struct NewWorld {
    /// The pattern, or empty.
    pub pattern: String,
    /// The seed.
    pub seed: u64,
    /// How fast.
    pub speed: Speed,
    /// ns since 1970 at its beginning; `None` for now.
    pub epoch: Option<u64>,
}

/// A stream that is being served; counted until it is dropped.
pub struct Served(Vec<Arc<AtomicUsize>>);

impl Drop for Served {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Relaxed);
        }
    }
}

/// Locks. A panic inside a world is caught and marks that world dead, so what a poisoned lock
/// guards is never used as if nothing had happened.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// A server without worlds.
    pub fn new(
        engine: Engine,
        images: Images,
        catalogue: Catalogue,
        assets: Assets,
        options: Options,
    ) -> Arc<App> {
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(2, NonZero::get),
            n => n,
        };
        // The worlds of a workshop that goes on keep their names.
        let known =
            options.workshop.as_ref().and_then(|w| w.read(|r| r.worlds.keys().max().copied()));
        let next = known.map_or(1, |last| last + 1);
        Arc::new(App {
            twins: Allowance::of(options.limits.twins),
            engine,
            images: Mutex::new(images),
            uploaded: AtomicUsize::new(0),
            catalogue,
            assets,
            options,
            worlds: Mutex::default(),
            next: AtomicU64::new(next),
            driver: Driver::start(threads),
            streams: Arc::default(),
            theirs: Mutex::default(),
            attempts: Arc::new(Semaphore::new(threads)),
            waking: (0..threads).map(|_| Mutex::default()).collect(),
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What it was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The workshop that is held here, if one is.
    pub fn workshop(&self) -> Option<&Arc<Workshop>> {
        self.options.workshop.as_ref()
    }

    /// The turn of whoever brings world `number` back.
    pub(crate) fn waking(&self, number: u64) -> MutexGuard<'_, ()> {
        lock(&self.waking[usize::try_from(number).unwrap_or(0) % self.waking.len()])
    }

    /// The patterns.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The page.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The threads that drive the worlds.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Turns at checking what learners have done: as many at once as there are threads.
    pub fn attempts(&self) -> Arc<Semaphore> {
        self.attempts.clone()
    }

    /// The images that new worlds can run.
    pub fn images(&self) -> Images {
        lock(&self.images).clone()
    }

    /// Makes a world for `viewer` and starts it.
    ///
    /// # Errors
    /// If there is no such pattern, its manifests are refused, or there are too many worlds.
    pub fn create(&self, new: &NewWorld, viewer: Viewer) -> Result<Arc<Live>, ApiError> {
        self.room_for(viewer)?;
        self.adopt(self.make(new)?, new.speed, viewer)
    }

    /// Makes a world, which does not run yet.
    ///
    /// # Errors
    /// If there is no such pattern, or its manifests are refused.
    pub(crate) fn make(&self, new: &NewWorld) -> Result<World, ApiError> {
        let pattern = match new.pattern.as_str() {
            "" => None,
            name => Some(self.pattern(name)?),
        };
        let epoch = new.epoch.unwrap_or_else(now_nanos);
        let options = WorldOptions {
            seed: new.seed,
            epoch,
            pattern: new.pattern.clone(),
            trace_quota: self.options.limits.trace,
            ..WorldOptions::default()
        };
        let images = match pattern {
            Some(pattern) => pattern_images(&self.engine, &self.images(), pattern)
                .map_err(|e| ApiError::refused(e, "Build the guests (cargo xtask build), or add the image with --image NAME:TAG=FILE.wasm."))?,
            None => self.images(),
        };
        let mut world = World::new(&images, options);
        if let Some(pattern) = pattern {
            for manifest in &pattern.file.manifests {
                let text = pattern.text(manifest).unwrap_or_default();
                world.apply(text).map_err(|e| {
                    ApiError::refused(
                        format!("{manifest}: {e}"),
                        "Correct the manifest of the pattern.",
                    )
                })?;
            }
        }
        Ok(world)
    }

    /// Puts a world that exists already under the care of the driver. A learner's is theirs from
    /// then on, and nobody else's.
    ///
    /// # Errors
    /// If there are too many worlds.
    pub fn adopt(&self, world: World, speed: Speed, viewer: Viewer) -> Result<Arc<Live>, ApiError> {
        let number = self.next.fetch_add(1, Relaxed);
        let (Some(workshop), Viewer::Learner(seat)) = (&self.options.workshop, viewer) else {
            return self.place(number, world, speed);
        };
        let (pattern, seed) = (world.options().pattern.clone(), world.options().seed);
        let live = self.place(number, world, workshop.speed(number, speed))?;
        for over in workshop.claim(seat, number, &pattern, seed) {
            let over = format!("w{over}");
            // It may be on disk, and so not here.
            if self.delete(&over).is_err() {
                self.discard(&over);
            }
        }
        Ok(live)
    }

    /// Puts a world that was here before under the care of the driver, with the name it had.
    ///
    /// # Errors
    /// If there are too many worlds.
    pub(crate) fn restore(&self, number: u64, world: World) -> Result<Arc<Live>, ApiError> {
        let rate = Speed::Rate(1.0);
        let speed = self.options.workshop.as_ref().map_or(rate, |w| w.speed(number, rate));
        self.place(number, world, speed)
    }

    fn place(&self, number: u64, world: World, speed: Speed) -> Result<Arc<Live>, ApiError> {
        let live = {
            let mut worlds = lock(&self.worlds);
            if worlds.len() >= self.options.limits.worlds {
                return Err(self.full());
            }
            let id = format!("w{number}");
            let journal = self.options.state.as_ref().map(|dir| {
                let keep = self.options.limits.recordings;
                Journal::new(&dir.join("recordings"), &id).keeping(keep)
            });
            let live = Live::new(number, id, &self.engine, world, speed, journal, &self.twins);
            let live = Arc::new(live.taking(self.options.limits.entered));
            worlds.insert(number, live.clone());
            live
        };
        self.driver.add(&live);
        tracing::info!(world = live.id(), "a world begins");
        Ok(live)
    }

    /// # Errors
    /// If no further world may be made.
    pub fn room(&self) -> Result<(), ApiError> {
        if lock(&self.worlds).len() >= self.options.limits.worlds {
            Err(self.full())
        } else {
            Ok(())
        }
    }

    /// # Errors
    /// If no further world may be made, or not by `viewer` for now.
    pub fn room_for(&self, viewer: Viewer) -> Result<(), ApiError> {
        self.room()?;
        match (self.workshop(), viewer) {
            (Some(workshop), Viewer::Learner(seat)) => workshop.spend(seat),
            _ => Ok(()),
        }
    }

    /// How many further worlds may be made.
    pub fn worlds_left(&self) -> usize {
        self.options.limits.worlds.saturating_sub(lock(&self.worlds).len())
    }

    fn full(&self) -> ApiError {
        ApiError::too_many(
            format!("there are {} worlds already", self.options.limits.worlds),
            "Delete one that is not needed: DELETE /api/worlds/ID.",
        )
    }

    /// The pattern called `name`.
    ///
    /// # Errors
    /// If there is none; the message lists what there is.
    pub fn pattern(&self, name: &str) -> Result<&Pattern, ApiError> {
        self.catalogue.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.catalogue.iter().map(|p| p.file.name.as_str()).collect();
            ApiError::not_found(
                format!("there is no pattern {name:?}"),
                format!("There are: {}. GET /api/patterns describes them.", known.join(", ")),
            )
        })
    }

    /// The world called `id`.
    ///
    /// # Errors
    /// If there is none.
    pub fn world(&self, id: &str) -> Result<Arc<Live>, ApiError> {
        let number = App::number(id);
        let found = number.and_then(|n| lock(&self.worlds).get(&n).cloned());
        found.ok_or_else(|| App::no_world(id))
    }

    /// The number of the world called `id`: 3 of `w3`, and of nothing else.
    pub fn number(id: &str) -> Option<u64> {
        let number = id.strip_prefix('w')?.parse::<u64>().ok()?;
        (format!("w{number}") == id).then_some(number)
    }

    /// What is said where there is no such world.
    pub(crate) fn no_world(id: &str) -> ApiError {
        ApiError::not_found(
            format!("there is no world {id:?}"),
            "GET /api/worlds lists them; POST /api/worlds makes one.",
        )
    }

    /// All worlds, oldest first.
    pub fn worlds(&self) -> Vec<Arc<Live>> {
        lock(&self.worlds).values().cloned().collect()
    }

    /// Ends a world.
    ///
    /// # Errors
    /// If there is none.
    pub fn delete(&self, id: &str) -> Result<(), ApiError> {
        let live = self.world(id)?;
        if let Some(workshop) = &self.options.workshop {
            workshop.forget(live.number());
        }
        self.put_away(&live, "the world was deleted");
        self.discard(id);
        Ok(())
    }

    /// Removes the recordings of a learner's world that is no more: nobody can come back to it, and
    /// they would take the room of others'.
    pub fn discard(&self, id: &str) {
        if let (Some(_), Some(state)) = (self.workshop(), &self.options.state) {
            crate::journal::remove(&state.join("recordings"), id);
        }
    }

    /// Lets go of a world: its recording is finished, its streams end.
    pub(crate) fn put_away(&self, live: &Live, why: &str) {
        lock(&self.worlds).remove(&live.number());
        self.driver.remove(live.number());
        live.end(why);
        tracing::info!(world = live.id(), why, "a world ends");
    }

    /// Compiles and adds an image, for new worlds and for those that run in the present.
    ///
    /// # Errors
    /// If the name is no name, or the program cannot run in a world.
    pub fn add_image(&self, name: &str, wasm: &[u8]) -> Result<Arc<Image>, ApiError> {
        if self.uploaded.load(Relaxed) >= self.options.limits.images {
            return Err(ApiError::too_many(
                "no further images are taken",
                "Start the server again.",
            ));
        }
        let mut fresh = Images::new();
        fresh.load(&self.engine, name, wasm).map_err(|e| {
            ApiError::new(
                axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                "ImageRefused",
                e.to_string(),
                "Send a WASI 0.2 component (for example cargo build --target wasm32-wasip2) or a WASI 0.1 \
                 module that imports only what wasi:cli, clocks, filesystem, io, random and sockets offer.",
            )
        })?;
        let image =
            fresh.iter().next().cloned().ok_or_else(|| ApiError::internal("the image got lost"))?;
        self.keep_image(&image);
        self.uploaded.fetch_add(1, Relaxed);
        lock(&self.images).add(image.clone());
        for live in self.worlds() {
            live.add_image(image.clone());
            self.driver.poke(&live);
        }
        Ok(image)
    }

    /// Keeps an uploaded image beside the recordings, which name it by digest only.
    fn keep_image(&self, image: &Image) {
        let Some(state) = &self.options.state else { return };
        let dir = state.join("images");
        let path = dir.join(format!("{}.wasm", image.digest));
        if !path.exists() {
            let written =
                std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, &image.wasm[..]));
            if let Err(error) = written {
                let file = path.display().to_string();
                tracing::warn!(file, image = image.name, %error, "an image cannot be kept");
            }
        }
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.streams.load(Relaxed)
    }

    /// Counts a stream at the world called `id`.
    ///
    /// # Errors
    /// If there are too many, or too many at the worlds of one learner.
    pub fn stream(&self, id: &str) -> Result<Served, ApiError> {
        let place = self.workshop().zip(App::number(id)).and_then(|(w, n)| w.place(n));
        self.stream_for(place.map_or(Viewer::Owner, |p| Viewer::Learner(p.seat)))
    }

    /// Counts a stream that `viewer` looks at, at whosever world.
    ///
    /// # Errors
    /// As [`App::stream`].
    pub fn stream_for(&self, viewer: Viewer) -> Result<Served, ApiError> {
        let limits = &self.options.limits;
        let mut counted = vec![(self.streams.clone(), limits.streams)];
        if let Viewer::Learner(seat) = viewer {
            let own = lock(&self.theirs).entry(seat).or_default().clone();
            counted.push((own, limits.streams_each));
        }
        let mut served = Served(Vec::new());
        for (count, limit) in counted {
            let before = count.fetch_add(1, Relaxed);
            served.0.push(count);
            if before >= limit {
                return Err(ApiError::too_many(
                    format!("{before} streams are open already"),
                    "Close a page or a watch that is not needed.",
                ));
            }
        }
        Ok(served)
    }

    /// Ends all worlds: streams are closed, recordings are written to their end.
    pub fn shut_down(&self) {
        let worlds = std::mem::take(&mut *lock(&self.worlds));
        for live in worlds.values() {
            self.driver.remove(live.number());
            live.end("the server is shutting down");
        }
        self.driver.stop();
    }
}

/// Real time, in ns since 1970.
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The images that worlds of `pattern` can run: `known`, and those that the pattern brings or
/// names otherwise (`images` of its pattern.yaml: a guest, or a wasm file of its folder).
///
/// # Errors
/// A sentence that names the image.
pub fn pattern_images(
    engine: &Engine,
    known: &Images,
    pattern: &Pattern,
) -> Result<Images, String> {
    let mut images = known.clone();
    for (name, source) in pattern.file.images.iter().filter(|(name, _)| !known.is_pinned(name)) {
        let result = if let Some(wasm) = pattern.files.get(source) {
            images.load(engine, name, wasm)
        } else {
            let found = [source.clone(), format!("{source}:v1")];
            let digest = found.iter().find_map(|n| images.resolve(n)).map(|i| i.digest.clone());
            let Some(digest) = digest else {
                return Err(format!(
                    "pattern {}: the image {name} is to be {source}, but there is neither such a guest nor such a file",
                    pattern.file.name
                ));
            };
            images.tag(name, &digest)
        };
        result.map_err(|e| format!("pattern {}: image {name}: {e}", pattern.file.name))?;
    }
    Ok(images)
}
