//! A trace as one HTML file: the page itself, and what it plays, without a server and without a
//! network.
//!
//! What the file shows comes from strangers (names, payloads, whole lessons), so nothing of it is
//! ever written as HTML or script: the trace is base64 of gzip, the rest is JSON without any `<`.
//! The policy of the file names its one script and its one style by their digests, so that a
//! browser runs nothing else even if that failed.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use podlab_trace::wire::{Frame, VERSION};
use podlab_trace::{Seq, Trace};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The most bytes of events that one file holds, before they are compressed: a browser holds them
/// all while it plays.
pub const MOST_BYTES: usize = 48 << 20;
/// How many bytes of events one frame holds, about.
const PIECE: usize = 256 << 10;
/// What unpacks the file and starts the page.
const PLAYER: &str = include_str!("page/player.js");

/// What a trace belongs to.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The world's id.
    pub world: String,
    /// The pattern it was made from, or empty.
    pub pattern: String,
    /// Its seed.
    pub seed: u64,
    /// What its wall clock showed at the beginning, in ns since 1970.
    pub epoch: u64,
    /// Virtual time at the end of the trace, in ns.
    pub now: u64,
}

/// The files of the page that go into one.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The program, compressed with gzip.
    pub program: &'a [u8],
    /// The script that binds it to the browser: a module that exports `__wbg_init`.
    pub script: &'a str,
    /// The style sheet.
    pub style: &'a str,
    /// The icon, as SVG.
    pub icon: &'a str,
}

/// Why there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// The trace has no event in that span.
    Empty,
    /// The trace holds more than [`MOST_BYTES`] in that span.
    TooLong,
}

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PageError::Empty => f.write_str("nothing happened in that time"),
            PageError::TooLong => {
                let most = MOST_BYTES >> 20;
                write!(f, "more happened in that time than one HTML file holds ({most} MiB)")
            }
        }
    }
}

impl std::error::Error for PageError {}

/// The frames of `trace` between two instants (ns; `from` is moved to the keyframe before it), as
/// a page takes them: each one after its length (32 bits, little endian), compressed with gzip.
///
/// # Errors
/// If there are no events, or too many.
pub fn film(trace: &Trace, about: &About, from: u64, until: u64) -> Result<Vec<u8>, PageError> {
    let wanted = trace.seek(from).max(trace.first());
    let (first, state) = match trace.keyframe(wanted) {
        // The keyframe before event 1 is an empty state.
        Some((seq, state)) => (seq, (seq > 1).then_some(state)),
        None => return Err(PageError::Empty),
    };
    let end = trace.seek(until.saturating_add(1)).min(trace.last() + 1);
    if wanted >= end {
        return Err(PageError::Empty);
    }
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    let mut put = |frame: Frame| {
        let bytes = frame.encode();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        out.write_all(&length.to_le_bytes())
            .and_then(|()| out.write_all(&bytes))
            .expect("a vector takes what is written to it");
    };
    put(Frame::Hello {
        version: VERSION,
        world: about.world.clone(),
        pattern: about.pattern.clone(),
        seed: about.seed,
        epoch: about.epoch,
        from: first,
        keyframe: state,
    });
    let (mut next, mut held): (Seq, usize) = (first, 0);
    while next < end {
        let (first, count, bytes) = trace.read_encoded(next, PIECE);
        if count == 0 {
            break;
        }
        held += bytes.len();
        if held > MOST_BYTES {
            return Err(PageError::TooLong);
        }
        let after = first + Seq::from(count);
        let (count, bytes) = if after > end { cut(end - first, bytes) } else { (count, bytes) };
        put(Frame::Events { first, count, bytes });
        next = after;
    }
    let now = about.now.min(until);
    let (last, future, lagging, stopped) = (end - 1, 0, false, String::new());
    put(Frame::Clock { now, speed: 0, last, future, lagging, stopped });
    Ok(out.finish().expect("a vector takes what is written to it"))
}

/// The first `count` of some encoded events.
fn cut(count: Seq, bytes: Vec<u8>) -> (u32, Vec<u8>) {
    let mut rest: &[u8] = &bytes;
    for _ in 0..count {
        rest = podlab_trace::log::decode(rest).expect("an event of this trace").1;
    }
    let length = bytes.len() - rest.len();
    (u32::try_from(count).unwrap_or(u32::MAX), bytes[..length].to_vec())
}

/// Writes the file: the page, a `film`, the pattern as `GET /api/patterns/NAME` describes it (or
/// null), and the instant to open at in ns, if it is not the end.
///
/// # Errors
/// If it cannot be written.
pub fn write(
    out: &mut dyn io::Write,
    parts: &Parts<'_>,
    film: &[u8],
    pattern: &Value,
    at: Option<u64>,
) -> io::Result<()> {
    // The script of the page stands alone in its file; here the player follows it.
    let script = inert(&format!("{}\n{PLAYER}", parts.script));
    let style = parts.style.replace("</", "<\\/");
    let name = pattern["name"].as_str().unwrap_or_default();
    let title = if name.is_empty() { "Podlab".into() } else { format!("{} · Podlab", text(name)) };
    let about = json(&serde_json::json!({ "pattern": pattern, "at": at }));
    let icon = STANDARD.encode(parts.icon);
    writeln!(out, "<!doctype html>")?;
    writeln!(out, "<html lang=\"en\" data-theme=\"auto\">\n<head>\n<meta charset=\"utf-8\">")?;
    let policy = format!(
        "default-src 'none'; script-src '{}' 'wasm-unsafe-eval'; style-src '{}'; style-src-attr 'unsafe-inline'; \
         img-src data: blob:; base-uri 'none'; form-action 'none'",
        digest(&script),
        digest(&style)
    );
    writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">")?;
    writeln!(out, "<meta name=\"referrer\" content=\"no-referrer\">")?;
    writeln!(out, "<title>{title}</title>")?;
    writeln!(out, "<link rel=\"icon\" href=\"data:image/svg+xml;base64,{icon}\">")?;
    writeln!(out, "<style>{style}</style>\n</head>\n<body>")?;
    writeln!(out, "<div id=\"app\"><p class=\"boot\">Podlab…</p></div>")?;
    writeln!(
        out,
        "<noscript><p class=\"boot\">Podlab draws a world from its trace with WebAssembly: it needs JavaScript. / Podlab の表示には JavaScript が必要です。</p></noscript>"
    )?;
    for (id, bytes) in [("podlab-program", parts.program), ("podlab-film", film)] {
        writeln!(
            out,
            "<script type=\"application/octet-stream\" id=\"{id}\">{}</script>",
            STANDARD.encode(bytes)
        )?;
    }
    writeln!(out, "<script type=\"application/json\" id=\"podlab-about\">{about}</script>")?;
    writeln!(out, "<script type=\"module\">{script}</script>\n</body>\n</html>")
}

/// A script that cannot end the element it stands in, and means the same.
fn inert(script: &str) -> String {
    script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
}

/// A name of a Content-Security-Policy for what stands inline.
fn digest(inline: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(inline)))
}

/// Text as HTML.
fn text(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// JSON that no parser of HTML takes for anything but text.
fn json(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
