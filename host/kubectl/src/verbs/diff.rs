//! `kubectl diff`: what apply would change, in the unified form of diff(1).

use serde_json::Value;

use super::apply::{annotated, is_builtin, patch::three_way, remembered, validation};
use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::manifest;
use crate::print::format::without_managed;
use crate::print::yaml::yaml;

/// Its flags.
pub const FLAGS: &str = "filename/f= kustomize/k= recursive/R selector/l= server-side \
    force-conflicts field-manager= validate=?strict prune show-managed-fields concurrency=i";
/// Lines around a change.
const CONTEXT: usize = 3;
/// Objects of more lines are not compared line by line.
const MOST: usize = 3000;

/// Runs it.
///
/// # Errors
/// As kubectl; a difference has the exit code 1.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    if !args.has("filename") {
        return Err(Failure::new("must specify one of -f and -k"));
    }
    let mut differs = false;
    for object in manifest::documents(k, args)? {
        let target = manifest::target(k, args, object).await?;
        let given = target.given.clone().unwrap_or_default();
        let path = target.resource.path(&target.namespace, &target.name);
        let answer = k.client.read(&path, "application/json").await?;
        let query = [
            ("dryRun", "All"),
            ("fieldManager", "kubectl-client-side-apply"),
            ("fieldValidation", validation(args)?),
        ];
        let (live, merged) = if answer.status == 404 {
            let to = with_query(&target.resource.path(&target.namespace, ""), &query);
            let made = k.client.write("POST", &to, "application/json", &annotated(&given)).await?;
            (Value::Null, made.json("")?)
        } else {
            let live = answer.json("")?;
            let last = live["metadata"]["annotations"][super::apply::LAST].as_str().unwrap_or("");
            let original: Value = serde_json::from_str(last).unwrap_or_default();
            let strategic = is_builtin(&target.resource.group);
            // What is remembered stays as it is, and so do other annotations.
            let wanted: Value = serde_json::from_str(&remembered(&given)).unwrap_or_default();
            let patch = three_way(&original, &wanted, &live, strategic);
            let kind = if strategic { super::change::STRATEGIC } else { super::change::MERGE };
            let made = k.client.write("PATCH", &with_query(&path, &query), kind, &patch).await?;
            k.warn(&made.warnings);
            (live, made.json("")?)
        };
        let r = &target.resource;
        let group = if r.group.is_empty() { String::new() } else { format!("{}.", r.group) };
        let name = format!("{group}{}.{}.{}.{}", r.version, r.kind, target.namespace, target.name);
        let keep = args.on("show-managed-fields");
        let shown = |o: &Value| {
            if o.is_null() {
                return String::new();
            }
            yaml(&without_managed(o.clone(), keep))
        };
        let (old, new) = (shown(&live), shown(&merged));
        if old != new {
            differs = true;
            k.print(format!("diff -u -N /tmp/LIVE/{name} /tmp/MERGED/{name}\n--- /tmp/LIVE/{name}\n+++ /tmp/MERGED/{name}\n{}", unified(&old, &new)));
        }
    }
    if differs { Err(Failure::code(1)) } else { Ok(()) }
}

/// The changed lines with those around them.
fn unified(old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let script = script(&a, &b);
    let mut out = String::new();
    let changed: Vec<usize> =
        script.iter().enumerate().filter(|(_, s)| s.0 != ' ').map(|(i, _)| i).collect();
    let mut i = 0;
    while i < changed.len() {
        let begin = changed[i].saturating_sub(CONTEXT);
        let mut last = changed[i];
        // Hunks whose contexts touch are one.
        while i + 1 < changed.len() && changed[i + 1] - last <= 2 * CONTEXT + 1 {
            i += 1;
            last = changed[i];
        }
        i += 1;
        let end = (last + CONTEXT + 1).min(script.len());
        let hunk = &script[begin..end];
        let before = |mark: char| script[..begin].iter().filter(|s| s.0 != mark).count();
        let inside = |mark: char| hunk.iter().filter(|s| s.0 != mark).count();
        let range = |start: usize, count: usize| match count {
            0 => format!("{start},0"),
            1 => format!("{}", start + 1),
            n => format!("{},{n}", start + 1),
        };
        out += &format!(
            "@@ -{} +{} @@\n",
            range(before('+'), inside('+')),
            range(before('-'), inside('-'))
        );
        for (mark, line) in hunk {
            out += &format!("{mark}{line}\n");
        }
    }
    out
}

/// Each line and whether it stays, goes or comes: the longest common subsequence.
fn script<'l>(a: &[&'l str], b: &[&'l str]) -> Vec<(char, &'l str)> {
    if a.len() > MOST || b.len() > MOST {
        let gone = a.iter().map(|l| ('-', *l));
        return gone.chain(b.iter().map(|l| ('+', *l))).collect();
    }
    let width = b.len() + 1;
    let mut same = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            same[i * width + j] = if a[i] == b[j] {
                same[(i + 1) * width + j + 1] + 1
            } else {
                same[(i + 1) * width + j].max(same[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push((' ', a[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < a.len()
            && (j == b.len() || same[(i + 1) * width + j] >= same[i * width + j + 1])
        {
            out.push(('-', a[i]));
            i += 1;
        } else {
            out.push(('+', b[j]));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn hunks_have_their_places() {
        assert_eq!(unified("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        assert_eq!(unified(old, new), "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    }
}
