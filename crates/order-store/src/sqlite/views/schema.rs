//! The tables of a views' file, and what every statement on them knows.

use order_application::OrderView;
use order_domain::Timestamp;
use rusqlite::Row;

use crate::sqlite::views::ViewsError;
use crate::sqlite::views::overlay::OrderKey;
use crate::view_row::ViewRow;

/// The schema of this release (`PRAGMA user_version`). A file with another is of no use, and another is built beside it.
pub(crate) const SCHEMA_VERSION: i64 = 3;

pub(super) const SCHEMA: &str = "
-- Whose views these are, and how far they have come. One row; see `progress.rs`, also for what no schema may do without.
CREATE TABLE progress (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    log_identity BLOB NOT NULL,            -- of the log that they are derived from
    hash_seed INTEGER NOT NULL,            -- random, so that nobody can choose ids that collide
    projection INTEGER NOT NULL,           -- the version of the projection that made the rows; 0: several
    complete INTEGER NOT NULL,             -- 0 while the file is being built
    position INTEGER NOT NULL,             -- everything up to here is in the tables below
    event_id BLOB NOT NULL,                -- of the event there; zeros at the beginning
    last_key INTEGER NOT NULL,             -- of the last order that was placed up to there; 0 if there is none
    id_entries INTEGER NOT NULL,           -- how many entries order_ids has
    id_sum INTEGER NOT NULL,               -- and their fingerprints, by exclusive or
    last_receipt INTEGER NOT NULL,         -- sequence of the last receipt that receipt_index has; 0 if there is none
    last_receipt_hash INTEGER NOT NULL,    -- of its key
    first_receipt_segment INTEGER NOT NULL, -- those before have no receipt any more
    receipt_segments INTEGER NOT NULL,     -- how many rows receipt_segments has from that one on
    checksum BLOB NOT NULL                 -- over all of the above
) STRICT;

-- Finds an order's key. A hash makes small entries of any id, so that a sorted batch of many orders shares pages.
CREATE TABLE order_ids (
    hash INTEGER NOT NULL,                 -- XXH3 of the order id
    key INTEGER NOT NULL,
    PRIMARY KEY (hash, key)
) STRICT, WITHOUT ROWID;

-- What order_ids has to have in each range of hashes, so that an entry that is not there can be told from one that is lost.
-- See `id_ranges.rs`.
CREATE TABLE id_ranges (
    id INTEGER PRIMARY KEY,                -- the upper 9 bits of the hash: a group of 128 ranges
    totals BLOB NOT NULL,                  -- of each range: how many entries, and their fingerprints, by exclusive or
    checksum BLOB NOT NULL                 -- over all of the above
) STRICT;

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
    due_at INTEGER,                        -- when the order does something by itself
    on_hold INTEGER,
    updated_position INTEGER NOT NULL,     -- of the order's last event
    checksum BLOB NOT NULL,                -- over all of the above
    previous_key INTEGER NOT NULL          -- of the order that was placed before, so that lists notice a row that is lost
) STRICT;

-- Finds the orders that are due. Few orders ever are.
CREATE INDEX orders_due ON orders (due_at) WHERE due_at IS NOT NULL;

-- Finds the orders on hold. Few orders ever are.
CREATE INDEX orders_on_hold ON orders (key) WHERE on_hold;

-- Finds the orders with a status, in placement order. An order's entry moves with each of its steps, within what was placed
-- about as long ago, so a batch of steps shares pages.
CREATE INDEX orders_by_status ON orders (status, key);

-- The orders by their last events. An order's entry moves from where it was, mostly a little before the end, to the end.
CREATE INDEX orders_by_update ON orders (updated_position);

-- Finds the orders that are known by a customer, a payment, a parcel or a SKU. See `terms.rs`.
CREATE TABLE order_terms (
    block INTEGER NOT NULL,                -- about a million positions of the log: where the order's key is
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (block, kind, value, key)
) STRICT, WITHOUT ROWID;

-- The times of events in a stretch of the log, so that a list of a time does not look through others. See `zones.rs`.
CREATE TABLE log_times (
    zone INTEGER PRIMARY KEY,              -- so many positions
    earliest INTEGER NOT NULL,             -- of the events there that are an order's first or last, or were
    latest INTEGER NOT NULL
) STRICT;

-- Where an order's events are in the log, but for the first, which is at its key.
CREATE TABLE order_events (
    key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;

-- Finds a receipt in the log by its key. See `receipt_index.rs`.
CREATE TABLE receipt_index (
    segment INTEGER NOT NULL,              -- the bits of the sequence above the lower 20
    hash INTEGER NOT NULL,                 -- XXH3 of the key
    sequence INTEGER NOT NULL,
    PRIMARY KEY (segment, hash, sequence)
) STRICT, WITHOUT ROWID;

-- What receipt_index has to have of each segment.
CREATE TABLE receipt_segments (
    id INTEGER PRIMARY KEY,
    totals BLOB NOT NULL,                  -- of each range of hashes, as in id_ranges
    checksum BLOB NOT NULL                 -- over all of the above
) STRICT;
";

/// The columns of `orders AS o` up to the checksum, as [`read_order`] wants them.
macro_rules! order_columns {
    () => {
        "o.key, o.order_id, o.state, o.version, o.customer_id, o.status, o.total_cents, o.placed_at, o.updated_at, \
         o.due_at, o.on_hold, o.updated_position, o.checksum"
    };
}
pub(crate) use order_columns;

/// The index of the column after those of [`order_columns`].
pub(crate) const NEXT_COLUMN: usize = 13;

/// That of the position of the order's last event.
pub(crate) const UPDATED_POSITION: usize = 11;

/// Reads a row of `orders` that was looked for under a key, and checks it.
pub(crate) fn read_order(
    row: &Row<'_>,
    wanted: OrderKey,
    scratch: &mut Vec<u8>,
) -> Result<OrderView, ViewsError> {
    if row.get::<_, Option<OrderKey>>(0)?.is_none() {
        let what = format!("the index of orders has the key {wanted}, and there is no view with it");
        return Err(ViewsError::Damaged(what));
    }
    let text = |index| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
    let time =
        |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(Timestamp::from_micros));
    let found = ViewRow {
        order_id: text(1)?.unwrap_or_default(),
        state: text(2)?.unwrap_or_default(),
        version: row.get(3)?,
        customer_id: text(4)?,
        status: text(5)?,
        total_cents: row.get(6)?,
        placed_at: time(7)?,
        updated_at: time(8)?,
        due_at: time(9)?,
        on_hold: row.get(10)?,
        updated_position: row.get(UPDATED_POSITION)?,
    };
    let stored = row.get_ref(12)?.as_bytes_or_null().map_err(rusqlite::Error::from)?.unwrap_or_default();
    let is_sound = found.checksum(wanted, scratch).as_bytes() == stored;
    #[cfg(feature = "planted-faults")]
    let is_sound = is_sound || crate::sqlite::planted_faults::is_planted("unchecked-views");
    let view = if is_sound { found.into_view() } else { Err("the checksum does not match".to_owned()) };
    view.map_err(|what| ViewsError::Damaged(format!("the view with the key {wanted}: {what}")))
}
