//! Whole bodies, paths and queries.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::api::{Asked, ask, check, check_answer, cluster};
use crate::inputs::{damaged, object, value};
use crate::runner::fuzz;
use crate::{BODIES, OBJECTS, PATCHES};

#[test]
fn objects() {
    let place = (select(&["PUT", "POST", "DELETE"][..]), select(&BODIES[..]), select(&OBJECTS[..]));
    let asked = place.prop_flat_map(|(method, kind, path)| {
        let path = if method == "POST" { path.trim_end_matches("/a").to_owned() } else { path.to_owned() };
        let whole = object(&path).prop_map(|it| it.to_string());
        let octets = vec(any::<u8>(), 0..64);
        let wire = octets.prop_map(|it| [b"k8s\0".as_slice(), &it].concat());
        let body = prop_oneof![3 => whole.prop_map(String::into_bytes), 2 => damaged(value().prop_map(|it| it.to_string())), 1 => wire];
        body.prop_map(move |body| Asked { method, path: path.clone(), kind, body })
    });
    fuzz(asked, cluster, |cluster, asked| check(cluster, &asked));
}

#[test]
fn yaml() {
    let line = prop_oneof![
        "[ ]{0,6}[a-z$&*!|>%@`-]{1,4}:? ?[a-z0-9&*!|>{}\\[\\],#'\"~.-]{0,8}",
        "- ?[a-z&*:]{0,5}",
        "---|\\.\\.\\.|\\t"
    ];
    let text = vec(line, 0..24)
        .prop_map(|it| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n{}\n", it.join("\n")));
    let kinds = &["application/yaml", "application/apply-patch+yaml"][..];
    let asked = (select(kinds), damaged(text)).prop_map(|(kind, body)| {
        let (method, query) = if kind == PATCHES[3] { ("PATCH", "?fieldManager=f") } else { ("PUT", "") };
        Asked { method, path: format!("{}{query}", OBJECTS[0]), kind, body }
    });
    fuzz(asked, cluster, |cluster, asked| check(cluster, &asked));
}

#[test]
fn paths_and_queries() {
    const PARTS: [&str; 24] = [
        "api",
        "apis",
        "v1",
        "apps",
        "namespaces",
        "default",
        "configmaps",
        "a",
        "watch",
        "status",
        "scale",
        "openapi",
        "v2",
        "v3",
        "foos",
        "example.org",
        "",
        ".",
        "..",
        "%2F",
        "%00",
        "%zz",
        "proxy",
        "token",
    ];
    const KEYS: [&str; 18] = [
        "labelSelector",
        "fieldSelector",
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "watch",
        "timeoutSeconds",
        "allowWatchBookmarks",
        "sendInitialEvents",
        "fieldManager",
        "fieldValidation",
        "dryRun",
        "force",
        "pretty",
        "includeObject",
        "propagationPolicy",
        "x",
    ];
    const VALUES: [&str; 14] = [
        "",
        "true",
        "0",
        "1",
        "-1",
        "99999999999999999999",
        "a=b",
        "a%20in%20(b,c)",
        "!a",
        "metadata.name=a",
        "%",
        "NotOlderThan",
        "Exact",
        "All",
    ];
    let part = prop_oneof![8 => select(&PARTS[..]).prop_map(str::to_owned), 1 => "[!-~]{0,6}"];
    let given = prop_oneof![3 => select(&VALUES[..]).prop_map(str::to_owned), 2 => "[a-zA-Z0-9=!,()<>.%+ /-]{0,16}".prop_map(|it| it.replace(' ', "%20"))];
    let query = vec((select(&KEYS[..]), given), 0..4)
        .prop_map(|it| it.iter().map(|(key, it)| format!("{key}={it}")).collect::<Vec<_>>().join("&"));
    let place = prop_oneof![
        vec(part, 0..8).prop_map(|it| format!("/{}", it.join("/"))),
        select(&OBJECTS[..]).prop_map(str::to_owned),
        select(&OBJECTS[..]).prop_map(|it| it.trim_end_matches("/a").to_owned()),
    ];
    let method = select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    let asked = (method, place, query).prop_map(|(method, place, query)| Asked {
        method,
        path: format!("{place}?{query}"),
        kind: "application/json",
        body: Vec::new(),
    });
    fuzz(asked, cluster, |cluster, asked| check(cluster, &asked));
}

/// Nested `depth` times, every way that a body can be.
fn nested(depth: usize) -> Vec<String> {
    [("[", "]"), ("{\"a\":", "}"), ("- ", ""), ("? ", ""), ("{a: ", "}"), ("!!x ", "")]
        .iter()
        .map(|(open, close)| format!("{}1{}", open.repeat(depth), close.repeat(depth)))
        .collect()
}

#[test]
fn what_is_deep_or_large_is_answered() {
    const MANY: usize = 5 * 1024 * 1024;
    let cluster = cluster();
    let mut bodies: Vec<String> = [100, 126, 127, 128, 1000, 100_000].into_iter().flat_map(nested).collect();
    bodies.extend(nested(MANY / 6));
    bodies.push("x".repeat(MANY));
    bodies.push(format!("{{\"data\":{{\"a\":\"{}\"}}}}", "x".repeat(MANY)));
    bodies.push(format!("{{\"metadata\":{{\"name\":\"a\"}},\"data\":{{\"a\":\"{}\"}}}}", "x".repeat(MANY / 2)));
    bodies.push(format!("[{}1]", "1,".repeat(MANY / 4)));
    let anchors = (1..30).map(|it| format!("a{it}: &a{it} [*a{0}, *a{0}, *a{0}, *a{0}]\n", it - 1));
    bodies.push(format!("a0: &a0 x\n{}", anchors.collect::<String>()));
    for body in bodies {
        for kind in PATCHES.into_iter().chain(BODIES) {
            let patch = PATCHES.contains(&kind);
            let method = if patch { "PATCH" } else { "PUT" };
            let query = if kind == PATCHES[3] { "?fieldManager=f" } else { "" };
            let asked = Asked { method, path: format!("{}{query}", OBJECTS[0]), kind, body: body.clone().into_bytes() };
            let shown = body.get(..40).unwrap_or(&body);
            let (code, text) = ask(&cluster, &asked).expect("a request");
            check_answer(code, &text).unwrap_or_else(|it| panic!("{kind}: {shown}…: {it}"));
            if body.len() > 3 * 1024 * 1024 {
                assert_eq!(code, 413, "{kind}: {shown}…");
            }
        }
    }
}
