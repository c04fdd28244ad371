//! What two clusters can never have in common is made the same: names, uids, times, versions,
//! addresses; then two answers are compared line by line.

use std::sync::LazyLock;

use regex::Regex;

/// Letters of generated names (`k8s.io/apimachinery/pkg/util/rand`).
const LETTERS: &str = "[bcdfghjklmnpqrstvwxz2456789]";

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let hash = format!("-{LETTERS}{{7,10}}-{LETTERS}{{5}}\\b");
    let set = format!("\\b(web|d|orphan|web-v2)-{LETTERS}{{7,10}}\\b");
    let random = format!("-{LETTERS}{{5}}\\b");
    let rules: Vec<(&str, &str)> = vec![
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        (r#"([rR]esourceVersion\\?"?): ?\\?"\d+\\?""#, "$1: RV"),
        (r"(pod-template-hash[=:] ?)\w+", "${1}HASH"),
        (r"\b(cj)-\d{8}\b", "$1-MINUTE"),
        (&hash, "-HASH-XXXXX"),
        (&set, "$1-HASH"),
        (&random, "-XXXXX"),
        (r"\b(10\.(96|244)|172\.18)(\.\d+){2,3}\b", "IP"),
        (r"\b127\.0\.0\.[123](:\d+)?\b", "HOST"),
        // Ages and durations, alone or in "3 (42s ago)".
        (r"(\s|\(|^)(\d+[smhdy]){1,2}(\s|\)|$)", "${1}AGE$3"),
        (r"<invalid>", "AGE"),
        (r"nodePort: 3\d{4}", "nodePort: PORT"),
        (r":3\d{4}/", ":PORT/"),
        (r"3\d{4}/TCP", "PORT/TCP"),
        (r"-{4,}", "----"),
        // A width that a name of another length gave is no difference; indentation is.
        (r"(\S) {2,}", "$1  "),
        (r" +$", ""),
    ];
    rules
        .into_iter()
        .map(|(rule, with)| (Regex::new(&format!("(?m){rule}")).expect("a rule"), with))
        .collect()
});

/// `text` without what is different in every cluster.
pub fn normal(command: &str, text: &str) -> Vec<String> {
    let mut text = text.to_owned();
    for (rule, with) in RULES.iter() {
        text = rule.replace_all(&text, *with).into_owned();
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if command.contains(" drain ") {
        // Pods are evicted in parallel, and retried for as long as there is time.
        lines.sort();
        lines.dedup();
    }
    lines
}

/// What must be taken away from and added to `before` to get `after`: the lines that differ,
/// with "-" and "+", from a longest common subsequence.
pub fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let (rows, columns) = (before.len(), after.len());
    let mut longest = vec![vec![0u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            longest[i][j] = if before[i] == after[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while i < rows || j < columns {
        if i < rows && j < columns && before[i] == after[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < rows && (j == columns || longest[i + 1][j] >= longest[i][j + 1]) {
            out.push(format!("-{}", before[i]));
            i += 1;
        } else {
            out.push(format!("+{}", after[j]));
            j += 1;
        }
    }
    out
}

#[test]
fn only_what_is_volatile_goes() {
    let normal = |text: &str| normal("", text).join("\n");
    assert_eq!(normal("pod/web-7dc974dd99-2d7vj   1/1   9s"), "pod/web-HASH-XXXXX  1/1  AGE");
    assert_eq!(normal("  resourceVersion: \"262\""), "  resourceVersion: RV");
    assert_eq!(normal("IP: 10.244.0.2, 10.96.0.1"), "IP: IP, IP");
    assert_eq!(normal("replicas: 3"), "replicas: 3");
    assert_eq!(normal("nginx:1.25"), "nginx:1.25");
}

#[test]
fn a_difference_is_the_lines_that_differ() {
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(difference(&lines("a b c"), &lines("a x c d")), ["-b", "+x", "+d"]);
    assert!(difference(&lines("a b"), &lines("a b")).is_empty());
}
