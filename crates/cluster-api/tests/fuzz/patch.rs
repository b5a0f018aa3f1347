//! Patches of all kinds, and server-side apply.

use proptest::prelude::*;
use proptest::sample::select;

use crate::api::{Asked, check, cluster};
use crate::inputs::{damaged, object, operations, value};
use crate::runner::fuzz;
use crate::{OBJECTS, PATCHES};

fn patched(kind: &'static str) -> impl Strategy<Value = Asked> {
    let query = if kind == PATCHES[3] { "?fieldManager=f&force=true" } else { "" };
    select(&OBJECTS[..]).prop_flat_map(move |path| {
        let whole = prop_oneof![2 => object(path), 1 => value()];
        let sent = if kind == PATCHES[0] { operations().boxed() } else { whole.boxed() };
        let body = prop_oneof![3 => sent.prop_map(|it| it.to_string().into_bytes()), 1 => damaged(value().prop_map(|it| it.to_string()))];
        body.prop_map(move |body| Asked { method: "PATCH", path: format!("{path}{query}"), kind, body })
    })
}

#[test]
fn json_patches() {
    fuzz(patched(PATCHES[0]), cluster, |cluster, asked| check(cluster, &asked));
}

#[test]
fn merge_patches() {
    fuzz(patched(PATCHES[1]), cluster, |cluster, asked| check(cluster, &asked));
}

#[test]
fn strategic_merge_patches() {
    fuzz(patched(PATCHES[2]), cluster, |cluster, asked| check(cluster, &asked));
}

#[test]
fn applies() {
    fuzz(patched(PATCHES[3]), cluster, |cluster, asked| check(cluster, &asked));
}
