//! Markdown in two languages: in step, and naming what exists.

use super::Lint;

/// A language's version of a text, as far as the other must agree with it.
#[derive(Debug, Default, PartialEq)]
struct Shape {
    /// Line and level of each heading.
    headings: Vec<(u64, usize)>,
    /// Line and contents of each code block.
    code: Vec<(u64, String)>,
    /// First line of each table, its rows and its columns.
    tables: Vec<(u64, usize, usize)>,
    /// Line and target of each link or image.
    links: Vec<(u64, String)>,
    /// Line and text of each `code` span.
    spans: Vec<(u64, String)>,
    /// Line and name where a table's row ends in a cell that is only a `code` span.
    claims: Vec<(u64, String)>,
}

fn shape(text: &str) -> Shape {
    let mut shape = Shape::default();
    let mut fence: Option<(u64, String)> = None;
    let (mut in_table, mut in_code, mut blank) = (false, false, true);
    for (n, line) in text.lines().enumerate() {
        let n = n as u64 + 1;
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            match fence.take() {
                Some(block) => shape.code.push(block),
                None => fence = Some((n, String::new())),
            }
            continue;
        }
        if let Some((_, block)) = &mut fence {
            block.push_str(line);
            block.push('\n');
            continue;
        }
        if line.starts_with("    ") && (blank || in_code) && !trimmed.is_empty() {
            if in_code {
                let (_, block) = shape.code.last_mut().expect("a block is open");
                block.push_str(line);
                block.push('\n');
            } else {
                shape.code.push((n, format!("{line}\n")));
            }
            in_code = true;
            blank = false;
            continue;
        }
        in_code &= trimmed.is_empty();
        blank = trimmed.is_empty();
        let level = line.bytes().take_while(|b| *b == b'#').count();
        if level > 0 && line[level..].starts_with(' ') {
            shape.headings.push((n, level));
        }
        if trimmed.starts_with('|') {
            let cells: Vec<&str> = trimmed.trim_matches('|').split('|').map(str::trim).collect();
            if in_table {
                shape.tables.last_mut().expect("a table is open").1 += 1;
            } else {
                shape.tables.push((n, 1, cells.len()));
            }
            in_table = true;
            let last = cells.last().copied().unwrap_or_default();
            if let Some(name) = last.strip_prefix('`').and_then(|c| c.strip_suffix('`'))
                && !name.contains('`')
            {
                shape.claims.push((n, name.to_owned()));
            }
        } else {
            in_table = false;
        }
        for (at, part) in line.split('`').enumerate() {
            if at % 2 == 1 {
                shape.spans.push((n, part.to_owned()));
            } else {
                let mut rest = part;
                while let Some(open) = rest.find("](") {
                    rest = &rest[open + 2..];
                    let end = rest.find([')', ' ']).unwrap_or(rest.len());
                    shape.links.push((n, rest[..end].to_owned()));
                }
            }
        }
    }
    shape.code.extend(fence);
    shape
}

/// Whether `STEM.en.md` and `STEM.ja.md` are both there, are in step, and link to what exists.
pub(super) fn in_step(lint: &mut Lint<'_>, stem: &str) {
    read(lint, stem);
}

fn read(lint: &mut Lint<'_>, stem: &str) -> Vec<(String, Shape)> {
    let mut shapes = Vec::new();
    for language in ["en", "ja"] {
        let path = format!("{stem}.{language}.md");
        let Some(text) = lint.text(&path) else {
            lint.add(&path, None, "this file is missing or not UTF-8: every text is in en and ja");
            continue;
        };
        let shape = shape(text);
        if shape.headings.is_empty() {
            lint.add(&path, Some(1), "the text has no heading: begin it with `# Title`");
        }
        let folder = path.rsplit_once('/').map_or("", |(f, _)| f);
        for (line, target) in &shape.links {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let whole = resolve(folder, target);
            let exists = whole.as_deref().is_some_and(|whole| {
                let below = format!("{}/", whole.trim_end_matches('/'));
                lint.files.keys().any(|p| p == whole || p.starts_with(&below))
            });
            if !exists {
                let message = format!(
                    "the link to {target:?} leads nowhere: links are relative to this file and stay inside the pattern's folder"
                );
                lint.add(&path, Some(*line), message);
            }
        }
        shapes.push((path, shape));
    }
    if let [(en_path, en), (ja_path, ja)] = &shapes[..] {
        compare(lint, (en_path, en), (ja_path, ja));
    }
    shapes
}

/// A path below the pattern's folder, or nothing if it leaves it.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn compare(lint: &mut Lint<'_>, (en_path, en): (&str, &Shape), (path, ja): (&str, &Shape)) {
    let of = format!("as in {}/{en_path}", lint.folder);
    let levels = |s: &Shape| s.headings.iter().map(|h| h.1).collect::<Vec<_>>();
    if levels(en) != levels(ja) {
        let at = en.headings.iter().zip(&ja.headings).find(|(a, b)| a.1 != b.1).map(|(_, b)| b.0);
        let (want, have) = (en.headings.len(), ja.headings.len());
        let message = format!(
            "the headings are not in step: {want} are wanted {of}, of the same levels; there are {have}"
        );
        lint.add(path, at.or(ja.headings.last().map(|h| h.0)), message);
    }
    if en.tables.len() != ja.tables.len() {
        let (want, have) = (en.tables.len(), ja.tables.len());
        lint.add(
            path,
            ja.tables.last().map(|t| t.0),
            format!("{want} tables are wanted {of}; there are {have}"),
        );
    }
    for (a, b) in en.tables.iter().zip(&ja.tables) {
        if (a.1, a.2) != (b.1, b.2) {
            let message = format!(
                "this table has {} lines of {} columns; {} of {} are wanted {of} (line {})",
                b.1, b.2, a.1, a.2, a.0
            );
            lint.add(path, Some(b.0), message);
        }
    }
    if en.code.len() != ja.code.len() {
        let (want, have) = (en.code.len(), ja.code.len());
        lint.add(
            path,
            ja.code.last().map(|c| c.0),
            format!("{want} code blocks are wanted {of}; there are {have}"),
        );
    }
    for (a, b) in en.code.iter().zip(&ja.code) {
        // What is drawn may be labelled in either language.
        if a.1.lines().count() != b.1.lines().count() || (a.1 != b.1 && b.1.is_ascii()) {
            lint.add(
                path,
                Some(b.0),
                format!("this code block differs from that {of} (line {})", a.0),
            );
        }
    }
}

/// Looks at the lesson: in step, claims name scenarios, every scenario is named, files exist.
pub(super) fn look(lint: &mut Lint<'_>, stem: &str, scenarios: &[String]) {
    for (path, shape) in read(lint, stem) {
        if shape.claims.is_empty() {
            lint.add(&path, None, "no claim names its proof: end each row of the table of claims with the scenario's name, as `name`");
        }
        for (line, name) in &shape.claims {
            if !scenarios.contains(name) {
                let meant = crate::vocabulary::meant(name, scenarios.iter().map(String::as_str));
                let message = format!(
                    "the claim names {name:?}, but there is no scenarios/{name}.yaml{meant}"
                );
                lint.add(&path, Some(*line), message);
            }
        }
        for name in scenarios {
            if !shape.spans.iter().any(|(_, s)| s == name) {
                let message = format!(
                    "the scenario {name} is not named here: say what it proves, as `{name}`"
                );
                lint.add(&path, None, message);
            }
        }
        for (line, span) in &shape.spans {
            let a_file =
                ["manifests/", "scenarios/", "exercises/"].iter().any(|f| span.starts_with(f))
                    && !span.contains(char::is_whitespace)
                    && !span.contains(['<', '*']);
            let below = format!("{}/", span.trim_end_matches('/'));
            if a_file && !lint.files.keys().any(|p| p == span || p.starts_with(&below)) {
                lint.add(&path, Some(*line), format!("there is no file {span} in the pattern"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_a_shape() {
        let s = shape(
            "# A\n\ntext `x` [l](a/b.yaml) `y`\n\n    code\n    more\n\n| c | p |\n| --- | --- |\n| one | `s` |\n\n## B\n```\n# no heading\n```\n",
        );
        assert_eq!(s.headings, [(1, 1), (12, 2)]);
        assert_eq!(s.code.len(), 2);
        assert_eq!(s.code[0], (5, "    code\n    more\n".into()));
        assert_eq!(s.tables, [(8, 3, 2)]);
        assert_eq!(s.links, [(3, "a/b.yaml".into())]);
        assert_eq!(s.claims, [(10, "s".into())]);
        assert_eq!(resolve("exercises/a", "../../manifests/x"), Some("manifests/x".into()));
        assert_eq!(resolve("", "../x"), None);
    }
}
