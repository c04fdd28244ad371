use std::io::Read as _;

use flate2::read::GzDecoder;
use podlab_trace::{Kind, Stream};
use serde_json::json;

use super::*;

/// A trace of `n` lines, one a second.
fn trace(n: u64) -> Trace {
    let trace = Trace::default();
    let place = trace.place(0, "node-1", "default", "web", "web");
    for i in 1..=n {
        let line = format!("line {i} {}", "x".repeat(3_000));
        trace.emit(i * 1_000_000_000, place, Kind::Log { stream: Stream::Stdout, line });
    }
    trace
}

fn about(now: u64) -> About {
    About { world: "w1".into(), pattern: "sidecar".into(), seed: 7, epoch: 0, now }
}

fn frames(film: &[u8]) -> Vec<Frame> {
    let mut bytes = Vec::new();
    GzDecoder::new(film).read_to_end(&mut bytes).unwrap();
    let (mut rest, mut out): (&[u8], _) = (&bytes, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (frame, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        out.push(Frame::decode(frame).unwrap());
        rest = after;
    }
    out
}

fn events(frames: &[Frame]) -> Vec<podlab_trace::Event> {
    let mut out = Vec::new();
    for frame in frames {
        if let Frame::Events { count, bytes, .. } = frame {
            out.extend(podlab_trace::wire::events(*count, bytes).unwrap());
        }
    }
    out
}

#[test]
fn a_film_is_the_trace() {
    let trace = trace(200);
    let film = frames(&film(&trace, &about(200_500_000_000), 0, u64::MAX).unwrap());
    assert_eq!(events(&film), trace.read(1, usize::MAX));
    assert!(matches!(film[0], Frame::Hello { from: 1, keyframe: None, seed: 7, .. }));
    let Some(Frame::Clock { now, last, speed: 0, .. }) = film.last() else { panic!("{film:?}") };
    assert_eq!((*now, *last), (200_500_000_000, 201));
}

#[test]
fn a_part_begins_with_what_was_true_then_and_ends_where_it_should() {
    let trace = trace(900);
    let until = 700_000_000_000;
    let film = frames(&film(&trace, &about(until), 600_000_000_000, until).unwrap());
    let Frame::Hello { from, keyframe: Some(state), .. } = &film[0] else { panic!("no keyframe") };
    assert!(*from > 1 && *from <= 601 && state.places.len() == 1, "from {from}");
    let found = events(&film);
    assert_eq!(found[0].seq, *from);
    assert_eq!(found.last().unwrap().at, until, "not one event more");
}

#[test]
fn what_does_not_fit_or_is_not_there_is_said() {
    let empty = film(&Trace::default(), &about(0), 0, u64::MAX);
    assert_eq!(empty, Err(PageError::Empty));
    let later = film(&trace(20), &about(0), 100_000_000_000, u64::MAX);
    assert_eq!(later, Err(PageError::Empty));
    let long = trace(17_000);
    assert_eq!(film(&long, &about(0), 0, u64::MAX), Err(PageError::TooLong));
    assert!(film(&long, &about(0), 16_900_000_000_000, u64::MAX).is_ok());
}

#[test]
fn nothing_of_a_stranger_becomes_part_of_the_document() {
    let film = film(&trace(2), &about(0), 0, u64::MAX).unwrap();
    let parts = Parts {
        program: b"\0asm",
        script: "const a = '</script><!-- x';\nexport { a };",
        style: "p::after { content: '</style>' }",
        icon: "<svg/>",
    };
    let evil = "</script><img src=x onerror=alert(1)>\u{2028}&<!--";
    let pattern = json!({ "name": evil, "lesson": { "en": evil } });
    let mut out = Vec::new();
    write(&mut out, &parts, &film, &pattern, Some(5)).unwrap();
    let html = String::from_utf8(out).unwrap();
    assert_eq!(html.matches("</script>").count(), 4, "{html}");
    assert_eq!(html.matches("</style>").count(), 1);
    assert!(!html.contains("<img") && !html.contains("<!--"));
    let data = html.split("id=\"podlab-about\">").nth(1).unwrap().split("</script>").next();
    assert!(!data.unwrap().contains(['<', '&', '\u{2028}']));
    let read: Value = serde_json::from_str(data.unwrap()).unwrap();
    assert_eq!(read["pattern"]["lesson"]["en"], evil, "and it is still there");
    assert_eq!(read["at"], 5);
}

#[test]
fn the_policy_names_the_script_and_the_style() {
    let film = film(&trace(2), &about(0), 0, u64::MAX).unwrap();
    let parts = Parts { program: b"", script: "export {};", style: "p { margin: 0 }", icon: "" };
    let mut out = Vec::new();
    write(&mut out, &parts, &film, &Value::Null, None).unwrap();
    let html = String::from_utf8(out).unwrap();
    let inside = |from: &str, to: &str| {
        html.split(from).nth(1).and_then(|s| s.split(to).next()).unwrap().to_owned()
    };
    let policy = inside("Content-Security-Policy\" content=\"", "\"");
    assert!(policy.contains(&digest(&inside("<script type=\"module\">", "</script>"))));
    assert!(policy.contains(&digest(&inside("<style>", "</style>"))));
    assert!(policy.starts_with("default-src 'none'"));
    let scripts = policy.split(';').find(|p| p.trim().starts_with("script-src")).unwrap();
    assert!(!scripts.contains("unsafe-inline") && !scripts.contains("'unsafe-eval'"));
}
