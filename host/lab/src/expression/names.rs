//! The names in an expression, and whether there are such things.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};

use super::STANDARD;
use crate::vocabulary::{EVENTS, meant};

/// The names in an expression.
#[derive(Default)]
pub(super) struct Names {
    /// Calls whose first argument is a text: "ready" and "web".
    pub(super) calls: Vec<(String, String)>,
    /// Variables that no comprehension binds.
    pub(super) free: BTreeSet<String>,
    /// Fields asked of `event`.
    fields: BTreeSet<String>,
    /// What `event.kind` is compared with.
    kinds: BTreeSet<String>,
    /// Whether the kind of an `object` or of `objects` is not written out.
    pub(super) any_object: bool,
}

/// The kind that an event must have for `e` to hold: what `event.kind` is compared with in a clause
/// that must hold as well.
pub(super) fn needed_kind(e: &IdedExpr) -> Option<String> {
    let Expr::Call(call) = &e.expr else { return None };
    let [a, b] = call.args.as_slice() else { return None };
    match call.func_name.as_str() {
        "_&&_" => needed_kind(a).or_else(|| needed_kind(b)),
        "_==_" => compared_kind(a, b).or_else(|| compared_kind(b, a)),
        _ => None,
    }
}

/// The text of `event.kind == 'text'`.
fn compared_kind(field: &IdedExpr, text: &IdedExpr) -> Option<String> {
    match (&field.expr, &text.expr) {
        (Expr::Select(s), Expr::Literal(LiteralValue::String(text)))
            if s.field == "kind" && is_event(&s.operand, &[]) =>
        {
            Some(text.inner().to_owned())
        }
        _ => None,
    }
}

impl Names {
    pub(super) fn visit(&mut self, e: &IdedExpr, bound: &mut Vec<String>) {
        match &e.expr {
            Expr::Ident(name) => {
                if !name.starts_with('@') && !bound.contains(name) {
                    self.free.insert(name.clone());
                }
            }
            Expr::Select(select) => {
                if is_event(&select.operand, bound) {
                    self.fields.insert(select.field.clone());
                }
                self.visit(&select.operand, bound);
            }
            Expr::Call(call) => {
                if let Some(Expr::Literal(LiteralValue::String(s))) =
                    call.args.first().map(|a| &a.expr)
                {
                    self.calls.push((call.func_name.clone(), s.inner().to_owned()));
                } else if matches!(call.func_name.as_str(), "object" | "objects") {
                    self.any_object = true;
                }
                if let [a, b] = call.args.as_slice()
                    && (call.func_name == "_==_" || call.func_name == "_!=_")
                {
                    for (field, text) in [(a, b), (b, a)] {
                        if let (Expr::Select(s), Expr::Literal(LiteralValue::String(text))) =
                            (&field.expr, &text.expr)
                            && s.field == "kind"
                            && is_event(&s.operand, bound)
                        {
                            self.kinds.insert(text.inner().to_owned());
                        }
                    }
                }
                for part in call.target.iter().map(|t| &**t).chain(&call.args) {
                    self.visit(part, bound);
                }
            }
            Expr::Comprehension(c) => {
                self.visit(&c.iter_range, bound);
                self.visit(&c.accu_init, bound);
                let outer = bound.len();
                bound.extend([c.iter_var.clone(), c.accu_var.clone()]);
                bound.extend(c.iter_var2.clone());
                for part in [&c.loop_cond, &c.loop_step, &c.result] {
                    self.visit(part, bound);
                }
                bound.truncate(outer);
            }
            Expr::List(list) => list.elements.iter().for_each(|e| self.visit(e, bound)),
            Expr::Map(map) => self.visit_entries(map.entries.iter().map(|e| &e.expr), bound),
            Expr::Struct(s) => self.visit_entries(s.entries.iter().map(|e| &e.expr), bound),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn visit_entries<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a EntryExpr>,
        bound: &mut Vec<String>,
    ) {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.visit(&field.value, bound),
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, bound);
                    self.visit(&entry.value, bound);
                }
            }
        }
    }

    /// What can never be true of any event is a mistake, not a check.
    pub(super) fn check(&self) -> Result<(), String> {
        let variables = ["now", "event", "request"];
        for name in &self.free {
            if !variables.contains(&name.as_str()) && !STANDARD.contains(&name.as_str()) {
                let meant = meant(name, variables);
                return Err(format!(
                    "there is no variable {name:?}{meant} There are now and, in checks with `on`, event"
                ));
            }
        }
        for kind in &self.kinds {
            if !EVENTS.kinds.contains(&kind.as_str()) {
                let meant = meant(kind, EVENTS.kinds.iter().copied());
                return Err(format!(
                    "no event is of the kind {kind:?}{meant} The kinds are {}",
                    EVENTS.kinds.join(", ")
                ));
            }
        }
        for field in &self.fields {
            if !EVENTS.fields.contains(field.as_str()) {
                let meant = meant(field, EVENTS.fields.iter().copied());
                let all: Vec<_> = EVENTS.fields.iter().copied().collect();
                return Err(format!(
                    "no event has a field {field:?}{meant} The fields are {}",
                    all.join(", ")
                ));
            }
        }
        Ok(())
    }
}

fn is_event(e: &IdedExpr, bound: &[String]) -> bool {
    matches!(&e.expr, Expr::Ident(name) if name == "event") && !bound.iter().any(|b| b == "event")
}
