//! Tools that look at trees and at what they take.

use std::fs::{self, FileType};
use std::io::Write;
use std::path::Path;

use super::{Fault, Outcome, named, usage};
use crate::io::Io;
use crate::options::Given;

/// How deep a tree is looked at.
const DEEPEST: usize = 256;

/// Calls `visit` with everything at and below `path`, folders first, in the order of names.
pub fn walk(path: &str, visit: &mut dyn FnMut(&str, FileType)) {
    descend(path, 0, &mut |path, kind, _| visit(path, kind));
}

fn descend(path: &str, depth: usize, visit: &mut dyn FnMut(&str, FileType, usize)) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    visit(path, metadata.file_type(), depth);
    if metadata.is_dir() && depth < DEEPEST {
        let Ok(entries) = fs::read_dir(path) else { return };
        let mut names: Vec<String> =
            entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        for name in names {
            descend(&format!("{}/{name}", path.trim_end_matches('/')), depth + 1, visit);
        }
    }
}

/// `find`: tests that must all hold, `-delete`, `-print`, `-maxdepth`, `-exec` is xargs' business.
pub fn find(given: &Given, io: &mut Io) -> Outcome {
    let words = &given.rest;
    let split = words.iter().position(|w| w.starts_with('-') || w == "!").unwrap_or(words.len());
    let (roots, mut tests) = words.split_at(split);
    let here = [".".to_owned()];
    let roots = if roots.is_empty() { &here[..] } else { roots };
    let (mut name, mut kind, mut depths, mut delete, mut whole, mut empty, mut not) =
        (None, None, (0, usize::MAX), false, None, false, false);
    while let [test, rest @ ..] = tests {
        tests = rest;
        let mut value = || {
            let (first, rest) = tests.split_first().ok_or_else(usage)?;
            tests = rest;
            Ok::<&String, Fault>(first)
        };
        let count = |text: &String| {
            text.parse().map_err(|_| Fault::Usage(format!("invalid number '{text}'")))
        };
        match test.as_str() {
            "-name" => name = Some((value()?.clone(), std::mem::take(&mut not))),
            "-path" => whole = Some((value()?.clone(), std::mem::take(&mut not))),
            "-type" => kind = Some(value()?.clone()),
            "-maxdepth" => depths.1 = count(value()?)?,
            "-mindepth" => depths.0 = count(value()?)?,
            "-empty" => empty = true,
            "-print" => {}
            "-delete" => delete = true,
            "!" | "-not" => not = true,
            other => return Err(Fault::Usage(format!("unrecognized: {other}"))),
        }
    }
    if let Some(other) = kind.as_deref().filter(|k| !["f", "d", "l"].contains(k)) {
        return Err(Fault::Usage(format!("-type {other}: f, d or l")));
    }
    let mut found = Vec::new();
    let mut status = 0;
    for root in roots {
        if fs::symlink_metadata(root).is_err() {
            writeln!(io.err, "find: {root}: No such file or directory")?;
            status = 1;
        }
        descend(root, 0, &mut |path, file, depth| {
            let matches = |test: &Option<(String, bool)>, text: &str| {
                test.as_ref().is_none_or(|(p, not)| crate::shell::matches(p, text) != *not)
            };
            let right = match kind.as_deref() {
                Some("f") => file.is_file(),
                Some("d") => file.is_dir(),
                Some(_) => file.is_symlink(),
                None => true,
            };
            let bare = !empty
                || match file.is_dir() {
                    true => fs::read_dir(path).is_ok_and(|mut d| d.next().is_none()),
                    false => fs::metadata(path).is_ok_and(|m| m.len() == 0),
                };
            let base = crate::base(path);
            let base = if base.is_empty() { path } else { base };
            if right
                && bare
                && matches(&name, base)
                && matches(&whole, path)
                && (depths.0..=depths.1).contains(&depth)
            {
                found.push((path.to_owned(), file.is_dir()));
            }
        });
    }
    if delete {
        for (path, dir) in found.iter().rev().filter(|(p, _)| p != ".") {
            let gone = if *dir { fs::remove_dir(path) } else { fs::remove_file(path) };
            gone.map_err(named(path))?;
        }
        return Ok(status);
    }
    for (path, _) in found {
        writeln!(io.out, "{path}")?;
    }
    Ok(status)
}

/// `12`, `3.4K`, `5.6M`.
pub fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G"] {
        if value < 1024.0 || unit == "G" {
            return if unit.is_empty() { bytes.to_string() } else { format!("{value:.1}{unit}") };
        }
        value /= 1024.0;
    }
    unreachable!("the last unit returns")
}

/// `du`: in KiB, of contents (the file system has no blocks).
pub fn du(given: &Given, io: &mut Io) -> Outcome {
    let here = [".".to_owned()];
    let paths = if given.rest.is_empty() { &here[..] } else { &given.rest };
    let mut all = 0;
    let shown = |bytes: u64| match given.has('h') {
        true => human(bytes),
        false => bytes.div_ceil(1024).to_string(),
    };
    for path in paths {
        fs::symlink_metadata(path).map_err(named(path))?;
        let mut files: Vec<(String, bool, u64)> = Vec::new();
        walk(path, &mut |path, kind| {
            let length = fs::symlink_metadata(path).map(|m| m.len()).unwrap_or(0);
            files.push((path.to_owned(), kind.is_dir(), if kind.is_dir() { 0 } else { length }));
        });
        let below = |folder: &str| -> u64 {
            let inside = |p: &str| Path::new(p).starts_with(folder);
            files.iter().filter(|(p, ..)| inside(p)).map(|(.., n)| n).sum()
        };
        for (file, dir, length) in files.iter().rev() {
            let is_root = file == path;
            if !is_root && (given.has('s') || !dir && !given.has('a')) {
                continue;
            }
            let bytes = if *dir { below(file) } else { *length };
            writeln!(io.out, "{}\t{file}", shown(bytes))?;
        }
        all += below(path);
    }
    if given.has('c') {
        writeln!(io.out, "{}\ttotal", shown(all))?;
    }
    Ok(0)
}

/// `df`: WASI cannot ask a file system for its size; what is used is what its files contain.
pub fn df(given: &Given, io: &mut Io) -> Outcome {
    let here = ["/".to_owned()];
    let paths = if given.rest.is_empty() { &here[..] } else { &given.rest };
    writeln!(io.out, "Filesystem       Size       Used  Available Mounted on")?;
    for path in paths {
        fs::metadata(path).map_err(named(path))?;
        let mut used = 0;
        walk(path, &mut |file, kind| {
            if kind.is_file() && !file.starts_with("/proc") && !file.starts_with("/dev") {
                used += fs::metadata(file).map(|m| m.len()).unwrap_or(0);
            }
        });
        let used = if given.has('h') { human(used) } else { used.div_ceil(1024).to_string() };
        writeln!(io.out, "{:<10} {:>10} {used:>10} {:>10} {path}", "overlay", "-", "-")?;
    }
    Ok(0)
}

/// `stat`.
pub fn stat(given: &Given, io: &mut Io) -> Outcome {
    if given.rest.is_empty() {
        return Err(usage());
    }
    for path in &given.rest {
        let found = if given.has('L') { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let m = found.map_err(named(path))?;
        let (kind, mode) = match (m.is_dir(), m.is_symlink(), m.is_file()) {
            (true, ..) => ("directory", "755"),
            (_, true, _) => ("symbolic link", "777"),
            (.., true) => ("regular file", "644"),
            _ => ("character special file", "666"),
        };
        let time = m.modified().ok();
        let seconds = time
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |d| d.as_secs());
        let date = time.map(podlab_guest::http::http_date).unwrap_or_default();
        match given.value('c') {
            Some(format) => {
                let text = format
                    .replace("%n", path)
                    .replace("%s", &m.len().to_string())
                    .replace("%F", kind)
                    .replace("%a", mode)
                    .replace("%Y", &seconds.to_string())
                    .replace("%y", &date)
                    .replace("%U", "root")
                    .replace("%G", "root")
                    .replace("%u", "0")
                    .replace("%g", "0");
                writeln!(io.out, "{text}")?;
            }
            None => {
                writeln!(io.out, "  File: {path}\n  Size: {}\t{kind}\nModify: {date}", m.len())?
            }
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{folder, out, ran};

    #[test]
    fn trees() {
        let dir = folder("disk");
        std::fs::create_dir_all(format!("{dir}/a/b")).unwrap();
        std::fs::write(format!("{dir}/a/x.log"), vec![0; 3000]).unwrap();
        std::fs::write(format!("{dir}/a/b/y.txt"), "").unwrap();
        let find =
            |words: &[&str]| out(&[&["find", dir.as_str()], words].concat(), "").replace(&dir, "");
        assert_eq!(find(&[]), "\n/a\n/a/b\n/a/b/y.txt\n/a/x.log\n");
        assert_eq!(find(&["-name", "*.log"]), "/a/x.log\n");
        assert_eq!(find(&["-type", "f", "!", "-name", "*.log"]), "/a/b/y.txt\n");
        assert_eq!(find(&["-maxdepth", "1"]), "\n/a\n");
        assert_eq!(ran(&["find", &dir, "-frob"], "").0, 2);
        assert_eq!(ran(&["find", "/no/such"], "").0, 1);
        assert_eq!(out(&["du", "-s", &dir], ""), format!("3\t{dir}\n"));
        assert_eq!(out(&["du", "-sh", &dir], ""), format!("2.9K\t{dir}\n"));
        assert_eq!(
            out(&["stat", "-c", "%s %F", &format!("{dir}/a/x.log")], ""),
            "3000 regular file\n"
        );
        assert!(out(&["df", "-h", &dir], "").contains("2.9K"));
        find(&["-name", "*.txt", "-delete"]);
        assert_eq!(find(&["-type", "f"]), "/a/x.log\n");
    }
}
