use podlab_trace::Dir;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::{Dissection, Found, Piece};

const C: Dir = Dir::ToServer;
const S: Dir = Dir::ToClient;

/// Feeds the pieces, each cut at `cuts` of its length as well, and shows what was found.
fn dissect(talk: &[(Dir, &str)], cuts: &[usize]) -> Vec<String> {
    let mut dissection = Dissection::default();
    let mut out = Vec::new();
    let mut seq = 0;
    let mut emit = |f: Found, answers| {
        seq += 1;
        let arrow = if f.dir == C { ">" } else { "<" };
        let bad = if f.malformed {
            format!(" BAD: {}", f.head.lines().next().unwrap())
        } else {
            String::new()
        };
        let body = String::from_utf8(f.body.to_vec()).unwrap();
        out.push(format!(
            "{arrow}{} {} [{}] {body:?} answers {answers}{bad}",
            f.exchange, f.summary, f.body_len
        ));
        seq
    };
    for (dir, text) in talk {
        let data = text.as_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|c| c % (data.len() + 1)).collect();
        at.extend([0, data.len()]);
        at.sort_unstable();
        at.dedup();
        for pair in at.windows(2) {
            let piece = Piece { dir: *dir, data: &data[pair[0]..pair[1]], at: 5, arrives: 9 };
            dissection.feed(piece, 12, &mut emit);
        }
        if data.is_empty() {
            dissection.finish(*dir, &mut emit);
        }
    }
    out
}

/// What was said by whom, and what is found in it.
type Talk = (&'static [(Dir, &'static str)], &'static [&'static str]);

/// An empty text ends its direction.
const TALKS: &[Talk] = &[
    (
        &[
            (C, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"),
            (S, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            (C, "POST /b HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc"),
            (S, "HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n"),
        ],
        &[
            r#">1 GET /a [0] "" answers 0"#,
            r#"<1 200 OK [5] "hello" answers 1"#,
            r#">2 POST /b [3] "abc" answers 0"#,
            r#"<2 204 No Content [0] "" answers 3"#,
        ],
    ),
    // Pipelining; a HEAD's answer has no body; the body's beginning is kept only.
    (
        &[
            (C, "HEAD / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n\r\nGET /3 HTTP/1.0\r\n\r\n"),
            (S, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nHTTP/1.1 304\r\n\r\n"),
            (S, "HTTP/1.0 200 Fine\r\n\r\n0123456789abcdef"),
            (S, ""),
        ],
        &[
            r#">1 HEAD / [0] "" answers 0"#,
            r#">2 GET /2 [0] "" answers 0"#,
            r#">3 GET /3 [0] "" answers 0"#,
            r#"<1 200 OK [0] "" answers 1"#,
            r#"<2 304 [0] "" answers 2"#,
            r#"<3 200 Fine [16] "0123456789ab" answers 3"#,
        ],
    ),
    // Chunks with extensions and trailers, after an interim answer.
    (
        &[
            (
                C,
                "PUT /c HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n",
            ),
            (S, "HTTP/1.1 100 Continue\r\n\r\n"),
            (C, "3;x=y\r\nabc\r\nA \r\n0123456789\r\n0\r\nx: y\r\n\r\n"),
            (S, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ],
        &[
            r#"<1 100 Continue [0] "" answers 0"#,
            r#">1 PUT /c [13] "abc012345678" answers 0"#,
            r#"<1 201 Created [2] "ok" answers 2"#,
        ],
    ),
    // After an upgrade nothing is HTTP any more.
    (
        &[
            (C, "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
            (S, "HTTP/1.1 101 Switching Protocols\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            (C, "GET / HTTP/1.1\r\n\r\n"),
        ],
        &[r#">1 GET /ws [0] "" answers 0"#, r#"<1 101 Switching Protocols [0] "" answers 1"#],
    ),
    (
        &[
            (C, "CONNECT a:1 HTTP/1.1\r\n\r\n"),
            (S, "HTTP/1.1 200 OK\r\n\r\nraw"),
            (C, "GET / HTTP/1.1\r\n\r\n"),
        ],
        &[r#">1 CONNECT a:1 [0] "" answers 0"#, r#"<1 200 OK [0] "" answers 1"#],
    ),
    // What breaks the protocol is told once; the answer is still understood.
    (
        &[
            (C, "GET /\x01bad HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            (S, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        ],
        &[
            ">1 GET /\u{1}bad HTTP/1.1 [0] \"\" answers 0 BAD: invalid token",
            r#"<1 400 Bad Request [0] "" answers 1"#,
        ],
    ),
    (
        &[(C, "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")],
        &[r#">1 POST / HTTP/1.1 [0] "" answers 0 BAD: its content-lengths differ"#],
    ),
    (
        &[(C, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc")],
        &[r#">1 POST / [2] "ab" answers 0 BAD: a chunk is longer than its size says"#],
    ),
    (
        &[(C, "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab"), (C, "")],
        &[r#">1 POST / [2] "ab" answers 0 BAD: it ended within its body"#],
    ),
    (
        &[(C, "GET / HT"), (C, "")],
        &[r#">1 GET / HT [0] "" answers 0 BAD: it ended within its head"#],
    ),
    // An answer nobody asked for, a client that speaks something else, a server that begins.
    (
        &[
            (C, "GET / HTTP/1.1\r\n\r\n"),
            (
                S,
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n",
            ),
        ],
        &[
            r#">1 GET / [0] "" answers 0"#,
            r#"<1 200 OK [0] "" answers 1"#,
            r#"<2 408 Late [0] "" answers 0"#,
        ],
    ),
    (&[(C, "GETTING started\r\n\r\n"), (C, "GET / HTTP/1.1\r\n\r\n")], &[]),
    (&[(S, "220 hello\r\n"), (C, "GET / HTTP/1.1\r\n\r\n")], &[]),
];

#[test]
fn finds_the_messages() {
    for (talk, expected) in TALKS {
        assert_eq!(&dissect(talk, &[]), expected, "{talk:?}");
    }
}

#[test]
fn a_byte_at_a_time_makes_no_difference() {
    let every: Vec<usize> = (0..400).collect();
    for (talk, expected) in TALKS {
        assert_eq!(&dissect(talk, &every), expected, "{talk:?}");
    }
}

#[test]
fn a_head_without_end_is_given_up() {
    let long = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(4000));
    for cuts in [&[][..], &[1, 7, 16_383, 16_384, 16_385]] {
        let found = dissect(&[(C, &long)], cuts);
        let expected = r#">1 GET / HTTP/1.1 [0] "" answers 0 BAD: its head is longer than 16 KiB"#;
        assert_eq!(found, [expected]);
    }
}

#[test]
fn requests_without_answers_do_not_pile_up() {
    let many = "GET / HTTP/1.1\r\n\r\n".repeat(5000);
    assert_eq!(dissect(&[(C, &many)], &[]).len(), super::PENDING_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_messages(
        talk in 0..TALKS.len(),
        cuts in prop::collection::vec(0..500usize, 0..12),
    ) {
        let (talk, expected) = TALKS[talk];
        prop_assert_eq!(&dissect(talk, &cuts), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..20),
    ) {
        let mut dissection = Dissection::default();
        let mut emit = |_: Found, _| 1;
        let start = Piece { dir: C, data: b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", at: 0, arrives: 0 };
        dissection.feed(start, 12, &mut emit);
        for (client, data) in &pieces {
            let piece = Piece { dir: if *client { C } else { S }, data, at: 0, arrives: 0 };
            dissection.feed(piece, 12, &mut emit);
        }
    }
}
