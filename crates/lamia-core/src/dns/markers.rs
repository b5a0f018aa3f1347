//! The markers in a zone, whoever's. Read once per plan: whatever comes after asks here and parses nothing.

use std::collections::BTreeMap;

use super::ownership::{self, Identity, Marker};
use crate::name::Fqdn;
use crate::record::{RecordType, RecordValue, ZoneRecords};

/// All markers of a zone, by the name they stand at.
#[derive(Debug)]
pub(super) struct Markers<'a> {
    us: &'a Identity,
    by_name: BTreeMap<&'a Fqdn, Vec<Read<'a>>>,
}

/// One TXT value that is a marker, and what it says.
#[derive(Debug)]
struct Read<'a> {
    value: &'a RecordValue,
    marker: Marker,
}

impl<'a> Markers<'a> {
    /// Reads a zone's markers; `us` is who asks.
    pub(super) fn read(actual: &'a ZoneRecords, us: &'a Identity) -> Self {
        let read = |value| Some(Read { value, marker: ownership::parse_value(value)? });
        let texts = actual.iter().filter(|(key, _)| key.rtype == RecordType::Txt);
        let markers = texts.map(|(key, rrset)| (&key.name, rrset.values.iter().filter_map(read).collect::<Vec<_>>()));
        Self { us, by_name: markers.filter(|(_, markers)| !markers.is_empty()).collect() }
    }

    /// The names where markers stand, each with the one that counts.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a Fqdn, &Marker)> {
        self.by_name.iter().filter_map(|(at, markers)| Some((*at, first(markers)?)))
    }

    /// The marker that counts at a name.
    pub(super) fn at(&self, at: &Fqdn) -> Option<&Marker> {
        first(self.by_name.get(at)?)
    }

    /// Whether a value that stands at `at` is a marker of ours, the one that counts or not.
    pub(super) fn is_ours(&self, at: &Fqdn, value: &RecordValue) -> bool {
        let markers = self.by_name.get(at).into_iter().flatten();
        markers.into_iter().any(|read| read.marker.identity == *self.us && read.value == value)
    }
}

fn first<'m>(markers: &'m [Read<'_>]) -> Option<&'m Marker> {
    ownership::that_counts(markers.iter().map(|read| &read.marker))
}
