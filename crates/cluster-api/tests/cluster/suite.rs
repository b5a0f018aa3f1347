//! The behaviour suite: requests, and what a real kube-apiserver 1.36 (with etcd and kube-controller-manager) answered.
//!
//! A case in `tests/data/suite/*.json` has a name and steps; each case runs in a namespace of its own, `{ns}` in paths and bodies.
//!
//! | Field of a step | Meaning |
//! |---|---|
//! | `do` | method and path |
//! | `as` | whose token; `admin` if missing |
//! | `type` | content type; JSON, or a merge patch, if missing |
//! | `accept` | what is wanted; JSON if missing |
//! | `body` | the body: JSON, or a text as it is |
//! | `keep` | the answer's name: `${name.metadata.uid}` stands for a value of it in later steps |
//! | `eventually` | it is asked again until the answer is the expected one |
//! | `code`, `answer`, `warnings` | what is expected; written by the recorder |
//!
//! What differs each time (times, UIDs, revisions, generated names) is masked. `CLUSTER_API_REAL=https://127.0.0.1:6443` has the same
//! asked of a real server whose tokens are `admin`, `alice` and `bob` (`bob` in the group `devs`); with `CLUSTER_API_RECORD=1` what it
//! answers is written down as expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common;

/// How long something may take to come about on a real server.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, Deserialize)]
struct Case {
    name: String,
    steps: Vec<Step>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Step {
    #[serde(rename = "do")]
    what: String,
    #[serde(rename = "as", skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    accept: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    body: Value,
    #[serde(skip_serializing_if = "String::is_empty")]
    keep: String,
    #[serde(skip_serializing_if = "is_false")]
    eventually: bool,
    code: u16,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    answer: Value,
}

fn is_false(it: &bool) -> bool {
    !it
}

/// A request, ready to be sent.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) user: String,
    pub(crate) kind: String,
    pub(crate) accept: String,
    pub(crate) body: String,
}

/// What came back.
pub(crate) struct Told {
    pub(crate) code: u16,
    pub(crate) warnings: Vec<String>,
    pub(crate) text: String,
}

/// Who answers.
enum Api {
    Ours(cluster_api::Cluster),
    Real(Arc<crate::real::Real>),
}

impl Api {
    async fn ask(&self, asked: &Asked) -> Told {
        match self {
            Self::Ours(cluster) => common::ask(cluster, asked).await,
            Self::Real(real) => real.ask(asked).await,
        }
    }
}

/// One case while it runs.
struct Run<'a> {
    api: &'a Api,
    namespace: String,
    kept: BTreeMap<String, Value>,
}

impl Run<'_> {
    /// The step's request, with everything filled in that stands for something.
    fn asked(&self, step: &Step) -> Asked {
        let (method, path) = step.what.split_once(' ').unwrap_or((&step.what, "/"));
        let body = match &step.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let kind = match (step.kind.as_str(), method) {
            ("", "PATCH") => "application/merge-patch+json",
            ("", _) => "application/json",
            (kind, _) => kind,
        };
        let own = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        Asked {
            method: method.to_owned(),
            path: self.filled(path),
            user: own(&step.user, "admin"),
            kind: kind.to_owned(),
            accept: own(&step.accept, "application/json"),
            body: self.filled(&body),
        }
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text.replace("{ns}", &self.namespace);
        for (name, value) in &self.kept {
            for (path, key) in [
                ("/metadata/uid", "uid"),
                ("/metadata/resourceVersion", "resourceVersion"),
                ("/metadata/continue", "continue"),
            ] {
                let place = format!("${{{name}.metadata.{key}}}");
                text = text.replace(&place, value.pointer(path).and_then(Value::as_str).unwrap_or_default());
            }
        }
        text
    }

    async fn told(&mut self, step: &Step) -> (u16, Vec<String>, Value) {
        let told = self.api.ask(&self.asked(step)).await;
        let mut value = parsed(&told.text);
        if !step.keep.is_empty() {
            self.kept.insert(step.keep.clone(), value.clone());
        }
        mask(&mut value, &self.namespace);
        (told.code, told.warnings, value)
    }

    /// What is other than expected.
    async fn step(&mut self, step: &mut Step, record: bool) -> Option<String> {
        let begin = tokio::time::Instant::now();
        loop {
            let (code, warnings, answer) = self.told(step).await;
            mask(&mut step.answer, &self.namespace);
            let same = code == step.code && answer == step.answer && warnings == step.warnings;
            let waits = step.eventually && (if record { code != step.code } else { !same });
            if waits && begin.elapsed() < PATIENCE && matches!(self.api, Api::Real(_)) {
                tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>())
                    .await
                    .unwrap_or_default();
                continue;
            }
            if record {
                (step.code, step.warnings, step.answer) = (code, warnings, answer);
                return None;
            }
            let (expected, found) = (pretty(step.code, &step.warnings, &step.answer), pretty(code, &warnings, &answer));
            return (!same).then(|| format!("{}\n{}", step.what, difference(&expected, &found)));
        }
    }
}

/// JSON, lines of JSON, or a text.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        lines.map_or_else(|_| Value::from(text), Value::from)
    })
}

fn pretty(code: u16, warnings: &[String], answer: &Value) -> String {
    serde_json::to_string_pretty(&json!({"code": code, "warnings": warnings, "answer": answer})).unwrap_or_default()
}

/// The lines that only one of the two has.
fn difference(expected: &str, found: &str) -> String {
    let (left, right): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let only = |mark: &str, these: &[&str], those: &[&str]| {
        let lines = these.iter().filter(|line| !those.contains(line)).map(|line| format!("  {mark} {line}\n"));
        lines.collect::<String>()
    };
    format!("{}{}", only("-", &left, &right), only("+", &right, &left))
}

/// Takes out what differs each time.
fn mask(value: &mut Value, namespace: &str) {
    const TIMES: [&str; 8] = [
        "creationTimestamp",
        "deletionTimestamp",
        "time",
        "lastTransitionTime",
        "uid",
        "token",
        "expirationTimestamp",
        "clusterIP",
    ];
    match value {
        Value::Object(fields) => {
            if fields.get("continue").is_some_and(|it| it == "") {
                fields.remove("continue");
            }
            if let Some(prefix) =
                fields.get("generateName").and_then(Value::as_str).map(|it| it.chars().take(58).collect::<String>())
                && let Some(name) =
                    fields.get_mut("name").filter(|it| it.as_str().is_some_and(|it| it.starts_with(&prefix)))
            {
                *name = format!("{prefix}<generated>").into();
            }
            if let Some(managers) = fields.get_mut("managedFields").and_then(Value::as_array_mut) {
                // They are ordered by time, which is another each time.
                managers.sort_by_key(|it| {
                    ["operation", "manager", "subresource"].map(|key| it[key].as_str().unwrap_or_default().to_owned())
                });
            }
            sort_conflicts(fields);
            let keys = std::mem::take(fields).into_iter();
            *fields = keys.map(|(key, field)| (masked(&key, namespace), field)).collect();
            for (key, field) in fields.iter_mut() {
                match field {
                    Value::String(text) if TIMES.contains(&key.as_str()) && !text.is_empty() && text.len() > 5 => {
                        *field = "<masked>".into()
                    }
                    Value::String(text) if key == "resourceVersion" && text.parse::<u64>().is_ok_and(|it| it > 0) => {
                        *field = "<masked>".into()
                    }
                    Value::String(_) if key == "continue" => *field = "<masked>".into(),
                    Value::Array(_) if key == "clusterIPs" => *field = "<masked>".into(),
                    other => mask(other, namespace),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| mask(it, namespace)),
        Value::String(text) => *text = masked(text, namespace),
        _ => {}
    }
}

/// Conflicts with several managers are told in the order of the managers' times, too.
fn sort_conflicts(fields: &mut serde_json::Map<String, Value>) {
    if let Some(causes) = fields.get_mut("causes").and_then(Value::as_array_mut)
        && causes.iter().all(|it| it["reason"] == "FieldManagerConflict")
    {
        causes.sort_by_key(Value::to_string);
    }
    if let Some(Value::String(message)) =
        fields.get_mut("message").filter(|it| it.as_str().is_some_and(|it| it.starts_with("Apply failed with")))
    {
        let mut lines: Vec<_> = message.lines().collect();
        lines.sort_unstable();
        *message = lines.join("\n");
    }
}

/// A text without what differs each time.
fn masked(text: &str, namespace: &str) -> String {
    static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
            (
                r"(in record \(|current: |\\?.resourceVersion\\?.:\\?.|Too large resource version: )\d+",
                "${1}<revision>",
            ),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
            ("(Gen-)[a-z0-9]{5}", "${1}<generated>"),
        ]
        .map(|(pattern, instead)| (Regex::new(pattern).expect("it is one"), instead))
        .into()
    });
    let text = PATTERNS
        .iter()
        .fold(text.to_owned(), |text, (pattern, instead)| pattern.replace_all(&text, *instead).into_owned());
    text.replace(namespace, "{ns}")
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new("tests/data/suite");
    let entries = std::fs::read_dir(folder).expect("the suite is there");
    let mut files: Vec<_> = entries
        .filter_map(|it| Some(it.ok()?.path()))
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    files
}

/// Plays all cases; says how many, and what differs.
async fn play(api: impl AsyncFn() -> Api, record: bool) -> (usize, Vec<String>) {
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a file that was listed");
        let mut cases: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|it| panic!("{}: {it}", file.display()));
        for case in &mut cases {
            let api = api().await;
            let mut run = begin(&api).await;
            let mut differs = None;
            for step in &mut case.steps {
                count += 1;
                differs = run.step(step, record).await;
                if differs.is_some() {
                    break;
                }
            }
            wrong.extend(differs.map(|what| format!("{}: {what}", case.name)));
            end(&run, case).await;
        }
        if record {
            let text = serde_json::to_string_pretty(&cases).expect("they were read");
            std::fs::write(&file, text + "\n").expect("the suite can be written");
        }
    }
    (count, wrong)
}

/// A namespace of its own.
async fn begin(api: &Api) -> Run<'_> {
    let mut run = Run { api, namespace: String::new(), kept: BTreeMap::new() };
    let create = Step {
        what: "POST /api/v1/namespaces".to_owned(),
        body: json!({"metadata": {"generateName": "suite-"}}),
        keep: "namespace".to_owned(),
        ..Step::default()
    };
    run.told(&create).await;
    let made = run.kept.get("namespace").and_then(|it| it.pointer("/metadata/name")).and_then(Value::as_str);
    run.namespace = made.unwrap_or("none").to_owned();
    run
}

/// A real server is left as it was found.
async fn end(run: &Run<'_>, case: &Case) {
    let text = serde_json::to_string(case).unwrap_or_default();
    let whole = text.contains("foos.suite.example.org");
    if matches!(run.api, Api::Real(_)) {
        for path in [
            "/api/v1/namespaces/{ns}",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/foos.suite.example.org",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/suite",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/suite",
        ] {
            run.api.ask(&run.asked(&Step { what: format!("DELETE {path}"), ..Step::default() })).await;
        }
        let definition = Step {
            what: "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/foos.suite.example.org".to_owned(),
            ..Step::default()
        };
        let begin = tokio::time::Instant::now();
        while whole && run.api.ask(&run.asked(&definition)).await.code != 404 && begin.elapsed() < PATIENCE {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn this_one_answers_as_the_real_one_did() {
    let (count, wrong) = play(async || Api::Ours(common::cluster().0), false).await;
    println!("{count} answers compared");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_real_one_answers_as_it_did() {
    let Ok(url) = std::env::var("CLUSTER_API_REAL") else {
        println!("not asked of a real server: CLUSTER_API_REAL is not set");
        return;
    };
    let record = std::env::var("CLUSTER_API_RECORD").is_ok();
    let real = Arc::new(crate::real::Real::at(&url));
    let (count, wrong) = play(async || Api::Real(real.clone()), record).await;
    println!("{count} answers compared");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
