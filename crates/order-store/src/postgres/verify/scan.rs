//! The log's rows in order, past those that the server itself cannot read.

use std::pin::Pin;

use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, RowStream, Transaction};

use crate::postgres::statement_failure;

/// A row of the log.
pub(super) enum Scanned {
    Row(Row),
    /// The server cannot read the row at this position.
    Unreadable(i64, Error),
}

/// Reads a part of the log in one snapshot.
pub(super) struct LogScan<'a> {
    snapshot: &'a Transaction<'a>,
    /// Its first two parameters are the position after which it begins, and the one up to which it goes.
    sql: &'static str,
    more: Vec<i64>,
    rows: Option<Pin<Box<RowStream>>>,
    last: i64,
    end: i64,
}

impl<'a> LogScan<'a> {
    pub(super) fn new(snapshot: &'a Transaction<'a>, sql: &'static str, more: Vec<i64>, end: i64) -> Self {
        Self { snapshot, sql, more, rows: None, last: 0, end }
    }

    /// The next row. Where the server fails, it is asked for one position after the other until it goes on.
    pub(super) async fn next(&mut self) -> Result<Option<Scanned>, Error> {
        while self.last < self.end {
            match self.step().await {
                Ok(Some(row)) => return self.take(row).map(Some),
                Ok(None) => self.last = self.end,
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
            None => Box::pin(self.read(self.end).await?),
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
        let numbers = [self.last, up_to].into_iter().chain(self.more.iter().copied()).collect::<Vec<_>>();
        let parameters = numbers.iter().map(|number| (number as &(dyn ToSql + Sync), Type::INT8));
        self.snapshot.query_typed_raw(self.sql, parameters.collect::<Vec<_>>()).await
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
