//! The Debian package: an `ar` archive of what dpkg reads (deb(5)) and what it unpacks.

use anyhow::Result;

use super::pack::{Entry, Pack, gzip};
use super::{Product, made};

/// The package.
pub fn package(product: &Product) -> Result<Vec<u8>> {
    let man = gzip(&product.man)?;
    let changelog = gzip(&product.changelog)?;
    let doc = "usr/share/doc/podlab";
    let mut entries = vec![
        Entry::program("usr/bin/podlab", &product.binary),
        Entry::file("usr/share/man/man1/podlab.1.gz", &man),
        Entry::file(format!("{doc}/copyright"), &product.licence),
        Entry::file(format!("{doc}/THIRD-PARTY.txt"), &product.notices),
        Entry::file(format!("{doc}/changelog.gz"), &changelog),
        Entry::file(format!("{doc}/README.md"), &product.readme),
    ];
    for (shell, script) in &product.completions {
        let place = match *shell {
            "bash" => "usr/share/bash-completion/completions/podlab",
            "fish" => "usr/share/fish/vendor_completions.d/podlab.fish",
            _ => "usr/share/zsh/vendor-completions/_podlab",
        };
        entries.push(Entry::file(place, script));
    }
    for (file, text) in &product.docs {
        entries.push(Entry::file(format!("{doc}/{file}"), text));
    }
    let data = gzip(&Pack::below(".", &entries)?)?;
    let control = format!(
        "Package: podlab\n\
         Version: {}\n\
         Architecture: amd64\n\
         Maintainer: The Podlab authors <podlab@localhost>\n\
         Installed-Size: {}\n\
         Section: education\n\
         Priority: optional\n\
         Suggests: kubectl\n\
         Description: pod design patterns, seen working\n \
         Runs real WASI programs as the containers of Kubernetes-style pods inside\n \
         one process, on a clock it owns. A page shows every message they exchange;\n \
         pause, rewind, break and repair the world; the same files run as tests.\n",
        product.version,
        product.binary.len().div_ceil(1024)
    );
    let control = gzip(&Pack::below(".", &[Entry::file("control", control.as_bytes())])?)?;
    let mut ar = ar::Builder::new(Vec::new());
    for (name, bytes) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar.gz", &control), ("data.tar.gz", &data)]
    {
        let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        header.set_mode(0o100_644);
        header.set_mtime(made());
        ar.append(&header, bytes)?;
    }
    Ok(ar.into_inner()?)
}
