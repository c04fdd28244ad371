//! `podFailurePolicy` and `successPolicy` (`pkg/controller/job/{pod_failure_policy,success_policy}.go`).

use serde_json::Value;

use crate::store::kinds::job_indexes::Indexes;
use crate::store::object;
use crate::store::object::list;

/// What the failure policy says about a failed pod.
pub(super) struct Verdict {
    /// The action of the rule that matched, if any.
    pub action: Option<String>,
    /// Why the whole Job fails, if it does.
    pub fails_job: Option<String>,
}

impl Verdict {
    /// Whether the failure is counted against the limit.
    pub(super) fn counts(&self) -> bool {
        self.action.as_deref() != Some("Ignore")
    }
}

/// The first rule that matches decides.
pub(super) fn judge(job: &Value, pod: &Value) -> Verdict {
    let (namespace, name) = (object::namespace(pod), object::name(pod));
    for (i, rule) in list(&job["spec"]["podFailurePolicy"], "rules").iter().enumerate() {
        let action = rule["action"].as_str().unwrap_or("");
        let why = if rule["onExitCodes"].is_object() {
            exit(pod, &rule["onExitCodes"]).map(|(container, code)| {
                format!("Container {container} for pod {namespace}/{name} failed with exit code {code} matching {action} rule at index {i}")
            })
        } else {
            condition(pod, list(rule, "onPodConditions")).map(|kind| {
                format!("Pod {namespace}/{name} has condition {kind} matching {action} rule at index {i}")
            })
        };
        if let Some(why) = why {
            let fails_job = (action == "FailJob").then_some(why);
            return Verdict { action: Some(action.to_owned()), fails_job };
        }
    }
    Verdict { action: None, fails_job: None }
}

fn exit<'a>(pod: &'a Value, rule: &Value) -> Option<(&'a str, i64)> {
    let values = list(rule, "values");
    ["containerStatuses", "initContainerStatuses"]
        .iter()
        .flat_map(|f| list(&pod["status"], f))
        .filter(|c| rule["containerName"].as_str().is_none_or(|n| c["name"] == n))
        .find_map(|c| {
            let code = c["state"]["terminated"]["exitCode"].as_i64().filter(|c| *c != 0)?;
            let found = values.iter().any(|v| *v == code);
            let matches = if rule["operator"] == "In" { found } else { !found };
            matches.then(|| (c["name"].as_str().unwrap_or(""), code))
        })
}

fn condition<'a>(pod: &Value, rules: &'a [Value]) -> Option<&'a str> {
    let has = |rule: &&Value| {
        let all = list(&pod["status"], "conditions");
        all.iter().any(|c| c["type"] == rule["type"] && c["status"] == rule["status"])
    };
    rules.iter().find(has)?["type"].as_str()
}

/// The message of the first rule that the succeeded indexes fulfil.
pub(super) fn succeeded(job: &Value, done: &Indexes) -> Option<String> {
    let completions = job["spec"]["completions"].as_u64()?;
    let rules = list(&job["spec"]["successPolicy"], "rules");
    let met = |rule: &Value| {
        let wanted = rule["succeededCount"].as_u64();
        match rule["succeededIndexes"].as_str() {
            Some(text) => {
                let required = Indexes::lenient(text, completions);
                required.common(done) >= wanted.unwrap_or(required.len())
            }
            None => wanted.is_some_and(|n| done.len() >= n),
        }
    };
    let at = rules.iter().position(met).filter(|_| !done.is_empty())?;
    Some(format!("Matched rules at index {at}"))
}
