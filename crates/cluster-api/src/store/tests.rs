//! The store against a model that keeps every state whole.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn key(resource: &str, namespace: &str, name: &str) -> Key {
    Key::new(&resource.into(), namespace, name)
}

fn scope(resource: &str, namespace: Option<&str>) -> Scope {
    Scope { resource: resource.into(), namespace: namespace.map(Into::into) }
}

fn names(page: &Page) -> Vec<String> {
    page.objects.iter().map(|it| format!("{}/{}", it.key().namespace, it.key().name)).collect()
}

fn all(_: &Object) -> bool {
    true
}

#[test]
fn a_writer_who_has_not_seen_the_present_object_is_refused() {
    let mut store = Store::new(10);
    let a = key("r", "n", "a");
    let first = store.put(a.clone(), json!({"metadata": {}}), None).expect("there was none");
    assert_eq!((first.revision(), first.metadata()["resourceVersion"].as_str()), (2, Some("2")));
    assert_eq!(store.put(a.clone(), json!({}), None).err(), Some(Stale));
    assert_eq!(store.put(a.clone(), json!({}), Some(1)).err(), Some(Stale));
    assert_eq!(store.remove(&a, 1).err(), Some(Stale));
    assert_eq!(store.put(a.clone(), json!({}), Some(2)).map(|it| it.revision()), Ok(3));
    assert_eq!(store.remove(&a, 3).map(|it| it.revision()), Ok(4));
    assert_eq!(store.remove(&a, 4).err(), Some(Stale));
    assert_eq!(store.revision(), 4);
}

#[test]
fn a_list_in_pages_is_of_one_revision() {
    let mut store = Store::new(100);
    for name in ["a", "b", "c", "d"] {
        store.put(key("r", "n", name), json!({"metadata": {"name": name}}), None).expect("new");
    }
    store.put(key("s", "n", "x"), json!({}), None).expect("new");
    let at = store.revision();
    let first = store.list(&scope("r", None), at, None, 2, all).expect("kept");
    assert_eq!((names(&first), first.remaining), (vec!["n/a".to_owned(), "n/b".to_owned()], 2));
    store.remove(&key("r", "n", "c"), 4).expect("there");
    store.put(key("r", "n", "bb"), json!({}), None).expect("new");
    let after = first.objects.last().map(|it| it.key().clone());
    let second = store.list(&scope("r", None), at, after.as_ref(), 2, all).expect("kept");
    assert_eq!((names(&second), second.remaining), (vec!["n/c".to_owned(), "n/d".to_owned()], 0));
    let now = store.list(&scope("r", Some("n")), store.revision(), None, 0, all).expect("kept");
    assert_eq!(names(&now), ["n/a", "n/b", "n/bb", "n/d"]);
}

#[test]
fn what_is_compacted_is_gone() {
    let mut store = Store::new(3);
    for name in ["a", "b", "c", "d", "e"] {
        store.put(key("r", "n", name), json!({}), None).expect("new");
    }
    let everything = scope("r", None);
    assert_eq!(store.oldest(), 3);
    assert_eq!(store.events(&everything, 2).err(), Some(Gone { asked: 2, oldest: 3 }));
    assert_eq!(store.events(&everything, 3).map(|it| it.len()), Ok(3));
    store.compact(5);
    assert!(store.list(&everything, 4, None, 0, all).is_err());
    assert_eq!(store.list(&everything, 5, None, 0, all).map(|it| it.objects.len()), Ok(4));
    store.compact(99);
    assert_eq!(store.oldest(), store.revision());
}

proptest! {
    /// Any history: every kept state reads as it was, and events lead from each state to the present one.
    #[test]
    fn every_kept_state_reads_as_it_was(
        writes in prop::collection::vec((0..3usize, 0..2usize, 0..4usize, any::<bool>()), 1..60),
        history in 1..40usize,
    ) {
        let mut store = Store::new(history);
        let mut model: BTreeMap<Key, u64> = BTreeMap::new();
        let mut states = vec![(store.revision(), model.clone())];
        for (resource, namespace, name, delete) in writes {
            let place = key(["r", "s", "t"][resource], ["m", "n"][namespace], ["a", "b", "c", "d"][name]);
            match (model.get(&place).copied(), delete) {
                (Some(read), true) => { store.remove(&place, read).expect("read"); model.remove(&place); }
                (read, _) => { let it = store.put(place.clone(), json!({}), read).expect("read"); model.insert(place, it.revision()); }
            }
            states.push((store.revision(), model.clone()));
        }
        for (revision, model) in states {
            for scope in [scope("r", None), scope("s", Some("n"))] {
                let expected: Vec<_> = model.iter().filter(|(key, _)| scope.contains(key)).map(|(key, at)| (key.clone(), *at)).collect();
                let Ok(page) = store.list(&scope, revision, None, 0, all) else {
                    prop_assert!(revision < store.oldest());
                    continue;
                };
                let found: Vec<_> = page.objects.iter().map(|it| (it.key().clone(), it.revision())).collect();
                prop_assert_eq!(&found, &expected);
                let mut replayed: BTreeMap<_, _> = found.into_iter().collect();
                for event in store.events(&scope, revision).expect("kept") {
                    match event.after() {
                        Some(it) => replayed.insert(it.key().clone(), it.revision()),
                        None => replayed.remove(event.object.key()),
                    };
                }
                let now = store.list(&scope, store.revision(), None, 0, all).expect("the present is kept");
                let now: BTreeMap<_, _> = now.objects.iter().map(|it| (it.key().clone(), it.revision())).collect();
                prop_assert_eq!(replayed, now);
            }
        }
    }
}
