//! SPDY/3.1 as far as Kubernetes' streaming protocols use it: streams that the client opens with
//! a few headers, data, ends and pings. Flow control is left out, as its clients leave it out.

mod dictionary;
mod inflate;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use inflate::Inflate;

/// A frame is not longer than this.
const MAX_FRAME: usize = 1 << 20;
/// A header block does not come to more than this.
const MAX_HEADERS: usize = 64 << 10;
/// How much data one frame of ours carries.
const PIECE: usize = 32 << 10;

/// Something that came from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A stream begins.
    Open {
        /// Its number.
        stream: u32,
        /// Its headers, names in lower case.
        headers: Vec<(String, String)>,
        /// The client sends nothing on it.
        end: bool,
    },
    /// Data on a stream.
    Data {
        /// The stream.
        stream: u32,
        /// The bytes.
        bytes: Bytes,
        /// Nothing follows.
        end: bool,
    },
    /// A stream is broken off.
    Reset(u32),
    /// To be answered with the same.
    Ping(u32),
    /// The client is about to leave.
    GoAway,
}

/// Reads frames.
#[derive(Default)]
pub struct Reader {
    waiting: BytesMut,
    headers: Inflate,
}

impl Reader {
    /// Takes what came.
    pub fn take(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Puts a frame before what waits.
    pub fn put_back(&mut self, frame: &[u8]) {
        let rest = std::mem::replace(&mut self.waiting, BytesMut::from(frame));
        self.waiting.extend_from_slice(&rest);
    }

    /// The next whole frame that means something.
    ///
    /// # Errors
    /// What is wrong with what came; then the connection is of no use any more.
    pub fn next(&mut self) -> Result<Option<Frame>, String> {
        loop {
            let Some(head) = self.waiting.get(..8) else { return Ok(None) };
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
            if length > MAX_FRAME {
                return Err(format!("a frame of {length} bytes: at most {MAX_FRAME} are taken"));
            }
            if self.waiting.len() < 8 + length {
                return Ok(None);
            }
            let head: [u8; 8] = head.try_into().expect("eight bytes");
            self.waiting.advance(8);
            let body = self.waiting.split_to(length).freeze();
            let (word, flags) = (u32::from_be_bytes([head[0], head[1], head[2], head[3]]), head[4]);
            let end = flags & 1 != 0;
            if word >> 31 == 0 {
                return Ok(Some(Frame::Data { stream: word, bytes: body, end }));
            }
            if word >> 16 != 0x8003 {
                return Err("another version than SPDY/3".into());
            }
            let number = |at: usize| {
                body.get(at..at + 4)
                    .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
                    .ok_or_else(|| "a frame that is too short".to_owned())
            };
            match word & 0xffff {
                1 => {
                    let stream = number(0)? & 0x7fff_ffff;
                    let block = body.get(10..).ok_or("a frame that is too short")?;
                    let headers = self.block(block)?;
                    return Ok(Some(Frame::Open { stream, headers, end }));
                }
                3 => return Ok(Some(Frame::Reset(number(0)?))),
                6 => return Ok(Some(Frame::Ping(number(0)?))),
                7 => return Ok(Some(Frame::GoAway)),
                // Headers that follow mean nothing here, but later blocks refer to them.
                8 => {
                    let block = body.get(4..).ok_or("a frame that is too short")?;
                    self.block(block)?;
                }
                // Answers, settings, windows.
                _ => {}
            }
        }
    }

    fn block(&mut self, block: &[u8]) -> Result<Vec<(String, String)>, String> {
        let text = self
            .headers
            .block(block, MAX_HEADERS)
            .map_err(|e| format!("a header block is damaged: {}", e.0))?;
        let mut rest = &text[..];
        let count = number(&mut rest)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let name = text_of(&mut rest)?.to_ascii_lowercase();
            headers.push((name, text_of(&mut rest)?));
        }
        Ok(headers)
    }
}

fn number(rest: &mut &[u8]) -> Result<u32, String> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or("a header block that is cut off")?;
    *rest = tail;
    Ok(u32::from_be_bytes(*head))
}

fn text_of(rest: &mut &[u8]) -> Result<String, String> {
    let length = number(rest)? as usize;
    let text = rest.get(..length).ok_or("a header block that is cut off")?;
    *rest = &rest[length..];
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Writes frames.
#[derive(Default)]
pub struct Writer {
    begun: bool,
}

impl Writer {
    /// The answer to a stream's beginning.
    pub fn reply(&mut self, stream: u32, out: &mut BytesMut) {
        // No headers: a block of their number, stored, and the marker that zlib flushes with.
        let mut block = BytesMut::new();
        if !self.begun {
            self.begun = true;
            block.put_slice(&[0x78, 0x01]);
        }
        block.put_slice(&[0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0]);
        block.put_slice(&[0, 0, 0, 0xff, 0xff]);
        out.put_u32(0x8003_0002);
        out.put_u32(4 + block.len() as u32);
        out.put_u32(stream);
        out.put_slice(&block);
    }
}

/// Data on a stream; without bytes, only its end.
pub fn data(stream: u32, bytes: &[u8], end: bool, out: &mut BytesMut) {
    let mut pieces = bytes.chunks(PIECE).peekable();
    if pieces.peek().is_none() && end {
        out.put_u32(stream);
        out.put_u32(0x0100_0000);
    }
    while let Some(piece) = pieces.next() {
        let flags = if end && pieces.peek().is_none() { 0x0100_0000 } else { 0 };
        out.put_u32(stream);
        out.put_u32(flags | piece.len() as u32);
        out.put_slice(piece);
    }
}

/// The answer to a ping.
pub fn pong(id: u32, out: &mut BytesMut) {
    out.put_u32(0x8003_0006);
    out.put_u32(4);
    out.put_u32(id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let mut sent = BytesMut::new();
        // A stream with a stored header block: two headers.
        let text = b"\0\0\0\x01\0\0\0\x04Port\0\0\0\x0280";
        let mut block = vec![0x78, 0x01, 0, text.len() as u8, 0, !(text.len() as u8), 0xff];
        block.extend_from_slice(text);
        block.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
        sent.put_u32(0x8003_0001);
        sent.put_u32(10 + block.len() as u32);
        sent.put_u32(3);
        sent.put_slice(&[0; 6]);
        sent.put_slice(&block);
        data(3, b"hello", true, &mut sent);
        pong(7, &mut sent);
        let mut reader = Reader::default();
        let mut got = Vec::new();
        for byte in sent {
            reader.take(&[byte]);
            while let Some(frame) = reader.next().unwrap() {
                got.push(frame);
            }
        }
        let headers = vec![("port".to_owned(), "80".to_owned())];
        assert_eq!(
            got,
            [
                Frame::Open { stream: 3, headers, end: false },
                Frame::Data { stream: 3, bytes: Bytes::from_static(b"hello"), end: true },
                Frame::Ping(7),
            ]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let read = |bytes: &[u8]| {
            let mut reader = Reader::default();
            reader.take(bytes);
            reader.next()
        };
        assert!(read(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff]).is_err());
        assert!(read(&[0x80, 2, 0, 1, 0, 0, 0, 0]).is_err());
        assert!(read(&[0x80, 3, 0, 1, 0, 0, 0, 2, 0, 0]).is_err());
        assert_eq!(read(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0]), Ok(None));
    }
}
