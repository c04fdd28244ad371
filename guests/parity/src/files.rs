//! Files and directories.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{fact, say};

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = fs::read_dir(dir)?
        .map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

pub fn facts(dir: &str) {
    let dir = PathBuf::from(dir);
    let at = |name: &str| dir.join(name);
    opening(&at);
    moving(&at);
    places(&at);
    names_and_links(&at);
    directories(&at);
}

#[expect(
    clippy::nonsensical_open_options,
    clippy::suspicious_open_options,
    reason = "how nonsense is refused is what is asked"
)]
fn opening(at: &dyn Fn(&str) -> PathBuf) {
    say("read what is not there", fs::read(at("none")));
    say("write and read", fs::write(at("a"), "hello").and_then(|()| fs::read_to_string(at("a"))));
    say("create_new over a file", File::create_new(at("a")).map(drop));
    say("create_new", File::create_new(at("new")).map(drop));
    say("truncate by create", File::create(at("a")).and_then(|f| f.metadata()).map(|m| m.len()));
    say(
        "open for writing what is not there",
        OpenOptions::new().write(true).open(at("none")).map(drop),
    );
    say("open with nothing asked", OpenOptions::new().open(at("a")).map(drop));
    say(
        "append and truncate",
        OpenOptions::new().append(true).truncate(true).open(at("a")).map(drop),
    );
    say("create without write", OpenOptions::new().read(true).create(true).open(at("x")).map(drop));
    say("a path through a file", fs::read(at("a/b")));
    say("a file with a slash", fs::read(at("a/")));
    say("an empty path", fs::read(""));
    say("a long name", fs::write(at(&"n".repeat(256)), ""));
    say("the longest name", fs::write(at(&"n".repeat(255)), ""));
    let _gone = fs::remove_file(at(&"n".repeat(255)));
    say("a name with a zero", fs::write(at("a\0b"), ""));
    say("write through a handle for reading", File::open(at("a")).and_then(|mut f| f.write(b"x")));
    say(
        "read through a handle for writing",
        File::create(at("a")).and_then(|mut f| f.read(&mut [0; 4])),
    );
    say("open a directory", File::open(at(".")).map(drop));
    say("read a directory as a file", File::open(at(".")).and_then(|mut f| f.read(&mut [0; 4])));
    say("write a directory as a file", fs::write(at("."), "x"));
    say(
        "dots",
        fs::read(at("./../").join(at(".").file_name().unwrap_or_default()).join("a"))
            .map(|b| b.len()),
    );
}

fn moving(at: &dyn Fn(&str) -> PathBuf) {
    let path = at("log");
    fs::write(&path, "one\n").expect("a file");
    let mut first = OpenOptions::new().append(true).open(&path).expect("a file");
    let mut second = OpenOptions::new().append(true).open(&path).expect("a file");
    first.write_all(b"two\n").expect("written");
    second.write_all(b"three\n").expect("written");
    first.write_all(b"four\n").expect("written");
    say("two handles append", fs::read_to_string(&path));
    say("append goes to the end wherever one is", {
        first
            .seek(SeekFrom::Start(0))
            .and_then(|_| first.write(b"five\n"))
            .and_then(|_| fs::read_to_string(&path))
    });
    let mut file = OpenOptions::new().read(true).write(true).open(&path).expect("a file");
    file.write_all(b"ONE").expect("written");
    say("write over", fs::read_to_string(&path).map(|t| t.lines().next().map(str::to_owned)));
    let mut rest = String::new();
    say(
        "read on from there",
        file.read_to_string(&mut rest).map(|n| n > 0).map(|b| (b, rest.starts_with('\n'))),
    );
    say("read at the end", file.read(&mut [0; 4]));
    say("set_len shorter", file.set_len(3).and_then(|()| fs::read_to_string(&path)));
    say("the position stays behind", file.stream_position().map(|p| p > 3));
    say("read behind the end", file.read(&mut [0; 4]));
    say("set_len longer", file.set_len(6).and_then(|()| fs::read(&path)));
    say("set_len without write", File::open(&path).and_then(|f| f.set_len(0)));

    let path = at("replaced");
    fs::write(&path, "old").expect("a file");
    let mut old = File::open(&path).expect("a file");
    fs::write(at("fresh"), "new").expect("a file");
    say("rename over", fs::rename(at("fresh"), &path));
    let mut text = String::new();
    say("the open file stays", old.read_to_string(&mut text).map(|_| text.clone()));
    say("the name has the new one", fs::read_to_string(&path));
    say("the other name is gone", fs::metadata(at("fresh")).map(drop));
    say("rename what is not there", fs::rename(at("none"), at("some")));
    say("rename to itself", fs::rename(&path, &path).and_then(|()| fs::read_to_string(&path)));

    let path = at("unlinked");
    fs::write(&path, "still here").expect("a file");
    let mut open = OpenOptions::new().read(true).write(true).open(&path).expect("a file");
    say("unlink while open", fs::remove_file(&path));
    say("the name is free", fs::metadata(&path).map(drop));
    say("and can be read", {
        text.clear();
        open.read_to_string(&mut text).map(|_| text.clone())
    });
    say("and written", open.write(b"!"));
    say("and has a length", open.metadata().map(|m| m.len()));
    say("unlink again", fs::remove_file(&path));
    say("copy", fs::copy(at("log"), at("copy")));
    say("copy is equal", fs::read(at("copy")).and_then(|a| Ok(a == fs::read(at("log"))?)));
}

fn places(at: &dyn Fn(&str) -> PathBuf) {
    let path = at("sparse");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .expect("a file");
    say("seek beyond the end", file.seek(SeekFrom::Start(10_000)));
    say("length is not changed", file.metadata().map(|m| m.len()));
    say("write there", file.write(b"end"));
    say("length now", file.metadata().map(|m| m.len()));
    say("the hole is zeros", fs::read(&path).map(|b| b[..10_000].iter().all(|b| *b == 0)));
    say("seek from the end", file.seek(SeekFrom::End(-3)));
    let mut bytes = [0; 8];
    say("read there", file.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    say("seek back", file.seek(SeekFrom::Current(-2)));
    say("seek before the beginning", file.seek(SeekFrom::Current(-20_000)));
    say("position is kept", file.stream_position());
    say("rewind", file.rewind().and_then(|()| file.stream_position()));
    say("sync_all", file.sync_all());
    say("sync_data", file.sync_data());
    say("read of nothing", file.read(&mut []));
    say("write of nothing", file.write(&[]));
}

fn names_and_links(at: &dyn Fn(&str) -> PathBuf) {
    fs::write(at("target"), "pointed at").expect("a file");
    say("hard link", fs::hard_link(at("target"), at("hard")));
    say("hard link reads", fs::read_to_string(at("hard")));
    say("hard link over a file", fs::hard_link(at("target"), at("hard")));
    say("hard link to nothing", fs::hard_link(at("none"), at("hard2")));
    fs::write(at("hard"), "changed").expect("a file");
    say("both names see it", fs::read_to_string(at("target")));
    say(
        "one name goes, the other stays",
        fs::remove_file(at("target")).and_then(|()| fs::read_to_string(at("hard"))),
    );
    let m = fs::metadata(at("hard")).expect("metadata");
    fact("a file", (m.is_file(), m.is_dir(), m.is_symlink(), m.len()));
    fact("it has times", (m.modified().is_ok(), m.accessed().is_ok()));
    say("exists", at("hard").try_exists());
    say("does not exist", at("none").try_exists());
    say("rename a file over a directory", {
        fs::create_dir(at("dir")).and_then(|()| fs::rename(at("hard"), at("dir")))
    });
    say("rename a directory over a file", fs::rename(at("dir"), at("hard")));
    say("remove_file of a directory", fs::remove_file(at("dir")));
    say("remove_dir of a file", fs::remove_dir(at("hard")));
    say("read_link of a file", fs::read_link(at("hard")).map(drop));
}

fn directories(at: &dyn Fn(&str) -> PathBuf) {
    say("create_dir", fs::create_dir(at("tree")));
    say("create_dir again", fs::create_dir(at("tree")));
    say("create_dir over a file", fs::create_dir(at("hard")));
    say("create_dir without its parent", fs::create_dir(at("no/where")));
    say("create_dir_all", fs::create_dir_all(at("tree/b/c")));
    say("create_dir_all again", fs::create_dir_all(at("tree/b/c")));
    say("create_dir_all through a file", fs::create_dir_all(at("hard/b/c")));
    for name in ["z", "a", "m", "B"] {
        fs::write(at("tree").join(name), name).expect("a file");
    }
    say("read_dir", names(&at("tree")));
    say("read_dir of a file", fs::read_dir(at("hard")).map(drop));
    say("read_dir of nothing", fs::read_dir(at("none")).map(drop));
    say("kinds", {
        let mut kinds: Vec<_> = fs::read_dir(at("tree"))
            .expect("a directory")
            .filter_map(Result::ok)
            .map(|e| {
                (
                    e.file_name().to_string_lossy().into_owned(),
                    e.file_type().map(|t| t.is_dir()).ok(),
                )
            })
            .collect();
        kinds.sort();
        Ok(kinds)
    });
    say("remove_dir that is not empty", fs::remove_dir(at("tree")));
    say("remove_dir of nothing", fs::remove_dir(at("none")));
    say(
        "rename a directory",
        fs::rename(at("tree"), at("moved")).and_then(|()| names(&at("moved"))),
    );
    say("rename a directory into itself", fs::rename(at("moved"), at("moved/b/moved")));
    fs::create_dir(at("full")).expect("a directory");
    fs::write(at("full/x"), "").expect("a file");
    say("rename over a full directory", fs::rename(at("moved"), at("full")));
    fs::remove_file(at("full/x")).expect("removed");
    say(
        "rename over an empty directory",
        fs::rename(at("moved"), at("full")).and_then(|()| names(&at("full"))),
    );
    say("remove_dir_all", fs::remove_dir_all(at("full")));
    say("it is gone", at("full").try_exists());
    say("remove_dir", fs::remove_dir(at("dir")));
    say("what is left", names(&at(".")));
}
