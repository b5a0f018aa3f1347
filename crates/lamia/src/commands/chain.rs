//! Conditions, one line each, as `host get` and `zone get` show them.

use lamia_api::condition::Condition;

use crate::output::Paint;

/// The condition of a type.
pub(super) fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Status and reason of `Ready`, for a table; empty while nobody has looked.
pub(super) fn ready(conditions: &[Condition]) -> (String, String) {
    find(conditions, lamia_api::condition::READY)
        .map(|condition| (condition.status.clone(), condition.reason.clone()))
        .unwrap_or_default()
}

/// One line per type: ✓ is True, ✗ is False (somebody must act), … is Unknown (Lamia or time is at work), · was not
/// looked at yet.
pub(super) fn lines(types: &[&str], conditions: &[Condition], paint: Paint) -> String {
    let width = types.iter().map(|type_| type_.len()).max().unwrap_or_default();
    types.iter().map(|type_| format!("{}\n", line(type_, find(conditions, type_), width, paint).trim_end())).collect()
}

fn line(type_: &str, condition: Option<&Condition>, width: usize, paint: Paint) -> String {
    let Some(condition) = condition else { return format!("  · {type_:width$}  not looked at yet") };
    format!("  {} {type_:width$}  {}", mark(condition, paint), words(condition, paint))
}

/// How it stands, in a character.
pub(super) fn mark(condition: &Condition, paint: Paint) -> String {
    match condition.status.as_str() {
        "True" => paint.good("✓"),
        "False" => paint.bad("✗"),
        _ => paint.waiting("…"),
    }
}

/// Its message; with the reason where it does not hold.
pub(super) fn words(condition: &Condition, paint: Paint) -> String {
    let reason = match condition.status.as_str() {
        "True" => return condition.message.clone(),
        "False" => paint.bad(&condition.reason),
        _ => paint.waiting(&condition.reason),
    };
    format!("{reason}: {}", condition.message)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    /// A condition of a test.
    pub(in crate::commands) fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: Time("2026-11-22T00:00:00Z".parse().expect("a time")),
            observed_generation: Some(1),
        }
    }

    #[test]
    fn each_status_has_its_mark() {
        let conditions = [
            condition("Accepted", "True", "Accepted", "granted by zone demo"),
            condition("Delegated", "False", "NotDelegated", "the parent names nobody"),
            condition("CertificateReady", "Unknown", "AwaitingDNS", "one server is behind"),
        ];
        insta::assert_snapshot!(
            lines(&["Accepted", "Delegated", "CertificateReady", "Serving"], &conditions, Paint::PLAIN),
            @r"
          ✓ Accepted          granted by zone demo
          ✗ Delegated         NotDelegated: the parent names nobody
          … CertificateReady  AwaitingDNS: one server is behind
          · Serving           not looked at yet
        "
        );
    }
}
