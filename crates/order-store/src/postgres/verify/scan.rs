//! The log's rows in order, past those that the server itself cannot read.

use std::pin::Pin;

use futures_util::TryStreamExt;
use order_application::{Position, error_chain};
use order_domain::OrderId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, RowStream, Transaction};

use crate::postgres::row::{EVENT_ORDER_ID, EVENT_ORDER_KEY, event_columns, number, read_event};
use crate::postgres::statement_failure;
use crate::verify::{LogRow, Part};

const SCAN: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM order_service.events e WHERE e.position > $1 AND e.position <= $2 \
     AND (hashtextextended(e.order_id, 0) & 9223372036854775807) % $4 = $3 ORDER BY e.position"
);

/// Reads a part of the orders up to a position in one snapshot. The server says which rows are the part's, so that only
/// those travel; views are split by the same hash.
pub(super) struct LogScan<'a> {
    snapshot: &'a Transaction<'a>,
    part: Part,
    end: Position,
    rows: Option<Pin<Box<RowStream>>>,
    /// How far it has come, and how far `rows` go.
    last: Position,
    up_to: Position,
    scratch: Vec<u8>,
}

impl<'a> LogScan<'a> {
    pub(super) fn new(snapshot: &'a Transaction<'a>, part: Part, end: Position) -> Self {
        Self { snapshot, part, end, rows: None, last: Position::START, up_to: end, scratch: Vec::new() }
    }

    /// The next row. Where the server fails, it is asked for one position by itself, and then for all that follow.
    pub(super) async fn next(&mut self) -> Result<Option<LogRow>, Error> {
        while self.last < self.end {
            match self.step().await {
                Ok(Some(row)) => return self.take(&row).map(Some),
                Ok(None) => (self.last, self.up_to) = (self.up_to, self.end),
                Err(error) if is_about_rows(&error) => {
                    go_on(self.snapshot).await?;
                    let position = self.last.plus(1);
                    if self.up_to == position {
                        (self.last, self.up_to) = (position, self.end);
                        let why = error_chain(&error);
                        return Ok(Some(LogRow::Unreadable { first: position, last: position, why }));
                    }
                    self.up_to = position;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Option<Row>, Error> {
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.read().await?,
        };
        let row = rows.try_next().await?;
        self.rows = row.is_some().then_some(rows);
        Ok(row)
    }

    fn take(&mut self, row: &Row) -> Result<LogRow, Error> {
        self.last = Position(number(row, 0)?);
        Ok(match read_event(row, &mut self.scratch) {
            Ok(event) => LogRow::Event { event, order_key: Some(Position(number(row, EVENT_ORDER_KEY)?)) },
            Err(error) => {
                let order_id = OrderId::new(row.try_get::<_, &str>(EVENT_ORDER_ID)?).ok();
                LogRow::Damaged { position: Some(self.last), order_id, error }
            }
        })
    }

    async fn read(&self) -> Result<Pin<Box<RowStream>>, Error> {
        self.snapshot.batch_execute(SAVEPOINT).await?;
        let numbers = [self.last.0, self.up_to.0, self.part.number, self.part.of].map(u64::cast_signed);
        let parameters = numbers.iter().map(|number| (number, Type::INT8));
        Ok(Box::pin(self.snapshot.query_typed_raw(SCAN, parameters).await?))
    }
}

/// One of the name is enough: an error is gone back from before the next.
pub(super) const SAVEPOINT: &str = "SAVEPOINT before_rows";

/// Takes up the snapshot after an error.
pub(super) async fn go_on(snapshot: &Transaction<'_>) -> Result<(), Error> {
    snapshot.batch_execute("ROLLBACK TO SAVEPOINT before_rows; RELEASE SAVEPOINT before_rows").await
}

/// Whether what failed is a row, and the next may be read.
pub(super) fn is_about_rows(error: &Error) -> bool {
    error.code().is_some_and(statement_failure::is_about_rows)
}
