//! What an expression is made of: how deep it is, and whether it builds what only a protobuf library could (`Point{x: 1}`). No rule may,
//! and the interpreter has no such thing.

use kube_cel::cel::common::ast::{EntryExpr, Expr};

/// How many parts stand within each other.
pub(super) fn depth(expr: &Expr) -> usize {
    1 + parts(expr).into_iter().map(depth).max().unwrap_or_default()
}

/// The type of the first message that the expression builds; an empty text for a part that the parser left out.
pub(super) fn message(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Struct(it) => Some(&it.type_name),
        Expr::Unspecified => Some(""),
        _ => parts(expr).into_iter().find_map(message),
    }
}

/// The parts of an expression.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Select(it) => vec![&it.operand.expr],
        Expr::List(it) => it.elements.iter().map(|it| &it.expr).collect(),
        Expr::Map(it) => it.entries.iter().flat_map(|it| entry(&it.expr)).collect(),
        Expr::Struct(it) => it.entries.iter().flat_map(|it| entry(&it.expr)).collect(),
        Expr::Call(it) => it.target.as_deref().into_iter().chain(&it.args).map(|it| &it.expr).collect(),
        Expr::Comprehension(it) => {
            [&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result].map(|it| &it.expr).into()
        }
    }
}

fn entry(entry: &EntryExpr) -> Vec<&Expr> {
    match entry {
        EntryExpr::StructField(it) => vec![&it.value.expr],
        EntryExpr::MapEntry(it) => vec![&it.key.expr, &it.value.expr],
    }
}
