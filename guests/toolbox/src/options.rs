//! The options of an applet, as getopt(3) reads them.

/// What was given.
#[derive(Debug, Default)]
pub struct Given {
    flags: Vec<(char, String)>,
    /// What is no option.
    pub rest: Vec<String>,
}

impl Given {
    /// Nothing is an option.
    pub fn raw(words: &[String]) -> Given {
        Given { flags: Vec::new(), rest: words.to_vec() }
    }

    /// Whether the flag was given.
    pub fn has(&self, flag: char) -> bool {
        self.flags.iter().any(|(f, _)| *f == flag)
    }

    /// The last value of a flag.
    pub fn value(&self, flag: char) -> Option<&str> {
        self.flags.iter().rev().find(|(f, _)| *f == flag).map(|(_, v)| v.as_str())
    }

    /// All values of a flag.
    pub fn values(&self, flag: char) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(f, _)| *f == flag).map(|(_, v)| v.as_str())
    }
}

/// Reads `words`. `known` has a letter for each flag, and a colon after those with a value; after a
/// space come long names, each with its letter: `n:f lines=n follow=f`.
///
/// # Errors
/// An option that is not known, or lacks its value.
pub fn parse(known: &str, words: &[String]) -> Result<Given, String> {
    let mut parts = known.split(' ');
    let letters = parts.next().unwrap_or_default();
    let longs: Vec<(&str, char)> = parts
        .filter_map(|p| p.split_once('=').map(|(n, c)| (n, c.chars().next().unwrap_or(' '))))
        .collect();
    let takes = |c: char| letters.find(c).map(|at| letters[at + c.len_utf8()..].starts_with(':'));
    let mut given = Given::default();
    let mut words = words.iter();
    // A leading plus stops at the first word that is none, for commands that take commands.
    let in_order = letters.starts_with('+');
    while let Some(word) = words.next() {
        if word == "--" {
            given.rest.extend(words.cloned());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            let found = longs.iter().find(|(n, _)| *n == name).map(|(_, c)| *c);
            let flag = found.ok_or_else(|| format!("unrecognized option '--{name}'"))?;
            let value = match (takes(flag) == Some(true), value) {
                (true, None) => words
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("option '--{name}' requires an argument"))?,
                (false, Some(_)) => return Err(format!("option '--{name}' takes no argument")),
                (_, value) => value.unwrap_or_default().to_owned(),
            };
            given.flags.push((flag, value));
            continue;
        }
        let Some(mut short) = word.strip_prefix('-').filter(|s| !s.is_empty()) else {
            given.rest.push(word.clone());
            if in_order {
                given.rest.extend(words.cloned());
                break;
            }
            continue;
        };
        while let Some(flag) = short.chars().next() {
            short = &short[flag.len_utf8()..];
            match takes(flag).filter(|_| flag.is_ascii_alphanumeric()) {
                None => return Err(format!("unrecognized option '-{flag}'")),
                Some(false) => given.flags.push((flag, String::new())),
                Some(true) => {
                    let value = match short {
                        "" => words
                            .next()
                            .cloned()
                            .ok_or_else(|| format!("option '-{flag}' requires an argument"))?,
                        value => value.to_owned(),
                    };
                    given.flags.push((flag, value));
                    break;
                }
            }
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(known: &str, words: &str) -> Result<Given, String> {
        parse(known, &words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn as_getopt() {
        let given = read("n:fv follow=f lines=n", "-vn 3 a --follow -n4 - -- -x").unwrap();
        assert_eq!(given.value('n'), Some("4"));
        assert_eq!(given.values('n').collect::<Vec<_>>(), ["3", "4"]);
        assert!(given.has('v') && given.has('f') && !given.has('x'));
        assert_eq!(given.rest, ["a", "-", "-x"]);
        assert_eq!(read("n:f lines=n", "--lines=7").unwrap().value('n'), Some("7"));
        assert_eq!(read("+n", "a -n").unwrap().rest, ["a", "-n"]);
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(read("n:", "-x").unwrap_err(), "unrecognized option '-x'");
        assert_eq!(read("n:", "--nope").unwrap_err(), "unrecognized option '--nope'");
        assert_eq!(read("n:", "-n").unwrap_err(), "option '-n' requires an argument");
        assert!(read("f follow=f", "--follow=x").is_err());
    }
}
