//! What two clusters can never have in common is made the same: names, uids, times, versions,
//! addresses; then two answers are compared line by line.

use std::sync::LazyLock;

use regex::Regex;

/// Letters of generated names (`k8s.io/apimachinery/pkg/util/rand`).
const LETTERS: &str = "[bcdfghjklmnpqrstvwxz2456789]";

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let hash = format!("-{LETTERS}{{7,10}}-{LETTERS}{{5}}\\b");
    let set = format!("\\b(web|d|orphan|web-v2)-{LETTERS}{{7,10}}\\b");
    let alone = format!("(\\s){LETTERS}{{8,10}}(\\s|$)");
    let random = format!("-{LETTERS}{{5}}\\b");
    let rules: Vec<(&str, &str)> = vec![
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        (r#"([rR]esourceVersion\\?"?): ?\\?"\d+\\?""#, "$1: RV"),
        (r#"(pod-template-hash"?[=:] ?"?)\w+"#, "${1}HASH"),
        (r"\.[0-9a-f]{16}\b", ".MOMENT"),
        (r"'(resourceVersion|continue)': '\w+'", "'$1': 'X'"),
        (r#"(resourceVersion|continue|RESOURCE)(=|":)"?\w{30,}"?"#, "$1${2}X"),
        (r"in record \(\d+\)", "in record (RV)"),
        (r"\b(cj)-\d{8}\b", "$1-MINUTE"),
        (&hash, "-HASH-XXXXX"),
        (&set, "$1-HASH"),
        (&random, "-XXXXX"),
        (&alone, "${1}HASH$2"),
        // Pods, and kubeadm's range of Services: 10.96.0.0/12.
        (r"\b10\.(244|9[6-9]|10\d|11[01])(\.\d+){2}\b", "IP"),
        // Which node a pod lands on.
        (r#"(nodeName"?: "?|XXXXX to |Node:  +|IP  )node-[12]\b"#, "${1}NODE"),
        (r"\b127\.0\.0\.[123](:\d+)?\b", "HOST"),
        // Ages and durations, alone or in "3 (42s ago)".
        (r"(\s|\(|^)(\d+[smhdy]){1,2}(\s|\)|$)", "${1}AGE$3"),
        (r"<invalid>", "AGE"),
        (r"Client Version: v1\.32\.\S+", "Client Version: v1.32.N"),
        (r#"("ca.crt": ")----BEGIN[^"]*"#, "${1}CERTIFICATE"),
        // How often something was tried by the time that a command took.
        (r"AGE \(x\d+ over AGE\)", "AGE (xN over AGE)"),
        (r"\(and \d+ other pods?\)", "(and N other pods)"),
        (r"^(content-length: ).*", "${1}N"),
        (r"nodePort: 3\d{4}", "nodePort: PORT"),
        (r":3\d{4}/", ":PORT/"),
        (r"3\d{4}/TCP", "PORT/TCP"),
        (r"-{4,}", "----"),
        // A width that a name of another length gave is no difference; indentation is.
        (r"(\S) {2,}", "$1  "),
        (r"IP  node-[12]\b", "IP  NODE"),
        (r"\bnode-[12]  IP", "NODE  IP"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", "TIME"),
        (r"^(date: ).*", "${1}TIME"),
        (r" +$", ""),
    ];
    rules
        .into_iter()
        .map(|(rule, with)| (Regex::new(&format!("(?m){rule}")).expect("a rule"), with))
        .collect()
});

/// `text` without what is different in every cluster.
pub fn normal(command: &str, text: &str) -> Vec<String> {
    let mut text = canonical(text);
    for (rule, with) in RULES.iter() {
        text = rule.replace_all(&text, *with).into_owned();
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if command.starts_with("kubectl describe rs ") {
        // A ReplicaSet whose pods are refused tries as often as it has time to.
        lines.dedup();
    }
    if command.starts_with("kubectl describe limitrange ") {
        // kubectl goes through a map of Go, in whatever order.
        lines.sort();
    }
    if command.contains(" drain ") || command.contains(" & ") {
        // Pods are evicted in parallel, and retried for as long as there is time; two commands
        // that run at once write when they like.
        lines.sort();
        lines.dedup();
    }
    lines
}

/// JSON that is the whole of the output, with its fields in one order: in theirs there is no
/// meaning.
fn canonical(text: &str) -> String {
    let Some(rest) = text.strip_prefix("--- stdout\n") else { return text.into() };
    let Some((out, after)) = rest.split_once("--- stderr") else { return text.into() };
    let (head, body) = match out.split_once("\r\n\r\n").or_else(|| out.split_once("\n\n")) {
        Some((head, body)) if head.starts_with("HTTP/") => (head, body),
        _ => ("", out),
    };
    // A watch is an object a line; what was cut is left as it is.
    let lines: Result<Vec<serde_json::Value>, _> =
        serde_json::Deserializer::from_str(body).into_iter().collect();
    match lines {
        Ok(all) if all.iter().any(serde_json::Value::is_object) => {
            let all: Vec<String> = all.iter().map(|v| format!("{v:#}\n")).collect();
            format!("--- stdout\n{}\n{}--- stderr{after}", head.replace('\r', ""), all.concat())
        }
        _ => text.into(),
    }
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
