//! Why a connection did not come about, or a statement failed, in words for whoever starts the service: what was said, whether
//! it may pass by itself, and what can be done about it.

use std::error::Error as _;
use std::io;

use order_application::error_chain;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::address::PostgresAddress;

/// What the server, or the way to it, has against what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct ServerFailure {
    said: String,
    /// The server is away, starts, stops, or is full: another attempt may go well.
    pub(crate) is_away: bool,
    next_step: Option<NextStep>,
}

/// What somebody can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextStep {
    MakeDatabase,
    MayConnect,
    LetIn,
    MayLogIn,
    AllowWrites,
    MoreConnections,
    GivePassword,
    CorrectPassword,
    GrantRights,
}

impl ServerFailure {
    /// That nobody answers.
    pub(crate) fn away(said: impl Into<String>) -> Self {
        Self { said: said.into(), is_away: true, next_step: None }
    }

    /// What no other attempt changes.
    pub(crate) fn for_good(said: impl Into<String>) -> Self {
        Self { said: said.into(), is_away: false, next_step: None }
    }

    /// What came of a connection that was asked for.
    pub(crate) fn of_connecting(error: &Error) -> Self {
        let next_step = match error.code() {
            Some(state) => step_into_the_server(state, error),
            None if is_password_missing(error) => Some(NextStep::GivePassword),
            None => takes_no_writes(error).then_some(NextStep::AllowWrites),
        };
        Self { said: error_chain(error), is_away: is_away(error), next_step }
    }

    /// What came of a statement.
    pub(crate) fn of_statement(error: &Error) -> Self {
        let lacks_rights = error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
        let next_step = lacks_rights.then_some(NextStep::GrantRights);
        Self { said: error_chain(error), is_away: is_away(error), next_step }
    }

    /// What was said, and what can be done.
    pub(super) fn told(&self, at: &PostgresAddress) -> String {
        self.next_step(at)
            .map_or_else(|| self.said.clone(), |next_step| format!("{}; {next_step}", self.said))
    }

    /// What can be done, at this database.
    pub(crate) fn next_step(&self, at: &PostgresAddress) -> Option<String> {
        let PostgresAddress { database, user, .. } = at;
        Some(match self.next_step? {
            NextStep::MakeDatabase => format!("make it with `createdb {} {database}`", at.as_options()),
            NextStep::MayConnect => format!("an owner can `GRANT CONNECT ON DATABASE {database} TO {user}`"),
            NextStep::LetIn => format!("let {user} in by a line in the server's pg_hba.conf"),
            NextStep::MayLogIn => format!(
                "let it log in with `ALTER ROLE {user} LOGIN`, or make it with `CREATE ROLE {user} LOGIN` if it is not there"
            ),
            NextStep::AllowWrites => format!(
                "it is a standby, which may be promoted, or transactions are read-only by default: `ALTER ROLE {user} SET \
                 default_transaction_read_only = off`"
            ),
            NextStep::MoreConnections => "an instance takes two more than --postgres-connections says (10 by default): lower \
                                          that, or raise max_connections, or the CONNECTION LIMIT of the role or database"
                .to_owned(),
            NextStep::GivePassword => {
                "give it in the URL, in PGPASSWORD, or in a password file (PGPASSFILE, ~/.pgpass)".to_owned()
            }
            NextStep::CorrectPassword => {
                "check the user and the password (of the URL, PGPASSWORD or the password file); in a URL, @ is written \
                 %40 and % is %25"
                    .to_owned()
            }
            NextStep::GrantRights => format!(
                "run `order-service migrate` as the database's owner (or what you ran, if that was `restore` or `copy`), and \
                 grant {user} the rights that docs/operations/postgresql.md lists (A user who may not make tables)"
            ),
        })
    }
}

/// What to do when the server answers a connection with this.
fn step_into_the_server(state: &SqlState, error: &Error) -> Option<NextStep> {
    if *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION && is_about_the_role(error) {
        return Some(NextStep::MayLogIn);
    }
    let steps = [
        (SqlState::INVALID_CATALOG_NAME, NextStep::MakeDatabase),
        (SqlState::INSUFFICIENT_PRIVILEGE, NextStep::MayConnect),
        (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, NextStep::LetIn),
        (SqlState::INVALID_PASSWORD, NextStep::CorrectPassword),
        (SqlState::TOO_MANY_CONNECTIONS, NextStep::MoreConnections),
    ];
    steps.into_iter().find_map(|(known, step)| (known == *state).then_some(step))
}

/// Whether it passes when the server, or the way to it, is there again. Told by SQLSTATE where the server has answered.
fn is_away(error: &Error) -> bool {
    let Some(state) = error.code() else { return error.is_closed() || is_io(error) };
    // The connection failed; an operator ended it, or the server starts or stops; all connections are taken; it is a standby.
    ["08", "57P"].iter().any(|class| state.code().starts_with(class))
        || *state == SqlState::TOO_MANY_CONNECTIONS
        || *state == SqlState::READ_ONLY_SQL_TRANSACTION
}

/// Whether the network failed, and not TLS or another protocol than PostgreSQL's, which make I/O errors of other kinds.
fn is_io(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        !matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
    })
}

/// Whether the server has let the user in and then found that there is no such role, or that it may not log in. Its code is
/// that of `pg_hba.conf`; where in the server it was said tells, in every language.
fn is_about_the_role(error: &Error) -> bool {
    error.as_db_error().and_then(|said| said.routine()) == Some("InitializeSessionUserId")
}

/// Whether the server answers, and takes no writes. The driver looks at that, and has no code for it.
fn takes_no_writes(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
}

/// The driver has no code for it, only these words.
fn is_password_missing(error: &Error) -> bool {
    error.source().is_some_and(|cause| cause.to_string() == "password missing")
}
