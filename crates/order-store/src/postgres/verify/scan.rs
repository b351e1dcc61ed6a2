//! The log's rows in order, past those that the server itself cannot read.

use std::pin::Pin;

use futures_util::TryStreamExt;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, RowStream, Transaction};

use super::Part;
use crate::postgres::database::Parameter;
use crate::postgres::row::event_columns;
use crate::postgres::statement_failure;

const SCAN: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM order_service.events e WHERE e.position > $1 AND e.position <= $2 \
     AND (hashtextextended(e.order_id, 0) & 9223372036854775807) % $4 = $3 ORDER BY e.position"
);

/// A row of the log.
pub(super) enum Scanned {
    Row(Row),
    /// The server cannot read the row at this position.
    Unreadable(i64, Error),
}

/// Reads a part of the log in one snapshot.
pub(super) struct LogScan<'a> {
    snapshot: &'a Transaction<'a>,
    part: Part,
    rows: Option<Pin<Box<RowStream>>>,
    last: i64,
}

impl<'a> LogScan<'a> {
    pub(super) fn new(snapshot: &'a Transaction<'a>, part: Part) -> Self {
        Self { snapshot, part, rows: None, last: 0 }
    }

    /// The next row. Where the server fails, it is asked for one position after the other until it goes on.
    pub(super) async fn next(&mut self) -> Result<Option<Scanned>, Error> {
        while self.last < self.part.end {
            match self.step().await {
                Ok(Some(row)) => return self.take(row).map(Some),
                Ok(None) => self.last = self.part.end,
                Err(error) if is_about_rows(&error) => {
                    if let Some(scanned) = self.look_at_next().await? {
                        return Ok(Some(scanned));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Option<Row>, Error> {
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => Box::pin(self.read(self.part.end).await?),
        };
        let row = rows.try_next().await?;
        self.rows = Some(rows);
        Ok(row)
    }

    async fn look_at_next(&mut self) -> Result<Option<Scanned>, Error> {
        go_on(self.snapshot).await?;
        let position = self.last + 1;
        let row = match self.read(position).await {
            Ok(rows) => Box::pin(rows).try_next().await,
            Err(error) => Err(error),
        };
        self.last = position;
        match row {
            Ok(row) => row.map(|row| self.take(row)).transpose(),
            Err(error) if is_about_rows(&error) => {
                go_on(self.snapshot).await?;
                Ok(Some(Scanned::Unreadable(position, error)))
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, row: Row) -> Result<Scanned, Error> {
        self.last = row.try_get(0)?;
        Ok(Scanned::Row(row))
    }

    async fn read(&self, up_to: i64) -> Result<RowStream, Error> {
        self.snapshot.batch_execute(SAVEPOINT).await?;
        let parameters: [Parameter<'_>; 4] = [
            (&self.last, Type::INT8),
            (&up_to, Type::INT8),
            (&self.part.number, Type::INT8),
            (&self.part.of, Type::INT8),
        ];
        self.snapshot.query_typed_raw(SCAN, parameters).await
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
