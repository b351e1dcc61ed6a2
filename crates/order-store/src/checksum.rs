//! The checksums that stand in stored rows and guard them against silent corruption.

use std::fmt;

use order_application::{EventContext, NewEvent, Position, RecordedEvent, Version, codec};
use order_domain::{OrderId, TextError, Timestamp};
use twox_hash::XxHash3_64;
use uuid::Uuid;

/// A checksum as it is stored: one byte that names its format, and what that format makes of the row.
///
/// | format | what follows |
/// |---|---|
/// | 1 | XXH3 (64 bits, seed 0, <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>), little-endian |
///
/// A better algorithm gets the next number. Rows of both can then stand in one log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checksum([u8; 9]);

const XXH3: u8 = 1;

impl Checksum {
    /// The checksum of fields that were put together in `scratch`.
    pub(crate) fn of(scratch: &[u8]) -> Self {
        let mut checksum = [XXH3; 9];
        checksum[1..].copy_from_slice(&XxHash3_64::oneshot(scratch).to_le_bytes());
        Self(checksum)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// As hexadecimal digits.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Everything that the checksum of an event's row covers, which is everything that was known when it was made, but the
/// checksum.
pub(crate) struct Covered<'a> {
    /// Left out by a store where the database gives the position.
    pub(crate) position: Option<Position>,
    pub(crate) version: Version,
    pub(crate) time: Timestamp,
    pub(crate) id: &'a [u8; 16],
    pub(crate) order_id: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) data: &'a str,
    pub(crate) context: &'a str,
    pub(crate) source: Option<&'a str>,
}

impl<'a> Covered<'a> {
    /// What is covered of an event that is to be stored.
    pub(crate) fn of(event: &'a RecordedEvent) -> Self {
        Self {
            position: Some(event.position),
            version: event.version,
            time: event.time,
            id: event.id.as_bytes(),
            order_id: event.order_id.as_str(),
            event_type: &event.event_type,
            data: &event.data,
            context: event.context.as_json(),
            source: event.source.as_deref(),
        }
    }

    /// What is covered of a new event at its place.
    pub(crate) fn new(
        position: Position,
        order_id: &'a OrderId,
        version: Version,
        event: &'a NewEvent,
    ) -> Self {
        Self {
            position: Some(position),
            version,
            time: event.time,
            id: event.id.as_bytes(),
            order_id: order_id.as_str(),
            event_type: &event.event_type,
            data: &event.data,
            context: event.context.as_json(),
            source: event.source.as_deref(),
        }
    }

    /// The event at a position.
    pub(crate) fn into_event(self, position: Position) -> Result<RecordedEvent, TextError> {
        Ok(RecordedEvent {
            position,
            order_id: OrderId::new(self.order_id)?,
            version: self.version,
            id: Uuid::from_bytes(*self.id),
            event_type: codec::intern_type(self.event_type),
            time: self.time,
            data: self.data.into(),
            context: EventContext::stored(self.context),
            source: self.source.map(Into::into),
        })
    }

    /// The checksum of all fields.
    pub(crate) fn checksum(&self, scratch: &mut Vec<u8>) -> Checksum {
        scratch.clear();
        self.push(scratch);
        Checksum::of(scratch)
    }

    /// Adds all fields, little-endian; each text with its length before it, a missing one as the largest length, so that no
    /// two rows run together to the same bytes.
    pub(crate) fn push(&self, bytes: &mut Vec<u8>) {
        if let Some(position) = self.position {
            bytes.extend_from_slice(&position.0.to_le_bytes());
        }
        bytes.extend_from_slice(&self.version.0.to_le_bytes());
        bytes.extend_from_slice(&self.time.as_micros().to_le_bytes());
        bytes.extend_from_slice(self.id);
        push_texts(bytes, [self.order_id, self.event_type, self.data, self.context].map(Some));
        push_texts(bytes, [self.source]);
    }
}

/// Adds texts to what is summed up: each with its length before it, a missing one with the largest.
pub(crate) fn push_texts<const N: usize>(scratch: &mut Vec<u8>, texts: [Option<&str>; N]) {
    for text in texts {
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        scratch.extend_from_slice(&length.to_le_bytes());
        scratch.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
}
