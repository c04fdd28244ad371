//! What hostile programs do stays theirs: each is contained, can be ended at any moment, and a
//! neighbour in the same pod, on the same single core, keeps its pace.

mod world;

use std::time::Duration;

use podlab_wasm::Stdin;
use podlab_wasm::container::Exit;
use world::{Run, Start, World, program};

const MIB: u64 = 1 << 20;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A hostile program beside a decent one, on one core.
struct Pair {
    world: World,
    hostile: Run,
    decent: Run,
}

fn pair(args: &[&str], start: Start<'_>) -> Pair {
    let world = World::with_cores(1, 1);
    let hostile = program("hostile");
    let decent = world.start(&hostile, &["hostile", "pace"]);
    let hostile = world.start_with(&hostile, args, start);
    Pair { world, hostile, decent }
}

impl Pair {
    /// The neighbour wrote its line each second, at most a few turns on the core late.
    fn decent_kept_its_pace(&self) {
        let expected = self.world.now().as_nanos() / 1_000_000_000;
        let text = self.decent.text();
        // The last tick may fall on this very instant.
        let ticks = text.lines().count() as u64;
        assert!(ticks + 1 >= expected && expected > 0, "{ticks} ticks in {expected} s: {text}");
        for line in text.lines() {
            let late: u64 = line.split(' ').nth(3).unwrap().parse().unwrap();
            assert!(late <= 40, "{line}");
        }
    }

    /// It is at work, ends at once when killed, and does nothing afterwards.
    fn can_be_killed(&mut self) {
        assert_eq!(self.hostile.container.exit(), None, "it wrote: {}", self.hostile.text());
        self.hostile.container.kill();
        assert_eq!(self.hostile.exit().code, 137);
        let (used, last) = (self.hostile.container.cpu().used(), self.hostile.text());
        self.world.pass(seconds(2));
        assert_eq!(self.hostile.container.cpu().used(), used);
        assert_eq!(self.hostile.text(), last);
        self.decent_kept_its_pace();
    }
}

#[test]
fn a_spinning_program_takes_its_share_and_can_be_killed() {
    let mut p = pair(&["hostile", "spin"], Start::default());
    p.world.pass(seconds(3));
    let used = p.hostile.container.cpu().used();
    assert!(used > Duration::from_millis(2900) && used <= seconds(3), "{used:?}");
    p.decent_kept_its_pace();
    p.can_be_killed();
}

#[test]
fn polling_without_waiting_lets_time_pass() {
    let mut p = pair(&["hostile", "zero-poll"], Start::default());
    p.world.pass(seconds(2));
    p.decent_kept_its_pace();
    p.can_be_killed();
}

#[test]
fn shouting_is_bounded_by_time() {
    let mut p = pair(&["hostile", "shout"], Start::default());
    p.world.pass(seconds(2));
    let said = p.hostile.text().len() as u64;
    assert!(said > MIB && said < 2 * 17 * MIB, "{said} bytes in 2 s");
    p.decent_kept_its_pace();
    p.can_be_killed();
}

#[test]
fn a_full_disk_is_an_error_that_the_program_sees() {
    let mut p = pair(&["hostile", "fill-disk"], Start { quota: Some(8 * MIB), ..Start::default() });
    let exit = p.world.until_exit(&p.hostile, seconds(10));
    assert_eq!(exit.code, 0);
    // std's own library turns every error of a stream into EIO; the world says
    // `insufficient-space` (see programs.rs).
    let text = p.hostile.text();
    assert!(text.starts_with("after ") && text.contains("I/O error"), "{text}");
    assert!(p.hostile.root.used() <= 8 * MIB, "{}", p.hostile.root.used());
    p.world.pass(seconds(1));
    p.decent_kept_its_pace();
}

#[test]
fn names_take_space_too() {
    let mut p = pair(&["hostile", "leak-files"], Start { quota: Some(MIB), ..Start::default() });
    let exit = p.world.until_exit(&p.hostile, seconds(30));
    assert_eq!(exit.code, 0);
    assert!(p.hostile.text().contains("No space left on device"), "{}", p.hostile.text());
}

#[test]
fn a_huge_disk_fills_no_faster_than_a_core_copies() {
    let mut p = pair(&["hostile", "fill-disk"], Start { quota: Some(1 << 40), ..Start::default() });
    p.world.pass(Duration::from_millis(100));
    p.can_be_killed();
    let used = p.hostile.root.used();
    assert!(used < 128 * MIB, "{} MiB in 0.1 s", used / MIB);
}

#[test]
fn handles_run_out() {
    let mut p = pair(&["hostile", "leak-handles"], Start::default());
    let exit = p.world.until_exit(&p.hostile, seconds(30));
    let said = p.hostile.text() + &exit.message;
    assert!(said.contains("handles"), "{exit:?} {said}");
    p.world.pass(seconds(1));
    p.decent_kept_its_pace();
}

#[test]
fn a_flood_of_connections_ends_in_an_error() {
    let mut p = pair(&["hostile", "flood"], Start::default());
    p.world.pass(seconds(5));
    p.decent_kept_its_pace();
    if p.hostile.container.exit().is_none() {
        // A full backlog makes the next connection wait, as it does on Linux.
        p.can_be_killed();
    }
    let refused = p.world.start(&program("hostile"), &["hostile", "flood", "127.0.0.1:7001"]);
    p.world.pass(Duration::from_millis(200));
    assert!(
        !refused.text().contains("after 0 connections"),
        "the port is free again: {}",
        refused.text()
    );
}

#[test]
fn endless_allocation_meets_the_limit_of_its_container() {
    let mut p =
        pair(&["hostile", "allocate"], Start { memory_limit: Some(48 * MIB), ..Start::default() });
    let exit = p.world.until_exit(&p.hostile, seconds(30));
    assert_eq!((exit.code, exit.reason.as_str()), (137, "OOMKilled"), "{exit:?}");
    assert!(p.hostile.container.memory() <= 48 * MIB);
    p.world.pass(seconds(1));
    p.decent_kept_its_pace();
}

#[test]
fn deep_recursion_ends_the_program_alone() {
    let mut p = pair(&["hostile", "recurse"], Start::default());
    let exit = p.world.until_exit(&p.hostile, seconds(30));
    assert_eq!(exit.code, 139, "{exit:?}");
    p.world.pass(seconds(1));
    p.decent_kept_its_pace();
}

#[test]
fn a_trap_tells_where() {
    let mut p = pair(&["hostile", "trap"], Start::default());
    let Exit { code, reason, message } = p.world.until_exit(&p.hostile, seconds(5));
    assert_eq!((code, reason.as_str()), (134, "Error"), "{message}");
    assert!(message.contains("unreachable"), "{message}");
    assert!(message.contains("hostile::main"), "names of the program's own functions: {message}");
    assert!(p.hostile.text().contains("on purpose"), "{}", p.hostile.text());
    p.world.pass(seconds(1));
    p.decent_kept_its_pace();
}

#[test]
fn every_way_can_be_ended_in_the_middle() {
    for way in [
        "spin",
        "allocate",
        "fill-disk",
        "leak-handles",
        "leak-files",
        "flood",
        "recurse",
        "zero-poll",
        "shout",
    ] {
        let mut p = pair(&["hostile", way], Start { quota: Some(64 * MIB), ..Start::default() });
        // Early enough that none of them is through.
        p.world.pass(Duration::from_micros(700));
        p.can_be_killed();
    }
}

#[test]
fn signals_act_as_on_linux() {
    for (number, code) in [(15, 143), (2, 130), (9, 137)] {
        let p = pair(&["hostile", "pace"], Start::default());
        p.hostile.container.signal(number);
        assert_eq!(p.hostile.exit().code, code);
    }
    // SIGCHLD, SIGURG, SIGWINCH are ignored by default.
    for number in [17, 23, 28] {
        let p = pair(&["hostile", "pace"], Start::default());
        p.hostile.container.signal(number);
        assert_eq!(p.hostile.container.exit(), None);
    }
}

#[test]
fn an_open_signal_device_takes_signals() {
    let mut p = pair(&["hostile", "signals"], Start::default());
    p.world.pass(seconds(1));
    assert_eq!(p.hostile.text(), "waiting\n");
    p.hostile.container.signal(10);
    p.world.pass(seconds(1));
    assert_eq!(p.hostile.text(), "waiting\nsignal 10\n");
    p.hostile.container.signal(15);
    let exit = p.world.until_exit(&p.hostile, seconds(1));
    assert_eq!((exit.code, exit.reason.as_str()), (0, "Completed"));
    let mut p = pair(&["hostile", "signals"], Start::default());
    p.world.pass(seconds(1));
    p.hostile.container.kill();
    assert_eq!(p.hostile.exit().code, 137);
}

#[test]
fn an_exit_is_success_or_not() {
    // `wasi:cli/exit`, as std uses it, knows no other codes; `exit-with-code` is in programs.rs.
    for (given, code, reason) in
        [("0", 0, "Completed"), ("1", 1, "Error"), ("3", 1, "Error"), ("255", 1, "Error")]
    {
        let mut p = pair(&["hostile", "exit", given], Start::default());
        let exit = p.world.until_exit(&p.hostile, seconds(1));
        assert_eq!((exit.code, exit.reason.as_str()), (code, reason));
    }
}

#[test]
fn standard_input_waits_and_ends() {
    let stdin = Stdin::open();
    let mut p = pair(&["hostile", "cat"], Start { stdin: stdin.clone(), ..Start::default() });
    stdin.push(b"one ");
    p.world.pass(seconds(1));
    assert_eq!(p.hostile.container.exit(), None, "it waits for more");
    stdin.push(b"two");
    stdin.close();
    p.world.until_exit(&p.hostile, seconds(1));
    assert_eq!(p.hostile.text(), "7 bytes: one two\n");
    let mut p = pair(&["hostile", "cat"], Start::default());
    p.world.until_exit(&p.hostile, seconds(1));
    assert_eq!(p.hostile.text(), "0 bytes: \n");
}

#[test]
fn a_seed_decides_everything_and_the_driver_nothing() {
    let run = |seed: u64, slice: Duration, budget: u64| {
        let mut world = World::with_cores(seed, 2);
        let hostile = program("hostile");
        let ways = ["pace", "spin", "flood", "zero-poll", "leak-handles", "fill-disk"];
        let runs: Vec<Run> = ways
            .iter()
            .map(|way| {
                world.start_with(
                    &hostile,
                    &[way, way],
                    Start { quota: Some(4 * MIB), ..Start::default() },
                )
            })
            .collect();
        let end = podlab_sim::Time::from_secs(1) + Duration::from_millis(500);
        while world.now() < end {
            let until = (world.now() + slice).min(end);
            while world.sim.run_until(until, budget) == podlab_sim::Stop::Budget {}
        }
        let said: Vec<String> = runs.iter().map(Run::text).collect();
        (world.trace.digest(), said)
    };
    let whole = run(7, seconds(10), u64::MAX);
    assert_eq!(run(7, seconds(10), u64::MAX), whole, "the same again");
    assert_eq!(run(7, Duration::from_micros(1237), u64::MAX), whole, "driven in slices of time");
    assert_eq!(run(7, Duration::from_millis(10), 3), whole, "driven a few polls at a time");
    assert_ne!(run(8, seconds(10), u64::MAX), whole, "another seed");
}
