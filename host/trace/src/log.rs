//! The growing trace of a running world.
//!
//! Events are encoded as they happen and kept in segments; each segment opens with a keyframe
//! (see [`crate::state`]) so that any instant can be reached without reading from the start.
//! Old segments are dropped when the trace outgrows its quota: they can be had again by
//! running the recording once more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Event, Kind, PlaceId, Seq};
use crate::state::State;

/// BLAKE3 over the encoded events, in order.
pub type Digest = [u8; 32];

/// How much payload an event keeps, in bytes, unless set otherwise.
pub const PAYLOAD_LIMIT: usize = 4096;
/// Segments are closed at this size in bytes (or later, so that keyframes stay the smaller
/// part of the trace)…
const SEGMENT_BYTES: usize = 1 << 20;
/// …or at this age in ns, whichever comes first.
const SEGMENT_NANOS: u64 = 10_000_000_000;
/// The width of a bucket of the density curve, in ns.
pub const DENSITY_BUCKET: u64 = 100_000_000;

/// The trace of one world. Cheap to clone: all clones are the same trace.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    segments: VecDeque<Segment>,
    next: Seq,
    bytes: usize,
    quota: usize,
    payload_limit: usize,
    places: PlaceId,
    /// What each place took in last.
    causes: Vec<Seq>,
    hasher: blake3::Hasher,
    /// How far into the last segment the digest has read.
    hashed: usize,
    state: State,
    density: Vec<u32>,
    last_at: u64,
}

#[derive(Clone)]
struct Segment {
    first: Seq,
    from: u64,
    to: u64,
    keyframe: Arc<[u8]>,
    bytes: Vec<u8>,
    /// Where in `bytes` every event begins.
    index: Vec<u32>,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new(256 << 20)
    }
}

impl Trace {
    /// An empty trace that keeps at most about `quota` bytes.
    pub fn new(quota: usize) -> Trace {
        Trace(Arc::new(Mutex::new(Inner {
            segments: VecDeque::new(),
            next: 1,
            bytes: 0,
            quota,
            payload_limit: PAYLOAD_LIMIT,
            places: 1,
            causes: vec![0],
            hasher: blake3::Hasher::new(),
            hashed: 0,
            state: State::default(),
            density: Vec::new(),
            last_at: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nothing panics while it writes the trace")
    }

    /// How much of a payload an event may keep, in bytes.
    pub fn payload_limit(&self) -> usize {
        self.lock().payload_limit
    }

    /// The beginning of `data`, as much as an event may keep.
    pub fn clip(&self, data: &[u8]) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&data[..data.len().min(self.payload_limit())])
    }

    /// Announces a place and returns its number. See [`Kind::Place`].
    pub fn place(
        &self,
        at: u64,
        node: &str,
        namespace: &str,
        pod: &str,
        container: &str,
    ) -> PlaceId {
        let mut inner = self.lock();
        let id = inner.places;
        inner.places += 1;
        inner.causes.push(0);
        let kind = Kind::Place {
            id,
            node: node.into(),
            namespace: namespace.into(),
            pod: pod.into(),
            container: container.into(),
        };
        inner.emit(at, id, 0, kind);
        id
    }

    /// Adds an event at `at` (never earlier than the one before), and returns its number. Its
    /// cause is what `place` took in last.
    pub fn emit(&self, at: u64, place: PlaceId, kind: Kind) -> Seq {
        let mut inner = self.lock();
        let cause = inner.causes.get(place as usize).copied().unwrap_or(0);
        inner.emit(at, place, cause, kind)
    }

    /// Adds an event with a cause of its own.
    pub fn emit_caused(&self, at: u64, place: PlaceId, cause: Seq, kind: Kind) -> Seq {
        self.lock().emit(at, place, cause, kind)
    }

    /// `place` took in what `event` brought (read the bytes, saw the file): what it does next
    /// has that as its cause.
    pub fn took(&self, place: PlaceId, event: Seq) {
        if event != 0
            && let Some(cause) = self.lock().causes.get_mut(place as usize)
        {
            *cause = event;
        }
    }

    /// What `place` took in last.
    pub fn cause(&self, place: PlaceId) -> Seq {
        self.lock().causes.get(place as usize).copied().unwrap_or(0)
    }

    /// Takes the older segments that this trace has dropped from `other`, a trace of the same
    /// world that reached further back.
    pub fn adopt_older(&self, other: &Trace) {
        let Some(first) = self.lock().segments.front().map(|s| s.first) else { return };
        let older: Vec<Segment> =
            other.lock().segments.iter().take_while(|s| s.first < first).cloned().collect();
        let mut inner = self.lock();
        for segment in older.into_iter().rev() {
            inner.bytes += segment.size();
            inner.segments.push_front(segment);
        }
    }

    /// Keeps at most about `quota` bytes from now on.
    pub fn set_quota(&self, quota: usize) {
        self.lock().quota = quota;
    }

    /// A checksum (FNV-1a, 32 bits) of each encoded event from number `from` on.
    pub fn sums(&self, from: Seq) -> Vec<u32> {
        let inner = self.lock();
        let mut i = inner.segments.partition_point(|s| s.first <= from).saturating_sub(1);
        let mut out = Vec::new();
        while let Some(segment) = inner.segments.get(i) {
            let skip = from.saturating_sub(segment.first) as usize;
            out.extend((skip..segment.index.len()).map(|n| sum(segment.encoded(n))));
            i += 1;
        }
        out
    }

    /// The number of the last event, 0 if there is none.
    pub fn last(&self) -> Seq {
        self.lock().next - 1
    }

    /// The number of the oldest event still kept.
    pub fn first(&self) -> Seq {
        self.lock().segments.front().map_or(1, |s| s.first)
    }

    /// Bytes of memory that the kept events take.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// At most `limit` events from number `from` on (or from the oldest still kept).
    pub fn read(&self, from: Seq, limit: usize) -> Vec<Event> {
        let inner = self.lock();
        let mut out = Vec::new();
        let mut i = inner.segments.partition_point(|s| s.first <= from).saturating_sub(1);
        while let Some(segment) = inner.segments.get(i) {
            let skip = from.saturating_sub(segment.first) as usize;
            for n in skip..segment.index.len() {
                if out.len() >= limit {
                    return out;
                }
                out.push(segment.event(n));
            }
            i += 1;
        }
        out
    }

    /// The encoded events `from..`, at most about `limit` bytes of them: a run of postcard
    /// [`Event`]s, and how many they are.
    pub fn read_encoded(&self, from: Seq, limit: usize) -> (Seq, u32, Vec<u8>) {
        let inner = self.lock();
        let mut i = inner.segments.partition_point(|s| s.first <= from).saturating_sub(1);
        let mut out = Vec::new();
        let (mut count, mut first) = (0, from);
        while let Some(segment) = inner.segments.get(i) {
            if count == 0 {
                first = from.max(segment.first);
            }
            let skip = from.saturating_sub(segment.first) as usize;
            if skip < segment.index.len() {
                for n in skip..segment.index.len() {
                    if out.len() >= limit {
                        return (first, count, out);
                    }
                    out.extend_from_slice(segment.encoded(n));
                    count += 1;
                }
            }
            i += 1;
        }
        (first, count, out)
    }

    /// The first event at or after `at` ns, or one past the last.
    pub fn seek(&self, at: u64) -> Seq {
        let inner = self.lock();
        let i = inner.segments.partition_point(|s| s.to < at);
        let Some(segment) = inner.segments.get(i) else { return inner.next };
        let n = (0..segment.index.len())
            .collect::<Vec<_>>()
            .partition_point(|n| segment.event(*n).at < at);
        segment.first + n as Seq
    }

    /// The keyframe at or before event `seq`: what was true just before event number `.0`.
    /// `None` if nothing that old is kept.
    pub fn keyframe(&self, seq: Seq) -> Option<(Seq, State)> {
        let inner = self.lock();
        let i = inner.segments.partition_point(|s| s.first <= seq).checked_sub(1)?;
        let segment = &inner.segments[i];
        let state = postcard::from_bytes(&segment.keyframe).expect("a keyframe written here");
        Some((segment.first, state))
    }

    /// What is true now.
    pub fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Lets `look` see what is true now, without copying it.
    pub fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// How many events each [`DENSITY_BUCKET`] of virtual time holds.
    pub fn density(&self) -> Vec<u32> {
        self.lock().density.clone()
    }

    /// The digest of all events so far.
    pub fn digest(&self) -> Digest {
        let mut inner = self.lock();
        inner.hash();
        *inner.hasher.finalize().as_bytes()
    }
}

impl Inner {
    fn emit(&mut self, at: u64, place: PlaceId, cause: Seq, kind: Kind) -> Seq {
        debug_assert!(at >= self.last_at, "time runs forward");
        let at = at.max(self.last_at);
        self.last_at = at;
        let full = self.segments.back().is_none_or(|s| {
            let (size, keyframe) = (s.bytes.len(), s.keyframe.len());
            size >= SEGMENT_BYTES.max(4 * keyframe)
                || (at - s.from >= SEGMENT_NANOS && size >= 2 * keyframe)
        });
        if full {
            self.begin_segment(at);
        }
        let event = Event { seq: self.next, at, place, cause, kind };
        self.next += 1;
        let segment = self.segments.back_mut().expect("a segment was begun");
        let start = segment.bytes.len();
        segment.index.push(start as u32);
        segment.to = at;
        let buffer = std::mem::take(&mut segment.bytes);
        segment.bytes = encode(&event, buffer);
        self.bytes += segment.bytes.len() - start + 4;
        let bucket = (at / DENSITY_BUCKET) as usize;
        // A world that idles for a year must not fill memory with empty buckets.
        if bucket < 1 << 20 {
            if bucket >= self.density.len() {
                self.density.resize(bucket + 1, 0);
            }
            self.density[bucket] += 1;
        }
        self.state.apply(&event);
        event.seq
    }

    fn begin_segment(&mut self, at: u64) {
        self.hash();
        self.hashed = 0;
        if let Some(done) = self.segments.back_mut() {
            done.bytes.shrink_to_fit();
            done.index.shrink_to_fit();
        }
        let keyframe = postcard::to_stdvec(&self.state).expect("a state can be encoded");
        self.bytes += keyframe.len();
        self.segments.push_back(Segment {
            first: self.next,
            from: at,
            to: at,
            keyframe: keyframe.into(),
            bytes: Vec::new(),
            index: Vec::new(),
        });
        while self.bytes > self.quota && self.segments.len() > 2 {
            let old = self.segments.pop_front().expect("more than two");
            self.bytes -= old.size();
        }
    }

    fn hash(&mut self) {
        if let Some(segment) = self.segments.back() {
            self.hasher.update(&segment.bytes[self.hashed..]);
            self.hashed = segment.bytes.len();
        }
    }
}

/// FNV-1a: enough to tell events apart, not to resist a forger.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193))
}

/// The checksum of one event, as [`Trace::sums`] has it.
pub fn event_sum(event: &Event) -> u32 {
    sum(&encode(event, Vec::new()))
}

impl Segment {
    fn size(&self) -> usize {
        self.bytes.len() + self.index.len() * 4 + self.keyframe.len()
    }

    fn encoded(&self, n: usize) -> &[u8] {
        let end = self.index.get(n + 1).map_or(self.bytes.len(), |e| *e as usize);
        &self.bytes[self.index[n] as usize..end]
    }

    fn event(&self, n: usize) -> Event {
        decode(self.encoded(n)).expect("an event written here").0
    }
}

/// Appends the encoded `event` to `buffer`.
fn encode(event: &Event, buffer: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(event, buffer).expect("an event can be encoded")
}

/// Decodes the first event in `bytes`, and returns what follows it.
///
/// # Errors
/// If the bytes are not an event of this version.
pub fn decode(bytes: &[u8]) -> Result<(Event, &[u8]), postcard::Error> {
    postcard::take_from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stream;

    fn line(text: &str) -> Kind {
        Kind::Log { stream: Stream::Stdout, line: text.into() }
    }

    #[test]
    fn events_are_read_back_across_segments() {
        let trace = Trace::default();
        let place = trace.place(0, "node-1", "default", "web", "main");
        for i in 0..100u64 {
            trace.emit(i * 1_000_000_000, place, line(&i.to_string()));
        }
        assert_eq!(trace.last(), 101);
        let all = trace.read(1, 1000);
        assert_eq!(all.iter().map(|e| e.seq).collect::<Vec<_>>(), (1..=101).collect::<Vec<_>>());
        assert_eq!(trace.read(50, 2).iter().map(|e| e.seq).collect::<Vec<_>>(), [50, 51]);
        let seq = trace.seek(42_000_000_000);
        assert_eq!(trace.read(seq, 1)[0].kind, line("42"));
        assert_eq!(trace.seek(u64::MAX), 102);
        let (first, count, bytes) = trace.read_encoded(98, usize::MAX);
        assert_eq!((first, count), (98, 4));
        assert_eq!(decode(&bytes).unwrap().0.seq, 98);
    }

    #[test]
    fn a_keyframe_and_the_events_after_it_give_the_state() {
        let trace = Trace::default();
        for i in 0..40u64 {
            trace.place(i * 1_000_000_000, "node-1", "default", &format!("p{i}"), "");
        }
        let (seq, mut state) = trace.keyframe(35).unwrap();
        assert!(seq > 1 && seq <= 35);
        for event in trace.read(seq, 1000) {
            state.apply(&event);
        }
        assert_eq!(state, trace.state());
    }

    #[test]
    fn a_quota_drops_the_oldest() {
        let trace = Trace::new(3 << 20);
        for i in 0..2000u64 {
            trace.emit(i, 0, line(&"x".repeat(4000)));
        }
        assert!(trace.first() > 1 && trace.bytes() < 5 << 20);
        assert_eq!(trace.read(1, 1)[0].seq, trace.first());
        assert!(trace.keyframe(1).is_none());
    }

    #[test]
    fn the_digest_is_of_the_events_and_not_of_when_it_was_asked() {
        let (a, b) = (Trace::default(), Trace::default());
        for i in 0..1000u64 {
            a.emit(i * 50_000_000, 0, line("same"));
            b.emit(i * 50_000_000, 0, line("same"));
            if i % 7 == 0 {
                a.digest();
            }
        }
        assert_eq!(a.digest(), b.digest());
        b.emit(u64::MAX / 2, 0, line("more"));
        assert_ne!(a.digest(), b.digest());
    }

    #[test]
    fn what_a_place_took_in_is_the_cause_of_what_it_does() {
        let trace = Trace::default();
        let place = trace.place(0, "", "", "", "client");
        let first = trace.emit(1, 0, line("in"));
        trace.took(place, first);
        let second = trace.emit(2, place, line("out"));
        assert_eq!(trace.read(second, 1)[0].cause, first);
    }
}
