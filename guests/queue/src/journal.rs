//! A journal of what has changed, so that a queue outlives its program: commands in RESP, one after
//! the other, as Redis' append-only file has them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use podlab_guest::resp;

/// Bytes under which a journal is never written anew.
const SMALL: u64 = 256 << 10;

/// An open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
    size: u64,
    fresh: u64,
}

/// A command: its words.
pub type Command = Vec<Vec<u8>>;

impl Journal {
    /// Opens a journal and reads what it has. What was cut off at its end is dropped.
    ///
    /// # Errors
    /// As the file system has it; `InvalidData` if it is no journal.
    pub fn open(path: &Path) -> io::Result<(Journal, Vec<Command>)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let (mut commands, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            match resp::parse_command(&bytes[at..], 1 << 20) {
                Ok(Some((words, used))) => {
                    commands.push(words);
                    at += used;
                }
                Ok(None) => break,
                Err(message) => {
                    let why = format!("{} at byte {at}: {message}", path.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if at < bytes.len() {
            podlab_guest::log::warn("journal-cut", &[("bytes", &(bytes.len() - at))]);
            file.set_len(at as u64)?;
        }
        let size = at as u64;
        Ok((Journal { path: path.to_owned(), file, size, fresh: 0 }, commands))
    }

    /// Adds a command.
    ///
    /// # Errors
    /// As the file system has it; the journal is then as it was.
    pub fn add(&mut self, words: &[&[u8]]) -> io::Result<()> {
        let bytes = resp::command(words);
        if let Err(error) = self.file.write_all(&bytes) {
            // Half a command in the middle would make everything after it unreadable.
            self.file.set_len(self.size)?;
            return Err(error);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Whether most of it is history.
    pub fn stale(&self) -> bool {
        self.size > SMALL && self.size > 4 * self.fresh
    }

    /// Writes it anew, at one instant.
    ///
    /// # Errors
    /// As the file system has it; the old journal is then still there.
    pub fn rewrite(&mut self, commands: &[Command]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for words in commands {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            bytes.extend(resp::command(&words));
        }
        let mut temporary = self.path.as_os_str().to_owned();
        temporary.push(".new");
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        (self.size, self.fresh) = (bytes.len() as u64, bytes.len() as u64);
        Ok(())
    }
}
