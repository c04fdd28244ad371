//! Lists as Redis has them.

use std::collections::{BTreeMap, VecDeque};

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first element.
    Left,
    /// The last one.
    Right,
}

/// What an element takes beside its bytes.
const OVERHEAD: usize = 32;

/// All lists; one without elements is none.
#[derive(Default)]
pub struct Lists {
    lists: BTreeMap<Vec<u8>, VecDeque<Vec<u8>>>,
    bytes: usize,
}

impl Lists {
    /// Bytes that all of them take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What an element of this length takes.
    pub fn cost(length: usize) -> usize {
        length + OVERHEAD
    }

    /// How many lists there are.
    pub fn count(&self) -> usize {
        self.lists.len()
    }

    /// All lists, by name.
    pub fn all(&self) -> impl Iterator<Item = (&Vec<u8>, &VecDeque<Vec<u8>>)> {
        self.lists.iter()
    }

    /// How long a list is.
    pub fn len(&self, key: &[u8]) -> usize {
        self.lists.get(key).map_or(0, VecDeque::len)
    }

    /// Puts an element at an end; how long the list is then.
    pub fn push(&mut self, key: &[u8], end: End, element: Vec<u8>) -> usize {
        self.bytes += Lists::cost(element.len());
        if !self.lists.contains_key(key) {
            self.bytes += Lists::cost(key.len());
        }
        let list = self.lists.entry(key.to_vec()).or_default();
        match end {
            End::Left => list.push_front(element),
            End::Right => list.push_back(element),
        }
        list.len()
    }

    /// Takes an element from an end.
    pub fn pop(&mut self, key: &[u8], end: End) -> Option<Vec<u8>> {
        let list = self.lists.get_mut(key)?;
        let element = match end {
            End::Left => list.pop_front(),
            End::Right => list.pop_back(),
        }?;
        let empty = list.is_empty();
        self.bytes -= Lists::cost(element.len());
        if empty {
            self.remove(key);
        }
        Some(element)
    }

    /// Takes an element from one list and puts it into another (or the same), as one step.
    pub fn shift(&mut self, from: &[u8], at: End, to: &[u8], end: End) -> Option<Vec<u8>> {
        let element = self.pop(from, at)?;
        self.push(to, end, element.clone());
        Some(element)
    }

    /// Removes a list; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some(list) = self.lists.remove(key) else { return false };
        self.bytes -= Lists::cost(key.len());
        self.bytes -= list.iter().map(|e| Lists::cost(e.len())).sum::<usize>();
        true
    }

    /// Removes all.
    pub fn clear(&mut self) {
        *self = Lists::default();
    }

    /// Removes elements equal to `element`: the first `count`, the last `-count`, or all if 0.
    pub fn remove_equal(&mut self, key: &[u8], count: i64, element: &[u8]) -> usize {
        let Some(list) = self.lists.get_mut(key) else { return 0 };
        let most = match count {
            0 => usize::MAX,
            n => usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX),
        };
        let mut places: Vec<usize> =
            list.iter().enumerate().filter(|(_, e)| *e == element).map(|(i, _)| i).collect();
        if count < 0 {
            places.reverse();
        }
        places.truncate(most);
        // From the end, so that the places before stay what they are.
        places.sort_unstable_by(|a, b| b.cmp(a));
        for place in &places {
            list.remove(*place);
        }
        let empty = list.is_empty();
        self.bytes -= places.len() * Lists::cost(element.len());
        if empty {
            self.remove(key);
        }
        places.len()
    }

    /// Elements `start` to `stop`, both included; negative ones count from the end.
    pub fn range(&self, key: &[u8], start: i64, stop: i64) -> Vec<Vec<u8>> {
        let Some(list) = self.lists.get(key) else { return Vec::new() };
        let length = list.len() as i64;
        let place = |n: i64| if n < 0 { (length + n).max(0) } else { n };
        let stop = if stop < 0 { length.saturating_add(stop) } else { stop };
        let (start, stop) = (place(start), stop.min(length - 1));
        if start > stop {
            return Vec::new();
        }
        list.range(start as usize..=stop as usize).cloned().collect()
    }

    /// The element at a place.
    pub fn index(&self, key: &[u8], at: i64) -> Option<&Vec<u8>> {
        let list = self.lists.get(key)?;
        let at = if at < 0 { list.len() as i64 + at } else { at };
        list.get(usize::try_from(at).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lists: &Lists) -> Vec<String> {
        lists.range(b"l", 0, -1).into_iter().map(|e| String::from_utf8(e).unwrap()).collect()
    }

    #[test]
    fn both_ends_and_ranges() {
        let mut lists = Lists::default();
        for e in ["b", "c", "d"] {
            lists.push(b"l", End::Right, e.into());
        }
        lists.push(b"l", End::Left, b"a".to_vec());
        assert_eq!(list(&lists), ["a", "b", "c", "d"]);
        assert_eq!(lists.range(b"l", -2, 100).len(), 2);
        assert_eq!(lists.range(b"l", -100, 0), [b"a".to_vec()]);
        assert!(lists.range(b"l", 2, 1).is_empty() && lists.range(b"l", 9, 12).is_empty());
        assert!(lists.range(b"l", 0, -9).is_empty());
        assert_eq!(lists.index(b"l", -1).unwrap(), b"d");
        assert_eq!(lists.shift(b"l", End::Right, b"l", End::Left).unwrap(), b"d");
        assert_eq!(list(&lists), ["d", "a", "b", "c"]);
        while lists.pop(b"l", End::Right).is_some() {}
        assert_eq!((lists.count(), lists.bytes()), (0, 0));
    }

    #[test]
    fn equal_elements_go_from_either_side() {
        for (count, left) in [(1, "bacada"), (-2, "abacd"), (0, "bcd"), (9, "bcd")] {
            let mut lists = Lists::default();
            for e in "abacada".bytes() {
                lists.push(b"l", End::Right, vec![e]);
            }
            let n = lists.remove_equal(b"l", count, b"a");
            assert_eq!((list(&lists).concat().as_str(), n), (left, 7 - left.len()), "{count}");
            lists.remove(b"l");
            assert_eq!(lists.bytes(), 0);
        }
    }
}
