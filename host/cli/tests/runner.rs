//! `podlab test` and `podlab new` as a new user meets them: begin, break, read, replay, mend.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests of a command")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder of its own, with what the command keeps.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podlab"));
        command.args(args).current_dir(self.path());
        command.env("XDG_STATE_HOME", self.path().join("state")).stdin(Stdio::null());
        command
    }

    /// The exit code, and all that was printed.
    fn run(&self, args: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
        (status.code().unwrap(), text)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// A pattern as `podlab new` begins it.
    fn with_pattern() -> Place {
        let place = Place::new();
        let (code, text) = place.run(&["new", "pattern", "mine"]);
        assert_eq!(code, 0, "{text}");
        place
    }
}

#[test]
fn what_new_begins_lints_and_passes_at_once() {
    let place = Place::with_pattern();
    for args in [
        ["new", "scenario", "all-start", "--in", "mine"],
        ["new", "exercise", "selector", "--in", "mine"],
    ] {
        let (code, text) = place.run(&args);
        assert_eq!(code, 0, "{text}");
    }
    let (code, text) = place.run(&["lint", "mine"]);
    assert_eq!((code, text.contains("1 exercises run, 0 findings")), (0, true), "{text}");
    let (code, text) = place.run(&["test", "mine", "--seeds", "5"]);
    assert_eq!((code, text.contains("10 passed, 0 failed")), (0, true), "{text}");
    // Nothing is overwritten, and names are names.
    assert_eq!(place.run(&["new", "pattern", "mine"]).0, 3);
    assert_eq!(place.run(&["new", "scenario", "all-start", "--in", "mine"]).0, 3);
    assert_eq!(place.run(&["new", "pattern", "../mine"]).0, 3);
    assert_eq!(place.run(&["new", "scenario", "x", "--in", "state"]).0, 3);
}

/// A scenario with faults that do not matter, one that does, and things to leave out.
const FAILS: &str = "\
title: {en: A, ja: A}
apply: [manifests/greeter.yaml]
steps:
  - wait: {until: ready('greeter')}
  - sleep: 1s
  - load: {request: {name: noise, to: \"greeter:8080\"}, rate: 5.0, for: 10s}
  - load: {request: {name: page, to: \"greeter:8080\"}, rate: 5.0, for: 10s}
  - repeat: {times: 2, steps: [{oneOf: {name: n, choices: [[{sleep: 10ms}], [{sleep: 20ms}]]}}]}
  - faults:
      until: 9s
      budget:
        - {anyOf: [{kill: {target: default/greeter/greeter}}], perMinute: 30.0, atMost: 4}
        - anyOf: [{link: {a: '*', b: outside, latencyMs: 5.0}}]
          perMinute: 60.0
          atMost: 6
          for: {min: 1s, max: 2s}
  - join: page
  - join: noise
checks:
  - {name: never-killed, on: event.kind == 'exit', never: event.code == 137}
";

#[test]
fn what_fails_is_shrunk_reported_replayed_and_mended() {
    let place = Place::with_pattern();
    place.write("mine/scenarios/fails.yaml", FAILS);
    let test = ["test", "mine", "--scenario", "fails", "--seeds", "3", "--report", "r.html"];
    let (code, text) = place.run(&[&test[..], &["--record", "kept"]].concat());
    assert_eq!(code, 1, "{text}");
    for part in [
        "seed 1:",
        "never-killed failed",
        "expected: never event.code == 137 on event.kind == 'exit'",
        "seen:     it held at",
        "around it:",
        "signal 9",
        "the smallest scenario that fails in the same way (1 of ",
        "again:    podlab test mine --scenario fails --seed 1",
        "--open",
        "podlab replay kept/mine-fails-1.plrec",
        "podlab up --recording kept/mine-fails-1-smallest.plrec",
        "faults: kill",
        "never: clockSkew",
        "0 passed, 1 failed",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let smallest = place.read("kept/mine-fails-1-smallest.yaml");
    for gone in ["noise", "link:", "oneOf", "repeat"] {
        assert!(!smallest.contains(gone), "{gone} is in\n{smallest}");
    }
    assert_eq!(smallest.matches("kill:").count(), 1);

    // Nothing is fetched from anywhere, and all there is to know is there.
    let page = place.read("r.html");
    assert!(!page.contains("http") && !page.contains("<script") && !page.contains("src="));
    for part in ["<!doctype html>", "prefers-color-scheme:dark", "<svg", "never-killed", "smallest"]
    {
        assert!(page.contains(part), "{part} is not in the page");
    }

    // The smallest scenario fails by itself, and its recording is the same again.
    let file = "kept/mine-fails-1-smallest.yaml";
    let alone = ["test", "mine", "--scenario", file, "--seed", "1", "--no-shrink"];
    let (code, text) = place.run(&alone);
    assert_eq!((code, text.contains("never-killed failed")), (1, true), "{text}");
    assert!(!text.contains("smallest scenario that"), "{text}");
    for recording in ["mine-fails-1.plrec", "mine-fails-1-smallest.plrec"] {
        let (code, text) = place.run(&["replay", &format!("kept/{recording}")]);
        assert_eq!((code, text.starts_with("identical")), (0, true), "{text}");
    }
    // So is the whole run, with what the seed chose written out, even under another seed's name.
    let whole = place.read("kept/mine-fails-1.yaml");
    assert!(whole.starts_with("# Pattern mine, scenario fails, seed 1"), "{whole}");
    assert!(whole.contains("scenario/faults/0: kill") && whole.contains("plan:"), "{whole}");

    // Twice the same, also what was shrunk.
    let json = ["test", "mine", "--scenario", "fails", "--seeds", "3", "--format", "json"];
    let document = || -> Value {
        let (_, text) = place.run(&json);
        let mut document: Value = serde_json::from_str(&text).unwrap();
        document["seconds"] = Value::Null;
        document
    };
    let first = document();
    assert_eq!(first, document());
    let runs = first["smallest"][0]["runs"].as_u64().unwrap();
    assert!(runs <= 30 && first["smallest"][0]["faults"] == 1, "{first:#}");

    place
        .write("mine/scenarios/fails.yaml", &FAILS.replace("event.code == 137", "event.code == 1"));
    let (code, text) = place.run(&test);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_run_is_frozen_at_an_instant_and_served() {
    let place = Place::with_pattern();
    let many = place.run(&["test", "mine", "--seeds", "2", "--open"]);
    assert_eq!((many.0, many.1.contains("--open serves one run")), (3, true), "{}", many.1);
    assert_eq!(place.run(&["test", "mine", "--until", "5s"]).0, 3);
    let args = ["test", "mine", "--seed", "1", "--until", "5s", "--open"];
    let mut podlab = place.command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(podlab.stdout.take().unwrap()).lines();
    let url = lines.map(Result::unwrap).find_map(|l| Some(l.split_once("http://")?.1.to_owned()));
    let address = url.unwrap().split('/').next().unwrap().to_owned();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let worlds = get("/api/worlds");
    assert!(
        worlds.contains("\"nowNanos\":5000000000") && worlds.contains("\"speed\":0"),
        "{worlds}"
    );
    // What kubectl asks for.
    let pods = get("/api/worlds/w1/kube/api/v1/namespaces/default/pods");
    assert!(pods.contains("\"PodList\"") && pods.contains("\"greeter\""), "{pods}");
    podlab.kill().unwrap();
    podlab.wait().unwrap();
}

#[test]
fn anybodys_folder_maps_images_to_its_own_wasm_files() {
    let place = Place::with_pattern();
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/embed/images");
    std::fs::create_dir_all(place.path().join("mine/images")).unwrap();
    let wasm = place.path().join("mine/images/my-own.wasm");
    std::fs::copy(guests.join("greeter.wasm"), wasm).unwrap();
    let mapped = place
        .read("mine/pattern.yaml")
        .replace("greeter:v1: greeter", "registry.example/my-own:1.0: images/my-own.wasm");
    place.write("mine/pattern.yaml", &mapped);
    let manifest = place.read("mine/manifests/greeter.yaml");
    place.write(
        "mine/manifests/greeter.yaml",
        &manifest.replace("greeter:v1", "registry.example/my-own:1.0"),
    );
    let (code, text) = place.run(&["test", "mine", "--seeds", "2"]);
    assert_eq!(code, 0, "{text}");
    std::fs::write(place.path().join("mine/images/my-own.wasm"), "no wasm").unwrap();
    let (code, text) = place.run(&["test", "mine"]);
    assert_eq!((code, text.contains("image registry.example/my-own:1.0")), (3, true), "{text}");
    std::fs::remove_file(place.path().join("mine/images/my-own.wasm")).unwrap();
    let (code, text) = place.run(&["test", "mine"]);
    assert_eq!((code, text.contains("neither such a guest nor such a file")), (3, true), "{text}");
}

#[test]
fn files_that_change_are_tested_again() {
    let place = Place::with_pattern();
    assert_eq!(place.run(&["test", "sidecar", "--watch"]).0, 3);
    let mut podlab =
        place.command(&["test", "mine", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(podlab.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|l| l == "1 passed, 0 failed"));
    let path = "mine/scenarios/comes-back.yaml";
    // Watching may begin a moment after the summary: write until it is noticed.
    place.write(path, &place.read(path).replace("contains('Ada')", "contains('Eve')"));
    assert!(lines.by_ref().any(|l| l == "0 passed, 1 failed"));
    podlab.kill().unwrap();
    podlab.wait().unwrap();
}

#[test]
fn bad_input_gets_one_clear_message_and_the_right_exit_code() {
    let place = Place::with_pattern();
    let good = place.read("mine/scenarios/comes-back.yaml");
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &('b'..='i')
            .zip('a'..='h')
            .map(|(c, p)| {
                let refs = vec![format!("*{p}"); 9].join(",");
                format!("{c}: &{c} [{refs}]\n")
            })
            .collect::<String>()
        + &good;
    let file = "mine/scenarios/comes-back.yaml";
    let case = |from: &str, to: &str, expected: &[&str]| {
        assert!(good.contains(from), "{from}");
        place.write(file, &good.replacen(from, to, 1));
        let (code, text) = place.run(&["test", "mine"]);
        assert_eq!(code, 3, "{to}: {text}");
        for part in expected {
            assert!(text.contains(part), "{to}: {part} is not in\n{text}");
        }
        assert!(text.lines().count() <= 3, "{to}: one message\n{text}");
    };
    case(
        "  - sleep: 1s",
        "  - slep: 1s",
        &["comes-back.yaml:", "unknown variant `slep`", "did you mean \"sleep\"?"],
    );
    case("sleep: 1s", "sleep: -1s", &["comes-back.yaml:13", "negative"]);
    case("sleep: 1s", "sleep: soon", &["comes-back.yaml:13", "250ms, 5s or 1m30s"]);
    case("- kill:", "- kil:", &["comes-back.yaml:", "`kil`", "did you mean \"kill\"?"]);
    case(
        "target: default/greeter/greeter",
        "target: greeter",
        &["kill", "write namespace/pod/container"],
    );
    case(
        "manifests/greeter.yaml",
        "manifests/greter.yaml",
        &["apply: there is no file", "did you mean \"manifests/greeter.yaml\"?"],
    );
    case(
        "last('before').ok",
        "last('befor').ok",
        &["check \"answered-before\"", "did you mean \"before\"?"],
    );
    case("last('before').ok &&", "last('before').ok &&&", &["in the expression"]);
    case(
        "    finally: last('before')",
        "    within: 1s\n    finally: last('before')",
        &["answered-before", "`finally` looks once"],
    );
    case("sleep: 1s", "sleep: 2h", &["timeout is 10m", "never come to their end"]);
    place.write(file, &bomb);
    let (code, text) = place.run(&["test", "mine"]);
    assert_eq!(code, 3, "{text}");
    place.write(file, "title: {en: A, ja: A}\nsteps: [\n");
    assert_eq!(place.run(&["test", "mine"]).0, 3);

    // What is understood but does not come true is a failure, not wrong usage.
    let never = good.replacen(
        "until: ready('greeter'), within: 60s",
        "until: ready('nobody'), within: 5s",
        1,
    );
    place.write(file, &never);
    let (code, text) = place.run(&["test", "mine", "--no-shrink"]);
    assert_eq!((code, text.contains("there is no pod \"nobody\"")), (1, true), "{text}");
    // A check that was never put to the test is neither passed nor failed.
    place.write(file, &(good.clone() + "  - {name: vain, on: event.kind == 'probe' && event.pod == 'x', always: event.ok}\n"));
    let (code, text) = place.run(&["test", "mine"]);
    assert_eq!((code, text.contains("never put to the test")), (2, true), "{text}");
    // A goal that no seed reaches.
    place.write(file, &(good + "  - {name: goal, sometimes: ready('nobody')}\n"));
    let (code, text) = place.run(&["test", "mine", "--seeds", "2"]);
    assert_eq!((code, text.contains("the goal goal was not reached")), (2, true), "{text}");
    assert_eq!(place.run(&["test", "nothing-here"]).0, 3);
    assert_eq!(place.run(&["test", "mine", "--seeds", "x"]).0, 3);
}

#[test]
fn recordings_that_are_cut_short_or_strange_are_named() {
    let place = Place::with_pattern();
    let (code, text) = place.run(&["record", "sidecar", "--for", "2s", "--output", "a.plrec"]);
    assert_eq!(code, 0, "{text}");
    let whole = std::fs::read(place.path().join("a.plrec")).unwrap();
    let with = |bytes: &[u8]| {
        std::fs::write(place.path().join("b.plrec"), bytes).unwrap();
        place.run(&["replay", "b.plrec"])
    };
    let (code, text) = with(&whole[..whole.len() - 3]);
    assert!(code != 3 && text.contains("cut short and are left out"), "{code} {text}");
    let (code, text) = with(&whole[..20]);
    assert_eq!(
        (code, text.contains("cut short or damaged before its header ends")),
        (3, true),
        "{text}"
    );
    let (code, text) = with(b"something else entirely");
    assert_eq!((code, text.contains("not a Podlab recording")), (3, true), "{text}");
    let mut other = whole.clone();
    other[8] = other[8].wrapping_add(1);
    let (code, text) = with(&other);
    assert_eq!((code, text.contains("use the podlab that made it")), (3, true), "{text}");
}
