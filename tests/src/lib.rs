//! What the end-to-end tests and the figures share: the shipped guests and patterns as
//! `cargo xtask build` left them, and small worlds.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests and figures live on real time"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use podlab_lab::Catalogue;
use podlab_sim::{Stop, Time};
use podlab_wasm::{Engine, EngineOptions};
use podlab_world::{Image, Images, World, WorldOptions};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project").into()
}

/// The engine, without a cache on disk.
pub fn engine() -> Engine {
    Engine::new(EngineOptions::default()).expect("the engine's options are constant")
}

/// The guests as `cargo xtask build` left them: each as `NAME:v1` and `NAME:latest`, and under
/// the names that patterns give them.
///
/// # Errors
/// If they have not been built.
pub fn images(engine: &Engine) -> Result<Images> {
    let folder = root().join("target/embed/images");
    let mut images = Images::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| format!("{}: run `cargo xtask build` first", folder.display()))?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "wasm"))
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_stem().and_then(|n| n.to_str()).context("a guest's name")?.to_owned();
        let wasm = std::fs::read(&path)?;
        let compiled = std::fs::read(path.with_extension("cwasm"))?;
        let program = engine.load_precompiled(&compiled)?;
        for tag in ["v1", "v2", "latest"] {
            let image =
                Image::plain(&format!("{name}:{tag}"), wasm.clone().into(), program.clone());
            images.add(image.into());
        }
    }
    Ok(images)
}

/// The patterns of this project.
///
/// # Errors
/// If one cannot be read.
pub fn catalogue() -> Result<Catalogue> {
    catalogue_of(&root().join("patterns"))
}

/// The patterns of a folder.
///
/// # Errors
/// If one cannot be read.
pub fn catalogue_of(folder: &Path) -> Result<Catalogue> {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files)?;
    Ok(Catalogue::read(files)?)
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).context("a file's name")?;
        let inner = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if path.is_dir() {
            collect(&path, &inner, files)?;
        } else {
            files.insert(inner, std::fs::read(&path)?);
        }
    }
    Ok(())
}

/// A world of `pattern` with its manifests applied.
///
/// # Errors
/// If a manifest is refused.
pub fn world_of(images: &Images, pattern: &str, seed: u64) -> Result<World> {
    let catalogue = catalogue()?;
    let pattern =
        catalogue.get(pattern).with_context(|| format!("there is no pattern {pattern}"))?;
    let mut world = World::new(images, WorldOptions { seed, ..WorldOptions::default() });
    for manifest in &pattern.file.manifests {
        let text = pattern.text(manifest).with_context(|| format!("{manifest} is not text"))?;
        world.apply(text).map_err(|e| anyhow::anyhow!("{manifest}: {e}"))?;
    }
    Ok(world)
}

/// Runs `world` to `until`.
///
/// # Panics
/// If it gets stuck.
pub fn run(world: &mut World, until: Time) {
    loop {
        match world.run_until(until, 1 << 20) {
            Stop::Reached | Stop::Idle => return,
            Stop::Budget => {}
            Stop::Livelock => panic!("the world spins at {}", world.now()),
        }
    }
}

/// Runs `world` until `holds`, looking every 100 ms of virtual time, at most until `limit`.
/// Says whether it came to hold.
pub fn run_until(world: &mut World, limit: Time, mut holds: impl FnMut(&World) -> bool) -> bool {
    while !holds(world) {
        if world.now() >= limit {
            return false;
        }
        run(world, world.now() + std::time::Duration::from_millis(100));
    }
    true
}

/// The digest of the trace so far, in hex.
pub fn digest(world: &World) -> String {
    world.trace().digest().iter().map(|b| format!("{b:02x}")).collect()
}
