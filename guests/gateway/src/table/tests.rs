//! Tables against the examples of Kubernetes' page, and against a slow reading of its rules.

use proptest::prelude::*;

use super::*;
use crate::objects::{Port, Rule};

fn backend(service: &str) -> Backend {
    Backend { service: ("default".into(), service.into()), port: Port::Number(80) }
}

fn path(path: &str, exact: bool, service: &str) -> Path {
    Path { path: path.into(), exact, backend: backend(service) }
}

fn ingress(host: &str, paths: &[(&str, bool, &str)]) -> Ingress {
    let paths = paths.iter().map(|(p, exact, service)| path(p, *exact, service)).collect();
    Ingress { rules: vec![Rule { host: host.into(), paths }], ..Ingress::default() }
}

fn table(ingresses: &[(&str, Ingress)]) -> Table {
    let all: BTreeMap<Name, Ingress> = ingresses
        .iter()
        .map(|(n, i)| (("default".to_owned(), (*n).to_owned()), i.clone()))
        .collect();
    Table::new(all.iter(), None)
}

fn goes(table: &Table, host: &str, path: &str) -> String {
    table.find(host, path).map_or("404", |r| &r.backend.service.1).to_owned()
}

/// The table of examples under "Path types" of the page, row by row.
#[test]
fn the_examples_of_kubernetes() {
    let (prefix, exact) = (false, true);
    type Row<'a> = (&'a [(&'a str, bool)], &'a str, &'a str);
    let rows: &[Row] = &[
        (&[("/", prefix)], "/any/path", "/"),
        (&[("/foo", exact)], "/foo", "/foo"),
        (&[("/foo", exact)], "/bar", "404"),
        (&[("/foo", exact)], "/foo/", "404"),
        (&[("/foo/", exact)], "/foo", "404"),
        (&[("/foo", prefix)], "/foo", "/foo"),
        (&[("/foo", prefix)], "/foo/", "/foo"),
        (&[("/foo/", prefix)], "/foo", "/foo/"),
        (&[("/foo/", prefix)], "/foo/", "/foo/"),
        (&[("/aaa/bb", prefix)], "/aaa/bbb", "404"),
        (&[("/aaa/bbb", prefix)], "/aaa/bbb", "/aaa/bbb"),
        (&[("/aaa/bbb/", prefix)], "/aaa/bbb", "/aaa/bbb/"),
        (&[("/aaa/bbb", prefix)], "/aaa/bbb/", "/aaa/bbb"),
        (&[("/aaa/bbb", prefix)], "/aaa/bbb/ccc", "/aaa/bbb"),
        (&[("/aaa/bbb", prefix)], "/aaa/bbbxyz", "404"),
        (&[("/", prefix), ("/aaa", prefix)], "/aaa/ccc", "/aaa"),
        (&[("/", prefix), ("/aaa", prefix)], "/ccc", "/"),
        (&[("/aaa", prefix)], "/ccc", "404"),
        (&[("/foo", prefix), ("/foo", exact)], "/foo", "exact /foo"),
    ];
    for (paths, asked, wanted) in rows {
        let several = paths.len() > 1;
        let named: Vec<(&str, bool, String)> = paths
            .iter()
            .map(|(p, e)| (*p, *e, if *e && several { format!("exact {p}") } else { (*p).into() }))
            .collect();
        let paths: Vec<_> = named.iter().map(|(p, e, n)| (*p, *e, n.as_str())).collect();
        let table = table(&[("a", ingress("", &paths))]);
        assert_eq!(goes(&table, "x.example", asked), *wanted, "{paths:?} {asked}");
    }
}

/// The table under "Hostname wildcards", and which host decides.
#[test]
fn hosts() {
    let t = table(&[
        ("wild", ingress("*.foo.com", &[("/", false, "wild")])),
        ("name", ingress("bar.foo.com", &[("/only", false, "name")])),
        ("any", ingress("", &[("/", false, "any")])),
    ]);
    assert_eq!(goes(&t, "baz.foo.com", "/"), "wild");
    assert_eq!(goes(&t, "baz.bar.foo.com", "/"), "any");
    assert_eq!(goes(&t, "foo.com", "/"), "any");
    assert_eq!(goes(&t, "BAR.foo.com.:8080", "/only"), "name");
    // The host is known: rules for others do not count.
    assert_eq!(goes(&t, "bar.foo.com", "/"), "404");
    assert_eq!(goes(&t, "[::1]:80", "/"), "any");
    assert_eq!(goes(&t, "", "/"), "any");
}

#[test]
fn defaults_come_last() {
    let mut named = ingress("a.example", &[("/a", false, "a")]);
    named.default = Some(backend("of-a"));
    let alone = Ingress { default: Some(backend("of-all")), ..Ingress::default() };
    let t = table(&[("named", named), ("alone", alone)]);
    assert_eq!(goes(&t, "a.example", "/a"), "a");
    assert_eq!(goes(&t, "a.example", "/b"), "of-a");
    assert_eq!(goes(&t, "b.example", "/b"), "of-all");
    let empty = Table::new(BTreeMap::new().iter(), Some(backend("flag")));
    assert_eq!(goes(&empty, "b.example", "/b"), "flag");
}

#[test]
fn the_older_one_has_what_two_claim() {
    let aged = |service, created: &str| Ingress {
        created: created.into(),
        ..ingress("", &[("/", false, service)])
    };
    let t = table(&[
        ("a", aged("young", "2026-01-02T00:00:00Z")),
        ("b", aged("old", "2026-01-01T00:00:00Z")),
    ]);
    assert_eq!(goes(&t, "", "/"), "old");
    assert_eq!(t.ignored, ["default/a: / is default/b's"]);
}

#[test]
fn a_canary_needs_a_route_of_its_namespace() {
    let canary = Canary {
        header: None,
        header_value: None,
        header_pattern: None,
        cookie: None,
        weight: 20,
        total: 100,
    };
    let of = |mut i: Ingress| {
        i.canary = Some(canary.clone());
        i
    };
    let t = table(&[
        ("a-canary", of(ingress("", &[("/", false, "canary")]))),
        ("stable", ingress("", &[("/", false, "stable"), ("/x", true, "x")])),
        ("z-canary", of(ingress("", &[("/", false, "second"), ("/x", false, "no")]))),
    ]);
    let route = t.find("", "/").unwrap();
    assert_eq!(route.canary, Some((canary.clone(), backend("canary"))));
    assert_eq!(route.backend, backend("stable"));
    assert_eq!(t.find("", "/x").unwrap().canary, None);
    assert_eq!(
        t.ignored,
        [
            "default/z-canary: / has an older canary",
            "default/z-canary: /x is no canary of any Ingress"
        ]
    );
    let other = (("other".to_owned(), "c".to_owned()), of(ingress("", &[("/", false, "c")])));
    let stable = (("default".to_owned(), "s".to_owned()), ingress("", &[("/", false, "s")]));
    let t = Table::new([other, stable].iter().map(|(n, i)| (n, i)), None);
    assert_eq!(t.find("", "/").unwrap().canary, None);
}

#[test]
fn classes() {
    let ours = Classes { controller: "podlab.dev/gateway".into(), name: "podlab".into() };
    let class = |controller: &str, default| Class { controller: controller.into(), default };
    let all = |classes: &[(&str, Class)]| -> BTreeMap<Name, Class> {
        classes.iter().map(|(n, c)| ((String::new(), (*n).to_owned()), c.clone())).collect()
    };
    let of = |name: Option<&str>| Ingress { class: name.map(str::to_owned), ..Ingress::default() };
    let none = all(&[]);
    assert!(ours.has(&of(Some("podlab")), &none) && !ours.has(&of(Some("nginx")), &none));
    assert!(!ours.has(&of(None), &none));
    let two = all(&[
        ("podlab", class("someone.else", true)),
        ("mine", class("podlab.dev/gateway", false)),
    ]);
    assert!(!ours.has(&of(Some("podlab")), &two) && ours.has(&of(Some("mine")), &two));
    assert!(!ours.has(&of(None), &two));
    assert!(ours.has(&of(None), &all(&[("mine", class("podlab.dev/gateway", true))])));
}

#[test]
fn paths_are_made_normal() {
    let normal = |p: &str| normal(p).unwrap_or_else(|| "none".to_owned());
    assert_eq!(normal("/a//b/./c/../d/"), "/a/b/d/");
    assert_eq!(normal("/"), "/");
    assert_eq!(normal("/a/.."), "/");
    assert_eq!(normal("/../a"), "none");
    assert_eq!(normal("*"), "none");
}

/// Kubernetes' words: "A request is a match for path p if every p is an element-wise prefix of p of
/// the request path."
fn matches(rule: &Path, asked: &str) -> bool {
    let elements =
        |p: &str| p.split('/').filter(|e| !e.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    match rule.exact {
        true => rule.path == asked,
        false => elements(asked).starts_with(&elements(&rule.path)),
    }
}

proptest! {
    #[test]
    fn a_table_does_what_a_slow_reading_of_the_rules_does(
        paths in prop::collection::vec(("(/[ab]{1,2}){0,3}/?", any::<bool>()), 0..8),
        asked in "(/[ab]{1,2}){0,4}/?",
    ) {
        let asked = if asked.is_empty() { "/".to_owned() } else { asked };
        let paths: Vec<Path> = paths.iter().enumerate().map(|(i, (p, exact))| {
            path(if p.is_empty() { "/" } else { p }, *exact, &i.to_string())
        }).collect();
        let rule = Rule { host: String::new(), paths: paths.clone() };
        let t = table(&[("a", Ingress { rules: vec![rule], ..Ingress::default() })]);
        let long = |p: &Path| p.path.trim_end_matches('/').len();
        let best = paths.iter().rev().filter(|p| matches(p, &asked)).max_by_key(|p| (long(p), p.exact));
        let wanted = best.map_or("404", |p| p.backend.service.1.as_str());
        prop_assert_eq!(goes(&t, "any", &asked), wanted);
    }

    #[test]
    fn no_request_is_too_odd(host in "\\PC{0,20}", path in "\\PC{0,30}") {
        let t = table(&[("a", ingress("*.b", &[("/", false, "a")]))]);
        let found = t.find(&host, &path);
        prop_assert!(found.is_none() || path.starts_with('/'));
    }
}
