//! Volumes in a container: read-only, parts, crossings.

use podlab_fs::{Errno, FileType, MountOptions, VolumeOptions};

use crate::{Container, READ, WRITE, get, names, put};

fn at(sub_path: &str) -> MountOptions {
    MountOptions { read_only: false, sub_path: sub_path.into() }
}

fn read_only(sub_path: &str) -> MountOptions {
    MountOptions { read_only: true, sub_path: sub_path.into() }
}

#[test]
fn a_read_only_mount_refuses_every_change() {
    let c = Container::new();
    let volume = c.volume("shared");
    volume.write("d/f", b"old", 0o644).unwrap();
    let root = c.mounts().mount("/data", &volume, read_only("")).unwrap().root();
    let all = [
        put(&root, "data/new", b""),
        put(&root, "data/d/f", b""),
        root.create_directory_at("data/x"),
        root.remove_directory_at("data/d"),
        root.unlink_file_at("data/d/f"),
        root.rename_at("data/d/f", &root, "data/d/g"),
        root.link_at("data/d/f", false, &root, "data/d/g"),
        root.symlink_at("f", "data/s"),
        root.set_times_at("data/d/f", true, Some(1), Some(1)),
        root.open_at("data/d/f", READ).unwrap().set_times(Some(1), Some(1)),
        root.open_at("data/d/f", WRITE).map(|_| ()),
    ];
    assert_eq!(all, [Err(Errno::ReadOnly); 11]);
    assert_eq!(get(&root, "data/d/f").unwrap(), "old");
    // Somebody else may write it meanwhile.
    volume.write("d/f", b"new", 0o644).unwrap();
    assert_eq!(get(&root, "data/d/f").unwrap(), "new");
}

#[test]
fn so_does_a_read_only_volume() {
    let c = Container::new();
    let options = VolumeOptions { quota: None, read_only: true };
    let volume = podlab_fs::Volume::new(&c.sim.handle(), "config", options);
    volume.write("f", b"text", 0o444).unwrap();
    let root = c.mounts().mount("/etc/config", &volume, at("")).unwrap().root();
    assert_eq!(put(&root, "etc/config/f", b""), Err(Errno::ReadOnly));
    assert_eq!(root.unlink_file_at("etc/config/f"), Err(Errno::ReadOnly));
    assert_eq!(root.set_times_at("etc/config/f", true, Some(1), Some(1)), Err(Errno::ReadOnly));
    assert_eq!(get(&root, "etc/config/f").unwrap(), "text");
}

#[test]
fn a_sub_path_is_all_that_is_seen() {
    let c = Container::new();
    let volume = c.volume("shared");
    volume.write("mine/f", b"1", 0o644).unwrap();
    volume.write("theirs/f", b"2", 0o644).unwrap();
    let root = c
        .mounts()
        .mount("/a", &volume, at("mine"))
        .unwrap()
        .mount("/b", &volume, at("made/for/it"))
        .unwrap()
        .mount("/etc/f.conf", &volume, at("theirs/f"))
        .unwrap()
        .root();
    assert_eq!(names(&root.open_at("a", READ).unwrap()), ["f"]);
    assert_eq!(get(&root, "a/../a/f").unwrap(), "1");
    assert_eq!(get(&root, "a/../theirs/f"), Err(Errno::NoEntry));
    put(&root, "b/x", b"3").unwrap();
    assert_eq!(volume.read("made/for/it/x").unwrap(), "3");
    assert_eq!(get(&root, "etc/f.conf").unwrap(), "2");
    assert_eq!(root.stat_at("etc/f.conf", true).unwrap().kind, FileType::File);
    root.symlink_at("../theirs/f", "a/up").unwrap();
    assert_eq!(get(&root, "a/up"), Err(Errno::NoEntry), "a link climbs in the container's tree");
}

#[test]
fn a_sub_path_follows_links_inside_the_volume_only() {
    let c = Container::new();
    let volume = c.volume("shared");
    volume.write("real/dir/f", b"1", 0o644).unwrap();
    let inside = c.mounts().mount("/v", &volume, at("")).unwrap().root();
    for (target, link) in
        [("real/dir", "v/in"), ("../../etc", "v/out"), ("/etc", "v/abs"), ("nowhere", "v/none")]
    {
        inside.symlink_at(target, link).unwrap();
    }
    let mount = |sub: &str| c.mounts().mount("/m", &volume, at(sub));
    assert_eq!(get(&mount("in").unwrap().root(), "m/f").unwrap(), "1");
    assert_eq!(get(&mount("in/f").unwrap().root(), "m").unwrap(), "1");
    assert_eq!(mount("out").err(), Some(Errno::NotPermitted));
    assert_eq!(mount("abs").err(), Some(Errno::NotPermitted));
    assert_eq!(mount("none").err(), Some(Errno::NoEntry));
    assert_eq!(mount("../x").err(), Some(Errno::Invalid));
    assert_eq!(mount("real/dir/f/x").err(), Some(Errno::NotDirectory));
}

#[test]
fn a_mount_keeps_what_it_shows_until_the_container_is_gone() {
    let c = Container::new();
    let volume = c.volume("shared");
    volume.write("f", b"12345", 0o644).unwrap();
    let mounts = c.mounts().mount("/f", &volume, at("f")).unwrap();
    volume.remove("f").unwrap();
    assert_eq!(get(&mounts.root(), "f").unwrap(), "12345");
    assert!(volume.used() > 0);
    drop(mounts);
    assert_eq!(volume.used(), 0);
}

#[test]
fn mounts_are_not_crossed_nor_moved() {
    let c = Container::new();
    let volume = c.volume("shared");
    volume.write("ro/f", b"1", 0o644).unwrap();
    let root = c
        .mounts()
        .mount("/ro", &volume, read_only("ro"))
        .unwrap()
        .mount("/deep/rw", &volume, at(""))
        .unwrap()
        .root();
    put(&root, "own", b"").unwrap();
    let cross = Err(Errno::CrossDevice);
    assert_eq!(root.rename_at("own", &root, "deep/rw/own"), cross);
    assert_eq!(root.link_at("own", false, &root, "deep/rw/own"), cross);
    assert_eq!(root.link_at("ro/f", false, &root, "deep/rw/f"), cross, "a way round read-only");
    for busy in [
        root.rename_at("deep", &root, "d"),
        root.rename_at("deep/rw", &root, "d"),
        root.rename_at("own", &root, "deep/rw"),
        root.remove_directory_at("deep/rw"),
        root.remove_directory_at("deep"),
        root.unlink_file_at("ro"),
    ] {
        assert_eq!(busy, Err(Errno::Busy));
    }
    root.rename_at("deep/rw/ro/f", &root, "deep/rw/g").unwrap();
    assert_eq!(volume.read("g").unwrap(), "1");
}

#[test]
fn a_mount_hides_and_nests() {
    let c = Container::new();
    c.layer.write("data/hidden", b"", 0o644).unwrap();
    let (outer, inner) = (c.volume("outer"), c.volume("inner"));
    inner.write("deep", b"x", 0o644).unwrap();
    let root = c
        .mounts()
        .mount("/data", &outer, at(""))
        .unwrap()
        .mount("data//sub/", &inner, at(""))
        .unwrap()
        .root();
    assert_eq!(names(&root.open_at("data", READ).unwrap()), ["sub"]);
    assert_eq!(get(&root, "data/sub/deep").unwrap(), "x");
    assert_eq!(outer.list(), [], "the mount point is a directory of the volume above");
    assert_eq!(c.mounts().mount("/", &outer, at("")).err(), Some(Errno::Invalid));
    c.layer.write("file", b"", 0o644).unwrap();
    assert_eq!(c.mounts().mount("/file/x", &outer, at("")).err(), Some(Errno::NotDirectory));
}

#[test]
fn two_containers_share_a_volume() {
    let c = Container::new();
    let volume = c.volume("shared");
    let mount = || c.mounts().mount("/v", &volume, at("")).unwrap().root();
    let (writer, reader) = (mount(), mount());
    put(&writer, "v/.tmp", b"whole").unwrap();
    let before = get(&reader, "v/page");
    writer.rename_at("v/.tmp", &writer, "v/page").unwrap();
    assert_eq!(before, Err(Errno::NoEntry));
    assert_eq!(get(&reader, "v/page").unwrap(), "whole");
}
