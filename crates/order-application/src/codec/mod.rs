//! Stored JSON ⇄ domain event.
//!
//! The stored form belongs to this module alone: domain types do not serialise, and the HTTP layer hands the stored
//! text through as it is. Each event type has a file with its shape, and a golden file under `goldens/` that every later
//! release must still read.
//!
//! # When an event's shape changes
//!
//! A field that is new and may be missing: give it `#[serde(default)]`, and add a golden file. Releases before that know the
//! type and not the field: shapes deny unknown fields, so that for them it is a [newer event](CodecError::NewerEvent), and
//! nobody decides on half of what happened. The same goes for a value that those releases do not allow, such as a currency
//! that was added since. Anything else is a new type (`order.placed.v2`): [`encode`] writes the new one; [`decode`] keeps an
//! arm for the old one that upcasts, that is, reads the old shape and fills in what it did not say. Stored events and golden
//! files are never edited.

mod inventory_reserved;
mod order_placed;
mod order_shipped;
mod payment_authorized;

use std::borrow::Cow;

use order_domain::OrderEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use order_domain::Timestamp;

use crate::event::{Position, RecordedEvent};
use crate::projection::{VersionedOrder, apply};
use crate::store_error::StoreError;

/// Every type that this release writes.
pub const EVENT_TYPES: [&str; 4] =
    [order_placed::TYPE, payment_authorized::TYPE, inventory_reserved::TYPE, order_shipped::TYPE];

/// The type of an event, and its data as JSON text.
pub fn encode(event: &OrderEvent) -> (&'static str, Box<str>) {
    match event {
        OrderEvent::OrderPlaced(e) => (order_placed::TYPE, json(&order_placed::encode(e))),
        OrderEvent::PaymentAuthorized(e) => (payment_authorized::TYPE, json(&payment_authorized::encode(e))),
        OrderEvent::InventoryReserved(e) => (inventory_reserved::TYPE, json(&inventory_reserved::encode(e))),
        OrderEvent::OrderShipped(e) => (order_shipped::TYPE, json(&order_shipped::encode(e))),
    }
}

/// The event of that type with that data.
///
/// # Errors
/// [`CodecError`] when the type is unknown, or the data is not of its shape.
pub fn decode(event_type: &str, data: &str) -> Result<OrderEvent, CodecError> {
    match event_type {
        order_placed::TYPE => order_placed::decode(shape(data)?).map(OrderEvent::OrderPlaced),
        payment_authorized::TYPE => {
            payment_authorized::decode(shape(data)?).map(OrderEvent::PaymentAuthorized)
        }
        inventory_reserved::TYPE => {
            inventory_reserved::decode(shape(data)?).map(OrderEvent::InventoryReserved)
        }
        order_shipped::TYPE => order_shipped::decode(shape(data)?).map(OrderEvent::OrderShipped),
        unknown => Err(CodecError::NewerEvent(format!("unknown event type {unknown:?}"))),
    }
}

/// The data of events of one type, as the OpenAPI document describes them.
pub struct DataSchema {
    /// The event's type.
    pub event_type: &'static str,
    /// The schema's name.
    pub name: String,
    /// The schema itself.
    pub schema: RefOr<Schema>,
    /// Schemas that it refers to, by their names.
    pub referred: Vec<(String, RefOr<Schema>)>,
}

/// A schema for each of [`EVENT_TYPES`].
pub fn data_schemas() -> [DataSchema; EVENT_TYPES.len()] {
    fn describe<S: ToSchema>(event_type: &'static str) -> DataSchema {
        let mut referred = Vec::new();
        S::schemas(&mut referred);
        DataSchema { event_type, name: S::name().into_owned(), schema: S::schema(), referred }
    }
    [
        describe::<order_placed::Shape<'_>>(order_placed::TYPE),
        describe::<payment_authorized::Shape<'_>>(payment_authorized::TYPE),
        describe::<inventory_reserved::Shape<'_>>(inventory_reserved::TYPE),
        describe::<order_shipped::Shape<'_>>(order_shipped::TYPE),
    ]
}

/// An event type as stores keep it: one of [`EVENT_TYPES`] without an allocation, any other as it stands.
pub fn intern_type(event_type: &str) -> Cow<'static, str> {
    match EVENT_TYPES.into_iter().find(|known| *known == event_type) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(event_type.to_owned()),
    }
}

/// Applies the next recorded event of a stream to the order so far.
///
/// # Errors
/// [`CodecError`] when it cannot be decoded, is not the next version, or does not begin the order.
pub fn replay(order: Option<VersionedOrder>, event: &RecordedEvent) -> Result<VersionedOrder, CodecError> {
    let expected = order.as_ref().map_or(0, |order| order.version.0) + 1;
    if event.version.0 != expected {
        return Err(CodecError::Invalid(format!("version {} where {expected} should be", event.version)));
    }
    let decoded = decode(&event.event_type, &event.data)?;
    if order.is_some() && matches!(decoded, OrderEvent::OrderPlaced(_)) {
        return Err(CodecError::Invalid("an order is placed twice".to_owned()));
    }
    apply(order, &decoded, event.time)
        .ok_or_else(|| CodecError::Invalid(format!("an order begins with {}", event.event_type)))
}

/// Why stored data is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A type, a shape of a known type or a value that this release does not know: a later one wrote it.
    #[error("{0}")]
    NewerEvent(String),
    /// What no release writes: no JSON, or an event out of its place.
    #[error("{0}")]
    Invalid(String),
}

impl CodecError {
    /// What is said to whoever needs the event at this position.
    pub fn at(self, position: Position) -> StoreError {
        let what = format!("event at position {position}: {self}");
        match self {
            Self::NewerEvent(_) => StoreError::NewerRelease(what),
            Self::Invalid(_) => StoreError::Corrupt(what),
        }
    }
}

fn json(shape: &impl Serialize) -> Box<str> {
    match serde_json::to_string(shape) {
        Ok(text) => text.into_boxed_str(),
        Err(e) => unreachable!("invariant: stored shapes hold only strings, numbers and lists: {e}"),
    }
}

fn shape<T: DeserializeOwned>(data: &str) -> Result<T, CodecError> {
    serde_json::from_str(data).map_err(|error| match error.classify() {
        // What was stored is what was written, as its checksum says. So JSON with a field too many, or with other values, is
        // another release's.
        Category::Data => CodecError::NewerEvent(format!("event data of another shape: {error}")),
        Category::Syntax | Category::Eof | Category::Io => {
            CodecError::Invalid(format!("event data that is no JSON: {error}"))
        }
    })
}

/// Turns a value that the domain refuses into a codec error that names its field: a later release allows it.
fn refused<E: std::fmt::Display>(field: &'static str) -> impl Fn(E) -> CodecError {
    move |error| CodecError::NewerEvent(format!("{field}: {error}"))
}

fn out_of_range(field: &'static str) -> CodecError {
    CodecError::NewerEvent(format!("{field} is out of range"))
}

fn time(field: &'static str, text: &str) -> Result<Timestamp, CodecError> {
    crate::rfc3339::parse(text).ok_or_else(|| CodecError::NewerEvent(format!("{field} is not a time")))
}

#[cfg(test)]
mod tests;
