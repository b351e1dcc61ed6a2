//! Whose views a file has, and how far they have come.

use order_application::Position;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::checksum::Checksum;
use crate::sqlite::views::ViewsError;
use crate::sqlite::views::overlay::OrderKey;
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
}

const SAVE: &str = "INSERT OR REPLACE INTO progress \
    (id, log_identity, hash_seed, projection, complete, position, event_id, last_key, id_entries, id_sum, checksum) \
    VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const LOAD: &str = "SELECT log_identity, hash_seed, projection, complete, position, event_id, last_key, id_entries, \
    id_sum, checksum FROM progress";

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
            self.checksum().as_bytes(),
        ])?;
        Ok(())
    }

    /// The row of views that this release could serve for a log.
    pub(crate) fn load_usable(views: &Connection, log_identity: Uuid) -> Result<Self, ViewsError> {
        let version: i64 = views.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != SCHEMA_VERSION {
            let why = format!("they have schema {version}, and this release needs {SCHEMA_VERSION}");
            return Err(ViewsError::Useless(why));
        }
        let progress = Self::load(views)?;
        if !progress.complete {
            return Err(ViewsError::Useless("they were never finished".to_owned()));
        }
        if progress.log_identity != log_identity {
            return Err(ViewsError::Useless("they are of another log".to_owned()));
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
            };
            let is_sound = row.get_ref(9)?.as_bytes()? == progress.checksum().as_bytes();
            Ok(is_sound.then_some(progress))
        };
        let row = views.prepare_cached(LOAD)?.query_row((), read).optional()?;
        row.flatten().ok_or_else(|| ViewsError::Damaged("how far they have come cannot be read".to_owned()))
    }

    fn checksum(&self) -> Checksum {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend_from_slice(self.log_identity.as_bytes());
        bytes.extend_from_slice(&self.hash_seed.to_le_bytes());
        bytes.extend_from_slice(&self.projection.to_le_bytes());
        bytes.push(u8::from(self.complete));
        bytes.extend_from_slice(&self.position.0.to_le_bytes());
        bytes.extend_from_slice(self.event_id.as_bytes());
        bytes.extend_from_slice(&self.last_key.to_le_bytes());
        bytes.extend_from_slice(&self.ids.entries.to_le_bytes());
        bytes.extend_from_slice(&self.ids.sum.to_le_bytes());
        Checksum::of(&bytes)
    }
}
