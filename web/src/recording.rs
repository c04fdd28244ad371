//! A recording inside the page: the page in one HTML file has no server, and plays what stands
//! beside it.
//!
//! What is played are the frames that a server would have sent, so that everything else on the
//! page is the same.

use std::cell::OnceCell;
use std::rc::Rc;

use podlab_trace::state::State;
use podlab_trace::wire::{Frame, events};
use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};

use crate::model::timeline::Timeline;
use crate::session::Session;

/// What the address of a page without a server calls its world.
pub const WORLD: &str = "recording";

/// A recording inside the page.
pub struct Recorded {
    frames: Vec<Vec<u8>>,
    /// The pattern, as the server would describe it; null if there is none.
    pub pattern: Value,
    /// The instant at which it opens in ns, if that is not its end.
    pub at: Option<u64>,
}

thread_local! {
    static INSIDE: OnceCell<Option<Rc<Recorded>>> = const { OnceCell::new() };
}

/// The recording inside this page, if there is one.
pub fn inside() -> Option<Rc<Recorded>> {
    INSIDE.with(|cell| cell.get_or_init(|| read().map(Rc::new)).clone())
}

/// Takes over what the file has unpacked, and leaves nothing behind.
fn read() -> Option<Recorded> {
    let global = js_sys::global();
    let name = JsValue::from_str("podlabRecording");
    let held = js_sys::Reflect::get(&global, &name).ok().filter(JsValue::is_object)?;
    let field = |name: &str| js_sys::Reflect::get(&held, &JsValue::from_str(name)).ok();
    let film = field("film")?.dyn_into::<js_sys::Uint8Array>().ok()?.to_vec();
    let about = field("about")?.as_string()?;
    // It lies in this module's memory now; that it stays in the other's too is only a waste.
    let _ = js_sys::Reflect::delete_property(&global, &name);
    Some(Recorded::new(&film, &about))
}

impl Recorded {
    /// A recording of frames, each after its length (32 bits, little endian), and of JSON with
    /// `pattern` and `at`. What is cut off at the end is left out.
    pub fn new(film: &[u8], about: &str) -> Recorded {
        let (mut rest, mut frames) = (film, Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((frame, after)) = after.split_at_checked(length) else { break };
            frames.push(frame.to_vec());
            rest = after;
        }
        let mut about: Value = serde_json::from_str(about).unwrap_or_default();
        let mut field = |name: &str| about.get_mut(name).map(Value::take).unwrap_or_default();
        Recorded { frames, at: field("at").as_u64(), pattern: field("pattern") }
    }

    /// A session that has seen all of it.
    pub fn session(&self) -> Session {
        let mut session = Session::new();
        session.recorded = true;
        for frame in &self.frames {
            session.frame(frame, 0.0);
        }
        if let Some(at) = self.at {
            session.look_at(at.min(session.clock.now));
        }
        session
    }

    /// The events up to instant `until` (ns): a look at what the page has given up.
    pub fn before(&self, until: u64) -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for frame in &self.frames {
            match Frame::decode(frame) {
                Ok(Frame::Hello { from, keyframe, .. }) => {
                    timeline = Timeline::new(from, keyframe.unwrap_or_default());
                }
                Ok(Frame::Events { count, bytes, .. }) => {
                    for event in events(count, &bytes).unwrap_or_default() {
                        timeline.push(event);
                    }
                }
                _ => {}
            }
            if timeline.until() > until {
                break;
            }
        }
        timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use crate::session::{Link, View};
    use podlab_trace::wire::VERSION;

    fn film(seconds: u64) -> Vec<u8> {
        let trace = sample::world(seconds);
        let mut out = Vec::new();
        let mut put = |frame: Frame| {
            let bytes = frame.encode();
            out.extend((bytes.len() as u32).to_le_bytes());
            out.extend(bytes);
        };
        put(Frame::Hello {
            version: VERSION,
            world: "w1".into(),
            pattern: "sidecar".into(),
            seed: 7,
            epoch: 0,
            from: 1,
            keyframe: None,
        });
        let mut next = 1;
        while next <= trace.last() {
            let (first, count, bytes) = trace.read_encoded(next, 4_000);
            next = first + u64::from(count);
            put(Frame::Events { first, count, bytes });
        }
        let (now, last, stopped) = (seconds * 1_000_000_000, trace.last(), String::new());
        put(Frame::Clock { now, speed: 0, last, future: 0, lagging: false, stopped });
        out
    }

    #[test]
    fn it_is_what_a_stream_would_have_brought() {
        let recorded = Recorded::new(&film(40), r#"{"pattern": {"name": "sidecar"}, "at": null}"#);
        let mut s = recorded.session();
        assert_eq!((&s.link, s.view, s.told()), (&Link::Open, View::Live, 40_000_000_000));
        assert_eq!(*s.state(), sample::world(40).state());
        assert_eq!(s.density.iter().sum::<u32>() as usize, s.timeline.len());
        assert_eq!(recorded.pattern["name"], "sidecar");
    }

    #[test]
    fn what_the_page_gave_up_is_had_again() {
        let recorded = Recorded::new(&film(40), "{}");
        let timeline = recorded.before(3_000_000_000);
        assert!(timeline.first() == 1 && timeline.until() > 3_000_000_000);
        assert!(timeline.len() < sample::world(40).last() as usize, "and not all of it");
    }

    #[test]
    fn a_cut_file_plays_as_far_as_it_goes_and_garbage_is_told() {
        let whole = film(40);
        let cut = Recorded::new(&whole[..whole.len() / 2], "{").session();
        assert!(!cut.timeline.is_empty() && cut.link == Link::Open);
        let garbage = Recorded::new(&[3, 0, 0, 0, 9, 9, 9], "[]").session();
        assert_eq!(garbage.link, Link::Garbled);
        assert!(Recorded::new(&[255; 9], "").session().timeline.is_empty());
    }

    #[test]
    fn it_opens_where_it_was_made_and_never_after_its_end() {
        let open = |at: &str| Recorded::new(&film(40), &format!("{{\"at\": {at}}}")).session();
        assert_eq!(open("12000000000").told(), 12_000_000_000);
        assert_eq!(open("99000000000").told(), 40_000_000_000);
        assert_eq!(open("\"x\"").view, View::Live);
    }
}
