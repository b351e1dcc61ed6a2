//! Times as text: RFC 3339 in UTC with microseconds, such as `2026-01-01T00:00:00.000000Z`.

use order_domain::Timestamp;

/// Writes a time. Times beyond what RFC 3339 can say (years 0 to 9999) are held at its ends.
pub fn format(time: Timestamp) -> String {
    format!("{:.6}", to_jiff(time))
}

/// Reads a time; digits beyond microseconds are cut off.
pub fn parse(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

fn to_jiff(time: Timestamp) -> jiff::Timestamp {
    let bound = if time.as_micros() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_and_always_has_six_digits() {
        let time = Timestamp::from_micros(1_767_225_600_000_000);
        assert_eq!(format(time), "2026-01-01T00:00:00.000000Z");
        assert_eq!(parse("2026-01-01T00:00:00.000000Z"), Some(time));
        assert_eq!(parse("2026-01-01T01:00:00+01:00"), Some(time));
        assert_eq!(parse("yesterday"), None);
        assert!(format(Timestamp::from_micros(i64::MAX)).starts_with("9999-"));
    }
}
