//! Where a command's output goes.

/// Where bytes go.
pub trait Sink: Send {
    /// Takes bytes; whether anybody still wants more.
    fn write(&mut self, bytes: &[u8]) -> bool;

    /// The output ends here: what was held back comes out.
    fn finish(&mut self) {}
}

/// Keeps all that is written.
#[derive(Debug, Default)]
pub struct Kept(pub Vec<u8>);

impl Sink for Kept {
    fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.extend_from_slice(bytes);
        true
    }
}

impl Kept {
    /// What was written.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}
