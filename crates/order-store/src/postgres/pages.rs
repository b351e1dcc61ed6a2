//! Reads of many rows, in pages whose size the database bounds. Planned anew each time: the right plan for a small table
//! is the wrong one for a large one, and a page costs far more than its plan.

use std::sync::Arc;
use std::time::Duration;

use order_application::{
    DueOrder, DuePage, DuePlace, DueQuery, LogHistory, PageLimit, Position, RecordedEvent, StoreError,
    Version,
};
use order_domain::{OrderId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::database::{Database, Parameter};
use super::history::{KnownEvent, WENT_BACK};
use super::row::{
    ORDER_COLUMNS, bigint, event_columns, number, order_columns, read_event, read_order, system_time,
    timestamp,
};
use super::schema;
use super::servers::Object;
use super::statement_failure::unreadable;

/// Whoever probes does not wait for long.
const CHECK_PATIENCE: Duration = Duration::from_millis(800);

/// Events of one page, whatever is asked for. An order has no more.
const MAX_PAGE_EVENTS: i64 = 10_000;

/// A page of the order's events. Each row also tells whether the view says that the order is damaged; a page without events is one
/// row that tells this alone.
const STREAM: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", b.is_damaged, (SELECT i.id FROM order_service.events i WHERE i.position = $5) FROM (",
    "SELECT f.position, (SELECT o.state FROM order_service.orders o WHERE o.key = f.position) = 'damaged' AS is_damaged ",
    "FROM order_service.events f WHERE f.order_id = $1 AND f.version = 1 LIMIT 1",
    ") b LEFT JOIN LATERAL (",
    "SELECT p.* FROM (",
    "SELECT e.*, sum(octet_length(e.data)) OVER (ORDER BY e.version) - octet_length(e.data) AS bytes_before ",
    "FROM order_service.events e WHERE e.order_key = b.position AND e.version > $2 ORDER BY e.version LIMIT $3",
    ") p WHERE p.bytes_before < $4",
    ") e ON true ORDER BY e.version",
);

/// The index of `is_damaged` among the columns of [`STREAM`].
const IS_DAMAGED: usize = 11;
/// And that of the id which the event has that was known.
const STREAM_KNOWN: usize = 12;

const LOG: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", (SELECT i.id FROM order_service.events i WHERE i.position = $4) FROM (",
    "SELECT e.*, sum(octet_length(e.data)) OVER (ORDER BY e.position) - octet_length(e.data) AS bytes_before ",
    "FROM order_service.events e WHERE e.position > $1 ORDER BY e.position LIMIT $2",
    ") e WHERE e.bytes_before < $3 ORDER BY e.position",
);
/// The index of the id which the event has that was known.
const LOG_KNOWN: usize = 11;

const DUE: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", o.due_at FROM order_service.orders o WHERE o.due_at IS NOT NULL AND o.due_at <= $1 AND (o.due_at, o.key) > ($2, $3) ",
    "ORDER BY o.due_at, o.key LIMIT $4",
);
/// The index of the last column of [`DUE`].
const DUE_AT: usize = ORDER_COLUMNS;
/// Before every time that the database knows, and that its driver knows, too.
const EARLIEST_MICROS: i64 = -200_000_000_000_000_000;

/// The last position.
pub(super) const LOG_END: &str = "SELECT coalesce(max(position), 0) FROM order_service.events";

/// A page of an order's events after a version, none of which is missing or another order's. And whether the order's row, which
/// nobody has checked, says that the order is damaged.
pub(super) async fn stream(
    database: &Database,
    order_id: &OrderId,
    after: Version,
    limit: PageLimit,
) -> Result<(Vec<RecordedEvent>, bool), StoreError> {
    let (most, bytes) = bounds(limit);
    let first = bigint(after.0);
    let parameters: [Parameter<'_>; 4] =
        [(&order_id.as_str(), Type::TEXT), (&first, Type::INT8), (&most, Type::INT8), (&bytes, Type::INT8)];
    let (history, rows) = rows_of_known_log(database, STREAM, &parameters, STREAM_KNOWN).await?;
    let is_damaged = rows.first().and_then(|row| row.try_get::<_, Option<bool>>(IS_DAMAGED).ok().flatten());
    let mut events = Vec::with_capacity(rows.len());
    let mut scratch = Vec::new();
    let has_event = |row: &&Row| !matches!(row.try_get::<_, Option<i64>>(0), Ok(None));
    for (row, version) in rows.iter().filter(has_event).zip(after.0.saturating_add(1)..) {
        let event = read_event(row, &mut scratch)?;
        if event.version.0 != version {
            return Err(StoreError::Corrupt(format!("order {order_id} has no event of version {version}")));
        }
        if event.order_id != *order_id {
            let RecordedEvent { position, order_id: other, .. } = event;
            let why = format!("order {order_id} has an event of order {other} at position {position}");
            return Err(StoreError::Corrupt(why));
        }
        events.push(event);
    }
    saw_last(database, history, &events);
    Ok((events, is_damaged.unwrap_or_default()))
}

/// A page of the log after a position, up to the first event that cannot be read. Positions have no gaps, so where one is
/// missing, a row is lost.
pub(super) async fn log(
    database: &Database,
    after: Position,
    limit: PageLimit,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let (history, rows) = log_rows(database, after, limit).await?;
    let mut events = Vec::with_capacity(rows.len());
    let mut scratch = Vec::new();
    for (row, position) in rows.iter().zip(after.0.saturating_add(1)..) {
        let event = read_event(row, &mut scratch).and_then(|event| {
            let missing = || StoreError::Corrupt(format!("no event at position {position}"));
            (event.position == Position(position)).then_some(event).ok_or_else(missing)
        });
        match event {
            Ok(event) => events.push(event),
            Err(error) if events.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    saw_last(database, history, &events);
    Ok(events)
}

/// Where the server cannot read a row, less is asked for, so that what is before it comes.
async fn log_rows(
    database: &Database,
    after: Position,
    limit: PageLimit,
) -> Result<(Option<LogHistory>, Vec<Row>), StoreError> {
    let (mut events, bytes) = bounds(limit);
    let first = bigint(after.0);
    loop {
        let parameters = [(&first as _, Type::INT8), (&events as _, Type::INT8), (&bytes as _, Type::INT8)];
        match rows_of_known_log(database, LOG, &parameters, LOG_KNOWN).await {
            Err(StoreError::Corrupt(_)) if events > 1 => events /= 2,
            rows => return rows,
        }
    }
}

/// Rows of events by a statement whose last parameter is where the newest event is that the store knows, and that answers with
/// what id is there: all of one snapshot. So events never come from a log that does not have what was seen before. Also says
/// of which history they are, unless the server cannot read that one event; the others need not suffer for it.
async fn rows_of_known_log(
    database: &Database,
    statement: &str,
    parameters: &[Parameter<'_>],
    known_id: usize,
) -> Result<(Option<LogHistory>, Vec<Row>), StoreError> {
    let known = database.history().known();
    let asked = |position: i64| async move {
        let last = [(&position as _, Type::INT8)];
        database.query(statement, &[parameters, &last].concat()).await
    };
    let rows = match asked(known.event.map_or(0, |event| bigint(event.position.0))).await {
        Err(StoreError::Corrupt(_)) if known.event.is_some() => return Ok((None, asked(0).await?)),
        rows => rows?,
    };
    if let Some(row) = rows.first()
        && !database.history().has(known, row.try_get(known_id).map_err(|error| unreadable(&error))?)
    {
        return Err(StoreError::Unavailable(WENT_BACK.to_owned()));
    }
    Ok((Some(known.history), rows))
}

fn saw_last(database: &Database, history: Option<LogHistory>, events: &[RecordedEvent]) {
    if let (Some(history), Some(last)) = (history, events.last()) {
        database.history().saw(history, KnownEvent { position: last.position, id: last.id });
    }
}

/// A page of orders that are due, and the keys of rows that are not what was written.
pub(super) async fn due(
    database: &Database,
    query: &DueQuery,
) -> Result<(DuePage, Vec<Position>), StoreError> {
    let first =
        DuePlace { due_at: Timestamp::from_micros(EARLIEST_MICROS), placed_position: Position::START };
    let DuePlace { due_at, placed_position } = query.after.unwrap_or(first);
    let (until, after, key) = (system_time(query.until), system_time(due_at), bigint(placed_position.0));
    let limit = bigint(query.limit as u64);
    let parameters: [Parameter<'_>; 4] =
        [(&until, Type::TIMESTAMPTZ), (&after, Type::TIMESTAMPTZ), (&key, Type::INT8), (&limit, Type::INT8)];
    let rows = database.query(DUE, &parameters).await?;
    let (mut page, mut damaged) = (DuePage::default(), Vec::new());
    for row in &rows {
        let unreadable = |error: tokio_postgres::Error| unreadable(&error);
        let placed_position = Position(number(row, 0).map_err(unreadable)?);
        let due_at = timestamp(row.try_get(DUE_AT).map_err(unreadable)?);
        let due_at = due_at.map_err(|error| StoreError::Corrupt(format!("a time that is due: {error}")))?;
        let place = DuePlace { due_at, placed_position };
        if rows.len() == query.limit {
            page.next = Some(place);
        }
        match read_order(row, 0) {
            Ok(stored) => page.orders.push(DueOrder { place, order_id: stored.view.order_id().clone() }),
            Err(_) => damaged.push(placed_position),
        }
    }
    Ok((page, damaged))
}

/// The last position.
pub(super) async fn log_end(database: &Database) -> Result<Position, StoreError> {
    database.query_value::<i64>(LOG_END, &[]).await.map(|end| Position(end.cast_unsigned()))
}

const CHECK: &str =
    "SELECT pg_is_in_recovery(), coalesce(max(oldest_compatible), 0) FROM order_service.migrations";

/// Whether this release takes orders for the database: it is there, no standby, and not migrated to what needs a newer one.
pub(super) async fn check(database: &Database) -> Result<(), StoreError> {
    let check = |connection: Arc<Object>| async move {
        let row = connection.query_typed_one(CHECK, &[]).await?;
        Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?))
    };
    let (is_standby, needed) = database.retry(CHECK_PATIENCE, check).await?;
    if is_standby {
        return Err(StoreError::Unavailable("the database is a standby".to_owned()));
    }
    if needed > schema::known() {
        let why = "the database was migrated to a schema that this release cannot use";
        return Err(StoreError::NewerRelease(why.to_owned()));
    }
    Ok(())
}

/// At least one event, however large: the first has no bytes before it.
fn bounds(limit: PageLimit) -> (i64, i64) {
    (bigint(limit.events as u64).min(MAX_PAGE_EVENTS), bigint(limit.bytes as u64).max(1))
}
