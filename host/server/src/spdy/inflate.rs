//! Reading compressed header blocks (RFC 1950, 1951). Each block ends on a byte, flushed, and
//! refers back to those before it; what one block may grow to is bounded.

use super::dictionary;

/// How far back a block may refer.
const WINDOW: usize = 32 << 10;
/// Extra bits and first values of lengths (RFC 1951, 3.2.5).
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];
/// The order in which the lengths of code lengths come.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What is wrong with compressed data.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged(pub &'static str);

/// The state of one direction of a connection.
#[derive(Default)]
pub struct Inflate {
    begun: bool,
    /// What was written before, as far back as it may be referred to.
    window: Vec<u8>,
}

impl Inflate {
    /// Reads one flushed block; it may come to `most` bytes.
    ///
    /// # Errors
    /// If it is damaged or comes to more.
    pub fn block(&mut self, mut input: &[u8], most: usize) -> Result<Vec<u8>, Damaged> {
        if !self.begun {
            let [method, flags, rest @ ..] = input else { return Err(Damaged("no zlib header")) };
            if method & 15 != 8 || !(u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31)
            {
                return Err(Damaged("not a zlib stream"));
            }
            input = rest;
            if flags & 0x20 != 0 {
                let [0xe3, 0xc6, 0xa7, 0xc2, rest @ ..] = input else {
                    return Err(Damaged("another dictionary than that of SPDY/3"));
                };
                input = rest;
                self.window = dictionary::bytes();
            }
            self.begun = true;
        }
        let before = self.window.len();
        let mut bits = Bits { input, at: 0, held: 0, count: 0 };
        let limit = before + most;
        while !bits.is_over() {
            let last = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => stored(&mut bits, &mut self.window, limit)?,
                1 => {
                    let (lengths, distances) = fixed()?;
                    compressed(&mut bits, &mut self.window, limit, &lengths, &distances)?;
                }
                2 => {
                    let (lengths, distances) = dynamic(&mut bits)?;
                    compressed(&mut bits, &mut self.window, limit, &lengths, &distances)?;
                }
                _ => return Err(Damaged("a block of an unknown kind")),
            }
            if last {
                break;
            }
        }
        let out = self.window[before..].to_vec();
        let excess = self.window.len().saturating_sub(WINDOW);
        self.window.drain(..excess);
        Ok(out)
    }
}

struct Bits<'a> {
    input: &'a [u8],
    at: usize,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    /// Whether whole bytes are over; bits that are left pad the last.
    fn is_over(&self) -> bool {
        self.at == self.input.len() && self.count < 3
    }

    fn take(&mut self, n: u32) -> Result<u32, Damaged> {
        while self.count < n {
            let byte = *self.input.get(self.at).ok_or(Damaged("cut off"))?;
            self.at += 1;
            self.held |= u32::from(byte) << self.count;
            self.count += 8;
        }
        let value = self.held & ((1 << n) - 1);
        self.held >>= n;
        self.count -= n;
        Ok(value)
    }
}

/// A canonical Huffman code: how many codes there are of each length, and their symbols in order.
struct Code {
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Code, Damaged> {
        let mut counts = [0_u16; 16];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut left = 1_i32;
        for count in &counts[1..] {
            left = (left << 1) - i32::from(*count);
            if left < 0 {
                return Err(Damaged("a code with too many words"));
            }
        }
        let mut symbols = Vec::with_capacity(lengths.len());
        for n in 1..16 {
            let of_length = lengths.iter().enumerate().filter(|(_, l)| **l == n);
            symbols.extend(of_length.map(|(symbol, _)| symbol as u16));
        }
        Ok(Code { counts, symbols })
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<u16, Damaged> {
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            let count = u32::from(*count);
            if code < first + count {
                return self
                    .symbols
                    .get((index + code - first) as usize)
                    .copied()
                    .ok_or(Damaged("no such word"));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Damaged("no such word"))
    }
}

fn fixed() -> Result<(Code, Code), Damaged> {
    let mut lengths = [8_u8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Ok((Code::new(&lengths)?, Code::new(&[5; 30])?))
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), Damaged> {
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let given = bits.take(4)? as usize + 4;
    if literals > 286 || distances > 30 {
        return Err(Damaged("too many code lengths"));
    }
    let mut of_lengths = [0_u8; 19];
    for slot in &ORDER[..given] {
        of_lengths[*slot] = bits.take(3)? as u8;
    }
    let code = Code::new(&of_lengths)?;
    let mut lengths: Vec<u8> = Vec::with_capacity(literals + distances);
    while lengths.len() < literals + distances {
        let (value, times) = match code.read(bits)? {
            symbol @ 0..=15 => (symbol as u8, 1),
            16 => {
                let last = *lengths.last().ok_or(Damaged("nothing to repeat"))?;
                (last, bits.take(2)? + 3)
            }
            17 => (0, bits.take(3)? + 3),
            _ => (0, bits.take(7)? + 11),
        };
        lengths.extend(std::iter::repeat_n(value, times as usize));
    }
    if lengths.len() > literals + distances {
        return Err(Damaged("too many code lengths"));
    }
    Ok((Code::new(&lengths[..literals])?, Code::new(&lengths[literals..])?))
}

fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>, limit: usize) -> Result<(), Damaged> {
    (bits.held, bits.count) = (0, 0);
    let head = bits.input.get(bits.at..bits.at + 4).ok_or(Damaged("cut off"))?;
    let (length, check) =
        (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
    if length != !check {
        return Err(Damaged("a length that does not match its check"));
    }
    bits.at += 4;
    let end = bits.at + usize::from(length);
    let text = bits.input.get(bits.at..end).ok_or(Damaged("cut off"))?;
    bits.at = end;
    if out.len() + text.len() > limit {
        return Err(Damaged("too long"));
    }
    out.extend_from_slice(text);
    Ok(())
}

fn compressed(
    bits: &mut Bits<'_>,
    out: &mut Vec<u8>,
    limit: usize,
    lengths: &Code,
    distances: &Code,
) -> Result<(), Damaged> {
    loop {
        let symbol = lengths.read(bits)?;
        if symbol == 256 {
            return Ok(());
        }
        if symbol < 256 {
            if out.len() >= limit {
                return Err(Damaged("too long"));
            }
            out.push(symbol as u8);
            continue;
        }
        let slot = usize::from(symbol - 257);
        let base = *LENGTH_BASE.get(slot).ok_or(Damaged("no such length"))?;
        let length = usize::from(base) + bits.take(u32::from(LENGTH_EXTRA[slot]))? as usize;
        let slot = usize::from(distances.read(bits)?);
        let base = *DISTANCE_BASE.get(slot).ok_or(Damaged("no such distance"))?;
        let distance = usize::from(base) + bits.take(u32::from(DISTANCE_EXTRA[slot]))? as usize;
        if distance > out.len() {
            return Err(Damaged("refers to before the beginning"));
        }
        if out.len() + length > limit {
            return Err(Damaged("too long"));
        }
        for _ in 0..length {
            out.push(out[out.len() - distance]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two header blocks as zlib compresses them with the dictionary, level 9.
    const FIRST: &str = "78f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45e01c6061606100a4398b20d198094ade8c0600000000ffff";
    const SECOND: &str = "c2aa19540e2512d60b000000ffff";

    fn hex(text: &str) -> Vec<u8> {
        let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
        text.as_bytes().chunks(2).map(|c| digit(c[0]) << 4 | digit(c[1])).collect()
    }

    #[test]
    fn blocks_refer_to_the_dictionary_and_to_each_other() {
        let mut inflate = Inflate::default();
        let first = inflate.block(&hex(FIRST), 1000).unwrap();
        let text = b"\0\0\0\x03\0\0\0\x0astreamtype\0\0\0\x05error\0\0\0\x04port\0\0\0\x048080\0\0\0\x09requestid\0\0\0\x010";
        assert_eq!(first, text);
        let second = inflate.block(&hex(SECOND), 1000).unwrap();
        assert!(second.windows(4).any(|w| w == b"data") && second.len() == first.len() - 1);
    }

    #[test]
    fn damage_and_bombs_are_refused() {
        assert_eq!(Inflate::default().block(&hex(FIRST), 20), Err(Damaged("too long")));
        let whole = hex(FIRST);
        for at in 0..whole.len() {
            // Anything may come of it but a panic or more than was allowed.
            let mut bent = whole.clone();
            bent[at] ^= 0x55;
            if let Ok(out) = Inflate::default().block(&bent, 100) {
                assert!(out.len() <= 100);
            }
            let _ = Inflate::default().block(&whole[..at], 100);
        }
    }
}
