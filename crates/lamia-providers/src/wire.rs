//! Names and records between the wire's types (hickory) and Lamia's.

use hickory_proto::rr::{Name, RData, RecordType as WireType};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, TxtData};

/// A name for the wire. `None` never happens for a name that [`Fqdn`] took; the limits are the same.
pub(crate) fn wire_name(name: &Fqdn) -> Option<Name> {
    Name::from_ascii(name.with_dot()).ok()
}

/// A name from the wire; `None` for the root, and for labels with characters that Lamia has no use for.
pub(crate) fn fqdn(name: &Name) -> Option<Fqdn> {
    Fqdn::parse(&name.to_ascii()).ok()
}

/// A type for the wire.
pub(crate) fn wire_type(rtype: RecordType) -> WireType {
    WireType::from(rtype.code())
}

/// A type from the wire.
pub(crate) fn record_type(rtype: WireType) -> RecordType {
    RecordType::from_code(rtype.into())
}

/// A value from the wire. Names that are no [`Fqdn`] make it [`RecordValue::Other`].
pub(crate) fn record_value(data: &RData) -> RecordValue {
    let named = match data {
        RData::CNAME(target) => fqdn(&target.0).map(RecordValue::Cname),
        RData::NS(target) => fqdn(&target.0).map(RecordValue::Ns),
        _ => None,
    };
    if let Some(named) = named {
        return named;
    }
    match data {
        RData::A(address) => RecordValue::A(address.0),
        RData::AAAA(address) => RecordValue::Aaaa(address.0),
        RData::TXT(txt) => {
            RecordValue::Txt(TxtData::from_strings(txt.txt_data.iter().map(|part| part.to_vec()).collect()))
        }
        RData::CAA(caa) => RecordValue::Caa {
            flags: caa.flags(),
            tag: caa.tag.clone(),
            value: String::from_utf8_lossy(&caa.value).into_owned(),
        },
        other => RecordValue::Other(other.to_string()),
    }
}
