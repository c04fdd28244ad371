//! Documents that nobody wrote: made from a seed, the same everywhere; and searching them.

use std::collections::BTreeMap;

/// The words that come most often; the rest are made of syllables.
const COMMON: &[&str] = &[
    "the", "pod", "node", "of", "cache", "a", "service", "to", "leader", "in", "queue", "shard",
    "lease", "log", "is", "network", "volume", "probe", "clock", "packet", "cluster", "replica",
    "token", "request",
];
/// Different words.
const WORDS: usize = 2000;
/// Words of a document: at least, and how many more at most.
const LENGTH: (u64, u64) = (40, 80);
/// The mean of that. A constant of the corpus, so that every shard scores alike.
const MEAN: u64 = LENGTH.0 + LENGTH.1 / 2;
/// Terms of one query.
pub const MAX_TERMS: usize = 8;

/// No place.
const NONE: usize = usize::MAX;

/// A stream of numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The part of the corpus that one shard holds.
pub struct Corpus {
    words: Vec<String>,
    /// Number and place of each document.
    documents: Vec<(u32, usize)>,
    /// The words of all documents, one after the other.
    tokens: Vec<u16>,
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub doc: u32,
    /// Millionths; a term gives less than one million.
    pub score: u64,
    /// Its first words.
    pub title: String,
}

impl Corpus {
    /// Shard `shard` of `shards`: every document whose number has that remainder.
    pub fn new(seed: u64, documents: u32, shard: u32, shards: u32) -> Corpus {
        let words: Vec<String> = (0..WORDS).map(word).collect();
        // Zipf: the word of rank r comes as often as 1 / (r + 3).
        let mut sums = Vec::with_capacity(WORDS);
        let mut sum = 0u64;
        for rank in 0..WORDS as u64 {
            sum += 1_000_000 / (rank + 3);
            sums.push(sum);
        }
        let mut corpus = Corpus { words, documents: Vec::new(), tokens: Vec::new() };
        for doc in (shard..documents).step_by(shards.max(1) as usize) {
            let mut numbers = Numbers(seed.wrapping_mul(0x1000_0001).wrapping_add(doc.into()));
            let length = LENGTH.0 + numbers.next() % (LENGTH.1 + 1);
            corpus.documents.push((doc, corpus.tokens.len()));
            for _ in 0..length {
                let n = numbers.next() % sum;
                corpus.tokens.push(sums.partition_point(|s| *s <= n) as u16);
            }
        }
        corpus
    }

    /// How many documents it holds.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    fn text(&self, place: usize) -> &[u16] {
        let end = self.documents.get(place + 1).map_or(self.tokens.len(), |(_, at)| *at);
        &self.tokens[self.documents[place].1..end]
    }

    /// The `k` best documents for the terms, best first, and how many have one of them at all.
    ///
    /// The score of a document is a sum over the terms: each gives more the more often it is there,
    /// but less than one, and less in a long document. It depends on the document alone. A score
    /// that weighs rare words by how many documents *of this shard* have them would rank the same
    /// document differently on different shards, and the merged answer would be wrong.
    pub fn search(&self, terms: &[String], k: usize) -> (Vec<Hit>, u64) {
        // The place of each word among the terms: one look for each word that is read.
        let mut places = vec![NONE; self.words.len()];
        for (n, term) in terms.iter().take(MAX_TERMS).enumerate() {
            if let Some(id) = self.words.iter().position(|w| w == term) {
                places[id] = n;
            }
        }
        let (mut best, mut matches): (Vec<(u64, u32, usize)>, u64) = (Vec::new(), 0);
        for place in 0..self.documents.len() {
            let text = self.text(place);
            let mut counts = [0u64; MAX_TERMS];
            for token in text {
                if let Some(count) = counts.get_mut(places[*token as usize]) {
                    *count += 1;
                }
            }
            // tf / (tf + 1.2 * (0.25 + 0.75 * length / mean)), as in BM25.
            let length = text.len() as u64;
            let norm = 300 + 900 * length / MEAN;
            let score: u64 =
                counts.iter().map(|tf| 1_000_000 * 1000 * tf / (1000 * tf + norm)).sum();
            if score == 0 {
                continue;
            }
            matches += 1;
            let doc = self.documents[place].0;
            let rank = |(s, d, _): &(u64, u32, usize)| *s > score || (*s == score && *d < doc);
            let at = best.partition_point(rank);
            if at < k {
                best.insert(at, (score, doc, place));
                best.truncate(k);
            }
        }
        let hit = |(score, doc, place)| Hit { doc, score, title: self.title(place) };
        (best.into_iter().map(hit).collect(), matches)
    }

    fn title(&self, place: usize) -> String {
        let words: Vec<&str> =
            self.text(place).iter().take(5).map(|id| self.words[*id as usize].as_str()).collect();
        words.join(" ")
    }

    /// How often each word comes.
    pub fn count(&self) -> BTreeMap<&str, u64> {
        let mut counts = vec![0u64; self.words.len()];
        for token in &self.tokens {
            counts[*token as usize] += 1;
        }
        let there = self.words.iter().zip(counts).filter(|(_, n)| *n > 0);
        there.map(|(word, n)| (word.as_str(), n)).collect()
    }
}

fn word(rank: usize) -> String {
    if let Some(word) = COMMON.get(rank) {
        return (*word).to_owned();
    }
    const SYLLABLES: [&str; 16] = [
        "ka", "mo", "ri", "su", "te", "no", "la", "vi", "du", "pe", "zo", "ga", "shi", "ru", "fe",
        "ba",
    ];
    // Three syllables each: no two ranks give the same.
    [rank >> 8, rank >> 4, rank].iter().map(|n| SYLLABLES[n & 15]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn shards_together_hold_what_one_holds() {
        let whole = Corpus::new(7, 1000, 0, 1);
        let mut merged = Vec::new();
        let mut total = 0;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for shard in 0..4 {
            let part = Corpus::new(7, 1000, shard, 4);
            assert_eq!(part.documents(), 250);
            let (hits, matches) = part.search(&terms("leader lease"), 10);
            merged.extend(hits);
            total += matches;
            for (word, n) in part.count() {
                *counts.entry(word.to_owned()).or_default() += n;
            }
        }
        merged.sort_by_key(|h| (std::cmp::Reverse(h.score), h.doc));
        merged.truncate(10);
        let (hits, matches) = whole.search(&terms("leader lease"), 10);
        assert_eq!((merged, total), (hits, matches));
        assert!(matches > 100, "the words are common: {matches}");
        assert!(counts.iter().map(|(w, n)| (w.as_str(), *n)).eq(whole.count()));
    }

    #[test]
    fn another_seed_is_another_corpus() {
        let counts = |seed| Corpus::new(seed, 100, 0, 1).count().values().sum::<u64>();
        assert_eq!(counts(1), counts(1));
        assert_ne!(counts(1), counts(2));
        let (hits, matches) = Corpus::new(1, 100, 0, 1).search(&terms("nosuchword"), 10);
        assert!(hits.is_empty() && matches == 0);
    }

    #[test]
    fn words_are_different() {
        let mut words: Vec<String> = (0..WORDS).map(word).collect();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), WORDS);
    }
}
