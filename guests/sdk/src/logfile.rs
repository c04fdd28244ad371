//! A log file that is rotated by size: `access.log`, `access.log.1`, ... (the highest is oldest).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many rotated files are kept.
pub const KEPT: u32 = 3;

/// The name of a rotated file.
pub fn rotated(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

/// An open log file. Lines are numbered: a number is never used twice, restarts included, as long
/// as the file or its predecessor is there. Whoever writes a line puts the number last.
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
    next: u64,
}

impl LogFile {
    /// Opens or creates it; `limit` is the size in bytes past which it is rotated.
    ///
    /// # Errors
    /// As the file system has it.
    pub fn open(path: &Path, limit: u64) -> io::Result<LogFile> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let number = |p: &Path| fs::read(p).ok().as_deref().and_then(last_number);
        let last = number(path).or_else(|| number(&rotated(path, 1)));
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let mut size = file.metadata()?.len();
        // A predecessor that died in the middle of a line must not join it with ours.
        if size > 0 && fs::read(path)?.last() != Some(&b'\n') {
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok(LogFile { path: path.into(), file, size, limit, next: last.map_or(1, |n| n + 1) })
    }

    /// Appends the line that `format` makes of its number.
    ///
    /// # Errors
    /// As the file system has it: no space.
    pub fn append(&mut self, format: impl FnOnce(u64) -> String) -> io::Result<()> {
        let mut line = format(self.next);
        line.push('\n');
        if self.size > 0 && self.size + line.len() as u64 > self.limit {
            self.rotate()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.next += 1;
        self.size += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for n in (1..KEPT).rev() {
            match fs::rename(rotated(&self.path, n), rotated(&self.path, n + 1)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        fs::rename(&self.path, rotated(&self.path, 1))?;
        self.file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

/// The digits that end the last whole line.
fn last_number(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    let digits = |line: &str| {
        let line = line.trim_end_matches('}');
        let start = line.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |i| i + 1);
        line[start..].parse().ok()
    };
    text.lines().rev().find_map(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_over_rotation_and_restart() {
        let dir = std::env::temp_dir().join(format!("logfile-{}", std::process::id()));
        let path = dir.join("a.log");
        for _ in 0..4 {
            let mut log = LogFile::open(&path, 60).unwrap();
            for _ in 0..2 {
                log.append(|n| format!("a line of text seq={n}")).unwrap();
            }
        }
        let mut all = String::new();
        for n in (1..=KEPT).rev() {
            all += &fs::read_to_string(rotated(&path, n)).unwrap_or_default();
        }
        all += &fs::read_to_string(&path).unwrap();
        let expected: String = (1..=8).map(|n| format!("a line of text seq={n}\n")).collect();
        assert_eq!(all, expected);
        fs::remove_dir_all(dir).unwrap();
    }
}
