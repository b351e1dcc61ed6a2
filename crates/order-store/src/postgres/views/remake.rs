//! Rows of views made anew from the log: a batch of orders, read in one snapshot and written if nobody else has.
//!
//! Nothing is locked between reading and writing. In the snapshot a row and its events belong together, since an append
//! writes both in one transaction; a row that is still the one that was seen when it is replaced has had no append since.

use std::sync::Arc;

use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use order_application::{OrderView, Position, StoreError};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, RowStream};

use super::super::database::{Database, NO_DEADLINES, Parameter};
use super::super::projection;
use super::super::row::{DamagedView, StoredView, order_columns, read_order};
use super::super::statement_failure::StatementFailure;
use super::BATCH_DEADLINE;
use super::folding::{FoldedOrders, fold};
use super::lease::Lease;
use super::write::{ViewChange, delete, write};

/// Most rows that one statement writes, and keys of one list.
pub(super) const MAX_ROWS: usize = 200;

const ROWS: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM order_service.orders o WHERE o.key > $1 AND o.key <= $2 AND ($3 IS NULL OR o.key = ANY($3))"
);

/// The columns of an order's row that say which row it is.
const KEY: usize = 0;
const SEEN_VERSION: usize = 3;
const SEEN_CHECKSUM: usize = 9;

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off";

/// Which orders: those whose keys are above one and up to another, or some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Orders {
    after: i64,
    up_to: i64,
    keys: Option<Vec<i64>>,
}

impl Orders {
    pub(super) fn between(after: i64, up_to: i64) -> Self {
        Self { after, up_to, keys: None }
    }

    pub(super) fn with_keys(keys: Vec<i64>) -> Self {
        Self { after: i64::MIN, up_to: i64::MAX, keys: Some(keys) }
    }

    /// As two smaller batches. `None`: it is one key.
    fn halves(&self) -> Option<[Self; 2]> {
        let Some(keys) = &self.keys else {
            let middle = self.after.midpoint(self.up_to);
            let halves = [Self::between(self.after, middle), Self::between(middle, self.up_to)];
            return (middle > self.after && middle < self.up_to).then_some(halves);
        };
        let (first, second) = keys.split_at(keys.len() / 2);
        (!first.is_empty()).then(|| [first, second].map(|half| Self::with_keys(half.to_vec())))
    }

    /// Rows of these orders, by a statement that takes the three bounds.
    pub(super) async fn select(&self, snapshot: &Object, sql: &str) -> Result<RowStream, Error> {
        let parameters: [Parameter<'_>; 3] =
            [(&self.after, Type::INT8), (&self.up_to, Type::INT8), (&self.keys, Type::INT8_ARRAY)];
        snapshot.query_typed_raw(sql, parameters).await
    }
}

/// What was done to the rows of some orders.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remade {
    pub(super) events: u64,
    pub(super) orders: u64,
    /// How many of them cannot be read.
    pub(super) unreadable: u64,
    pub(super) written: u64,
    pub(super) deleted: u64,
    /// Keys of rows that somebody else was writing.
    pub(super) left: Vec<i64>,
}

impl Remade {
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.orders += other.orders;
        self.unreadable += other.unreadable;
        self.written += other.written;
        self.deleted += other.deleted;
        self.left.extend(&other.left);
    }
}

/// Makes the rows of some orders anew where they are not what the log makes of them. Where the server cannot read the rows of
/// an order, that order is left as it is. Keeps a lease, if there is one.
pub(super) async fn remake_readable(
    database: &Database,
    orders: Orders,
    mut lease: Option<&mut Lease<'_>>,
) -> Result<Remade, StoreError> {
    let mut remade = Remade::default();
    let mut batches = vec![orders];
    while let Some(batch) = batches.pop() {
        if let Some(lease) = &mut lease {
            lease.keep().await?;
        }
        match remake_soon(database, &batch).await {
            Ok(part) => remade.add(&part),
            Err(StoreError::Corrupt(why)) => match batch.halves() {
                Some([first, second]) => batches.extend([second, first]),
                None => {
                    tracing::error!(
                        order = ?batch,
                        why,
                        "the rows of an order cannot be read; its view is left as it is"
                    );
                    remade.add(&Remade { orders: 1, unreadable: 1, ..Remade::default() });
                }
            },
            Err(error) => return Err(error),
        }
    }
    Ok(remade)
}

/// Tries again as long as what failed may pass by itself.
pub(super) async fn remake_soon(database: &Database, orders: &Orders) -> Result<Remade, StoreError> {
    let remake = |connection: Arc<Object>| async move { remake(&connection, orders).await };
    database.retry(BATCH_DEADLINE, remake).await
}

/// What an answer that cannot be read means for whoever makes rows anew.
pub(super) fn unreadable(error: &Error) -> StoreError {
    StatementFailure::of(error).into_store_error()
}

async fn remake(connection: &Object, orders: &Orders) -> Result<Remade, Error> {
    let (mut remade, changes) = compare(connection, orders).await?;
    for written in changes.write.chunks(MAX_ROWS) {
        let keys = write(connection, written).await?;
        remade.written += keys.len() as u64;
        remade.left.extend(written.iter().map(|change| change.key).filter(|key| !keys.contains(key)));
    }
    for ghosts in changes.delete.chunks(MAX_ROWS) {
        remade.deleted += delete(connection, ghosts).await?.len() as u64;
    }
    Ok(remade)
}

/// What has to be done to rows.
#[derive(Debug, Default)]
struct Changes {
    write: Vec<ViewChange>,
    delete: Vec<i64>,
}

async fn compare(connection: &Object, orders: &Orders) -> Result<(Remade, Changes), Error> {
    let compared = compare_in_snapshot(connection, orders).await;
    // However it went: nobody else may get a connection with a transaction that is open.
    let ended = connection.batch_execute("ROLLBACK").await;
    let compared = compared?;
    ended.map(|()| compared)
}

async fn compare_in_snapshot(snapshot: &Object, orders: &Orders) -> Result<(Remade, Changes), Error> {
    snapshot.batch_execute(&format!("{SNAPSHOT}; {NO_DEADLINES}")).await?;
    let (folded, events) = fold(snapshot, orders).await?;
    let unreadable = folded.values().filter(|order| !order.is_readable()).count() as u64;
    let remade = Remade { events, orders: folded.len() as u64, unreadable, ..Remade::default() };
    Ok((remade, compare_rows(snapshot, orders, folded).await?))
}

async fn compare_rows(
    snapshot: &Object,
    orders: &Orders,
    mut folded: FoldedOrders,
) -> Result<Changes, Error> {
    let mut rows = Box::pin(orders.select(snapshot, ROWS).await?);
    let mut changes = Changes::default();
    while let Some(row) = rows.try_next().await? {
        let key: i64 = row.try_get(KEY)?;
        let Some(order) = folded.remove(&key) else {
            changes.delete.push(key);
            continue;
        };
        let Some(view) = order.view() else { continue };
        if !is_right(&read_order(&row, 0), &view) {
            let seen = Some((row.try_get(SEEN_VERSION)?, row.try_get(SEEN_CHECKSUM)?));
            changes.write.push(ViewChange { key, seen, view });
        }
    }
    let lost = folded
        .into_iter()
        .filter_map(|(key, order)| Some(ViewChange { key, seen: None, view: order.view()? }));
    changes.write.extend(lost);
    Ok(changes)
}

/// Whether a row is what this release makes of the order, or what a newer one made of it, who knows more.
fn is_right(row: &Result<StoredView, DamagedView>, view: &OrderView) -> bool {
    let Ok(StoredView { key: _, view: stored, projection: made_by }) = row else { return false };
    let is_of_order = stored.order_id() == view.order_id() && stored.version() == view.version();
    (*made_by > projection() && is_of_order) || (*made_by == projection() && stored == view)
}

/// A key as a row has it.
pub(super) fn of_position(key: Position) -> i64 {
    key.0.cast_signed()
}
