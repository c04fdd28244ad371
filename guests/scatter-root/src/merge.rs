//! One answer of many.

use std::collections::BTreeMap;

use podlab_guest::json;
use serde_json::Value;

use crate::gather::Child;

/// Words that are counted at most.
const MAX_WORDS: usize = 20_000;

/// Which shards an answer stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// How many there are.
    pub asked: u64,
    /// How many of them answered.
    pub answered: u64,
    /// Who did not.
    pub missing: Vec<String>,
}

impl Shards {
    /// Adds what a child says of its own, or that it said nothing.
    pub fn add(&mut self, child: &Child, answer: Option<&Value>) {
        let number = |name: &str| answer?.get("shards")?.get(name)?.as_u64();
        match (number("asked"), number("answered")) {
            (Some(asked), Some(answered)) if answered <= asked && asked <= 100_000 => {
                self.asked += asked;
                self.answered += answered;
                let missing = answer.and_then(|a| a["shards"]["missing"].as_array());
                let names = missing.into_iter().flatten().filter_map(Value::as_str);
                self.missing.extend(names.take(1000).map(str::to_owned));
            }
            _ => {
                self.asked += child.weight;
                self.missing.push(child.name.clone());
            }
        }
    }

    /// `7 of 8`.
    pub fn text(&self) -> String {
        format!("{} of {}", self.answered, self.asked)
    }

    fn json(&self) -> String {
        let missing: Vec<String> = self.missing.iter().map(|m| json::string(m)).collect();
        format!(
            "{{\"asked\":{},\"answered\":{},\"missing\":[{}]}}",
            self.asked,
            self.answered,
            missing.join(",")
        )
    }
}

/// Whether an answer is one to this question.
///
/// # Errors
/// What it is instead.
pub fn is_answer(value: &Value, query: &str, k: usize) -> Result<(), String> {
    if value["query"].as_str() != Some(query) || value["k"].as_u64() != Some(k as u64) {
        return Err("an answer to another question".into());
    }
    let hits = value["hits"].as_array().filter(|h| h.len() <= k).ok_or("no hits")?;
    let whole = |h: &Value| h["doc"].is_u64() && h["score"].is_u64() && h["title"].is_string();
    if hits.iter().all(whole) && value["matches"].is_u64() {
        Ok(())
    } else {
        Err("hits that are none".into())
    }
}

/// Merges ranked answers into the `k` best, in a form like theirs.
pub fn ranked(query: &str, k: usize, shards: &Shards, answers: &[Value]) -> String {
    let mut matches = 0u64;
    let mut hits: Vec<(std::cmp::Reverse<u64>, u64, &str)> = Vec::new();
    for answer in answers {
        matches = matches.saturating_add(answer["matches"].as_u64().unwrap_or_default());
        for hit in answer["hits"].as_array().into_iter().flatten() {
            let number = |name: &str| hit[name].as_u64().unwrap_or_default();
            let title = hit["title"].as_str().unwrap_or_default();
            hits.push((std::cmp::Reverse(number("score")), number("doc"), title));
        }
    }
    hits.sort_unstable();
    // A document that two replicas of one shard both gave is one document.
    hits.dedup_by_key(|h| h.1);
    hits.truncate(k);
    let hits: Vec<String> = hits
        .iter()
        .map(|(score, doc, title)| {
            let title = json::string(title);
            format!("{{\"doc\":{doc},\"score\":{},\"title\":{title}}}", score.0)
        })
        .collect();
    format!(
        "{{\"query\":{},\"k\":{k},\"shards\":{},\"matches\":{matches},\"hits\":[{}]}}",
        json::string(query),
        shards.json(),
        hits.join(",")
    )
}

/// Adds up counts of words; only the `top` most frequent ones if it is not 0.
pub fn counted(top: usize, shards: &Shards, answers: &[Value]) -> String {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for answer in answers {
        for (word, n) in answer["counts"].as_object().into_iter().flatten() {
            if sums.len() < MAX_WORDS || sums.contains_key(word.as_str()) {
                let sum = sums.entry(word).or_default();
                *sum = sum.saturating_add(n.as_u64().unwrap_or_default());
            }
        }
    }
    let mut counts: Vec<(&str, u64)> = sums.into_iter().collect();
    if top > 0 {
        counts.sort_by_key(|(word, n)| (std::cmp::Reverse(*n), *word));
        counts.truncate(top);
    }
    let counts: Vec<String> =
        counts.iter().map(|(word, n)| format!("{}:{n}", json::string(word))).collect();
    format!("{{\"shards\":{},\"counts\":{{{}}}}}", shards.json(), counts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_best_of_all_in_order() {
        let a = value(
            r#"{"matches":2,"hits":[{"doc":4,"score":9,"title":"x"},{"doc":0,"score":5,"title":"y"}]}"#,
        );
        let b = value(r#"{"matches":1,"hits":[{"doc":1,"score":9,"title":"z"}]}"#);
        let shards = Shards { asked: 3, answered: 2, missing: vec!["c".into()] };
        let text = ranked("q", 2, &shards, &[a, b]);
        assert_eq!(
            text,
            r#"{"query":"q","k":2,"shards":{"asked":3,"answered":2,"missing":["c"]},"matches":3,"hits":[{"doc":1,"score":9,"title":"z"},{"doc":4,"score":9,"title":"x"}]}"#
        );
    }

    #[test]
    fn counts_are_added() {
        let (a, b) = (value(r#"{"counts":{"x":1,"y":5}}"#), value(r#"{"counts":{"x":2,"z":3}}"#));
        let text = counted(2, &Shards::default(), &[a.clone(), b.clone()]);
        assert!(text.ends_with(r#""counts":{"y":5,"x":3}}"#), "{text}");
        assert!(counted(0, &Shards::default(), &[b, a]).ends_with(r#"{"x":3,"y":5,"z":3}}"#));
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let good =
            value(r#"{"query":"a","k":3,"matches":1,"hits":[{"doc":1,"score":2,"title":""}]}"#);
        assert!(is_answer(&good, "a", 3).is_ok());
        assert!(is_answer(&good, "b", 3).is_err() && is_answer(&good, "a", 4).is_err());
        for text in ["[]", "{}", r#"{"query":"a","k":3,"matches":1,"hits":[{}]}"#] {
            assert!(is_answer(&value(text), "a", 3).is_err(), "{text}");
        }
    }

    #[test]
    fn who_says_nothing_is_missing_with_all_that_is_behind() {
        let child = Child::parse("http://root:1*4").unwrap();
        let mut shards = Shards::default();
        shards.add(&child, None);
        let part = value(r#"{"shards":{"asked":4,"answered":3,"missing":["leaf-2"]}}"#);
        shards.add(&child, Some(&part));
        assert_eq!((shards.text().as_str(), shards.missing.len()), ("3 of 8", 2));
    }
}
