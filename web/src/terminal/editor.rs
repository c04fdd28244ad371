//! What is typed: lines typed before, here-documents, the word to complete.

/// How many lines are remembered.
const KEPT: usize = 200;

/// The lines typed before, and where one is among them.
#[derive(Debug, Default)]
pub struct History {
    lines: Vec<String>,
    at: usize,
    draft: String,
}

impl History {
    /// A line was run.
    pub fn push(&mut self, line: &str) {
        if !line.trim().is_empty() && self.lines.last().is_none_or(|last| last != line) {
            self.lines.push(line.to_owned());
            if self.lines.len() > KEPT {
                self.lines.remove(0);
            }
        }
        self.at = self.lines.len();
        self.draft.clear();
    }

    /// The line before; `now` is what is typed.
    pub fn earlier(&mut self, now: &str) -> Option<&str> {
        if self.at == self.lines.len() {
            now.clone_into(&mut self.draft);
        }
        self.at = self.at.checked_sub(1)?;
        self.lines.get(self.at).map(String::as_str)
    }

    /// The line after; at the end what had been typed.
    pub fn later(&mut self) -> Option<&str> {
        if self.at >= self.lines.len() {
            return None;
        }
        self.at += 1;
        Some(self.lines.get(self.at).unwrap_or(&self.draft))
    }
}

/// Whether the text wants more lines: a here-document without its end, a quote that is open, or
/// a backslash at the end.
pub fn is_open(text: &str) -> bool {
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or("");
    if let Some(at) = first.find("<<") {
        let word = first[at + 2..].trim_start_matches('-').trim_start();
        let end = word.find([' ', '|', ';']).unwrap_or(word.len());
        let word = word[..end].trim_matches(['\'', '"']);
        return !word.is_empty() && !lines.any(|l| l.trim_start_matches('\t').trim_end() == word);
    }
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', None | Some('"')) => escaped = true,
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            _ => {}
        }
    }
    quote.is_some() || escaped
}

/// The line with what all proposals share, and the proposals if they share nothing more.
/// `from` is where in `line` (in bytes) the word begins that they replace.
pub fn completed<'p>(line: &str, from: usize, proposals: &'p [String]) -> (String, &'p [String]) {
    let Some(first) = proposals.first().filter(|_| line.is_char_boundary(from)) else {
        return (line.to_owned(), &[]);
    };
    let shared = proposals.iter().fold(first.as_str(), |shared, other| {
        let same = shared.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
        let end = same.map_or(shared.len().min(other.len()), |((i, _), _)| i);
        &shared[..end]
    });
    let mut out = format!("{}{shared}", &line[..from]);
    if proposals.len() == 1 {
        if !shared.ends_with(['=', '/', ':']) {
            out.push(' ');
        }
        return (out, &[]);
    }
    if out.len() > line.len() { (out, &[]) } else { (line.to_owned(), proposals) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_goes_both_ways() {
        let mut history = History::default();
        history.push("one");
        history.push("two");
        history.push("two");
        assert_eq!(history.earlier("dra"), Some("two"));
        assert_eq!(history.earlier(""), Some("one"));
        assert_eq!(history.earlier(""), None);
        assert_eq!(history.later(), Some("two"));
        assert_eq!(history.later(), Some("dra"));
        assert_eq!(history.later(), None);
    }

    #[test]
    fn documents_are_open_until_their_end() {
        assert!(is_open("kubectl apply -f - <<EOF"));
        assert!(is_open("kubectl apply -f - <<'EOF'\nkind: Pod"));
        assert!(!is_open("kubectl apply -f - <<EOF\nkind: Pod\nEOF"));
        assert!(is_open("echo 'a") && !is_open("echo 'a'") && is_open("echo \\"));
    }

    #[test]
    fn what_proposals_share_is_typed() {
        let all = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let one = all(&["pods"]);
        let (line, left) = completed("k get po", 6, &one);
        assert_eq!((line.as_str(), left.len()), ("k get pods ", 0));
        let proposals = all(&["web-1", "web-2"]);
        assert_eq!(completed("k logs w", 7, &proposals).0, "k logs web-");
        assert_eq!(completed("k logs web-", 7, &proposals).1.len(), 2);
        assert_eq!(completed("x", 1, &[]), ("x".to_owned(), &[][..]));
    }
}
