//! Whose views a file has, and how far they have come.

use order_application::{Position, Receipt};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::checksum::Checksum;
use crate::sqlite::log::LogError;
use crate::sqlite::log::receipts::{self, Sequence};
use crate::sqlite::views::ViewsError;
use crate::sqlite::views::overlay::OrderKey;
use crate::sqlite::views::receipt_index::{Segment, hash_key};
use crate::sqlite::views::schema::SCHEMA_VERSION;

/// In place of a projection: the rows were made by several.
pub(super) const OF_SEVERAL: u32 = 0;

/// What a set of entries of the index of orders comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct IdTotals {
    pub(crate) entries: u64,
    pub(crate) sum: i64,
}

impl IdTotals {
    pub(super) fn combine(&mut self, other: Self) {
        self.entries = self.entries.wrapping_add(other.entries);
        self.sum ^= other.sum;
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.entries) | u128::from(self.sum.cast_unsigned()) << 64).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self { entries: both as u64, sum: ((both >> 64) as u64).cast_signed() }
    }
}

/// How far the index of receipts has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReceiptProgress {
    /// The number of the last receipt that is in it, as are all that were there before; 0 if there is none.
    pub(crate) last: Sequence,
    /// The hash of that one's key.
    pub(crate) last_hash: i64,
    /// No receipt is in any segment before this.
    pub(crate) first_segment: Segment,
    /// How many segments there are from that one on.
    pub(crate) segments: u64,
}

impl ReceiptProgress {
    /// Whether a log may have the receipt that the index ends with: it has later ones, and none of another key in its place.
    /// It may have deleted that one since.
    pub(crate) fn may_be_of(&self, log: &Connection, hash_seed: u64) -> rusqlite::Result<bool> {
        let newest = receipts::newest(log)?.unwrap_or_default();
        let found = match receipts::find(log, self.last) {
            Ok(found) => found,
            // Whose key that was nobody knows.
            Err(LogError::Event(_)) => None,
            Err(LogError::Sqlite(error)) => return Err(error),
        };
        let is_another = |receipt: &Receipt| hash_key(receipt.key.as_bytes(), hash_seed) != self.last_hash;
        Ok(self.last <= newest && !found.is_some_and(|receipt| is_another(&receipt)))
    }
}

/// The row of `progress`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileProgress {
    /// The log that the views are derived from.
    pub(crate) log_identity: Uuid,
    /// What order ids are hashed with.
    pub(crate) hash_seed: u64,
    /// The version of the projection that made the rows; or [`OF_SEVERAL`].
    pub(crate) projection: u32,
    /// Not so while the file is being built.
    pub(crate) complete: bool,
    /// Everything up to here is in the tables.
    pub(crate) position: Position,
    /// The event there.
    pub(crate) event_id: Uuid,
    /// The key of the last order that was placed up to there; 0 if there is none.
    pub(crate) last_key: OrderKey,
    /// What the index of orders comes to.
    pub(crate) ids: IdTotals,
    /// How far the index of receipts has come, which has a pace of its own.
    pub(crate) receipts: ReceiptProgress,
}

/// What the row says of views of any schema, earlier or later: of whose events they are, and up to which. No schema may do
/// without these columns: whoever opens a store asks all views what its log must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ViewsOrigin {
    /// As in [`FileProgress`].
    pub(crate) log_identity: Uuid,
    /// As in [`FileProgress`].
    pub(crate) position: Position,
    /// As in [`FileProgress`].
    pub(crate) event_id: Uuid,
}

impl ViewsOrigin {
    /// Reads it of views that are complete. A checksum can only be checked by releases that know all that it covers.
    pub(crate) fn load_complete(views: &Connection) -> Result<Self, ViewsError> {
        if schema_version(views)? == SCHEMA_VERSION {
            let FileProgress { log_identity, position, event_id, .. } = FileProgress::load_complete(views)?;
            return Ok(Self { log_identity, position, event_id });
        }
        let origin = "SELECT log_identity, position, event_id FROM progress WHERE complete";
        let read = |row: &rusqlite::Row<'_>| {
            let (log_identity, event_id) = (Uuid::from_bytes(row.get(0)?), Uuid::from_bytes(row.get(2)?));
            Ok(Self { log_identity, position: Position(row.get(1)?), event_id })
        };
        let row = views.query_row(origin, (), read).optional()?;
        row.ok_or_else(|| ViewsError::Useless("they were never finished".to_owned()))
    }
}

fn schema_version(views: &Connection) -> rusqlite::Result<i64> {
    views.pragma_query_value(None, "user_version", |row| row.get(0))
}

const SAVE: &str = "INSERT OR REPLACE INTO progress \
    (id, log_identity, hash_seed, projection, complete, position, event_id, last_key, id_entries, id_sum, \
    last_receipt, last_receipt_hash, first_receipt_segment, receipt_segments, checksum) \
    VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

const LOAD: &str = "SELECT log_identity, hash_seed, projection, complete, position, event_id, last_key, id_entries, \
    id_sum, last_receipt, last_receipt_hash, first_receipt_segment, receipt_segments, checksum FROM progress";

impl FileProgress {
    pub(super) fn save(&self, views: &Connection) -> rusqlite::Result<()> {
        views.prepare_cached(SAVE)?.execute(params![
            self.log_identity.as_bytes(),
            self.hash_seed.cast_signed(),
            self.projection,
            self.complete,
            self.position.0,
            self.event_id.as_bytes(),
            self.last_key,
            self.ids.entries,
            self.ids.sum,
            self.receipts.last,
            self.receipts.last_hash,
            self.receipts.first_segment,
            self.receipts.segments,
            self.checksum().as_bytes(),
        ])?;
        Ok(())
    }

    /// The row of views that this release could serve for a log.
    pub(crate) fn load_usable(views: &Connection, log_identity: Uuid) -> Result<Self, ViewsError> {
        let progress = Self::load_complete(views)?;
        if progress.log_identity != log_identity {
            return Err(ViewsError::Useless("they are of another log".to_owned()));
        }
        Ok(progress)
    }

    /// The row of views that this release could serve for their own log.
    pub(crate) fn load_complete(views: &Connection) -> Result<Self, ViewsError> {
        let version = schema_version(views)?;
        if version != SCHEMA_VERSION {
            let why = format!("they have schema {version}, and this release needs {SCHEMA_VERSION}");
            return Err(ViewsError::Useless(why));
        }
        let progress = Self::load(views)?;
        if !progress.complete {
            return Err(ViewsError::Useless("they were never finished".to_owned()));
        }
        Ok(progress)
    }

    pub(super) fn load(views: &Connection) -> Result<Self, ViewsError> {
        let read = |row: &rusqlite::Row<'_>| {
            let progress = Self {
                log_identity: Uuid::from_bytes(row.get(0)?),
                hash_seed: row.get::<_, i64>(1)?.cast_unsigned(),
                projection: row.get(2)?,
                complete: row.get(3)?,
                position: Position(row.get(4)?),
                event_id: Uuid::from_bytes(row.get(5)?),
                last_key: row.get(6)?,
                ids: IdTotals { entries: row.get(7)?, sum: row.get(8)? },
                receipts: ReceiptProgress {
                    last: row.get(9)?,
                    last_hash: row.get(10)?,
                    first_segment: row.get(11)?,
                    segments: row.get(12)?,
                },
            };
            let is_sound = row.get_ref(13)?.as_bytes()? == progress.checksum().as_bytes();
            Ok(is_sound.then_some(progress))
        };
        let row = views.prepare_cached(LOAD)?.query_row((), read).optional()?;
        row.flatten().ok_or_else(|| ViewsError::Damaged("how far they have come cannot be read".to_owned()))
    }

    fn checksum(&self) -> Checksum {
        let mut bytes = Vec::with_capacity(120);
        bytes.extend_from_slice(self.log_identity.as_bytes());
        bytes.extend_from_slice(&self.hash_seed.to_le_bytes());
        bytes.extend_from_slice(&self.projection.to_le_bytes());
        bytes.push(u8::from(self.complete));
        bytes.extend_from_slice(&self.position.0.to_le_bytes());
        bytes.extend_from_slice(self.event_id.as_bytes());
        bytes.extend_from_slice(&self.last_key.to_le_bytes());
        bytes.extend_from_slice(&self.ids.entries.to_le_bytes());
        bytes.extend_from_slice(&self.ids.sum.to_le_bytes());
        bytes.extend_from_slice(&self.receipts.last.to_le_bytes());
        bytes.extend_from_slice(&self.receipts.last_hash.to_le_bytes());
        bytes.extend_from_slice(&self.receipts.first_segment.to_le_bytes());
        bytes.extend_from_slice(&self.receipts.segments.to_le_bytes());
        Checksum::of(&bytes)
    }
}
