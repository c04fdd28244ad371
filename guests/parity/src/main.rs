//! Prints what `std::net` and `std::fs` do in the corners, one line a fact, without anything that
//! differs from run to run. The same program natively and in a world must print the same.
//!
//! `parity net`, `parity fs DIR` (an empty directory).

mod files;
mod tcp;
mod udp;

use std::fmt::Debug;
use std::io;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["net"] => {
            tcp::facts();
            udp::facts();
        }
        ["fs", dir] => files::facts(dir),
        _ => {
            eprintln!("parity net | fs DIR");
            std::process::exit(2);
        }
    }
}

/// One line: an error by its kind, which is the same everywhere.
pub fn say<T: Debug>(what: &str, result: io::Result<T>) {
    match result {
        Ok(value) => println!("{what}: {value:?}"),
        Err(error) => println!("{what}: error {:?}", error.kind()),
    }
}

/// One line of plain fact.
pub fn fact(what: &str, value: impl Debug) {
    println!("{what}: {value:?}");
}
