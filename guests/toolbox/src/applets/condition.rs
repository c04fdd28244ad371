//! `test`, `[` and `expr`.

use std::fs;
use std::io::Write;

use super::{Fault, Outcome};
use crate::io::Io;
use crate::options::Given;

/// `[ ... ]`.
pub fn bracket(given: &Given, io: &mut Io) -> Outcome {
    match given.rest.split_last() {
        Some((last, words)) if last == "]" => judge(words, io),
        _ => Err(Fault::Usage("']' is missing".into())),
    }
}

/// `test`.
pub fn test(given: &Given, io: &mut Io) -> Outcome {
    judge(&given.rest, io)
}

fn judge(words: &[String], _io: &mut Io) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(i32::from(!holds(&words)?))
}

/// By the number of words, as POSIX has it; `-a` and `-o` split longer ones.
fn holds(words: &[&str]) -> Result<bool, Fault> {
    let number =
        |t: &str| t.trim().parse::<i64>().map_err(|_| Fault::Usage(format!("'{t}' is no number")));
    Ok(match words {
        [] => false,
        ["(", inner @ .., ")"] if words.len() > 3 => holds(inner)?,
        [one] => !one.is_empty(),
        ["!", one] => one.is_empty(),
        [flag, word] => unary(flag, word)?,
        [a, op, b] if binary(op) => match *op {
            "=" | "==" => a == b,
            "!=" => a != b,
            "<" => a < b,
            ">" => a > b,
            "-eq" => number(a)? == number(b)?,
            "-ne" => number(a)? != number(b)?,
            "-lt" => number(a)? < number(b)?,
            "-le" => number(a)? <= number(b)?,
            "-gt" => number(a)? > number(b)?,
            "-ge" => number(a)? >= number(b)?,
            "-a" => !a.is_empty() && !b.is_empty(),
            "-o" => !a.is_empty() || !b.is_empty(),
            newer => {
                let time = |p: &str| fs::metadata(p).and_then(|m| m.modified()).ok();
                if newer == "-nt" { time(a) > time(b) } else { time(a) < time(b) }
            }
        },
        _ => {
            if let Some(at) = words.iter().position(|w| *w == "-o") {
                return Ok(holds(&words[..at])? || holds(&words[at + 1..])?);
            }
            if let Some(at) = words.iter().position(|w| *w == "-a") {
                return Ok(holds(&words[..at])? && holds(&words[at + 1..])?);
            }
            match words {
                ["!", rest @ ..] => !holds(rest)?,
                _ => {
                    return Err(Fault::Usage(format!(
                        "this is no expression: {}",
                        words.join(" ")
                    )));
                }
            }
        }
    })
}

fn binary(op: &str) -> bool {
    let known = [
        "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-a", "-o", "-nt",
        "-ot",
    ];
    known.contains(&op)
}

fn unary(flag: &str, word: &str) -> Result<bool, Fault> {
    let metadata = || fs::metadata(word);
    Ok(match flag {
        "-n" => !word.is_empty(),
        "-z" => word.is_empty(),
        // Everything there is can be read, written and searched here.
        "-e" | "-r" | "-w" => metadata().is_ok(),
        "-x" => metadata().is_ok_and(|m| m.is_dir()),
        "-f" => metadata().is_ok_and(|m| m.is_file()),
        "-d" => metadata().is_ok_and(|m| m.is_dir()),
        "-s" => metadata().is_ok_and(|m| m.len() > 0),
        "-L" | "-h" => fs::symlink_metadata(word).is_ok_and(|m| m.is_symlink()),
        "-t" => false,
        _ => return Err(Fault::Usage(format!("{flag} is not known"))),
    })
}

/// `expr`: one operator, or none.
pub fn expr(given: &Given, io: &mut Io) -> Outcome {
    let words: Vec<&str> = given.rest.iter().map(String::as_str).collect();
    let number =
        |t: &str| t.parse::<i64>().map_err(|_| Fault::Usage(format!("expr: '{t}' is no number")));
    let some = |n: Option<i64>| n.ok_or_else(|| Fault::Usage("expr: that has no value".into()));
    let value = match words[..] {
        [word] => word.to_owned(),
        [a, "+", b] => some(number(a)?.checked_add(number(b)?))?.to_string(),
        [a, "-", b] => some(number(a)?.checked_sub(number(b)?))?.to_string(),
        [a, "*", b] => some(number(a)?.checked_mul(number(b)?))?.to_string(),
        [a, "/", b] => some(number(a)?.checked_div(number(b)?))?.to_string(),
        [a, "%", b] => some(number(a)?.checked_rem(number(b)?))?.to_string(),
        ["length", a] => a.chars().count().to_string(),
        [a, op @ ("=" | "!=" | "<" | "<=" | ">" | ">="), b] => {
            let order = match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ => a.cmp(b),
            };
            let holds = match op {
                "=" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            };
            i32::from(holds).to_string()
        }
        _ => return Err(Fault::Usage("usage: expr VALUE [OPERATOR VALUE]".into())),
    };
    writeln!(io.out, "{value}")?;
    Ok(i32::from(value.is_empty() || value == "0"))
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{out, ran};

    #[test]
    fn expressions() {
        let test = |text: &str| ran(&text.split(' ').collect::<Vec<_>>(), "").0;
        for (text, status) in [
            ("test", 1),
            ("test a", 0),
            ("test ! a", 1),
            ("test a = a", 0),
            ("[ a != a ]", 1),
            ("[ 2 -lt 10 ]", 0),
            ("[ -d / ]", 0),
            ("[ -f / ]", 1),
            ("[ ! -e /no/such ]", 0),
            ("[ a = b -o 1 -eq 1 ]", 0),
            ("[ a = a -a 1 -eq 2 ]", 1),
            ("[ ( a = a ) ]", 0),
            ("[ x -eq 1 ]", 2),
            ("[ a b c d ]", 2),
            ("[ a", 2),
            ("test -q x", 2),
        ] {
            assert_eq!(test(text), status, "{text}");
        }
        assert_eq!(out(&["expr", "2", "*", "3"], ""), "6\n");
        assert_eq!(ran(&["expr", "1", ">", "2"], ""), (1, "0\n".into(), String::new()));
        assert_eq!(ran(&["expr", "1", "/", "0"], "").0, 2);
    }
}
