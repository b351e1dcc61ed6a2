//! The checksum that stands in each stored event's row and guards it against silent corruption.

use order_application::{Position, Version};
use order_domain::Timestamp;
use twox_hash::XxHash3_64;

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
