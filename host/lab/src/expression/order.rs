//! Maps are gone through in the order of their keys.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};

/// The name of the function that puts the keys of a map in order; nobody can write it.
pub(super) const IN_ORDER: &str = "@inOrder";

/// CEL leaves open in which order a map is gone through, and its library uses that freedom: what
/// comprehensions range over is put in order first, so that a check says the same each time.
pub(super) fn in_order(e: &mut IdedExpr) {
    match &mut e.expr {
        Expr::Comprehension(c) => {
            for part in [
                &mut c.iter_range,
                &mut c.accu_init,
                &mut c.loop_cond,
                &mut c.loop_step,
                &mut c.result,
            ] {
                in_order(part);
            }
            let range = std::mem::take(&mut c.iter_range.expr);
            let id = c.iter_range.id;
            c.iter_range.expr = Expr::Call(CallExpr {
                func_name: IN_ORDER.into(),
                target: None,
                args: vec![IdedExpr { id, expr: range }],
            });
        }
        Expr::Select(s) => in_order(&mut s.operand),
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|t| in_order(t));
            call.args.iter_mut().for_each(in_order);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(in_order),
        Expr::Map(map) => map.entries.iter_mut().for_each(|e| entry_in_order(&mut e.expr)),
        Expr::Struct(s) => s.entries.iter_mut().for_each(|e| entry_in_order(&mut e.expr)),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn entry_in_order(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => in_order(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            in_order(&mut entry.key);
            in_order(&mut entry.value);
        }
    }
}
