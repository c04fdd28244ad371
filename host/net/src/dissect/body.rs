//! Where the body of an HTTP message ends (RFC 9112, 6 and 7).

use bytes::Bytes;

/// The longest line that says how long a chunk is.
const SIZE_LINE_MAX: usize = 1024;
/// The longest run of trailer fields.
const TRAILERS_MAX: usize = 16_384;

/// A body's length, and its beginning.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) len: u64,
    beginning: Vec<u8>,
}

impl Content {
    fn add(&mut self, data: &[u8], limit: usize) {
        self.len += data.len() as u64;
        let room = limit.saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(&data[..data.len().min(room)]);
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.beginning.into()
    }
}

/// How the rest of a body is told from what follows it.
#[derive(Debug)]
pub(crate) enum Framing {
    /// So many more bytes.
    Sized(u64),
    /// Chunks.
    Chunked(Chunk),
    /// All there is until the stream ends.
    UntilEnd,
}

#[derive(Debug)]
pub(crate) enum Chunk {
    /// Inside the line that says how long the chunk is.
    Size(Vec<u8>),
    /// Inside the chunk.
    Data(u64),
    /// In the line end after it.
    DataEnd,
    /// In the trailer fields: how long the current line and all of them are.
    Trailers { line: usize, all: usize },
}

impl Framing {
    pub(crate) fn chunked() -> Framing {
        Framing::Chunked(Chunk::Size(Vec::new()))
    }

    /// Takes what belongs to the body from the front of `data`. True once it is complete.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn take(
        &mut self,
        data: &mut &[u8],
        content: &mut Content,
        limit: usize,
    ) -> Result<bool, &'static str> {
        match self {
            Framing::UntilEnd => {
                content.add(data, limit);
                *data = &[];
                Ok(false)
            }
            Framing::Sized(left) => {
                take_some(data, left, content, limit);
                Ok(*left == 0)
            }
            Framing::Chunked(chunk) => {
                while !data.is_empty() {
                    if chunk.take(data, content, limit)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

fn take_some(data: &mut &[u8], left: &mut u64, content: &mut Content, limit: usize) {
    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
    let (body, rest) = data.split_at(n);
    content.add(body, limit);
    *left -= n as u64;
    *data = rest;
}

/// Takes a byte from the front.
fn next(data: &mut &[u8]) -> Option<u8> {
    let (first, rest) = data.split_first()?;
    *data = rest;
    Some(*first)
}

impl Chunk {
    fn take(
        &mut self,
        data: &mut &[u8],
        content: &mut Content,
        limit: usize,
    ) -> Result<bool, &'static str> {
        match self {
            Chunk::Size(line) => match next(data) {
                Some(b'\n') => {
                    *self = match size(line)? {
                        0 => Chunk::Trailers { line: 0, all: 0 },
                        size => Chunk::Data(size),
                    };
                }
                Some(b) if line.len() < SIZE_LINE_MAX => line.push(b),
                Some(_) => return Err("a chunk's size line is longer than 1024 bytes"),
                None => {}
            },
            Chunk::Data(left) => {
                take_some(data, left, content, limit);
                if *left == 0 {
                    *self = Chunk::DataEnd;
                }
            }
            Chunk::DataEnd => match next(data) {
                Some(b'\n') => *self = Chunk::Size(Vec::new()),
                Some(b'\r') | None => {}
                Some(_) => return Err("a chunk is longer than its size says"),
            },
            Chunk::Trailers { line, all } => match next(data) {
                Some(b'\n') if *line == 0 => return Ok(true),
                Some(b'\n') => *line = 0,
                Some(b'\r') | None => {}
                Some(_) if *all >= TRAILERS_MAX => return Err("the trailers are too long"),
                Some(_) => (*line, *all) = (*line + 1, *all + 1),
            },
        }
        Ok(false)
    }
}

fn size(line: &[u8]) -> Result<u64, &'static str> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let bad = "a chunk's size is not a hexadecimal number";
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(bad);
    }
    let text = std::str::from_utf8(digits).map_err(|_| bad)?;
    u64::from_str_radix(text, 16).map_err(|_| bad)
}
