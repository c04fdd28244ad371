//! Recordings: options and inputs, enough to have the same trace again.
//!
//! A recording is a file that only grows: a header, then frames. Each frame carries its length
//! and a checksum, so that a file cut short by a crash is read up to the last whole frame. Now
//! and then a [`Mark`] says how far the trace had come and what it was, so that a replay can be
//! compared event by event without keeping the events themselves.

use std::io::{self, Write};

use podlab_sim::Time;
use serde::{Deserialize, Serialize};

use crate::input::Input;
use crate::options::WorldOptions;

/// The first bytes of every recording.
pub const MAGIC: &[u8; 8] = b"PODLABRC";
/// The version of the format, of the inputs and of the event model together. A recording of
/// another version is refused, since it would not replay to the same trace.
pub const VERSION: u32 = 1;
/// No frame is longer than this, in bytes: an image, and some.
const MAX_FRAME: usize = 128 << 20;

/// Nor are all of its frames together longer than this, unpacked.
const MAX_WHOLE: usize = if cfg!(test) { 2 << 20 } else { 512 << 20 };

/// What a recording holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Which world.
    pub header: Header,
    /// What came from outside, and when.
    pub inputs: Vec<Stamped>,
    /// What the trace was at several instants, in order.
    pub marks: Vec<Mark>,
}

/// The head of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The build that made it, for people.
    pub build: String,
    /// What the world was made with.
    pub options: WorldOptions,
    /// The images it could run: name and digest (BLAKE3 of the wasm file, hex).
    pub images: Vec<(String, String)>,
    /// The images themselves, where the recording is to be replayed elsewhere.
    pub carried: Vec<CarriedImage>,
}

/// An image inside a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CarriedImage {
    /// Its name and tag.
    pub name: String,
    /// The component or module.
    pub wasm: serde_bytes::ByteBuf,
}

/// An input and when it entered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// ns of virtual time.
    pub at: u64,
    /// What entered.
    pub input: Input,
}

/// How far the trace had come, and what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The clock, in ns of virtual time.
    pub now: u64,
    /// How many inputs had entered.
    pub inputs: u64,
    /// The number of the last event.
    pub last: u64,
    /// The digest of the trace up to it.
    pub digest: [u8; 32],
    /// A checksum of each event since the mark before.
    pub sums: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
enum Frame {
    Header(Header),
    Input(Stamped),
    Mark(Mark),
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It does not begin like one.
    #[error("this is not a Podlab recording (it does not begin with {:?})", std::str::from_utf8(MAGIC).unwrap_or(""))]
    NotARecording,
    /// It is of another version.
    #[error(
        "the recording has format version {found}, this podlab reads version {VERSION}: use the podlab that made it"
    )]
    Version {
        /// The version of the file.
        found: u32,
    },
    /// Its head is missing or damaged.
    #[error("the recording is cut short or damaged before its header ends")]
    NoHeader,
    /// It breaks its own rules.
    #[error("the recording is damaged: {0}")]
    Damaged(String),
}

impl Recording {
    /// The instant that the recording reaches.
    pub fn end(&self) -> Time {
        let inputs = self.inputs.last().map_or(0, |i| i.at);
        let marks = self.marks.last().map_or(0, |m| m.now);
        Time(inputs.max(marks))
    }

    /// The recording up to and including `at`.
    pub fn until(&self, at: Time) -> Recording {
        Recording {
            header: self.header.clone(),
            inputs: self.inputs.iter().filter(|i| i.at <= at.0).cloned().collect(),
            marks: self.marks.iter().filter(|m| m.now <= at.0).cloned().collect(),
        }
    }

    /// The whole file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut write = || -> io::Result<()> {
            write_header(&mut out, &self.header)?;
            let mut inputs = self.inputs.iter().enumerate().peekable();
            for mark in &self.marks {
                while let Some((_, input)) = inputs.next_if(|(n, _)| (*n as u64) < mark.inputs) {
                    write_input(&mut out, input)?;
                }
                write_mark(&mut out, mark)?;
            }
            inputs.try_for_each(|(_, input)| write_input(&mut out, input))
        };
        write().expect("writing to memory does not fail");
        out
    }

    /// Reads a file. What a crash cut off at the end is left out; the second value says how many
    /// bytes that were.
    ///
    /// # Errors
    /// If it is no recording, of another version, or damaged before its end.
    pub fn decode(bytes: &[u8]) -> Result<(Recording, usize), RecordingError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(RecordingError::NotARecording)?;
        let (version, mut rest) = rest.split_first_chunk::<4>().ok_or(RecordingError::NoHeader)?;
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(RecordingError::Version { found });
        }
        let mut room = MAX_WHOLE;
        let Some((Frame::Header(header), after)) = take_frame(rest, &mut room)? else {
            return Err(RecordingError::NoHeader);
        };
        header.options.check().map_err(RecordingError::Damaged)?;
        rest = after;
        let mut recording = Recording { header, inputs: Vec::new(), marks: Vec::new() };
        while let Some((frame, after)) = take_frame(rest, &mut room)? {
            rest = after;
            match frame {
                Frame::Header(_) => return Err(RecordingError::Damaged("a second header".into())),
                Frame::Input(input) => recording.inputs.push(input),
                Frame::Mark(mark) => recording.marks.push(mark),
            }
        }
        let entered = recording.inputs.len() as u64;
        // What a crash cut off is the end: no mark speaks of inputs that are not there.
        if recording.marks.iter().any(|m| m.inputs > entered) {
            return Err(RecordingError::Damaged("a mark counts inputs that are missing".into()));
        }
        let ordered = recording.inputs.is_sorted_by_key(|i| i.at)
            && recording.marks.is_sorted_by_key(|m| (m.inputs, m.now, m.last));
        if !ordered {
            return Err(RecordingError::Damaged("it is out of order".into()));
        }
        Ok((recording, rest.len()))
    }
}

/// Begins a recording.
///
/// # Errors
/// Those of `out`.
pub fn write_header(out: &mut impl Write, header: &Header) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    write_frame(out, &Frame::Header(header.clone()))
}

/// Adds an input.
///
/// # Errors
/// Those of `out`.
pub fn write_input(out: &mut impl Write, input: &Stamped) -> io::Result<()> {
    write_frame(out, &Frame::Input(input.clone()))
}

/// Adds a mark.
///
/// # Errors
/// Those of `out`.
pub fn write_mark(out: &mut impl Write, mark: &Mark) -> io::Result<()> {
    write_frame(out, &Frame::Mark(mark.clone()))
}

fn write_frame(out: &mut impl Write, frame: &Frame) -> io::Result<()> {
    let raw = postcard::to_stdvec(frame).map_err(io::Error::other)?;
    let packed = lz4_flex::compress_prepend_size(&raw);
    out.write_all(&(packed.len() as u32).to_le_bytes())?;
    out.write_all(&sum(&packed).to_le_bytes())?;
    out.write_all(&packed)
}

/// The next whole frame and what follows it; `None` where the file was cut. It takes its unpacked
/// size from the `room` that is left.
fn take_frame<'a>(
    bytes: &'a [u8],
    room: &mut usize,
) -> Result<Option<(Frame, &'a [u8])>, RecordingError> {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let expected = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if length > rest.len() {
        return Ok(None);
    }
    let (packed, rest) = rest.split_at(length);
    if sum(packed) != expected {
        // A torn last write looks the same as damage; only the former ends the file.
        return if rest.is_empty() {
            Ok(None)
        } else {
            Err(RecordingError::Damaged("a frame does not match its checksum".into()))
        };
    }
    let size = packed.first_chunk::<4>().map_or(0, |s| u32::from_le_bytes(*s) as usize);
    if size > MAX_FRAME {
        return Err(RecordingError::Damaged(format!("a frame claims {size} bytes")));
    }
    *room = room.checked_sub(size).ok_or_else(|| {
        RecordingError::Damaged(format!("it claims more than {} MiB", MAX_WHOLE >> 20))
    })?;
    let raw = lz4_flex::decompress_size_prepended(packed)
        .map_err(|e| RecordingError::Damaged(e.to_string()))?;
    let frame = postcard::from_bytes(&raw).map_err(|e| RecordingError::Damaged(e.to_string()))?;
    Ok(Some((frame, rest)))
}

/// FNV-1a: enough to tell events and torn frames apart, not to resist a forger.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn sample() -> Recording {
        let header = Header {
            build: "test".into(),
            options: WorldOptions::default(),
            images: vec![("web:v1".into(), "00".into())],
            carried: Vec::new(),
        };
        let input = |at, target: &str| Stamped {
            at,
            input: Input::Fault(Fault::Kill { target: target.into() }),
        };
        let mark =
            |now, inputs, last| Mark { now, inputs, last, digest: [7; 32], sums: vec![1, 2] };
        Recording {
            header,
            inputs: vec![input(5, "a"), input(9, "b")],
            marks: vec![mark(5, 1, 2), mark(12, 2, 4)],
        }
    }

    #[test]
    fn a_recording_is_read_back() {
        let r = sample();
        assert_eq!(Recording::decode(&r.encode()).unwrap(), (r, 0));
    }

    #[test]
    fn a_file_cut_anywhere_is_read_up_to_the_last_whole_frame() {
        let r = sample();
        let whole = r.encode();
        for n in 0..whole.len() {
            match Recording::decode(&whole[..n]) {
                Ok((part, _)) => {
                    assert!(r.inputs.starts_with(&part.inputs) && r.marks.starts_with(&part.marks));
                }
                Err(RecordingError::NotARecording) => assert!(n < 8),
                Err(RecordingError::NoHeader) => assert!(n < whole.len() - 60),
                Err(other) => panic!("{n}: {other}"),
            }
        }
    }

    #[test]
    fn other_files_and_versions_are_refused() {
        assert!(matches!(Recording::decode(b"GIF89a"), Err(RecordingError::NotARecording)));
        let mut other = sample().encode();
        other[8] = 99;
        assert!(matches!(Recording::decode(&other), Err(RecordingError::Version { found: 99 })));
        let mut damaged = sample().encode();
        damaged[40] ^= 1;
        assert!(Recording::decode(&damaged).is_err());
    }

    #[test]
    fn options_that_no_world_can_have_are_refused() {
        let decoded = |change: fn(&mut WorldOptions)| {
            let mut r = sample();
            change(&mut r.header.options);
            Recording::decode(&r.encode()).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(decoded(|_| {}), Ok(()));
        assert!(decoded(|o| o.nodes[0].cores = 0).unwrap_err().contains("0 cores"));
        assert!(decoded(|o| o.nodes[0].name = String::new()).is_err());
        assert!(decoded(|o| o.nodes[1].name = "node-1".into()).unwrap_err().contains("two nodes"));
        assert!(decoded(|o| o.nodes = vec![o.nodes[0].clone(); 1001]).is_err());
        let mut r = sample();
        r.inputs.pop();
        assert!(matches!(Recording::decode(&r.encode()), Err(RecordingError::Damaged(_))));
    }

    #[test]
    fn a_small_file_that_claims_to_be_large_is_refused() {
        let target = "a".repeat(1 << 20);
        let input = Stamped { at: 1, input: Input::Fault(Fault::Kill { target }) };
        let mut r = sample();
        (r.inputs, r.marks) = (vec![input.clone()], Vec::new());
        assert!(Recording::decode(&r.encode()).is_ok());
        r.inputs = vec![input; 3];
        let bytes = r.encode();
        assert!(bytes.len() < 1 << 17, "it is small: {}", bytes.len());
        assert!(matches!(Recording::decode(&bytes), Err(RecordingError::Damaged(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8.., 0..600)) {
            let _ = Recording::decode(&bytes);
            let mut framed = MAGIC.to_vec();
            framed.extend(VERSION.to_le_bytes());
            framed.extend(&bytes);
            let _ = Recording::decode(&framed);
            // Frames whose checksums are right, with anything inside.
            let mut summed = MAGIC.to_vec();
            summed.extend(VERSION.to_le_bytes());
            let packed = lz4_flex::compress_prepend_size(&bytes);
            summed.extend((packed.len() as u32).to_le_bytes());
            summed.extend(sum(&packed).to_le_bytes());
            summed.extend(packed);
            let _ = Recording::decode(&summed);
        }

        #[test]
        fn a_changed_byte_is_found_or_costs_the_last_frame(
            at in 0usize..4096, bit in 0u8..8,
        ) {
            let whole = sample().encode();
            let mut changed = whole.clone();
            let at = at % whole.len();
            changed[at] ^= 1 << bit;
            if let Ok((part, lost)) = Recording::decode(&changed) {
                let r = sample();
                proptest::prop_assert!(lost > 0, "byte {at} was changed unseen");
                proptest::prop_assert!(r.inputs.starts_with(&part.inputs));
                proptest::prop_assert!(r.marks.starts_with(&part.marks));
            }
        }
    }
}
