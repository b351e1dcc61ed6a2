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

/// Reads a time as RFC 3339 has it, and nothing else that is understood elsewhere: date, `T`, time with seconds, offset. An
/// offset that begins with a space is one whose plus sign was not escaped in a query. Digits beyond microseconds are cut off.
pub fn parse_strict(text: &str) -> Option<Timestamp> {
    read_strict(text).map(|(time, _)| time)
}

/// The same, but with digits beyond microseconds it is the next one: what is earlier than that time is so in either case.
pub fn parse_strict_up(text: &str) -> Option<Timestamp> {
    let (time, is_cut) = read_strict(text)?;
    Some(Timestamp::from_micros(time.as_micros().saturating_add(i64::from(is_cut))))
}

/// A time, and whether something of it was cut off.
fn read_strict(text: &str) -> Option<(Timestamp, bool)> {
    const LOCAL: &[u8] = b"0000-00-00T00:00:00";
    if !text.is_ascii() || !has_shape(text.get(..LOCAL.len())?, LOCAL) {
        return None;
    }
    let rest = &text[LOCAL.len()..];
    let fraction = match rest.strip_prefix('.') {
        Some(digits) => 1 + digits.bytes().take_while(u8::is_ascii_digit).count(),
        None => 0,
    };
    let offset = match rest.get(fraction..)?.split_at_checked(1)? {
        _ if fraction == 1 => return None,
        ("Z" | "z", "") => "Z".to_owned(),
        (sign @ ("+" | "-" | " "), hours) if has_shape(hours, b"00:00") => {
            if &hours[..2] > "23" || &hours[3..] > "59" {
                return None;
            }
            format!("{}{hours}", if sign == "-" { "-" } else { "+" })
        }
        _ => return None,
    };
    let local = &text[..LOCAL.len() + fraction];
    let time = parse(&format!("{local}{offset}")).or_else(|| end_of_time(local))?;
    // In UTC it may be in the year before 0, of which nothing can be said in RFC 3339.
    let is_cut = rest[..fraction].bytes().skip(1 + MICROSECOND_DIGITS).any(|digit| digit != b'0');
    Some((time.max(FIRST), is_cut))
}

const MICROSECOND_DIGITS: usize = 6;

/// 0000-01-01T00:00:00Z.
const FIRST: Timestamp = Timestamp::from_micros(-62_167_219_200_000_000);

/// Whether there is a digit for each 0, and otherwise the same letter.
fn has_shape(text: &str, shape: &[u8]) -> bool {
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte.eq_ignore_ascii_case(shape),
    };
    text.len() == shape.len() && text.bytes().zip(shape).all(fits)
}

/// What a time stands for that is one, but further away than the library counts: it ends a day before the year 10000.
fn end_of_time(local: &str) -> Option<Timestamp> {
    local.parse::<jiff::civil::DateTime>().ok()?;
    Some(Timestamp::from_micros(jiff::Timestamp::MAX.as_microsecond()))
}

fn to_jiff(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(time.max(FIRST).as_micros()).unwrap_or(jiff::Timestamp::MAX)
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
        assert_eq!(format(Timestamp::from_micros(i64::MIN)), "0000-01-01T00:00:00.000000Z");
    }

    #[test]
    fn digits_beyond_microseconds_are_cut_off_or_count_up() {
        let micros = |time: Option<Timestamp>| time.unwrap().as_micros();
        for (text, down, up) in [
            ("1970-01-01T00:00:00.000005Z", 5, 5),
            ("1970-01-01T00:00:00.0000050Z", 5, 5),
            ("1970-01-01T00:00:00.000005001Z", 5, 6),
            ("1970-01-01T00:00:01+00:00", 1_000_000, 1_000_000),
        ] {
            assert_eq!((micros(parse_strict(text)), micros(parse_strict_up(text))), (down, up), "{text}");
        }
    }

    #[test]
    fn strictly_read_a_time_has_a_date_seconds_and_an_offset() {
        let time = Some(Timestamp::from_micros(1_774_823_400_000_000));
        for text in [
            "2026-03-29T22:30:00Z",
            "2026-03-29t22:30:00z",
            "2026-03-30T00:30:00+02:00",
            "2026-03-30T00:30:00 02:00",
            "2026-03-29T21:30:00.000-01:00",
        ] {
            assert_eq!(parse_strict(text), time, "{text}");
        }
        assert!(parse_strict("9999-12-31T23:59:59Z") > parse_strict("9999-12-30T00:00:00Z"));
        // What is read can be written, and read again.
        for end in ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"] {
            let time = parse_strict(end).expect(end);
            assert_eq!(parse_strict(&format(time)), Some(time), "{end}");
        }
        for text in [
            "2026-03-29",
            "2026-03-29T22:30:00",
            "2026-03-29T22:30Z",
            "2026-03-29 22:30:00Z",
            "2026-03-29T22:30:00+02",
            "2026-03-29T22:30:00+0200",
            "2026-03-29T22:30:00.Z",
            "2026-03-29T22:30:00Z[UTC]",
            "2026-13-29T22:30:00Z",
            "2026-03-29T22:30:00+02:60",
            "2026-03-29T22:30:00+24:00",
            "+02026-03-29T22:30:00Z",
            "1774823400",
            "",
        ] {
            assert_eq!(parse_strict(text), None, "{text}");
        }
    }
}
