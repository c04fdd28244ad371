//! Both directions of a connection to the HTTP dissector, in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podlab_net::dissect::{Piece, http};
use podlab_trace::Dir;

fuzz_target!(|data: &[u8]| {
    const LIMIT: usize = 64;
    let (mut dissector, mut found, mut at) = (http(LIMIT), Vec::new(), 0);
    let mut rest = data;
    // A byte says which way the next piece goes and how long it is.
    while let Some((&how, after)) = rest.split_first() {
        let dir = if how < 128 { Dir::ToServer } else { Dir::ToClient };
        let (piece, left) = after.split_at(after.len().min(usize::from(how % 128)));
        rest = left;
        at += 1;
        if dissector.is_over() {
            return;
        }
        if piece.is_empty() {
            dissector.finish(dir, &mut found);
        } else {
            dissector.feed(Piece { dir, data: piece, at, arrives: at + 1 }, &mut found);
        }
    }
    for message in found {
        assert!(message.body.len() <= LIMIT && message.began <= at);
    }
});
