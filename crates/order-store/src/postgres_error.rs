//! Why a PostgreSQL database cannot be used.

use std::fmt;

use crate::postgres::{PostgresAddress, PostgresLoss, ServerFailure};

/// A database that cannot be used: which one, and why. One line for whoever starts the service, with what to do next where
/// that is known.
#[derive(Debug)]
pub struct PostgresError {
    /// Which one; `None` if its URL is none.
    pub address: Option<Box<PostgresAddress>>,
    /// Why.
    pub fault: PostgresFault,
}

impl PostgresError {
    /// Whether the server is away, starts, stops or is full, so that another attempt may go well.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.fault.by_server().is_some_and(|failure| failure.is_away)
    }
}

impl std::error::Error for PostgresError {}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, fault } = self;
        let Some(address) = address else { return fault.fmt(f) };
        write!(f, "PostgreSQL at {address}: {fault}")?;
        match fault.by_server().and_then(|failure| failure.next_step(address)) {
            Some(next_step) => write!(f, "; {next_step}"),
            None => Ok(()),
        }
    }
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresFault {
    /// The URL is not one.
    #[error("{0}")]
    Url(String),
    /// No connection, or not with this user, password, database, certificate.
    #[error("cannot connect: {0}")]
    Connect(ServerFailure),
    /// The server refused a statement, did not answer, or answered what cannot be.
    #[error("it cannot {doing}: {why}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What the server says, or what is wrong with its answer.
        why: ServerFailure,
    },
    /// Too old.
    #[error("this is PostgreSQL {0}; 15 or newer is needed")]
    TooOld(String),
    /// Text of some orders could not be kept.
    #[error(
        "the database's encoding is {encoding}; UTF8 is needed: make another database with \
         `createdb {options} -E UTF8 -T template0 NAME`"
    )]
    Encoding {
        /// What it is.
        encoding: String,
        /// By which `createdb` finds the server.
        options: String,
    },
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
    /// The server ends statements that take longer. Of an append that waits for a standby nobody knows then what it is worth.
    #[error(
        "{setting} is {value}: it would cut off statements of the service, such as one that waits for a standby; \
         `ALTER ROLE {user} SET {setting} = 0` switches it off for the service alone"
    )]
    Timeout {
        /// Which setting.
        setting: String,
        /// What it is.
        value: String,
        /// Whose sessions it is for.
        user: String,
    },
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
    /// Something knows of acknowledged events that the log does not have.
    #[error(
        "acknowledged events are missing: {}. Nothing was changed. Dump the database as it is first; \
         docs/operations/postgresql.md (When the database has lost something) says what has most likely happened. Then \
         restore a whole backup into another database. Or, if that is not to be had, let `order-service serve --accept-loss` \
         go on with what is there",
        .0.iter().map(PostgresLoss::to_string).collect::<Vec<_>>().join("; ")
    )]
    Lost(Vec<PostgresLoss>),
    /// A schema of that name is there, and none of its tables is one of the service's.
    #[error(
        "the schema order_service there is not this service's (it has {}): name another database, such as one that \
         `createdb` makes",
        .0.join(", ")
    )]
    ForeignSchema(Vec<String>),
    /// Something that the service has made is not there.
    #[error(
        "the database has no whole order store: {0}. A restore is under way or has failed, or somebody has removed it: restore \
         all of it into an empty database (docs/operations/postgresql.md, Backups of PostgreSQL itself)"
    )]
    NotWhole(String),
    /// What is written would not be what is stored, or not all of it would be seen.
    #[error(
        "{} is in the way: what the service writes might not be stored, or not be seen; the tables' owner can remove it: {}",
        what.join(", "),
        told_statements(statements)
    )]
    Interference {
        /// What is in the way.
        what: Vec<String>,
        /// The statements that remove it.
        statements: Vec<String>,
    },
    /// The user may not do all that serving takes.
    #[error("the service's user lacks rights; the tables' owner can grant them: {}", told_statements(.0))]
    MissingRights(Vec<String>),
    /// Databases are made from it.
    #[error(
        "the database {0} is a template, and each database that is made from it would have the orders in it: name another, such \
         as one that `createdb` makes"
    )]
    Template(String),
    /// Nobody has made a store there.
    #[error(
        "the database has no order store; `order-service migrate` makes one, and so does the first `serve` without \
         --existing-store"
    )]
    NoStore,
    /// A copy empties tables before it fills them, which takes more rights than to serve.
    #[error("{user} may not empty the tables that a copy fills; run `copy` as {owner}, who owns them")]
    MayNotCopy {
        /// Who is connected.
        user: String,
        /// Who may.
        owner: String,
    },
    /// The views are being rebuilt already.
    #[error("another process is rebuilding the views; wait until it is done, /ready of the instances tells")]
    ViewsBusy,
    /// `copy` has not finished.
    #[error(
        "the store is the target of an unfinished copy or restore; run the same command again, it goes on where it stopped. \
         To give it up: docs/operations/postgresql.md, An unfinished copy or restore"
    )]
    Copying,
    /// Somebody serves from the target of a copy.
    #[error(
        "somebody serves from it: the lease {lease:?} is being renewed{}. Nothing was changed. Stop all instances of that \
         database, and whatever starts them again; or name another database",
        told_connections(connected)
    )]
    Served {
        /// What is renewed.
        lease: String,
        /// Who is connected, for people.
        connected: Vec<String>,
    },
}

impl PostgresFault {
    /// It, in this database.
    pub(crate) fn at(self, address: &PostgresAddress) -> PostgresError {
        PostgresError { address: Some(Box::new(address.clone())), fault: self }
    }

    /// It, of a URL that names no database.
    pub(crate) fn of_url(why: String) -> PostgresError {
        PostgresError { address: None, fault: Self::Url(why) }
    }

    /// What the server, or the way to it, said.
    fn by_server(&self) -> Option<&ServerFailure> {
        match self {
            Self::Connect(failure) | Self::Refused { why: failure, .. } => Some(failure),
            Self::Url(_)
            | Self::TooOld(_)
            | Self::Encoding { .. }
            | Self::Unsafe(_)
            | Self::Isolation(_)
            | Self::Timeout { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Lost(_)
            | Self::ForeignSchema(_)
            | Self::NotWhole(_)
            | Self::Interference { .. }
            | Self::MissingRights(_)
            | Self::Template(_)
            | Self::NoStore
            | Self::MayNotCopy { .. }
            | Self::ViewsBusy
            | Self::Copying
            | Self::Served { .. } => None,
        }
    }
}

fn told_connections(connected: &[String]) -> String {
    if connected.is_empty() { String::new() } else { format!(", and connected are {}", connected.join(", ")) }
}

fn told_statements(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("`{statement}`")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn refused(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> PostgresFault {
    move |error| PostgresFault::Refused { doing, why: ServerFailure::of_statement(&error) }
}
