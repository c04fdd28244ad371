//! Questions of a lesson: one says what will happen, lets it happen, and sees who was right.
//!
//! In the Markdown they are fenced blocks of the language `predict`:
//!
//! ````text
//! ```predict
//! You kill `log-saver`. What happens to the requests of `client`?
//! - [ ] They go on as before.
//! - [x] They fail until it is back.
//! run: {"kind": "kill", "target": "default/web/log-saver"}
//! wait: 12s
//! see: from:client
//! why: A pod with a container that is not ready is not ready.
//! ```
//! ````
//!
//! `run` is a fault as `POST /api/worlds/ID/faults` takes it (more of them, in a list, one after
//! the other); `mend`, likewise, takes it back afterwards; `see` filters the messages.

use serde_json::Value;

/// The longest text of a block, in bytes, and the most choices: lessons may come from strangers.
const MOST: (usize, usize) = (8 * 1024, 8);
/// The longest time one is let wait, in ns.
const LONGEST: u64 = 600_000_000_000;

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What is asked.
    pub ask: String,
    /// What may happen, and whether it does.
    pub choices: Vec<(String, bool)>,
    /// The faults that make it happen.
    pub run: Vec<Value>,
    /// After so long, in ns of the world's time, it has happened.
    pub wait: u64,
    /// The faults that take it back, if it does not pass by itself.
    pub mend: Vec<Value>,
    /// The messages that show it, as a filter; or empty.
    pub see: String,
    /// Why.
    pub why: String,
}

/// A piece of a lesson.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Markdown.
    Text(String),
    /// A question.
    Question(Box<Question>),
}

/// The pieces of a lesson. A block that is no question stays what it is, a block.
pub fn parts(markdown: &str) -> Vec<Part> {
    let mut out = Vec::new();
    let mut text = String::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() != "```predict" {
            text.push_str(line);
            text.push('\n');
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|l| l.trim_end() != "```").collect();
        match Question::read(&block) {
            Some(question) => {
                out.push(Part::Text(std::mem::take(&mut text)));
                out.push(Part::Question(Box::new(question)));
            }
            None => text.push_str(&format!("{line}\n{}\n```\n", block.join("\n"))),
        }
    }
    out.push(Part::Text(text));
    out.retain(|p| !matches!(p, Part::Text(t) if t.trim().is_empty()));
    out
}

/// "12s", "1.5s", "500ms" in ns.
fn span(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(n) => (n, 1e6),
        None => (text.strip_suffix('s')?, 1e9),
    };
    let ns = number.trim().parse::<f64>().ok()? * unit;
    (ns > 0.0 && ns <= LONGEST as f64).then_some(ns as u64)
}

fn faults(text: &str) -> Option<Vec<Value>> {
    let list = match serde_json::from_str(text).ok()? {
        Value::Array(list) => list,
        one => vec![one],
    };
    (!list.is_empty() && list.len() <= MOST.1 && list.iter().all(|f| f["kind"].is_string()))
        .then_some(list)
}

impl Question {
    fn read(block: &[&str]) -> Option<Question> {
        if block.iter().map(|l| l.len()).sum::<usize>() > MOST.0 {
            return None;
        }
        // A line that begins with none of these goes on with the one before.
        let mut fields: Vec<(&str, String)> = vec![("ask", String::new())];
        for line in block {
            let line = line.trim();
            let known = ["- [ ]", "- [x]", "run:", "wait:", "mend:", "see:", "why:"];
            match known.iter().find_map(|k| Some((*k, line.strip_prefix(k)?))) {
                Some((kind, rest)) => fields.push((kind, rest.trim().to_owned())),
                None => {
                    if let Some((_, text)) = fields.last_mut() {
                        join(text, line);
                    }
                }
            }
        }
        let mut q = Question {
            ask: String::new(),
            choices: Vec::new(),
            run: Vec::new(),
            wait: 0,
            mend: Vec::new(),
            see: String::new(),
            why: String::new(),
        };
        for (kind, text) in fields {
            match kind {
                "ask" => q.ask = text,
                "- [ ]" => q.choices.push((text, false)),
                "- [x]" => q.choices.push((text, true)),
                "run:" => q.run = faults(&text)?,
                "wait:" => q.wait = span(&text)?,
                "mend:" => q.mend = faults(&text)?,
                "see:" => q.see = text,
                _ => q.why = text,
            }
        }
        let whole = !q.ask.is_empty()
            && (2..=MOST.1).contains(&q.choices.len())
            && q.choices.iter().any(|(_, right)| *right)
            && q.choices.iter().all(|(text, _)| !text.is_empty())
            && !q.run.is_empty()
            && q.wait > 0
            && !q.why.is_empty();
        whole.then_some(q)
    }

    /// How many choices were judged rightly: what happens was ticked, what does not was not.
    pub fn right(&self, ticked: &[bool]) -> usize {
        let tick = |i: usize| ticked.get(i).copied().unwrap_or(false);
        self.choices.iter().enumerate().filter(|(i, (_, right))| tick(*i) == *right).count()
    }
}

/// A text whose lines were joined with blanks, as YAML folds them, without those that stand
/// between Japanese characters.
pub fn joined(text: &str) -> String {
    let mut out = String::new();
    for piece in text.split(' ') {
        join(&mut out, piece);
    }
    out
}

/// Joins lines as Markdown does, but without a blank between Japanese ones.
fn join(text: &mut String, line: &str) {
    let wide = |c: Option<char>| c.is_some_and(|c| c >= '\u{3000}');
    let blank = !(wide(text.chars().next_back()) && wide(line.chars().next()));
    if blank && !text.is_empty() {
        text.push(' ');
    }
    text.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "# A lesson\n\nText.\n\n```predict\nYou kill `a`.\nWhat then?\n- [ ] Nothing\n  at all.\n- [x] Much.\nrun: {\"kind\": \"kill\", \"target\": \"default/web/a\"}\nwait: 1.5s\nsee: from:a\nwhy: Because\n  of this.\n```\n\nMore.\n";

    #[test]
    fn a_question_is_read_with_what_stands_around_it() {
        let found = parts(ONE);
        let [Part::Text(before), Part::Question(q), Part::Text(after)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(before.starts_with("# A lesson") && after.contains("More."));
        assert_eq!(q.ask, "You kill `a`. What then?");
        assert_eq!(q.choices, [("Nothing at all.".to_owned(), false), ("Much.".to_owned(), true)]);
        assert_eq!((q.wait, q.why.as_str()), (1_500_000_000, "Because of this."));
        assert_eq!(q.run[0]["target"], "default/web/a");
    }

    #[test]
    fn ticks_are_judged_one_by_one() {
        let found = parts(ONE);
        let Some(Part::Question(q)) = found.get(1) else { panic!("{found:?}") };
        assert_eq!(q.right(&[false, true]), 2);
        assert_eq!(q.right(&[true, true]), 1);
        assert_eq!(q.right(&[true, false]), 0);
        assert_eq!(q.right(&[]), 1);
    }

    #[test]
    fn japanese_lines_are_joined_without_blanks() {
        assert_eq!(
            joined("置きます。 それぞれを Pod に 分けます。"),
            "置きます。それぞれを Pod に分けます。"
        );
        assert_eq!(joined("One two  three."), "One two  three.");
    }

    #[test]
    fn what_is_no_question_stays_a_block() {
        let broken = [
            ONE.replace("wait: 1.5s\n", ""),
            ONE.replace("1.5s", "1.5 years"),
            ONE.replace("1.5s", "99999s"),
            ONE.replace("- [x] Much.", "- [ ] Much."),
            ONE.replace("run: {", "run: ["),
            ONE.replace("Much.", &"x".repeat(9_000)),
        ];
        for text in broken {
            let found = parts(&text);
            assert!(
                matches!(found.as_slice(), [Part::Text(t)] if t.contains("```predict")),
                "{found:?}"
            );
        }
    }

    /// The lessons that come with Podlab.
    fn lessons() -> Vec<(String, String, String)> {
        let patterns = concat!(env!("CARGO_MANIFEST_DIR"), "/../patterns");
        let mut out = Vec::new();
        for dir in std::fs::read_dir(patterns).expect("the patterns are beside the page") {
            let dir = dir.expect("it can be read").path();
            let read = |lang: &str| std::fs::read_to_string(dir.join(format!("lesson.{lang}.md")));
            if let (Ok(en), Ok(ja)) = (read("en"), read("ja")) {
                out.push((dir.display().to_string(), en, ja));
            }
        }
        out
    }

    #[test]
    fn every_lesson_asks_the_same_in_both_languages() {
        let asked = |text: &str| -> Vec<Question> {
            let blocks = text.matches("```predict").count();
            let found: Vec<_> = parts(text)
                .into_iter()
                .filter_map(|p| match p {
                    Part::Question(q) => Some(*q),
                    Part::Text(_) => None,
                })
                .collect();
            assert_eq!(found.len(), blocks, "each block is a question");
            found
        };
        let lessons = lessons();
        assert!(lessons.len() >= 6, "{} lessons", lessons.len());
        for (name, en, ja) in lessons {
            let (en, ja) = (asked(&en), asked(&ja));
            assert!(!en.is_empty(), "{name} asks nothing");
            let bones = |q: &Question| {
                let ticks: Vec<bool> = q.choices.iter().map(|c| c.1).collect();
                (ticks, q.run.clone(), q.wait, q.mend.clone(), q.see.clone())
            };
            assert!(en.iter().map(bones).eq(ja.iter().map(bones)), "{name}: both ask the same");
            for q in en.iter().chain(&ja) {
                assert!(q.choices.iter().any(|c| !c.1), "{name}: something must be wrong");
            }
        }
    }
}
