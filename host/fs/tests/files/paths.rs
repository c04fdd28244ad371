//! Where paths lead: links, names, orders, times.

use std::time::Duration;

use podlab_fs::volume::NAME_MAX;
use podlab_fs::{Errno, FileType, OpenOptions};
use podlab_sim::Time;
use podlab_trace::{FileOp, Kind};

use crate::{Container, READ, WRITE, get, names, put};

#[test]
fn a_link_cannot_lead_out_of_the_container() {
    let c = Container::new();
    let root = c.root();
    root.create_directory_at("d").unwrap();
    put(&root, "secret", b"mine").unwrap();
    for up in ["../../../../secret", "/../../secret", "/d/../../../secret"] {
        root.symlink_at(up, "d/link").unwrap();
        assert_eq!(get(&root, "d/link").unwrap(), "mine", "the root's parent is the root: {up}");
        root.unlink_file_at("d/link").unwrap();
    }
    // A handle of a directory is a root of its own to paths that climb (as cap-std has it).
    let d = root.open_at("d", READ).unwrap();
    assert_eq!(get(&d, "../secret"), Err(Errno::NotPermitted));
    assert_eq!(get(&root, "/secret"), Err(Errno::NotPermitted));
}

#[test]
fn links_in_a_circle_end() {
    let c = Container::new();
    let root = c.root();
    root.symlink_at("b", "a").unwrap();
    root.symlink_at("a", "b").unwrap();
    root.symlink_at("self/x", "self").unwrap();
    for path in ["a", "b/c", "self", "self/y"] {
        assert_eq!(get(&root, path), Err(Errno::Loop), "{path}");
    }
    assert_eq!(root.stat_at("a", false).unwrap().kind, FileType::Symlink);
    assert_eq!(root.open_at("a", OpenOptions { follow: false, ..READ }).err(), Some(Errno::Loop));
    root.unlink_file_at("a").unwrap();
    assert_eq!(c.layer.read("b"), Err(Errno::NoEntry));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let c = Container::new();
    let root = c.root();
    put(&root, "l0", b"end").unwrap();
    for n in 1..=41 {
        root.symlink_at(&format!("l{}", n - 1), &format!("l{n}")).unwrap();
    }
    assert_eq!(get(&root, "l40").unwrap(), "end");
    assert_eq!(get(&root, "l41"), Err(Errno::Loop));
}

#[test]
fn dangling_links() {
    let c = Container::new();
    let root = c.root();
    root.symlink_at("target", "link").unwrap();
    assert_eq!(get(&root, "link"), Err(Errno::NoEntry));
    let new = OpenOptions { exclusive: true, ..WRITE };
    assert_eq!(root.open_at("link", new).err(), Some(Errno::Exist), "O_EXCL follows no link");
    put(&root, "link", b"through").unwrap();
    assert_eq!(get(&root, "target").unwrap(), "through");
}

#[test]
fn a_slash_at_the_end_means_a_directory() {
    let c = Container::new();
    let root = c.root();
    put(&root, "f", b"").unwrap();
    root.create_directory_at("d/").unwrap();
    assert_eq!(get(&root, "f/"), Err(Errno::NotDirectory));
    assert_eq!(get(&root, "f/."), Err(Errno::NotDirectory));
    assert_eq!(root.open_at("new/", WRITE).err(), Some(Errno::IsDirectory));
    assert_eq!(root.rename_at("f/", &root, "g"), Err(Errno::NotDirectory));
    assert_eq!(root.rename_at("f", &root, "g/"), Err(Errno::NotDirectory));
    assert_eq!(root.symlink_at("f", "s/"), Err(Errno::NoEntry));
    assert_eq!(root.link_at("f", false, &root, "h/"), Err(Errno::NoEntry));
    assert_eq!(root.unlink_file_at("d/"), Err(Errno::IsDirectory));
    root.rename_at("d/", &root, "e/").unwrap();
    root.remove_directory_at("e/").unwrap();
    assert_eq!(names(&root), ["f"]);
}

#[test]
fn names_that_are_none() {
    let c = Container::new();
    let root = c.root();
    let long = "n".repeat(NAME_MAX + 1);
    assert_eq!(put(&root, &long, b""), Err(Errno::NameTooLong));
    assert_eq!(get(&root, &long), Err(Errno::NameTooLong));
    assert_eq!(root.create_directory_at(&"d/".repeat(3000)), Err(Errno::NameTooLong));
    assert_eq!(put(&root, "", b""), Err(Errno::NoEntry));
    assert_eq!(put(&root, "nul\0", b""), Err(Errno::Invalid));
    put(&root, &"n".repeat(NAME_MAX), b"").unwrap();
    assert_eq!(root.remove_directory_at("."), Err(Errno::Invalid));
    assert_eq!(root.rename_at(".", &root, "x"), Err(Errno::Busy));
}

#[test]
fn nothing_enters_a_removed_directory() {
    let c = Container::new();
    let root = c.root();
    for path in ["d", "d/e"] {
        root.create_directory_at(path).unwrap();
    }
    put(&root, "f", b"").unwrap();
    let (d, e) = (root.open_at("d", READ).unwrap(), root.open_at("d/e", READ).unwrap());
    root.remove_directory_at("d/e").unwrap();
    root.remove_directory_at("d").unwrap();
    assert_eq!(put(&d, "x", b""), Err(Errno::NoEntry));
    assert_eq!(e.create_directory_at("x"), Err(Errno::NoEntry));
    assert_eq!(e.symlink_at("x", "y"), Err(Errno::NoEntry));
    assert_eq!(root.link_at("f", false, &e, "x"), Err(Errno::NoEntry));
    drop(d);
    root.create_directory_at("g").unwrap();
    assert_eq!(root.rename_at("g", &e, "x"), Err(Errno::NoEntry));
    assert_eq!(names(&e), [""; 0]);
    root.remove_directory_at("g").unwrap();
    root.unlink_file_at("f").unwrap();
    drop(e);
    assert_eq!(c.layer.used(), 0);
}

#[test]
fn directories_list_by_name_whatever_came_first() {
    let c = Container::new();
    let root = c.root();
    for name in ["b", "a", "B", "10", "9", "é"] {
        put(&root, name, b"").unwrap();
    }
    assert_eq!(names(&root), ["10", "9", "B", "a", "b", "é"]);
}

#[test]
fn inodes_and_times_are_the_world_s() {
    let run = || {
        let mut c = Container::new();
        let root = c.root();
        put(&root, "a", b"1").unwrap();
        c.sim.handle().spawn({
            let h = c.sim.handle();
            async move { h.sleep(Duration::from_secs(5)).await }
        });
        c.sim.run_until(Time::from_secs(5), u64::MAX);
        put(&root, "b", b"2").unwrap();
        root.unlink_file_at("a").unwrap();
        put(&root, "a", b"3").unwrap();
        get(&root, "b").unwrap();
        (root.stat_at("a", true).unwrap(), root.stat_at("b", true).unwrap())
    };
    let (a, b) = run();
    assert_eq!((a, b), run());
    assert_eq!((b.ino, a.ino), (3, 4), "numbers count up and are not used again");
    assert_eq!(b.mtime, 6_000_000_000);
    assert_eq!(b.atime, 6_000_000_000);
    let c = Container::new();
    let root = c.root();
    put(&root, "f", b"").unwrap();
    root.set_times_at("f", true, Some(7), None).unwrap();
    let stat = root.stat_at("f", true).unwrap();
    assert_eq!((stat.atime, stat.mtime), (7, 1_000_000_000));
}

#[test]
fn writing_nothing_changes_nothing() {
    let c = Container::new();
    let file = c.root().open_at("f", WRITE).unwrap();
    assert_eq!(file.write(b"", 1 << 20), Ok(0));
    assert_eq!(file.size(), 0);
}

#[test]
fn handles_do_what_they_were_opened_for() {
    let c = Container::new();
    let root = c.root();
    put(&root, "f", b"text").unwrap();
    let reader = root.open_at("f", READ).unwrap();
    assert_eq!(reader.write(b"x", 0), Err(Errno::BadDescriptor));
    assert_eq!(reader.set_size(0), Err(Errno::BadDescriptor));
    let writer = root.open_at("f", OpenOptions { read: false, ..WRITE }).unwrap();
    assert_eq!(writer.read(1, 0), Err(Errno::BadDescriptor));
    assert!(reader.is_same(&writer) && !reader.is_same(&root));
    assert_eq!((reader.mode(), writer.mode()), ((true, false), (false, true)));
    assert_eq!(root.open_at(".", WRITE).err(), Some(Errno::IsDirectory));
    assert_eq!(reader.entries().err(), Some(Errno::NotDirectory));
    assert_eq!(reader.open_at("x", READ).err(), Some(Errno::NotDirectory));
    assert_eq!(root.read(1, 0), Err(Errno::IsDirectory));
    assert_eq!(root.path(), "/");
}

#[test]
fn the_trace_tells_what_was_done_and_what_failed() {
    let c = Container::new();
    let root = c.root();
    put(&root, "a", b"hello").unwrap();
    get(&root, "a").unwrap();
    root.rename_at("a", &root, "b").unwrap();
    assert_eq!(get(&root, "a"), Err(Errno::NoEntry));
    root.unlink_file_at("b").unwrap();
    let told: Vec<_> = c
        .events()
        .into_iter()
        .map(|event| match event {
            Kind::File { op, path, to, error, payload, .. } => {
                (op, path, to, error, String::from_utf8(payload.to_vec()).unwrap())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let s = String::from;
    assert_eq!(
        told,
        [
            (FileOp::Create, s("/a"), s(""), s(""), s("")),
            (FileOp::Write, s("/a"), s(""), s(""), s("hello")),
            (FileOp::Open, s("/a"), s(""), s(""), s("")),
            (FileOp::Read, s("/a"), s(""), s(""), s("hello")),
            (FileOp::Rename, s("/a"), s("/b"), s(""), s("")),
            (FileOp::Open, s("/a"), s(""), s("ENOENT"), s("")),
            (FileOp::Remove, s("/b"), s(""), s(""), s("")),
        ]
    );
}
