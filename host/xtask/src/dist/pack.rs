//! Archives whose bytes depend on nothing but what is in them.

use std::collections::BTreeSet;
use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::made;

/// A file or folder of an archive.
pub struct Entry<'a> {
    path: String,
    mode: u32,
    bytes: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// A file that is read.
    pub fn file(path: impl Into<String>, bytes: &'a [u8]) -> Entry<'a> {
        Entry { path: path.into(), mode: 0o644, bytes: Some(bytes) }
    }

    /// A file that is run.
    pub fn program(path: impl Into<String>, bytes: &'a [u8]) -> Entry<'a> {
        Entry { path: path.into(), mode: 0o755, bytes: Some(bytes) }
    }

    /// A folder with these rights.
    pub fn folder(path: impl Into<String>, mode: u32) -> Entry<'a> {
        Entry { path: path.into(), mode, bytes: None }
    }
}

/// Tar archives.
pub struct Pack;

impl Pack {
    /// An archive with all of it below the folder `top`; `.` as Debian writes its own.
    pub fn below(top: &str, entries: &[Entry<'_>]) -> Result<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        let mut folders: BTreeSet<String> =
            entries.iter().filter(|e| e.bytes.is_none()).map(|e| e.path.clone()).collect();
        for entry in entries {
            // Folders come before what is in them.
            let parents: Vec<&str> =
                entry.path.match_indices('/').map(|(n, _)| &entry.path[..n]).collect();
            for parent in parents {
                if folders.insert(parent.to_owned()) {
                    add(&mut tar, top, &Entry::folder(parent, 0o755))?;
                }
            }
            add(&mut tar, top, entry)?;
        }
        Ok(tar.into_inner()?)
    }
}

fn add(tar: &mut Builder<Vec<u8>>, top: &str, entry: &Entry<'_>) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(made());
    let path = if top.is_empty() { entry.path.clone() } else { format!("{top}/{}", entry.path) };
    match entry.bytes {
        Some(bytes) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes)?;
        }
        None => {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            tar.append_data(&mut header, format!("{path}/"), std::io::empty())?;
        }
    }
    Ok(())
}

/// Compressed, without a name and a date.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gz = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(9));
    gz.write_all(bytes)?;
    Ok(gz.finish()?)
}
