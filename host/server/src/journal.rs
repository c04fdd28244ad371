//! The recording of a live world on disk, written while it runs.
//!
//! A journal is appended to at least every second, so that a crash loses at most the last one.
//! Whoever goes back and goes on differently gets a new file; the old one keeps the old branch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use podlab_world::Recording;
use podlab_world::recording::{write_input, write_mark};

use crate::app::now_nanos;

/// How many recordings are kept; the oldest go first.
pub const KEPT: usize = 200;
/// How many of one world; the oldest branches go first.
const BRANCHES: usize = 16;

/// Where a world's recording is written.
pub struct Journal {
    dir: PathBuf,
    id: String,
    branch: u32,
    file: Option<File>,
    path: PathBuf,
    inputs: usize,
    marks: usize,
    broken: bool,
    keep: usize,
}

impl Journal {
    /// A journal in `dir` for the world `id`. Nothing is written yet.
    pub fn new(dir: &Path, id: &str) -> Journal {
        let path = PathBuf::new();
        Journal {
            dir: dir.into(),
            id: id.into(),
            branch: 0,
            file: None,
            path,
            inputs: 0,
            marks: 0,
            broken: false,
            keep: KEPT,
        }
    }

    /// Keeps so many recordings in the folder, the newest.
    pub fn keeping(mut self, recordings: usize) -> Journal {
        self.keep = recordings;
        self
    }

    /// Whether it is not written any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The file, if one was begun.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }

    /// Appends what `recording` has that the file has not. A disk that is full or gone stops the
    /// journal, not the world; it is said once in the log.
    pub fn write(&mut self, recording: &Recording) {
        if self.broken {
            return;
        }
        if let Err(error) = self.append(recording) {
            self.broken = true;
            let file = self.path.display().to_string();
            tracing::error!(file, %error, "a recording is not written any more");
        }
    }

    /// The world went back and goes on differently: the next write begins a new file.
    pub fn branch(&mut self) {
        self.file = None;
        self.branch += 1;
    }

    fn append(&mut self, recording: &Recording) -> io::Result<()> {
        let shorter = recording.inputs.len() < self.inputs || recording.marks.len() < self.marks;
        match &mut self.file {
            Some(file) if !shorter => {
                let mut bytes = Vec::new();
                let mut inputs = recording.inputs.iter().enumerate().skip(self.inputs).peekable();
                for mark in &recording.marks[self.marks..] {
                    while let Some((_, input)) = inputs.next_if(|(n, _)| (*n as u64) < mark.inputs)
                    {
                        write_input(&mut bytes, input)?;
                    }
                    write_mark(&mut bytes, mark)?;
                }
                for (_, input) in inputs {
                    write_input(&mut bytes, input)?;
                }
                file.write_all(&bytes)?;
            }
            _ => {
                fs::create_dir_all(&self.dir)?;
                prune(&self.dir, &self.id, self.keep)?;
                let (mut file, path) = self.create()?;
                file.write_all(&recording.encode())?;
                self.file = Some(file);
                self.path = path;
            }
        }
        self.inputs = recording.inputs.len();
        self.marks = recording.marks.len();
        Ok(())
    }

    fn create(&self) -> io::Result<(File, PathBuf)> {
        let seconds = now_nanos() / 1_000_000_000;
        for n in 0.. {
            let suffix = if n == 0 { String::new() } else { format!("-{n}") };
            let branch =
                if self.branch == 0 { String::new() } else { format!("-b{}", self.branch) };
            let path = self.dir.join(format!("{seconds}-{}{branch}{suffix}.plrec", self.id));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, path)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && n < 1000 => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::other("no free file name"))
    }
}

/// Which world a recording in the folder is of: `SECONDS-wN.plrec`, `SECONDS-wN-bBRANCH.plrec`.
fn of_world(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()?.split('-').nth(1)
}

/// Removes all recordings of a world.
pub fn remove(dir: &Path, id: &str) {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "plrec")) {
        if of_world(&path) == Some(id) {
            // One that stays is pruned with the others, in its time.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes room for one more: of all, and of this world, whose branches must not push out the only
/// recordings of others.
fn prune(dir: &Path, id: &str, keep: usize) -> io::Result<()> {
    let mut own: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "plrec") && of_world(p) == Some(id))
        .collect();
    let age = |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
    own.sort_by_key(age);
    for old in own.iter().take(own.len().saturating_sub(BRANCHES - 1)) {
        fs::remove_file(old)?;
    }
    let mut files: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "plrec"))
        .collect();
    files.sort();
    for old in files.iter().take(files.len().saturating_sub(keep.saturating_sub(1))) {
        fs::remove_file(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branches_of_a_world_push_out_only_each_other() {
        let dir = std::env::temp_dir().join(format!("podlab-branches-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("100-w1.plrec"), "").unwrap();
        let count = |id: &str| {
            let all = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path());
            all.filter(|p| of_world(p) == Some(id)).count()
        };
        for n in 0..40 {
            prune(&dir, "w10", 1000).unwrap();
            fs::write(dir.join(format!("200-w10-b{n}.plrec")), "").unwrap();
        }
        assert_eq!((count("w10"), count("w1")), (BRANCHES, 1));
        remove(&dir, "w10");
        assert_eq!((count("w10"), count("w1")), (0, 1));
        fs::remove_dir_all(&dir).unwrap();
    }
    use podlab_world::recording::{Header, Mark, Stamped};
    use podlab_world::{Fault, Input, WorldOptions};

    #[test]
    fn what_is_appended_reads_as_the_whole() {
        let dir = std::env::temp_dir().join(format!("podlab-journal-{}", std::process::id()));
        let header = Header {
            build: "t".into(),
            options: WorldOptions::default(),
            images: Vec::new(),
            carried: Vec::new(),
        };
        let mut recording = Recording { header, inputs: Vec::new(), marks: Vec::new() };
        let mut journal = Journal::new(&dir, "w1");
        for n in 1..=5u64 {
            let input = Input::Fault(Fault::Kill { target: format!("default/web/{n}") });
            recording.inputs.push(Stamped { at: n * 10, input });
            let (now, last) = (n * 10 + 1, n * 3);
            recording.marks.push(Mark {
                now,
                inputs: n,
                last,
                digest: [n as u8; 32],
                sums: vec![1, 2, 3],
            });
            journal.write(&recording);
        }
        let path = journal.path().expect("a file was begun").to_path_buf();
        assert_eq!(Recording::decode(&fs::read(&path).unwrap()).unwrap(), (recording.clone(), 0));
        // Going back begins another file; the old one stays as it is.
        journal.branch();
        recording.inputs.truncate(2);
        recording.marks.truncate(2);
        journal.write(&recording);
        assert_ne!(journal.path().unwrap(), path);
        assert_eq!(Recording::decode(&fs::read(&path).unwrap()).unwrap().0.inputs.len(), 5);
        fs::remove_dir_all(&dir).unwrap();
    }
}
