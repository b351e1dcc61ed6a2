//! Why a database cannot be used.

/// Why a database cannot be used. Each is one line for whoever starts the service.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The URL is not one.
    #[error("{0}")]
    Url(String),
    /// No connection, or not with this user, password, database, certificate.
    #[error("cannot connect to PostgreSQL: {0}")]
    Connect(String),
    /// The server refused a statement.
    #[error("PostgreSQL refuses to {doing}: {why}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What the server says.
        why: String,
    },
    /// Too old.
    #[error("this is PostgreSQL {found}; 15 or newer is needed")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The server's settings make it lose what it acknowledged.
    #[error(
        "the server is set to {setting}, and so loses acknowledged orders when it crashes; \
         set it to on, or start with --allow-unsafe-durability"
    )]
    Unsafe {
        /// The setting with its value.
        setting: String,
    },
    /// Appends rely on statements that see what was committed before each of them.
    #[error(
        "default_transaction_isolation is {found:?}; the service needs \"read committed\" \
         (ALTER ROLE … SET default_transaction_isolation = 'read committed')"
    )]
    Isolation {
        /// What it is.
        found: String,
    },
    /// A newer release has migrated the database, to what this one cannot run with.
    #[error(
        "the store has schema version {found}, with which releases run that know version {needed} or later, and this \
         one knows up to {known}; use a newer release"
    )]
    Newer {
        /// What is there.
        found: usize,
        /// What a release has to know.
        needed: usize,
        /// What this release knows.
        known: usize,
    },
    /// An older release has made the schema, and whoever only reads does not change it.
    #[error(
        "the store has schema version {found}, and this release needs {known}; run `order-service migrate` first"
    )]
    Older {
        /// What is there.
        found: usize,
        /// What this release knows.
        known: usize,
    },
    /// Nobody has made a store there.
    #[error("the database has no order store")]
    NoStore,
    /// The views are being made anew already.
    #[error("another process makes the views anew; wait until it is done, /ready of the instances tells")]
    ViewsBusy,
    /// A copy takes views as they are.
    #[error("an earlier release made views of the store; run `order-service rebuild` first")]
    EarlierViews,
    /// The same.
    #[error("a newer release made views of the store; copy it with that one")]
    NewerViews,
    /// `copy` has not finished.
    #[error(
        "the store is the target of an unfinished copy; run the same copy again, it goes on where it stopped"
    )]
    Copying,
}

pub(super) fn refused(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> PostgresError {
    move |error| PostgresError::Refused { doing, why: order_application::error_chain(&error) }
}
