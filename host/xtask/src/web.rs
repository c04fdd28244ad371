//! The page: compiled, bound to JavaScript, and compressed once for ever.
//!
//! Beside each file that compresses well lie `FILE.br` (brotli) and `FILE.gz` (gzip: over plain
//! http browsers take brotli from this machine only), so that the server never compresses.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::build::{WEB_TARGET, prune};
use crate::embed::{self, Stamps, digest};
use crate::{paths, shell};

/// The most that the first load may weigh, compressed, in bytes.
pub const BUDGET: u64 = 600 * 1024;

/// Builds the page into `target/embed/web`.
///
/// # Errors
/// If it does not compile, or weighs more than [`BUDGET`].
pub fn build() -> Result<()> {
    let manifest = paths::root().join("web/Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .context("web/Cargo.toml is missing: is this a whole checkout?")?;
    let profile = if text.contains("[profile.web]") { "web" } else { "release" };
    let target = paths::root().join("target/web");
    let mut cargo = shell::cargo();
    cargo
        .args(["build", "--manifest-path", "web/Cargo.toml", "--target", WEB_TARGET])
        .args(["--profile", profile, "--target-dir"])
        .arg(&target)
        .arg("--lib")
        .arg("--bins");
    if text.contains("[lib]")
        && !text.contains("[[bin]]")
        && !paths::root().join("web/src/main.rs").is_file()
    {
        cargo = without_bins(cargo);
    }
    shell::run(&mut cargo, "building the web app")?;
    let wasm = compiled(&target.join(WEB_TARGET).join(profile))?;
    assemble(&wasm)
}

fn without_bins(cargo: std::process::Command) -> std::process::Command {
    let mut out = shell::cargo();
    out.args(cargo.get_args().filter(|a| *a != "--bins"));
    out
}

/// The wasm file that cargo made: there is one.
fn compiled(dir: &Path) -> Result<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "wasm") {
            found.push(path);
        }
    }
    found.sort_by_key(|p| std::cmp::Reverse(fs::metadata(p).and_then(|m| m.modified()).ok()));
    found.into_iter().next().context("the web app has no wasm file: is it a cdylib or a program?")
}

fn assemble(wasm: &Path) -> Result<()> {
    let out = paths::embed().join("web");
    fs::create_dir_all(&out)?;
    let mut keep = BTreeSet::new();
    let mut stamps = Stamps::read("web");

    let input = embed::read(wasm)?;
    let made_of = digest(&[&input, env!("CARGO_PKG_VERSION").as_bytes()]);
    let (js, bound) = (out.join("podlab.js"), out.join("podlab_bg.wasm"));
    if !(stamps.fresh(&js, &made_of) && stamps.fresh(&bound, &made_of)) {
        let staging = paths::root().join("target/web/bindgen");
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        let mut bindgen = Bindgen::new();
        bindgen.input_path(wasm).out_name("podlab").typescript(false);
        bindgen.remove_name_section(true).remove_producers_section(true);
        bindgen.web(true)?.generate(&staging).context("wasm-bindgen cannot bind the web app")?;
        embed::copy_if_changed(&staging.join("podlab.js"), &js)?;
        embed::copy_if_changed(&staging.join("podlab_bg.wasm"), &bound)?;
        if staging.join("snippets").is_dir() {
            fs::create_dir_all(out.join("snippets"))?;
            embed::mirror(&staging.join("snippets"), &out.join("snippets"))?;
        }
        stamps.set(&js, &made_of)?;
        stamps.set(&bound, &made_of)?;
    }
    keep.extend(["podlab.js".into(), "podlab_bg.wasm".into(), "snippets".into()]);

    for name in statics(&paths::root().join("web"))? {
        embed::copy_if_changed(&paths::root().join("web").join(&name), &out.join(&name))?;
        keep.insert(name);
    }
    if !keep.contains("index.html") {
        bail!("web/index.html is missing");
    }
    let mut total = 0;
    for name in keep.clone() {
        let path = out.join(&name);
        if path.is_file() {
            let mut least = fs::metadata(&path)?.len();
            for (coding, pack) in CODINGS {
                let packed = out.join(format!("{name}.{coding}"));
                if compress(&path, &packed, pack, &mut stamps)? {
                    keep.insert(format!("{name}.{coding}"));
                    least = least.min(fs::metadata(&packed)?.len());
                }
            }
            total += least;
        }
    }
    prune(&out, &keep)?;
    eprintln!("      first load: {} KiB compressed", total.div_ceil(1024));
    if total > BUDGET {
        bail!("the web app weighs {total} bytes compressed: at most {BUDGET} are allowed");
    }
    Ok(())
}

/// The files beside the program: `web/*.{html,css,js,svg,png,ico,webmanifest,woff2}`.
fn statics(dir: &Path) -> Result<Vec<String>> {
    let kinds = ["html", "css", "js", "svg", "png", "ico", "webmanifest", "woff2"];
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_file() && kinds.contains(&kind) {
            names.extend(path.file_name().map(|n| n.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Compresses.
type Coder = fn(&[u8]) -> Result<Vec<u8>>;

/// How files are compressed, by the ending of what comes out.
const CODINGS: [(&str, Coder); 2] = [("br", brotli), ("gz", gzip)];

/// Compresses a file if that pays; whether it did.
fn compress(
    from: &Path,
    to: &Path,
    pack: fn(&[u8]) -> Result<Vec<u8>>,
    stamps: &mut Stamps,
) -> Result<bool> {
    let kind = from.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if !["html", "css", "js", "svg", "wasm", "webmanifest"].contains(&kind) {
        return Ok(false);
    }
    let plain = embed::read(from)?;
    let made_of = digest(&[&plain]);
    if stamps.fresh(to, &made_of) {
        return Ok(true);
    }
    let packed = pack(&plain)?;
    if packed.len() >= plain.len() {
        return Ok(false);
    }
    embed::write(to, &packed)?;
    stamps.set(to, &made_of)?;
    Ok(true)
}

fn brotli(plain: &[u8]) -> Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        size_hint: plain.len(),
        ..Default::default()
    };
    let mut packed = Vec::new();
    let mut writer = brotli::CompressorWriter::with_params(&mut packed, 1 << 16, &params);
    writer.write_all(plain)?;
    writer.flush()?;
    drop(writer);
    Ok(packed)
}

fn gzip(plain: &[u8]) -> Result<Vec<u8>> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(plain)?;
    Ok(writer.finish()?)
}
