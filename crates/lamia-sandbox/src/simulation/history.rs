//! What happened, in words: who did what when. A broken invariant is a line too, and what a history is judged by.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::time::{SimulatedClock, in_words};

/// The lines so far. Clones share them.
#[derive(Clone)]
pub(super) struct History {
    clock: Arc<SimulatedClock>,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    lines: Vec<String>,
    broken: Vec<Broken>,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which: a stable word or two, by which a smaller script is known to fail alike.
    pub invariant: &'static str,
    /// When.
    pub at: String,
    /// How, in words.
    pub words: String,
}

impl History {
    pub(super) fn new(clock: Arc<SimulatedClock>) -> Self {
        Self { clock, told: Arc::default() }
    }

    /// `who` did or met `what`.
    pub(super) fn tell(&self, who: &str, what: impl Display) {
        let line = format!("{}  {who:<8}  {what}", in_words(self.clock.elapsed()));
        self.told().lines.push(line);
    }

    /// An invariant is broken. The same words count once.
    pub(super) fn broken(&self, invariant: &'static str, what: impl Display) {
        let words = what.to_string();
        if self.told().broken.iter().any(|it| it.invariant == invariant && it.words == words) {
            return;
        }
        self.tell("BROKEN", format!("{invariant}: {words}"));
        let at = in_words(self.clock.elapsed());
        self.told().broken.push(Broken { invariant, at, words });
    }

    /// All lines, and what is broken.
    pub(super) fn take(&self) -> (Vec<String>, Vec<Broken>) {
        let told = std::mem::take(&mut *self.told());
        (told.lines, told.broken)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
