//! Grants as platform people write them, and who gets through.

use serde_json::{Value, json};

use super::*;

/// What a test asks for, with a word for each default.
#[derive(Clone)]
struct Ask {
    host: &'static str,
    namespace: &'static str,
    labels: Vec<(&'static str, &'static str)>,
    target: Option<&'static str>,
    older_hosts: u32,
}

impl Ask {
    fn host(host: &'static str) -> Self {
        Self { host, namespace: "team", labels: vec![("tier", "gold")], target: None, older_hosts: 0 }
    }

    fn against(&self, grants: &Value) -> Result<Granted, Because<AcceptedReason>> {
        let host = HostName::parse(self.host).expect("a host");
        let labels = self.labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let target = self.target.map(|text| match text.parse() {
            Ok(address) => Target::Address(address),
            Err(_) => Target::Name(Fqdn::parse(text).expect("a name")),
        });
        let applicant = Applicant {
            namespace: Namespace { name: self.namespace, labels: &labels },
            host: &host,
            target: target.as_ref(),
            older_hosts: self.older_hosts,
        };
        let list: Vec<Grant> = serde_json::from_value(grants.clone()).expect("grants of the API's shape");
        let zone = Fqdn::parse("example.org").expect("a name");
        check(&applicant, &Grants { zone: &zone, place: "Zone example-org", list: &list })
    }

    fn passes(&self, grants: &Value) -> bool {
        self.against(grants).is_ok()
    }
}

fn for_team(rest: Value) -> Value {
    let mut grant = json!({ "namespaces": { "names": ["team"] } });
    for (field, value) in rest.as_object().cloned().unwrap_or_default() {
        grant[field] = value;
    }
    json!([grant])
}

#[test]
fn without_grants_labelled_namespaces_may_use_plain_hosts() {
    let none = json!([]);
    let labelled = |labels: &[(&'static str, &'static str)], host| Ask { labels: labels.to_vec(), ..Ask::host(host) };
    let managed = ("lamia.dev/managed", "true");
    for (ask, passes) in [
        (labelled(&[managed], "shop.example.org"), true),
        (labelled(&[("vamp-managed", "true")], "shop.example.org"), true),
        (labelled(&[("lamia.dev/managed", "false")], "shop.example.org"), false),
        (labelled(&[], "shop.example.org"), false),
        (labelled(&[managed], "*.example.org"), false),
        (labelled(&[managed], "example.org"), false),
        (Ask { target: Some("192.0.2.1"), ..labelled(&[managed], "shop.example.org") }, false),
    ] {
        assert_eq!(ask.passes(&none), passes, "{} {:?}", ask.host, ask.labels);
    }
}

#[test]
fn a_grant_is_for_its_namespaces_only() {
    let ask = Ask::host("shop.example.org");
    for (selection, passes) in [
        (json!({}), false),
        (json!({ "names": ["team"] }), true),
        (json!({ "names": ["other"] }), false),
        (json!({ "matchLabels": { "tier": "gold" } }), true),
        (json!({ "matchLabels": { "tier": "gold", "more": "yes" } }), false),
        (json!({ "names": ["other"], "matchLabels": { "tier": "gold" } }), true),
        (json!({ "all": true }), true),
    ] {
        assert_eq!(ask.passes(&json!([{ "namespaces": selection }])), passes, "{selection}");
    }
    let labelled = Ask { labels: vec![("lamia.dev/managed", "true")], ..ask };
    assert!(!labelled.passes(&json!([{ "namespaces": {} }])), "with grants, the label alone gives nothing");
}

#[test]
fn a_grant_is_for_its_names_only() {
    for (rest, host, passes) in [
        (json!({}), "shop.example.org", true),
        (json!({ "hosts": ["Shop.Example.org."] }), "shop.example.org", true),
        (json!({ "hosts": ["blog.example.org"] }), "shop.example.org", false),
        (json!({ "suffixes": ["team.example.org"] }), "shop.team.example.org", true),
        (json!({ "suffixes": ["team.example.org"] }), "a.shop.team.example.org", true),
        (json!({ "suffixes": ["team.example.org"] }), "team.example.org", false),
        (json!({ "suffixes": ["team.example.org"] }), "badteam.example.org", false),
        (json!({ "suffixes": ["*.team.example.org"] }), "shop.team.example.org", true),
        (json!({ "suffixes": ["not a name"] }), "shop.example.org", false),
        (json!({ "suffixes": ["team.example.org"], "hosts": ["shop.example.org"] }), "shop.example.org", true),
    ] {
        assert_eq!(Ask::host(host).passes(&for_team(rest.clone())), passes, "{host} by {rest}");
    }
}

#[test]
fn what_goes_beyond_a_plain_host_needs_its_word() {
    for (allow, host, passes) in [
        (json!([]), "*.example.org", false),
        (json!(["Apex"]), "*.example.org", false),
        (json!(["Wildcard"]), "*.example.org", true),
        (json!([]), "example.org", false),
        (json!(["Wildcard"]), "example.org", false),
        (json!(["Apex"]), "example.org", true),
    ] {
        assert_eq!(Ask::host(host).passes(&for_team(json!({ "allow": allow }))), passes, "{host} by {allow}");
    }
    let two_halves = json!([
        { "namespaces": { "all": true }, "hosts": ["*.example.org"] },
        { "namespaces": { "all": true }, "hosts": ["other.example.org"], "allow": ["Wildcard"] },
    ]);
    assert!(!Ask::host("*.example.org").passes(&two_halves), "grants do not add up");
}

#[test]
fn a_target_must_be_listed() {
    for (targets, target, passes) in [
        (json!([]), "192.0.2.1", false),
        (json!(["192.0.2.1"]), "192.0.2.1", true),
        (json!(["192.0.2.0/24"]), "192.0.2.255", true),
        (json!(["192.0.2.0/24"]), "192.0.3.0", false),
        (json!(["0.0.0.0/0"]), "203.0.113.1", true),
        (json!(["0.0.0.0/0"]), "2001:db8::1", false),
        (json!(["192.0.2.1/32"]), "192.0.2.1", true),
        (json!(["192.0.2.0/33"]), "192.0.2.0", false),
        (json!(["2001:db8::/32"]), "2001:db8:1::1", true),
        (json!(["2001:db8::/129"]), "2001:db8::", false),
        (json!(["::/0"]), "2001:db8::1", true),
        (json!(["lb.example.net"]), "lb.example.net", true),
        (json!(["lb.example.net"]), "lb2.example.net", false),
        (json!(["192.0.2.0/x"]), "192.0.2.1", false),
    ] {
        let ask = Ask { target: Some(target), ..Ask::host("shop.example.org") };
        let grant = for_team(json!({ "allow": ["Target"], "targets": targets }));
        assert_eq!(ask.passes(&grant), passes, "{target} by {targets}");
    }
    let ask = Ask { target: Some("192.0.2.1"), ..Ask::host("shop.example.org") };
    assert!(!ask.passes(&for_team(json!({ "targets": ["192.0.2.1"] }))), "the word is needed too");
}

#[test]
fn the_oldest_hosts_have_the_room() {
    let grant = for_team(json!({ "maxHosts": 2 }));
    for (older_hosts, passes) in [(0, true), (1, true), (2, false), (9, false)] {
        assert_eq!(Ask { older_hosts, ..Ask::host("shop.example.org") }.passes(&grant), passes, "{older_hosts}");
    }
}

#[test]
fn a_grant_that_names_the_host_is_told_apart() {
    let named = for_team(json!({ "hosts": ["shop.example.org"] }));
    let whole = for_team(json!({}));
    let both = json!([named[0], whole[0]]);
    for (grants, by_name) in [(named, true), (whole, false), (both, true)] {
        assert_eq!(Ask::host("shop.example.org").against(&grants), Ok(Granted { by_name }));
    }
}

#[test]
fn a_refusal_says_what_the_nearest_grant_lacks_and_nothing_about_others() {
    let secret = json!({ "namespaces": { "names": ["rivals"] }, "hosts": ["plans.example.org"] });
    let with = |mine: Value| json!([secret, mine[0]]);
    let target = Ask { target: Some("192.0.2.1"), ..Ask::host("shop.example.org") };
    let full = Ask { older_hosts: 3, ..Ask::host("shop.example.org") };
    let refusals: String = [
        Ask::host("shop.example.org").against(&json!([])),
        Ask::host("shop.example.org").against(&json!([secret])),
        Ask::host("shop.example.org").against(&with(for_team(json!({ "hosts": ["blog.example.org"] })))),
        Ask::host("*.example.org").against(&with(for_team(json!({})))),
        Ask::host("example.org").against(&with(for_team(json!({})))),
        target.against(&with(for_team(json!({})))),
        target.against(&with(for_team(json!({ "allow": ["Target"] })))),
        full.against(&with(for_team(json!({ "maxHosts": 3 })))),
    ]
    .into_iter()
    .map(|refused| format!("{}\n", refused.expect_err("refused")))
    .collect();
    assert!(!refusals.contains("rivals") && !refusals.contains("plans"), "{refusals}");
    insta::assert_snapshot!(refusals);
}

#[test]
fn an_issuer_may_be_narrowed() {
    let labels = BTreeMap::new();
    let namespace = Namespace { name: "team", labels: &labels };
    let only = |name: &str| NamespaceSelection { names: vec![name.to_owned()], ..NamespaceSelection::default() };
    for (namespaces, suffixes, host, passes) in [
        (None, vec![], "shop.example.org", true),
        (Some(only("team")), vec![], "shop.example.org", true),
        (Some(only("other")), vec![], "shop.example.org", false),
        (Some(NamespaceSelection::default()), vec![], "shop.example.org", false),
        (None, vec!["example.org"], "shop.example.org", true),
        (None, vec!["example.org"], "example.org", true),
        (None, vec!["example.org"], "*.example.org", true),
        (None, vec!["example.net"], "shop.example.org", false),
    ] {
        let suffixes: Vec<String> = suffixes.into_iter().map(str::to_owned).collect();
        let host = HostName::parse(host).expect("a host");
        let found = check_issuer("private", namespaces.as_ref(), &suffixes, namespace, &host);
        assert_eq!(found.is_ok(), passes, "{host} {namespaces:?} {suffixes:?}");
    }
}
