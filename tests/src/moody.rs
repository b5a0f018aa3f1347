//! A keeper of gates with moods: what a test lets a server do wrong.

use std::sync::{Mutex, MutexGuard};

use lamia_sandbox::servers::gate::{Answer, Keeper, Passage, Passing};
use serde_json::Value;

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub struct Mood {
    /// Requests whose path begins so.
    pub at: &'static str,
    /// Only once a request whose path begins so has passed.
    pub after: Option<&'static str>,
    /// What becomes of them.
    pub passage: Passage,
}

impl Mood {
    /// Goes wrong with everything.
    #[must_use]
    pub fn always(passage: Passage) -> Self {
        Self { at: "/", after: None, passage }
    }

    /// Goes wrong at one place.
    #[must_use]
    pub fn at(at: &'static str, passage: Passage) -> Self {
        Self { at, after: None, passage }
    }
}

/// An answer in JSON, as a server's own would be.
#[must_use]
pub fn answer(status: u16, headers: &[(&'static str, &str)], body: &Value) -> Passage {
    let kind = if status < 400 { "application/json" } else { "application/problem+json" };
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let headers = headers.chain([("content-type", kind.to_owned())]).collect();
    Passage::Instead(Answer { status, headers, body: body.to_string() })
}

/// The keeper. At first everything passes.
#[derive(Debug, Default)]
pub struct Moody {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    moods: Vec<Mood>,
    passed: Vec<String>,
}

impl Moody {
    /// From now on these go wrong, and nothing else.
    pub fn set(&self, moods: Vec<Mood>) {
        *self.state() = State { moods, passed: Vec::new() };
    }

    /// Everything passes again.
    pub fn calm(&self) {
        self.set(Vec::new());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no keeper panics")
    }
}

impl Keeper for Moody {
    fn enter(&self, request: &Passing) -> Passage {
        let mut state = self.state();
        let due = |mood: &&Mood| {
            let after = |prefix: &str| state.passed.iter().any(|path| path.starts_with(prefix));
            request.path.starts_with(mood.at) && mood.after.is_none_or(after)
        };
        match state.moods.iter().find(due).map(|mood| mood.passage.clone()) {
            Some(passage) => passage,
            None => {
                state.passed.push(request.path.clone());
                Passage::Open
            }
        }
    }
}
