//! Applying changes: written at once, looked at only when Route 53 refuses.
//!
//! | Route 53 says | what stands | then |
//! |---|---|---|
//! | applied | | done |
//! | refused: a record is bad | | `Invalid`, naming it |
//! | refused: something stands otherwise | neither `before` nor `after` somewhere | `Conflict`, naming it |
//! | | `after` everywhere | done, by an earlier call |
//! | | `after` in places, else `before` | the rest is written, once |
//! | refused again | | `Conflict`: somebody writes right now |

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_route53::types::ResourceRecordSet;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, RrsetKey};

use super::client::{Client, Unapplied, unbuilt};
use super::convert::{self, is_routed};
use super::read::{self, Known};
use crate::dns::{ChangeTicket, ZoneId, check};
use crate::error::{ErrorKind, ProviderError};

/// One zone to write to.
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) zone: &'a ZoneId,
    pub(super) known: &'a Known,
    pub(super) apex: &'a Fqdn,
    pub(super) operation: &'a str,
}

impl Target<'_> {
    /// Applies the changes, which were checked before.
    pub(super) async fn apply(&self, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        self.refuse_routed(changes)?;
        let all: Vec<&RrsetChange> = changes.iter().collect();
        let messages = match self.write(&all, &BTreeMap::new()).await? {
            Written::Done(ticket) => return Ok(ticket),
            Written::Refused(messages) => messages,
        };
        let guilty = guilty(&messages, changes);
        if !messages.iter().any(|message| is_about_what_stands(message)) {
            return Err(self.invalid(guilty.first().copied().or_else(|| bad_one(&messages, changes)), &messages));
        }
        // Messages that name none of ours: then all are in doubt.
        let all_names = || changes.iter().map(|change| &change.key.name).collect();
        let doubtful: BTreeSet<&Fqdn> =
            if guilty.is_empty() { all_names() } else { guilty.iter().map(|key| &key.name).collect() };
        let standing = read::standing(self, changes, &doubtful).await?;
        let (open, _) = check::open_changes(self.apex, &standing.records, changes)?;
        if open.is_empty() {
            return Ok(ChangeTicket::default());
        }
        match self.write(&open, &standing.odd).await? {
            Written::Done(ticket) => Ok(ticket),
            Written::Refused(messages) => {
                let guilty = self::guilty(&messages, changes);
                match guilty.first().filter(|_| messages.iter().any(|message| is_about_what_stands(message))) {
                    Some(key) => Err(check::conflict(self.apex, key).caused_by(messages.join("; "))),
                    None => Err(self.invalid(guilty.first().copied(), &messages)),
                }
            }
        }
    }

    async fn write(
        &self,
        changes: &[&RrsetChange],
        odd: &BTreeMap<RrsetKey, ResourceRecordSet>,
    ) -> Result<Written, ProviderError> {
        let batch = convert::batch(changes, odd).map_err(|error| unbuilt(self.operation, error))?;
        if batch.is_empty() {
            return Ok(Written::Done(ChangeTicket::default()));
        }
        let writing = self.known.writing();
        match self.client.change(self.operation, &self.zone.0, batch).await {
            Ok(id) => Ok(Written::Done(ChangeTicket(Some(id)))),
            Err(Unapplied::Refused(messages)) => {
                writing.refused();
                Ok(Written::Refused(messages))
            }
            Err(Unapplied::Failed(error)) => Err(error),
        }
    }

    /// Sets with a routing policy, and aliases, are not ours to write, whatever a plan says.
    fn refuse_routed(&self, changes: &[RrsetChange]) -> Result<(), ProviderError> {
        let routed = |change: &&RrsetChange| {
            change.before.iter().chain(&change.after).flat_map(|rrset| &rrset.values).any(is_routed)
        };
        let Some(change) = changes.iter().find(routed) else { return Ok(()) };
        let hint = format!(
            "{} is an alias or has a routing policy at Route 53, which Lamia never changes; use another name or remove it there",
            change.key
        );
        Err(ProviderError::new(ErrorKind::Invalid, self.operation, hint))
    }

    fn invalid(&self, guilty: Option<&RrsetKey>, messages: &[String]) -> ProviderError {
        let full = messages.iter().any(|message| message.contains("Number of records limit"));
        let hint = match guilty {
            _ if full => "the zone has as many records as Route 53 allows (10,000 unless AWS raised it)".to_owned(),
            Some(key) => format!("Route 53 refuses {key}; the log has its words"),
            None => "Route 53 refuses a record in the change; the log has its words".to_owned(),
        };
        ProviderError::new(ErrorKind::Invalid, self.operation, hint).caused_by(messages.join("; "))
    }
}

enum Written {
    Done(ChangeTicket),
    Refused(Vec<String>),
}

/// Whether a refusal is about what stands there, not about a record itself: then it depends on who was here before.
fn is_about_what_stands(message: &str) -> bool {
    [
        "already exists",
        "was not found",
        "do not match the current values",
        "conflicts with other records",
        "conflicting RRSet",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The changes whose names the messages give, in the order of the changes.
fn guilty<'c>(messages: &[String], changes: &'c [RrsetChange]) -> Vec<&'c RrsetKey> {
    let mut named = BTreeSet::new();
    for message in messages {
        // `name='a.example.org.', type='A'`, or `DNS name a.example.org. is not permitted`.
        let quoted = message.split("name='").skip(1).filter_map(|rest| rest.split_once('\'')).map(|(name, _)| name);
        let bare = message.split("DNS name ").skip(1).filter_map(|rest| rest.split([' ', ',', ']']).next());
        named.extend(quoted.chain(bare).filter_map(convert::name));
    }
    changes.iter().map(|change| &change.key).filter(|key| named.contains(&key.name)).collect()
}

/// The one change with the value that the messages give (`… encountered with '192.0.2.256''`), where it is one.
fn bad_one<'c>(messages: &[String], changes: &'c [RrsetChange]) -> Option<&'c RrsetKey> {
    let given = messages.iter().find_map(|message| message.split_once("encountered with '"))?.1;
    let given = given.split('\'').next().filter(|given| !given.is_empty())?;
    let has = |change: &&RrsetChange| {
        let mut values = change.after.iter().flat_map(|rrset| &rrset.values);
        values.any(|value| convert::text(change.key.rtype, value).contains(given))
    };
    let mut found = changes.iter().filter(has);
    found.next().filter(|_| found.next().is_none()).map(|change| &change.key)
}

#[cfg(test)]
mod tests {
    use lamia_core::record::RecordType;

    use super::*;

    #[test]
    fn messages_name_the_guilty_and_say_whether_somebody_was_faster() {
        let change = |name: &str| RrsetChange {
            key: RrsetKey::new(Fqdn::parse(name).expect("a name"), RecordType::A),
            before: None,
            after: None,
        };
        let changes = ["a.example.org", "*.example.org", "b.a.example.org"].map(change);
        let table = [
            ("Tried to create resource record set [name='a.example.org.', type='A'] but it already exists", "a", true),
            (
                "Tried to delete resource record set [name='\\052.example.org.', type='A'] but it was not found",
                "*",
                true,
            ),
            (
                "Tried to delete resource record set [name='b.a.example.org.', type='A'] but the values provided do not match \
                 the current values",
                "b.a",
                true,
            ),
            (
                "RRSet of type A with DNS name a.example.org. is not permitted because a conflicting RRSet of type  CNAME \
                 with the same DNS name already exists in zone example.org.",
                "a",
                true,
            ),
            (
                "Invalid Resource Record: 'FATAL problem: ARRDATANotSingleField (Value contains spaces) encountered with \
                 '1 2''",
                "",
                false,
            ),
        ];
        for (message, label, about_what_stands) in table {
            assert_eq!(is_about_what_stands(message), about_what_stands, "{message}");
            let named: Vec<String> =
                guilty(&[message.to_owned()], &changes).iter().map(|key| key.name.to_string()).collect();
            let wanted: Vec<String> = Some(label)
                .filter(|label| !label.is_empty())
                .map(|label| format!("{label}.example.org"))
                .into_iter()
                .collect();
            assert_eq!(named, wanted, "{message}");
        }
    }
}
