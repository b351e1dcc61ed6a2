//! Durations and sizes as NATS's own tools have them: `30d`, `1d12h`, `50GB`.

use std::time::Duration;

/// One or more numbers with a unit: `ms`, `s`, `m`, `h`, `d`, `w`. Nothing shorter than a stream may have.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    /// NATS's own limit.
    const SHORTEST: Duration = Duration::from_millis(100);
    let mut sum = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = number(rest)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            "d" => 24 * 3600 * 1000,
            "w" => 7 * 24 * 3600 * 1000,
            _ => return None,
        };
        sum = sum.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = tail;
    }
    // NATS counts nanoseconds in 63 bits.
    let fits = i64::try_from(sum.as_nanos()).is_ok();
    (sum >= SHORTEST && fits).then_some(sum)
}

/// A number of bytes, or of `K`, `M`, `G`, `T` (powers of 1024, also as `KB` or `KiB`).
pub(super) fn parse_bytes(text: &str) -> Option<i64> {
    let (number, unit) = number(text)?;
    let shift = match unit.to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    let bytes = number.checked_mul(1 << shift)?;
    i64::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_nats_tools_have_them() {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        assert_eq!(parse_duration("30d"), hours(30 * 24));
        assert_eq!(parse_duration("1d12h"), hours(36));
        assert_eq!(parse_duration("2w"), hours(14 * 24));
        assert_eq!(parse_duration("90s"), Some(Duration::from_secs(90)));
        for wrong in ["", "d", "30", "30x", "0s", "1ms", "-1d", "99999999999d", "1d 2h"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_bytes("1000"), Some(1000));
        assert_eq!(parse_bytes("1K"), Some(1024));
        assert_eq!(parse_bytes("50GB"), Some(50 << 30));
        assert_eq!(parse_bytes("2TiB"), Some(2 << 40));
        for wrong in ["", "GB", "0", "1.5G", "1X", "99999999T", "-1"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }
}
