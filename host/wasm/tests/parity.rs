//! The same program natively, on the kernel's loopback and a real folder, and in a world: what it
//! prints must be the same, line for line, except for what WASI or std's WASI library itself
//! makes different. Those lines are listed here with the reason, and must still differ.

#![allow(clippy::disallowed_methods, reason = "one side of the comparison is the real machine")]

mod world;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use world::{World, native, program};

/// A line that differs: what it is about, what the world prints, and why.
struct Differs(&'static str, &'static str, &'static str);

/// What std calls an error that it has no kind for.
const UNKNOWN: &str = "error Uncategorized";
const UNSUPPORTED: &str = "error Unsupported";
const STREAMS: &str =
    "wasi-libc makes EIO of every error of a stream; the world says connection-reset";

fn lines(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .map(|(what, said)| (what.to_owned(), said.to_owned()))
        .collect()
}

fn natively(args: &[&str]) -> String {
    let mut command = Command::new(native("parity"));
    let mut child = command.args(args).stdout(Stdio::piped()).spawn().expect("it runs");
    // What blocks for ever natively is a fact that this program must not ask for.
    for _ in 0..300 {
        if child.try_wait().expect("it can be waited for").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _over = child.kill();
    let out = child.wait_with_output().expect("its output");
    let text = String::from_utf8(out.stdout).expect("text");
    assert!(out.status.success(), "{}: {text}", out.status);
    text
}

fn in_a_world(args: &[&str]) -> String {
    let mut world = World::new(1);
    let run = world.start(&program("parity"), &[&["parity"], args].concat());
    let exit = world.until_exit(&run, Duration::from_secs(60));
    assert_eq!(exit.code, 0, "{exit:?} after: {}", run.text());
    run.text()
}

/// Compares, and says all that is wrong at once.
fn compare(native: &str, world: &str, differs: &[Differs]) {
    let (native, world) = (lines(native), lines(world));
    let known: BTreeMap<_, _> = differs.iter().map(|d| (d.0, d)).collect();
    assert_eq!(known.len(), differs.len(), "a difference is listed twice");
    assert!(differs.iter().all(|d| !d.2.is_empty()), "a difference without a reason");
    let mut wrong = Vec::new();
    for ((what, said), (other, seen)) in native.iter().zip(&world) {
        assert_eq!(what, other, "both print the same facts in the same order");
        match known.get(what.as_str()) {
            None if said != seen => wrong.push(format!("{what}: native {said}, world {seen}")),
            Some(Differs(_, expected, _)) if seen != expected => {
                wrong.push(format!("{what}: native {said}, world {seen}, listed {expected}"));
            }
            Some(_) if said == seen => wrong.push(format!("{what}: listed, and does not differ")),
            _ => {}
        }
    }
    for d in differs {
        if !native.iter().any(|(what, _)| what == d.0) {
            wrong.push(format!("{}: listed, and nobody prints it", d.0));
        }
    }
    assert_eq!(native.len(), world.len(), "one of them stopped early: {native:?} {world:?}");
    assert!(native.len() > 60, "too few facts to mean anything: {}", native.len());
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_network_behaves_as_linux() {
    compare(
        &natively(&["net"]),
        &in_a_world(&["net"]),
        &[
            Differs("read from a connection nobody accepted", UNKNOWN, STREAMS),
            Differs("read after the peer closed with unread data", UNKNOWN, STREAMS),
            Differs(
                "connect_timeout to a closed port",
                "()",
                "wasi-libc's poll sets no POLLERR: the first use fails",
            ),
            Differs("peek", UNSUPPORTED, "wasi:sockets has no MSG_PEEK"),
            Differs("udp peek", UNSUPPORTED, "wasi:sockets has no MSG_PEEK"),
            Differs("try_clone", UNSUPPORTED, "WASI has no dup"),
            Differs("udp set read timeout", UNKNOWN, "wasi-libc has no SO_RCVTIMEO for UDP"),
            Differs("udp no read timeout", UNKNOWN, "wasi-libc has no SO_RCVTIMEO for UDP"),
            Differs("udp broadcast", UNKNOWN, "wasi:sockets has no SO_BROADCAST"),
        ],
    );
}

#[test]
fn files_behave_as_linux() {
    let dir = std::env::temp_dir().join(format!("podlab-parity-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("work")).expect("a folder");
    let native = natively(&["fs", dir.join("work").to_str().expect("a name")]);
    std::fs::remove_dir_all(&dir).expect("removed");
    compare(
        &native,
        &in_a_world(&["fs", "/work"]),
        &[
            Differs(
                "an empty path",
                "error IsADirectory",
                "wasi-libc takes it for the preopened directory",
            ),
            Differs(
                "remove_dir that is not empty",
                UNKNOWN,
                "std has no kind for ENOTEMPTY on WASI",
            ),
            Differs(
                "rename over a full directory",
                UNKNOWN,
                "std has no kind for ENOTEMPTY on WASI",
            ),
        ],
    );
}
