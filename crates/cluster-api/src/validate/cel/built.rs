//! What an expression builds that only a protobuf library could (`Point{x: 1}`): no rule of ours may, and the interpreter has no such thing.

use kube_cel::cel::common::ast::{ComprehensionExpr, EntryExpr, Expr};

/// The type of the first message that the expression builds; an empty text for a part that the parser left out.
pub(super) fn message(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Struct(it) => Some(&it.type_name),
        Expr::Unspecified => Some(""),
        Expr::Ident(_) | Expr::Literal(_) => None,
        Expr::Select(it) => message(&it.operand.expr),
        Expr::List(it) => it.elements.iter().find_map(|it| message(&it.expr)),
        Expr::Map(it) => it.entries.iter().find_map(|it| entry(&it.expr)),
        Expr::Call(it) => it.target.as_deref().into_iter().chain(&it.args).find_map(|it| message(&it.expr)),
        Expr::Comprehension(it) => parts(it).into_iter().find_map(message),
    }
}

fn entry(expr: &EntryExpr) -> Option<&str> {
    match expr {
        EntryExpr::StructField(it) => message(&it.value.expr),
        EntryExpr::MapEntry(it) => message(&it.key.expr).or_else(|| message(&it.value.expr)),
    }
}

fn parts(it: &ComprehensionExpr) -> [&Expr; 5] {
    [&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result].map(|it| &it.expr)
}
