//! Frames and events of the stream that the page reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podlab_trace::{log, wire};

fuzz_target!(|data: &[u8]| {
    let _ = wire::Frame::decode(data);
    let _ = wire::events(u32::MAX, data);
    let _ = log::decode(data);
});
