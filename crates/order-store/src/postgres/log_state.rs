//! What a database says of itself: its schema, which log it has, and whether that may be served.

use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::objects::Objects;
use super::servers::Object;
use super::{PostgresFault, refused, schema};

/// The row of `order_service.log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogState {
    /// What tells this log from every other.
    pub(super) identity: Uuid,
    /// `copy` has not finished.
    pub(super) copying: bool,
    /// The log that this one is a copy of, or was when the copying ended.
    pub(super) copied_from: Option<Uuid>,
    /// The newest projection that has made views; 0: nobody has opened the store yet, and there are none.
    pub(super) projection: i32,
}

/// For whoever does not migrate: the row of a store whose schema is one that this release runs with, and not older than
/// it, and that is no unfinished copy.
pub(super) async fn state_of_finished(connection: &Object) -> Result<LogState, PostgresFault> {
    let (found, known) = (schema::find(connection).await?, schema::known());
    if found == 0 {
        return Err(PostgresFault::NoStore);
    }
    if found < known {
        return Err(PostgresFault::Older { found, known });
    }
    Objects::look(connection).await?.refuse_incomplete()?;
    let state = log_state(connection).await?;
    if state.copying { Err(PostgresFault::Copying) } else { Ok(state) }
}

/// The row, of a database whose schema is right.
pub(super) async fn log_state(connection: &Object) -> Result<LogState, PostgresFault> {
    let row = "SELECT identity, state = 'copying', copied_from, projection FROM order_service.log";
    let row = connection.query_typed_opt(row, &[]).await.map_err(refused("be read"))?;
    let row = row.ok_or_else(|| PostgresFault::NotWhole("order_service.log has no row".to_owned()))?;
    let read = |row: Row| -> Result<LogState, Error> {
        Ok(LogState {
            identity: row.try_get(0)?,
            copying: row.try_get(1)?,
            copied_from: row.try_get(2)?,
            projection: row.try_get(3)?,
        })
    };
    read(row).map_err(refused("be read"))
}
