//! Good histories pass, bad ones do not.

use podlab_checkers::linearizable::{Action, Limits, Operation, register};
use podlab_checkers::lock::{Belief, Effect, exclusive, fenced};
use podlab_checkers::queue::{self, Event};
use podlab_checkers::{Outcome, exposition, log};
use proptest::prelude::*;

fn value(n: u8) -> Option<String> {
    (n > 0).then(|| n.to_string())
}

fn operation(action: Action, begin: u64, end: Option<u64>) -> Operation {
    Operation { key: "k".into(), action, begin, end }
}

fn judge(history: &[Operation]) -> Outcome {
    register(history, None, Limits::default())
}

#[test]
fn a_read_of_what_was_overwritten_is_found() {
    let write = |n, begin, end| operation(Action::Write(value(n)), begin, Some(end));
    let read = |n, begin, end| operation(Action::Read(value(n)), begin, Some(end));
    // Overlapping writes may come in either order…
    assert_eq!(judge(&[write(1, 0, 10), write(2, 5, 15), read(1, 20, 30)]), Outcome::Holds);
    // …but not in both.
    let both = [write(1, 0, 10), write(2, 5, 15), read(1, 20, 30), read(2, 40, 50)];
    assert!(matches!(judge(&both), Outcome::Broken(_)));
    let stale = [write(1, 0, 10), write(2, 20, 30), read(1, 40, 50)];
    let Outcome::Broken(violation) = judge(&stale) else { panic!("a stale read") };
    assert_eq!(violation.operations, [2, 1]);
    assert!(violation.what.contains("answered \"1\""), "{violation}");
    assert!(violation.what.contains("there was \"2\""), "{violation}");
}

#[test]
fn what_nobody_knows_the_end_of_may_have_happened_or_not() {
    let lost = operation(Action::Write(value(2)), 5, None);
    let read = |n, begin| operation(Action::Read(value(n)), begin, Some(begin + 1));
    for seen in [0, 2] {
        assert_eq!(judge(&[lost.clone(), read(seen, 100)]), Outcome::Holds);
    }
    assert!(matches!(judge(&[lost, read(2, 100), read(0, 200)]), Outcome::Broken(_)));
}

#[test]
fn two_swaps_from_the_same_value_cannot_both_be_done() {
    let swap = |done, begin| operation(Action::Swap(None, value(1), done), begin, Some(begin + 10));
    assert_eq!(judge(&[swap(true, 0), swap(false, 5)]), Outcome::Holds);
    assert!(matches!(judge(&[swap(true, 0), swap(true, 5)]), Outcome::Broken(_)));
}

#[test]
fn too_much_at_once_is_unknown_not_wrong() {
    let all: Vec<Operation> =
        (1..40).map(|n| operation(Action::Write(value(n)), 0, Some(1000))).collect();
    let mut history = all;
    history.push(operation(Action::Read(value(77)), 2000, Some(2001)));
    assert!(matches!(register(&history, None, Limits { states: 1000 }), Outcome::Unknown(_)));
}

/// A history as a real register would make it: each operation takes effect at an instant of its
/// own between its ends.
fn real() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(
        (0u8..3, 0u8..4, 0u8..4, 0u64..100, 0u64..20, 0u64..20, any::<bool>()),
        1..12,
    )
    .prop_map(|mut steps| {
        steps.sort_by_key(|s| s.3);
        let mut now = None;
        let mut out = Vec::new();
        for (i, (kind, a, b, at, before, after, known)) in steps.into_iter().enumerate() {
            // Instants are distinct: a thousand for each.
            let at = at * 1000 + 20_000 + i as u64;
            let action = match kind {
                0 => Action::Read(now.clone()),
                1 => {
                    now = value(a);
                    Action::Write(value(a))
                }
                _ => {
                    let done = now == value(a);
                    if done {
                        now = value(b);
                    }
                    Action::Swap(value(a), value(b), done)
                }
            };
            let end = (known || kind == 0).then_some(at + after * 500);
            out.push(operation(action, at - before * 500, end));
        }
        out
    })
}

/// Whether some order explains the history, by trying all of them.
fn by_force(history: &[Operation]) -> bool {
    fn search(history: &[Operation], taken: &mut Vec<bool>, now: &Option<String>) -> bool {
        if (0..history.len()).all(|i| taken[i] || history[i].end.is_none()) {
            return true;
        }
        let earliest = (0..history.len())
            .filter(|i| !taken[*i])
            .filter_map(|i| history[i].end)
            .min()
            .unwrap_or(u64::MAX);
        for i in 0..history.len() {
            if taken[i] || history[i].begin > earliest {
                continue;
            }
            let known = history[i].end.is_some();
            let after = match &history[i].action {
                Action::Read(v) => (v == now || !known).then(|| now.clone()),
                Action::Write(v) => Some(v.clone()),
                Action::Swap(old, new, done) => match (old == now, known, *done) {
                    (true, false, _) | (true, true, true) => Some(new.clone()),
                    (false, false, _) | (false, true, false) => Some(now.clone()),
                    _ => None,
                },
            };
            if let Some(after) = after {
                taken[i] = true;
                if search(history, taken, &after) {
                    return true;
                }
                taken[i] = false;
            }
        }
        false
    }
    search(history, &mut vec![false; history.len()], &None)
}

proptest! {
    #[test]
    fn a_real_register_is_never_accused(history in real()) {
        prop_assert_eq!(judge(&history), Outcome::Holds);
    }

    #[test]
    fn the_search_agrees_with_trying_everything(
        mut history in real().prop_filter("small", |h| h.len() <= 8),
        which in any::<prop::sample::Index>(),
        other in 0u8..4,
    ) {
        let at = which.index(history.len());
        match &mut history[at].action {
            Action::Read(v) | Action::Write(v) => *v = value(other),
            Action::Swap(_, _, done) => *done = !*done,
        }
        let holds = judge(&history) == Outcome::Holds;
        prop_assert_eq!(holds, by_force(&history));
    }

    #[test]
    fn a_lossless_queue_is_never_accused_and_a_missing_effect_is_found(
        items in 1usize..30,
        order in any::<u64>(),
        lost in any::<prop::sample::Index>(),
    ) {
        let name = |i: usize| format!("item-{}", (i as u64).wrapping_mul(order | 1) % 97 + i as u64 * 97);
        let mut history = Vec::new();
        for i in 0..items {
            history.push(Event::Sent { item: name(i), confirmed: true });
        }
        for i in 0..items {
            history.push(Event::Taken(name(i)));
            history.push(Event::Effect(name(i)));
            history.push(Event::Acknowledged(name(i)));
        }
        let promise = queue::Promise { once: true, empty: true };
        let count = queue::check(&history, promise).expect("nothing is wrong");
        prop_assert_eq!(count.done, items as u64);
        let gone = name(lost.index(items));
        history.retain(|e| *e != Event::Effect(gone.clone()));
        let violation = queue::check(&history, promise).expect_err("an item is lost");
        prop_assert!(violation.what.contains("acknowledged, but never done"), "{}", violation);
    }

    #[test]
    fn lines_in_any_interleaving_of_sources_are_in_order(picks in prop::collection::vec(any::<bool>(), 0..60)) {
        let line = |s: &str, n: usize| (s.to_owned(), format!("line {n}"));
        let half = picks.len();
        let mut written = Vec::new();
        for n in 0..half {
            written.push(line("a", n));
            written.push(line("b", n));
        }
        let (mut a, mut b, mut stored) = (0, 0, Vec::new());
        for pick in picks {
            if pick { stored.push(line("a", a)); a += 1 } else { stored.push(line("b", b)); b += 1 }
        }
        while a < half { stored.push(line("a", a)); a += 1 }
        while b < half { stored.push(line("b", b)); b += 1 }
        let promise = log::Promise { once: true, ordered: true };
        prop_assert_eq!(log::check(&written, &stored, promise), Ok(()));
        if !stored.is_empty() {
            let mut less = stored.clone();
            less.pop();
            prop_assert!(log::check(&written, &less, promise).is_err(), "a line is lost");
            let mut more = stored.clone();
            more.push(stored[0].clone());
            prop_assert!(log::check(&written, &more, promise).is_err(), "a line is there twice");
        }
    }

    #[test]
    fn any_text_is_read_without_harm(text in "\\PC*") {
        let _ = exposition::parse(&text);
        let _ = exposition::parse(&(text + "\n"));
    }
}

#[test]
fn queues_tell_what_is_wrong() {
    let sent = |item: &str| Event::Sent { item: item.into(), confirmed: true };
    let at_least = queue::Promise { once: false, empty: true };
    let once = queue::Promise { once: true, empty: true };
    let twice = [sent("a"), Event::Effect("a".into()), Event::Effect("a".into())];
    assert_eq!(queue::check(&twice, at_least).expect("at least once").repeated, 1);
    assert_eq!(queue::check(&twice, once).expect_err("twice").operations, [1, 2]);
    let nowhere = [Event::Taken("x".into())];
    assert!(queue::check(&nowhere, once).expect_err("x").what.contains("nobody had sent"));
    let kept = [sent("a")];
    assert!(queue::check(&kept, once).is_err());
    let open = queue::Promise { once: true, empty: false };
    assert_eq!(queue::check(&kept, open).expect("it may still be there").left, 1);
    let poison = [sent("a"), Event::Taken("a".into()), Event::SetAside("a".into())];
    assert_eq!(queue::check(&poison, once).expect("set aside").set_aside, 1);
    let maybe = [Event::Sent { item: "a".into(), confirmed: false }];
    assert!(queue::check(&maybe, once).is_ok(), "what was not confirmed may be lost");
}

#[test]
fn two_leaders_at_once_are_found_and_one_after_the_other_is_fine() {
    let belief = |holder: &str, begin, end| Belief { holder: holder.into(), begin, end };
    assert_eq!(exclusive(&[belief("a", 0, 10), belief("b", 10, 20), belief("a", 20, 30)]), Ok(()));
    let long = [belief("a", 0, 100), belief("a", 5, 6), belief("b", 50, 60)];
    assert_eq!(exclusive(&long).expect_err("a is still there").operations, [0, 2]);
}

#[test]
fn a_resource_that_obeys_an_old_token_is_found() {
    let effect =
        |holder: &str, token, at, accepted| Effect { holder: holder.into(), token, at, accepted };
    let good = [effect("a", 1, 0, true), effect("b", 2, 5, true), effect("a", 1, 9, false)];
    assert_eq!(fenced(&good), Ok(()));
    let bad = [effect("a", 1, 0, true), effect("b", 2, 5, true), effect("a", 1, 9, true)];
    assert_eq!(fenced(&bad).expect_err("an old token").operations, [1, 2]);
    let shared = [effect("a", 1, 0, true), effect("b", 1, 5, true)];
    assert!(fenced(&shared).expect_err("shared").what.contains("token 1"));
}

#[test]
fn expositions() {
    let good = "# HELP http_requests_total All.\n# TYPE http_requests_total counter\n\
        http_requests_total{code=\"200\",path=\"/a\\\"b\\n\"} 3 1700000000000\nhttp_requests_total{code=\"500\"} 0\n\
        # TYPE took histogram\ntook_bucket{le=\"0.1\"} 1\ntook_bucket{le=\"+Inf\"} 2\ntook_sum 0.3\ntook_count 2\nup 1\n";
    let samples = exposition::parse(good).expect("a good document");
    assert_eq!(samples.len(), 7);
    assert_eq!(samples[0].labels["path"], "/a\"b\n");
    for (bad, why) in [
        ("a 1", "no end"),
        ("a\n", "without a value"),
        ("a{b=1} 1\n", "in quotes"),
        ("a{b=\"1\" c=\"2\"} 1\n", "commas"),
        ("a{b=\"1\",b=\"2\"} 1\n", "twice"),
        ("a 1\nb 1\na{x=\"1\"} 1\n", "stand together"),
        ("a 1\na 2\n", "same series"),
        ("# TYPE a counter\na -1\n", "below zero"),
        ("# TYPE a meter\na 1\n", "not a type"),
        ("a 1\n# TYPE a gauge\n", "after samples"),
        ("a one\n", "not a number"),
        ("0a 1\n", "not the name"),
        ("# TYPE t histogram\nt_bucket{le=\"1\"} 5\nt_bucket{le=\"+Inf\"} 2\n", "shrink"),
        ("# TYPE t histogram\nt_bucket{le=\"1\"} 5\n", "no bucket +Inf"),
    ] {
        let violation = exposition::parse(bad).expect_err(bad);
        assert!(violation.what.contains(why), "{bad:?}: {violation}");
    }
}
