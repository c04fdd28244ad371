//! Reading an HTTP/1.1 answer piece by piece (RFC 9112).

use axum::body::Bytes;

/// A head may be this long.
const MAX_HEAD: usize = 64 << 10;
/// A line between chunks may be this long.
const MAX_LINE: usize = 4 << 10;

/// The beginning of an answer.
pub struct Parts {
    /// The status.
    pub status: u16,
    /// The headers, as they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// How long the body is, where that is said.
    pub length: Option<u64>,
}

/// Collects the head.
pub struct Head {
    bytes: Vec<u8>,
    no_body: bool,
}

/// Takes the body out of its framing.
#[derive(Debug)]
pub struct Reader {
    framing: Framing,
    ready: Vec<u8>,
}

#[derive(Debug, PartialEq)]
enum Framing {
    /// So many bytes are missing.
    Length(u64),
    /// Until the connection ends.
    ToEnd,
    /// The line with a chunk's size.
    ChunkSize(Vec<u8>),
    /// Bytes of a chunk, and the line end after it.
    Chunk(u64),
    ChunkEnd(u8),
    /// Lines after the last chunk.
    Trailer(Vec<u8>),
    Done,
}

impl Head {
    /// Nothing has come yet. `no_body`: the request was HEAD.
    pub fn new(no_body: bool) -> Head {
        Head { bytes: Vec::new(), no_body }
    }

    /// Takes in bytes; the head when it is whole, with a reader that has what followed it.
    ///
    /// # Errors
    /// If it is no head of an answer.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<(Parts, Reader)>, String> {
        self.bytes.extend_from_slice(bytes);
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let mut response = httparse::Response::new(&mut headers);
            let used = match response.parse(&self.bytes) {
                Ok(httparse::Status::Complete(used)) => used,
                Ok(httparse::Status::Partial) if self.bytes.len() <= MAX_HEAD => return Ok(None),
                Ok(httparse::Status::Partial) => {
                    return Err(format!("its head is longer than {MAX_HEAD} bytes"));
                }
                Err(e) => return Err(e.to_string()),
            };
            let status = response.code.unwrap_or(502);
            if (100..200).contains(&status) && status != 101 {
                // Interim answers (100 Continue, 103 Early Hints) are for the last hop only.
                self.bytes.drain(..used);
                continue;
            }
            let headers: Vec<(String, Vec<u8>)> =
                response.headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect();
            let find = |name: &str| {
                headers
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))
                    .map(|(_, v)| String::from_utf8_lossy(v))
            };
            let chunked = find("transfer-encoding")
                .is_some_and(|v| v.to_ascii_lowercase().contains("chunked"));
            let stated = match find("content-length") {
                Some(text) => Some(
                    text.trim()
                        .parse::<u64>()
                        .map_err(|_| format!("its Content-Length is {text:?}"))?,
                ),
                None => None,
            };
            let empty = self.no_body || status == 204 || status == 304;
            let framing = match (empty, chunked, stated) {
                (true, ..) => Framing::Done,
                (_, true, _) => Framing::ChunkSize(Vec::new()),
                (_, _, Some(0)) => Framing::Done,
                (_, _, Some(n)) => Framing::Length(n),
                _ => Framing::ToEnd,
            };
            let mut reader = Reader { framing, ready: Vec::new() };
            reader.take(&self.bytes[used..])?;
            let length = stated.filter(|_| !chunked);
            return Ok(Some((Parts { status, headers, length }, reader)));
        }
    }
}

impl Reader {
    /// Whether the body is whole.
    pub fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Whether the end of the connection is the end of the body.
    pub fn ends_with_connection(&self) -> bool {
        self.framing == Framing::ToEnd
    }

    /// The bytes of the body that have come and were not taken yet.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.ready).into()
    }

    /// Takes in bytes of the connection.
    ///
    /// # Errors
    /// If the framing is broken.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            match &mut self.framing {
                Framing::Done => return Ok(()),
                Framing::ToEnd => {
                    self.ready.extend_from_slice(bytes);
                    return Ok(());
                }
                Framing::Length(left) | Framing::Chunk(left) => {
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    self.ready.extend_from_slice(&bytes[..n]);
                    bytes = &bytes[n..];
                    *left -= n as u64;
                    if *left == 0 {
                        let chunk = matches!(self.framing, Framing::Chunk(_));
                        self.framing = if chunk { Framing::ChunkEnd(2) } else { Framing::Done };
                    }
                }
                Framing::ChunkEnd(left) => {
                    let expected = if *left == 2 { b'\r' } else { b'\n' };
                    if bytes[0] != expected {
                        return Err("a chunk does not end where it should".into());
                    }
                    bytes = &bytes[1..];
                    *left -= 1;
                    if *left == 0 {
                        self.framing = Framing::ChunkSize(Vec::new());
                    }
                }
                Framing::ChunkSize(line) | Framing::Trailer(line) => {
                    let byte = bytes[0];
                    bytes = &bytes[1..];
                    if byte != b'\n' {
                        line.push(byte);
                        if line.len() > MAX_LINE {
                            return Err("a line between chunks is too long".into());
                        }
                        continue;
                    }
                    let text = String::from_utf8_lossy(line).trim().to_owned();
                    self.framing = if matches!(self.framing, Framing::Trailer(_)) {
                        if text.is_empty() { Framing::Done } else { Framing::Trailer(Vec::new()) }
                    } else {
                        let digits = text.split(';').next().unwrap_or_default().trim();
                        match u64::from_str_radix(digits, 16) {
                            Ok(0) => Framing::Trailer(Vec::new()),
                            Ok(n) => Framing::Chunk(n),
                            Err(_) => return Err(format!("{digits:?} is not the size of a chunk")),
                        }
                    };
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer in pieces of `n` bytes.
    fn read(answer: &str, n: usize) -> Result<(u16, String, bool), String> {
        let mut head = Head::new(false);
        let mut found: Option<(Parts, Reader)> = None;
        for piece in answer.as_bytes().chunks(n) {
            match &mut found {
                Some((_, reader)) => reader.take(piece)?,
                None => found = head.take(piece)?,
            }
        }
        let (parts, mut reader) = found.ok_or("no head")?;
        let done = reader.is_done();
        Ok((parts.status, String::from_utf8_lossy(&reader.rest()).into_owned(), done))
    }

    #[test]
    fn bodies_are_read_in_any_pieces() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n";
        let to_end = "HTTP/1.0 404 Not Found\r\n\r\nhello";
        let interim =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for n in [1, 2, 3, 7, 1000] {
            assert_eq!(read(plain, n), Ok((200, "hello".into(), true)));
            assert_eq!(read(chunked, n), Ok((201, "hello".into(), true)));
            assert_eq!(read(to_end, n), Ok((404, "hello".into(), false)));
            assert_eq!(read(interim, n), Ok((200, "hello".into(), true)));
        }
    }

    #[test]
    fn broken_answers_are_refused() {
        assert!(read("SSH-2.0-OpenSSH\r\n", 5).is_err());
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", 9).is_err());
        assert!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 9).is_err());
        assert!(read(&format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(70_000)), 4096).is_err());
    }
}
