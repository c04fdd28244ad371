//! A file of a recording.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podlab_world::Recording;

fuzz_target!(|data: &[u8]| {
    let _ = Recording::decode(data);
});
