//! Where a field of an object stands in the YAML it was written in.

/// A step on the way to a field.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

/// `spec.containers[0].image` as steps; what stands in brackets and is no number is a key.
fn steps(field: &str) -> Vec<Step<'_>> {
    let mut out = Vec::new();
    for part in field.split('.') {
        let (key, rest) = part.split_once('[').unwrap_or((part, ""));
        if !key.is_empty() {
            out.push(Step::Key(key));
        }
        for inner in rest.split('[').map(|r| r.trim_end_matches(']')).filter(|r| !r.is_empty()) {
            out.push(inner.parse().map_or(Step::Key(inner), Step::Item));
        }
    }
    out
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn empty(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// The lines of document number `document`, with their numbers from 1.
fn document_of(text: &str, document: usize) -> Vec<(usize, String)> {
    let mut documents: Vec<Vec<(usize, String)>> = vec![Vec::new()];
    for (i, line) in text.lines().enumerate() {
        if line.starts_with("---") {
            documents.push(Vec::new());
        } else if !empty(line)
            && let Some(last) = documents.last_mut()
        {
            last.push((i + 1, line.to_owned()));
        }
    }
    documents.into_iter().filter(|d| !d.is_empty()).nth(document).unwrap_or_default()
}

/// The line, from 1, where `field` stands in the object number `document` (from 0) of `text`; of a
/// field that is not there, the nearest one around it. `None` if there is no such object.
pub fn line_of(text: &str, document: usize, field: &str) -> Option<usize> {
    let mut block = document_of(text, document);
    let mut found = block.first()?.0;
    for step in steps(field) {
        let Some(inner) = (match step {
            Step::Key(key) => under_key(&block, key),
            Step::Item(n) => item(&block, n),
        }) else {
            break;
        };
        found = inner.first()?.0;
        // The line of a key is the first of what is below it, without the key.
        block = inner;
    }
    Some(found)
}

/// What stands below a key of a block: its own line first, without the key.
fn under_key(block: &[(usize, String)], key: &str) -> Option<Vec<(usize, String)>> {
    let least = block.iter().filter(|(_, l)| !empty(l)).map(|(_, l)| indent(l)).min()?;
    let begins = |line: &str| -> Option<usize> {
        let bare = line.trim_start();
        let quoted = [key.to_owned(), format!("\"{key}\""), format!("'{key}'")];
        quoted.iter().find_map(|k| {
            let rest = bare.strip_prefix(k.as_str())?;
            rest.starts_with(':').then_some(k.len() + 1)
        })
    };
    let own = block.iter().position(|(_, l)| indent(l) == least && begins(l).is_some());
    let Some(own) = own else {
        // In the flow style (`{a: 1, b: 2}`) all of it stands on one line.
        let flow = block.iter().find(|(_, l)| {
            l.contains('{') && l.split(['{', ',']).any(|part| begins(part).is_some())
        })?;
        let at = flow.1.find(&format!("{key}:"))? + key.len() + 1;
        return Some(vec![(flow.0, flow.1[at..].to_owned())]);
    };
    let (number, line) = &block[own];
    let rest = begins(line).map(|n| line.trim_start()[n..].to_owned()).unwrap_or_default();
    // A list may stand no deeper than its key.
    let inside = |line: &str| {
        indent(line) > least || (indent(line) == least && line.trim_start().starts_with('-'))
    };
    let below = block[own + 1..].iter().take_while(|(_, l)| inside(l)).cloned();
    let first = if rest.trim().is_empty() { String::new() } else { rest };
    Some([(*number, first)].into_iter().chain(below).collect())
}

/// One item of a list.
fn item(block: &[(usize, String)], n: usize) -> Option<Vec<(usize, String)>> {
    let dash = |l: &str| l.trim_start().starts_with("- ") || l.trim() == "-";
    let least = block.iter().filter(|(_, l)| dash(l)).map(|(_, l)| indent(l)).min();
    let Some(least) = least else {
        // A list in the flow style.
        return block.first().map(|first| vec![first.clone()]);
    };
    let mut items: Vec<Vec<(usize, String)>> = Vec::new();
    for (number, line) in block.iter().filter(|(_, l)| !empty(l)) {
        if indent(line) == least && dash(line) {
            items.push(vec![(*number, line.replacen('-', " ", 1))]);
        } else if let Some(last) = items.last_mut() {
            last.push((*number, line.clone()));
        }
    }
    items.into_iter().nth(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A pod.
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
    # The server.
    - name: web
      image: web:v1
      ports:
        - {name: http, containerPort: 8080}
    - name: log
      image: log:v1
  volumes:
  - name: a
    emptyDir: {}
---
apiVersion: v1
kind: Service
spec:
  ports:
    - {port: 80, targetPort: http}
";

    #[test]
    fn a_field_is_found_where_it_stands() {
        for (document, field, line) in [
            (0, "kind", 3),
            (0, "metadata.labels.app", 6),
            (0, "spec.containers[0].image", 11),
            (0, "spec.containers[1].image", 15),
            (0, "spec.containers[0].ports[0].containerPort", 13),
            (0, "spec.volumes[0].name", 17),
            (1, "spec.ports[0].targetPort", 24),
        ] {
            assert_eq!(line_of(TEXT, document, field), Some(line), "{field}");
        }
    }

    #[test]
    fn what_is_missing_is_found_where_it_belongs() {
        assert_eq!(line_of(TEXT, 0, "spec.containers[1].resources.limits"), Some(14));
        assert_eq!(line_of(TEXT, 0, ""), Some(2));
        assert_eq!(line_of(TEXT, 0, "status"), Some(2));
        assert_eq!(line_of(TEXT, 2, "kind"), None);
        assert_eq!(line_of("", 0, "kind"), None);
        assert_eq!(line_of("- {", 0, "a[0][1].b["), Some(1));
    }
}
