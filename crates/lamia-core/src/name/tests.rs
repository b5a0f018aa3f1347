//! Names as servers and as people write them, and what is none.

#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).unwrap()
}

#[test]
fn a_name_is_read_as_servers_write_it() {
    let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    for (text, expected) in [
        ("example.org", "example.org"),
        ("Example.ORG.", "example.org"),
        ("_acme-challenge.shop.example.org", "_acme-challenge.shop.example.org"),
        ("*.example.org", "*.example.org"),
        ("-odd-.example.org", "-odd-.example.org"),
        ("org", "org"),
        ("*", "*"),
        (&long, &long),
    ] {
        assert_eq!(name(text).as_str(), expected);
    }
}

#[test]
fn what_is_no_name_is_refused_with_the_reason() {
    let label = "a".repeat(64);
    let long = vec!["a".repeat(63); 4].join(".");
    let table = [
        ("", NameError::Empty),
        (".", NameError::Empty),
        ("..", NameError::EmptyLabel),
        (".example.org", NameError::EmptyLabel),
        ("a..b", NameError::EmptyLabel),
        (&label, NameError::LabelTooLong(label.clone(), 64)),
        (&long, NameError::TooLong(255)),
        ("a.*.org", NameError::MisplacedWildcard),
        ("a*.org", NameError::MisplacedWildcard),
        ("**.org", NameError::MisplacedWildcard),
        ("a b.org", NameError::BadCharacter("a b".to_owned(), ' ')),
        ("é.org", NameError::BadCharacter("é".to_owned(), 'é')),
    ];
    for (text, expected) in table {
        assert_eq!(Fqdn::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn names_stand_above_and_below_each_other() {
    let table = [
        ("a.example.org", "example.org", true),
        ("example.org", "example.org", false),
        ("notexample.org", "example.org", false),
        ("example.org", "a.example.org", false),
        ("x.y.example.org", "example.org", true),
        ("*.example.org", "example.org", true),
    ];
    for (below, above, expected) in table {
        assert_eq!(name(below).is_under(&name(above)), expected, "{below} under {above}");
    }
    assert!(name("example.org").is_at_or_under(&name("example.org")));
    let above: Vec<String> = name("a.b.org").ancestors().map(|name| name.to_string()).collect();
    assert_eq!(above, ["a.b.org", "b.org", "org"]);
    assert_eq!(name("org").parent(), None);
}

#[test]
fn a_host_is_read_as_people_write_it() {
    for (text, expected) in [
        ("shop.example.org", "shop.example.org"),
        ("Shop.Example.ORG.", "shop.example.org"),
        ("*.example.org", "*.example.org"),
        ("bücher.example.org", "xn--bcher-kva.example.org"),
        ("*.bücher.de", "*.xn--bcher-kva.de"),
        ("faß.de", "xn--fa-hia.de"),
        ("😀.example.org", "xn--e28h.example.org"),
        ("shop。example。org", "shop.example.org"),
        ("XN--BCHER-KVA.de", "xn--bcher-kva.de"),
        ("me.github.io", "me.github.io"),
        ("1.2.3.4.example.org", "1.2.3.4.example.org"),
    ] {
        assert_eq!(HostName::parse(text).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn what_no_certificate_can_name_is_refused_with_the_reason() {
    let long = format!("{}.example.org", "a".repeat(64));
    let table = [
        ("", "the name is empty"),
        ("*.", "an asterisk may only be"),
        ("192.0.2.1", "192.0.2.1 is an IP address"),
        ("１９２.0.2.1", "192.0.2.1 is an IP address"),
        ("[2001:db8::1]", "2001:db8::1 is an IP address"),
        ("host.300", "\"host.300\" ends in a number"),
        ("localhost", "\"localhost\" has a single label"),
        ("co.uk", "co.uk is a public suffix"),
        ("*.com", "\"com\" has a single label"),
        ("*.co.uk", "co.uk is a public suffix"),
        ("github.io", "github.io is a public suffix"),
        ("under_score.example.org", "\"under_score\" has the character '_'"),
        ("a.*.example.org", "an asterisk may only be"),
        ("*.*.example.org", "an asterisk may only be"),
        ("-a.example.org", "the label \"-a\" begins or ends with a hyphen"),
        ("xn--a-ä.org", "\"xn--a-ä.org\" is no valid internationalised name"),
        (&long, "the label \"aaaa"),
    ];
    for (text, expected) in table {
        let error = HostName::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn a_wildcard_covers_one_label() {
    let host = |text: &str| HostName::parse(text).unwrap();
    let table = [
        ("*.example.org", "a.example.org", true),
        ("*.example.org", "*.example.org", true),
        ("*.example.org", "example.org", false),
        ("*.example.org", "a.b.example.org", false),
        ("*.example.org", "*.b.example.org", false),
        ("a.example.org", "a.example.org", true),
        ("a.example.org", "*.example.org", false),
    ];
    for (one, other, expected) in table {
        assert_eq!(host(one).covers(&host(other)), expected, "{one} covers {other}");
    }
    assert_eq!(host("*.example.org").challenge_base(), name("example.org"));
    assert_eq!(host("a.example.org").challenge_base(), name("a.example.org"));
}

#[test]
fn the_registrable_domain_is_one_label_below_the_public_suffix() {
    let table = [
        ("shop.example.co.uk", Some("example.co.uk")),
        ("example.org", Some("example.org")),
        ("a.b.me.github.io", Some("me.github.io")),
        ("shop.democluster.test", Some("democluster.test")),
        ("co.uk", None),
        ("org", None),
    ];
    for (text, expected) in table {
        assert_eq!(registrable_domain(&name(text)), expected.map(name), "{text}");
    }
}

fn names() -> impl Strategy<Value = Fqdn> {
    proptest::collection::vec("[a-z0-9_-]{1,8}", 1..5).prop_map(|labels| name(&labels.join(".")))
}

proptest! {
    #[test]
    fn a_name_reads_back_as_printed(one in names()) {
        prop_assert_eq!(&Fqdn::parse(&one.to_string()), &Ok(one.clone()));
        prop_assert_eq!(&Fqdn::parse(&one.with_dot().to_ascii_uppercase()), &Ok(one.clone()));
        prop_assert_eq!(one.labels().collect::<Vec<_>>().join("."), one.as_str());
    }

    #[test]
    fn under_means_that_the_labels_end_alike(one in names(), other in names()) {
        let (a, b): (Vec<&str>, Vec<&str>) = (one.labels().collect(), other.labels().collect());
        prop_assert_eq!(one.is_under(&other), a.len() > b.len() && a.ends_with(&b));
        let child = one.child("x").unwrap();
        prop_assert!(child.is_under(&one) && child.parent() == Some(one));
    }

    #[test]
    fn a_child_is_what_its_text_would_be_read_as(one in names(), wildcard: bool, label in "[A-Za-z0-9._*é-]{0,4}|[a-z]{60,66}|([a-z]{50}[.]){4}[a-z]{20,60}") {
        let above = if wildcard { one.child("*").unwrap() } else { one };
        prop_assert_eq!(above.child(&label), Fqdn::parse(&format!("{label}.{above}")));
    }

    #[test]
    fn the_texts_of_ancestors_are_their_names(one in names()) {
        let above: Vec<Fqdn> = std::iter::successors(Some(one.clone()), Fqdn::parent).collect();
        prop_assert!(one.ancestors().eq(above.iter().cloned()));
        prop_assert!(one.ancestor_texts().eq(above.iter().map(Fqdn::as_str)));
    }

    #[test]
    fn no_text_makes_the_parsers_fall(text in ".*") {
        let host = HostName::parse(&text);
        let _ = Fqdn::parse(&text);
        if let Ok(host) = host {
            prop_assert_eq!(HostName::parse(&host.to_string()), Ok(host));
        }
    }
}
