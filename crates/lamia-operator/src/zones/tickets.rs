//! The provider's changes that it has taken but may not have brought to its name servers yet.
//!
//! One is asked about at a time: the newest when the question was first put. A zone has one writer, so when that one is in
//! sync all before it are, and a steady stream of changes costs few questions.

use std::time::Duration;

use lamia_providers::dns::ChangeTicket;
use tokio::time::Instant;

const FIRST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);

/// The tickets of one zone, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    newest: Option<(u64, ChangeTicket)>,
    asking: Option<Asking>,
    last: u64,
    synced: u64,
}

#[derive(Clone, Debug)]
struct Asking {
    number: u64,
    ticket: ChangeTicket,
    next: Instant,
    interval: Duration,
}

impl Tickets {
    /// Takes a ticket in; 0 for one that needs no asking.
    pub(super) fn add(&mut self, ticket: ChangeTicket, now: Instant) -> u64 {
        if ticket.0.is_none() {
            return 0;
        }
        self.last += 1;
        self.newest = Some((self.last, ticket));
        self.ask_newest(now);
        self.last
    }

    /// All tickets up to this one are in sync.
    pub(super) fn synced(&self) -> u64 {
        self.synced
    }

    /// When the next question is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.asking.as_ref().map(|asking| asking.next)
    }

    /// The ticket to ask about now.
    pub(super) fn due(&self, now: Instant) -> Option<(u64, ChangeTicket)> {
        let asking = self.asking.as_ref().filter(|asking| asking.next <= now)?;
        Some((asking.number, asking.ticket.clone()))
    }

    /// The answer to the question about this ticket.
    pub(super) fn answered(&mut self, number: u64, in_sync: bool, now: Instant) {
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.number == number) else { return };
        if in_sync {
            self.synced = number;
            self.asking = None;
            self.ask_newest(now);
        } else {
            asking.next = now + asking.interval;
            asking.interval = (asking.interval * 2).min(LONGEST_INTERVAL);
        }
    }

    fn ask_newest(&mut self, now: Instant) {
        if self.asking.is_none()
            && let Some((number, ticket)) = self.newest.take()
        {
            self.asking = Some(Asking { number, ticket, next: now, interval: FIRST_INTERVAL });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(text: &str) -> ChangeTicket {
        ChangeTicket(Some(text.to_owned()))
    }

    #[test]
    fn one_question_answers_for_all_before_it() {
        let now = Instant::now();
        let mut tickets = Tickets::default();
        assert_eq!(tickets.add(ChangeTicket(None), now), 0);
        assert_eq!(tickets.due(now), None);
        for number in 1..=3 {
            assert_eq!(tickets.add(ticket(&number.to_string()), now), number);
        }
        assert_eq!(tickets.due(now), Some((1, ticket("1"))));
        tickets.answered(1, false, now);
        assert_eq!(tickets.due(now), None);
        assert_eq!(tickets.next(), Some(now + FIRST_INTERVAL));
        tickets.answered(1, true, now);
        assert_eq!(tickets.synced(), 1);
        assert_eq!(tickets.due(now), Some((3, ticket("3"))), "the second is skipped");
        tickets.answered(3, true, now);
        assert_eq!((tickets.synced(), tickets.next()), (3, None));
    }
}
