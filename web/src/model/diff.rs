//! What is other in one text than in another, line by line.

/// Texts with more lines than this are shown whole.
const MOST: usize = 2_000;
/// So many lines around a change are shown with it.
const AROUND: usize = 2;

/// The lines that are gone (`-`), new (`+`) or the same (` `) and near to one of these; `…` stands
/// for what was left out between.
pub fn lines(old: &str, new: &str) -> Vec<(char, String)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len() > MOST || new.len() > MOST {
        return new.into_iter().map(|l| (' ', l.to_owned())).collect();
    }
    let mut all = Vec::new();
    // The longest common subsequence, from the ends: `longest[i][j]` is that of old[i..], new[j..].
    let across = new.len() + 1;
    let mut longest = vec![0u16; (old.len() + 1) * across];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * across + j] = if old[i] == new[j] {
                longest[(i + 1) * across + j + 1] + 1
            } else {
                longest[(i + 1) * across + j].max(longest[i * across + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            all.push((' ', old[i].to_owned()));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len()
            && (j == new.len() || longest[(i + 1) * across + j] >= longest[i * across + j + 1])
        {
            all.push(('-', old[i].to_owned()));
            i += 1;
        } else {
            all.push(('+', new[j].to_owned()));
            j += 1;
        }
    }
    near(all)
}

fn near(all: Vec<(char, String)>) -> Vec<(char, String)> {
    let changed: Vec<usize> =
        all.iter().enumerate().filter(|(_, (c, _))| *c != ' ').map(|(i, _)| i).collect();
    let close = |i: usize| changed.iter().any(|c| c.abs_diff(i) <= AROUND);
    let mut out = Vec::new();
    let mut skipped = false;
    for (i, line) in all.into_iter().enumerate() {
        if close(i) {
            if skipped && !out.is_empty() {
                out.push((' ', "…".into()));
            }
            skipped = false;
            out.push(line);
        } else {
            skipped = true;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_other_and_a_little_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\ni\n";
        let got: String = lines(old, new).iter().map(|(c, l)| format!("{c}{l}|")).collect();
        assert_eq!(got, " c| d|-e|+E| f| g| h|+i|");
        assert!(lines(old, old).is_empty());
        let far = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let got: String = lines(far, &far.replace('1', "x").replace('9', "y"))
            .iter()
            .map(|(c, l)| format!("{c}{l}|"))
            .collect();
        assert_eq!(got, "-1|+x| 2| 3| …| 7| 8|-9|+y|");
        assert_eq!(lines("", "a").len(), 1);
    }
}
