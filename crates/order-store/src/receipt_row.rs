//! A receipt as a row: what both databases keep of it, whatever they call their types.

use order_application::{AnswerKind, Fingerprint, Receipt, ReceiptKey, StoreError, Version};
use order_domain::{OrderId, Timestamp};

use crate::checksum::{Checksum, push_texts};

/// The values of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiptRow<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) fingerprint: &'a [u8],
    pub(crate) order_id: &'a str,
    pub(crate) version: u64,
    pub(crate) answer: &'a str,
    pub(crate) answered_at: Timestamp,
}

impl<'a> ReceiptRow<'a> {
    pub(crate) fn of(receipt: &'a Receipt) -> Self {
        Self {
            key: receipt.key.as_bytes(),
            fingerprint: receipt.fingerprint.as_bytes(),
            order_id: receipt.order_id.as_str(),
            version: receipt.version.0,
            answer: receipt.answer.as_str(),
            answered_at: receipt.answered_at,
        }
    }

    /// The checksum of all values.
    pub(crate) fn checksum(&self, scratch: &mut Vec<u8>) -> Checksum {
        scratch.clear();
        self.push(scratch);
        Checksum::of(scratch)
    }

    /// Adds all values, numbers little-endian, texts with their lengths before them.
    pub(crate) fn push(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.key);
        bytes.extend_from_slice(self.fingerprint);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.answered_at.as_micros().to_le_bytes());
        push_texts(bytes, [self.order_id, self.answer].map(Some));
    }

    /// The receipt that this is the row of.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not what was written with this checksum.
    pub(crate) fn into_receipt(self, checksum: &[u8]) -> Result<Receipt, StoreError> {
        let corrupt = || {
            StoreError::Corrupt(format!(
                "a receipt, which says that it is of order {:?}, is not what was written",
                self.order_id
            ))
        };
        if self.checksum(&mut Vec::new()).as_bytes() != checksum {
            return Err(corrupt());
        }
        Ok(Receipt {
            key: ReceiptKey::stored(self.key.try_into().map_err(|_| corrupt())?),
            fingerprint: Fingerprint::stored(self.fingerprint.try_into().map_err(|_| corrupt())?),
            order_id: OrderId::new(self.order_id).map_err(|_| corrupt())?,
            version: Version(self.version),
            answer: AnswerKind::from_name(self.answer).ok_or_else(corrupt)?,
            answered_at: self.answered_at,
        })
    }
}
