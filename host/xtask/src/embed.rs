//! What goes into the binary, kept up to date by digests: `target/embed/{images,patterns,web}`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;

use crate::build::{guest_file, prune};
use crate::{paths, shell};

/// Remembers of which inputs each output was made. Lies outside the embedded folder.
#[derive(Default)]
pub struct Stamps {
    file: PathBuf,
    stamps: BTreeMap<String, String>,
}

impl Stamps {
    /// Reads the stamps called `name`; a missing or unreadable file means that all is stale.
    pub fn read(name: &str) -> Stamps {
        let file = paths::root().join("target/stamps").join(format!("{name}.json"));
        let stamps = fs::read(&file).ok().and_then(|b| serde_json::from_slice(&b).ok());
        Stamps { file, stamps: stamps.unwrap_or_default() }
    }

    /// Whether `output` exists and was made of inputs with this digest.
    pub fn fresh(&self, output: &Path, digest: &str) -> bool {
        output.exists() && self.stamps.get(&paths::shown(output)).is_some_and(|d| d == digest)
    }

    /// Notes of what `output` was made.
    pub fn set(&mut self, output: &Path, digest: &str) -> Result<()> {
        self.stamps.insert(paths::shown(output), digest.into());
        write(&self.file, &serde_json::to_vec_pretty(&self.stamps)?)
    }
}

/// BLAKE3 of several byte strings, each with its length.
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex().to_string()
}

/// Copies the guests and compiles them for this machine, so that a start compiles nothing.
pub fn images(guests: &[String]) -> Result<()> {
    let dir = paths::embed().join("images");
    fs::create_dir_all(&dir)?;
    let precompiler = paths::built("podlab-precompile");
    let tool = read(&precompiler)?;
    let mut stamps = Stamps::read("images");
    let mut keep = BTreeSet::new();
    let mut stale = Vec::new();
    for guest in guests {
        let wasm = dir.join(format!("{guest}.wasm"));
        let native = dir.join(format!("{guest}.cwasm"));
        copy_if_changed(&guest_file(guest), &wasm)?;
        let made_of = digest(&[&read(&wasm)?, &tool]);
        if !stamps.fresh(&native, &made_of) {
            stale.push((wasm.clone(), native.clone(), made_of));
        }
        keep.extend([format!("{guest}.wasm"), format!("{guest}.cwasm")]);
    }
    prune(&dir, &keep)?;
    let bar = ProgressBar::new(stale.len() as u64);
    for (wasm, native, made_of) in stale {
        let name = paths::shown(&wasm);
        bar.suspend(|| eprintln!("      precompiling {name}"));
        let mut command = Command::new(&precompiler);
        // Written beside its place first: a file cut short must never be embedded.
        let partial = native.with_extension("partial");
        shell::run(command.arg(&wasm).arg(&partial), &format!("precompiling {name}"))?;
        fs::rename(&partial, &native)?;
        stamps.set(&native, &made_of)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Copies `patterns/`.
pub fn patterns() -> Result<()> {
    let from = paths::root().join("patterns");
    if !from.is_dir() {
        bail!("patterns/ is missing: is this a whole checkout?");
    }
    let to = paths::embed().join("patterns");
    fs::create_dir_all(&to)?;
    mirror(&from, &to)
}

/// Makes `to` hold what `from` holds; hidden files are left out.
pub fn mirror(from: &Path, to: &Path) -> Result<()> {
    let mut keep = BTreeSet::new();
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let target = to.join(&name);
        if entry.path().is_dir() {
            fs::create_dir_all(&target)?;
            mirror(&entry.path(), &target)?;
        } else {
            copy_if_changed(&entry.path(), &target)?;
        }
        keep.insert(name);
    }
    prune(to, &keep)
}

/// Copies a file unless the copy is the same already, so that nothing later sees a change where
/// there is none.
pub fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let new = read(from)?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    // A program that is running cannot be written over, but its name can be given to another.
    let partial = to.with_extension("partial");
    fs::copy(from, &partial).with_context(|| format!("writing {}", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("writing {}", to.display()))?;
    Ok(())
}

/// Writes a file unless it holds just that already.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_where_one_part_ends() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_eq!(digest(&[b"ab", b"c"]), digest(&[b"ab", b"c"]));
    }

    #[test]
    fn a_mirror_has_what_the_source_has_and_no_more() {
        let dir = std::env::temp_dir().join(format!("podlab-mirror-{}", std::process::id()));
        let (from, to) = (dir.join("from"), dir.join("to"));
        write(&from.join("a/b.txt"), b"1").unwrap();
        write(&from.join(".hidden"), b"1").unwrap();
        write(&to.join("old.txt"), b"1").unwrap();
        mirror(&from, &to).unwrap();
        assert_eq!(read(&to.join("a/b.txt")).unwrap(), b"1");
        assert!(!to.join("old.txt").exists() && !to.join(".hidden").exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}
