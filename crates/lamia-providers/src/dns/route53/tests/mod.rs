//! The provider against a strict stand-in of Route 53's API, and against moto.

mod ambient;
mod contract;
mod faults;
mod identity;
#[cfg(feature = "conformance")]
mod moto;
mod records;
mod stand_in;
mod wire;
mod xml;
mod zones;

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn address(last: u8) -> Rrset {
    Rrset::new(300, [RecordValue::A([192, 0, 2, last].into())])
}

/// A new RRset of one address.
fn publish(host: &str, last: u8) -> RrsetChange {
    RrsetChange { key: RrsetKey::new(name(host), RecordType::A), before: None, after: Some(address(last)) }
}
