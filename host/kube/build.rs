//! Packs the prose of the API, a quarter of a megabyte that is seldom read.

use std::path::Path;

fn main() {
    let source = "src/schema/prose-1.33.json";
    println!("cargo::rerun-if-changed={source}");
    println!("cargo::rerun-if-changed=build.rs");
    let text = std::fs::read(source).expect("the prose is beside the schema");
    let out = std::env::var_os("OUT_DIR").expect("cargo says where");
    let packed = lz4_flex::compress_prepend_size(&text);
    std::fs::write(Path::new(&out).join("prose.lz4"), packed).expect("cargo's folder is there");
}
