//! What an error of the database means for what was asked of it. Told by SQLSTATE, never by the words of a message.

use order_application::{StoreError, error_chain};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// What became of a statement that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatementFailure {
    /// Nothing happened, and it may go well the next time.
    #[error("{0}")]
    NothingHappened(String),
    /// It may have happened: the connection ended, or nobody answered in time.
    #[error("{0}")]
    Unknown(String),
    /// Nothing happened: a table, a function or an index is not there that the statement needs. What that means, the
    /// database's migrations say.
    #[error("{0}")]
    Missing(String),
    /// Nothing happened, and the next time will be no better.
    #[error(transparent)]
    Refused(StoreError),
}

impl StatementFailure {
    /// Reads an error that came for a statement that was sent.
    pub(super) fn of(error: &Error) -> Self {
        let why = error_chain(error);
        // Without an answer of the server's there is no telling.
        let Some(state) = error.code() else { return Self::Unknown(why) };
        match state.code() {
            // A pooler lost its server (PgBouncer's 08P01): as if the connection had ended.
            code if code.starts_with("08") => Self::Unknown(why),
            // The server or somebody at it ends the connection: perhaps after the commit, while it waited for a standby.
            "25P03" | "25P04" | "40003" | "57P01" | "57P02" | "57P04" | "57P05" => Self::Unknown(why),
            // A function, table, column, schema, or an index that a statement names by its columns.
            "42883" | "42P01" | "42703" | "3F000" | "42P10" => Self::Missing(why),
            "53100" => Self::Refused(StoreError::StorageFull),
            _ if is_about_rows(state) => Self::Refused(StoreError::Corrupt(why)),
            _ if is_transient(state) => Self::NothingHappened(why),
            _ => Self::Refused(StoreError::Unavailable(why)),
        }
    }

    /// As an answer to a read, or to a command that was never sent.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::NothingHappened(why) | Self::Unknown(why) | Self::Missing(why) => {
                StoreError::Unavailable(why)
            }
            Self::Refused(error) => error,
        }
    }
}

/// What an answer means that is not of the type that was asked for.
pub(super) fn unreadable(error: &Error) -> StoreError {
    StoreError::Corrupt(error_chain(error))
}

/// States that pass by themselves.
fn is_transient(state: &SqlState) -> bool {
    // Insufficient resources; operator intervention; transaction rollback.
    let classes = ["53", "57", "40"];
    let code = state.code();
    classes.iter().any(|class| code.starts_with(class))
        // A standby, or a primary that has just become one: the next connection finds the right server.
        || *state == SqlState::READ_ONLY_SQL_TRANSACTION
        || *state == SqlState::LOCK_NOT_AVAILABLE
        // An index holds what the functions' own checks should have caught. Whatever was in the way is there to be seen now.
        || *state == SqlState::UNIQUE_VIOLATION
}

/// Whether the server says that a row cannot be read (its page is damaged, cannot be had from the disk, or holds no text),
/// and not that it cannot go on.
pub(super) fn is_about_rows(state: &SqlState) -> bool {
    ["XX", "22", "58"].iter().any(|class| state.code().starts_with(class))
}
