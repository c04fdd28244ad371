//! What commands wrote: blocks of text, so many that a page can hold them.

/// How much text is kept, in bytes.
const KEPT: usize = 400_000;
/// A block is closed when it is this long, so that little is drawn anew.
const BLOCK: usize = 8_000;

/// Who wrote a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user, after the prompt.
    Typed,
    /// A command's standard output.
    Out,
    /// Its standard error.
    Err,
    /// The terminal itself.
    Note,
}

/// Text of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number: no other has it.
    pub id: u64,
    /// Who wrote it.
    pub kind: Kind,
    /// What.
    pub text: String,
}

/// All that was written and is kept.
#[derive(Debug, Default)]
pub struct Screen {
    blocks: Vec<Block>,
    size: usize,
    next: u64,
}

impl Screen {
    /// The blocks, the oldest first.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Nothing is left.
    pub fn clear(&mut self) {
        self.blocks.clear();
        self.size = 0;
    }

    /// Adds text; the oldest goes when there is too much.
    pub fn write(&mut self, kind: Kind, text: &str) {
        let text = plain(text);
        if text.is_empty() {
            return;
        }
        let mut text = text.as_str();
        if text.len() > KEPT {
            let mut at = text.len() - KEPT;
            while !text.is_char_boundary(at) {
                at += 1;
            }
            text = &text[at..];
        }
        self.size += text.len();
        match self.blocks.last_mut() {
            Some(last) if last.kind == kind && last.text.len() < BLOCK => last.text.push_str(text),
            _ => {
                self.blocks.push(Block { id: self.next, kind, text: text.to_owned() });
                self.next += 1;
            }
        }
        let mut gone = 0;
        while self.size > KEPT && gone + 1 < self.blocks.len() {
            self.size -= self.blocks[gone].text.len();
            gone += 1;
        }
        self.blocks.drain(..gone);
    }

    /// Whether what comes next begins a line.
    pub fn at_line_start(&self) -> bool {
        self.blocks.last().is_none_or(|b| b.text.ends_with('\n'))
    }
}

/// Without the escape sequences of real terminals, and with plain line ends.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    // A control sequence ends with a letter or the like (ECMA-48, 5.4).
                    while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                }
                chars.next();
            }
            '\u{8}' => {
                if !out.ends_with('\n') {
                    out.pop();
                }
            }
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_a_kind_is_together() {
        let mut screen = Screen::default();
        screen.write(Kind::Out, "a\n");
        screen.write(Kind::Out, "b");
        assert!(!screen.at_line_start());
        screen.write(Kind::Err, "c\n");
        assert_eq!(screen.blocks().len(), 2);
        assert_eq!(screen.blocks()[0].text, "a\nb");
        screen.clear();
        assert!(screen.blocks().is_empty() && screen.at_line_start());
    }

    #[test]
    fn it_holds_only_so_much() {
        let mut screen = Screen::default();
        for i in 0..20_000 {
            screen.write(Kind::Out, &format!("line {i} of many that somebody follows\n"));
        }
        let kept: usize = screen.blocks().iter().map(|b| b.text.len()).sum();
        assert!(kept <= KEPT + BLOCK, "{kept}");
        assert!(screen.blocks().last().unwrap().text.contains("line 19999"));
    }

    #[test]
    fn escape_sequences_are_left_out() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\r\nab\u{8}c\u{7}"), "red\nac");
    }
}
