//! What of a SecuredHost's status was told already, and when each step was first reached.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lamia_api::SecuredHost;
use lamia_api::condition::Condition;
use lamia_api::condition::host::{CHAIN, READY};
use serde::Serialize;

/// How a condition stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What the host's status says.
    pub condition: Condition,
    /// Since the host was applied.
    pub after: Duration,
    /// How long the step took: since the last of the steps before it. None while it is not True, and where it was from the
    /// beginning.
    pub took: Option<Duration>,
}

/// When a step was first reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepTime {
    /// The condition that became True.
    pub condition: String,
    /// Milliseconds since the host was applied.
    pub reached_ms: u64,
    /// Milliseconds since the last of the steps before it; 0 where it was reached before them.
    pub took_ms: u64,
}

/// What was told.
pub(super) struct Told {
    began: Instant,
    last: BTreeMap<String, Condition>,
    reached: BTreeMap<String, Duration>,
    /// What held when the host was first seen; of an earlier start. None: it was not seen yet.
    kept: Option<BTreeSet<String>>,
}

impl Told {
    /// Nothing was; the host has just been applied.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), last: BTreeMap::new(), reached: BTreeMap::new(), kept: None }
    }

    /// The conditions that changed, in the chain's order.
    pub(super) fn news(&mut self, host: &SecuredHost) -> Vec<Standing> {
        let conditions = host.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let after = self.began.elapsed();
        self.news_at(conditions, after)
    }

    fn news_at(&mut self, conditions: &[Condition], after: Duration) -> Vec<Standing> {
        let kept = self.kept.get_or_insert_with(|| holding(conditions)).clone();
        let words = |it: &Condition| (it.status.clone(), it.reason.clone(), it.message.clone());
        let mut changed: Vec<_> = conditions
            .iter()
            .filter(|now| {
                let before = self.last.insert(now.type_.clone(), (*now).clone());
                before.as_ref().map(words) != Some(words(now))
            })
            .collect();
        changed.sort_by_key(|condition| place(&condition.type_));
        for condition in changed.iter().filter(|it| it.status == "True" && !kept.contains(&it.type_)) {
            self.reached.entry(condition.type_.clone()).or_insert(after);
        }
        changed.into_iter().map(|condition| self.standing(condition, after)).collect()
    }

    fn standing(&self, condition: &Condition, after: Duration) -> Standing {
        Standing {
            condition: condition.clone(),
            after,
            took: (condition.status == "True").then(|| self.took(&condition.type_)).flatten(),
        }
    }

    /// Whether a condition stands so.
    pub(super) fn stands(&self, condition: &str, status: &str) -> bool {
        self.last.get(condition).is_some_and(|now| now.status == status)
    }

    /// Whether the host was Ready when it was first seen.
    pub(super) fn began_ready(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.contains(READY))
    }

    /// The first condition that does not hold, in words.
    pub(super) fn where_it_stopped(&self) -> String {
        let waits = CHAIN.iter().filter_map(|type_| self.last.get(*type_)).find(|condition| condition.status != "True");
        match waits {
            Some(it) => format!("the host waits at {}, {}: {}", it.type_, it.reason, it.message),
            None => "the operator has not looked at the host".to_owned(),
        }
    }

    /// When each step was reached, in the chain's order.
    pub(super) fn times(&self) -> Vec<StepTime> {
        let reached = CHAIN.iter().filter_map(|type_| Some((*type_, *self.reached.get(*type_)?)));
        let time = |(condition, reached): (&str, Duration)| StepTime {
            condition: condition.to_owned(),
            reached_ms: milliseconds(reached),
            took_ms: milliseconds(self.took(condition).unwrap_or_default()),
        };
        reached.map(time).collect()
    }

    fn took(&self, condition: &str) -> Option<Duration> {
        let earlier = CHAIN.iter().take(place(condition)).filter_map(|type_| self.reached.get(*type_)).max();
        Some(self.reached.get(condition)?.saturating_sub(earlier.copied().unwrap_or_default()))
    }
}

fn holding(conditions: &[Condition]) -> BTreeSet<String> {
    conditions.iter().filter(|it| it.status == "True").map(|it| it.type_.clone()).collect()
}

/// Where a condition stands in the chain; unknown ones come last.
fn place(condition: &str) -> usize {
    CHAIN.iter().position(|type_| *type_ == condition).unwrap_or(CHAIN.len())
}

/// Whole milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn condition(type_: &str, status: &str, message: &str) -> Condition {
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: "Because".to_owned(),
            message: message.to_owned(),
            last_transition_time: Time("2026-11-22T00:00:00Z".parse().expect("a time")),
            observed_generation: Some(1),
        }
    }

    #[test]
    fn only_what_changed_is_told_and_in_the_chains_order() {
        let mut told = Told::new();
        let first = [condition("ZoneReady", "Unknown", "is made"), condition("Accepted", "True", "")];
        let types = |news: Vec<Standing>| news.into_iter().map(|it| it.condition.type_).collect::<Vec<_>>();
        assert_eq!(types(told.news_at(&first, Duration::ZERO)), ["Accepted", "ZoneReady"]);
        let second = [condition("ZoneReady", "Unknown", "is looked for"), condition("Accepted", "True", "")];
        assert_eq!(types(told.news_at(&second, Duration::ZERO)), ["ZoneReady"], "other words are news");
        assert_eq!(types(told.news_at(&second, Duration::ZERO)), [""; 0]);
    }

    #[test]
    fn a_step_takes_the_time_since_the_last_one_before_it() {
        let mut told = Told::new();
        let at = Duration::from_millis;
        told.news_at(&[], at(0));
        told.news_at(&[condition("Accepted", "True", "")], at(100));
        told.news_at(&[condition("RecordsPublished", "True", "")], at(700));
        told.news_at(&[condition("Delegated", "False", "")], at(800));
        told.news_at(&[condition("Delegated", "True", "")], at(2000));
        told.news_at(&[condition("CertificateReady", "True", "")], at(2500));
        let times: Vec<_> = told.times().into_iter().map(|it| (it.condition, it.reached_ms, it.took_ms)).collect();
        let expected = [
            ("Accepted", 100, 100),
            ("Delegated", 2000, 1900),
            ("RecordsPublished", 700, 0),
            ("CertificateReady", 2500, 500),
        ];
        assert_eq!(times, expected.map(|(condition, reached, took)| (condition.to_owned(), reached, took)));
    }

    #[test]
    fn what_held_from_the_beginning_took_no_time() {
        let mut told = Told::new();
        let chain = [condition("Accepted", "True", ""), condition("Ready", "True", "")];
        let news = told.news_at(&chain, Duration::from_millis(14));
        assert!(told.began_ready() && news.iter().all(|it| it.took.is_none()), "{news:?}");
        assert_eq!(told.times(), []);
    }

    #[test]
    fn where_it_stopped_is_the_first_that_does_not_hold() {
        let mut told = Told::new();
        assert_eq!(told.where_it_stopped(), "the operator has not looked at the host");
        let chain = [
            condition("Ready", "False", "the CA is down"),
            condition("CertificateReady", "False", "the CA is down"),
            condition("Accepted", "True", ""),
        ];
        told.news_at(&chain, Duration::ZERO);
        assert_eq!(told.where_it_stopped(), "the host waits at CertificateReady, Because: the CA is down");
    }
}
