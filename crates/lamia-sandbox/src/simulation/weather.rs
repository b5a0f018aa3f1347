//! What goes wrong on the way to the outside: how likely, at which part, until when. And the death of the operator at a given word.
//!
//! A *word* is a request that is about to be carried out, or has just been. The operator may die at any of them: then the word is never
//! answered, nothing more is carried out, and whoever waits at [`Weather::death`] ends the life.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::chance::stream;

/// A part of the world that requests go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The Kubernetes API.
    Api,
    /// The DNS provider.
    Dns,
    /// The CA.
    Ca,
}

impl Part {
    /// Its name in a history.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Dns => "dns",
            Self::Ca => "ca",
        }
    }

    /// How long a request takes when all is well, in milliseconds.
    fn pace(self) -> (u64, u64) {
        match self {
            Self::Api => (1, 4),
            Self::Dns => (20, 120),
            Self::Ca => (40, 300),
        }
    }
}

/// What strikes one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// It is refused as too much, and nothing is done.
    Throttled,
    /// It fails on the other side, and nothing is done.
    Failed,
    /// It somehow collides with another, and nothing is done.
    Conflict,
    /// It is lost on its way; nothing is done.
    Lost,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// A part of it is carried out, where it has parts.
    Partly,
}

const STRIKES: [Strike; 6] =
    [Strike::Throttled, Strike::Failed, Strike::Conflict, Strike::Lost, Strike::AnswerLost, Strike::Partly];

/// The weather of one world.
pub(super) struct Weather {
    state: Mutex<State>,
    died: Notify,
}

struct State {
    /// The share of requests that something strikes, by part, in percent; parts without are in good weather.
    storms: BTreeMap<Part, u32>,
    chance: BTreeMap<Part, StdRng>,
    /// Words until the operator dies.
    words_left: Option<u32>,
    is_dead: bool,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        let parts = [Part::Api, Part::Dns, Part::Ca];
        let chance = parts.map(|part| (part, stream(seed, part.as_str()))).into();
        let state = State { storms: BTreeMap::new(), chance, words_left: None, is_dead: false };
        Self { state: Mutex::new(state), died: Notify::new() }
    }

    /// From now on something strikes so many percent of the requests to a part; 0 ends it.
    pub(super) fn set(&self, part: Part, percent: u32) {
        self.state().storms.insert(part, percent);
    }

    /// The operator dies after so many words more.
    pub(super) fn set_death(&self, words: u32) {
        self.state().words_left = Some(words);
    }

    /// Waits for the death that was set.
    pub(super) async fn death(&self) {
        self.died.notified().await;
    }

    /// A new life: nobody is dead any more.
    pub(super) fn revive(&self) {
        let mut state = self.state();
        (state.is_dead, state.words_left) = (false, None);
    }

    /// How long a request takes, and what strikes it.
    pub(super) fn strike(&self, part: Part) -> (Duration, Option<Strike>) {
        let mut state = self.state();
        let percent = state.storms.get(&part).copied().unwrap_or_default();
        let Some(chance) = state.chance.get_mut(&part) else { return Default::default() };
        let (least, most) = part.pace();
        let struck = percent > 0 && chance.random_range(0..100) < percent;
        let slow = struck && chance.random_bool(0.2);
        let pause = Duration::from_millis(chance.random_range(least..=most)) * if slow { 40 } else { 1 };
        let strike = (struck && !slow).then(|| STRIKES[chance.random_range(0..STRIKES.len())]);
        (pause, strike)
    }

    /// One word; never returns if the operator dies of it.
    pub(super) async fn word(&self) {
        let is_dead = {
            let mut state = self.state();
            state.words_left = state.words_left.map(|left| left.saturating_sub(1));
            if state.words_left == Some(0) && !state.is_dead {
                state.is_dead = true;
                self.died.notify_one();
            }
            state.is_dead
        };
        if is_dead {
            std::future::pending().await
        }
    }

    /// Carries a request out, or as much of it as the weather allows. `fails` makes an error of a strike; `partly` does a part of the work.
    pub(super) async fn pass<T, E>(
        &self,
        part: Part,
        act: impl FnOnce() -> Result<T, E>,
        partly: impl FnOnce(),
        fails: impl FnOnce(Strike) -> E,
    ) -> Result<T, E> {
        let (pause, strike) = self.strike(part);
        sleep(pause).await;
        self.word().await;
        let answer = match strike {
            None => act(),
            Some(Strike::AnswerLost) => act().and_then(|_| Err(fails(Strike::AnswerLost))),
            Some(Strike::Partly) => {
                partly();
                Err(fails(Strike::Partly))
            }
            Some(strike) => Err(fails(strike)),
        };
        self.word().await;
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
