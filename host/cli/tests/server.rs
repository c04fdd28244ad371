//! `podlab up` over TLS, with its log for programs; `podlab doctor`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests of a command")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that keeps what it keeps below `state`.
fn podlab(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podlab"));
    command.args(args).env("XDG_STATE_HOME", state).stdin(Stdio::null());
    command
}

/// Starts a server; its URL.
fn serve(state: &Path, more: &[&str]) -> (Running, String) {
    let mut command = podlab(state, &["up", "--no-open", "--port", "0", "--pattern", "sidecar"]);
    let log = std::fs::File::create(state.join("log")).unwrap();
    let mut child = command.args(more).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let url = line.strip_prefix("Podlab is at ").unwrap().trim_end_matches('/').to_owned();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (Running(child), url)
}

#[test]
fn over_tls_a_kubeconfig_brings_the_certificate_and_plain_http_is_sent_on() {
    let state = tempfile::tempdir().unwrap();
    let (_server, url) = serve(state.path(), &["--tls", "--log", "json"]);
    let address = url.strip_prefix("https://").expect("the address says that TLS is spoken");

    let out = podlab(state.path(), &["kubeconfig", "--server", &url]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("certificate-authority-data: ") && text.contains("server: https://"));
    // Without something to show, kubectl would ask for a user name.
    assert!(text.contains("token: "), "{text}");

    // Somebody else's certificate is not believed.
    let other = tempfile::tempdir().unwrap();
    let (_second, _) = serve(other.path(), &["--tls"]);
    let wrong = other.path().join("podlab/tls/certificate.pem");
    let wrong = wrong.to_str().unwrap();
    let args = ["kubeconfig", "--server", &url, "--certificate", wrong];
    let out = podlab(state.path(), &args).output().unwrap();
    assert_eq!(out.status.code(), Some(3), "{}", String::from_utf8_lossy(&out.stderr));

    let mut plain = TcpStream::connect(address).unwrap();
    write!(plain, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(&format!("Location: https://{address}/")), "{answer}");

    let log = std::fs::read_to_string(state.path().join("log")).unwrap();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&first["message"], &first["world"]), (&"a world begins".into(), &"w1".into()));
}

#[test]
fn certificate_and_key_are_given_together_and_fit() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("nonsense.pem");
    std::fs::write(&file, "nonsense").unwrap();
    let file = file.to_str().unwrap();
    let run = |args: &[&str]| podlab(state.path(), args).output().unwrap();
    let alone = run(&["up", "--no-open", "--port", "0", "--tls-cert", file]);
    assert_eq!(alone.status.code(), Some(3));
    let both = run(&["up", "--no-open", "--port", "0", "--tls-cert", file, "--tls-key", file]);
    assert_eq!(both.status.code(), Some(3));
    let text = String::from_utf8_lossy(&both.stderr);
    assert!(text.contains("nonsense.pem") && text.contains("no certificate"), "{text}");
}

fn doctor(state: &Path, port: u16) -> (Output, Value) {
    let port = port.to_string();
    let args = ["doctor", "--json", "--listen", "127.0.0.1", "--port", &port];
    let out = podlab(state, &args).output().unwrap();
    let found = serde_json::from_slice(&out.stdout).unwrap();
    (out, found)
}

fn state_of<'a>(found: &'a Value, what: &str) -> &'a str {
    let all = found.as_array().unwrap();
    let one = all.iter().find(|f| f["what"] == what).unwrap_or_else(|| panic!("{what}: {found}"));
    one["state"].as_str().unwrap()
}

#[test]
fn the_doctor_finds_a_port_that_is_taken_and_a_folder_that_is_none() {
    let state = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (out, found) = doctor(state.path(), taken.local_addr().unwrap().port());
    assert_eq!((out.status.code(), state_of(&found, "port")), (Some(1), "failed"), "{found}");
    assert_eq!(state_of(&found, "disk"), "ok");
    assert_eq!(state_of(&found, "network"), "warning", "only this machine could join");
    assert_ne!(state_of(&found, "worlds"), "failed", "{found}");

    // A file stands where the folder is to be.
    let file = state.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (out, found) = doctor(&file, 0);
    assert_eq!((out.status.code(), state_of(&found, "disk")), (Some(1), "failed"), "{found}");
    assert_eq!(state_of(&found, "port"), "ok");
}
