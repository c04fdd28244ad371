//! The tools.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use crate::Io;

/// All that can be called.
pub const NAMES: &[&str] = &[
    "sh", "cat", "ls", "ps", "env", "wget", "nc", "echo", "sleep", "head", "tail", "wc", "grep",
    "date", "true", "false", "test", "[", "mkdir", "rm", "mv", "cp", "touch", "seq", "printf",
    "hostname", "id", "nslookup", "stat", "pwd",
];

/// Runs one; its exit status.
pub fn run(args: &[String], io: &mut Io<'_>) -> i32 {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some((name, rest)) = words.split_first() else { return 0 };
    match call(name, rest, io) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("{name}: {error}");
            1
        }
    }
}

fn named(path: &str) -> impl Fn(io::Error) -> io::Error + '_ {
    move |e| io::Error::new(e.kind(), format!("{path}: {e}"))
}

fn usage(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("usage: {text}"))
}

/// The contents of the files, or of standard input if there is none.
fn contents(files: &[&str], io: &mut Io<'_>) -> io::Result<Vec<u8>> {
    if files.is_empty() {
        return io.read_all();
    }
    let mut out = Vec::new();
    for file in files {
        match *file {
            "-" => out.extend(io.read_all()?),
            file => out.extend(fs::read(file).map_err(named(file))?),
        }
    }
    Ok(out)
}

fn call(name: &str, args: &[&str], io: &mut Io<'_>) -> io::Result<i32> {
    let (flags, plain): (Vec<&str>, Vec<&str>) =
        args.iter().partition(|a| a.len() > 1 && a.starts_with('-'));
    let flag = |c: char| flags.iter().any(|f| f.contains(c));
    match name {
        "true" => {}
        "false" => return Ok(1),
        "echo" => {
            let (bare, words) = match args.split_first() {
                Some((&"-n", rest)) => (true, rest),
                _ => (false, args),
            };
            write!(io.out, "{}{}", words.join(" "), if bare { "" } else { "\n" })?;
        }
        "printf" => write!(io.out, "{}", printf(args))?,
        "cat" => {
            let bytes = contents(args, io)?;
            io.out.write_all(&bytes)?;
        }
        "ls" => ls(&plain, flag('l'), flag('a'), io)?,
        "ps" => ps(io)?,
        "env" => {
            for (key, value) in std::env::vars() {
                writeln!(io.out, "{key}={value}")?;
            }
        }
        "pwd" => writeln!(io.out, "/")?,
        "sleep" => {
            let seconds = args.first().and_then(|a| a.parse::<f64>().ok());
            let time = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
            std::thread::sleep(time.ok_or_else(|| usage("sleep SECONDS"))?);
        }
        "head" | "tail" => {
            let (count, follow, files) = ends(args)?;
            let bytes = contents(&files, io)?;
            let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
            let n = count.min(lines.len());
            let part = if name == "head" { &lines[..n] } else { &lines[lines.len() - n..] };
            io.out.write_all(&part.concat())?;
            if let (true, "tail", [file]) = (follow, name, &files[..]) {
                tail_follow(file, bytes.len() as u64, io)?;
            }
        }
        "wc" => {
            let bytes = contents(&plain, io)?;
            let lines = bytes.iter().filter(|b| **b == b'\n').count();
            let words = String::from_utf8_lossy(&bytes).split_whitespace().count();
            match (flag('l'), flag('w'), flag('c')) {
                (true, ..) => writeln!(io.out, "{lines}")?,
                (_, true, _) => writeln!(io.out, "{words}")?,
                (_, _, true) => writeln!(io.out, "{}", bytes.len())?,
                _ => writeln!(io.out, "{lines} {words} {}", bytes.len())?,
            }
        }
        "grep" => {
            let (wanted, files) =
                plain.split_first().ok_or_else(|| usage("grep [-ivcq] TEXT [FILE]"))?;
            let bytes = contents(files, io)?;
            let lower = |t: &str| if flag('i') { t.to_lowercase() } else { t.to_owned() };
            let text = String::from_utf8_lossy(&bytes);
            let hit = |l: &&str| lower(l).contains(&lower(wanted)) != flag('v');
            let found: Vec<&str> = text.lines().filter(hit).collect();
            if flag('c') {
                writeln!(io.out, "{}", found.len())?;
            } else if !flag('q') {
                for line in &found {
                    writeln!(io.out, "{line}")?;
                }
            }
            return Ok(i32::from(found.is_empty()));
        }
        "date" => {
            let now = SystemTime::now();
            match args.first() {
                Some(&"+%s") => {
                    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    writeln!(io.out, "{}", since.as_secs())?;
                }
                _ => writeln!(io.out, "{}", podlab_guest::http::http_date(now))?,
            }
        }
        "test" | "[" => {
            let args = if name == "[" { args.strip_suffix(&["]"]).unwrap_or(args) } else { args };
            return Ok(i32::from(!test(args)?));
        }
        "mkdir" => {
            for path in &plain {
                let made = if flag('p') { fs::create_dir_all(path) } else { fs::create_dir(path) };
                made.map_err(named(path))?;
            }
        }
        "rm" => {
            for path in &plain {
                let folder = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
                let gone = match folder && flag('r') {
                    true => fs::remove_dir_all(path),
                    false => fs::remove_file(path),
                };
                match gone {
                    Err(e) if e.kind() == io::ErrorKind::NotFound && flag('f') => {}
                    other => other.map_err(named(path))?,
                }
            }
        }
        "mv" | "cp" => {
            let [from, to] = plain[..] else { return Err(usage("mv|cp FROM TO")) };
            let mut target = std::path::PathBuf::from(to);
            if target.is_dir() {
                target.push(std::path::Path::new(from).file_name().unwrap_or_default());
            }
            match name {
                "mv" => fs::rename(from, target).map_err(named(from))?,
                _ => drop(fs::copy(from, target).map_err(named(from))?),
            }
        }
        "touch" => {
            for path in &plain {
                let open = fs::OpenOptions::new().append(true).create(true).open(path);
                open.and_then(|f| f.set_modified(SystemTime::now())).map_err(named(path))?;
            }
        }
        "seq" => {
            let numbers: Vec<i64> = args.iter().filter_map(|a| a.parse().ok()).collect();
            let range = match numbers[..] {
                [last] => 1..=last,
                [first, last] => first..=last,
                _ => return Err(usage("seq [FIRST] LAST")),
            };
            for n in range {
                writeln!(io.out, "{n}")?;
            }
        }
        "hostname" => {
            let file = fs::read_to_string("/etc/hostname").map(|t| t.trim().to_owned());
            let name = std::env::var("HOSTNAME").or(file).unwrap_or_else(|_| "localhost".into());
            writeln!(io.out, "{name}")?;
        }
        "id" => writeln!(io.out, "uid=0(root) gid=0(root)")?,
        "stat" => {
            for path in &plain {
                let m = fs::metadata(path).map_err(named(path))?;
                let kind = if m.is_dir() { "directory" } else { "file" };
                let time = m.modified().map(podlab_guest::http::http_date).unwrap_or_default();
                writeln!(io.out, "{path}: {kind}, {} bytes, modified {time}", m.len())?;
            }
        }
        "wget" => return crate::net::wget(args, io),
        "nc" => return crate::net::nc(args, io),
        "nslookup" => return crate::net::nslookup(args, io),
        _ => {
            eprintln!("{name}: not found");
            return Ok(127);
        }
    }
    Ok(0)
}

/// `-n N`, `-N`, `-f`, files.
fn ends<'a>(args: &[&'a str]) -> io::Result<(usize, bool, Vec<&'a str>)> {
    let (mut count, mut follow, mut files) = (10, false, Vec::new());
    let mut args = args.iter();
    let number = |t: Option<&str>| {
        t.and_then(|t| t.parse().ok()).ok_or_else(|| usage("head|tail [-n N] [-f] [FILE]"))
    };
    while let Some(arg) = args.next() {
        match arg.strip_prefix('-') {
            Some("n") => count = number(args.next().copied())?,
            Some("f") => follow = true,
            Some(n) if !n.is_empty() => count = number(Some(n.trim_start_matches('n')))?,
            _ => files.push(*arg),
        }
    }
    Ok((count, follow, files))
}

/// Files have no readiness in WASI: it looks once a second.
fn tail_follow(path: &str, mut offset: u64, io: &mut Io<'_>) -> io::Result<()> {
    use std::io::{Read, Seek};
    loop {
        io.out.flush()?;
        std::thread::sleep(Duration::from_secs(1));
        let mut file = fs::File::open(path).map_err(named(path))?;
        if file.metadata()?.len() < offset {
            offset = 0;
        }
        file.seek(io::SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(1 << 20).read_to_end(&mut bytes)?;
        offset += bytes.len() as u64;
        io.out.write_all(&bytes)?;
    }
}

fn ls(paths: &[&str], long: bool, all: bool, io: &mut Io<'_>) -> io::Result<()> {
    let paths = if paths.is_empty() { &["."][..] } else { paths };
    for path in paths {
        let metadata = fs::metadata(path).map_err(named(path))?;
        let mut names = vec![(*path).to_owned()];
        if metadata.is_dir() {
            let entries = fs::read_dir(path).map_err(named(path))?;
            let entries = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
            names = entries.filter(|n| all || !n.starts_with('.')).collect();
            names.sort();
        }
        for name in names {
            let full = if metadata.is_dir() { format!("{path}/{name}") } else { name.clone() };
            match fs::metadata(&full).ok().filter(|_| long) {
                Some(m) => {
                    let kind = if m.is_dir() { 'd' } else { '-' };
                    writeln!(io.out, "{kind} {:>10} {name}", m.len())?;
                }
                None => writeln!(io.out, "{name}")?,
            }
        }
    }
    Ok(())
}

fn ps(io: &mut Io<'_>) -> io::Result<()> {
    let mut pids: Vec<u64> = fs::read_dir("/proc")
        .map_err(named("/proc"))?
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    writeln!(io.out, "{:>5} COMMAND", "PID")?;
    for pid in pids {
        // It may be gone by now.
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        writeln!(io.out, "{pid:>5} {}", String::from_utf8_lossy(&line).replace('\0', " "))?;
    }
    Ok(())
}

fn printf(args: &[&str]) -> String {
    let Some((format, mut args)) = args.split_first() else { return String::new() };
    let (mut out, mut chars) = (String::new(), format.chars());
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(next)) => {
                chars.next();
                out.push(match next {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            ('%', Some('%')) => out.push(chars.next().unwrap_or('%')),
            ('%', Some('s' | 'd')) => {
                chars.next();
                if let Some((first, rest)) = args.split_first() {
                    out.push_str(first);
                    args = rest;
                }
            }
            _ => out.push(c),
        }
    }
    out
}

fn test(args: &[&str]) -> io::Result<bool> {
    let number = |t: &str| t.parse::<i64>().map_err(|_| usage("test: that is no number"));
    Ok(match args {
        [] => false,
        ["!", rest @ ..] => !test(rest)?,
        ["-e", path] => fs::metadata(path).is_ok(),
        ["-f", path] => fs::metadata(path).is_ok_and(|m| m.is_file()),
        ["-d", path] => fs::metadata(path).is_ok_and(|m| m.is_dir()),
        ["-s", path] => fs::metadata(path).is_ok_and(|m| m.len() > 0),
        ["-z", text] => text.is_empty(),
        ["-n", text] | [text] => !text.is_empty(),
        [a, "=" | "==", b] => a == b,
        [a, "!=", b] => a != b,
        [a, "-eq", b] => number(a)? == number(b)?,
        [a, "-ne", b] => number(a)? != number(b)?,
        [a, "-lt", b] => number(a)? < number(b)?,
        [a, "-le", b] => number(a)? <= number(b)?,
        [a, "-gt", b] => number(a)? > number(b)?,
        [a, "-ge", b] => number(a)? >= number(b)?,
        _ => return Err(usage("test EXPRESSION")),
    })
}
