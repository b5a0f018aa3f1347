//! What patches and applies make of objects, and who owns what then: as a real API server answered.
//!
//! `patches/*.yaml` are the cases, `patches/recorded.json` what kube-apiserver 1.36 answered to each step (by `patches/record.py`).
//! Every step starts from the object that the real one had stored, so that one mistake is told once. What is not this crate's patches'
//! business is taken from the answer: defaults, uids, time stamps of objects.

use std::sync::Arc;

use cluster_api::managed::{self, Apply, Write};
use cluster_api::{ApiError, Schema, builtin, patch};
use serde_json::{Value, json};

/// Later than all recorded times: shows where a time moved that should not have.
const NEVER: &str = "2099-01-01T00:00:00Z";
/// What the server itself writes into an object.
const SERVERS_OWN: [&str; 5] = ["uid", "creationTimestamp", "resourceVersion", "generation", "namespace"];

struct Case<'a> {
    name: &'a str,
    kind: &'a str,
    api_version: &'a str,
    schema: Arc<Schema>,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn schema_of(kind: &str) -> Arc<Schema> {
    if kind == "Widget" {
        let widget: Value = serde_saphyr::from_str(include_str!("patches/widget.yaml")).expect("widget.yaml is YAML");
        return Arc::new(Schema::read(&widget["spec"]["versions"][0]["schema"]["openAPIV3Schema"]));
    }
    let resource = builtin::resources().iter().find(|it| it.kind == kind);
    resource.expect("a built-in kind").schema().clone()
}

fn entries(object: &Value) -> Vec<Value> {
    object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
}

fn without_entries(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

/// When the step was made: the time that is new in the answer, else one that must not show up.
fn time_of(answer: &Value, live: Option<&Value>) -> String {
    let times =
        |object: &Value| -> Vec<String> { entries(object).iter().map(|it| text(it, "time").to_owned()).collect() };
    let old = live.map(times).unwrap_or_default();
    let new = times(answer).into_iter().filter(|time| !time.is_empty() && !old.contains(time)).max();
    new.unwrap_or_else(|| NEVER.to_owned())
}

/// The object, of which a write of its status leaves all else as the server has it.
fn only_status(mut ours: Value, answer: &Value) -> Value {
    if answer["spec"].is_object() {
        ours["spec"] = answer["spec"].clone();
    }
    ours
}

/// The object before the server gave it addresses, ports and finalizers, which it does after it has tracked the write.
fn as_sent(kind: &str, mut object: Value, live: Option<&Value>) -> Value {
    let made: &[&str] = match kind {
        "Service" => &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"],
        "Namespace" => &["finalizers"],
        _ => &[],
    };
    let known = |key: &str| live.is_some_and(|it| !it["spec"][key].is_null());
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|key, _| !made.contains(&key.as_str()) || known(key));
    }
    if kind == "Service" {
        for port in object.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().map(|port| port.remove("nodePort"));
        }
    }
    object
}

/// Our answer to the step.
fn play(case: &Case<'_>, step: &Value, live: Option<&Value>) -> Result<Value, ApiError> {
    let (body, answer, subresource) = (&step["body"], &step["answer"], text(step, "subresource"));
    let custom = case.kind == "Widget";
    let has_status = !matches!(case.kind, "ConfigMap");
    let now = time_of(answer, live);
    let (manager, reset) = (text(step, "manager"), managed::reset_of(subresource, has_status, custom));
    let (api_version, typed) = (case.api_version, !custom);
    if step["do"] == "apply" {
        let (force, kind) = (step["force"] == true, case.kind);
        let how = Apply { manager, force, subresource, api_version, kind, now: &now, reset, typed };
        let applied = managed::apply(live, body, &case.schema, &how);
        return applied.map(|ours| if subresource.is_empty() { ours } else { only_status(ours, answer) });
    }
    let current = live.cloned().unwrap_or_default();
    let patched = match text(step, "do") {
        "json" => patch::json(&current, body)?,
        "merge" => patch::check_merge(body).map(|()| patch::merge(&current, body))?,
        "strategic" => patch::strategic(&current, body, &case.schema)?,
        _ => body.clone(),
    };
    // From here on with what the server's defaults and strategies made of it.
    let mut after = as_sent(case.kind, without_entries(answer.clone()), live);
    if let Some(entries) = patched["metadata"].get("managedFields") {
        after["metadata"]["managedFields"] = entries.clone();
    }
    let how = Write { manager, subresource, api_version, now: &now, reset, typed };
    let tracked = managed::update(live, after, &case.schema, &how);
    let mut patched = if subresource.is_empty() { patched } else { without_entries(answer.clone()) };
    patched["metadata"]["managedFields"] = tracked["metadata"]["managedFields"].clone();
    Ok(patched)
}

/// Where the answer is not ours; what the server may have added is passed over.
fn differences(ours: &Value, theirs: &Value, path: &str, defaulted: bool, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in ours {
                let path = format!("{path}.{key}");
                let servers = SERVERS_OWN.iter().any(|own| path == format!(".metadata.{own}")) || path == ".status";
                match theirs.get(key) {
                    _ if servers => {}
                    Some(other) => differences(value, other, &path, defaulted, found),
                    None if value.is_null() || *value == json!([]) || *value == json!({}) => {}
                    None => found.push(format!("{path}: only ours has it: {value}")),
                }
            }
            for (key, value) in theirs.iter().filter(|(key, _)| !ours.contains_key(*key)) {
                let path = format!("{path}.{key}");
                let servers = SERVERS_OWN.iter().any(|own| path == format!(".metadata.{own}")) || path == ".status";
                if !servers && !defaulted && key != "protocol" {
                    found.push(format!("{path}: only theirs has it: {value}"));
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differences(ours, theirs, &format!("{path}[{index}]"), defaulted, found);
            }
        }
        (Value::Number(ours), Value::Number(theirs)) if ours.as_f64() == theirs.as_f64() => {}
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => found.push(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

/// Whether ours has `null` where the real one's validation would not have it.
fn is_null_at(ours: &Value, answer: &Value) -> bool {
    let cause = &answer["details"]["causes"][0];
    let pointer = format!("/{}", text(cause, "field").replace('.', "/"));
    text(cause, "message").starts_with("Invalid value: \"null\"") && ours.pointer(&pointer).is_some_and(Value::is_null)
}

fn compare(case: &Case<'_>, ours: Result<Value, ApiError>, step: &Value) -> Vec<String> {
    let (answer, refused) = (&step["answer"], step["code"].as_u64().is_some_and(|code| code >= 300));
    let mut found = Vec::new();
    match ours {
        // Validation is not ours to do here, but what it found is to be seen in ours too.
        Ok(ours) if refused && is_null_at(&ours, answer) => {}
        Ok(_) if refused => found.push(format!("refused by the real one: {answer}")),
        Err(error) if !refused => found.push(format!("refused by ours: {error}")),
        Err(error) => {
            let mut ours = error.to_status();
            let mut theirs = answer.clone();
            // Which of several managers comes first is chance in the real one. Empty details are no details.
            for status in [&mut ours, &mut theirs] {
                let mut causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
                causes.sort_by_key(Value::to_string);
                status["details"] = json!(causes);
            }
            if ours != theirs {
                found.push(format!("ours {ours}\n    theirs {theirs}"));
            }
        }
        Ok(ours) => {
            if entries(&ours) != entries(answer) {
                let line = |it: &Value| entries(it).iter().map(|it| format!("\n      {it}")).collect::<String>();
                found.push(format!("owners: ours{}\n    theirs{}", line(&ours), line(answer)));
            }
            let defaulted = !matches!(case.kind, "Widget" | "ConfigMap");
            differences(&without_entries(ours), &without_entries(answer.clone()), "", defaulted, &mut found);
        }
    }
    found
}

/// Plays all of a file; says how many steps there were, and where ours differ.
fn replay(file: &str) -> (usize, Vec<String>) {
    let cases: Value = serde_json::from_str(file).expect("a recording is JSON");
    let (mut wrong, mut steps) = (Vec::new(), 0);
    for recorded in cases.as_array().expect("a list of cases") {
        let (name, kind) = (text(recorded, "name"), text(recorded, "kind"));
        let case = Case { name, kind, api_version: text(recorded, "apiVersion"), schema: schema_of(kind) };
        let mut live: Option<&Value> = None;
        for (index, step) in recorded["steps"].as_array().expect("a list of steps").iter().enumerate() {
            steps += 1;
            for difference in compare(&case, play(&case, step, live), step) {
                wrong.push(format!("{}, step {index} ({}):\n    {difference}", case.name, text(step, "do")));
            }
            if step["code"].as_u64().is_some_and(|code| code < 300) {
                live = Some(&step["answer"]);
            }
        }
    }
    (steps, wrong)
}

#[test]
fn every_step_is_answered_as_the_real_api_server_answered() {
    let (steps, wrong) = replay(include_str!("patches/recorded.json"));
    assert!(steps >= 300, "only {steps} steps were played");
    assert!(wrong.is_empty(), "{} of {steps} steps differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn random_histories_go_as_with_the_real_api_server() {
    let (steps, wrong) = replay(include_str!("patches/histories.json"));
    assert!(steps >= 200, "only {steps} steps were played");
    assert!(wrong.is_empty(), "{} of {steps} steps differ:\n{}", wrong.len(), wrong.join("\n"));
}
