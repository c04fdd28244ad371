//! Special files.

use std::sync::Arc;

use podlab_fs::{Device, Errno, FileType, OpenOptions, SignalQueue};

use crate::{Container, READ, WRITE, get, put};

#[test]
fn null_zero_and_full() {
    let c = Container::new();
    let root = c
        .mounts()
        .device("/dev/null", Device::Null)
        .unwrap()
        .device("/dev/zero", Device::Zero)
        .unwrap()
        .device("/dev/full", Device::Full)
        .unwrap()
        .root();
    put(&root, "dev/null", b"gone").unwrap();
    assert_eq!(get(&root, "dev/null").unwrap(), "");
    let zero = root.open_at("dev/zero", READ).unwrap();
    assert_eq!(zero.read(3, 9).unwrap(), [0; 3][..]);
    assert!(zero.read(usize::MAX, 0).unwrap().len() <= 64 << 10, "a read is bounded");
    assert_eq!(put(&root, "dev/full", b"x"), Err(Errno::InsufficientSpace));
    assert_eq!(c.layer.list().iter().map(|(_, s)| s.size).sum::<u64>(), 0);

    assert_eq!(root.stat_at("dev/null", true).unwrap().kind, FileType::Device);
    let kinds = root.open_at("dev", READ).unwrap().entries().unwrap();
    assert!(kinds.iter().all(|(_, kind, _)| *kind == FileType::Device), "{kinds:?}");
    assert_eq!(root.unlink_file_at("dev/null"), Err(Errno::Busy));
    assert_eq!(
        root.open_at("dev/null", OpenOptions { directory: true, ..READ }).err(),
        Some(Errno::NotDirectory)
    );
    assert_eq!(get(&root, "dev/null/x"), Err(Errno::NotDirectory));
    assert_eq!(root.link_at("dev/null", false, &root, "n"), Err(Errno::CrossDevice));
    let null = root.open_at("dev/null", WRITE).unwrap();
    assert_eq!(null.set_size(0), Err(Errno::Invalid));
    assert_eq!(null.readlink_at("x"), Err(Errno::NotDirectory));
}

#[test]
fn random_bytes_come_from_the_world_s_stream() {
    let draw = || {
        let c = Container::new();
        let device = Device::random(c.sim.handle().rng("urandom"));
        let root = c.mounts().device("/dev/urandom", device).unwrap().root();
        let file = root.open_at("dev/urandom", READ).unwrap();
        (file.read(16, 0).unwrap(), file.read(16, 0).unwrap())
    };
    let (first, second) = draw();
    assert_ne!(first, second);
    assert_eq!((first, second), draw());
}

#[test]
fn text_is_made_when_it_is_read() {
    let c = Container::new();
    let text = Device::Text(Arc::new(|| "generated".to_owned()));
    let root = c.mounts().device("/proc/x", text).unwrap().root();
    let file = root.open_at("proc/x", READ).unwrap();
    assert_eq!(file.size(), 9);
    assert_eq!(file.read(4, 5).unwrap(), "ated");
    assert_eq!(file.read(4, 100).unwrap(), "");
    assert_eq!(put(&root, "proc/x", b"x"), Err(Errno::NotPermitted));
}

#[test]
fn opening_the_signals_installs_a_handler() {
    let c = Container::new();
    let queue = SignalQueue::new();
    let signals = Device::Signals(queue.clone());
    let root = c.mounts().device("/dev/signals", signals).unwrap().root();
    root.stat_at("dev/signals", true).unwrap();
    assert!(!queue.opened(), "looking is not opening");
    let file = root.open_at("dev/signals", READ).unwrap();
    assert!(queue.opened());
    assert_eq!(file.read(8, 0).unwrap(), "");
    for number in [15, 2, 15] {
        queue.push(number);
    }
    assert_eq!(file.size(), 2, "a pending signal is pending once");
    assert_eq!(file.read(1, 0).unwrap(), [15][..]);
    assert_eq!(file.read(8, 0).unwrap(), [2][..]);
    assert!(queue.is_empty() && file.signals().is_some());
}
