//! The bytes of a file, in blocks: a hole takes no memory, and no call costs more than what it
//! moves, however long the file is.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Bytes of a block. A block may be shorter: what is missing is zeros.
const BLOCK: u64 = 64 << 10;

/// What a file contains.
#[derive(Default)]
pub(crate) struct Contents {
    size: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Contents {
    /// How long it is, holes included.
    pub(crate) fn len(&self) -> u64 {
        self.size
    }

    /// Up to `len` bytes from `offset`; fewer at the end.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Bytes {
        let start = offset.min(self.size);
        let end = start.saturating_add(len as u64).min(self.size);
        let mut out = vec![0; (end - start) as usize];
        for (at, from, n) in pieces(start, end) {
            if let Some(block) = self.blocks.get(&at) {
                let have = block.get(from..block.len().min(from + n)).unwrap_or_default();
                let to = (at * BLOCK + from as u64 - start) as usize;
                out[to..to + have.len()].copy_from_slice(have);
            }
        }
        out.into()
    }

    /// Puts `bytes` at `offset`, and makes it longer if they go past the end.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        for (at, from, n) in pieces(offset, end) {
            let block = self.blocks.entry(at).or_default();
            if block.len() < from + n {
                block.resize(from + n, 0);
            }
            let source = (at * BLOCK + from as u64 - offset) as usize;
            block[from..from + n].copy_from_slice(&bytes[source..source + n]);
        }
        self.size = self.size.max(end);
    }

    /// Cuts it, or makes it longer by a hole.
    pub(crate) fn resize(&mut self, size: u64) {
        if size < self.size {
            self.blocks.split_off(&size.div_ceil(BLOCK));
            if let Some(last) = self.blocks.get_mut(&(size / BLOCK)) {
                last.truncate((size % BLOCK) as usize);
                last.shrink_to_fit();
            }
        }
        self.size = size;
    }

    /// Bytes of memory its blocks take.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.blocks.values().map(Vec::capacity).sum()
    }
}

/// The parts of `start..end` that lie in one block each: block, offset in it, length.
fn pieces(start: u64, end: u64) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut at = start;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (block, from) = (at / BLOCK, at % BLOCK);
        let n = (BLOCK - from).min(end - at);
        at += n;
        Some((block, from as usize, n as usize))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_across_blocks() {
        let mut file = Contents::default();
        let text: Vec<u8> = (0..BLOCK * 2 + 100).map(|n| (n % 251) as u8).collect();
        file.write(BLOCK - 50, &text);
        assert_eq!(file.len(), BLOCK - 50 + text.len() as u64);
        assert_eq!(file.read(BLOCK - 50, usize::MAX), text);
        assert_eq!(file.read(BLOCK - 52, 4), [0, 0, text[0], text[1]][..]);
        assert_eq!(file.read(file.len(), 10), b""[..]);
        assert_eq!(file.read(u64::MAX, usize::MAX), b""[..]);
    }

    #[test]
    fn a_hole_reads_as_zeros_and_takes_no_memory() {
        let mut file = Contents::default();
        file.write(0, b"start");
        file.resize(1 << 40);
        file.write((1 << 40) - 3, b"end");
        assert!(file.memory() <= 3 * BLOCK as usize, "{} bytes", file.memory());
        assert_eq!(file.read((1 << 40) - 5, 10), b"\0\0end"[..]);
        assert_eq!(file.read(5, 3), [0, 0, 0][..]);
    }

    #[test]
    fn what_was_cut_off_does_not_come_back_and_its_memory_is_returned() {
        let mut file = Contents::default();
        file.write(0, &vec![7; 3 * BLOCK as usize]);
        file.resize(10);
        assert!(file.memory() < 100, "{} bytes", file.memory());
        file.resize(2 * BLOCK);
        assert_eq!(file.read(8, 4), [7, 7, 0, 0][..]);
        assert_eq!(file.read(BLOCK, 4), [0; 4][..]);
        file.resize(0);
        assert_eq!((file.len(), file.memory()), (0, 0));
    }
}
