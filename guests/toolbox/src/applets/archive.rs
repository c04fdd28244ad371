//! `tar`: what `kubectl cp` speaks. Writes ustar, with GNU's long names; reads those and pax.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::{Fault, Outcome, named, usage};
use crate::io::Io;
use crate::options::Given;

const BLOCK: usize = 512;

fn broken(why: &str) -> Fault {
    Fault::Io(io::Error::new(io::ErrorKind::InvalidData, format!("this is no tar archive: {why}")))
}

#[derive(Default)]
struct Orders {
    mode: Option<char>,
    file: Option<String>,
    folder: PathBuf,
    verbose: bool,
    keep_time: bool,
    strip: usize,
    paths: Vec<(PathBuf, String)>,
}

/// The first word needs no dash, `-C` holds for what comes after it, and flags can be bundled.
fn orders(words: &[String]) -> Result<Orders, Fault> {
    let mut orders = Orders { keep_time: true, ..Orders::default() };
    let mut words = words.iter().enumerate();
    while let Some((n, word)) = words.next() {
        let mut value = |flag: &str| {
            words
                .next()
                .map(|(_, w)| w.clone())
                .ok_or_else(|| Fault::Usage(format!("{flag} needs a value")))
        };
        if let Some(long) = word.strip_prefix("--") {
            let (name, given) =
                long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            let mut text = || given.clone().map_or_else(|| value(word), Ok);
            match name {
                "create" => orders.mode = Some('c'),
                "extract" | "get" => orders.mode = Some('x'),
                "list" => orders.mode = Some('t'),
                "file" => orders.file = Some(text()?),
                "directory" => orders.folder = text()?.into(),
                "verbose" => orders.verbose = true,
                "touch" => orders.keep_time = false,
                "strip-components" => {
                    orders.strip = text()?
                        .parse()
                        .map_err(|_| Fault::Usage("--strip-components needs a number".into()))?;
                }
                "no-same-owner" | "no-same-permissions" | "same-permissions" | "" => {}
                _ => return Err(Fault::Usage(format!("unrecognized option '{word}'"))),
            }
            continue;
        }
        let flags = match word.strip_prefix('-') {
            Some(flags) if !flags.is_empty() => flags,
            None if n == 0 => word,
            _ => {
                orders.paths.push((orders.folder.clone(), word.clone()));
                continue;
            }
        };
        for flag in flags.chars() {
            match flag {
                'c' | 'x' | 't' => orders.mode = Some(flag),
                'f' => orders.file = Some(value("-f")?),
                'C' => orders.folder = value("-C")?.into(),
                'v' => orders.verbose = true,
                'm' => orders.keep_time = false,
                'p' | 'o' => {}
                'z' | 'j' | 'J' => {
                    return Err(Fault::Usage(format!("-{flag}: compression is not known here")));
                }
                _ => return Err(Fault::Usage(format!("unrecognized option '-{flag}'"))),
            }
        }
    }
    Ok(orders)
}

/// `tar`.
pub fn tar(given: &Given, io: &mut Io) -> Outcome {
    let orders = orders(&given.rest)?;
    let file = orders.file.as_deref().filter(|f| *f != "-");
    match orders.mode.ok_or_else(usage)? {
        'c' => {
            if orders.paths.is_empty() {
                return Err(Fault::Usage("there is nothing to put into an archive".into()));
            }
            let mut out: Box<dyn Write> = match file {
                Some(file) => Box::new(fs::File::create(file).map_err(named(file))?),
                None => Box::new(io.out.clone()),
            };
            for (folder, path) in &orders.paths {
                // As tar does: names in an archive are relative.
                let name = path.trim_start_matches('/');
                let name = if name.is_empty() { "." } else { name };
                add(&folder.join(path), name, orders.verbose, &mut out, io)?;
            }
            out.write_all(&[0; 2 * BLOCK])?;
            out.flush()?;
            Ok(0)
        }
        mode => {
            let mut input: Box<dyn Read> = match file {
                Some(file) => Box::new(fs::File::open(file).map_err(named(file))?),
                None => Box::new(io.input.clone()),
            };
            read(&mut input, mode == 'x', &orders, io)
        }
    }
}

/// A number as octal digits that fill a field but for its last byte.
fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    let start = digits.len().saturating_sub(width);
    field[..width].copy_from_slice(&digits.as_bytes()[start..]);
}

fn header(name: &str, kind: u8, size: u64, time: u64, link: &str) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let put = |block: &mut [u8; BLOCK], at: usize, most: usize, text: &str| {
        let n = text.len().min(most);
        block[at..at + n].copy_from_slice(&text.as_bytes()[..n]);
    };
    put(&mut block, 0, 100, name);
    octal(&mut block[100..108], if kind == b'5' { 0o755 } else { 0o644 });
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], size);
    octal(&mut block[136..148], time);
    block[148..156].fill(b' ');
    block[156] = kind;
    put(&mut block, 157, 100, link);
    put(&mut block, 257, 8, "ustar\x0000");
    put(&mut block, 265, 32, "root");
    put(&mut block, 297, 32, "root");
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    octal(&mut block[148..155], sum);
    block
}

fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn add(
    path: &Path,
    name: &str,
    verbose: bool,
    out: &mut dyn Write,
    io: &mut Io,
) -> Result<(), Fault> {
    let metadata = fs::symlink_metadata(path).map_err(named(path))?;
    let time = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let time = time.map_or(0, |d| d.as_secs());
    let (kind, link) = match (metadata.is_dir(), metadata.is_symlink()) {
        (true, _) => (b'5', String::new()),
        (_, true) => (b'2', fs::read_link(path).map_err(named(path))?.display().to_string()),
        _ if metadata.is_file() => (b'0', String::new()),
        _ => return Ok(()),
    };
    let name =
        if kind == b'5' { format!("{}/", name.trim_end_matches('/')) } else { name.to_owned() };
    if verbose {
        writeln!(io.err, "{name}")?;
    }
    for (long, kind) in [(&name, b'L'), (&link, b'K')] {
        if long.len() > 100 {
            let size = long.len() as u64 + 1;
            out.write_all(&header("././@LongLink", kind, size, 0, ""))?;
            out.write_all(long.as_bytes())?;
            out.write_all(&vec![0; 1 + padding(size)])?;
        }
    }
    let body = if kind == b'0' { fs::read(path).map_err(named(path))? } else { Vec::new() };
    let size = body.len() as u64;
    out.write_all(&header(&name, kind, size, time, &link))?;
    out.write_all(&body)?;
    out.write_all(&vec![0; padding(size)])?;
    if kind == b'5' {
        let mut names: Vec<String> = fs::read_dir(path)
            .map_err(named(path))?
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        for entry in names {
            add(&path.join(&entry), &format!("{name}{entry}"), verbose, out, io)?;
        }
    }
    Ok(())
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn value(field: &[u8]) -> Result<u64, Fault> {
    let text = text(field);
    let text = text.trim();
    if text.is_empty() {
        Ok(0)
    } else {
        u64::from_str_radix(text, 8).map_err(|_| broken("a number is none"))
    }
}

/// `path` and `linkpath` of a pax header: lines "LENGTH KEY=VALUE".
fn pax(body: &[u8], name: &mut Option<String>, link: &mut Option<String>) {
    for line in String::from_utf8_lossy(body).lines() {
        match line.split_once(' ').and_then(|(_, pair)| pair.split_once('=')) {
            Some(("path", value)) => *name = Some(value.to_owned()),
            Some(("linkpath", value)) => *link = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// Where an entry goes; `None` for what would leave the folder.
fn inside(name: &str, strip: usize) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in Path::new(name.trim_start_matches('/')).components() {
        match part {
            Component::Normal(part) => out.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(out.components().skip(strip).collect())
}

fn read(input: &mut dyn Read, extract: bool, orders: &Orders, io: &mut Io) -> Outcome {
    let (mut name, mut link) = (None, None);
    let mut block = [0; BLOCK];
    let mut status = 0;
    let mut first = true;
    loop {
        match input.read_exact(&mut block) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && !first => break,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(broken("it is too short"));
            }
            other => other?,
        }
        first = false;
        if block.iter().all(|b| *b == 0) {
            // Whoever sends it may still be sending zeros.
            io::copy(input, &mut io::sink())?;
            break;
        }
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(n, b)| if (148..156).contains(&n) { 32 } else { u64::from(*b) })
            .sum();
        if value(&block[148..156])? != sum {
            return Err(broken("a checksum is wrong"));
        }
        let (size, kind) = (value(&block[124..136])?, block[156]);
        if matches!(kind, b'L' | b'K' | b'x' | b'g') {
            if size > 1 << 20 {
                return Err(broken("a name is too long"));
            }
            let mut body = vec![0; size as usize + padding(size)];
            input.read_exact(&mut body)?;
            body.truncate(size as usize);
            match kind {
                b'L' => name = Some(text(&body)),
                b'K' => link = Some(text(&body)),
                b'x' => pax(&body, &mut name, &mut link),
                _ => {}
            }
            continue;
        }
        let short = match (text(&block[345..500]), text(&block[..100])) {
            (prefix, name) if prefix.is_empty() || &block[257..262] != b"ustar" => name,
            (prefix, name) => format!("{prefix}/{name}"),
        };
        let (name, link) =
            (name.take().unwrap_or(short), link.take().unwrap_or_else(|| text(&block[157..257])));
        let wanted = orders.paths.is_empty()
            || orders
                .paths
                .iter()
                .any(|(_, p)| Path::new(&name).starts_with(p.trim_start_matches("./")));
        let mut body = (&mut *input as &mut dyn Read).take(size);
        if wanted && !extract {
            writeln!(io.out, "{name}")?;
        } else if wanted {
            match inside(&name, orders.strip) {
                None => {
                    writeln!(io.err, "tar: {name}: leaves the folder, left out")?;
                    status = 1;
                }
                Some(path) if path.as_os_str().is_empty() => {}
                Some(path) => {
                    if orders.verbose {
                        writeln!(io.err, "{name}")?;
                    }
                    let time = orders.keep_time.then_some(value(&block[136..148])?);
                    unpack(&orders.folder.join(path), kind, &link, time, &mut body)?;
                }
            }
        }
        let left = body.limit();
        let skip = left + padding(size) as u64;
        if io::copy(&mut (&mut *input).take(skip), &mut io::sink())? < skip {
            return Err(broken("it ends in the middle of a file"));
        }
    }
    Ok(status)
}

fn unpack(
    path: &Path,
    kind: u8,
    link: &str,
    time: Option<u64>,
    body: &mut dyn Read,
) -> Result<(), Fault> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).map_err(named(above))?;
    }
    // What is there is replaced; a link is not written through.
    let there = fs::symlink_metadata(path).ok();
    if there.is_some_and(|m| m.is_symlink() || kind == b'2' && m.is_file()) {
        fs::remove_file(path).map_err(named(path))?;
    }
    match kind {
        b'5' => fs::create_dir_all(path).map_err(named(path)),
        b'0' | 0 | b'7' => {
            let mut file = fs::File::create(path).map_err(named(path))?;
            io::copy(body, &mut file).map_err(named(path))?;
            if let Some(seconds) = time {
                file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
                    .map_err(named(path))?;
            }
            Ok(())
        }
        b'2' => podlab_guest::program::symlink(link, path).map_err(named(path)),
        other => Err(Fault::Io(io::Error::other(format!(
            "{}: an entry of kind {:?} is not known",
            path.display(),
            char::from(other)
        )))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applets::tests::folder;
    use crate::io::{Sink, Source};

    fn run(words: &[&str], input: Vec<u8>) -> (i32, Vec<u8>, String) {
        let ((out, bytes), (err, errors)) = (Sink::buffer(), Sink::buffer());
        let mut io = Io { input: Source::bytes(input), out, err, env: Default::default() };
        let words: Vec<String> = ["tar"].iter().chain(words).map(|w| (*w).to_owned()).collect();
        let status = crate::applets::run(&words, &mut io);
        let errors = String::from_utf8(errors.borrow().clone()).unwrap();
        (status, bytes.borrow().clone(), errors)
    }

    #[test]
    fn as_kubectl_cp_does() {
        let dir = folder("tar");
        let long = "n".repeat(120);
        fs::create_dir_all(format!("{dir}/from/sub")).unwrap();
        fs::write(format!("{dir}/from/a"), "one").unwrap();
        fs::write(format!("{dir}/from/sub/{long}"), vec![7; 1000]).unwrap();
        // Out of a container, and into one.
        let (status, archive, errors) = run(&["cf", "-", &format!("{dir}/from")], Vec::new());
        assert_eq!((status, errors.as_str()), (0, ""));
        assert_eq!(archive.len() % BLOCK, 0);
        let name = dir.trim_start_matches('/');
        let (_, list, _) = run(&["tf", "-"], archive.clone());
        let list = String::from_utf8(list).unwrap();
        assert_eq!(
            list,
            format!("{name}/from/\n{name}/from/a\n{name}/from/sub/\n{name}/from/sub/{long}\n")
        );
        fs::create_dir(format!("{dir}/to")).unwrap();
        let to = format!("{dir}/to");
        assert_eq!(run(&["-xmf", "-", "-C", &to], archive).0, 0);
        assert_eq!(fs::read_to_string(format!("{to}/{name}/from/a")).unwrap(), "one");
        assert_eq!(fs::read(format!("{to}/{name}/from/sub/{long}")).unwrap(), vec![7; 1000]);
    }

    #[test]
    fn relative_paths_files_and_stripping() {
        let dir = folder("tar2");
        fs::create_dir_all(format!("{dir}/x/y")).unwrap();
        fs::write(format!("{dir}/x/y/f"), "text").unwrap();
        let file = format!("{dir}/a.tar");
        assert_eq!(run(&["-c", "-f", &file, "-C", &dir, "x"], Vec::new()).0, 0);
        let out = format!("{dir}/out");
        fs::create_dir(&out).unwrap();
        assert_eq!(run(&["xf", &file, "-C", &out, "--strip-components=1"], Vec::new()).0, 0);
        assert_eq!(fs::read_to_string(format!("{out}/y/f")).unwrap(), "text");
        let (_, list, _) = run(&["tf", &file, "x/y"], Vec::new());
        assert_eq!(list, b"x/y/\nx/y/f\n");
    }

    #[test]
    fn bad_archives_are_refused() {
        let dir = folder("tar3");
        let extract = |archive: Vec<u8>| run(&["xf", "-", "-C", &dir], archive);
        assert_eq!(extract(Vec::new()).0, 1);
        assert_eq!(extract(vec![b'x'; 1024]).0, 1);
        let climbing = [&header("../../evil", b'0', 0, 0, "")[..], &[0; 1024]].concat();
        let (status, _, errors) = extract(climbing);
        assert_eq!(
            (status, errors.as_str()),
            (1, "tar: ../../evil: leaves the folder, left out\n")
        );
        let cut = header("f", b'0', 600, 0, "").to_vec();
        assert_eq!(extract(cut).0, 1);
        for wrong in [&["-q"][..], &["xzf", "-"], &["--nope"], &[], &["cf", "-"], &["xf"]] {
            assert_eq!(run(wrong, Vec::new()).0, 2, "{wrong:?}");
        }
        assert_eq!(run(&["cf", "-", "/no/such"], Vec::new()).0, 1);
    }
}
