//! Files: whole ones, or pieces of at most [`MAX_TEXT`] bytes. What is no UTF-8 becomes `U+FFFD`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

use rhai::{Array, Dynamic, INT, Module, NativeCallContext as Call};

use crate::engine::{Answer, At, MAX_TEXT, fail};

/// `file::read`, `file::write` and so on.
pub fn module() -> Module {
    let mut module = Module::new();
    module.set_native_fn("read", |at: Call<'_>, path: &str| told(&at, path, read(path, 0)));
    module.set_native_fn("read", |at: Call<'_>, path: &str, from: INT| {
        told(&at, path, read(path, from.try_into().unwrap_or(0)))
    });
    module.set_native_fn("write", |at: Call<'_>, path: &str, text: &str| {
        told(&at, path, fs::write(path, text))
    });
    module.set_native_fn("append", |at: Call<'_>, path: &str, text: &str| {
        let file = OpenOptions::new().append(true).create(true).open(path);
        told(&at, path, file.and_then(|mut f| f.write_all(text.as_bytes())))
    });
    module.set_native_fn("rename", |at: Call<'_>, from: &str, to: &str| {
        told(&at, from, fs::rename(from, to))
    });
    module
        .set_native_fn("remove", |at: Call<'_>, path: &str| told(&at, path, fs::remove_file(path)));
    module.set_native_fn("make_dir", |at: Call<'_>, path: &str| {
        told(&at, path, fs::create_dir_all(path))
    });
    module.set_native_fn("exists", |path: &str| -> Answer<bool> {
        Ok(fs::exists(path).unwrap_or(false))
    });
    module.set_native_fn("size", |at: Call<'_>, path: &str| {
        told(&at, path, fs::metadata(path).map(|m| INT::try_from(m.len()).unwrap_or(INT::MAX)))
    });
    module.set_native_fn("list", |at: Call<'_>, path: &str| told(&at, path, list(path)));
    module
}

fn told<T>(call: &Call<'_>, path: &str, result: io::Result<T>) -> Answer<T> {
    result.or_else(|error| fail(format!("{path}: {error}"))).at(call)
}

/// From a byte on, so that a growing file can be followed.
fn read(path: &str, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_TEXT {
        return Err(io::Error::other("larger than a string may be (1 MiB): read it in pieces"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names in a directory, in order.
fn list(path: &str) -> io::Result<Array> {
    let names = fs::read_dir(path)?.map(|e| Ok(e?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>()?;
    names.sort();
    Ok(names.into_iter().map(Dynamic::from).collect())
}
