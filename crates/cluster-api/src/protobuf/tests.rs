//! What kubectl sent, and whatever else may come.

use data_encoding::BASE64;
use proptest::prelude::*;

use super::*;

/// A length-delimited field.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(content.len()).expect("short")];
    field.extend_from_slice(content);
    field
}

fn body(version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let head = [bytes(1, version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes(1, &head), bytes(2, message)].concat()
}

#[test]
fn every_message_that_is_named_is_there() {
    let kind = |it: &str| it.trim_start_matches(['[', '{', '*', '<']).to_owned();
    let named = MESSAGES.messages.values().flat_map(BTreeMap::values).map(|(_, it)| kind(it)).filter(|it| it.len() > 1);
    for message in named.chain(MESSAGES.kinds.values().cloned()) {
        assert!(MESSAGES.messages.contains_key(&message), "{message}");
    }
    assert!(MESSAGES.kinds.len() > 20);
}

#[test]
fn a_secret_is_read() {
    // What Go does not leave out although it is empty: `generateName`, `selfLink`, the time.
    let metadata =
        [bytes(1, b"a"), bytes(2, b""), bytes(8, b""), bytes(11, &[bytes(1, b"k"), bytes(2, b"v")].concat())].concat();
    let data = [bytes(1, b"key"), bytes(2, b"\x00\xff")].concat();
    let message = [bytes(1, &metadata), bytes(2, &data), bytes(3, b"Opaque"), vec![5 << 3, 0]].concat();
    let expected = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "labels": {"k": "v"}},
        "data": {"key": BASE64.encode(b"\x00\xff")}, "type": "Opaque", "immutable": false,
    });
    assert_eq!(read(&body("v1", "Secret", &message)), Ok(expected));
}

#[test]
fn times_and_quantities_are_texts() {
    let seconds = [vec![1 << 3], vec![0x80, 0xf2, 0xd7, 0xb9, 0x06]].concat();
    let spec = [bytes(1, b"me"), bytes(4, &seconds)].concat();
    let lease = read(&body("coordination.k8s.io/v1", "Lease", &bytes(2, &spec))).expect("a Lease");
    assert_eq!(lease["spec"], json!({"holderIdentity": "me", "renewTime": "2024-11-14T13:20:00.000000Z"}));
    assert_eq!(time(0, None).as_deref(), Ok("1970-01-01T00:00:00Z"));
}

#[test]
fn what_is_not_known_is_refused() {
    assert!(read(b"").is_err_and(|it| it.contains("expected prefix")));
    assert!(read(&body("v9", "Secret", b"")).is_err_and(|it| it.contains("no kind \"Secret\"")));
    assert!(read(&body("v1", "Secret", b"\x0a\x7f")).is_err_and(|it| it.contains("EOF")));
}

proptest! {
    #[test]
    fn nothing_panics(message in proptest::collection::vec(any::<u8>(), 0..120)) {
        for kind in ["Secret", "Pod", "Service"] {
            let _ = read(&body("v1", kind, &message));
        }
        let _ = read(&[MAGIC, &message[..]].concat());
    }
}
