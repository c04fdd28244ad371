//! Reading how many tests a runner ran.

/// What came of some tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Ignored tests of the current runner that the stage of their tool runs.
    elsewhere: u64,
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that did not run.
    pub skipped: u64,
}

impl Count {
    /// One check that passed, or failed.
    pub fn one(passed: bool) -> Count {
        Count { passed: passed.into(), failed: (!passed).into(), ..Count::default() }
    }

    /// One check that was left out.
    pub fn left_out() -> Count {
        Count { skipped: 1, ..Count::default() }
    }

    /// Adds another count.
    pub fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Takes in a line of a test runner: a summary of libtest (`test result: ok. 3 passed; 0
    /// failed; 1 ignored; ...`), of node's runner (`# pass 3`), or ours (`3 passed, 0 failed`).
    /// A test that says which tool it needs is not skipped: the stage of that tool runs it.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result:") {
            let rest = rest.split_once('.').map_or("", |(_, rest)| rest);
            for part in rest.split(';') {
                match part.trim().split_once(' ') {
                    Some((n, "passed")) => self.passed += n.parse::<u64>().unwrap_or(0),
                    Some((n, "failed")) => self.failed += n.parse::<u64>().unwrap_or(0),
                    Some((n, "ignored")) => {
                        let ignored = n.parse::<u64>().unwrap_or(0);
                        self.skipped += ignored.saturating_sub(self.elsewhere);
                    }
                    _ => {}
                }
            }
            self.elsewhere = 0;
        } else if line.starts_with("test ") && line.contains(" ... ignored, needs ") {
            // The summary that follows counts it as ignored.
            self.elsewhere += 1;
        } else if let Some((what, n)) = node(line) {
            match what {
                "pass" => self.passed += n,
                "fail" | "cancelled" => self.failed += n,
                "skipped" | "todo" => self.skipped += n,
                _ => {}
            }
        } else if let Some(count) = plain(line) {
            self.add(count);
        }
    }
}

/// `# pass 3`, or with the mark that node's other reporter writes.
fn node(line: &str) -> Option<(&str, u64)> {
    let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("\u{2139} "))?;
    let (what, n) = rest.split_once(' ')?;
    Some((what, n.parse().ok()?))
}

/// `3 passed, 0 failed, 1 skipped`, alone on a line.
fn plain(line: &str) -> Option<Count> {
    let mut count = Count::default();
    let mut parts = 0;
    for part in line.split(", ") {
        let (n, what) = part.split_once(' ')?;
        let n = n.parse().ok()?;
        match what {
            "passed" => count.passed = n,
            "failed" => count.failed = n,
            "skipped" => count.skipped = n,
            _ => return None,
        }
        parts += 1;
    }
    (parts >= 2).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (u64, u64, u64) {
        let mut count = Count::default();
        lines.iter().for_each(|l| count.read(l));
        (count.passed, count.failed, count.skipped)
    }

    #[test]
    fn runners_are_understood() {
        let libtest = "test result: FAILED. 12 passed; 2 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert_eq!(read(&[libtest]), (12, 2, 2));
        let elsewhere = "test pods_are_listed ... ignored, needs kubectl";
        assert_eq!(read(&[elsewhere, libtest]), (12, 2, 1));
        assert_eq!(read(&["# tests 4", "# pass 3", "# fail 1", "\u{2139} pass 2"]), (5, 1, 0));
        assert_eq!(read(&["3 passed, 1 failed, 2 skipped"]), (3, 1, 2));
        assert_eq!(read(&["3 passed, 1 failed"]), (3, 1, 0));
        assert_eq!(read(&["running 3 tests", "3 passed", "", "test a ... ok"]), (0, 0, 0));
    }
}
