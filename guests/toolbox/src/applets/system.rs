//! Tools about the system, the time, and other commands.

use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::{Fault, Outcome, is_known, named, usage};
use crate::io::Io;
use crate::options::Given;

/// `echo`.
pub fn echo(given: &Given, io: &mut Io) -> Outcome {
    let (mut bare, mut escapes, mut words) = (false, false, &given.rest[..]);
    while let [first, rest @ ..] = words {
        match first.strip_prefix('-') {
            Some(flags) if !flags.is_empty() && flags.chars().all(|c| "neE".contains(c)) => {
                bare |= flags.contains('n');
                escapes |= flags.contains('e');
                words = rest;
            }
            _ => break,
        }
    }
    let mut text = words.join(" ");
    if escapes {
        text = unescape(&text);
    }
    write!(io.out, "{text}{}", if bare { "" } else { "\n" })?;
    Ok(0)
}

/// `\n`, `\t`, `\\`, `\033`, `\x1b`.
fn unescape(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let number = |digits: &str, most: usize, radix: u32| {
            let n = digits.chars().take(most).take_while(|c| c.is_digit(radix)).count();
            u32::from_str_radix(&digits[..n], radix).ok().and_then(char::from_u32).map(|c| (c, n))
        };
        let Some(c) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        let (c, length) = match c {
            'n' => ('\n', 1),
            't' => ('\t', 1),
            'r' => ('\r', 1),
            'a' => ('\x07', 1),
            'e' => ('\x1b', 1),
            '\\' => ('\\', 1),
            '0'..='7' => number(rest, 4, 8).unwrap_or(('\0', 1)),
            'x' => number(&rest[1..], 2, 16).map_or(('x', 1), |(c, n)| (c, n + 1)),
            other => {
                out.push('\\');
                (other, other.len_utf8())
            }
        };
        out.push(c);
        rest = &rest[length..];
    }
    out + rest
}

/// `printf`: the format is used again while there are words.
pub fn printf(given: &Given, io: &mut Io) -> Outcome {
    let (format, mut words) = given
        .rest
        .split_first()
        .ok_or_else(|| Fault::Usage("usage: printf FORMAT [WORD...]".into()))?;
    let format = unescape(format);
    loop {
        let before = words.len();
        let mut chars = format.chars().peekable();
        let mut out = String::new();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut spec = String::new();
            while let Some(c) = chars.next_if(|c| "-0123456789.+ ".contains(*c)) {
                spec.push(c);
            }
            let kind = chars.next().unwrap_or('%');
            if kind == '%' {
                out.push('%');
                continue;
            }
            let word = words.split_first().map(|(first, rest)| {
                words = rest;
                first.as_str()
            });
            let word = word.unwrap_or("");
            let (width, precision) = spec.split_once('.').unwrap_or((&spec, ""));
            let number = || match word.trim() {
                "" => Ok(0.0),
                text => {
                    text.parse::<f64>().map_err(|_| Fault::Usage(format!("'{text}' is no number")))
                }
            };
            let value = match kind {
                's' => match precision.parse::<usize>() {
                    Ok(n) => word.chars().take(n).collect(),
                    Err(_) => word.to_owned(),
                },
                'b' => unescape(word),
                'c' => word.chars().take(1).collect(),
                'd' | 'i' | 'u' => format!("{:.0}", number()?.trunc()),
                'f' => format!("{:.*}", precision.parse().unwrap_or(6), number()?),
                'x' => format!("{:x}", number()? as i64),
                'X' => format!("{:X}", number()? as i64),
                'o' => format!("{:o}", number()? as i64),
                other => return Err(Fault::Usage(format!("%{other} is not known"))),
            };
            let left = width.starts_with('-');
            let zero = width.starts_with('0') && kind != 's';
            let most =
                width.trim_start_matches(['-', '+', ' ']).parse::<usize>().unwrap_or(0).min(10_000);
            out.push_str(&match (left, zero) {
                (true, _) => format!("{value:<most$}"),
                (_, true) => match value.strip_prefix('-') {
                    Some(digits) => format!("-{digits:0>w$}", w = most.saturating_sub(1)),
                    None => format!("{value:0>most$}"),
                },
                _ => format!("{value:>most$}"),
            });
        }
        io.out.write_all(out.as_bytes())?;
        if words.is_empty() || words.len() == before {
            return Ok(0);
        }
    }
}

/// A time in UTC.
#[derive(Default)]
pub struct Parts {
    /// "Sun".
    pub weekday: String,
    /// "06".
    pub day: String,
    /// "Nov".
    pub month: String,
    /// "1994".
    pub year: String,
    /// "08", "49", "37".
    pub clock: [String; 3],
}

impl Parts {
    /// Those of an instant.
    pub fn of(time: SystemTime) -> Parts {
        // "Sun, 06 Nov 1994 08:49:37 GMT"
        let text = podlab_guest::http::http_date(time);
        let words: Vec<String> =
            text.split([' ', ':', ',']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        let Ok([weekday, day, month, year, h, m, s, _]) = <[String; 8]>::try_from(words) else {
            return Parts::default();
        };
        Parts { weekday, day, month, year, clock: [h, m, s] }
    }
}

/// `date`, in UTC: a world has no other zone.
pub fn date(given: &Given, io: &mut Io) -> Outcome {
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let Parts { weekday, day, month, year, clock: [h, m, s] } = Parts::of(now);
    let format = match given.rest.first() {
        None => "%a %b %e %H:%M:%S UTC %Y",
        Some(word) => word.strip_prefix('+').ok_or_else(usage)?,
    };
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = MONTHS.iter().position(|n| *n == month).map_or(0, |n| n + 1);
    let (mut out, mut chars) = (String::new(), format.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out.push_str(&match chars.next() {
            Some('Y') => year.clone(),
            Some('y') => year[2..].to_owned(),
            Some('m') => format!("{number:02}"),
            Some('d') => day.clone(),
            Some('e') => format!("{:>2}", day.trim_start_matches('0')),
            Some('H') => h.clone(),
            Some('M') => m.clone(),
            Some('S') => s.clone(),
            Some('s') => since.as_secs().to_string(),
            Some('N') => format!("{:09}", since.subsec_nanos()),
            Some('a') => weekday.clone(),
            Some('b' | 'h') => month.clone(),
            Some('F') => format!("{year}-{number:02}-{day}"),
            Some('T') => format!("{h}:{m}:{s}"),
            Some('Z') => "UTC".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('n') => "\n".to_owned(),
            Some('%') | None => "%".to_owned(),
            Some(other) => return Err(Fault::Usage(format!("%{other} is not known"))),
        });
    }
    writeln!(io.out, "{out}")?;
    Ok(0)
}

/// `sleep`: `1`, `0.5`, `2m`.
pub fn sleep(given: &Given, _io: &mut Io) -> Outcome {
    let mut total = Duration::ZERO;
    for word in &given.rest {
        let wrong = || Fault::Usage(format!("invalid time interval '{word}'"));
        total += match word.as_str() {
            "infinity" | "inf" => Duration::from_secs(u64::from(u32::MAX)),
            text => podlab_guest::args::duration(text).ok_or_else(wrong)?,
        };
    }
    if given.rest.is_empty() {
        return Err(usage());
    }
    std::thread::sleep(total);
    Ok(0)
}

/// `seq`.
pub fn seq(given: &Given, io: &mut Io) -> Outcome {
    let wrong = |w: &String| Fault::Usage(format!("seq: '{w}' is no whole number"));
    let numbers: Vec<i64> =
        given.rest.iter().map(|w| w.parse().map_err(|_| wrong(w))).collect::<Result<_, _>>()?;
    let (first, step, last) = match numbers[..] {
        [last] => (1, 1, last),
        [first, last] => (first, 1, last),
        [first, step, last] if step != 0 => (first, step, last),
        _ => return Err(Fault::Usage("usage: seq [FIRST [STEP]] LAST".into())),
    };
    let mut n = first;
    while if step > 0 { n <= last } else { n >= last } {
        writeln!(io.out, "{n}")?;
        match n.checked_add(step) {
            Some(next) => n = next,
            None => break,
        }
    }
    Ok(0)
}

/// `env`: shows the environment, or runs a command with more of it.
pub fn env(given: &Given, io: &mut Io) -> Outcome {
    let mut words = &given.rest[..];
    let mut env = (*io.env).clone();
    while let [first, rest @ ..] = words {
        let Some((name, value)) = first.split_once('=') else { break };
        env.insert(name.to_owned(), value.to_owned());
        words = rest;
    }
    if !words.is_empty() {
        let mut io = Io { env: Rc::new(env), ..io.clone() };
        return Ok(super::run(words, &mut io));
    }
    for (key, value) in env {
        writeln!(io.out, "{key}={value}")?;
    }
    Ok(0)
}

/// `hostname`.
pub fn hostname(given: &Given, io: &mut Io) -> Outcome {
    let file = std::fs::read_to_string("/etc/hostname").ok().map(|t| t.trim().to_owned());
    let name = io.env.get("HOSTNAME").cloned().or(file).unwrap_or_else(|| "localhost".into());
    if given.has('i') {
        let host = name.clone();
        let found = podlab_guest::runtime::block_on_keeping(async move {
            podlab_guest::net::resolve(&host, 0).await
        });
        let addresses: Vec<String> = found?.iter().map(|a| a.ip().to_string()).collect();
        writeln!(io.out, "{}", addresses.join(" "))?;
    } else {
        writeln!(io.out, "{name}")?;
    }
    Ok(0)
}

/// `id`: WASI has no users; everything is root's.
pub fn id(given: &Given, io: &mut Io) -> Outcome {
    let names = given.has('n');
    match given.has('u') || given.has('g') || given.has('G') {
        true => writeln!(io.out, "{}", if names { "root" } else { "0" })?,
        false => writeln!(io.out, "uid=0(root) gid=0(root) groups=0(root)")?,
    }
    Ok(0)
}

/// `whoami`.
pub fn whoami(_given: &Given, io: &mut Io) -> Outcome {
    writeln!(io.out, "root")?;
    Ok(0)
}

/// `uname`.
pub fn uname(given: &Given, io: &mut Io) -> Outcome {
    let version = std::fs::read_to_string("/proc/version").unwrap_or_default();
    let release = version.split(' ').nth(2).unwrap_or("unknown").trim().to_owned();
    let host = io.env.get("HOSTNAME").cloned().unwrap_or_else(|| "localhost".into());
    let all = given.has('a');
    let parts = [('s', "Linux"), ('n', &host), ('r', &release), ('m', std::env::consts::ARCH)];
    let shown: Vec<&str> =
        parts.iter().filter(|(flag, _)| all || given.has(*flag)).map(|(_, text)| *text).collect();
    writeln!(io.out, "{}", if shown.is_empty() { "Linux".to_owned() } else { shown.join(" ") })?;
    Ok(0)
}

/// `uptime`.
pub fn uptime(_given: &Given, io: &mut Io) -> Outcome {
    let text = std::fs::read_to_string("/proc/uptime").map_err(named("/proc/uptime"))?;
    let seconds: f64 = text.split(' ').next().and_then(|t| t.trim().parse().ok()).unwrap_or(0.0);
    writeln!(io.out, "up {seconds:.0} seconds")?;
    Ok(0)
}

/// `nproc`.
pub fn nproc(_given: &Given, io: &mut Io) -> Outcome {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    writeln!(io.out, "{}", text.lines().filter(|l| l.starts_with("processor")).count().max(1))?;
    Ok(0)
}

/// `ps`: everything, whatever is asked for.
pub fn ps(_given: &Given, io: &mut Io) -> Outcome {
    let mut pids: Vec<u64> = std::fs::read_dir("/proc")
        .map_err(named("/proc"))?
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    writeln!(io.out, "{:>5} USER     COMMAND", "PID")?;
    for pid in pids {
        // It may be gone by now.
        let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        writeln!(io.out, "{pid:>5} root     {}", line.trim_end())?;
    }
    Ok(0)
}

/// `pwd`.
pub fn pwd(_given: &Given, io: &mut Io) -> Outcome {
    writeln!(io.out, "{}", crate::shell::here())?;
    Ok(0)
}

/// `kill`: a WASI program has no way to send a signal, and says so.
pub fn kill(given: &Given, io: &mut Io) -> Outcome {
    if given.has('l') {
        writeln!(io.out, "HUP INT QUIT KILL TERM")?;
        return Ok(0);
    }
    if given.rest.is_empty() {
        return Err(usage());
    }
    Err(Fault::Io(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "programs cannot send signals here: use the container's menu, or delete the pod",
    )))
}

/// `which`.
pub fn which(given: &Given, io: &mut Io) -> Outcome {
    if given.rest.is_empty() {
        return Err(usage());
    }
    let mut status = 0;
    for name in &given.rest {
        match is_known(name) {
            true => writeln!(io.out, "/bin/{name}")?,
            false => status = 1,
        }
    }
    Ok(status)
}

/// `xargs`.
pub fn xargs(given: &Given, io: &mut Io) -> Outcome {
    let bytes = io.read_all()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let echo = ["echo".to_owned()];
    let command = if given.rest.is_empty() { &echo[..] } else { &given.rest };
    let words: Vec<String> = match (given.has('0'), given.has('I')) {
        (true, _) => text.split('\0').filter(|w| !w.is_empty()).map(str::to_owned).collect(),
        (_, true) => text.lines().filter(|w| !w.is_empty()).map(str::to_owned).collect(),
        _ => crate::shell::split(&text),
    };
    let most: usize = match given.value('n') {
        Some(n) => n.parse().ok().filter(|n| *n > 0).ok_or_else(usage)?,
        None => usize::MAX,
    };
    let runs: Vec<Vec<String>> = match given.value('I') {
        Some(mark) => words
            .iter()
            .map(|word| command.iter().map(|part| part.replace(mark, word)).collect())
            .collect(),
        None if words.is_empty() && given.has('r') => Vec::new(),
        None if words.is_empty() => vec![command.to_vec()],
        None => words.chunks(most).map(|some| [command, some].concat()).collect(),
    };
    let mut status = 0;
    for run in runs {
        if given.has('t') {
            writeln!(io.err, "{}", run.join(" "))?;
        }
        match super::run(&run, io) {
            0 => {}
            127 => return Ok(127),
            _ => status = 123,
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{out, ran};

    #[test]
    fn saying() {
        assert_eq!(out(&["echo", "-n", "a", "b"], ""), "a b");
        assert_eq!(out(&["echo", "-e", "a\\tb\\x41\\041"], ""), "a\tbA!\n");
        assert_eq!(out(&["echo", "-x"], ""), "-x\n");
        assert_eq!(out(&["printf", "%s-%d\\n", "a", "1", "b", "2"], ""), "a-1\nb-2\n");
        assert_eq!(
            out(&["printf", "[%5s|%-4s|%03d|%.2f|%x]", "a", "b", "-7", "1.5", "255"], ""),
            "[    a|b   |-07|1.50|ff]"
        );
        assert_eq!(out(&["printf", "none\\n"], ""), "none\n");
        assert_eq!(ran(&["printf", "%d", "x"], "").0, 2);
        assert_eq!(out(&["seq", "3", "-1", "1"], ""), "3\n2\n1\n");
        assert_eq!(ran(&["seq", "x"], "").0, 2);
    }

    #[test]
    fn the_system() {
        assert_eq!(out(&["id", "-u"], ""), "0\n");
        assert_eq!(out(&["whoami"], ""), "root\n");
        assert!(out(&["uname", "-a"], "").starts_with("Linux "));
        assert_eq!(out(&["which", "ls"], ""), "/bin/ls\n");
        assert_eq!(ran(&["which", "vim"], "").0, 1);
        assert_eq!(out(&["date", "+%F %T"], "").len(), 20);
        assert_eq!(ran(&["date", "+%Q"], "").0, 2);
        assert_eq!(ran(&["sleep", "x"], "").0, 2);
        assert_eq!(out(&["sleep", "0"], ""), "");
        assert_eq!(ran(&["kill", "-9", "1"], "").0, 1);
        assert_eq!(ran(&["kill", "-TERM"], "").0, 2);
        assert_eq!(out(&["env", "A=1", "env"], ""), "A=1\n");
    }

    #[test]
    fn xargs_runs_commands() {
        assert_eq!(out(&["xargs"], "a b\nc\n"), "a b c\n");
        assert_eq!(out(&["xargs", "-n", "2", "echo", "x"], "a b c"), "x a b\nx c\n");
        assert_eq!(out(&["xargs", "-I", "{}", "echo", "<{}>"], "a b\nc\n"), "<a b>\n<c>\n");
        assert_eq!(out(&["xargs", "-r", "echo", "x"], ""), "");
        assert_eq!(ran(&["xargs", "false"], "a").0, 123);
        assert_eq!(ran(&["xargs", "nosuch"], "a").0, 127);
    }
}
