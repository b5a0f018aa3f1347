//! How old something is, in words.
//!
//! Source: `apimachinery/pkg/util/duration`.

use std::time::Duration;

use jiff::Timestamp;

/// The time from this RFC 3339 text until now (since the Unix epoch) with two or three significant figures: `90s`, `5m30s`, `3d4h`.
/// `None` for what is no time. More than a second ahead is `<invalid>`.
#[must_use]
pub fn age(since: &str, now: Duration) -> Option<String> {
    let since: Timestamp = since.parse().ok()?;
    let now = i128::try_from(now.as_nanos()).ok()?;
    let seconds = (now - since.as_nanosecond()) / 1_000_000_000;
    Some(words(i64::try_from(seconds).ok()?))
}

fn words(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(days, 'd', hours % 24, 'h'),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => two(years, 'y', days % 365, 'd'),
        () => format!("{years}y"),
    }
}

fn two(large: i64, unit: char, small: i64, part: char) -> String {
    if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_the_words_of_kubernetes() {
        let cases = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(words(seconds), expected, "{seconds}");
        }
        assert_eq!(age("1970-01-01T00:01:00Z", Duration::from_secs(90)).as_deref(), Some("30s"));
        assert_eq!(age("yesterday", Duration::ZERO), None);
    }
}
