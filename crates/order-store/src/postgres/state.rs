//! What a database says of itself: its schema, which log it has, and whether that may be served.

use std::cmp::Ordering;

use deadpool_postgres::Object;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::schema::{self, Schema};
use super::{PostgresError, projection, refused};

/// The row of `order_service.log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogState {
    /// What tells this log from every other.
    pub(super) identity: Uuid,
    /// `copy` has not finished.
    pub(super) copying: bool,
    /// The log that this one is a copy of, or was when the copying ended.
    pub(super) copied_from: Option<Uuid>,
    /// Which projection has made the views.
    pub(super) views: ViewsOf,
}

/// Which projection has made a database's views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ViewsOf {
    /// This release's, as far as there are any.
    This,
    /// An earlier one, some of them.
    Earlier,
    /// A newer one, some of them.
    Newer,
}

impl ViewsOf {
    fn of(made_by: i32, some_are_outdated: bool) -> Self {
        match made_by.cmp(&projection()) {
            Ordering::Greater => Self::Newer,
            // 0: nobody has opened the store yet, and there are none.
            Ordering::Less if made_by > 0 => Self::Earlier,
            Ordering::Equal | Ordering::Less if some_are_outdated => Self::Earlier,
            Ordering::Equal | Ordering::Less => Self::This,
        }
    }
}

/// The schema, unless it is one that only newer releases run with.
pub(super) async fn find_schema(connection: &Object) -> Result<Schema, PostgresError> {
    let found = schema::find(connection).await.map_err(refused("tell its schema"))?;
    let known = schema::known();
    if found.oldest_compatible > known {
        let needed = found.oldest_compatible;
        return Err(PostgresError::Newer { found: found.version, needed, known });
    }
    Ok(found)
}

/// For whoever does not migrate: the schema is one that this release runs with, and not older than it.
pub(super) async fn check_schema(connection: &Object) -> Result<(), PostgresError> {
    let (found, known) = (find_schema(connection).await?.version, schema::known());
    match found {
        0 => Err(PostgresError::NoStore),
        found if found < known => Err(PostgresError::Older { found, known }),
        _ => Ok(()),
    }
}

/// The row, of a database whose schema is right.
pub(super) async fn log_state(connection: &Object) -> Result<LogState, PostgresError> {
    let row = "SELECT identity, state = 'copying', copied_from, projection, outdated_from IS NOT NULL \
               FROM order_service.log";
    let row = connection.query_typed_one(row, &[]).await.map_err(refused("be read"))?;
    let read = |row: Row| -> Result<LogState, Error> {
        Ok(LogState {
            identity: row.try_get(0)?,
            copying: row.try_get(1)?,
            copied_from: row.try_get(2)?,
            views: ViewsOf::of(row.try_get(3)?, row.try_get(4)?),
        })
    };
    read(row).map_err(refused("be read"))
}
