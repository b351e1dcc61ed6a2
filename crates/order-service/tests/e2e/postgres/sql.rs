//! A session of the test's own with the database.

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{Client, NoTls};

/// Blocks until each statement is done. Dropped, its connection ends, and so does its transaction.
pub(crate) struct Session {
    client: Client,
    runtime: Runtime,
}

impl Session {
    #[track_caller]
    pub(crate) fn open(url: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls)).unwrap();
        runtime.spawn(connection);
        Self { client, runtime }
    }

    #[track_caller]
    pub(crate) fn run(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap();
    }

    /// The one value that a query gives.
    #[track_caller]
    pub(crate) fn value<T: FromSqlOwned>(&self, sql: &str) -> T {
        self.runtime.block_on(self.client.query_one(sql, &[])).unwrap().get(0)
    }
}
