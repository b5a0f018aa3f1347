//! An answer, in Lamia's words.

use hickory_proto::op::Message;
use hickory_proto::op::ResponseCode as WireCode;
use hickory_proto::rr::Record;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue};

use crate::wire::{fqdn, record_type, record_value};

/// A response code (RFC 1035 §4.1.1), as far as Lamia acts differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseCode {
    /// The question was answered, if only by "nothing of that type".
    NoError,
    /// The name does not exist (NXDOMAIN).
    NameError,
    /// The server failed (SERVFAIL); of a resolver also: the zone is broken, or its signatures are.
    ServerFailure,
    /// The server does not want to answer: it has no such zone.
    Refused,
    /// Any other.
    Other(u16),
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRecord {
    /// The owner name.
    pub name: Fqdn,
    /// Its type.
    pub rtype: RecordType,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// Its value.
    pub value: RecordValue,
}

/// What a server answered. Records whose owner is no [`Fqdn`] are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How the question was taken.
    pub code: ResponseCode,
    /// Whether the server is an authority for the name (AA).
    pub authoritative: bool,
    /// The answer section.
    pub answers: Vec<AnswerRecord>,
    /// The authority section: the SOA of a denial, or the NS of a referral.
    pub authorities: Vec<AnswerRecord>,
    /// The additional section: glue.
    pub additionals: Vec<AnswerRecord>,
}

impl Answer {
    pub(super) fn from_wire(message: &Message) -> Self {
        Self {
            code: match message.metadata.response_code {
                WireCode::NoError => ResponseCode::NoError,
                WireCode::NXDomain => ResponseCode::NameError,
                WireCode::ServFail => ResponseCode::ServerFailure,
                WireCode::Refused => ResponseCode::Refused,
                other => ResponseCode::Other(other.into()),
            },
            authoritative: message.metadata.authoritative,
            answers: section(&message.answers),
            authorities: section(&message.authorities),
            additionals: section(&message.additionals),
        }
    }

    /// The values of this type in the answer section, at whatever name an alias led to.
    pub fn values(&self, rtype: RecordType) -> impl Iterator<Item = &RecordValue> {
        self.answers.iter().filter(move |record| record.rtype == rtype).map(|record| &record.value)
    }

    /// The name servers that the answer section has for exactly this name.
    #[must_use]
    pub fn name_servers(&self, zone: &Fqdn) -> Vec<Fqdn> {
        targets(&self.answers, zone)
    }

    /// The referral in it, if it is one: the zone referred to, and its name servers (RFC 1034 §4.3.1).
    #[must_use]
    pub fn referral(&self) -> Option<(Fqdn, Vec<Fqdn>)> {
        if self.code != ResponseCode::NoError || self.authoritative || !self.answers.is_empty() {
            return None;
        }
        let cut = self.authorities.iter().find(|record| record.rtype == RecordType::Ns)?.name.clone();
        let servers = targets(&self.authorities, &cut);
        Some((cut, servers))
    }
}

fn section(records: &[Record]) -> Vec<AnswerRecord> {
    let convert = |record: &Record| {
        Some(AnswerRecord {
            name: fqdn(&record.name)?,
            rtype: record_type(record.record_type()),
            ttl: record.ttl,
            value: record_value(&record.data),
        })
    };
    records.iter().filter_map(convert).collect()
}

fn targets(records: &[AnswerRecord], zone: &Fqdn) -> Vec<Fqdn> {
    let mut found: Vec<Fqdn> = records
        .iter()
        .filter(|record| record.name == *zone)
        .filter_map(|record| match &record.value {
            RecordValue::Ns(target) => Some(target.clone()),
            _ => None,
        })
        .collect();
    found.sort();
    found.dedup();
    found
}
