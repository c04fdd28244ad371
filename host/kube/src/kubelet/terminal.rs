//! A small terminal: what the line discipline of a pseudo-terminal does between a person and a
//! program (termios(4) in its usual mode: `ICANON ECHO ISIG ICRNL ONLCR`).

use std::sync::{Arc, Mutex};

use podlab_trace::Stream;

use crate::runtime::Output;

/// A line is not longer than this (`MAX_CANON` of Linux).
const MAX_LINE: usize = 4095;
/// The signals that keys send.
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;

/// What a person types becomes lines and signals; what a program writes gets carriage returns.
#[derive(Default)]
pub(crate) struct Terminal {
    line: Mutex<Vec<u8>>,
}

/// What typed bytes come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    /// What the screen shows of them.
    pub(crate) echo: Vec<u8>,
    /// What happens to the program, in order.
    pub(crate) acts: Vec<Act>,
}

/// What happens to the program behind a terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It gets these bytes.
    Feed(Vec<u8>),
    /// It gets a signal.
    Signal(u8),
    /// Its input ends.
    End,
}

impl Terminal {
    /// Takes what was typed.
    pub(crate) fn typed(&self, bytes: &[u8]) -> Typed {
        let mut line = self.line.lock().expect("terminal lock");
        let mut out = Typed::default();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    line.push(b'\n');
                    out.echo.extend(b"\r\n");
                    out.acts.push(Act::Feed(std::mem::take(&mut line)));
                }
                // ^C and ^\ throw the line away.
                0x03 | 0x1c => {
                    line.clear();
                    let (echo, signal) =
                        if *byte == 3 { (b"^C\r\n", SIGINT) } else { (b"^\\\r\n", SIGQUIT) };
                    out.echo.extend(echo);
                    out.acts.push(Act::Signal(signal));
                }
                // ^D ends the input, or hands over a line that has no end yet.
                0x04 if line.is_empty() => out.acts.push(Act::End),
                0x04 => out.acts.push(Act::Feed(std::mem::take(&mut line))),
                0x08 | 0x7f => {
                    if erase(&mut line) {
                        out.echo.extend(b"\x08 \x08");
                    }
                }
                // ^U takes the line back, ^W its last word.
                0x15 => {
                    while erase(&mut line) {
                        out.echo.extend(b"\x08 \x08");
                    }
                }
                0x17 => {
                    let mut word = false;
                    while let Some(last) = line.last() {
                        if *last == b' ' && word {
                            break;
                        }
                        word |= *last != b' ';
                        erase(&mut line);
                        out.echo.extend(b"\x08 \x08");
                    }
                }
                _ if line.len() >= MAX_LINE => out.echo.push(0x07),
                // Other control characters are shown as they are called.
                byte if *byte < 0x20 && *byte != b'\t' => {
                    line.push(*byte);
                    out.echo.extend([b'^', byte + 0x40]);
                }
                byte => {
                    line.push(*byte);
                    out.echo.push(*byte);
                }
            }
        }
        out
    }
}

/// Takes back one character, all of its bytes.
fn erase(line: &mut Vec<u8>) -> bool {
    while let Some(byte) = line.pop() {
        if byte & 0xc0 != 0x80 {
            return true;
        }
    }
    false
}

/// What `program` writes, as a terminal shows it: one stream, lines ended by `\r\n`.
pub(crate) fn screen(output: &Output) -> Output {
    let output = output.clone();
    let mut after = 0;
    Arc::new(Mutex::new(move |_: Stream, bytes: &[u8]| {
        let mut shown = Vec::with_capacity(bytes.len() + 16);
        for byte in bytes {
            if *byte == b'\n' && after != b'\r' {
                shown.push(b'\r');
            }
            shown.push(*byte);
            after = *byte;
        }
        (output.lock().expect("output lock"))(Stream::Stdout, &shown);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(text: &str) -> Act {
        Act::Feed(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_are_edited_before_the_program_has_them() {
        let t = Terminal::default();
        let typed = t.typed("lx\x7fs é\x7f/\r".as_bytes());
        assert_eq!(typed.acts, [feed("ls /\n")]);
        assert_eq!(typed.echo, "lx\x08 \x08s é\x08 \x08/\r\n".as_bytes());
        assert_eq!(t.typed(b"a b  \x17c\x15d\n").acts, [feed("d\n")]);
        assert_eq!(t.typed(b"\x7f\x7f").echo, b"");
    }

    #[test]
    fn keys_are_signals_and_ends() {
        let t = Terminal::default();
        assert_eq!(t.typed(b"abc\x03").acts, [Act::Signal(2)]);
        assert_eq!(t.typed(b"\x04").acts, [Act::End]);
        assert_eq!(t.typed(b"half\x04\x04").acts, [feed("half"), Act::End]);
        assert_eq!(t.typed(b"\x1b[A\n").echo, b"^[[A\r\n");
    }

    #[test]
    fn a_line_has_a_greatest_length() {
        let t = Terminal::default();
        t.typed(&vec![b'x'; 10_000]);
        let Some(Act::Feed(line)) = t.typed(b"\n").acts.pop() else { panic!("no line") };
        assert_eq!(line.len(), MAX_LINE + 1);
    }

    #[test]
    fn the_screen_gets_carriage_returns() {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let sink = shown.clone();
        let output: Output = Arc::new(Mutex::new(move |_: Stream, bytes: &[u8]| {
            sink.lock().unwrap().extend_from_slice(bytes);
        }));
        let screen = screen(&output);
        for piece in ["a\nb\r", "\nc"] {
            (screen.lock().unwrap())(Stream::Stderr, piece.as_bytes());
        }
        assert_eq!(*shown.lock().unwrap(), b"a\r\nb\r\nc");
    }
}
