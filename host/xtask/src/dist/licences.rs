//! Whose work is inside: every crate that is compiled into the binary, the guests or the page, with
//! the licence it names and the texts that lie beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{paths, shell};

/// The workspaces, and what each is compiled for.
const WORKSPACES: [(&str, &str); 3] = [
    ("Cargo.toml", super::TARGET),
    ("guests/Cargo.toml", crate::build::GUEST_TARGET),
    ("web/Cargo.toml", crate::build::WEB_TARGET),
];
/// How files begin that say under what one may use a crate.
const TEXTS: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

/// The list.
///
/// # Errors
/// If cargo does not tell.
pub fn notices() -> Result<String> {
    let mut crates = BTreeMap::new();
    for (manifest, target) in WORKSPACES {
        collect(manifest, target, &mut crates)?;
    }
    // Most texts occur again and again: each is printed once.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut out = String::from(
        "Podlab is Apache-2.0. The tables of fields and the prose of `kubectl explain` are Kubernetes' own\n\
         (Apache-2.0, The Kubernetes Authors). These libraries are compiled into it:\n\n",
    );
    for (name, (licence, folder)) in &crates {
        out += &format!("{name}: {licence}\n");
        for text in texts_of(folder)? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
    for (text, of) in texts {
        let of = of.into_iter().collect::<Vec<_>>().join(", ");
        out += &format!("\n{}\n{of}\n\n{}\n", "-".repeat(80), text.trim_end());
    }
    Ok(out)
}

/// Crates by name and version: what they say of themselves, and where they lie.
type Crates = BTreeMap<String, (String, std::path::PathBuf)>;

fn collect(manifest: &str, target: &str, crates: &mut Crates) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target]);
    cargo.args(["--manifest-path", manifest]);
    let text =
        shell::output(&mut cargo).with_context(|| format!("cargo metadata of {manifest}"))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let name = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|n| (name(&n["id"]), n)).collect();
    let members = list(&metadata["workspace_members"]);
    // What builds and tests is not handed out.
    let mut open: Vec<String> = members
        .iter()
        .map(name)
        .filter(|id| !id.contains("xtask") && !id.contains("tests"))
        .collect();
    let mut inside = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !inside.insert(id.clone()) {
            continue;
        }
        let Some(node) = nodes.get(&id) else { continue };
        for dependency in list(&node["deps"]) {
            let normal = list(&dependency["dep_kinds"]).iter().any(|k| k["kind"].is_null());
            if normal {
                open.push(name(&dependency["pkg"]));
            }
        }
    }
    for package in list(&metadata["packages"]) {
        // Ours have no source.
        if package["source"].is_null() || !inside.contains(&name(&package["id"])) {
            continue;
        }
        let licence = package["license"].as_str().unwrap_or("see its text").to_owned();
        let path = name(&package["manifest_path"]);
        let folder = Path::new(&path).parent().context("a manifest lies in a folder")?;
        let title = format!("{} {}", name(&package["name"]), name(&package["version"]));
        crates.insert(title, (licence, folder.to_owned()));
    }
    Ok(())
}

fn texts_of(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| paths::shown(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if TEXTS.iter().any(|t| name.starts_with(t)) && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    let text = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).with_context(|| paths::shown(path))?;
        Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
    };
    files.iter().map(text).collect()
}
