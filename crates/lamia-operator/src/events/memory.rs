//! What was told of which object, for an hour. Hashes only; plain and synchronous.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long news stay told. The API server keeps Events for an hour by default.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How soon the same news may be told again when something else happened in between.
const REPEATED_AFTER: Duration = Duration::from_secs(300);
/// How often what is too old is thrown away.
const SWEPT_EVERY: Duration = Duration::from_secs(600);

/// How to tell a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// As a new Event.
    New,
    /// As another occurrence of the Event that is there.
    Again {
        /// How often it happened by now.
        count: u32,
    },
    /// Not at all.
    Not,
}

/// Told news, by hash of their content.
#[derive(Debug, Default)]
pub(super) struct Memory {
    told: BTreeMap<u64, Told>,
    /// The newest news of each object.
    last: BTreeMap<u64, Last>,
    swept: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    content: u64,
    at: Instant,
}

impl Memory {
    /// How to tell this content of this object now; remembers that it was.
    pub(super) fn telling(&mut self, object: u64, content: u64, now: Instant) -> Telling {
        self.sweep(now);
        let before = self.last.insert(object, Last { content, at: now });
        let Some(told) = self.told.get_mut(&content).filter(|told| now < told.at + REMEMBERED) else {
            self.told.insert(content, Told { at: now, count: 1 });
            return Telling::New;
        };
        if before.is_some_and(|last| last.content == content) || now < told.at + REPEATED_AFTER {
            return Telling::Not;
        }
        *told = Told { at: now, count: told.count.saturating_add(1) };
        Telling::Again { count: told.count }
    }

    /// It could not be told after all.
    pub(super) fn forget(&mut self, content: u64) {
        self.told.remove(&content);
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEPT_EVERY) {
            return;
        }
        self.swept = Some(now);
        self.told.retain(|_, told| now < told.at + REMEMBERED);
        self.last.retain(|_, last| now < last.at + REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn news_are_told_as_the_table_says() {
        let (object, bad, good) = (1, 10, 11);
        let mut memory = Memory::default();
        let start = Instant::now();
        for (minute, content, expected) in [
            (0, bad, Telling::New),
            (1, bad, Telling::Not),
            (20, bad, Telling::Not),
            (21, good, Telling::New),
            (22, bad, Telling::Again { count: 2 }),
            (23, good, Telling::Not),
            (24, bad, Telling::Not),
            (27, good, Telling::Again { count: 2 }),
            (28, bad, Telling::Again { count: 3 }),
            (87, bad, Telling::Not),
            (88, bad, Telling::New),
        ] {
            assert_eq!(memory.telling(object, content, start + minute * MINUTE), expected, "minute {minute}");
        }
    }

    #[test]
    fn objects_do_not_hear_each_others_news() {
        let mut memory = Memory::default();
        let now = Instant::now();
        assert_eq!(memory.telling(1, 10, now), Telling::New);
        assert_eq!(memory.telling(2, 20, now), Telling::New);
        assert_eq!(memory.telling(1, 10, now + 10 * MINUTE), Telling::Not);
    }

    #[test]
    fn what_is_old_takes_no_room() {
        let mut memory = Memory::default();
        let start = Instant::now();
        for n in 0..1000 {
            memory.telling(n, n, start);
        }
        memory.telling(1, 2000, start + 61 * MINUTE);
        assert_eq!((memory.told.len(), memory.last.len()), (1, 1));
    }

    #[test]
    fn what_could_not_be_told_is_new_the_next_time() {
        let mut memory = Memory::default();
        let now = Instant::now();
        memory.telling(1, 10, now);
        memory.forget(10);
        assert_eq!(memory.telling(1, 10, now), Telling::New);
    }
}
