//! When a zone is planned again.

use std::sync::Arc;

use lamia_core::dns::ownership::Identity;
use lamia_core::dns::safety::SafetyRules;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey};
use lamia_providers::dns::ZoneId;
use lamia_providers::dns::memory::Memory;

use super::*;
use crate::zones::REFRESH;

/// A bound zone in which nothing is wanted, and what is in it.
fn bound() -> (Book, ZoneRecords) {
    let domain = Fqdn::parse("example.org").expect("a name");
    let provider = Arc::new(Memory::new([]));
    provider.add_zone(&domain);
    let identity = Identity::new("demo", "i1").expect("good ids");
    let wanted = Wanted::nothing(domain.clone(), identity, SafetyRules::default());
    let mut book = Book::new(wanted, REFRESH, Instant::now());
    let records = provider.snapshot(&domain);
    let (id, name_servers, take_over) = (ZoneId("1".to_owned()), Vec::new(), Vec::new());
    book.bind(ZoneBinding { domain, id, provider, name_servers, mode: Mode::Active, take_over });
    (book, records)
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_read_as_it_was_is_not_planned_again() {
    let (mut book, records) = bound();
    let now = Moment { instant: Instant::now(), time: Timestamp::constant(1_800_000_000, 0) };
    let mut changed = records.clone();
    let key = RrsetKey::new(Fqdn::parse("theirs.example.org").expect("a name"), RecordType::A);
    changed.insert(key, Rrset::new(60, [RecordValue::A([192, 0, 2, 1].into())]));
    for (read, is_planned) in [(&records, true), (&records, false), (&changed, true), (&changed, false)] {
        book.have_read(book.epoch, Ok(read.clone()), now);
        assert_eq!(book.plan(now, 0).is_some(), is_planned);
    }
    book.replan();
    assert!(book.plan(now, 0).is_some());
    book.fail(&ProviderError::new(ErrorKind::Unavailable, "read", "down"), now);
    book.have_read(book.epoch, Ok(changed), now);
    assert!(book.plan(now, 0).is_some(), "after a failure nothing is taken for planned");
}
