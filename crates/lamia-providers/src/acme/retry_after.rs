//! `Retry-After`: when the other side wants to be asked again (RFC 9110 §10.2.3).

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// HTTP dates are RFC 5322 dates that say `GMT` (RFC 9110 §5.6.7).
static HTTP_DATE: DateTimeParser = DateTimeParser::new();

/// The moment that the header names, in either of its forms; `None` where there is none that makes sense.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => now.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok(),
        Err(_) => HTTP_DATE.parse_timestamp(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Option<Timestamp> {
        let now = Timestamp::from_second(1_000_000_000).expect("in range");
        let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(value))]);
        retry_after(&headers, now)
    }

    #[test]
    fn both_forms_are_read_and_nonsense_is_not() {
        for (value, expected) in [
            ("120", Some(1_000_000_120)),
            (" 0 ", Some(1_000_000_000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("", None),
            ("-5", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(read(value).map(Timestamp::as_second), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }
}
