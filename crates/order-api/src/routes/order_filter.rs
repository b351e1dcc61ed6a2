//! The filters of a list, as query parameters.

use std::borrow::Cow;
use std::collections::BTreeSet;

use form_urlencoded::Serializer;
use order_application::{OrderFilter, SearchTerm, TimeRange, rfc3339};
use order_domain::{
    Cents, CustomerId, MAX_CENTS, PaymentId, Sku, Status, TextError, Timestamp, TrackingNumber,
};

use crate::query::{self, Query};

/// Reads the filters of a request.
pub(super) fn read(query: &mut Query<'_>) -> OrderFilter {
    let terms = [
        term(query, "customer_id", |text| CustomerId::new(text).map(SearchTerm::Customer)),
        term(query, "tracking_number", |text| TrackingNumber::new(text).map(SearchTerm::Tracking)),
        term(query, "payment_id", |text| PaymentId::new(text).map(SearchTerm::Payment)),
        term(query, "sku", |text| Sku::new(text).map(SearchTerm::Sku)),
    ];
    OrderFilter {
        statuses: statuses(query),
        terms: terms.into_iter().flatten().collect(),
        placed: range(query, "placed_after", "placed_before"),
        updated: range(query, "updated_after", "updated_before"),
        min_total: cents(query, "min_total_cents"),
        max_total: cents(query, "max_total_cents"),
        on_hold: query.one("on_hold", query::yes_or_no),
    }
}

/// Writes them as parameters of the link to another page.
pub(super) fn write(filter: &OrderFilter, link: &mut Serializer<'_, String>) {
    let OrderFilter { statuses, terms, placed, updated, min_total, max_total, on_hold } = filter;
    for status in statuses {
        link.append_pair("status", status.as_str());
    }
    for term in terms {
        let name = match term {
            SearchTerm::Customer(_) => "customer_id",
            SearchTerm::Payment(_) => "payment_id",
            SearchTerm::Tracking(_) => "tracking_number",
            SearchTerm::Sku(_) => "sku",
        };
        link.append_pair(name, term.value());
    }
    let mut append = |name, value: Option<String>| {
        if let Some(value) = value {
            link.append_pair(name, &value);
        }
    };
    let text = |time: Option<Timestamp>| time.map(rfc3339::format);
    append("placed_after", text(placed.after));
    append("placed_before", text(placed.before));
    append("updated_after", text(updated.after));
    append("updated_before", text(updated.before));
    append("min_total_cents", min_total.map(|cents| cents.get().to_string()));
    append("max_total_cents", max_total.map(|cents| cents.get().to_string()));
    append("on_hold", on_hold.map(|on_hold| on_hold.to_string()));
}

fn term(
    query: &mut Query<'_>,
    name: &str,
    read: impl FnOnce(&str) -> Result<SearchTerm, TextError>,
) -> Option<SearchTerm> {
    query.one(name, |text| read(text).map_err(|must| must.to_string().into()))
}

fn statuses(query: &mut Query<'_>) -> BTreeSet<Status> {
    let names = query.all("status");
    let read = |name: &Cow<'_, str>| Status::from_name(name);
    let statuses: Vec<_> = names.iter().map(read).collect();
    if statuses.contains(&None) {
        query.faults.parameter("status", query::one_of(Status::ALL.map(Status::as_str)));
    }
    statuses.into_iter().flatten().collect()
}

fn range(query: &mut Query<'_>, after: &str, before: &str) -> TimeRange {
    TimeRange { after: query.one(after, query::time), before: query.one(before, query::later_time) }
}

fn cents(query: &mut Query<'_>, name: &str) -> Option<Cents> {
    let cents = query.number(name, 0..=MAX_CENTS.unsigned_abs())?;
    Cents::new(cents.cast_signed()).ok()
}
