//! The checksum that stands in each stored event's row and guards it against silent corruption.

use std::sync::Arc;

use order_application::{EventContext, Position, RecordedEvent, Version, codec};
use order_domain::{OrderId, TextError, Timestamp};
use twox_hash::XxHash3_64;
use uuid::Uuid;

/// Everything that a row's checksum covers, which is everything that was known when it was made, but the checksum.
pub(crate) struct Checked<'a> {
    /// Left out by a store where the database gives the position.
    pub(crate) position: Option<Position>,
    pub(crate) version: Version,
    pub(crate) time: Timestamp,
    pub(crate) id: &'a [u8; 16],
    /// Order id, type, data, correlation id, causation id, actor.
    pub(crate) texts: [Option<&'a str>; 6],
}

impl Checked<'_> {
    /// The event at a position.
    pub(crate) fn into_event(self, position: Position) -> Result<RecordedEvent, TextError> {
        let [order_id, event_type, data, correlation_id, causation_id, actor] = self.texts;
        Ok(RecordedEvent {
            position,
            order_id: OrderId::new(order_id.unwrap_or_default())?,
            version: self.version,
            id: Uuid::from_bytes(*self.id),
            event_type: codec::intern_type(event_type.unwrap_or_default()),
            time: self.time,
            data: data.unwrap_or_default().into(),
            context: EventContext {
                correlation_id: correlation_id.unwrap_or_default().into(),
                causation_id: causation_id.map(Arc::from),
                actor: actor.map(Arc::from),
            },
        })
    }

    /// XXH3 (64 bits, seed 0) over all fields, little-endian; each text with its length before it, a missing one as
    /// the largest length, so that no two rows run together to the same bytes.
    pub(crate) fn checksum(&self, scratch: &mut Vec<u8>) -> i64 {
        scratch.clear();
        if let Some(position) = self.position {
            scratch.extend_from_slice(&position.0.to_le_bytes());
        }
        scratch.extend_from_slice(&self.version.0.to_le_bytes());
        scratch.extend_from_slice(&self.time.as_micros().to_le_bytes());
        scratch.extend_from_slice(self.id);
        for text in self.texts {
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            scratch.extend_from_slice(&length.to_le_bytes());
            scratch.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        XxHash3_64::oneshot(scratch).cast_signed()
    }
}
