//! Bad input on the real API: each is refused by the API server, or ends in the condition that says what is wrong, and nothing is
//! done at the provider.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use lamia_sandbox::stage::{DEMO_NAMESPACE, GATEWAY_NAMESPACE, NAME_SERVERS, StageOptions};
use lamia_tests::conditions::Tells as _;
use lamia_tests::{Setup, can_stage, eventually, host_is, stage};
use serde_json::{Value, json};

/// The zone of most cases: what stands in it at the end is compared.
const ZONE: &str = "input.net";

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_is_refused_with_a_reason() {
    if !can_stage() {
        return;
    }
    let setup = Setup::new(StageOptions { gateway: false, ..stage() }).await;
    setup.apply_provider(&[]).await;
    let plain = json!([{"namespaces": {"all": true}, "allow": ["Wildcard", "Apex"]}]);
    tokio::join!(
        setup.apply_zone(ZONE, plain.clone()),
        setup.apply_zone("claims.net", plain.clone()),
        setup.apply_zone("gateways.net", plain.clone()),
        a_zone_with_foreign_records(&setup, plain),
        setup.apply_zone("granted.net", json!([])),
    );
    let before = setup.stage.power_dns.content(ZONE).await.expect("asked");
    tokio::join!(
        names(&setup),
        not_granted(&setup),
        claims(&setup),
        gateways(&setup),
        foreign(&setup),
        the_api_itself(&setup)
    );
    assert_eq!(setup.stage.power_dns.content(ZONE).await.expect("asked"), before, "nothing was done at the provider");
    setup.end().await;
}

/// A host as somebody wrote it, and what is said of it: condition, reason, part of the message.
async fn refused(setup: &Setup, name: &str, host: &str, (type_, reason, message): (&str, &str, &str)) {
    setup.apply_host(DEMO_NAMESPACE, name, json!({"host": host})).await;
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, type_, "False", reason).await;
    let ready = told.condition("Ready").expect("it is told");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reason), "{host}");
    assert!(told.message(type_).contains(message), "{host}: {}", told.message(type_));
    println!("{host:?}: {reason}: {}", told.message(type_));
}

/// Names that are none, and names that are nobody's.
async fn names(setup: &Setup) {
    let long = format!("{}.{ZONE}", "a".repeat(64));
    let invalid = |message| ("Accepted", "Invalid", message);
    let table = [
        ("address", "192.0.2.1", invalid("is an IP address")),
        ("address6", "[2001:db8::1]", invalid("is an IP address")),
        ("single", "shop", invalid("has a single label")),
        ("suffix", "co.uk", invalid("is a public suffix")),
        ("label", &long, invalid("64 octets long; DNS allows 63")),
        ("underscore", "my_shop.input.net", invalid("has the character '_'")),
        ("dots", "shop..input.net", invalid("empty label")),
        ("hyphen", "-shop.input.net", invalid("hyphen")),
        ("star", "shop.*.input.net", invalid("asterisk")),
        ("space", "my shop.input.net", invalid("")),
        ("elsewhere", "shop.elsewhere.net", ("ZoneReady", "ZoneNotListed", "create a Zone, or list its domain")),
    ];
    for (name, host, told) in table {
        refused(setup, name, host, told).await;
    }
}

/// What reads oddly and is a host all the same: one form of it is used everywhere.
async fn odd_but_good(setup: &Setup) {
    let table = [
        ("emoji", "☕.gateways.net", "xn--53h.gateways.net"),
        ("umlaut", "bücher.gateways.net", "xn--bcher-kva.gateways.net"),
        ("dot", "dotted.gateways.net.", "dotted.gateways.net"),
        ("upper", "UPPER.Gateways.NET", "upper.gateways.net"),
    ];
    for (name, host, _) in table {
        setup.apply_host(DEMO_NAMESPACE, name, json!({"host": host})).await;
    }
    for (name, host, form) in table {
        let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
        assert_eq!(told.status.and_then(|status| status.host).as_deref(), Some(form), "{host}");
        println!("{host:?}: served as {form}");
    }
}

async fn not_granted(setup: &Setup) {
    setup.apply_namespace("stranger", false).await;
    setup.apply_host("stranger", "shop", json!({"host": "shop.granted.net"})).await;
    let told = host_is(&setup.stage.admin, "stranger", "shop", "Accepted", "False", "NotGranted").await;
    let message = told.message("Accepted");
    assert!(message.contains("lamia.dev/managed=true"), "{message}");
    println!("a namespace without a grant: NotGranted: {message}");
    let table = [
        ("apex", "granted.net", "the zone's own name"),
        ("wildcard", "*.granted.net", "needs a grant with allow: [Wildcard]"),
    ];
    for (name, host, message) in table {
        refused(setup, name, host, ("Accepted", "NotGranted", message)).await;
    }
    let content = setup.stage.power_dns.content("granted.net").await.expect("asked");
    assert!(content.keys().all(|key| key.ends_with(" NS")), "{:?}", content.keys());
    // The label is all that was missing.
    setup.apply_namespace("stranger", true).await;
    host_is(&setup.stage.admin, "stranger", "shop", "Ready", "True", "Ready").await;
    println!("the same namespace, labelled: Ready");
}

/// Several objects for one host.
async fn claims(setup: &Setup) {
    let (first, second) = ("tenant-a", "tenant-b");
    setup.apply_namespace(first, true).await;
    setup.apply_namespace(second, true).await;
    let ready = async |namespace, name, host| {
        setup.apply_host(namespace, name, json!({"host": host})).await;
        host_is(&setup.stage.admin, namespace, name, "Ready", "True", "Ready").await;
    };
    let claimed = async |namespace, name, host: &str, words: &str| {
        setup.apply_host(namespace, name, json!({"host": host})).await;
        let told = host_is(&setup.stage.admin, namespace, name, "Accepted", "False", "HostClaimed").await;
        let message = told.message("Accepted");
        assert!(message.contains(words), "{message}");
        assert!(!message.contains(first), "{message} tells one namespace about another");
        println!("{host} once more, in {namespace}: HostClaimed: {message}");
    };
    ready(first, "one", "one.claims.net").await;
    claimed(second, "one", "one.claims.net", "another namespace").await;
    setup.apply_host(first, "again", json!({"host": "ONE.claims.net."})).await;
    let told = host_is(&setup.stage.admin, first, "again", "Accepted", "False", "HostClaimed").await;
    println!("the same host twice in a namespace: HostClaimed: {}", told.message("Accepted"));
    ready(first, "any", "*.sub.claims.net").await;
    claimed(second, "below", "below.sub.claims.net", "wildcard").await;
    ready(first, "side", "side.sub.claims.net").await;
    println!("a wildcard and a name below it live side by side in one namespace");
    ready(second, "deep", "deep.other.claims.net").await;
    setup.apply_host(first, "covers", json!({"host": "*.other.claims.net"})).await;
    let told = host_is(&setup.stage.admin, first, "covers", "Accepted", "False", "HostClaimed").await;
    assert!(!told.message("Accepted").contains(second), "{}", told.message("Accepted"));
    println!("a wildcard over another namespace's host: HostClaimed: {}", told.message("Accepted"));
}

/// A load balancer's Service.
async fn service(setup: &Setup, name: &str, ingress: Value) {
    setup
        .apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": GATEWAY_NAMESPACE},
            "spec": {"type": "LoadBalancer", "selector": {"gateway": name}, "ports": [{"name": "https", "port": 443}]},
            "status": {"loadBalancer": {"ingress": ingress}},
        }))
        .await;
}

fn on(gateway: &str, host: &str) -> Value {
    json!({"host": host, "gateways": [{"selector": {"gateway": gateway}}]})
}

/// Gateways without an address, with two, with a name, with none at all.
async fn gateways(setup: &Setup) {
    odd_but_good(setup).await;
    let admin = &setup.stage.admin;
    setup.apply_host(DEMO_NAMESPACE, "nowhere", on("missing", "nowhere.gateways.net")).await;
    let told = host_is(admin, DEMO_NAMESPACE, "nowhere", "AddressReady", "False", "GatewayNotFound").await;
    println!("no Service: GatewayNotFound: {}", told.message("AddressReady"));

    service(setup, "pending", json!([])).await;
    setup.apply_host(DEMO_NAMESPACE, "pending", on("pending", "pending.gateways.net")).await;
    let told = host_is(admin, DEMO_NAMESPACE, "pending", "AddressReady", "Unknown", "LoadBalancerPending").await;
    println!("no address yet: LoadBalancerPending: {}", told.message("AddressReady"));
    service(setup, "pending", json!([{"ip": "192.0.2.20"}])).await;
    host_is(admin, DEMO_NAMESPACE, "pending", "Ready", "True", "Ready").await;
    println!("the address has come: Ready");

    service(setup, "twin", json!([{"ip": "192.0.2.30"}])).await;
    let mut other = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "twin-too", "namespace": GATEWAY_NAMESPACE},
        "spec": {"type": "LoadBalancer", "selector": {"gateway": "twin"}, "ports": [{"name": "https", "port": 443}]},
    });
    setup.apply(other.clone()).await;
    setup.apply_host(DEMO_NAMESPACE, "twin", on("twin", "twin.gateways.net")).await;
    let told = host_is(admin, DEMO_NAMESPACE, "twin", "AddressReady", "False", "AmbiguousGateway").await;
    assert!(told.message("AddressReady").contains("twin-too"), "{}", told.message("AddressReady"));
    println!("two Services: AmbiguousGateway: {}", told.message("AddressReady"));
    other["spec"]["selector"] = json!({"gateway": "another"});
    setup.apply(other).await;
    host_is(admin, DEMO_NAMESPACE, "twin", "Ready", "True", "Ready").await;
    a_gateway_with_a_name(setup).await;
}

async fn a_gateway_with_a_name(setup: &Setup) {
    let admin = &setup.stage.admin;
    service(setup, "named", json!([{"hostname": "lb-1.cloud.test"}])).await;
    setup.apply_host(DEMO_NAMESPACE, "alias", on("named", "alias.gateways.net")).await;
    host_is(admin, DEMO_NAMESPACE, "alias", "Ready", "True", "Ready").await;
    setup.apply_host(DEMO_NAMESPACE, "bare", on("named", "gateways.net")).await;
    let told = host_is(admin, DEMO_NAMESPACE, "bare", "RecordsPublished", "False", "CNAMEAtApex").await;
    let content = setup.stage.power_dns.content("gateways.net").await.expect("asked");
    assert_eq!(content["alias.gateways.net. CNAME"]["records"][0]["content"], "lb-1.cloud.test.");
    println!("a gateway with a name: CNAME");
    println!("the same for the zone's own name: CNAMEAtApex: {}", told.message("RecordsPublished"));
    for absent in ["nowhere.gateways.net. A", "gateways.net. A", "gateways.net. CNAME"] {
        assert!(!content.contains_key(absent), "{:?}", content.keys());
    }
}

/// Somebody else's records: name, type, content.
const THEIRS: [(&str, &str, &str); 4] = [
    ("taken.foreign.net", "A", "192.0.2.99"),
    ("_acme-challenge.txt.foreign.net", "TXT", "\"somebody-elses\""),
    ("*.wild.foreign.net", "A", "192.0.2.98"),
    ("caa.foreign.net", "CAA", "0 issue \"another-ca.example\""),
];

async fn a_zone_with_foreign_records(setup: &Setup, grants: Value) {
    let provider = &setup.stage.power_dns;
    provider.create_zone("foreign.net", &NAME_SERVERS).await.expect("created");
    for (name, kind, content) in THEIRS {
        provider.set_records("foreign.net", name, kind, &[content]).await.expect("set");
    }
    setup.adopt_zone("foreign.net", grants).await;
}

/// What stands where Lamia's things belong.
async fn foreign(setup: &Setup) {
    let (admin, provider) = (&setup.stage.admin, &setup.stage.power_dns);
    let secret = Secret {
        metadata: ObjectMeta { name: Some(format!("{DEMO_NAMESPACE}.secret")), ..ObjectMeta::default() },
        string_data: Some([("tls.crt".to_owned(), "theirs".to_owned())].into()),
        ..Secret::default()
    };
    let secrets = setup.secrets(GATEWAY_NAMESPACE);
    secrets.create(&PostParams::default(), &secret).await.expect("created");

    setup.apply_host(DEMO_NAMESPACE, "taken", json!({"host": "taken.foreign.net"})).await;
    let told = host_is(admin, DEMO_NAMESPACE, "taken", "RecordsPublished", "False", "ForeignRecord").await;
    println!("a foreign A at the host: ForeignRecord: {}", told.message("RecordsPublished"));

    setup.apply_host(DEMO_NAMESPACE, "txt", json!({"host": "txt.foreign.net"})).await;
    host_is(admin, DEMO_NAMESPACE, "txt", "Ready", "True", "Ready").await;
    println!("a foreign TXT at _acme-challenge: issued beside it");

    setup.apply_host(DEMO_NAMESPACE, "secret", json!({"host": "secret.foreign.net"})).await;
    let told = host_is(admin, DEMO_NAMESPACE, "secret", "GatewayReady", "False", "ForeignSecret").await;
    println!("a foreign Secret of the delivered name: ForeignSecret: {}", told.message("GatewayReady"));
    let kept = secrets.get(&format!("{DEMO_NAMESPACE}.secret")).await.expect("there");
    assert_eq!(kept.data.expect("data")["tls.crt"].0, b"theirs");

    setup
        .apply_host(DEMO_NAMESPACE, "wild", json!({"host": "shop.wild.foreign.net", "dns": {"publish": "Never"}}))
        .await;
    let told = host_is(admin, DEMO_NAMESPACE, "wild", "CertificateReady", "False", "ShadowsWildcard").await;
    println!("a challenge below a foreign wildcard: ShadowsWildcard: {}", told.message("CertificateReady"));

    setup.apply_host(DEMO_NAMESPACE, "caa", json!({"host": "shop.caa.foreign.net"})).await;
    let told = host_is(admin, DEMO_NAMESPACE, "caa", "CertificateReady", "False", "CAAForbids").await;
    assert!(
        told.message("CertificateReady").contains("pebble.letsencrypt.org"),
        "{}",
        told.message("CertificateReady")
    );
    println!("CAA for another CA: CAAForbids: {}", told.message("CertificateReady"));

    // This one comes after the zone was read, between two looks at it.
    provider.set_records("foreign.net", "late.foreign.net", "A", &["192.0.2.97"]).await.expect("set");
    setup.apply_host(DEMO_NAMESPACE, "late", json!({"host": "late.foreign.net"})).await;
    let told = host_is(admin, DEMO_NAMESPACE, "late", "RecordsPublished", "False", "ForeignRecord").await;
    println!("a foreign A that came while Lamia did not look: ForeignRecord: {}", told.message("RecordsPublished"));

    // Lamia's own values go once they were of use: a host gets its certificate whatever stands in its address's way.
    eventually("only the foreign TXT is left at a challenge's place", || async {
        let content = provider.content("foreign.net").await?;
        let left: Vec<_> = content.keys().filter(|key| key.starts_with("_acme-challenge")).collect();
        anyhow::ensure!(left == ["_acme-challenge.txt.foreign.net. TXT"], "{left:?}");
        Ok(())
    })
    .await;
    let content = provider.content("foreign.net").await.expect("asked");
    let late = ("late.foreign.net", "A", "192.0.2.97");
    for (name, kind, theirs) in THEIRS.into_iter().chain([late]) {
        let records = &content[&format!("{name}. {kind}")]["records"];
        assert_eq!(*records, json!([{"content": theirs, "disabled": false}]), "{name}");
    }
    println!("all foreign records stand as they stood");
}

/// What the API server refuses by itself.
async fn the_api_itself(setup: &Setup) {
    let spec = |spec: Value| {
        json!({"apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
               "metadata": {"name": "refused", "namespace": DEMO_NAMESPACE}, "spec": spec})
    };
    let table = [
        (json!({"host": ""}), "spec.host"),
        (json!({"host": "a".repeat(254)}), "spec.host"),
        (json!({}), "spec.host: Required value"),
        (json!({"host": "a.input.net", "gateways": []}), "spec.gateways"),
        (json!({"host": "a.input.net", "gateways": [{"name": "a"}, {"name": "b"}]}), "spec.gateways"),
        (json!({"host": "a.input.net", "gateways": [{"port": 0}]}), "spec.gateways[0].port"),
        (json!({"host": "a.input.net", "backend": {"service": "Shop!", "port": 80}}), "spec.backend.service"),
        (json!({"host": "a.input.net", "dns": {"ttl": 0}}), "spec.dns.ttl"),
        (json!({"host": "a.input.net", "certificate": {"challenge": "HTTP01"}}), "spec.certificate.challenge"),
        (
            json!({"host": "a.input.net", "backend": {"service": "shop", "port": 80, "subsets": [{"name": "v1", "weight": 50}]}}),
            "must add up to 100",
        ),
        (
            json!({"host": "a.input.net", "gateways": [{"selector": {"a": "b"}, "ref": {"kind": "Gateway", "name": "x"}}]}),
            "give one of selector, ref and external",
        ),
    ];
    let told = table.len();
    for (bad, words) in table {
        let refusal = lamia_sandbox::manifests::apply(&setup.stage.admin, &spec(bad.clone())).await;
        let text = format!("{:#}", refusal.expect_err("refused"));
        assert!(text.contains(words), "{bad}: {text}");
    }
    setup.apply_host(DEMO_NAMESPACE, "fixed", json!({"host": "fixed.elsewhere.net"})).await;
    let changed = json!({"apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
        "metadata": {"name": "fixed", "namespace": DEMO_NAMESPACE}, "spec": {"host": "other.elsewhere.net"}});
    let refusal = lamia_sandbox::manifests::apply(&setup.stage.admin, &changed).await;
    let text = format!("{:#}", refusal.expect_err("refused"));
    assert!(text.contains("host is immutable"), "{text}");
    println!("{} specs that the API server refuses by itself, with the field's name", told + 1);
}
