//! One suite that holds every [`DnsProvider`] to the contract written on it. It runs on [`Memory`](super::memory::Memory)
//! in every `cargo test`, and on real servers end to end.
//!
//! Each case leads the zone from state to state. After each step the zone is read back and must be as wanted; then the
//! step is taken a second time, which must find nothing to do, and the very same change set is sent again, which must
//! change nothing. Cases that need what a provider can't do ([`Capabilities`](super::Capabilities)) are skipped, with the
//! reason. Every case works under a name of its own and removes what it made; at the end the zone is as it was found.

mod conflicts;
mod playground;
mod steps;
mod zones;

use std::fmt;

use futures::future::BoxFuture;
use lamia_core::name::Fqdn;

use self::playground::{Failure, Playground};
use super::DnsProvider;

/// What the suite plays with.
pub struct Bench<'p> {
    /// The provider on trial.
    pub provider: &'p dyn DnsProvider,
    /// A zone for the suite alone. It is created, and deleted at the end, where the provider can do so; else it must exist.
    pub zone: Fqdn,
    /// A domain that the provider has no zone of, and may make one of.
    pub absent: Fqdn,
    /// How many hosts the largest case writes, each with its marker. A thousand is what Lamia is built for.
    pub hosts: usize,
}

/// How one case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider kept the contract.
    Passed,
    /// The provider says that it can't do what the case needs.
    Skipped(&'static str),
    /// The contract was broken, in these words.
    Failed(String),
}

/// How all cases ended, in order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each case's name, a sentence, and its end.
    pub cases: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// The names of the cases that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&'static str> {
        self.cases.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).map(|(name, _)| *name).collect()
    }

    /// The names of the cases that were skipped.
    #[must_use]
    pub fn skipped(&self) -> Vec<&'static str> {
        self.cases.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_))).map(|(name, _)| *name).collect()
    }

    /// The report itself when no case failed.
    ///
    /// # Errors
    /// The report as text.
    pub fn into_result(self) -> Result<Self, String> {
        if self.failed().is_empty() { Ok(self) } else { Err(self.to_string()) }
    }
}

/// One line a case.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.cases {
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {name}")?,
                Outcome::Skipped(reason) => writeln!(f, "skipped  {name}: {reason}")?,
                Outcome::Failed(reason) => writeln!(f, "FAILED   {name}: {reason}")?,
            }
        }
        Ok(())
    }
}

type Case = for<'a> fn(&'a Playground<'a>) -> BoxFuture<'a, Result<Outcome, Failure>>;

/// Runs every case, one after the other; a failed one does not stop the next.
pub async fn run(bench: &Bench<'_>) -> Report {
    let mut report = Report::default();
    let playground = match Playground::open(bench).await {
        Ok(playground) => playground,
        Err(failure) => {
            report.cases.push(("the zone to play in is there", Outcome::Failed(failure.to_string())));
            return report;
        }
    };
    let cases = zones::CASES.iter().chain(steps::CASES).chain(conflicts::CASES);
    for (name, case) in cases {
        let outcome = case(&playground).await.unwrap_or_else(|failure| Outcome::Failed(failure.to_string()));
        report.cases.push((name, outcome));
    }
    let closed = playground.close().await;
    let outcome = closed.map_or_else(|failure| Outcome::Failed(failure.to_string()), |()| Outcome::Passed);
    report.cases.push(("the zone is left as it was found", outcome));
    report
}

#[cfg(test)]
mod tests;
