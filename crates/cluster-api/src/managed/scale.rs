//! Owners across the scale subresource: who owns how many an object is to have owns `spec.replicas` of its scale, and the other way round.
//!
//! A write of the scale is tracked on the scale, by the object's owners as far as they are the scale's ([`show`]); what comes of it is
//! noted at the object ([`take_over`]). Nobody's time is noted there who comes to own it by that, as in the real one.
//!
//! Source: `apimachinery/pkg/util/managedfields/scalehandler.go`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::Element;
use super::entries::{self, Manager, Managers, Owned};
use super::set::FieldSet;

/// The version of scales.
pub(crate) const VERSION: &str = "autoscaling/v1";

/// Where an object of each version (`apps/v1`) has its number: a path with dots; none where that version has no scale.
pub(crate) type Paths = BTreeMap<String, Option<String>>;

/// The set of one field, by a path with dots, and its steps.
fn field(path: &str) -> (Vec<Element>, FieldSet) {
    let steps: Vec<_> = path.split('.').map(|it| Element::Field(it.to_owned())).collect();
    let mut set = FieldSet::default();
    set.insert(&steps);
    (steps, set)
}

fn managers(object: &Value) -> Managers {
    entries::list(object).and_then(|it| entries::read(it).ok()).unwrap_or_default()
}

/// Notes at a scale who owns its replicas.
pub(crate) fn show(object: &Value, paths: &Paths, scale: &mut Value) {
    let (_, replicas) = field("spec.replicas");
    let mut shown = Managers::new();
    for (manager, owned) in managers(object) {
        let Some(path) = paths.get(&owned.api_version).and_then(Option::as_deref) else { continue };
        if owned.fields.has_path(&field(path).0) {
            let manager = Manager::new(manager.operation, &manager.name, VERSION, &manager.subresource);
            let api_version = VERSION.to_owned();
            shown.insert(manager, Owned { fields: replicas.clone(), api_version, time: owned.time, written: None });
        }
    }
    entries::write(scale, shown);
}

/// Notes at an object of this version what its scale says of its owners.
pub(crate) fn take_over(object: &mut Value, paths: &Paths, api_version: &str, scale: &Value) {
    let replicas = field("spec.replicas").0;
    let mut of_scale = managers(scale);
    let mut all = Managers::new();
    for (manager, mut owned) in managers(object) {
        // Who wrote in a version that is no more owns nothing.
        let Some(path) = paths.get(&owned.api_version) else { continue };
        let own = path.as_deref().map(field).filter(|(steps, _)| owned.fields.has_path(steps));
        if let Some((_, set)) = own
            && of_scale.remove(&manager).is_none()
        {
            owned.fields = owned.fields.difference(&set);
        }
        if !owned.fields.is_empty() {
            all.insert(manager, owned);
        }
    }
    let Some(path) = paths.get(api_version).and_then(Option::as_deref) else { return };
    for (manager, _) in of_scale.into_iter().filter(|(_, owned)| owned.fields.has_path(&replicas)) {
        let time = all.get(&manager).and_then(|it| it.time);
        let api_version = api_version.to_owned();
        all.insert(manager, Owned { fields: field(path).1, api_version, time, written: None });
    }
    entries::write(object, all);
}
