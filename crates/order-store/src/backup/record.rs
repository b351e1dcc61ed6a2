//! Events and receipts as bytes: what their checksum covers in a row of the log, with its length before it and the
//! checksum after it.

use order_application::{Position, Receipt, RecordedEvent, Version};
use order_domain::Timestamp;

use crate::checksum::{Checksum, Covered};
use crate::receipt_row::ReceiptRow;

const LENGTH_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 9;

/// Adds an event.
pub(super) fn push_event(bytes: &mut Vec<u8>, event: &Covered<'_>) {
    push(bytes, |bytes| event.push(bytes));
}

/// Adds a receipt.
pub(super) fn push_receipt(bytes: &mut Vec<u8>, receipt: &Receipt) {
    push(bytes, |bytes| ReceiptRow::of(receipt).push(bytes));
}

fn push(bytes: &mut Vec<u8>, covered: impl FnOnce(&mut Vec<u8>)) {
    let begin = bytes.len();
    bytes.extend_from_slice(&[0; LENGTH_BYTES]);
    covered(bytes);
    let from = begin + LENGTH_BYTES;
    // No event is as large as a part, whose bound fits.
    let length = u32::try_from(bytes.len() - from).unwrap_or(u32::MAX);
    bytes[begin..from].copy_from_slice(&length.to_le_bytes());
    let checksum = Checksum::of(&bytes[from..]);
    bytes.extend_from_slice(checksum.as_bytes());
}

/// Takes the record that `bytes` begin with off them. `None`: they do not begin with one that is what was written.
pub(super) fn take_event(bytes: &mut &[u8]) -> Option<RecordedEvent> {
    let mut fields = Fields(take(bytes)?);
    let position = Position(fields.number()?);
    let covered = Covered {
        position: Some(position),
        version: Version(fields.number()?),
        time: Timestamp::from_micros(fields.number()?.cast_signed()),
        id: fields.array()?,
        order_id: fields.text()??,
        event_type: fields.text()??,
        data: fields.text()??,
        context: fields.text()??,
        source: fields.text()?,
    };
    fields.0.is_empty().then_some(covered)?.into_event(position).ok()
}

/// The same for a receipt.
pub(super) fn take_receipt(bytes: &mut &[u8]) -> Option<Receipt> {
    let covered = take(bytes)?;
    let mut fields = Fields(covered);
    let (key, fingerprint) = (fields.array::<16>()?, fields.array::<16>()?);
    let version = fields.number()?;
    let answered_at = Timestamp::from_micros(fields.number()?.cast_signed());
    let (order_id, answer) = (fields.text()??, fields.text()??);
    let row = ReceiptRow { key, fingerprint, order_id, version, answer, answered_at };
    fields.0.is_empty().then_some(row)?.into_receipt(Checksum::of(covered).as_bytes()).ok()
}

/// Passes over an event, and answers with its position.
pub(super) fn skip_event(bytes: &mut &[u8]) -> Option<Position> {
    Fields(take(bytes)?).number().map(Position)
}

/// What the checksum of the next record covers, if it is what was written.
fn take<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let (covered, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (checksum, rest) = rest.split_first_chunk::<CHECKSUM_BYTES>()?;
    *bytes = rest;
    (Checksum::of(covered).as_bytes() == checksum).then_some(covered)
}

/// Fields that are read one after the other.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn array<const N: usize>(&mut self) -> Option<&'b [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// A text, or the one that is missing.
    fn text(&mut self) -> Option<Option<&'b str>> {
        let length = self.number()?;
        if length == u64::MAX {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Some)
    }
}
