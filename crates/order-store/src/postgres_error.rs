//! Why a PostgreSQL database cannot be used.

use order_application::error_chain;

/// Why a database cannot be used. Each is one line for whoever starts the service.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The URL is not one.
    #[error("{0}")]
    Url(String),
    /// No connection, or not with this user, password, database, certificate.
    #[error("cannot connect to PostgreSQL: {0}")]
    Connect(String),
    /// The server refused a statement, did not answer, or answered what cannot be.
    #[error("PostgreSQL cannot {doing}: {why}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What the server says, or what is wrong with its answer.
        why: String,
    },
    /// Too old.
    #[error("this is PostgreSQL {0}; 15 or newer is needed")]
    TooOld(String),
    /// The server has a setting by which it loses what it acknowledged.
    #[error(
        "the server is set to {0}, and so loses acknowledged orders when it crashes; \
         set it to on, or start with --allow-unsafe-durability"
    )]
    Unsafe(String),
    /// Appends rely on statements that see what was committed before each of them.
    #[error(
        "default_transaction_isolation is {0:?}; the service needs \"read committed\" \
         (ALTER ROLE … SET default_transaction_isolation = 'read committed')"
    )]
    Isolation(String),
    /// A newer release has migrated the database, to what this one cannot run with.
    #[error(
        "the store has schema version {found}, which only releases can use that know version {needed}, and this one \
         knows up to {known}; use a newer release"
    )]
    Newer {
        /// What is there.
        found: i64,
        /// What a release has to know.
        needed: i64,
        /// What this release knows.
        known: i64,
    },
    /// An older release has made the schema, and whoever only reads does not change it.
    #[error(
        "the store has schema version {found}, and this release needs {known}; run `order-service migrate` first"
    )]
    Older {
        /// What is there.
        found: i64,
        /// What this release knows.
        known: i64,
    },
    /// Nobody has made a store there.
    #[error("the database has no order store")]
    NoStore,
    /// The views are being rebuilt already.
    #[error("another process is rebuilding the views; wait until it is done, /ready of the instances tells")]
    ViewsBusy,
    /// `copy` has not finished.
    #[error(
        "the store is the target of an unfinished copy; run the same copy again, it goes on where it stopped"
    )]
    Copying,
}

pub(crate) fn refused(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> PostgresError {
    move |error| PostgresError::Refused { doing, why: error_chain(&error) }
}
