//! What a workshop must not forget, on disk: who sits where, which worlds are whose, how far
//! everybody is.
//!
//! One small JSON file, written whole and renamed into place after each change: a server that is
//! killed finds the last whole one. Capabilities and recovery words are there as digests only;
//! the code and the instructor's secret are there themselves, so that the same links work after a
//! restart: the file is for its owner's eyes alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The version of the file.
const VERSION: u32 = 1;
const FILE: &str = "register.json";

/// What is kept.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub(super) version: u32,
    /// The join code.
    pub code: String,
    /// The instructor's secret.
    pub secret: String,
    /// The section the room is in, from 0.
    pub section: usize,
    /// When it began, in s since 1970.
    pub section_since: u64,
    /// Whether all worlds stand still.
    pub paused: bool,
    /// Whether the answers of the question are shown to everybody.
    pub revealed: bool,
    /// What the instructor said last; numbered, so that each is shown once.
    pub message: (u32, String),
    /// Hints and solutions given to everybody, by `pattern/exercise`.
    #[serde(default)]
    pub given: BTreeMap<String, Given>,
    /// The learner's world that is on the projector. A restart shows the projector's own again.
    #[serde(skip)]
    pub projected: Option<Projected>,
    /// The moment that is shown to everybody. A restart ends it, with the copy that it is.
    #[serde(skip)]
    pub moment: Option<Moment>,
    /// How many moments were shown.
    #[serde(default)]
    pub moments: u32,
    /// Who is here, by number.
    pub seats: BTreeMap<u32, Seat>,
    /// Whose each world is, by its number.
    pub worlds: BTreeMap<u64, Place>,
}

/// A learner.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    /// What they are called.
    pub name: String,
    /// Digests of the capabilities of their browsers, oldest first.
    pub capabilities: Vec<String>,
    /// The digest of the recovery word.
    pub word: String,
    /// The world they came into.
    pub home: Option<u64>,
    /// When they joined, in s since 1970.
    pub joined: u64,
    /// Whether they want to be looked after.
    pub hand: bool,
    /// Whether the instructor may act in their worlds; a raised hand says so as well.
    #[serde(default)]
    pub invited: bool,
    /// Whether the instructor acts in their worlds now. A restart hands back.
    #[serde(skip)]
    pub driven: bool,
    /// Hints and solutions given to them, by `pattern/exercise`.
    #[serde(default)]
    pub given: BTreeMap<String, Given>,
    /// What they answered: the number of the answer, by section.
    pub answers: BTreeMap<String, usize>,
    /// How they did, by `pattern/exercise`.
    pub exercises: BTreeMap<String, Progress>,
}

/// How a learner did in an exercise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// How often the checks were run and did not pass.
    pub failed: u32,
    /// How many hints they opened.
    pub hints: u32,
    /// Whether the checks have passed.
    pub solved: bool,
    /// The checks that did not pass last time.
    pub failing: Vec<String>,
    /// When they began, in s since 1970.
    pub since: u64,
    /// When they solved it, in s since 1970.
    pub solved_at: Option<u64>,
}

/// What the instructor has given to learners of an exercise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// So many of its hints.
    pub hints: u32,
    /// Whether its solution.
    pub solution: bool,
    /// When, in s since 1970.
    pub at: u64,
}

/// A learner's world on the projector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projected {
    /// Its number.
    pub world: u64,
    /// Whether the learner's name is shown.
    pub named: bool,
}

/// An instant of a world, as everybody sees it: a copy that belongs to nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which it is: each is announced once.
    pub serial: u32,
    /// The number of the copy.
    pub world: u64,
    /// Its pattern.
    pub pattern: String,
    /// The instant, in ns.
    pub at: u64,
    /// What is selected, in words; or empty.
    pub what: String,
    /// The event that is inspected.
    pub event: Option<u64>,
    /// What is shown of it, as the page's address has it; or empty.
    pub show: String,
}

/// A learner's world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Whose.
    pub seat: u32,
    /// Of which pattern, should there be no recording yet.
    pub pattern: String,
    /// With which seed.
    pub seed: u64,
    /// Whether it is only there to look at what checks came to: the first to end.
    #[serde(default)]
    pub passing: bool,
    /// Digests of the capabilities with which kubectl reaches it, oldest first.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// Where it is kept.
#[derive(Clone, Debug)]
pub struct Register {
    dir: Option<PathBuf>,
}

impl Register {
    /// A register in `dir`; `None` keeps nothing.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(dir: Option<&Path>) -> io::Result<Register> {
        if let Some(dir) = dir {
            fs::create_dir_all(dir)?;
            private(dir, 0o700)?;
        }
        Ok(Register { dir: dir.map(Path::to_path_buf) })
    }

    /// What was kept; `None` if nothing was.
    ///
    /// # Errors
    /// If the file cannot be read, or is of another version.
    pub fn read(&self) -> io::Result<Option<Record>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let bytes = match fs::read(dir.join(FILE)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let record: Record = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        if record.version != VERSION {
            return Err(io::Error::other(format!(
                "the workshop has format version {}, this podlab reads version {VERSION}",
                record.version
            )));
        }
        Ok(Some(record))
    }

    /// Keeps this.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, record: &mut Record) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        record.version = VERSION;
        let new = dir.join(format!("{FILE}.new"));
        let mut file = fs::File::create(&new)?;
        private(&new, 0o600)?;
        file.write_all(&serde_json::to_vec(record).map_err(io::Error::other)?)?;
        fs::rename(&new, dir.join(FILE))
    }
}

/// Closes a file or folder to everybody but its owner.
#[cfg(unix)]
fn private(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn private(_: &Path, _: u32) -> io::Result<()> {
    // The profile's folder is its owner's there.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_by_its_owner_alone() {
        let dir = std::env::temp_dir().join(format!("podlab-register-{}", std::process::id()));
        let register = Register::open(Some(&dir)).unwrap();
        assert!(register.read().unwrap().is_none());
        let mut record = Record { code: "ABC234".into(), ..Record::default() };
        record.seats.insert(1, Seat { name: "Anna".into(), ..Seat::default() });
        register.write(&mut record).unwrap();
        let again = register.read().unwrap().unwrap();
        assert_eq!((again.code.as_str(), again.seats[&1].name.as_str()), ("ABC234", "Anna"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
        }
        fs::write(dir.join(FILE), "{\"version\": 9}").unwrap();
        assert!(register.read().is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
