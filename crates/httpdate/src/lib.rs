//! Stands in for the crate of this name, of which hyper uses nothing but [`HttpDate`]: for the `Date` header of each answer.
//! That crate panics when the clock is before 1970 or after 9999, whether or not the header is wanted, and with it ended
//! every connection. Here the nearest date stands for such a time.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The last second of the year 9999: a date has four digits for its year (RFC 9110, 5.6.7).
const LAST_SECOND: u64 = 253_402_300_799;
const SECONDS_PER_DAY: u64 = 86_400;

/// 1970 began on a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
/// From March on, so that a leap day is the last of its year.
const MONTHS: [&str; 12] =
    ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];

/// A time in whole seconds from 1970 to 9999, shown as in `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpDate {
    seconds: u64,
}

impl From<SystemTime> for HttpDate {
    fn from(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { seconds: seconds.min(LAST_SECOND) }
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.seconds / SECONDS_PER_DAY, self.seconds % SECONDS_PER_DAY);
        let (year, month, day) = civil(days);
        let weekday = WEEKDAYS[(days % 7) as usize];
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// The year, the month, and the day of it, so many days after the beginning of 1970: `civil_from_days` of
/// <https://howardhinnant.github.io/date_algorithms.html>, for days from 1970 on.
fn civil(days: u64) -> (u64, &'static str, u64) {
    // Since the 1st of March of the year 0.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    // January and February belong to the year that began in the March before.
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    (year, MONTHS[month as usize], day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_shown_as_http_has_it() {
        for (seconds, shown) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(date.to_string(), shown);
        }
    }

    #[test]
    fn a_time_that_no_date_can_show_is_shown_as_the_nearest() {
        let day = Duration::from_secs(SECONDS_PER_DAY);
        assert_eq!(HttpDate::from(UNIX_EPOCH - day).to_string(), "Thu, 01 Jan 1970 00:00:00 GMT");
        let later = UNIX_EPOCH + Duration::from_secs(LAST_SECOND) + day;
        assert_eq!(HttpDate::from(later).to_string(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    /// All dates of 400 years, after which they come again.
    #[test]
    fn every_day_follows_on_the_day_before() {
        let mut before = civil(0);
        for days in 1..146_097 {
            let (year, month, day) = civil(days);
            let month_goes_on = (year, month, day) == (before.0, before.1, before.2 + 1);
            let next = MONTHS.iter().position(|name| *name == before.1).map(|at| MONTHS[(at + 1) % 12]);
            let month_begins = day == 1
                && before.2 >= 28
                && Some(month) == next
                && year == before.0 + u64::from(month == "Jan");
            assert!(month_goes_on || month_begins, "{before:?} and then {year} {month} {day}");
            before = (year, month, day);
        }
    }
}
