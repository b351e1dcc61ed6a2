//! Connections: pools of them, with limits and deadlines, that come back by themselves after an outage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Pool, PoolError, TimeoutType, Timeouts};
use order_application::figures::{Counter, PoolFigures};
use order_application::{Backoff, StoreError, error_chain};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{FromSqlOwned, ToSql, Type};
use tokio_postgres::{Error, Row};

use super::address::PostgresAddress;
use super::history::History;
use super::schema;
use super::server_failure::ServerFailure;
use super::servers::{NotConnected, Object, Servers};
use super::statement_failure::{StatementFailure, unreadable};
use super::tls;
use super::url::DatabaseUrl;
use crate::postgres_error::{PostgresError, PostgresFault};

/// What it means that something is not there which a statement needs: a newer release has taken it away, if the migrations
/// say so.
async fn why_missing(connection: &Object, why: String, deadline: Instant) -> StatementFailure {
    let found = timeout_at(deadline, schema::find_newest(connection)).await;
    StatementFailure::Refused(match found {
        Ok(Ok((_, needed))) if needed > schema::known() => StoreError::NewerRelease(why),
        _ => StoreError::Unavailable(format!("the database has no whole order store: {why}")),
    })
}

/// The waits between attempts.
pub(super) const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

/// What is said of a database that is connected to and says nothing.
const SILENT: &str = "the database does not answer";

/// A parameter with its type. Statements are not prepared by name: such a name belongs to one connection to the server,
/// which a pooler in transaction mode gives to somebody else in the next moment. Hot statements live in functions,
/// whose plans each connection to the server keeps.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// For a transaction that takes its time: no deadline that somebody has set for others. The one for whole transactions came
/// with PostgreSQL 17, and servers before it refuse its name.
pub(super) const NO_DEADLINES: &str = "\
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'";

/// A pool of connections.
pub(super) struct Database {
    pool: Pool<Servers>,
    runtime: Handle,
    deadline: Duration,
    presence: Arc<Presence>,
    /// What the database is expected to be. Each connection is asked before it is used.
    history: Arc<History>,
    address: PostgresAddress,
    /// How often somebody waited for a connection in vain.
    refused: Counter,
}

/// Why there is no connection.
enum NoConnection {
    /// Others have all that there may be.
    Busy,
    /// Nobody answers.
    Silent,
    /// The server, or the way to it, says why.
    Refused(Error),
    /// The pool says why, or what is behind the connection is not used.
    Other(String),
}

impl std::fmt::Display for NoConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("all connections are in use"),
            Self::Silent => f.write_str(SILENT),
            // What the pool would say around it ("while creating a new object") helps nobody.
            Self::Refused(error) => f.write_str(&error_chain(error)),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl From<PoolError<NotConnected>> for NoConnection {
    fn from(error: PoolError<NotConnected>) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Busy,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => Self::Silent,
            PoolError::Backend(NotConnected::ByServer(error)) => Self::Refused(error),
            PoolError::Backend(NotConnected::Refused(why)) => Self::Other(why),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Other(error_chain(&error))
            }
        }
    }
}

/// Whether the database was there when it was last needed, so that an outage is told once, and its end.
#[derive(Default)]
pub(super) struct Presence {
    /// Before that there is no outage: who starts the service is told why it does not start.
    found: AtomicBool,
    away: AtomicBool,
}

impl Presence {
    fn seen(&self) {
        if !self.found.load(Ordering::Relaxed) {
            self.found.store(true, Ordering::Relaxed);
        }
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("the database is back");
        }
    }

    fn missed(&self, why: &str, address: &PostgresAddress) {
        if self.found.load(Ordering::Relaxed) && !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(database = %address, why, "the database is away; commands are refused until it is back");
        }
    }
}

impl Database {
    /// A pool for one URL.
    pub(super) fn open(url: &str, connections: usize, deadline: Duration) -> Result<Self, PostgresError> {
        let url = DatabaseUrl::parse(url).map_err(PostgresFault::of_url)?;
        Self::new(&url, connections, deadline, &Arc::default(), &Arc::default())
    }

    /// Opens nothing yet. To be called on the runtime that its connections are to live on. Outages are told once for all
    /// pools that share `presence`, and what one of them finds of the log's `history` holds for all.
    pub(super) fn new(
        url: &DatabaseUrl,
        connections: usize,
        deadline: Duration,
        presence: &Arc<Presence>,
        history: &Arc<History>,
    ) -> Result<Self, PostgresError> {
        let unusable = |why| PostgresFault::Url(why).at(&url.address);
        let tls = tls::connector(url.verify.as_ref()).map_err(unusable)?;
        let servers = Servers::new(url, tls, history);
        let timeouts = Timeouts { wait: Some(deadline), create: Some(deadline), recycle: Some(deadline) };
        let pool = Pool::builder(servers).max_size(connections).runtime(Runtime::Tokio1).timeouts(timeouts);
        let pool = pool.build().map_err(|error| unusable(error_chain(&error)))?;
        let (presence, history) = (Arc::clone(presence), Arc::clone(history));
        let (runtime, refused, address) = (Handle::current(), Counter::default(), url.address.clone());
        Ok(Self { pool, runtime, deadline, presence, history, address, refused })
    }

    /// Which it is, for people.
    pub(super) fn address(&self) -> &PostgresAddress {
        &self.address
    }

    /// What is known of its log.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// Whether the URL names others than the one that is served from.
    pub(super) fn has_several_servers(&self) -> bool {
        self.pool.manager().are_several()
    }

    /// Asks those whether one of them has taken over.
    pub(super) async fn look_at_others(&self) {
        self.pool.manager().look_at_others().await;
    }

    /// Whether there is a connection that nobody uses, or room for one.
    pub(super) fn has_idle(&self) -> bool {
        let pool = self.pool.status();
        pool.available > 0 || pool.size < pool.max_size
    }

    /// Whether nobody answered when it was last needed, which is told already.
    pub(super) fn is_away(&self) -> bool {
        self.presence.away.load(Ordering::Relaxed)
    }

    /// A connection for whoever begins to use the database, or why there is none, in more words than serving needs.
    pub(super) async fn connect(&self) -> Result<Object, PostgresFault> {
        let no_connection = match self.get().await {
            Ok(connection) => {
                self.presence.seen();
                return Ok(connection);
            }
            Err(no_connection) => no_connection,
        };
        Err(PostgresFault::Connect(match no_connection {
            NoConnection::Refused(error) => ServerFailure::of_connecting(&error),
            busy @ (NoConnection::Busy | NoConnection::Silent) => ServerFailure::away(busy.to_string()),
            NoConnection::Other(why) => ServerFailure::for_good(why),
        }))
    }

    /// How its connections are used.
    pub(super) fn figures(&self) -> PoolFigures {
        let pool = self.pool.status();
        let idle = pool.available.min(pool.size);
        PoolFigures {
            in_use: pool.size - idle,
            idle,
            waiting: pool.waiting,
            max: pool.max_size,
            refused: self.refused.now(),
        }
    }

    /// Others have all connections.
    fn all_in_use(&self) -> StatementFailure {
        self.refused.add_one();
        StatementFailure::Refused(StoreError::Overloaded)
    }

    /// A connection, the next best that works.
    pub(super) async fn connection(&self) -> Result<Object, StatementFailure> {
        let why = match self.get().await {
            Ok(connection) => {
                self.presence.seen();
                return Ok(connection);
            }
            Err(NoConnection::Busy) => return Err(self.all_in_use()),
            Err(NoConnection::Refused(error)) => ServerFailure::of_connecting(&error).told(&self.address),
            Err(why @ (NoConnection::Silent | NoConnection::Other(_))) => why.to_string(),
        };
        // It is there, and whoever waits for a better one waits long. Somebody has been told.
        if let Some(why) = self.history.refused() {
            return Err(StatementFailure::Refused(StoreError::Unavailable(why)));
        }
        self.presence.missed(&why, &self.address);
        Err(StatementFailure::NothingHappened(why))
    }

    /// Connects on the runtime that the store was opened on, whoever asks: a connection ends with the runtime that it was made on.
    async fn get(&self) -> Result<Object, NoConnection> {
        if Handle::current().id() == self.runtime.id() {
            return Ok(self.pool.get().await?);
        }
        let pool = self.pool.clone();
        let got = self.runtime.spawn(async move { pool.get().await });
        Ok(got.await.unwrap_or(Err(PoolError::Closed))?)
    }

    /// Asks a question, again if the connection was lost, until the deadline.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let query = |connection: Arc<Object>| async move { connection.query_typed(sql, parameters).await };
        self.retry(self.deadline, query).await
    }

    /// The same, for an answer of one row and one column.
    pub(super) async fn query_value<T: FromSqlOwned>(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<T, StoreError> {
        let row = self.query_one(sql, parameters).await?;
        row.try_get(0).map_err(|error| unreadable(&error))
    }

    /// The same, for an answer of one row.
    pub(super) async fn query_one(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Row, StoreError> {
        let missing = || StoreError::Corrupt(format!("there is no row of: {sql}"));
        self.query(sql, parameters).await?.into_iter().next().ok_or_else(missing)
    }

    /// Does what may be done twice, again as long as what failed may pass by itself.
    pub(super) async fn retry<T, F>(
        &self,
        patience: Duration,
        work: impl Fn(Arc<Object>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + patience;
        let mut backoff = BACKOFF;
        loop {
            let error = match self.attempt(deadline, &work).await {
                Ok(done) => return Ok(done),
                Err(StatementFailure::Refused(error)) => return Err(error),
                Err(failure) => failure.into_store_error(),
            };
            if !backoff.wait_before(deadline).await {
                return Err(error);
            }
        }
    }

    /// Does something on a connection, once.
    pub(super) async fn attempt<T, F>(
        &self,
        deadline: Instant,
        work: impl FnOnce(Arc<Object>) -> F,
    ) -> Result<T, StatementFailure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let Ok(connection) = timeout_at(deadline, self.connection()).await else {
            let pool = self.pool.status();
            return Err(if pool.size < pool.max_size {
                StatementFailure::NothingHappened(self.missed())
            } else {
                // The database is there.
                self.all_in_use()
            });
        };
        let connection = Arc::new(connection?);
        match timeout_at(deadline, work(Arc::clone(&connection))).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let failure = StatementFailure::of(&error);
                let StatementFailure::Missing(why) = failure else { return Err(failure) };
                Err(why_missing(&connection, why, deadline).await)
            }
            Err(_) => {
                // It still has an answer to come, which nobody else may have to wait for.
                drop(Arc::into_inner(connection).map(Object::take));
                Err(StatementFailure::Unknown(self.missed()))
            }
        }
    }

    /// Remembers that no answer came.
    fn missed(&self) -> String {
        self.presence.missed(SILENT, &self.address);
        SILENT.to_owned()
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}
