//! Events as they travel between the service and a store: the data encoded, the envelope in fields.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use order_domain::{OrderId, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::event_context::EventContext;

/// How many events an order has: the version of the event that came last. 0 before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// No event yet.
    pub const NONE: Self = Self(0);

    /// So many events later.
    pub const fn plus(self, events: u64) -> Self {
        Self(self.0 + events)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's place in the log of all orders: 1, 2, … in commit order, without gaps. 0 is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// So many events later.
    pub const fn plus(self, events: u64) -> Self {
        Self(self.0 + events)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event that is to be appended. Its order, version and position are the append's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its name for ever, a UUIDv7.
    pub id: Uuid,
    /// Its type with schema version, such as `order.placed.v1`.
    pub event_type: Cow<'static, str>,
    /// When it happened; never before the order's previous event.
    pub time: Timestamp,
    /// The domain's part, as JSON text.
    pub data: Box<str>,
    /// Where it came from.
    pub context: EventContext,
    /// The CloudEvents source of an event that came from another log. `None`: this service's own.
    pub source: Option<Arc<str>>,
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the log of all orders.
    pub position: Position,
    /// Its stream.
    pub order_id: OrderId,
    /// Its place in the stream, from 1.
    pub version: Version,
    /// See [`NewEvent::id`].
    pub id: Uuid,
    /// See [`NewEvent::event_type`].
    pub event_type: Cow<'static, str>,
    /// See [`NewEvent::time`].
    pub time: Timestamp,
    /// See [`NewEvent::data`].
    pub data: Box<str>,
    /// See [`EventContext`].
    pub context: EventContext,
    /// See [`NewEvent::source`].
    pub source: Option<Arc<str>>,
}
