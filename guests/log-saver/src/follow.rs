//! Where in which file we are.
//!
//! WASI offers no inode numbers, so a file is known by its first line, which in a log is unique (it
//! has a time and a number). The checkpoint lies on the same volume as the log, so both live and
//! die together.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use podlab_guest::logfile::rotated;

/// How many rotated files are looked at.
const ROTATED: u32 = 9;
/// A line longer than this is shipped in pieces.
const LONGEST: usize = 64 << 10;
/// How much of the first line identifies a file.
const MARK: usize = 256;

/// Progress, as the checkpoint has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Progress {
    stream: String,
    /// Bytes of the stream that the store has.
    shipped: u64,
    /// The beginning of the file we are in; empty before the first.
    mark: Vec<u8>,
    /// How far we are in it.
    offset: u64,
}

/// Whole lines to ship.
#[derive(Debug)]
pub struct Batch {
    /// The lines.
    pub bytes: Vec<u8>,
    after: Progress,
}

/// Follows one log.
pub struct Follower {
    file: PathBuf,
    checkpoint: PathBuf,
    progress: Progress,
    /// Length and time of the log when it was last read to its end: nothing to do while they stay.
    quiet: Option<(u64, Option<SystemTime>)>,
    restarts: u32,
    /// Whether the checkpoint knows the stream. It must before the store does: a successor that
    /// finds none would send all again under another name.
    named: bool,
}

impl Follower {
    /// Goes on where the checkpoint says, or begins with the oldest file under the name `stream`.
    pub fn open(file: PathBuf, checkpoint: PathBuf, stream: String) -> Follower {
        let found = fs::read_to_string(&checkpoint).ok().and_then(|text| Progress::parse(&text));
        let named = found.is_some();
        let progress = found.unwrap_or(Progress { stream, ..Progress::default() });
        Follower { file, checkpoint, progress, quiet: None, restarts: 0, named }
    }

    /// The name of this sequence of bytes.
    pub fn stream(&self) -> &str {
        &self.progress.stream
    }

    /// How many bytes of it the store has.
    pub fn shipped(&self) -> u64 {
        self.progress.shipped
    }

    /// What comes next, at most about `max` bytes; `None` if nothing does.
    ///
    /// # Errors
    /// As the file system has it.
    pub fn next(&mut self, max: usize) -> io::Result<Option<Batch>> {
        let seen = fs::metadata(&self.file).map_or((0, None), |m| (m.len(), m.modified().ok()));
        if self.quiet == Some(seen) {
            return Ok(None);
        }
        loop {
            // The list comes first: if it shows a successor, nobody writes to this file any more,
            // and its end is its end.
            let mut files = self.files()?;
            let here = files.iter().position(|(_, mark)| *mark == self.progress.mark);
            let (index, offset) = match here {
                Some(index) if !self.progress.mark.is_empty() => (index, self.progress.offset),
                _ if files.is_empty() => return Ok(None),
                _ => {
                    if !self.progress.mark.is_empty() {
                        let file = self.file.display();
                        podlab_guest::log::error("rotated-away", &[("file", &file)]);
                    }
                    (0, 0)
                }
            };
            let last = index + 1 == files.len();
            let (file, mark) = &mut files[index];
            let mark = mark.clone();
            let bytes = lines(file, offset, max, last)?;
            if !bytes.is_empty() {
                if !self.named {
                    self.save()?;
                    self.named = true;
                }
                let offset = offset + bytes.len() as u64;
                let shipped = self.progress.shipped + bytes.len() as u64;
                let stream = self.progress.stream.clone();
                self.quiet = None;
                let after = Progress { stream, shipped, mark, offset };
                return Ok(Some(Batch { bytes, after }));
            }
            if last {
                self.quiet = Some(seen);
                return Ok(None);
            }
            self.progress.mark = files[index + 1].1.clone();
            self.progress.offset = 0;
        }
    }

    /// The store has this batch.
    ///
    /// # Errors
    /// If the checkpoint cannot be written: then the batch may be sent again, which is harmless.
    pub fn done(&mut self, batch: &Batch) -> io::Result<()> {
        self.progress = batch.after.clone();
        self.save()
    }

    /// Puts the checkpoint in place at one instant.
    fn save(&self) -> io::Result<()> {
        let mut temporary = self.checkpoint.as_os_str().to_owned();
        temporary.push(".part");
        fs::write(&temporary, self.progress.format())?;
        fs::rename(&temporary, &self.checkpoint)
    }

    /// Goes on under a new name, from here.
    pub fn restart_stream(&mut self) {
        self.restarts += 1;
        self.progress.stream = format!("{}-{}", self.progress.stream, self.restarts);
        self.progress.shipped = 0;
        self.quiet = None;
        self.named = false;
    }

    /// The open files that have a first line, oldest first, and their marks.
    ///
    /// Files move up while we look: `a.log` to `a.log.1` to `a.log.2`. Looking upwards, none is
    /// missed, but one that moved past is met again: then the order may be wrong, and it looks
    /// anew. While files move there is a gap of one number.
    fn files(&self) -> io::Result<Vec<(File, Vec<u8>)>> {
        'again: for _ in 0..10 {
            let mut files: Vec<(File, Vec<u8>)> = Vec::new();
            let mut missing = 0;
            for n in 0..=ROTATED {
                let path = if n == 0 { self.file.clone() } else { rotated(&self.file, n) };
                if !path.exists() {
                    missing += 1;
                    if missing == 2 {
                        break;
                    }
                    continue;
                }
                missing = 0;
                let Some((file, mark)) = mark(&path)? else { continue };
                if files.iter().any(|(_, m)| *m == mark) {
                    continue 'again;
                }
                files.push((file, mark));
            }
            files.reverse();
            return Ok(files);
        }
        Err(io::Error::other("it is rotated faster than it can be looked at"))
    }
}

/// A file and the beginning of its first line, once that is whole.
fn mark(path: &Path) -> io::Result<Option<(File, Vec<u8>)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut head = Vec::new();
    (&file).take(MARK as u64).read_to_end(&mut head)?;
    if let Some(end) = head.iter().position(|b| *b == b'\n') {
        head.truncate(end);
        return Ok(Some((file, head)));
    }
    Ok((head.len() == MARK).then_some((file, head)))
}

/// Whole lines from `offset`; the unfinished last one too if the file is finished (not `last`).
fn lines(file: &mut File, offset: u64, max: usize, last: bool) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(max.max(LONGEST) as u64).read_to_end(&mut bytes)?;
    match bytes.iter().rposition(|b| *b == b'\n') {
        Some(end) => bytes.truncate(end + 1),
        None if last && bytes.len() < LONGEST => bytes.clear(),
        None => {}
    }
    Ok(bytes)
}

impl Progress {
    fn format(&self) -> String {
        let mark: String = self.mark.iter().map(|b| format!("{b:02x}")).collect();
        format!("v1 {} {} {} {mark}\n", self.stream, self.shipped, self.offset)
    }

    fn parse(text: &str) -> Option<Progress> {
        let words: Vec<&str> = text.strip_suffix('\n')?.split(' ').collect();
        let ["v1", stream, shipped, offset, mark] = words[..] else { return None };
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let mark = mark.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
        let (shipped, offset) = (shipped.parse().ok()?, offset.parse().ok()?);
        Some(Progress { stream: stream.into(), shipped, mark, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podlab_guest::logfile::LogFile;

    fn drain(follower: &mut Follower, out: &mut Vec<u8>) {
        while let Some(batch) = follower.next(100).unwrap() {
            out.extend_from_slice(&batch.bytes);
            follower.done(&batch).unwrap();
        }
    }

    /// A follower that is killed and started again, over rotations, sees each line once.
    #[test]
    fn nothing_is_lost_or_doubled_over_rotation_and_restart() {
        let dir = std::env::temp_dir().join(format!("follow-{}", std::process::id()));
        let (path, checkpoint) = (dir.join("a.log"), dir.join("c"));
        let mut log = LogFile::open(&path, 1000).unwrap();
        let open = || Follower::open(path.clone(), checkpoint.clone(), "s".into());
        let (mut follower, mut out) = (open(), Vec::new());
        for n in 0..500u32 {
            log.append(|seq| format!("some line of text seq={seq}")).unwrap();
            if n % 7 == 0 {
                drain(&mut follower, &mut out);
            }
            if n % 31 == 0 {
                // Killed between reading and its acknowledgement.
                let _lost = follower.next(100).unwrap();
                follower = open();
            }
        }
        drain(&mut follower, &mut out);
        let expected: String = (1..=500).map(|n| format!("some line of text seq={n}\n")).collect();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(follower.shipped(), expected.len() as u64);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_name_of_a_stream_outlives_a_kill_before_the_first_acknowledgement() {
        let dir = std::env::temp_dir().join(format!("named-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a.log");
        fs::write(&path, "one\n").unwrap();
        let open = |name: &str| Follower::open(path.clone(), dir.join("c"), name.into());
        open("first").next(100).unwrap().unwrap();
        let mut again = open("second");
        assert_eq!((again.stream(), again.shipped()), ("first", 0));
        again.restart_stream();
        again.next(100).unwrap().unwrap();
        assert_eq!(open("third").stream(), "first-1");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_rotation_in_its_middle_hides_nothing() {
        let dir = std::env::temp_dir().join(format!("gap-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a.log");
        // `.1` has become `.2`, and the log is not `.1` yet.
        fs::write(rotated(&path, 2), "one\n").unwrap();
        fs::write(&path, "two\n").unwrap();
        let mut follower = Follower::open(path.clone(), dir.join("c"), "s".into());
        let mut out = Vec::new();
        drain(&mut follower, &mut out);
        fs::rename(&path, rotated(&path, 1)).unwrap();
        drain(&mut follower, &mut out);
        fs::write(&path, "six\n").unwrap();
        drain(&mut follower, &mut out);
        assert_eq!(out, b"one\ntwo\nsix\n");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_line_is_shipped_when_it_is_whole() {
        let dir = std::env::temp_dir().join(format!("whole-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a.log");
        let mut follower = Follower::open(path.clone(), dir.join("c"), "s".into());
        assert!(follower.next(100).unwrap().is_none());
        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(follower.next(100).unwrap().unwrap().bytes, b"one\n");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_broken_checkpoint_is_none() {
        let progress =
            Progress { stream: "s".into(), shipped: 5, mark: b"a b".to_vec(), offset: 3 };
        assert_eq!(Progress::parse(&progress.format()), Some(progress.clone()));
        let text = progress.format();
        assert_eq!(Progress::parse(&text[..text.len() - 1]), None);
    }
}
