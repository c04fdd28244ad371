//! What may be stored, exactly, and what happens beyond.

use podlab_fs::volume::{DEFAULT_QUOTA, DEPTH_MAX, ENTRIES_MAX, FILE_MAX, INODE_COST, QUOTA_MAX};
use podlab_fs::{Errno, OpenOptions, VolumeFault};

use crate::{Container, READ, WRITE, get, put};

#[test]
fn the_quota_is_exact() {
    let c = Container::with_quota(Some(INODE_COST + 10));
    let file = c.root().open_at("f", WRITE).unwrap();
    assert_eq!(file.write(b"0123456789", 0), Ok(10));
    assert_eq!(file.append(b"x"), Err(Errno::InsufficientSpace));
    assert_eq!(file.write(b"ab", 9), Err(Errno::InsufficientSpace), "all or nothing");
    assert_eq!(get(&c.root(), "f").unwrap(), "0123456789");
    assert_eq!(file.write(b"ab", 8), Ok(2), "what is there may be overwritten");
    assert_eq!(c.root().create_directory_at("d"), Err(Errno::InsufficientSpace));
    assert_eq!(c.layer.used(), INODE_COST + 10);
}

#[test]
fn an_unlinked_file_counts_until_it_is_closed() {
    let c = Container::with_quota(Some(2 * INODE_COST + 100));
    let root = c.root();
    let file = root.open_at("log", WRITE).unwrap();
    file.write(&[1; 100], 0).unwrap();
    root.unlink_file_at("log").unwrap();
    assert_eq!(c.layer.used(), INODE_COST + 100);
    assert_eq!(put(&root, "new", b"x"), Err(Errno::InsufficientSpace), "its bytes are in use");
    assert_eq!(file.read(3, 0).unwrap(), [1, 1, 1][..], "and can be read");
    let twin = file.duplicate();
    drop(file);
    assert_eq!(c.layer.used(), 2 * INODE_COST + 100, "the other handle holds it");
    drop(twin);
    assert_eq!(c.layer.used(), INODE_COST);
    put(&root, "new", b"x").unwrap();
}

#[test]
fn a_file_renamed_over_counts_until_it_is_closed() {
    let c = Container::new();
    let root = c.root();
    put(&root, "old", &[0; 50]).unwrap();
    put(&root, "new", &[0; 7]).unwrap();
    let reader = root.open_at("old", READ).unwrap();
    root.rename_at("new", &root, "old").unwrap();
    assert_eq!(c.layer.used(), 2 * INODE_COST + 57);
    assert_eq!(reader.size(), 50);
    drop(reader);
    assert_eq!(c.layer.used(), INODE_COST + 7);
}

#[test]
fn truncating_gives_back() {
    let c = Container::with_quota(Some(INODE_COST + 1000));
    let root = c.root();
    put(&root, "f", &[1; 1000]).unwrap();
    let file = root.open_at("f", WRITE).unwrap();
    file.set_size(400).unwrap();
    assert_eq!(c.layer.used(), INODE_COST + 400);
    assert_eq!(file.set_size(1001), Err(Errno::InsufficientSpace));
    file.set_size(1000).unwrap();
    assert_eq!(file.read(2, 399).unwrap(), [1, 0][..]);
    drop(root.open_at("f", OpenOptions { truncate: true, ..WRITE }).unwrap());
    assert_eq!(c.layer.used(), INODE_COST);
}

#[test]
fn links_and_their_targets_count() {
    let c = Container::new();
    let root = c.root();
    root.symlink_at("1234567890", "soft").unwrap();
    assert_eq!(c.layer.used(), INODE_COST + 10);
    put(&root, "f", b"").unwrap();
    root.link_at("f", false, &root, "hard").unwrap();
    assert_eq!(c.layer.used(), 3 * INODE_COST + 10);
    root.unlink_file_at("f").unwrap();
    root.unlink_file_at("soft").unwrap();
    assert_eq!(c.layer.used(), INODE_COST);
}

#[test]
fn a_volume_without_a_quota_has_a_bound() {
    let c = Container::new();
    let file = c.root().open_at("f", WRITE).unwrap();
    assert_eq!(file.set_size(DEFAULT_QUOTA), Err(Errno::InsufficientSpace));
    file.set_size(DEFAULT_QUOTA - INODE_COST).unwrap();
    assert_eq!(file.append(b"x"), Err(Errno::InsufficientSpace));
    assert_eq!(file.set_size(FILE_MAX + 1), Err(Errno::FileTooLarge));
    assert_eq!(file.write(b"x", u64::MAX), Err(Errno::FileTooLarge));
}

#[test]
fn a_quota_beyond_the_host_s_memory_is_full_before() {
    let c = Container::with_quota(Some(u64::MAX));
    let file = c.root().open_at("f", WRITE).unwrap();
    assert_eq!(file.set_size(QUOTA_MAX), Err(Errno::InsufficientSpace));
    c.layer.set_quota(Some(u64::MAX));
    assert_eq!(file.set_size(QUOTA_MAX), Err(Errno::InsufficientSpace));
    file.set_size(QUOTA_MAX - INODE_COST).unwrap();
}

#[test]
fn a_lower_quota_keeps_what_is_there() {
    let c = Container::new();
    let root = c.root();
    put(&root, "f", &[1; 1000]).unwrap();
    c.layer.set_quota(Some(10));
    assert_eq!(root.open_at("f", WRITE).unwrap().append(b"x"), Err(Errno::InsufficientSpace));
    assert_eq!(get(&root, "f").unwrap().len(), 1000);
    root.unlink_file_at("f").unwrap();
    assert_eq!(c.layer.used(), 0);
}

#[test]
fn names_are_bounded_even_when_they_cost_little() {
    let c = Container::new();
    let root = c.root();
    let mut made = 0;
    let full = 'full: loop {
        put(&root, &format!("f{made}"), b"").unwrap();
        for n in 0..20_000 {
            if let Err(e) = root.link_at(&format!("f{made}"), false, &root, &format!("l{made}-{n}"))
            {
                break 'full e;
            }
        }
        made += 1;
    };
    assert_eq!(full, Errno::InsufficientSpace);
    assert_eq!(root.entries().unwrap().len(), ENTRIES_MAX);
    assert_eq!(put(&root, "more", b""), Err(Errno::InsufficientSpace));
}

#[test]
fn directories_are_not_nested_without_end() {
    let c = Container::new();
    let mut here = c.root();
    let mut depth = 0;
    let end = loop {
        if let Err(e) = here.create_directory_at("d") {
            break e;
        }
        here = here.open_at("d", READ).unwrap();
        depth += 1;
    };
    assert_eq!((end, depth), (Errno::NameTooLong, DEPTH_MAX));
    // Nor by moving a deep tree to the bottom of another.
    let root = c.root();
    root.create_directory_at("e").unwrap();
    root.create_directory_at("e/e").unwrap();
    let bottom = "d/".repeat(DEPTH_MAX - 1);
    assert_eq!(root.rename_at("e", &root, &format!("{bottom}e")), Err(Errno::NameTooLong));
    root.rename_at("e/e", &root, &format!("{bottom}e")).unwrap();
    assert_eq!(c.layer.list(), [], "there are no files; and this does not overflow the stack");
    c.layer.remove("d").unwrap();
}

#[test]
fn faults_fail_as_disks_do() {
    let c = Container::new();
    let root = c.root();
    put(&root, "f", b"12345").unwrap();
    let file = root.open_at("f", WRITE).unwrap();

    c.layer.set_fault(VolumeFault { full: true, ..VolumeFault::default() });
    assert_eq!(file.append(b"x"), Err(Errno::InsufficientSpace));
    assert_eq!(root.create_directory_at("d"), Err(Errno::InsufficientSpace));
    file.set_size(3).unwrap();
    assert_eq!(get(&root, "f").unwrap(), "123", "reading and cutting work on a full disk");

    c.layer.set_fault(VolumeFault { fail_after_writes: Some(2), ..VolumeFault::default() });
    assert_eq!(file.append(b"4"), Ok(1));
    assert_eq!(file.append(b"5"), Ok(1));
    assert_eq!(file.append(b"6"), Err(Errno::Io));

    c.layer.set_fault(VolumeFault { read_only: true, ..VolumeFault::default() });
    assert_eq!(file.append(b"7"), Err(Errno::ReadOnly));
    assert_eq!(root.unlink_file_at("f"), Err(Errno::ReadOnly));
    assert_eq!(file.set_times(Some(1), Some(1)), Err(Errno::ReadOnly));

    c.layer.set_fault(VolumeFault { slow_ns: 5, ..VolumeFault::default() });
    assert_eq!(file.write_delay(), 5);
    c.layer.set_fault(VolumeFault::default());
    assert_eq!(file.append(b"8"), Ok(1));
    assert_eq!(get(&root, "f").unwrap(), "123458");
}
