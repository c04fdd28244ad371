//! What happens when nobody reads on.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests of a command")]

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_goes_away_ends_it_without_complaint() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_podlab"))
        .args(["schema", "scenario"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!said.contains("panicked"), "{said}");
    assert!(matches!(done.status.code(), Some(0 | 141)), "{:?}", done.status);
}
