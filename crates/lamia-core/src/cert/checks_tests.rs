use jiff::SignedDuration;

use super::super::later;
use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn names(hosts: &[&str]) -> BTreeSet<HostName> {
    hosts.iter().map(|host| HostName::parse(host).expect("a host")).collect()
}

fn hours(hours: i64) -> Timestamp {
    later(NOW, SignedDuration::from_hours(hours))
}

fn good() -> Held {
    let leaf = Leaf {
        names: names(&["shop.example.org"]),
        validity: Validity { not_before: hours(-1), not_after: hours(1) },
        serial: "01".to_owned(),
        sha256: "ab".to_owned(),
        algorithm: Some(KeyAlgorithm::P256),
        public_key: vec![4, 1, 2],
        issuer: "Test CA".to_owned(),
        renewal_id: None,
    };
    Held { leaf, key: vec![4, 1, 2], directory: Some("https://ca.example/dir".to_owned()) }
}

fn wanted() -> Wanted {
    Wanted {
        names: names(&["shop.example.org"]),
        algorithm: KeyAlgorithm::P256,
        directory: Some("https://ca.example/dir".to_owned()),
    }
}

fn flaw_of(change: impl FnOnce(&mut Held, &mut Wanted)) -> Option<Flaw> {
    let (mut held, mut wanted) = (good(), wanted());
    change(&mut held, &mut wanted);
    first_flaw(&InHand::Certificate(Box::new(held)), &wanted, NOW)
}

#[test]
fn each_check_of_the_chain() {
    assert_eq!(first_flaw(&InHand::Nothing, &wanted(), NOW), Some(Flaw::Missing));
    assert_eq!(first_flaw(&InHand::Unreadable, &wanted(), NOW), Some(Flaw::Unreadable));
    assert_eq!(flaw_of(|_, _| {}), None);
    assert_eq!(flaw_of(|held, _| held.key = vec![4, 9]), Some(Flaw::KeyMismatch));
    assert_eq!(flaw_of(|_, wanted| wanted.names = names(&["blog.example.org"])), Some(Flaw::NamesNotCovered));
    assert_eq!(flaw_of(|held, _| held.leaf.validity.not_after = NOW), Some(Flaw::Expired));
    assert_eq!(
        flaw_of(|_, wanted| wanted.directory = Some("https://other.example".to_owned())),
        Some(Flaw::OtherIssuer)
    );
    assert_eq!(flaw_of(|_, wanted| wanted.algorithm = KeyAlgorithm::P384), Some(Flaw::OtherAlgorithm));
}

#[test]
fn the_first_failing_check_is_the_reason() {
    let flaw = flaw_of(|held, wanted| {
        held.leaf.validity.not_after = NOW;
        held.key = Vec::new();
        wanted.algorithm = KeyAlgorithm::P384;
    });
    assert_eq!(flaw, Some(Flaw::KeyMismatch));
}

#[test]
fn what_is_not_known_is_no_reason_to_replace() {
    assert_eq!(flaw_of(|held, _| held.directory = None), None);
    assert_eq!(flaw_of(|_, wanted| wanted.directory = None), None);
    assert_eq!(flaw_of(|held, _| held.leaf.names = names(&["shop.example.org", "more.example.org"])), None);
}

#[test]
fn only_a_certificate_that_clients_accept_goes_on_serving() {
    let serving: Vec<Flaw> = [
        Flaw::Missing,
        Flaw::Unreadable,
        Flaw::KeyMismatch,
        Flaw::NamesNotCovered,
        Flaw::Expired,
        Flaw::OtherIssuer,
        Flaw::OtherAlgorithm,
    ]
    .into_iter()
    .filter(|flaw| flaw.still_serves())
    .collect();
    assert_eq!(serving, [Flaw::OtherIssuer, Flaw::OtherAlgorithm]);
}

#[test]
fn a_certificate_from_the_ca_must_be_the_one_that_was_ordered() {
    let leaf = good().leaf;
    assert_eq!(fits(&leaf, &[4, 1, 2], &wanted(), NOW), Ok(()));
    assert_eq!(fits(&leaf, &[4, 9], &wanted(), NOW), Err("it is for another key"));
    let other = Wanted { names: names(&["blog.example.org"]), ..wanted() };
    assert_eq!(fits(&leaf, &[4, 1, 2], &other, NOW), Err("it is for other names"));
    assert_eq!(fits(&leaf, &[4, 1, 2], &wanted(), hours(1)), Err("it has expired already"));
}

/// A self-signed P-256 certificate for two names, valid from 2026-01-01 to 2026-04-01.
const SAMPLE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBZTCCAQygAwIBAgIBKjAKBggqhkjOPQQDAjAVMRMwEQYDVQQDDApMYW1pYSB0
ZXN0MB4XDTI2MDEwMTAwMDAwMFoXDTI2MDQwMTAwMDAwMFowFTETMBEGA1UEAwwK
TGFtaWEgdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABH3V0fIhZgIvDnpd
P17bsZd6751VPe8Q1iw8bQmbEPwYn7gpw8FnlFpI8sjmFIP5XZIYUk9VVBAwCzj1
4oOQSJijTTBLMCoGA1UdEQQjMCGCEHNob3AuZXhhbXBsZS5vcmeCDSouZXhhbXBs
ZS5vcmcwHQYDVR0OBBYEFIfxmGDc0ITtatk29g3ROimzWy42MAoGCCqGSM49BAMC
A0cAMEQCIGXp0lBcEO3jL/IonDwLlJoEXvi8adgTxmqzsIZWDk9CAiBps8HXotXR
4u8WQ28t85S9X+CVy9BuHzdjUMqCYu9mIQ==
-----END CERTIFICATE-----\n";

#[test]
fn a_real_certificate_is_read() {
    let leaf = read_leaf(SAMPLE.as_bytes()).expect("a certificate");
    assert_eq!(leaf.names, names(&["shop.example.org", "*.example.org"]));
    assert_eq!(leaf.validity.not_before.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(leaf.validity.not_after.to_string(), "2026-04-01T00:00:00Z");
    assert_eq!(leaf.algorithm, Some(KeyAlgorithm::P256));
    assert_eq!((leaf.public_key.len(), leaf.public_key[0]), (65, 4), "an uncompressed point");
    assert_eq!(leaf.issuer, "Lamia test");
    assert_eq!((leaf.serial.as_str(), leaf.sha256.len()), ("2a", 64));
}

#[test]
fn what_is_no_chain_is_told_apart() {
    assert_eq!(read_leaf(b""), Err(ChainError::NoCertificate));
    assert_eq!(read_leaf(b"nonsense"), Err(ChainError::NoCertificate));
    let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(read_leaf(no_x509.as_bytes()), Err(ChainError::NotX509));
}

#[test]
fn what_a_ca_knows_a_certificate_by_is_as_in_the_example_of_its_rfc() {
    // RFC 9773, appendix A: key identifier and serial number, in base64url without padding.
    let authority = [
        0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde, 0x01,
        0xc8, 0xd4,
    ];
    let id = RenewalId::new(&authority, &[0x00, 0x87, 0x65, 0x43, 0x21]);
    assert_eq!(id.to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    assert_eq!(id.parts(), ("aYhba4dGQEHhs3uEe6CuLN4ByNQ", "AIdlQyE"));
}
