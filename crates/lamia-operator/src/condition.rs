//! Conditions of the kinds that have no chain: Zone, DNSProvider.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lamia_api::condition::Condition;
use lamia_core::host::reason::{Because, ConditionReason, Truth};

/// The condition as it should stand. Its transition time moves only when its status does; an unchanged condition
/// comes out just as it was, so that nothing is written.
pub(crate) fn settle(
    earlier: &[Condition],
    condition_type: &str,
    truth: Truth,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let before = earlier.iter().find(|condition| condition.type_ == condition_type);
    let since =
        before.filter(|before| before.status == truth.as_str()).map(|before| before.last_transition_time.clone());
    Condition {
        type_: condition_type.to_owned(),
        status: truth.as_str().to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(generation),
        last_transition_time: since.unwrap_or(Time(whole_seconds(now))),
    }
}

/// [`settle`] for a reason of the host's table.
pub(crate) fn settle_because<R: ConditionReason>(
    earlier: &[Condition],
    because: &Because<R>,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let Because { reason, message } = because;
    settle(earlier, R::CONDITION, reason.truth(), reason.as_str(), message, generation, now)
}

/// Kubernetes keeps seconds; a fraction that is lost on the way would look like a change.
fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
