//! Which kinds are answered, and under which paths: the built-in ones and those of the established definitions.
//!
//! A [`Registry`] does not change; when a definition comes, goes or is changed, a new one is made of the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::builtin;
use crate::crd::{Definition, Scale, Version};
use crate::error::About;
use crate::openapi;
use crate::schema::Schema;
use crate::store::{Scope, Store};
use crate::table::Column;

/// The resource that definitions are.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// What every custom resource can be asked for, in the order of discovery.
const CUSTOM_VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];

/// A part of a kind's objects with a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// `status`, `scale`, …
    pub(crate) name: String,
    /// Group and version of what is sent there, where they are not the kind's own.
    pub(crate) foreign: Option<(String, String)>,
    /// Kind of what is sent there.
    pub(crate) kind: String,
    /// What can be done with it.
    pub(crate) verbs: Vec<String>,
}

/// A kind in one of its versions.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) parts: Vec<Part>,
    pub(crate) schema: Arc<Schema>,
    /// Its place in the store.
    pub(crate) storage: Arc<str>,
    /// The version that objects are stored in.
    pub(crate) stored_version: String,
    /// Where `scale` finds its numbers.
    pub(crate) scale: Option<Scale>,
    /// Fields of custom resources that a field selector may ask for.
    pub(crate) selectable: Vec<String>,
    /// What its users are warned with.
    pub(crate) deprecation: Option<String>,
    /// Whether its definition is on its way out: nothing new is taken.
    pub(crate) terminating: bool,
    api_version: String,
    columns: Columns,
}

#[derive(Clone, Debug)]
enum Columns {
    BuiltIn(&'static [Column]),
    Custom(Arc<Vec<Column>>),
}

impl Served {
    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> &str {
        &self.api_version
    }

    /// Whether a definition made it.
    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.columns, Columns::Custom(_))
    }

    /// What its Table shows.
    pub(crate) fn columns(&self) -> &[Column] {
        match &self.columns {
            Columns::BuiltIn(columns) => columns,
            Columns::Custom(columns) => columns,
        }
    }

    /// `configmaps`, `deployments.apps`: how messages name it.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub(crate) fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|it| it == verb)
    }

    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|it| it.name == name)
    }

    /// For the details of an error, by resource.
    pub(crate) fn about(&self, name: &str) -> About {
        About { group: self.group.clone(), kind: self.plural.clone(), name: name.to_owned() }
    }

    /// The same by kind, as invalid objects are spoken of.
    pub(crate) fn about_kind(&self, name: &str) -> About {
        About { group: self.group.clone(), kind: self.kind.clone(), name: name.to_owned() }
    }

    /// Where its objects are, in one namespace or all.
    pub(crate) fn scope(&self, namespace: Option<&str>) -> Scope {
        Scope { resource: Arc::clone(&self.storage), namespace: namespace.map(Into::into) }
    }

    fn built_in(it: &'static builtin::Resource) -> Self {
        let part = |it: &builtin::Subresource| Part {
            name: it.name.clone(),
            foreign: it.group.clone().zip(it.version.clone()),
            kind: it.kind.clone(),
            verbs: it.verbs.clone(),
        };
        // Both kinds of Event are one resource.
        let group = if it.name == "events" { "" } else { it.group.as_str() };
        Self {
            group: it.group.clone(),
            version: it.version.clone(),
            kind: it.kind.clone(),
            list_kind: format!("{}List", it.kind),
            plural: it.name.clone(),
            singular: it.singular.clone(),
            short_names: it.short_names.clone(),
            categories: it.categories.clone(),
            namespaced: it.namespaced,
            verbs: it.verbs.clone(),
            parts: it.subresources.iter().map(part).collect(),
            schema: Arc::clone(it.schema()),
            storage: storage(group, &it.name),
            stored_version: it.version.clone(),
            scale: it.subresources.iter().any(|it| it.name == "scale").then(|| Scale {
                spec: "spec.replicas".to_owned(),
                status: "status.replicas".to_owned(),
                selector: Some("spec.selector".to_owned()),
            }),
            selectable: Vec::new(),
            deprecation: None,
            terminating: false,
            api_version: it.api_version(),
            columns: Columns::BuiltIn(&it.columns),
        }
    }

    fn custom(of: &Definition, version: &Version, terminating: bool) -> Self {
        let verbs = |verbs: &[&str]| verbs.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let status = version.status.then(|| Part {
            name: "status".to_owned(),
            foreign: None,
            kind: of.names.kind.clone(),
            verbs: verbs(&STATUS_VERBS),
        });
        let scale = version.scale.as_ref().map(|_| Part {
            name: "scale".to_owned(),
            foreign: Some(("autoscaling".to_owned(), "v1".to_owned())),
            kind: "Scale".to_owned(),
            verbs: verbs(&STATUS_VERBS),
        });
        let stored = of.storage().map_or_else(|| version.name.clone(), |it| it.name.clone());
        Self {
            group: of.group.clone(),
            version: version.name.clone(),
            kind: of.names.kind.clone(),
            list_kind: of.names.list_kind.clone(),
            plural: of.names.plural.clone(),
            singular: of.names.singular.clone(),
            short_names: of.names.short_names.clone(),
            categories: of.names.categories.clone(),
            namespaced: of.namespaced,
            verbs: verbs(&CUSTOM_VERBS),
            parts: status.into_iter().chain(scale).collect(),
            schema: Arc::clone(&version.schema),
            storage: storage(&of.group, &of.names.plural),
            stored_version: stored,
            scale: version.scale.clone(),
            selectable: version.selectable.clone(),
            deprecation: version.deprecation.clone(),
            terminating,
            api_version: format!("{}/{}", of.group, version.name),
            columns: Columns::Custom(Arc::clone(&version.columns)),
        }
    }
}

/// A resource's place in the store.
fn storage(group: &str, plural: &str) -> Arc<str> {
    if group.is_empty() { plural.into() } else { format!("{plural}.{group}").into() }
}

/// All kinds that are answered.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_path: BTreeMap<(String, String, String), Arc<Served>>,
    /// The established definitions, with the revision of their last write.
    definitions: Vec<(Arc<Definition>, u64)>,
    /// In the order of discovery.
    all: Vec<Arc<Served>>,
}

impl Registry {
    /// The kinds that there are with these definitions; those that are as they were `before` are not read again.
    pub(crate) fn of(store: &Store, before: &Self) -> Self {
        let mut registry = Self::default();
        for it in builtin::resources() {
            registry.add(Served::built_in(it));
        }
        let scope = Scope { resource: DEFINITIONS.into(), namespace: None };
        let definitions = store.list(&scope, store.revision(), None, 0, |it| is_established(it.value()));
        for object in definitions.unwrap_or_default().objects {
            let known = before.definitions.iter().find(|(_, revision)| *revision == object.revision());
            let read = || Definition::read(object.value()).map(Arc::new);
            let Ok(definition) = known.map_or_else(read, |(it, _)| Ok(Arc::clone(it))) else { continue };
            let mut versions: Vec<_> = definition.versions.iter().filter(|it| it.served).collect();
            versions.sort_by_key(|it| std::cmp::Reverse(priority(&it.name)));
            for version in versions {
                registry.add(Served::custom(&definition, version, object.is_deleting()));
            }
            registry.definitions.push((definition, object.revision()));
        }
        registry
    }

    fn add(&mut self, served: Served) {
        let served = Arc::new(served);
        let path = (served.group.clone(), served.version.clone(), served.plural.clone());
        self.by_path.insert(path, Arc::clone(&served));
        self.all.push(served);
    }

    /// The kind at this path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Served>> {
        self.by_path.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The resource that objects of this kind are.
    pub(crate) fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Served>> {
        self.all.iter().find(|it| it.group == group && it.version == version && it.kind == kind)
    }

    /// The resource with this place in the store, in the version that is stored.
    pub(crate) fn of_storage(&self, storage: &str) -> Option<&Arc<Served>> {
        let mut all = self.all.iter().filter(|it| *it.storage == *storage);
        let first = all.clone().next();
        all.find(|it| it.version == it.stored_version).or(first)
    }

    /// What OpenAPI says of a kind.
    pub(crate) fn openapi_kind(&self, served: &Served) -> Option<openapi::Kind> {
        if !served.is_custom() {
            return builtin::resource(&served.group, &served.version, &served.plural).map(openapi::Kind::built_in);
        }
        let mut own = self.definitions.iter().map(|(it, _)| &**it);
        let definition = own.find(|it| it.group == served.group && it.names.plural == served.plural)?;
        definition.served(&served.version).map(|version| openapi::Kind::custom(definition, version))
    }

    /// A text that changes when a definition of the group does.
    pub(crate) fn fingerprint(&self, group: &str) -> String {
        let own = self.definitions.iter().filter(|(it, _)| it.group == group);
        let revisions: Vec<_> = own.map(|(_, revision)| format!("{revision:x}")).collect();
        format!("0{}", revisions.join("."))
    }

    /// All of them, in the order of discovery.
    pub(crate) fn all(&self) -> &[Arc<Served>] {
        &self.all
    }

    /// Whether there is such a group, in such a version.
    pub(crate) fn has(&self, group: &str, version: Option<&str>) -> bool {
        self.all.iter().any(|it| it.group == group && version.is_none_or(|version| it.version == version))
    }
}

/// Whether a definition's condition says that its kind is answered.
pub(crate) fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Established" && it["status"] == "True")
}

/// How Kubernetes orders versions: released before beta before alpha, the newest first, all others after, by name.
/// Source: `apimachinery/pkg/version/helpers.go`.
pub(crate) fn priority(version: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let number = |text: &str| text.parse::<u64>().ok().filter(|it| *it > 0);
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let split = |word: &str| rest.split_once(word).and_then(|(a, b)| number(a).zip(number(b)));
        let beta = || split("beta").map(|(major, minor)| (2, major, minor));
        let alpha = || split("alpha").map(|(major, minor)| (1, major, minor));
        number(rest).map(|major| (3, major, 0)).or_else(beta).or_else(alpha)
    });
    let (stage, major, minor) = parsed.unwrap_or((0, 0, 0));
    (stage, major, minor, std::cmp::Reverse(if stage == 0 { version.to_owned() } else { String::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_does() {
        let mut versions = ["v1alpha1", "foo10", "v2", "v10", "v1beta2", "foo1", "v11alpha2", "v1", "v11beta2"];
        versions.sort_by_key(|it| std::cmp::Reverse(priority(it)));
        let expected = ["v10", "v2", "v1", "v11beta2", "v1beta2", "v11alpha2", "v1alpha1", "foo1", "foo10"];
        assert_eq!(versions, expected);
    }
}
