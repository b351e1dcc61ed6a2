//! The views' file: the index of orders and the rows of lists. Derived from the log, so it may be deleted at any time.

use std::path::{Path, PathBuf};

use order_application::{OrderView, Position, Version};
use order_domain::{OrderId, Timestamp};
use rusqlite::{Connection, params};
use twox_hash::XxHash3_64;
use uuid::Uuid;

use super::connection::{OpenError, Settings, open_writer};
use super::log::Log;
use super::overlay::{Change, Generation, OrderKey};
use crate::view_row::ViewRow;

/// The schema of this release (`PRAGMA user_version`). Views of any other are built anew.
const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE progress (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    log_identity BLOB NOT NULL,            -- whose views these are
    hash_seed INTEGER NOT NULL,            -- random, so that nobody can choose ids that collide
    position INTEGER NOT NULL,             -- everything up to here is in the tables below
    event_id BLOB NOT NULL                 -- of the event there; zeros at the beginning
) STRICT;

-- Finds an order's key. A hash makes small entries of any id, so that a sorted batch of many orders shares pages.
CREATE TABLE order_ids (
    hash INTEGER NOT NULL,                 -- XXH3 of the order id
    key INTEGER NOT NULL,
    PRIMARY KEY (hash, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    key INTEGER PRIMARY KEY,               -- position of the order's first event
    order_id TEXT NOT NULL,
    state TEXT NOT NULL,                   -- 'ok'; otherwise only order id and version mean anything
    version INTEGER NOT NULL,
    customer_id TEXT,
    status TEXT,
    total_cents INTEGER,
    placed_at INTEGER,                     -- microseconds since 1970
    updated_at INTEGER,
    checksum BLOB NOT NULL                 -- over all of the above
) STRICT;

-- Where an order's events are in the log, but for the first, which is at its key.
CREATE TABLE order_events (
    key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;
";

/// The columns of `orders AS o`, as [`read_order`] wants them.
macro_rules! order_columns {
    () => {
        "o.key, o.order_id, o.state, o.version, o.customer_id, o.status, o.total_cents, o.placed_at, o.updated_at, \
         o.checksum"
    };
}
pub(super) use order_columns;

const INSERT_ID: &str = "INSERT OR IGNORE INTO order_ids (hash, key) VALUES (?1, ?2)";

/// Takes a newer version over the one before. After a crash a row may be ahead of `progress`, by events that are all met
/// again before the store opens; so only a row that is behind is wrong.
const UPSERT_ORDER: &str = "INSERT INTO orders
        (key, order_id, state, version, customer_id, status, total_cents, placed_at, updated_at, checksum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (key) DO UPDATE SET
        state = excluded.state, version = excluded.version, customer_id = excluded.customer_id,
        status = excluded.status, total_cents = excluded.total_cents, placed_at = excluded.placed_at,
        updated_at = excluded.updated_at, checksum = excluded.checksum
    WHERE order_id = excluded.order_id AND version >= ?11";

const INSERT_EVENT: &str = "INSERT OR REPLACE INTO order_events (key, version, position) VALUES (?1, ?2, ?3)";

const UPDATE_PROGRESS: &str = "UPDATE progress SET position = ?1, event_id = ?2";

/// Rows of one transaction. Larger ones hold the disk and a core for longer than a command likes to wait.
const ROWS_PER_COMMIT: usize = 4_000;

/// The writing end of the views' file.
pub(super) struct Views {
    connection: Connection,
    path: PathBuf,
    position: Position,
    hash_seed: u64,
}

/// Why a generation could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ViewsError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the view of order {0} is not at the version that its next event follows on")]
    NotTheNextVersion(OrderId),
}

impl Views {
    /// Opens the views of `log`. Where they are missing, of another log, from another release or broken, empty ones take
    /// their place.
    pub(super) fn open(path: &Path, log: &Log) -> Result<Self, OpenError> {
        match Self::open_existing(path, log) {
            Ok(Ok(views)) => return Ok(views),
            // A store that is new has none to build.
            Ok(Err(_)) if log.head()? == Position::START => {}
            Ok(Err(why)) => tracing::info!(path = %path.display(), why, "building the views anew"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the views are unreadable; building them anew");
            }
        }
        Self::create_anew(path, log)
    }

    /// Empty views in the place of any that are there. Nobody may have them open.
    pub(super) fn create_anew(path: &Path, log: &Log) -> Result<Self, OpenError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(OpenError::io(Path::new(&file))(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Self::create(path, log).map_err(OpenError::sqlite(path))
    }

    /// The inner error says why the views that are there are of no use.
    fn open_existing(path: &Path, log: &Log) -> Result<Result<Self, &'static str>, rusqlite::Error> {
        if !path.exists() {
            return Ok(Err("there are none"));
        }
        let connection = open(path)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != SCHEMA_VERSION {
            return Ok(Err("they are of another version"));
        }
        let (identity, hash_seed, position, event_id) = connection.query_row(
            "SELECT log_identity, hash_seed, position, event_id FROM progress",
            (),
            |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, Position(row.get(2)?), row.get(3)?)),
        )?;
        if Uuid::from_bytes(identity) != log.identity() {
            return Ok(Err("they are of another log"));
        }
        let in_log = match position {
            Position::START => Some(Uuid::nil()),
            position => log.event_id_at(position).ok().flatten(),
        };
        if in_log != Some(Uuid::from_bytes(event_id)) {
            return Ok(Err("the log does not have the event that they end with"));
        }
        let (path, hash_seed) = (path.to_owned(), hash_seed.cast_unsigned());
        Ok(Ok(Self { connection, path, position, hash_seed }))
    }

    #[expect(clippy::disallowed_methods, reason = "a seed that nobody can guess is the point of it")]
    fn create(path: &Path, log: &Log) -> rusqlite::Result<Self> {
        let mut connection = open(path)?;
        let hash_seed = Uuid::new_v4().as_u64_pair().0;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute(
            "INSERT INTO progress VALUES (1, ?1, ?2, 0, ?3)",
            params![log.identity().as_bytes(), hash_seed.cast_signed(), Uuid::nil().as_bytes()],
        )?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        Ok(Self { connection, path: path.to_owned(), position: Position::START, hash_seed })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything up to here is in the file.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// What order ids are hashed with in this file.
    pub(super) fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    /// Writes a generation, in several transactions. Readers see the orders in the overlay until all are done; a crash in
    /// between leaves rows ahead of `progress`, which the same events will meet again.
    pub(super) fn write(&mut self, generation: &Generation) -> Result<(), ViewsError> {
        let Some((last_position, last_event_id)) = generation.last else { return Ok(()) };
        self.insert_ids(generation)?;
        self.upsert_orders(generation)?;
        self.insert_events(generation)?;
        self.connection
            .prepare_cached(UPDATE_PROGRESS)?
            .execute(params![last_position.0, last_event_id.as_bytes()])?;
        self.position = last_position;
        Ok(())
    }

    fn insert_ids(&mut self, generation: &Generation) -> Result<(), ViewsError> {
        let new_orders = generation.changes().filter(|(key, _)| self.is_new(*key));
        let mut entries: Vec<_> = new_orders
            .map(|(key, change)| (hash_order_id(change.view.order_id(), self.hash_seed), key))
            .collect();
        entries.sort_unstable();
        for chunk in entries.chunks(ROWS_PER_COMMIT) {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT_ID)?;
            for (hash, key) in chunk {
                insert.execute(params![hash, key])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(())
    }

    fn upsert_orders(&mut self, generation: &Generation) -> Result<(), ViewsError> {
        let mut changes = generation.changes().peekable();
        while changes.peek().is_some() {
            let reached = self.position;
            let transaction = self.connection.transaction()?;
            let mut upsert = transaction.prepare_cached(UPSERT_ORDER)?;
            let mut scratch = Vec::new();
            for (key, change) in changes.by_ref().take(ROWS_PER_COMMIT) {
                let row = ViewRow::of(&change.view);
                let written = upsert.execute(params![
                    key,
                    row.order_id,
                    row.state,
                    row.version,
                    row.customer_id,
                    row.status,
                    row.total_cents,
                    row.placed_at.map(Timestamp::as_micros),
                    row.updated_at.map(Timestamp::as_micros),
                    row.checksum(Some(key), &mut scratch).as_bytes(),
                    version_before(key, change, reached).0,
                ])?;
                if written != 1 {
                    return Err(ViewsError::NotTheNextVersion(change.view.order_id().clone()));
                }
            }
            drop(upsert);
            transaction.commit()?;
        }
        Ok(())
    }

    fn insert_events(&mut self, generation: &Generation) -> Result<(), ViewsError> {
        let positions = |(key, change): (OrderKey, &'_ Change)| {
            change.positions.iter().map(move |entry| (key, *entry)).collect::<Vec<_>>()
        };
        let mut entries = generation.changes().flat_map(positions).peekable();
        while entries.peek().is_some() {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT_EVENT)?;
            for (key, (version, position)) in entries.by_ref().take(ROWS_PER_COMMIT) {
                insert.execute(params![key, version.0, position.0])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(())
    }

    /// Whether the file cannot have the order yet.
    fn is_new(&self, key: OrderKey) -> bool {
        key > self.position.0
    }

    /// Copies the write-ahead log into the file, so that it starts from its beginning again.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
    }
}

/// The version that an order had before a change; of one that is damaged, any.
fn version_before(key: OrderKey, change: &Change, reached: Position) -> Version {
    if change.view.is_damaged() {
        return Version::NONE;
    }
    let first = u64::from(key > reached.0);
    Version(change.view.version().0 - first - change.positions.len() as u64)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    open_writer(path, &Settings { synchronous: "normal", cache_kib: 12 * 1024 })
}

/// The hash under which `order_ids` has an order.
pub(super) fn hash_order_id(order_id: &OrderId, seed: u64) -> i64 {
    XxHash3_64::oneshot_with_seed(seed, order_id.as_str().as_bytes()).cast_signed()
}

/// Reads a row of `orders` and checks it: the columns of [`order_columns`], and the key under which it was looked for. The
/// inner error says what is wrong with it.
pub(super) fn read_order(
    row: &rusqlite::Row<'_>,
    scratch: &mut Vec<u8>,
) -> rusqlite::Result<Result<(OrderKey, OrderView), String>> {
    let text = |index| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
    let time =
        |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(Timestamp::from_micros));
    let wanted: OrderKey = row.get(10)?;
    if row.get::<_, Option<OrderKey>>(0)?.is_none() {
        return Ok(Err(format!("the index of orders has the key {wanted}, and there is no view with it")));
    }
    let found = ViewRow {
        order_id: text(1)?.unwrap_or_default(),
        state: text(2)?.unwrap_or_default(),
        version: row.get(3)?,
        customer_id: text(4)?,
        status: text(5)?,
        total_cents: row.get(6)?,
        placed_at: time(7)?,
        updated_at: time(8)?,
    };
    let view = if found.checksum(Some(wanted), scratch).as_bytes()
        == row.get_ref(9)?.as_bytes_or_null()?.unwrap_or_default()
    {
        found.into_view()
    } else {
        Err("the checksum does not match".to_owned())
    };
    Ok(view.map(|view| (wanted, view)).map_err(|what| format!("the view with the key {wanted}: {what}")))
}
