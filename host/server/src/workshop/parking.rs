//! Worlds that nobody looks at are put to disk: their recording is all that is left of them.
//! Whoever touches one runs it again up to where it stood.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podlab_world::replay;
use podlab_world::{Recording, World};

use crate::app::{App, NewWorld, now_nanos, pattern_images};
use crate::error::ApiError;
use crate::live::{Live, Speed};
use crate::workshop::register::Place;
use crate::workshop::viewer::Viewer;

/// How long a world may be left alone.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The recordings of world `id` in `dir`, the newest first.
fn recordings(dir: &Path, id: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    // SECONDS-wN.plrec, SECONDS-wN-bBRANCH.plrec, SECONDS-wN-bBRANCH-AGAIN.plrec
    let key = |path: &Path| {
        let stem = path.file_stem()?.to_str()?;
        if path.extension()? != "plrec" {
            return None;
        }
        let mut parts = stem.split('-');
        let seconds: u64 = parts.next()?.parse().ok()?;
        if parts.next()? != id {
            return None;
        }
        let (mut branch, mut again) = (0, 0);
        for part in parts {
            match part.strip_prefix('b') {
                Some(n) => branch = n.parse::<u32>().ok()?,
                None => again = part.parse::<u32>().ok()?,
            }
        }
        Some((seconds, branch, again))
    };
    let mut found: Vec<_> = entries.filter_map(|e| Some((key(&e.path())?, e.path()))).collect();
    found.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
    found.into_iter().map(|(_, path)| path).collect()
}

impl App {
    /// Brings back a world that was put to disk, or is from before a restart. May take a while.
    ///
    /// # Errors
    /// If there is none, or it can neither be run again nor made anew.
    pub fn wake(&self, id: &str) -> Result<Arc<Live>, ApiError> {
        let number = App::number(id).ok_or_else(|| App::no_world(id))?;
        let place =
            self.workshop().and_then(|w| w.place(number)).ok_or_else(|| App::no_world(id))?;
        let _turn = self.waking(number);
        // Somebody else may have been first.
        if let Ok(live) = self.world(id) {
            return Ok(live);
        }
        self.room()?;
        let world = match self.run_again(id, &place) {
            Some(world) => world,
            None => self.make(&NewWorld {
                pattern: place.pattern.clone(),
                seed: place.seed,
                speed: Speed::Rate(1.0),
                epoch: Some(now_nanos()),
            })?,
        };
        self.restore(number, world)
    }

    /// The world as its newest recording has it that can be read and run.
    fn run_again(&self, id: &str, place: &Place) -> Option<World> {
        let dir = self.options().state.as_ref()?.join("recordings");
        let known = self.images();
        let images = match self.pattern(&place.pattern) {
            Ok(pattern) => pattern_images(self.engine(), &known, pattern).unwrap_or(known),
            Err(_) => known,
        };
        recordings(&dir, id).into_iter().find_map(|path| {
            let bytes = fs::read(&path).ok()?;
            // A file that was begun and never written is no recording; the one before it is.
            let (recording, _) = Recording::decode(&bytes).ok()?;
            let run = || -> Result<World, replay::ReplayError> {
                let mut world = replay::begin(self.engine(), &images, &recording)?;
                replay::run(&mut world, recording.end())?;
                Ok(world)
            };
            run()
                .map_err(|error| {
                    let file = path.display().to_string();
                    tracing::warn!(file, %error, "a recording cannot be run again");
                })
                .ok()
        })
    }

    /// Puts worlds to disk that nobody has touched for so long; how many.
    pub fn park(&self, patience: Duration) -> usize {
        let Some(workshop) = self.workshop() else { return 0 };
        // Without a disk there is nowhere to put them.
        if self.options().state.is_none() {
            return 0;
        }
        let mut parked = 0;
        for live in self.worlds() {
            let alone = live.untouched() > patience && !live.is_watched();
            if alone && workshop.place(live.number()).is_some() && live.is_recorded() {
                self.put_away(&live, "the world was put to disk");
                parked += 1;
            }
        }
        parked
    }

    /// Makes the world that a learner comes into, if they have none.
    ///
    /// # Errors
    /// If there is no room, or the plan's pattern cannot be run.
    pub fn home(&self, seat: u32) -> Result<String, ApiError> {
        let Some(workshop) = self.workshop() else { return Err(App::no_world("")) };
        if let Some(number) = workshop.read(|r| r.seats.get(&seat).and_then(|s| s.home)) {
            return Ok(format!("w{number}"));
        }
        let pattern = workshop.first_pattern().unwrap_or_default();
        let new = NewWorld { pattern, seed: 1, speed: Speed::Rate(1.0), epoch: None };
        let live = self.create(&new, Viewer::Learner(seat))?;
        workshop.settle(seat, live.number());
        Ok(live.id().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_recording_of_a_world_comes_first() {
        let dir = std::env::temp_dir().join(format!("podlab-parking-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for name in [
            "100-w1.plrec",
            "100-w1-b1.plrec",
            "100-w1-b1-2.plrec",
            "99-w1-b9.plrec",
            "200-w10.plrec",
            "300-w1.txt",
            "x-w1.plrec",
            "101-w1.plrec",
        ] {
            fs::write(dir.join(name), "").unwrap();
        }
        let names: Vec<String> = recordings(&dir, "w1")
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            names,
            [
                "101-w1.plrec",
                "100-w1-b1-2.plrec",
                "100-w1-b1.plrec",
                "100-w1.plrec",
                "99-w1-b9.plrec"
            ]
        );
        fs::remove_dir_all(&dir).unwrap();
    }
}
