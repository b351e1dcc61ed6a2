//! Connections: pools of them, with limits and deadlines, that come back by themselves after an outage.

use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use order_application::StoreError;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::failure::Failure;
use super::tls;
use super::url::{Target, chain};

/// Pauses between attempts: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A parameter with its type. Statements are not prepared by name: such a name belongs to one connection to the server,
/// which a pooler in transaction mode gives to somebody else in the next moment. Hot statements live in functions,
/// whose plans each connection to the server keeps.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A pool of connections.
pub(super) struct Database {
    pool: Pool,
    deadline: Duration,
}

impl Database {
    /// Opens nothing yet.
    pub(super) fn new(target: &Target, connections: usize, deadline: Duration) -> Result<Self, String> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(target.config.clone(), tls::connector(&target.tls)?, recycling);
        let timeouts = Timeouts { wait: Some(deadline), create: Some(deadline), recycle: Some(deadline) };
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { pool, deadline })
    }

    /// A connection, the next best that works.
    pub(super) async fn connection(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Overloaded,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                StoreError::Unavailable("the database does not answer".to_owned())
            }
            other @ (PoolError::Backend(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_)) => StoreError::Unavailable(chain(&other)),
        })
    }

    /// Asks a question, again if the connection was lost, until the deadline.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + self.deadline;
        let mut pause = Pause::new();
        loop {
            let error = match self.query_once(sql, parameters, deadline).await {
                Ok(rows) => return Ok(rows),
                Err(Failure::Refused(error)) => return Err(error),
                Err(failure) => failure.into_store_error(),
            };
            if !pause.before(deadline).await {
                return Err(error);
            }
        }
    }

    async fn query_once(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let late = |_| Failure::Unknown("the database does not answer".to_owned());
        let connection = match timeout_at(deadline, self.connection()).await.map_err(late)? {
            Err(StoreError::Unavailable(why)) => return Err(Failure::NothingHappened(why)),
            other => other.map_err(Failure::Refused)?,
        };
        match timeout_at(deadline, connection.query_typed(sql, parameters)).await {
            Ok(answer) => answer.map_err(|error| Failure::of(&error)),
            Err(elapsed) => {
                abandon(connection);
                Err(late(elapsed))
            }
        }
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// Gives up a connection that still has an answer to come: nobody else may have to wait for it.
pub(super) fn abandon(connection: Object) {
    drop(Object::take(connection));
}

/// Pauses that grow.
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// Waits a little; `false` when the deadline would pass meanwhile.
    pub(super) async fn before(&mut self, deadline: Instant) -> bool {
        if Instant::now() + self.0 >= deadline {
            return false;
        }
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
        true
    }
}
