//! Lines at levels.

/// Gathers lines.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    base: usize,
}

impl Writer {
    /// Adds lines at a level; a level is two spaces, for the first line only, as kubectl does it.
    pub fn write(&mut self, level: usize, text: impl AsRef<str>) {
        self.out.push_str(&"  ".repeat(level + self.base));
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    /// Adds text as it is.
    pub fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// What is written by `f` is `levels` deeper.
    pub fn deeper(&mut self, levels: usize, f: impl FnOnce(&mut Writer)) {
        self.base += levels;
        f(self);
        self.base -= levels;
    }

    /// All lines.
    pub fn text(self) -> String {
        self.out
    }
}
