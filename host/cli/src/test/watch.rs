//! Again whenever a file changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Args;
use crate::problem::{Done, Problem};

/// How often files are looked at.
const EVERY: Duration = Duration::from_millis(300);
/// No more files than this are watched.
const MOST: usize = 10_000;

type Seen = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Runs until Ctrl-C.
pub(super) fn run(args: &Args) -> Done {
    let mut watched: Vec<PathBuf> = args.path.iter().filter(|p| p.exists()).cloned().collect();
    watched.extend(args.scenario.iter().map(PathBuf::from).filter(|p| p.is_file()));
    let images = args.image.iter().filter_map(|i| i.split_once('='));
    watched.extend(images.map(|(_, file)| PathBuf::from(file)));
    if watched.is_empty() {
        return Err(Problem::usage(
            "there is nothing to watch: the patterns inside this binary do not change",
            "Name the folder of a pattern: podlab test my-pattern --watch.",
        ));
    }
    loop {
        let seen = look(&watched);
        // What is wrong now may be right after the next change.
        if let Err(problem) = super::once(args) {
            problem.report();
        }
        eprintln!("Watching {} files. Press Ctrl-C to stop.", seen.len());
        let changed = loop {
            std::thread::sleep(EVERY);
            let now = look(&watched);
            if let Some(path) = difference(&seen, &now) {
                break path;
            }
        };
        // Editors write in several steps.
        std::thread::sleep(EVERY);
        eprintln!("\n{} changed.", changed.display());
    }
}

/// The first file that is new, gone, or not as it was.
fn difference(before: &Seen, now: &Seen) -> Option<PathBuf> {
    let changed = now.iter().find(|(path, how)| before.get(*path) != Some(how));
    let gone = before.keys().find(|path| !now.contains_key(*path));
    changed.map(|(path, _)| path).or(gone).cloned()
}

fn look(watched: &[PathBuf]) -> Seen {
    let mut seen = Seen::new();
    for path in watched {
        visit(path, &mut seen);
    }
    seen
}

fn visit(path: &Path, seen: &mut Seen) {
    if seen.len() >= MOST {
        return;
    }
    // A file that is gone between two looks is a change that the next look finds.
    let Ok(about) = path.metadata() else { return };
    if about.is_file() {
        let time = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        seen.insert(path.into(), (time, about.len()));
        return;
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let link = entry.file_type().is_ok_and(|t| t.is_symlink());
        if !hidden && !link {
            visit(&entry.path(), seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_gone_or_different_is_noticed() {
        let at = |s, n| (SystemTime::UNIX_EPOCH + Duration::from_secs(s), n);
        let before = Seen::from([("a".into(), at(1, 1)), ("b".into(), at(1, 1))]);
        assert_eq!(difference(&before, &before.clone()), None);
        let mut now = before.clone();
        now.insert("b".into(), at(2, 1));
        assert_eq!(difference(&before, &now), Some("b".into()));
        now = before.clone();
        now.insert("c".into(), at(1, 1));
        assert_eq!(difference(&before, &now), Some("c".into()));
        now = before.clone();
        now.remove(Path::new("a"));
        assert_eq!(difference(&before, &now), Some("a".into()));
    }
}
