//! Stores by where they are: which of them is opened for a copy.

use std::path::PathBuf;

use order_application::PageLimit;

use crate::copy::{self, CopyError, CopyReport, CopyStep, SideError, Source, Target};
use crate::postgres::{PostgresSource, PostgresTarget};
use crate::sqlite::{SqliteSource, SqliteTarget};

/// A store that can be copied from or to, or read from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// The log's file.
    Sqlite(PathBuf),
    /// The database's URL.
    Postgres(String),
}

/// Copies a store, or the rest of it. Dropping the future stops it; the next run goes on. To be called on a tokio runtime
/// that has nothing else to do: SQLite is used on the caller's thread.
///
/// # Errors
/// See [`CopyError`]. Faults that the check of the target finds are in the report.
pub async fn copy(
    from: &StoreLocation,
    to: &StoreLocation,
    chunk: PageLimit,
    progress: &mut (dyn FnMut(CopyStep, u64, u64) + Send),
) -> Result<CopyReport, CopyError> {
    if same_file(from, to) {
        return Err(CopyError::SameStore);
    }
    let source = open_source(from).await.map_err(CopyError::Source)?;
    let mut target = open_target(to).await.map_err(CopyError::Target)?;
    copy::run(&*source, &mut *target, chunk, progress).await
}

/// Told beforehand: the second lock on the same file would only say that somebody has the first.
fn same_file(from: &StoreLocation, to: &StoreLocation) -> bool {
    match (from, to) {
        (StoreLocation::Sqlite(from), StoreLocation::Sqlite(to)) => {
            from == to || matches!((from.canonicalize(), to.canonicalize()), (Ok(from), Ok(to)) if from == to)
        }
        // Databases have many names. Their logs' identities tell.
        (StoreLocation::Sqlite(_) | StoreLocation::Postgres(_), _) => false,
    }
}

async fn open_source(location: &StoreLocation) -> Result<Box<dyn Source>, SideError> {
    Ok(match location {
        StoreLocation::Sqlite(path) => Box::new(SqliteSource::open(path).await?),
        StoreLocation::Postgres(url) => Box::new(PostgresSource::open(url).await?),
    })
}

/// Opens a store to be made, or made further.
pub(crate) async fn open_target(location: &StoreLocation) -> Result<Box<dyn Target>, SideError> {
    Ok(match location {
        StoreLocation::Sqlite(path) => Box::new(SqliteTarget::open(path)?),
        StoreLocation::Postgres(url) => Box::new(PostgresTarget::open(url).await?),
    })
}
