//! What one run of a container wrote, line by line.

use std::collections::VecDeque;

use bytes::Bytes;
use podlab_trace::Stream;

use crate::api::{LogLine, LogPart};

/// How much of a log is kept, in bytes. Older lines go, as when the kubelet rotates.
const KEPT: usize = 1 << 20;
/// A line is cut here, as containerd cuts.
const LINE: usize = 16 << 10;
/// What a line costs beside its text.
const COST: usize = 32;

/// The log of one run.
#[derive(Default)]
pub(crate) struct Log {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// The position of the first line kept.
    first: u64,
    partial: [Vec<u8>; 2],
    ended: bool,
}

impl Log {
    /// Takes what was written at `at` (ns since 1970). Says whether a line was completed.
    pub(crate) fn take(&mut self, at: u64, stream: Stream, bytes: &[u8]) -> bool {
        let slot = usize::from(stream == Stream::Stderr);
        let before = self.next();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, whole) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let mut text = text;
            while self.partial[slot].len() + text.len() > LINE {
                let (now, rest) = text.split_at(LINE - self.partial[slot].len());
                self.partial[slot].extend_from_slice(now);
                self.complete(at, slot);
                text = rest;
            }
            self.partial[slot].extend_from_slice(text);
            if whole {
                self.complete(at, slot);
            }
        }
        self.next() > before
    }

    fn complete(&mut self, at: u64, slot: usize) {
        let text = Bytes::from(std::mem::take(&mut self.partial[slot]));
        self.bytes += text.len() + COST;
        self.lines.push_back(LogLine { at, text });
        while self.bytes > KEPT
            && let Some(old) = self.lines.pop_front()
        {
            self.bytes -= old.text.len() + COST;
            self.first += 1;
        }
    }

    fn next(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// The program has ended: unfinished lines are lines now.
    pub(crate) fn end(&mut self, at: u64) {
        for slot in 0..2 {
            if !self.partial[slot].is_empty() {
                self.complete(at, slot);
            }
        }
        self.ended = true;
    }

    /// The lines from position `from` on.
    pub(crate) fn read(&self, from: u64) -> LogPart {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let lines = self.lines.iter().skip(skip).cloned().collect();
        LogPart { lines, next: self.next(), ended: self.ended }
    }

    /// The end of the log: at most 80 lines and 2048 bytes, as a termination message has it.
    pub(crate) fn tail(&self) -> String {
        let mut text = Vec::new();
        for line in self.lines.iter().skip(self.lines.len().saturating_sub(80)) {
            text.extend_from_slice(&line.text);
            text.push(b'\n');
        }
        let start = text.len().saturating_sub(2048);
        String::from_utf8_lossy(&text[start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_cut_and_forgotten() {
        let mut log = Log::default();
        assert!(!log.take(1, Stream::Stdout, b"he"));
        assert!(log.take(2, Stream::Stderr, b"oops\n"));
        assert!(log.take(3, Stream::Stdout, b"llo\n\nrest"));
        log.end(4);
        let part = log.read(0);
        let text: Vec<_> = part.lines.iter().map(|l| (l.at, &l.text[..])).collect();
        assert_eq!(text, [(2, &b"oops"[..]), (3, b"hello"), (3, b""), (4, b"rest")]);
        assert!(part.ended && part.next == 4);
        assert_eq!(log.read(3).lines.len(), 1);

        let mut log = Log::default();
        log.take(1, Stream::Stdout, &vec![b'x'; LINE + 1]);
        assert_eq!(log.read(0).lines[0].text.len(), LINE);
        for _ in 0..(2 * KEPT / LINE) {
            log.take(1, Stream::Stdout, &vec![b'y'; LINE]);
        }
        assert!(log.bytes <= KEPT && log.first > 0);
        assert_eq!(log.read(0).next, log.next());
    }
}
