//! Discovery: which groups, versions and resources there are, in the old documents and in the one that has them all.
//! Source: `apiserver/pkg/endpoints/discovery{,/aggregated}`, `apiextensions-apiserver/pkg/apiserver/customresource_discovery*.go`.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::accept::{Form, Shape};
use crate::http::reply::Reply;
use crate::openapi;
use crate::registry::{Part, Registry, Served};

/// Answers a path of discovery.
///
/// # Errors
/// 406.
pub(crate) fn answer(registry: &Registry, path: &[&str], accept: &str) -> Result<Reply, ApiError> {
    let aggregated = || Form::negotiate(accept).map(|form| form.shape == Shape::Discovery);
    let document = match path {
        ["api"] if aggregated()? => return Ok(all(registry, |group| group.is_empty())),
        ["apis"] if aggregated()? => return Ok(all(registry, |group| !group.is_empty())),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => {
            let list: Value = groups(registry).filter(|it| !it.is_empty()).map(|it| group(registry, it)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})
        }
        ["apis", name] if registry.has(name, None) => {
            let mut document = group(registry, name);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            document
        }
        ["api", version] if registry.has("", Some(version)) => resources(registry, "", version),
        ["apis", group, version] if registry.has(group, Some(version)) => resources(registry, group, version),
        ["openapi", "v3"] => openapi_index(registry),
        ["openapi", "v3", "api", version] if registry.has("", Some(version)) => openapi_of(registry, "", version),
        ["openapi", "v3", "apis", group, version] if registry.has(group, Some(version)) => {
            openapi_of(registry, group, version)
        }
        [] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]})
        }
        _ => return Ok(Reply::text(404, "404 page not found\n")),
    };
    Ok(Reply::json(200, &document))
}

/// The groups, each once, in the order of discovery.
fn groups(registry: &Registry) -> impl Iterator<Item = &str> {
    let all = registry.all();
    all.iter()
        .enumerate()
        .filter(|(at, it)| all[..*at].iter().all(|before| before.group != it.group))
        .map(|(_, it)| it.group.as_str())
}

/// The versions of a group, each once, the preferred one first.
fn versions<'a>(registry: &'a Registry, group: &str) -> Vec<&'a str> {
    let mut versions: Vec<&str> = Vec::new();
    for served in registry.all().iter().filter(|it| it.group == group) {
        if !versions.contains(&served.version.as_str()) {
            versions.push(&served.version);
        }
    }
    versions.sort_by_key(|it| std::cmp::Reverse(crate::registry::priority(it)));
    versions
}

fn group(registry: &Registry, name: &str) -> Value {
    let version = |it: &str| json!({"groupVersion": format!("{name}/{it}"), "version": it});
    let versions = versions(registry, name);
    let preferred = versions.first().map(|it| version(it)).unwrap_or_default();
    let versions: Value = versions.into_iter().map(version).collect();
    json!({"name": name, "versions": versions, "preferredVersion": preferred})
}

fn of<'a>(registry: &'a Registry, group: &'a str, version: &'a str) -> impl Iterator<Item = &'a Served> {
    registry.all().iter().map(AsRef::as_ref).filter(move |it: &&Served| it.group == group && it.version == version)
}

/// An `APIResourceList`.
fn resources(registry: &Registry, group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for served in of(registry, group, version) {
        let mut resource = json!({
            "name": served.plural, "singularName": served.singular, "namespaced": served.namespaced, "kind": served.kind,
            "verbs": served.verbs,
        });
        fill(&mut resource, "shortNames", &served.short_names);
        fill(&mut resource, "categories", &served.categories);
        if served.can("list") {
            resource["storageVersionHash"] = storage_hash(served).into();
        }
        list.push(resource);
        for part in &served.parts {
            let mut resource = json!({
                "name": format!("{}/{}", served.plural, part.name), "singularName": "", "namespaced": served.namespaced,
                "kind": part.kind, "verbs": part.verbs,
            });
            if let Some((group, version)) = &part.foreign {
                resource["group"] = group.as_str().into();
                resource["version"] = version.as_str().into();
            }
            list.push(resource);
        }
    }
    let version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
}

fn fill(resource: &mut Value, field: &str, texts: &[String]) {
    if !texts.is_empty() {
        resource[field] = texts.into();
    }
}

/// What tells clients that the stored form of a kind is another now.
fn storage_hash(served: &Served) -> String {
    let text = format!("{}/{}/{}", served.group, served.stored_version, served.kind);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    BASE64.encode(digest.as_ref().get(..8).unwrap_or_default())
}

/// All groups of which `wanted` says yes, with everything in them.
fn all(registry: &Registry, wanted: impl Fn(&str) -> bool) -> Reply {
    let groups = groups(registry).filter(|it| wanted(it)).map(|group| {
        let versions = versions(registry, group).into_iter().map(|version| {
            let resources: Value = of(registry, group, version).map(discovered).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        });
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": versions.collect::<Value>()})
    });
    let items: Value = groups.collect();
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    let content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    Reply { content_type, ..Reply::json(200, &list) }
}

fn discovered(served: &Served) -> Value {
    let kind = |part: Option<&Part>| {
        let (group, version) = part
            .and_then(|it| it.foreign.as_ref())
            .map_or((served.group.as_str(), served.version.as_str()), |(group, version)| (group, version));
        let kind = part.map_or(&served.kind, |it| &it.kind);
        json!({"group": group, "version": version, "kind": kind})
    };
    let mut resource = json!({
        "resource": served.plural, "responseKind": kind(None), "scope": if served.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": served.singular, "verbs": served.verbs,
    });
    fill(&mut resource, "shortNames", &served.short_names);
    fill(&mut resource, "categories", &served.categories);
    let parts = served.parts.iter();
    let parts: Vec<_> =
        parts.map(|it| json!({"subresource": it.name, "responseKind": kind(Some(it)), "verbs": it.verbs})).collect();
    if !parts.is_empty() {
        resource["subresources"] = parts.into();
    }
    resource
}

/// The OpenAPI document of a group and version.
fn openapi_of(registry: &Registry, group: &str, version: &str) -> Value {
    let kinds: Vec<_> = of(registry, group, version).filter_map(|it| registry.openapi_kind(it)).collect();
    openapi::v3(&kinds)
}

/// Which OpenAPI documents there are, each with a text that changes when it does.
fn openapi_index(registry: &Registry) -> Value {
    let mut documents = Vec::new();
    for group in groups(registry) {
        for version in versions(registry, group) {
            let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            documents.push((path, registry.fingerprint(group)));
        }
    }
    openapi::index(documents.iter().map(|(path, hash)| (path.as_str(), hash.as_str())))
}
