//! Encodes texts: tasks come as CSV with the columns `text` and `to`.

use std::path::PathBuf;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::handover::{self, Figures};
use podlab_guest::runtime::{Flag, sleep};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "encoder",
    version: env!("CARGO_PKG_VERSION"),
    about: "Does tasks in CSV with columns text and to: rot13, hex, base64, reverse.",
    options: &[
        opt("dir", "DIR", "/work", "where the tasks are"),
        opt("listen", "ADDR", "-", "HTTP: /healthz, /readyz, /stats; '-' for nowhere"),
        opt("least", "TIME", "0", "a task takes at least this long"),
        opt("crash", "TEXT", "", "a task with this text ends the program, as a fault in it would"),
    ],
};

/// Works until `stop`, or until no more tasks will come.
///
/// # Errors
/// A wrong option, a directory that cannot be used.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let (dir, least) = (PathBuf::from(args.text("dir")), args.duration("least")?);
    let crash = args.text("crash");
    let figures = Figures::show(&args, &stop).await?;
    handover::serve(&dir, &stop, &figures, async |_, bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| "this is no UTF-8")?;
        let rows = rows(text)?;
        let column = |name: &str| {
            let place = rows.first()?.iter().position(|c| c == name)?;
            rows.get(1)?.get(place).cloned()
        };
        let text = column("text").ok_or("there is no column text")?;
        let to = column("to").unwrap_or_else(|| "rot13".into());
        if !crash.is_empty() && text == crash {
            podlab_guest::log::error("crash", &[("text", &text)]);
            podlab_guest::program::exit(70);
        }
        sleep(least).await;
        let encoded = encode(&text, &to)?;
        Ok(format!("to,encoded\n{},{}\n", quote(&to), quote(&encoded)).into_bytes())
    })
    .await
}

fn encode(text: &str, to: &str) -> Result<String, String> {
    Ok(match to {
        "rot13" => text.chars().map(rot13).collect(),
        "hex" => text.bytes().map(|b| format!("{b:02x}")).collect(),
        "base64" => base64(text.as_bytes()),
        "reverse" => text.chars().rev().collect(),
        other => return Err(format!("{other:?} is none of rot13, hex, base64, reverse")),
    })
}

fn rot13(c: char) -> char {
    let turn = |base: u8| char::from((c as u8 - base + 13) % 26 + base);
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        other => other,
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Rows of CSV (RFC 4180).
fn rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut any) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        any = true;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
                any = false;
            }
            c => cell.push(c),
        }
    }
    if quoted {
        return Err("a quoted cell has no end".into());
    }
    if any {
        row.push(cell);
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let e = |text, to| encode(text, to).unwrap();
        assert_eq!(e("Hello!", "rot13"), "Uryyb!");
        assert_eq!(e("né", "hex"), "6ec3a9");
        assert_eq!(
            [e("a", "base64"), e("ab", "base64"), e("abc", "base64")],
            ["YQ==", "YWI=", "YWJj"]
        );
        assert!(encode("a", "morse").is_err());
    }

    #[test]
    fn cells_with_commas_quotes_and_lines() {
        let text = "a,b\n\"x, \"\"y\"\"\nz\",2\r\n";
        assert_eq!(rows(text).unwrap(), [vec!["a", "b"], vec!["x, \"y\"\nz", "2"]]);
        assert_eq!(rows("a\nb").unwrap(), [["a"], ["b"]]);
        assert!(rows("\"a").is_err());
        assert_eq!(quote("x, \"y\""), "\"x, \"\"y\"\"\"");
    }
}
