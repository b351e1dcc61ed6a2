//! What may be given for an option.

use std::str::FromStr;
use std::time::Duration;

use order_domain::Currency;

use crate::store_url::StoreUrl;

/// A whole number from 1.
pub(crate) fn positive<N: FromStr + Default + PartialOrd>(text: &str) -> Result<N, &'static str> {
    text.parse().ok().filter(|number| *number > N::default()).ok_or("must be a whole number from 1")
}

/// Room for any answer that is there as a whole.
const LEAST_ANSWER_BYTES: u32 = 16 * 1024 * 1024;

pub(super) fn answer_bytes(text: &str) -> Result<u32, &'static str> {
    let bytes = text.parse().ok().filter(|bytes| *bytes >= LEAST_ANSWER_BYTES);
    bytes.ok_or("must be a whole number from 16777216")
}

pub(super) fn seconds(text: &str) -> Result<Duration, &'static str> {
    Ok(Duration::from_secs(positive::<u32>(text)?.into()))
}

pub(super) fn seconds_or_none(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse::<u32>().map_err(|_| "must be a whole number from 0")?;
    Ok(Duration::from_secs(seconds.into()))
}

pub(super) fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    Ok(Duration::from_millis(positive::<u32>(text)?.into()))
}

/// For as long as clients may rely on, whatever the setting.
const LEAST_HOURS_OF_KEYS: u32 = 24;

pub(super) fn hours_of_keys(text: &str) -> Result<Duration, &'static str> {
    let hours = text.parse::<u32>().ok().filter(|hours| *hours >= LEAST_HOURS_OF_KEYS);
    hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600)).ok_or("must be a whole number from 24")
}

pub(super) fn currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(text).ok_or_else(|| format!("{text:?} is not an ISO 4217 code such as USD"))
}

pub(super) fn event_source(text: &str) -> Result<String, &'static str> {
    let usable = !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    usable.then(|| text.to_owned()).ok_or("must be a URI reference such as /order-service")
}

pub(super) fn replica_store(text: &str) -> Result<StoreUrl, String> {
    match text.parse()? {
        StoreUrl::Postgres { .. } => Err("a replica keeps its orders in sqlite:FILE or memory:".to_owned()),
        store @ (StoreUrl::Memory | StoreUrl::Sqlite(_)) => Ok(store),
    }
}
