//! What is handed out: one static binary, and packages of it, below `target/dist`.
//!
//! # Layout
//! - this file: building the binary, and which files come of it
//! - [`pack`]: archives that come out the same wherever and whenever they are made
//! - [`deb`]: the Debian package; [`oci`]: the container image
//! - [`licences`]: whose work is inside

mod deb;
mod licences;
mod oci;
mod pack;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::{build, paths, shell};
use pack::{Entry, Pack};

/// What the static binary is compiled for: musl, so that it asks nothing of the system it runs on.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// What every package is made of.
struct Product {
    version: String,
    /// Which commit, as `podlab --version` says it.
    commit: String,
    binary: Vec<u8>,
    readme: Vec<u8>,
    licence: Vec<u8>,
    changelog: Vec<u8>,
    notices: Vec<u8>,
    man: Vec<u8>,
    /// Shell and script.
    completions: Vec<(&'static str, Vec<u8>)>,
    docs: Vec<(String, Vec<u8>)>,
}

/// Makes everything that is handed out.
///
/// # Errors
/// If a tool is missing (with how to get it), or something cannot be built.
pub fn run(build_first: bool) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("packages are made on Linux on x86-64: the static binary is built with its tools");
    }
    needs("musl-gcc", "apt-get install musl-tools")?;
    needs("strip", "apt-get install binutils")?;
    if build_first {
        build::build()?;
    }
    add_target()?;
    eprintln!("[dist] podlab ({TARGET})");
    let built = compile()?;
    let dir = paths::root().join("target/dist");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("clearing {}", paths::shown(&dir)))?;
    }
    fs::create_dir_all(&dir)?;
    let binary = dir.join("podlab");
    fs::copy(&built, &binary).with_context(|| paths::shown(&built))?;
    shell::run(Command::new("strip").arg(&binary), "stripping the binary")?;
    eprintln!("[dist] packages");
    let product = product(&binary)?;
    let name = format!("podlab-{}-{TARGET}", product.version);
    let made = [
        ("podlab".to_owned(), None),
        (format!("{name}.tar.gz"), Some(archive(&name, &product)?)),
        (format!("podlab_{}_amd64.deb", product.version), Some(deb::package(&product)?)),
        (format!("podlab-{}-oci.tar", product.version), Some(oci::image(&product)?)),
        ("THIRD-PARTY.txt".to_owned(), Some(product.notices.clone())),
    ];
    let mut sums = String::new();
    for (file, bytes) in made {
        let path = dir.join(&file);
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).with_context(|| paths::shown(&path))?;
        }
        let bytes = fs::read(&path).with_context(|| paths::shown(&path))?;
        let sum = sha256(&bytes);
        eprintln!("{sum}  {} ({} KiB)", paths::shown(&path), bytes.len() >> 10);
        sums += &format!("{sum}  {file}\n");
    }
    fs::write(dir.join("SHA256SUMS"), sums)?;
    Ok(())
}

fn needs(program: &str, remedy: &str) -> Result<()> {
    if shell::find(program).is_none() {
        bail!("{program} is not installed: {remedy}");
    }
    Ok(())
}

fn add_target() -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(paths::root()).args(["target", "add", TARGET]);
    shell::run(&mut rustup, &format!("adding Rust's standard library for {TARGET}"))
}

/// Builds the static binary with the same profile that is tested.
fn compile() -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--workspace", "--bin", "podlab", "--target", TARGET]);
    cargo.env("CARGO_INCREMENTAL", "0");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", build::same_everywhere());
    // C as well: no path of this machine, and no date.
    let flags = format!("-ffile-prefix-map={}=/podlab -g0", paths::root().display());
    cargo.env(format!("CC_{}", TARGET.replace('-', "_")), "musl-gcc");
    cargo.env(format!("CFLAGS_{}", TARGET.replace('-', "_")), flags);
    shell::run(&mut cargo, "building the static binary")?;
    Ok(paths::target().join(TARGET).join("debug/podlab"))
}

fn product(binary: &Path) -> Result<Product> {
    let say = |args: &[&str]| -> Result<Vec<u8>> {
        let line = args.join(" ");
        let out = Command::new(binary).args(args).output().with_context(|| line.clone())?;
        if !out.status.success() {
            bail!("podlab {line} failed: {}", String::from_utf8_lossy(&out.stderr));
        }
        Ok(out.stdout)
    };
    // `podlab 0.1.0 (0123456789ab)`
    let said = String::from_utf8(say(&["--version"])?)?;
    let mut words = said.split_whitespace().skip(1);
    let version = words.next().context("podlab --version says no version")?.to_owned();
    let commit = words.next().unwrap_or_default().trim_matches(['(', ')']).to_owned();
    let file = |name: &str| {
        let path = paths::root().join(name);
        fs::read(&path).with_context(|| paths::shown(&path))
    };
    let mut completions = Vec::new();
    for shell in ["bash", "fish", "zsh"] {
        completions.push((shell, say(&["completions", shell])?));
    }
    let mut docs = Vec::new();
    for name in ["workshop.md", "workshop.ja.md"] {
        docs.push((name.to_owned(), file(&format!("docs/{name}"))?));
    }
    Ok(Product {
        version,
        commit,
        binary: fs::read(binary)?,
        readme: file("README.md")?,
        licence: file("LICENSE")?,
        changelog: file("CHANGELOG.md")?,
        notices: licences::notices()?.into_bytes(),
        man: say(&["man"])?,
        completions,
        docs,
    })
}

/// The archive for everybody: unpack it, start it.
fn archive(name: &str, product: &Product) -> Result<Vec<u8>> {
    let mut entries = vec![
        Entry::program("podlab", &product.binary),
        Entry::file("README.md", &product.readme),
        Entry::file("LICENSE", &product.licence),
        Entry::file("THIRD-PARTY.txt", &product.notices),
        Entry::file("CHANGELOG.md", &product.changelog),
        Entry::file("man/podlab.1", &product.man),
    ];
    for (shell, script) in &product.completions {
        entries.push(Entry::file(format!("completions/podlab.{shell}"), script));
    }
    for (file, text) in &product.docs {
        entries.push(Entry::file(format!("docs/{file}"), text));
    }
    pack::gzip(&Pack::below(name, &entries)?)
}

/// A digest as `sha256sum` prints it.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// When everything in a package was made: the same each time, so that packages are the same.
/// `SOURCE_DATE_EPOCH`, as is the custom, else the time of the commit.
fn made() -> u64 {
    static MADE: OnceLock<u64> = OnceLock::new();
    *MADE.get_or_init(|| {
        let given = env::var("SOURCE_DATE_EPOCH").ok().and_then(|t| t.parse().ok());
        let commit = || {
            let mut git = Command::new("git");
            git.current_dir(paths::root()).args(["log", "-1", "--format=%ct"]);
            shell::output(&mut git)?.trim().parse().ok()
        };
        given.or_else(commit).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;
    use std::io::Read as _;

    fn product() -> Product {
        Product {
            version: "1.2.3".into(),
            commit: "0123456789ab".into(),
            binary: b"\x7fELF".repeat(5000),
            readme: b"read".to_vec(),
            licence: b"may".to_vec(),
            changelog: b"new".to_vec(),
            notices: b"others".to_vec(),
            man: b".TH".to_vec(),
            completions: vec![
                ("bash", b"b".to_vec()),
                ("fish", b"f".to_vec()),
                ("zsh", b"z".to_vec()),
            ],
            docs: vec![("workshop.md".into(), b"room".to_vec())],
        }
    }

    /// The files of a tar archive, and their rights.
    fn files(bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        let mut files = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
            let path = entry.path().unwrap().display().to_string();
            let mode = entry.header().mode().unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, (mode, bytes));
        }
        files
    }

    fn unzipped(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn packages_are_the_same_each_time() {
        let again = || {
            let p = product();
            [archive("a", &p).unwrap(), deb::package(&p).unwrap(), oci::image(&p).unwrap()]
        };
        assert_eq!(again(), again());
    }

    #[test]
    fn the_archive_has_its_files_in_one_folder() {
        let files = files(&unzipped(&archive("podlab-1.2.3", &product()).unwrap()));
        assert!(files.keys().all(|path| path.starts_with("podlab-1.2.3/")), "{:?}", files.keys());
        assert_eq!(files["podlab-1.2.3/podlab"].0, 0o755);
        assert_eq!(files["podlab-1.2.3/completions/podlab.zsh"], (0o644, b"z".to_vec()));
    }

    #[test]
    fn the_image_names_what_is_in_it_by_digest() {
        let files = files(&oci::image(&product()).unwrap());
        let blob = |described: &Value| {
            let digest = described["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let (_, bytes) = &files[&format!("blobs/sha256/{digest}")];
            assert_eq!(sha256(bytes), digest);
            assert_eq!(described["size"], bytes.len());
            bytes.clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"].1).unwrap();
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        let tree = unzipped(&blob(&manifest["layers"][0]));
        let diff = format!("sha256:{}", sha256(&tree));
        assert_eq!(config["rootfs"]["diff_ids"][0], diff.as_str());
        let inside = self::files(&tree);
        assert_eq!(inside["usr/bin/podlab"].0, 0o755);
        assert_eq!(inside["state/"].0, 0o1777);
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/podlab");
    }

    #[test]
    fn the_debian_package_is_one() {
        let bytes = deb::package(&product()).unwrap();
        let mut archive = ar::Archive::new(&bytes[..]);
        let mut parts = Vec::new();
        while let Some(entry) = archive.next_entry() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            parts.push((String::from_utf8_lossy(entry.header().identifier()).into_owned(), bytes));
        }
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["debian-binary", "control.tar.gz", "data.tar.gz"]);
        assert_eq!(parts[0].1, b"2.0\n");
        let control = files(&unzipped(&parts[1].1));
        let control = String::from_utf8(control["control"].1.clone()).unwrap();
        assert!(control.starts_with("Package: podlab\nVersion: 1.2.3\n"), "{control}");
        assert!(control.ends_with('\n') && !control.contains("\n\n"));
        let data = files(&unzipped(&parts[2].1));
        assert_eq!(data["usr/bin/podlab"].0, 0o755);
        assert!(data.contains_key("usr/share/man/man1/podlab.1.gz"));
    }
}
