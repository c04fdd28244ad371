//! Tools that make, move and remove files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Fault, Outcome, named, usage};
use crate::io::Io;
use crate::options::Given;

fn some(given: &Given) -> Result<&[String], Fault> {
    if given.rest.is_empty() { Err(usage()) } else { Ok(&given.rest) }
}

/// `ls`. WASI has no owners and no permissions: those columns are what they would be for root.
pub fn ls(given: &Given, io: &mut Io) -> Outcome {
    let here = [".".to_owned()];
    let paths = if given.rest.is_empty() { &here[..] } else { &given.rest };
    let mut status = 0;
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut entries = Vec::new();
    for path in paths {
        match fs::symlink_metadata(path) {
            Err(error) => {
                writeln!(io.err, "ls: {path}: {}", super::plain(&error))?;
                status = 1;
            }
            Ok(_) if !given.has('d') && fs::metadata(path).is_ok_and(|m| m.is_dir()) => {
                folders.push(path.into());
            }
            Ok(_) => entries.push((path.clone(), PathBuf::from(path))),
        }
    }
    list(entries, given, io)?;
    let titles = paths.len() > 1 || given.has('R');
    folders.reverse();
    let mut first = true;
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<(String, PathBuf)> = fs::read_dir(&folder)
            .map_err(named(&folder))?
            .filter_map(|e| {
                Some((e.as_ref().ok()?.file_name().into_string().ok()?, e.ok()?.path()))
            })
            .filter(|(n, _)| given.has('a') || given.has('A') || !n.starts_with('.'))
            .collect();
        entries.sort();
        if given.has('a') {
            entries.insert(0, ("..".into(), folder.join("..")));
            entries.insert(0, (".".into(), folder.join(".")));
        }
        if given.has('R') {
            let below = entries.iter().rev().filter(|(n, _)| n != "." && n != "..");
            let is_dir = |p: &PathBuf| fs::symlink_metadata(p).is_ok_and(|m| m.is_dir());
            folders.extend(below.map(|(_, p)| p.clone()).filter(is_dir));
        }
        if titles {
            writeln!(io.out, "{}{}:", if first { "" } else { "\n" }, folder.display())?;
        }
        first = false;
        list(entries, given, io)?;
    }
    Ok(status)
}

fn list(mut entries: Vec<(String, PathBuf)>, given: &Given, io: &mut Io) -> io::Result<()> {
    let modified = |p: &PathBuf| fs::symlink_metadata(p).and_then(|m| m.modified()).ok();
    if given.has('t') {
        entries.sort_by_key(|(_, p)| std::cmp::Reverse(modified(p)));
    }
    if given.has('r') {
        entries.reverse();
    }
    for (name, path) in entries {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let kind = metadata.file_type();
        let mark = if given.has('F') && kind.is_dir() { "/" } else { "" };
        if !given.has('l') && !given.has('n') {
            writeln!(io.out, "{name}{mark}")?;
            continue;
        }
        let mode = match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => "drwxr-xr-x",
            (_, true) => "lrwxrwxrwx",
            _ => "-rw-r--r--",
        };
        let target = fs::read_link(&path).ok().filter(|_| kind.is_symlink());
        let target = target.map_or(String::new(), |t| format!(" -> {}", t.display()));
        let time = metadata.modified().map(super::system::Parts::of).unwrap_or_default();
        let (month, day, [h, m, _]) = (time.month, time.day, time.clock);
        let size = match given.has('h') {
            true => super::disk::human(metadata.len()),
            false => metadata.len().to_string(),
        };
        writeln!(
            io.out,
            "{mode} 1 root root {size:>9} {month} {day} {h}:{m} {name}{mark}{target}"
        )?;
    }
    Ok(())
}

/// Where something goes: into the folder, or to that name.
fn target(to: &str, from: &str) -> PathBuf {
    let to = Path::new(to);
    match Path::new(from).file_name() {
        Some(name) if to.is_dir() => to.join(name),
        _ => to.into(),
    }
}

/// What is moved, and whereto: several things need a folder.
fn pairs(given: &Given) -> Result<Vec<(&String, PathBuf)>, Fault> {
    let Some((to, from)) = given.rest.split_last().filter(|(_, f)| !f.is_empty()) else {
        return Err(usage());
    };
    if from.len() > 1 && !Path::new(to).is_dir() {
        return Err(Fault::Io(io::Error::other(format!("{to}: Not a directory"))));
    }
    Ok(from.iter().map(|f| (f, target(to, f))).collect())
}

/// `cp`.
pub fn cp(given: &Given, _io: &mut Io) -> Outcome {
    let recursive = ['r', 'R', 'a'].iter().any(|c| given.has(*c));
    for (from, to) in pairs(given)? {
        let metadata = fs::metadata(from).map_err(named(from))?;
        if metadata.is_dir() && !recursive {
            return Err(Fault::Io(io::Error::other(format!("{from}: it is a directory: give -r"))));
        }
        let inside = to.starts_with(from) && metadata.is_dir();
        if inside {
            return Err(Fault::Io(io::Error::other(format!(
                "{from}: cannot be copied into itself"
            ))));
        }
        copy(Path::new(from), &to)?;
    }
    Ok(0)
}

fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    if !fs::metadata(from).map_err(named(from))?.is_dir() {
        return fs::copy(from, to).map(drop).map_err(named(from));
    }
    if !to.is_dir() {
        fs::create_dir(to).map_err(named(to))?;
    }
    for entry in fs::read_dir(from).map_err(named(from))? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// `mv`: across volumes it copies.
pub fn mv(given: &Given, _io: &mut Io) -> Outcome {
    for (from, to) in pairs(given)? {
        if given.has('n') && to.exists() {
            continue;
        }
        match fs::rename(from, &to) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                copy(Path::new(from), &to)?;
                remove(Path::new(from)).map_err(named(from))?;
            }
            other => other.map_err(named(from))?,
        }
    }
    Ok(0)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// `rm`.
pub fn rm(given: &Given, _io: &mut Io) -> Outcome {
    if given.rest.is_empty() && !given.has('f') {
        return Err(usage());
    }
    for path in &given.rest {
        let recursive = given.has('r') || given.has('R');
        let gone = if recursive { remove(Path::new(path)) } else { fs::remove_file(path) };
        match gone {
            Err(e) if e.kind() == io::ErrorKind::NotFound && given.has('f') => {}
            other => other.map_err(named(path))?,
        }
    }
    Ok(0)
}

/// `mkdir`.
pub fn mkdir(given: &Given, _io: &mut Io) -> Outcome {
    for path in some(given)? {
        let made = if given.has('p') { fs::create_dir_all(path) } else { fs::create_dir(path) };
        made.map_err(named(path))?;
    }
    Ok(0)
}

/// `rmdir`.
pub fn rmdir(given: &Given, _io: &mut Io) -> Outcome {
    for path in some(given)? {
        fs::remove_dir(path).map_err(named(path))?;
        let above = Path::new(path).ancestors().skip(1).filter(|_| given.has('p'));
        for folder in above.filter(|f| !f.as_os_str().is_empty()) {
            fs::remove_dir(folder).map_err(named(folder))?;
        }
    }
    Ok(0)
}

/// `touch`.
pub fn touch(given: &Given, _io: &mut Io) -> Outcome {
    for path in some(given)? {
        if given.has('c') && !Path::new(path).exists() {
            continue;
        }
        let open = fs::OpenOptions::new().append(true).create(true).open(path);
        open.and_then(|f| f.set_modified(SystemTime::now())).map_err(named(path))?;
    }
    Ok(0)
}

/// `ln`.
pub fn ln(given: &Given, _io: &mut Io) -> Outcome {
    let [from, to] = &given.rest[..] else { return Err(usage()) };
    let to = target(to, from);
    if given.has('f') && fs::symlink_metadata(&to).is_ok() {
        fs::remove_file(&to).map_err(named(&to))?;
    }
    let made = if given.has('s') {
        podlab_guest::program::symlink(from, &to)
    } else {
        fs::hard_link(from, &to)
    };
    made.map_err(named(&to))?;
    Ok(0)
}

/// `readlink`.
pub fn readlink(given: &Given, io: &mut Io) -> Outcome {
    let [path] = &given.rest[..] else { return Err(usage()) };
    let found = match given.has('f') {
        true => fs::canonicalize(path),
        false => fs::read_link(path),
    };
    let Ok(found) = found else { return Ok(1) };
    writeln!(io.out, "{}", found.display())?;
    Ok(0)
}

/// `mktemp`: the first free name.
pub fn mktemp(given: &Given, io: &mut Io) -> Outcome {
    fs::create_dir_all("/tmp").map_err(named("/tmp"))?;
    for n in 0.. {
        let path = format!("/tmp/tmp.{n:06}");
        let made = match given.has('d') {
            true => fs::create_dir(&path),
            false => fs::File::create_new(&path).map(drop),
        };
        match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => {
                other.map_err(named(&path))?;
                writeln!(io.out, "{path}")?;
                break;
            }
        }
    }
    Ok(0)
}

/// `basename`.
pub fn basename(given: &Given, io: &mut Io) -> Outcome {
    let path = given.rest.first().ok_or_else(usage)?.trim_end_matches('/');
    let name = crate::base(path);
    let suffix = given.rest.get(1).map_or("", String::as_str);
    let name = name.strip_suffix(suffix).filter(|n| !n.is_empty()).unwrap_or(name);
    writeln!(io.out, "{}", if name.is_empty() { "/" } else { name })?;
    Ok(0)
}

/// `dirname`.
pub fn dirname(given: &Given, io: &mut Io) -> Outcome {
    let path = given.rest.first().ok_or_else(usage)?;
    let above = match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((above, _)) => above,
        None if path.starts_with('/') => "/",
        None => ".",
    };
    writeln!(io.out, "{above}")?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{folder, out, ran};

    #[test]
    fn files_come_and_go() {
        let dir = folder("files");
        let at = |name: &str| format!("{dir}/{name}");
        out(&["mkdir", "-p", &at("a/b")], "");
        assert_eq!(ran(&["mkdir", &at("a")], "").0, 1);
        out(&["touch", &at("a/f"), &at(".hidden")], "");
        out(&["cp", &at("a/f"), &at("g")], "");
        assert_eq!(ran(&["cp", &at("a"), &at("c")], "").0, 1, "a folder needs -r");
        out(&["cp", "-r", &at("a"), &at("c")], "");
        assert_eq!(ran(&["cp", "-r", &at("a"), &at("a/b")], "").0, 1);
        assert_eq!(out(&["ls", &dir], ""), "a\nc\ng\n");
        assert_eq!(out(&["ls", "-A", &dir], ""), ".hidden\na\nc\ng\n");
        assert_eq!(out(&["ls", &at("c")], ""), "b\nf\n");
        out(&["mv", &at("g"), &at("a/b")], "");
        assert_eq!(out(&["ls", &at("a/b")], ""), "g\n");
        assert!(out(&["ls", "-l", &dir], "").starts_with("drwxr-xr-x 1 root root "));
        assert!(out(&["ls", "-R", &dir], "").contains(&format!("\n\n{dir}/a/b:\ng\n")));
        let (status, _, err) = ran(&["ls", &at("none"), &dir], "");
        assert_eq!((status, err), (1, format!("ls: {dir}/none: No such file or directory\n")));
        assert_eq!(ran(&["rm", &at("a")], "").0, 1);
        assert_eq!(ran(&["rmdir", &at("a")], "").0, 1);
        out(&["rm", "-rf", &at("a"), &at("none")], "");
        out(&["ln", "-s", "c/f", &at("link")], "");
        assert_eq!(out(&["readlink", &at("link")], ""), "c/f\n");
        assert!(out(&["ls", "-l", &at("link")], "").ends_with("link -> c/f\n"));
        assert_eq!(ran(&["mv", &at("c"), &at("x"), &at("link")], "").0, 1);
    }

    #[test]
    fn parts_of_paths() {
        assert_eq!(out(&["basename", "/a/b.txt", ".txt"], ""), "b\n");
        assert_eq!(out(&["dirname", "/a/b"], ""), "/a\n");
        assert_eq!(out(&["dirname", "a"], ""), ".\n");
        assert_eq!(out(&["dirname", "/a"], ""), "/\n");
    }
}
