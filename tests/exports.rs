//! A real world's trace in the tools that others wrote.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests live on real time")]

use std::process::Command;

use podlab_export::pcapng::Pcapng;
use podlab_sim::Time;
use podlab_tests::{engine, images, run, world_of};
use podlab_trace::{Event, Kind};

/// Twenty seconds of the sidecar world.
fn events() -> Vec<Event> {
    let images = images(&engine()).unwrap();
    let mut world = world_of(&images, "sidecar", 7).unwrap();
    run(&mut world, Time::from_secs(20));
    world.trace().read(1, 1 << 20)
}

/// What tshark prints of `file` with these arguments, a line each.
fn tshark(file: &std::path::Path, args: &[&str]) -> Vec<String> {
    let out = Command::new("tshark").arg("-r").arg(file).args(args).output().expect("tshark");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs tshark"]
fn wireshark_sees_the_same_messages_and_nothing_odd_about_tcp() {
    let events = events();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.pcapng");
    let mut file =
        Pcapng::new(std::fs::File::create(&path).unwrap(), 1_795_237_178_000_000_000).unwrap();
    for event in &events {
        file.take(event, true).unwrap();
    }
    let packets = file.packets();
    file.finish().unwrap();
    let messages = |request: bool| {
        let of = |e: &&Event| {
            matches!(&e.kind, Kind::Message { answers, protocol, .. }
                if protocol == "http/1.1" && (*answers == 0) == request)
        };
        events.iter().filter(of).count()
    };
    assert!(messages(true) > 50, "a world in which something happens");
    assert_eq!(tshark(&path, &["-Y", "http.request"]).len(), messages(true));
    assert_eq!(tshark(&path, &["-Y", "http.response"]).len(), messages(false));
    let odd =
        tshark(&path, &["-Y", "tcp.analysis.flags || ip.checksum.status == 0 || _ws.malformed"]);
    assert_eq!(odd, Vec::<String>::new());
    let all = tshark(&path, &["-T", "fields", "-e", "frame.interface_name"]);
    assert_eq!(all.len() as u64, packets);
    for pod in ["default/web", "default/origin", "default/log-store", "default/client"] {
        assert!(all.iter().any(|i| i == pod), "{pod} is an interface");
    }
}
