//! Messages whose bodies are read piece by piece, for programs in between: what they hold of a
//! message is bounded, however long it is.

use std::io;
use std::rc::Rc;

use super::message::{Framing, Head, Headers, Refusal, chunk_size, parse_head};
use crate::net::TcpStream;

/// Bytes of a piece at most.
pub const PIECE: usize = 16 << 10;
/// Bytes of the line that says how long a chunk is, and of each trailer.
const LINE: usize = 4 << 10;
/// Trailers at most; they are read and dropped.
const TRAILERS: usize = 100;

/// Why reading stopped.
#[derive(Debug)]
pub enum Fault {
    /// The connection failed, or ended in the middle.
    Io(io::Error),
    /// What came is no HTTP/1.1, or more than is borne.
    Refused(Refusal),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused(refusal)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Io(error) => error.fmt(f),
            Fault::Refused(refusal) => f.write_str(refusal.reason),
        }
    }
}

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Done,
    /// So many bytes.
    Length(u64),
    /// So many bytes of this chunk, and then more chunks.
    Chunk(usize),
    /// The beginning of the first chunk.
    Chunks,
    /// Everything until the connection ends.
    UntilClose,
}

impl Rest {
    /// The body of a request.
    ///
    /// # Errors
    /// Fields that contradict each other.
    pub fn of_request(headers: &Headers) -> Result<Rest, Refusal> {
        Ok(match headers.framing()? {
            None | Some(Framing::UntilClose | Framing::Length(0)) => Rest::Done,
            Some(Framing::Length(n)) => Rest::Length(n),
            Some(Framing::Chunked) => Rest::Chunks,
        })
    }

    /// The body of the answer to a request of this method (RFC 9112, 6.3).
    ///
    /// # Errors
    /// Fields that contradict each other.
    pub fn of_answer(method: &str, status: u16, headers: &Headers) -> Result<Rest, Refusal> {
        let none = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
        Ok(match headers.framing()? {
            _ if none => Rest::Done,
            Some(Framing::Length(0)) => Rest::Done,
            Some(Framing::Length(n)) => Rest::Length(n),
            Some(Framing::Chunked) => Rest::Chunks,
            Some(Framing::UntilClose) | None => Rest::UntilClose,
        })
    }
}

/// Reads messages from a connection.
pub struct Reader {
    stream: Rc<TcpStream>,
    buffer: Vec<u8>,
    ended: bool,
}

impl Reader {
    /// A reader of `stream`; others may write to it meanwhile.
    pub fn new(stream: Rc<TcpStream>) -> Reader {
        Reader { stream, buffer: Vec::new(), ended: false }
    }

    /// Where it reads.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What it read.
    pub fn into_stream(self) -> Rc<TcpStream> {
        self.stream
    }

    /// Whether nothing waits to be read that has been received already.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Receives more; false at the end. Given up half-way, nothing is lost.
    ///
    /// # Errors
    /// As the connection has it.
    pub async fn more(&mut self) -> io::Result<bool> {
        if !self.ended {
            let bytes = self.stream.read(PIECE).await?;
            self.ended = bytes.is_empty();
            self.buffer.extend(bytes);
        }
        Ok(!self.ended)
    }

    /// The next head of at most `max` bytes; `None` if the connection ended before it began.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn head(&mut self, max: usize) -> Result<Option<Head>, Fault> {
        loop {
            if let Some(head) = parse_head(&self.buffer, max)? {
                self.buffer.drain(..head.length);
                return Ok(Some(head));
            }
            if !self.more().await? {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(cut()),
                };
            }
        }
    }

    /// The next piece of a body; empty when it is over.
    ///
    /// # Errors
    /// See [`Fault`]: among it a connection that ends before the body does.
    pub async fn piece(&mut self, rest: &mut Rest) -> Result<Vec<u8>, Fault> {
        loop {
            match *rest {
                Rest::Done => return Ok(Vec::new()),
                Rest::UntilClose => {
                    if self.buffer.is_empty() && !self.more().await? {
                        *rest = Rest::Done;
                        continue;
                    }
                    return Ok(std::mem::take(&mut self.buffer));
                }
                Rest::Length(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX);
                    let piece = self.some(most).await?;
                    let left = left - piece.len() as u64;
                    *rest = if left == 0 { Rest::Done } else { Rest::Length(left) };
                    return Ok(piece);
                }
                Rest::Chunk(0) => {
                    if !self.line().await?.is_empty() {
                        return Err(bad("a chunk longer than its size"));
                    }
                    *rest = Rest::Chunks;
                }
                Rest::Chunk(left) => {
                    let piece = self.some(left).await?;
                    *rest = Rest::Chunk(left - piece.len());
                    return Ok(piece);
                }
                Rest::Chunks => {
                    let line = self.line().await?;
                    match chunk_size(&line).ok_or_else(|| bad("a chunk without a size"))? {
                        0 => {
                            self.trailers().await?;
                            *rest = Rest::Done;
                        }
                        size => *rest = Rest::Chunk(size),
                    }
                }
            }
        }
    }

    async fn some(&mut self, most: usize) -> Result<Vec<u8>, Fault> {
        if self.buffer.is_empty() && !self.more().await? {
            return Err(cut());
        }
        let n = self.buffer.len().min(most).min(PIECE);
        Ok(self.buffer.drain(..n).collect())
    }

    /// Given up before the line's end, the line is read again.
    async fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.buffer.len() > LINE {
                return Err(bad("the line of a chunk is too long"));
            }
            if !self.more().await? {
                return Err(cut());
            }
        }
    }

    async fn trailers(&mut self) -> Result<(), Fault> {
        for _ in 0..TRAILERS {
            if self.line().await?.is_empty() {
                return Ok(());
            }
        }
        Err(bad("too many trailers"))
    }
}

fn bad(reason: &'static str) -> Fault {
    Fault::Refused(Refusal { status: 400, reason })
}

fn cut() -> Fault {
    Fault::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends in its middle"))
}

#[cfg(all(test, not(target_os = "wasi")))]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::runtime::block_on;

    /// Reads a whole body; the bytes arrive as `pieces`.
    fn body(pieces: &'static [&'static [u8]], rest: Rest) -> Result<Vec<u8>, String> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let writer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for piece in pieces {
                // Who reads may have seen enough.
                let _gone = stream.write_all(piece);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let read = block_on(async move {
            let stream = TcpStream::connect("127.0.0.1", port).await.unwrap();
            let mut reader = Reader::new(Rc::new(stream));
            let (mut rest, mut all) = (rest, Vec::new());
            loop {
                let piece = reader.piece(&mut rest).await.map_err(|f| f.to_string())?;
                if piece.is_empty() {
                    return Ok(all);
                }
                all.extend(piece);
            }
        });
        writer.join().unwrap();
        read
    }

    #[test]
    fn bodies_are_read_whatever_their_pieces() {
        let chunked: &[&[u8]] = &[b"3\r\na", b"bc\r", b"\n2;x=y\r\nde\r\n0", b"\r\nT: 1\r\n\r\n"];
        assert_eq!(body(chunked, Rest::Chunks), Ok(b"abcde".to_vec()));
        assert_eq!(body(&[b"abc", b"de"], Rest::Length(4)), Ok(b"abcd".to_vec()));
        assert_eq!(body(&[b"abc", b"de"], Rest::UntilClose), Ok(b"abcde".to_vec()));
    }

    #[test]
    fn what_is_cut_short_or_wrong_is_said() {
        let why = |pieces, rest| body(pieces, rest).unwrap_err();
        assert_eq!(why(&[b"abc"], Rest::Length(4)), "it ends in its middle");
        assert_eq!(why(&[b"3\r\nab"], Rest::Chunks), "it ends in its middle");
        assert_eq!(why(&[b"3\r\nabcd\r\n"], Rest::Chunks), "a chunk longer than its size");
        assert_eq!(why(&[b"-1\r\n"], Rest::Chunks), "a chunk without a size");
    }
}
