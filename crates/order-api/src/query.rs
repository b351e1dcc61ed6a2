//! Query parameters: each one known, given once, and in its range, or all faults are told at once.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use order_application::rfc3339;
use order_domain::Timestamp;
use percent_encoding::percent_decode_str;

use crate::json::Faults;
use crate::refusal::Refusal;

/// Reads a version or a position. One that is too large for any history becomes the largest number that there is.
pub(crate) fn place(digits: &[u8]) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Reads a point in time.
pub(crate) fn time(text: &str) -> Result<Timestamp, Cow<'static, str>> {
    rfc3339::parse_strict(text).ok_or(TIME.into())
}

/// Reads a point in time that others are to be earlier than.
pub(crate) fn later_time(text: &str) -> Result<Timestamp, Cow<'static, str>> {
    rfc3339::parse_strict_up(text).ok_or(TIME.into())
}

const TIME: &str = "must be a time of RFC 3339 with an offset, such as 2026-03-30T00:00:00+02:00";

/// Reads a yes or a no.
pub(crate) fn yes_or_no(text: &str) -> Result<bool, Cow<'static, str>> {
    text.parse().map_err(|_| "must be true or false".into())
}

/// What is said where another word than these stands.
pub(crate) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    format!("must be one of {}", names.into_iter().collect::<Vec<_>>().join(", "))
}

/// The parameters of one request, until each has been asked for.
pub(crate) struct Query<'q> {
    pairs: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    pub(crate) faults: Faults,
}

impl<'q> Query<'q> {
    pub(crate) fn new(query: Option<&'q str>) -> Self {
        let (mut pairs, mut faults) = (Vec::new(), Faults::default());
        for raw in query.unwrap_or_default().split('&') {
            // One, or none where nothing stands between two signs.
            for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
                match percent_decode_str(raw).decode_utf8() {
                    Ok(_) => pairs.push((name, value)),
                    Err(_) => faults.parameter(&name, "must be text in UTF-8"),
                }
            }
        }
        Self { pairs, faults }
    }

    /// A parameter that may be given once, read by `read`, which says what it must be where it is not.
    pub(crate) fn one<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Cow<'static, str>>,
    ) -> Option<T> {
        let mut values = self.all(name).into_iter();
        let value = values.next()?;
        if values.next().is_some() {
            self.faults.parameter(name, "must be given once");
        }
        read(&value).map_err(|must| self.faults.parameter(name, must)).ok()
    }

    /// A whole number in a range.
    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.one(name, |text| {
            let number = place(text.as_bytes()).filter(|number| range.contains(number));
            let (least, most) = (range.start(), range.end());
            number.ok_or_else(|| format!("must be a whole number from {least} to {most}").into())
        })
    }

    /// A place in a history, which may be beyond its end, and then may be so however far.
    pub(crate) fn place(&mut self, name: &str) -> Option<u64> {
        self.one(name, |text| place(text.as_bytes()).ok_or_else(|| "must be a whole number from 0".into()))
    }

    /// Yes or no; no if it is left out.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.one(name, yes_or_no).unwrap_or_default()
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all(&mut self, name: &str) -> Vec<Cow<'q, str>> {
        self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// What nobody asked for is unknown. Call it last.
    ///
    /// # Errors
    /// Every fault that was noted.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        let faults = self.into_faults();
        if faults.is_empty() { Ok(()) } else { Err(Refusal::invalid(faults)) }
    }

    /// As [`finish`](Self::finish), for a request whose body may have faults too.
    pub(crate) fn into_faults(mut self) -> Faults {
        for (name, _) in &self.pairs {
            self.faults.parameter(name, "is not a parameter of this resource");
        }
        self.faults
    }
}
