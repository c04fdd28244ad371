//! What a line says, as a shell reads it: words, quotes, pipes, `&&`, `||`, `;`, `<<EOF`.

/// How a pipe depends on the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// `;`, or the first.
    Then,
    /// `&&`.
    And,
    /// `||`.
    Or,
}

/// A command and what it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its words, the program first.
    pub words: Vec<String>,
    /// Its here-document.
    pub input: Option<String>,
}

/// Reads a line, and the lines of here-documents after it.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Vec<(Join, Vec<Command>)>, String> {
    let mut lists = Vec::new();
    let mut pipe: Vec<Command> = Vec::new();
    let mut command = Command::default();
    let mut join = Join::Then;
    let mut word: Option<String> = None;
    let mut ends: Vec<(usize, String, bool)> = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut rest = "";
    while let Some((i, c)) = chars.next() {
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                let mut closed = false;
                while let Some((_, inner)) = chars.next() {
                    match inner {
                        q if q == c => {
                            closed = true;
                            break;
                        }
                        '\\' if c == '"' => match chars.next() {
                            Some((_, e @ ('"' | '\\' | '$' | '`'))) => word.push(e),
                            Some((_, '\n')) => {}
                            Some((_, e)) => word.extend(['\\', e]),
                            None => word.push('\\'),
                        },
                        other => word.push(other),
                    }
                }
                if !closed {
                    return Err(format!("the quote {c} is not closed"));
                }
            }
            '\\' => match chars.next() {
                Some((_, '\n')) | None => {}
                Some((_, next)) => word.get_or_insert_default().push(next),
            },
            '#' if word.is_none() => {
                while chars.peek().is_some_and(|(_, c)| *c != '\n') {
                    chars.next();
                }
            }
            '<' if text[i..].starts_with("<<") && word.is_none() => {
                chars.next();
                let tabs = chars.next_if(|(_, c)| *c == '-').is_some();
                while chars.next_if(|(_, c)| *c == ' ').is_some() {}
                let mut end = String::new();
                while let Some((_, c)) =
                    chars.next_if(|(_, c)| !c.is_whitespace() && !"|;&".contains(*c))
                {
                    if !matches!(c, '\'' | '"') {
                        end.push(c);
                    }
                }
                if end.is_empty() {
                    return Err("a word is missing after <<".into());
                }
                ends.push((pipe.len(), end, tabs));
            }
            '|' | '&' | ';' | '\n' => {
                command.words.extend(word.take());
                let double =
                    chars.next_if(|(_, next)| *next == c && matches!(c, '|' | '&')).is_some();
                if c == '&' && !double {
                    return Err("nothing runs in the background here: leave out &".into());
                }
                if c == '\n' && !ends.is_empty() {
                    rest = &text[i + 1..];
                    break;
                }
                let empty = command.words.is_empty();
                if c == '|' && !double {
                    if empty {
                        return Err("syntax error near unexpected token `|'".into());
                    }
                    pipe.push(std::mem::take(&mut command));
                    continue;
                }
                if !empty {
                    pipe.push(std::mem::take(&mut command));
                } else if !pipe.is_empty() || c != '\n' {
                    return Err(format!("syntax error near unexpected token `{c}'"));
                }
                if !pipe.is_empty() {
                    lists.push((join, std::mem::take(&mut pipe)));
                }
                join = match c {
                    '&' => Join::And,
                    '|' => Join::Or,
                    _ => Join::Then,
                };
            }
            ' ' | '\t' | '\r' => command.words.extend(word.take()),
            '>' => return Err("there are no files here to write to".into()),
            '<' => return Err("there are no files here: use <<EOF".into()),
            '$' if chars.peek().is_some_and(|(_, c)| *c == '(') => {
                return Err("$(...) is not known here".into());
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    command.words.extend(word);
    if !command.words.is_empty() {
        pipe.push(command);
    } else if !pipe.is_empty() {
        return Err("the line ends with a pipe".into());
    }
    for (at, end, tabs) in ends {
        let (input, after) = document(rest, &end, tabs)
            .ok_or_else(|| format!("the here-document has no line {end} at its end"))?;
        rest = after;
        if let Some(command) = pipe.get_mut(at) {
            command.input = Some(input);
        }
    }
    if !pipe.is_empty() {
        lists.push((join, pipe));
    }
    if !rest.trim().is_empty() {
        lists.extend(parse(rest)?);
    }
    Ok(lists)
}

fn document<'t>(text: &'t str, end: &str, tabs: bool) -> Option<(String, &'t str)> {
    let mut input = String::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let stripped = if tabs { line.trim_start_matches('\t') } else { line };
        if stripped.trim_end_matches(['\n', '\r']) == end {
            return Some((input, &text[at..]));
        }
        input.push_str(stripped);
    }
    None
}

/// Whether a here-document, a quote or a line is not finished: more lines are wanted.
pub fn is_open(text: &str) -> bool {
    match parse(text) {
        Ok(_) => text.ends_with('\\'),
        Err(why) => why.ends_with("at its end") || why.ends_with("is not closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<Vec<Vec<String>>> {
        let lists = parse(line).unwrap();
        lists.into_iter().map(|(_, p)| p.into_iter().map(|c| c.words).collect()).collect()
    }

    #[test]
    fn lines() {
        assert_eq!(words("kubectl get pods"), [[["kubectl", "get", "pods"]]]);
        assert_eq!(
            words("k get po -o 'a b' | grep \"x\\\"y\" "),
            [vec![vec!["k", "get", "po", "-o", "a b"], vec!["grep", "x\"y"]]]
        );
        assert_eq!(words("a; b && c # d"), [[["a"]], [["b"]], [["c"]]]);
        assert_eq!(parse("a && b").unwrap()[1].0, Join::And);
        assert!(parse("a &").is_err() && parse("a > b").is_err() && parse("| a").is_err());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn here_documents() {
        let lists = parse("kubectl apply -f - <<EOF | grep x\nkind: Pod\nEOF\necho done").unwrap();
        assert_eq!(lists[0].1[0].words, ["kubectl", "apply", "-f", "-"]);
        assert_eq!(lists[0].1[0].input.as_deref(), Some("kind: Pod\n"));
        assert_eq!(lists[0].1[1].words, ["grep", "x"]);
        assert_eq!(lists[1].1[0].words, ["echo", "done"]);
        assert!(is_open("cat <<EOF\na") && !is_open("cat <<'EOF'\na\nEOF"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_line_panics(line in "[a-c'\"\\\\|&;<> \n#$(é-]{0,40}") {
            let _ = parse(&line);
        }
    }
}
