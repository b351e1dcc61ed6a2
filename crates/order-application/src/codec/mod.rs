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

mod hold_released;
mod inventory_reserved;
mod lines_cancelled;
mod order_cancelled;
mod order_completed;
mod order_held;
mod order_placed;
mod order_shipped;
mod parts;
mod payment_authorized;
mod payment_captured;
mod payment_declined;
mod payment_refunded;
mod payment_voided;
mod reservation_released;
mod return_received;
mod return_rejected;
mod return_requested;
mod shipment_delivered;
mod shipment_lost;

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
use crate::search_term::SearchTerm;
use crate::store_error::StoreError;

/// Every type that this release writes.
pub const EVENT_TYPES: [&str; 19] = [
    order_placed::TYPE,
    payment_authorized::TYPE,
    payment_declined::TYPE,
    payment_voided::TYPE,
    inventory_reserved::TYPE,
    reservation_released::TYPE,
    order_shipped::TYPE,
    shipment_delivered::TYPE,
    shipment_lost::TYPE,
    payment_captured::TYPE,
    payment_refunded::TYPE,
    lines_cancelled::TYPE,
    order_cancelled::TYPE,
    return_requested::TYPE,
    return_received::TYPE,
    return_rejected::TYPE,
    order_held::TYPE,
    hold_released::TYPE,
    order_completed::TYPE,
];

/// The type of an event, and its data as JSON text.
pub fn encode(event: &OrderEvent) -> (&'static str, Box<str>) {
    match event {
        OrderEvent::OrderPlaced(e) => (order_placed::TYPE, json(&order_placed::encode(e))),
        OrderEvent::PaymentAuthorized(e) => (payment_authorized::TYPE, json(&payment_authorized::encode(e))),
        OrderEvent::PaymentDeclined(e) => (payment_declined::TYPE, json(&payment_declined::encode(e))),
        OrderEvent::PaymentVoided(e) => (payment_voided::TYPE, json(&payment_voided::encode(e))),
        OrderEvent::InventoryReserved(e) => (inventory_reserved::TYPE, json(&inventory_reserved::encode(e))),
        OrderEvent::ReservationReleased(e) => {
            (reservation_released::TYPE, json(&reservation_released::encode(e)))
        }
        OrderEvent::OrderShipped(e) => (order_shipped::TYPE, json(&order_shipped::encode(e))),
        OrderEvent::ShipmentDelivered(e) => (shipment_delivered::TYPE, json(&shipment_delivered::encode(e))),
        OrderEvent::ShipmentLost(e) => (shipment_lost::TYPE, json(&shipment_lost::encode(e))),
        OrderEvent::PaymentCaptured(e) => (payment_captured::TYPE, json(&payment_captured::encode(e))),
        OrderEvent::PaymentRefunded(e) => (payment_refunded::TYPE, json(&payment_refunded::encode(e))),
        OrderEvent::LinesCancelled(e) => (lines_cancelled::TYPE, json(&lines_cancelled::encode(e))),
        OrderEvent::OrderCancelled(e) => (order_cancelled::TYPE, json(&order_cancelled::encode(e))),
        OrderEvent::ReturnRequested(e) => (return_requested::TYPE, json(&return_requested::encode(e))),
        OrderEvent::ReturnReceived(e) => (return_received::TYPE, json(&return_received::encode(e))),
        OrderEvent::ReturnRejected(e) => (return_rejected::TYPE, json(&return_rejected::encode(e))),
        OrderEvent::OrderHeld(e) => (order_held::TYPE, json(&order_held::encode(e))),
        OrderEvent::HoldReleased(e) => (hold_released::TYPE, json(&hold_released::encode(e))),
        OrderEvent::OrderCompleted(e) => (order_completed::TYPE, json(&order_completed::encode(e))),
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
        payment_declined::TYPE => payment_declined::decode(shape(data)?).map(OrderEvent::PaymentDeclined),
        payment_voided::TYPE => payment_voided::decode(shape(data)?).map(OrderEvent::PaymentVoided),
        inventory_reserved::TYPE => {
            inventory_reserved::decode(shape(data)?).map(OrderEvent::InventoryReserved)
        }
        reservation_released::TYPE => {
            reservation_released::decode(shape(data)?).map(OrderEvent::ReservationReleased)
        }
        order_shipped::TYPE => order_shipped::decode(shape(data)?).map(OrderEvent::OrderShipped),
        shipment_delivered::TYPE => {
            shipment_delivered::decode(shape(data)?).map(OrderEvent::ShipmentDelivered)
        }
        shipment_lost::TYPE => shipment_lost::decode(shape(data)?).map(OrderEvent::ShipmentLost),
        payment_captured::TYPE => payment_captured::decode(shape(data)?).map(OrderEvent::PaymentCaptured),
        payment_refunded::TYPE => payment_refunded::decode(shape(data)?).map(OrderEvent::PaymentRefunded),
        lines_cancelled::TYPE => lines_cancelled::decode(shape(data)?).map(OrderEvent::LinesCancelled),
        order_cancelled::TYPE => order_cancelled::decode(shape(data)?).map(OrderEvent::OrderCancelled),
        return_requested::TYPE => return_requested::decode(shape(data)?).map(OrderEvent::ReturnRequested),
        return_received::TYPE => return_received::decode(shape(data)?).map(OrderEvent::ReturnReceived),
        return_rejected::TYPE => return_rejected::decode(shape(data)?).map(OrderEvent::ReturnRejected),
        order_held::TYPE => order_held::decode(shape(data)?).map(OrderEvent::OrderHeld),
        hold_released::TYPE => hold_released::decode(shape(data)?).map(OrderEvent::HoldReleased),
        order_completed::TYPE => order_completed::decode(shape(data)?).map(OrderEvent::OrderCompleted),
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
        describe::<payment_declined::Shape<'_>>(payment_declined::TYPE),
        describe::<payment_voided::Shape<'_>>(payment_voided::TYPE),
        describe::<inventory_reserved::Shape<'_>>(inventory_reserved::TYPE),
        describe::<reservation_released::Shape<'_>>(reservation_released::TYPE),
        describe::<order_shipped::Shape<'_>>(order_shipped::TYPE),
        describe::<shipment_delivered::Shape<'_>>(shipment_delivered::TYPE),
        describe::<shipment_lost::Shape<'_>>(shipment_lost::TYPE),
        describe::<payment_captured::Shape<'_>>(payment_captured::TYPE),
        describe::<payment_refunded::Shape<'_>>(payment_refunded::TYPE),
        describe::<lines_cancelled::Shape<'_>>(lines_cancelled::TYPE),
        describe::<order_cancelled::Shape<'_>>(order_cancelled::TYPE),
        describe::<return_requested::Shape<'_>>(return_requested::TYPE),
        describe::<return_received::Shape<'_>>(return_received::TYPE),
        describe::<return_rejected::Shape<'_>>(return_rejected::TYPE),
        describe::<order_held::Shape<'_>>(order_held::TYPE),
        describe::<hold_released::Shape<'_>>(hold_released::TYPE),
        describe::<order_completed::Shape>(order_completed::TYPE),
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

/// What its order is found by because of a recorded event: nothing, if that cannot be decoded.
pub fn search_terms(event: &RecordedEvent) -> Vec<SearchTerm> {
    let decoded = decode(&event.event_type, &event.data);
    decoded.map(|decoded| SearchTerm::of_event(&decoded)).unwrap_or_default()
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
