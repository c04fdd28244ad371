//! Running a recording again, and finding the first difference.

use podlab_sim::{Stop, Time};
use podlab_trace::{Event, text};
use podlab_wasm::Engine;

use crate::images::{ImageError, Images};
use crate::recording::{Mark, Recording};
use crate::world::World;

/// How many polls of the executor one turn takes at most.
const BUDGET: u64 = 1 << 20;

/// Why a recording cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An image is missing, or cannot be compiled.
    #[error("the recording needs the image {name}: {source}")]
    Image {
        /// Its name and tag.
        name: String,
        /// What is wrong with it.
        source: ImageError,
    },
    /// The world got stuck.
    #[error("the world spins without moving time at {0}")]
    Livelock(Time),
}

/// What came of comparing a recording with its replay.
#[derive(Debug)]
pub enum Comparison {
    /// Every event is the same.
    Identical {
        /// How many.
        events: u64,
        /// The instant reached.
        end: Time,
    },
    /// The first event that differs.
    Different {
        /// Its number.
        seq: u64,
        /// Somewhere up to this instant.
        before: Time,
        /// The event of the replay, as a line; `None` if the replay has fewer events.
        replayed: Option<String>,
    },
    /// The recording holds no marks to compare with.
    Nothing,
}

/// The images of a recording: those it carries, else those of the same digest here.
///
/// # Errors
/// If one is missing or cannot be compiled.
pub fn images(
    engine: &Engine,
    known: &Images,
    recording: &Recording,
) -> Result<Images, ReplayError> {
    let mut known = known.clone();
    let mut out = Images::new();
    for image in &recording.header.carried {
        let digest = blake3::hash(&image.wasm).to_hex().to_string();
        if known.by_digest(&digest).is_none() {
            known
                .load(engine, &image.name, &image.wasm)
                .map_err(|source| ReplayError::Image { name: image.name.clone(), source })?;
        }
    }
    for (name, digest) in &recording.header.images {
        let found = known.by_digest(digest).cloned().ok_or_else(|| ReplayError::Image {
            name: name.clone(),
            source: ImageError::Unknown(digest.clone()),
        })?;
        out.add(found.clone());
        out.tag(name, digest)
            .map_err(|source| ReplayError::Image { name: name.clone(), source })?;
    }
    // Images added while the world ran are inputs; they must be reachable by digest.
    for image in known.all() {
        out.add_by_digest(image.clone());
    }
    Ok(out)
}

/// Runs `recording` up to and including `until`; inputs after that stay ahead, and enter when
/// the world runs on.
///
/// # Errors
/// If an image is missing, or the world gets stuck.
pub fn replay(
    engine: &Engine,
    known: &Images,
    recording: &Recording,
    until: Time,
) -> Result<World, ReplayError> {
    let mut world = begin(engine, known, recording)?;
    run(&mut world, until)?;
    Ok(world)
}

/// A world at the beginning of `recording`, with all its inputs ahead.
///
/// # Errors
/// If an image is missing.
pub fn begin(engine: &Engine, known: &Images, recording: &Recording) -> Result<World, ReplayError> {
    let images = images(engine, known, recording)?;
    let mut world = World::new(&images, recording.header.options.clone());
    world.expect(recording);
    Ok(world)
}

/// Runs `world` to `until`, however long that takes.
///
/// # Errors
/// If it gets stuck.
pub fn run(world: &mut World, until: Time) -> Result<(), ReplayError> {
    loop {
        match world.run_until(until, BUDGET) {
            Stop::Reached | Stop::Idle => return Ok(()),
            Stop::Budget => {}
            Stop::Livelock => return Err(ReplayError::Livelock(world.now())),
        }
    }
}

/// Runs a recording to its end and compares every event.
///
/// # Errors
/// If an image is missing, or the world gets stuck.
pub fn compare(
    engine: &Engine,
    known: &Images,
    recording: &Recording,
) -> Result<Comparison, ReplayError> {
    let images = images(engine, known, recording)?;
    let mut world = World::new(&images, recording.header.options.clone());
    let mut before = 0;
    let mut inputs = recording.inputs.iter().enumerate().peekable();
    for mark in &recording.marks {
        while let Some((_, input)) = inputs.next_if(|(n, _)| (*n as u64) < mark.inputs) {
            run(&mut world, Time(input.at))?;
            world.input(input.input.clone());
        }
        run(&mut world, Time(mark.now))?;
        if let Some(difference) = differs(&world, before, mark) {
            return Ok(difference);
        }
        before = mark.last;
    }
    Ok(match recording.marks.last() {
        Some(last) => Comparison::Identical { events: last.last, end: Time(last.now) },
        None => Comparison::Nothing,
    })
}

fn differs(world: &World, before: u64, mark: &Mark) -> Option<Comparison> {
    let trace = world.trace();
    if trace.last() == mark.last && trace.digest() == mark.digest {
        return None;
    }
    let sums = trace.sums(before + 1);
    let same = sums.iter().zip(&mark.sums).take_while(|(a, b)| a == b).count() as u64;
    let seq = before + 1 + same;
    let replayed: Option<Event> = trace.read(seq, 1).into_iter().find(|e| e.seq == seq);
    let replayed = replayed.map(|event| trace.with_state(|state| text::line(state, &event)));
    Some(Comparison::Different { seq, before: Time(mark.now), replayed })
}
