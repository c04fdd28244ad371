//! Which fields of events and of requests an expression asks for, so that only these are made:
//! a value with all its fields costs more than most checks.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue};

/// The name of `requests` with the fields that are asked for; nobody can write it.
pub(super) const REQUESTS_WITH: &str = "@requestsWith";

/// Fields of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fields {
    /// The value is used as a whole.
    All,
    /// Only these are asked for.
    Only(Arc<BTreeSet<String>>),
}

impl Fields {
    /// Whether this field is asked for.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Fields::All => true,
            Fields::Only(names) => names.contains(name),
        }
    }

    /// Those of either.
    pub fn and(&self, other: &Fields) -> Fields {
        match (self, other) {
            (Fields::Only(a), Fields::Only(b)) if b.is_subset(a) => Fields::Only(a.clone()),
            (Fields::Only(a), Fields::Only(b)) => Fields::Only(Arc::new(&**a | &**b)),
            _ => Fields::All,
        }
    }
}

/// The fields of the variable `name` that `e` asks for.
pub(super) fn of_variable(e: &IdedExpr, name: &str) -> Fields {
    let mut fields = BTreeSet::new();
    if only_selected(e, name, &mut fields) { Fields::Only(Arc::new(fields)) } else { Fields::All }
}

/// Whether `name` is only ever used to ask for a field; notes the fields. A variable that a
/// comprehension binds hides one of the same name.
fn only_selected(e: &IdedExpr, name: &str, fields: &mut BTreeSet<String>) -> bool {
    match &e.expr {
        Expr::Ident(ident) => ident != name,
        Expr::Select(s) => match &s.operand.expr {
            Expr::Ident(ident) if ident == name => {
                fields.insert(s.field.clone());
                true
            }
            _ => only_selected(&s.operand, name, fields),
        },
        Expr::Comprehension(c) => {
            let hidden = c.iter_var == name || c.iter_var2.as_deref() == Some(name);
            let outside = only_selected(&c.iter_range, name, fields)
                && only_selected(&c.accu_init, name, fields);
            outside
                && (hidden
                    || [&c.loop_cond, &c.loop_step, &c.result]
                        .into_iter()
                        .all(|part| only_selected(part, name, fields)))
        }
        _ => children(e).into_iter().all(|child| only_selected(child, name, fields)),
    }
}

/// The expressions directly inside one that is neither a selection nor a comprehension.
fn children(e: &IdedExpr) -> Vec<&IdedExpr> {
    fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
        match entry {
            EntryExpr::StructField(field) => vec![&field.value],
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        }
    }
    match &e.expr {
        Expr::Call(call) => call.target.iter().map(|t| &**t).chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|e| of_entry(&e.expr)).collect(),
        Expr::Struct(s) => s.entries.iter().flat_map(|e| of_entry(&e.expr)).collect(),
        _ => Vec::new(),
    }
}

/// Puts `@requestsWith(name, fields)` for each `requests(name)` of which it can be told what is
/// asked: where it is gone through, filtered or counted.
pub(super) fn narrow_requests(e: &mut IdedExpr) {
    let mut fields = BTreeSet::new();
    match &e.expr {
        Expr::Comprehension(c) if is_list(&c.iter_range, &mut fields) => {
            let parts = [&c.loop_cond, &c.loop_step, &c.result];
            if parts.into_iter().all(|part| only_selected(part, &c.iter_var, &mut fields)) {
                let Expr::Comprehension(c) = &mut e.expr else { unreachable!("it was one") };
                replace(&mut c.iter_range, &fields);
            }
        }
        Expr::Call(call)
            if call.func_name == "size"
                && call.args.len() == 1
                && is_list(&call.args[0], &mut fields) =>
        {
            let Expr::Call(call) = &mut e.expr else { unreachable!("it was one") };
            replace(&mut call.args[0], &fields);
        }
        _ => {}
    }
    match &mut e.expr {
        Expr::Comprehension(c) => {
            let parts = [
                &mut c.iter_range,
                &mut c.accu_init,
                &mut c.loop_cond,
                &mut c.loop_step,
                &mut c.result,
            ];
            parts.into_iter().for_each(narrow_requests);
        }
        Expr::Select(s) => narrow_requests(&mut s.operand),
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|t| narrow_requests(t));
            call.args.iter_mut().for_each(narrow_requests);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(narrow_requests),
        // Rare: what is inside stays as it is, which only costs time.
        Expr::Map(_) | Expr::Struct(_) => {}
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

/// Whether `e` is `requests(name)`, or such a list filtered; notes what the filters ask for.
fn is_list(e: &IdedExpr, fields: &mut BTreeSet<String>) -> bool {
    match &e.expr {
        Expr::Call(call) => is_requests(call),
        Expr::Comprehension(c) => {
            is_list(&c.iter_range, fields)
                && filtered(&c.loop_step, &c.iter_var, &c.accu_var)
                    .is_some_and(|condition| only_selected(condition, &c.iter_var, fields))
        }
        _ => false,
    }
}

fn is_requests(call: &CallExpr) -> bool {
    call.func_name == "requests" && call.target.is_none() && call.args.len() == 1
}

/// The condition of `condition ? list + [element] : list`, which is what `filter` comes to.
fn filtered<'a>(step: &'a IdedExpr, element: &str, list: &str) -> Option<&'a IdedExpr> {
    let call = |e: &'a IdedExpr, name: &str| match &e.expr {
        Expr::Call(call) if call.func_name == name && call.target.is_none() => Some(&call.args),
        _ => None,
    };
    let is = |e: &IdedExpr, name: &str| matches!(&e.expr, Expr::Ident(i) if i == name);
    let [condition, longer, same] = call(step, "_?_:_")?.as_slice() else { return None };
    let [before, added] = call(longer, "_+_")?.as_slice() else { return None };
    let Expr::List(ListExpr { elements, .. }) = &added.expr else { return None };
    let [one] = elements.as_slice() else { return None };
    (is(same, list) && is(before, list) && is(one, element)).then_some(condition)
}

/// Asks only for `fields` in a list that [`is_list`].
fn replace(e: &mut IdedExpr, fields: &BTreeSet<String>) {
    let id = e.id;
    match &mut e.expr {
        Expr::Comprehension(c) => replace(&mut c.iter_range, fields),
        Expr::Call(call) => {
            let text = |field: &String| IdedExpr {
                id,
                expr: Expr::Literal(LiteralValue::String(field.clone().into())),
            };
            call.func_name = REQUESTS_WITH.into();
            let list = Expr::List(ListExpr::new(fields.iter().map(text).collect()));
            call.args.push(IdedExpr { id, expr: list });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(source: &str) -> IdedExpr {
        cel::Program::compile(source).unwrap().expression().clone()
    }

    #[test]
    fn what_is_asked_of_a_variable_is_known() {
        let only = |names: &[&str]| {
            Fields::Only(Arc::new(names.iter().map(|n| (*n).to_owned()).collect()))
        };
        let of = |source| of_variable(&parsed(source), "event");
        assert_eq!(of("event.kind == 'log' && event.pod != 'a'"), only(&["kind", "pod"]));
        assert_eq!(of("has(event.line) && [1].all(x, event.seq > x)"), only(&["line", "seq"]));
        assert_eq!(of("ready('web')"), only(&[]));
        assert_eq!(of("[{'kind': 1}].all(event, event == {'kind': 1})"), only(&[]));
        assert_eq!(of("event == null"), Fields::All);
        assert_eq!(of("event['kind'] == 'log'"), Fields::All);
        assert_eq!(of("size(event) > 1"), Fields::All);
        assert_eq!(of("[1].map(x, event).all(e, e.kind == 'log')"), Fields::All);
        assert_eq!(only(&["a"]).and(&only(&["b"])), only(&["a", "b"]));
        assert_eq!(only(&["a"]).and(&Fields::All), Fields::All);
    }

    #[test]
    fn only_lists_of_which_all_uses_are_seen_are_narrowed() {
        let asked = |source: &str| {
            let mut e = parsed(source);
            narrow_requests(&mut e);
            let text = format!("{e:?}");
            let fields = ["ok", "at", "status", "body", "error"];
            let at = text.find(REQUESTS_WITH)?;
            let list = &text[at..text[at..].find("], optional").map_or(text.len(), |n| at + n)];
            Some(
                fields.into_iter().filter(|f| list.contains(&format!("{f:?}"))).collect::<Vec<_>>(),
            )
        };
        assert_eq!(asked("requests('p').all(r, r.ok)"), Some(vec!["ok"]));
        assert_eq!(asked("size(requests('p')) == 3"), Some(vec![]));
        assert_eq!(
            asked("size(requests('p').filter(r, r.status == 200)) > 1"),
            Some(vec!["status"])
        );
        assert_eq!(
            asked("requests('p').filter(r, r.at > 5.0).exists(q, q.body == '' || q.ok)"),
            Some(vec!["ok", "at", "body"])
        );
        assert_eq!(asked("percentile(requests('p').map(r, r.at), 99.0) < 5.0"), Some(vec!["at"]));
        assert_eq!(asked("requests('p').filter(r, r.ok).map(r, r)[0].ok"), None);
        assert_eq!(asked("requests('p').filter(r, r.ok)[0].body == ''"), None);
        assert_eq!(asked("requests('p')[0].ok"), None);
        assert_eq!(asked("requests('p').all(r, r == requests('q')[0])"), None);
    }
}
