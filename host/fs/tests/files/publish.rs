//! ConfigMaps and Secrets change all at once, or not at all.

use std::collections::BTreeMap;

use podlab_fs::{Errno, MountOptions};

use crate::{Container, READ, get, names};

type Files = BTreeMap<String, (Vec<u8>, u32)>;

fn files(all: &[(&str, &str)]) -> Files {
    all.iter().map(|(k, v)| ((*k).to_owned(), (v.as_bytes().to_vec(), 0o644))).collect()
}

#[test]
fn a_new_set_replaces_the_old_one() {
    let c = Container::new();
    let volume = c.volume("config");
    let root = c.mounts().mount("/c", &volume, MountOptions::default()).unwrap().root();
    volume.publish(&files(&[("a", "1"), ("b", "2"), ("sub/x", "3")])).unwrap();
    assert_eq!(get(&root, "c/a").unwrap(), "1");
    assert_eq!(get(&root, "c/sub/x").unwrap(), "3");
    assert_eq!(root.readlink_at("c/a").unwrap(), "..data/a");
    let used = volume.used();

    // At the same instant: still a directory of its own, and nothing of the old one stays.
    volume.publish(&files(&[("b", "two"), ("new", "4")])).unwrap();
    assert_eq!(get(&root, "c/a"), Err(Errno::NoEntry));
    assert_eq!(get(&root, "c/b").unwrap(), "two");
    let visible: Vec<String> = names(&root.open_at("c", READ).unwrap());
    assert_eq!(visible.len(), 4, "..data, its directory, b, new: {visible:?}");

    volume.publish(&files(&[("a", "1"), ("b", "2"), ("sub/x", "3")])).unwrap();
    assert_eq!(volume.used(), used, "nothing leaks");
    volume.publish(&Files::new()).unwrap();
    assert_eq!(names(&root.open_at("c", READ).unwrap()).len(), 2);
}

#[test]
fn a_reader_keeps_the_file_it_has_opened() {
    let c = Container::new();
    let volume = c.volume("config");
    volume.publish(&files(&[("a", "old")])).unwrap();
    let root = c.mounts().mount("/c", &volume, MountOptions::default()).unwrap().root();
    let open = root.open_at("c/a", READ).unwrap();
    volume.publish(&files(&[("a", "new")])).unwrap();
    assert_eq!(open.read(10, 0).unwrap(), "old");
    assert_eq!(get(&root, "c/a").unwrap(), "new");
    // A file mounted by subPath does not follow, as in Kubernetes.
    let options = MountOptions { sub_path: "a".into(), read_only: true };
    let pinned = c.mounts().mount("/etc/a", &volume, options).unwrap().root();
    volume.publish(&files(&[("a", "newest")])).unwrap();
    assert_eq!(get(&pinned, "etc/a").unwrap(), "new");
}

#[test]
fn one_that_fails_changes_nothing() {
    let c = Container::new();
    let volume = c.volume("config");
    let old = files(&[("a", "old"), ("gone", "x")]);
    volume.publish(&old).unwrap();
    let (used, listed) = (volume.used(), volume.list());
    let big = "x".repeat(5000);
    volume.set_quota(Some(used + 1200));
    for (bad, why) in [
        (files(&[("a", "new"), ("b", &big)]), Errno::InsufficientSpace),
        // The contents fit; the links to them do not.
        (
            files(&["1", "2", "3", "4", "5", "6", "7"].map(|name| (name, ""))),
            Errno::InsufficientSpace,
        ),
        (files(&[("a", "new"), ("a/b", "through a file")]), Errno::NotDirectory),
        (files(&[("a", "new"), ("../up", "")]), Errno::Invalid),
        (files(&[("a", "new"), ("..data", "")]), Errno::Invalid),
        (files(&[("", "")]), Errno::Invalid),
        (files(&[("x//y", "")]), Errno::Invalid),
    ] {
        assert_eq!(volume.publish(&bad), Err(why), "{:?}", bad.keys());
        assert_eq!(volume.read("a").unwrap(), "old");
        assert_eq!(volume.read("gone").unwrap(), "x");
        assert_eq!((volume.used(), volume.list()), (used, listed.clone()));
    }
    volume.publish(&files(&[("a", "new")])).unwrap();
    assert_eq!(volume.read("a").unwrap(), "new");
}

#[test]
fn a_host_write_is_whole_or_not_at_all() {
    let c = Container::new();
    let volume = c.volume("v");
    volume.write("dir/f", b"old", 0o600).unwrap();
    volume.set_quota(Some(volume.used() + 10));
    assert_eq!(volume.write("dir/f", &[0; 100], 0o644), Err(Errno::InsufficientSpace));
    assert_eq!(volume.read("dir/f").unwrap(), "old");
    assert_eq!(volume.write("dir/g", &[0; 100], 0o644), Err(Errno::InsufficientSpace));
    assert_eq!(volume.list().len(), 1);
    volume.write("dir/f", b"newer", 0o644).unwrap();
    let (path, stat) = &volume.list()[0];
    assert_eq!((path.as_str(), stat.mode, stat.size), ("/dir/f", 0o644, 5));
    assert_eq!(volume.write("dir/f/x", b"", 0o644), Err(Errno::NotDirectory));
    assert_eq!(volume.write("dir/../x", b"", 0o644), Err(Errno::Invalid));
    assert_eq!(volume.remove("nothing"), Err(Errno::NoEntry));
    volume.remove("dir").unwrap();
    assert_eq!(volume.used(), 0);
}
