//! A database that is copied. It may be in service: events never change.

use std::time::SystemTime;

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use order_application::{PageLimit, Position, Receipt, RecordedEvent};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, IsolationLevel};
use uuid::Uuid;

use super::PAGE_DEADLINE;
use crate::copy::{NamedCheckpoints, RECEIPTS_AT_ONCE, ReceiptPage, SideError, Source};
use crate::log_reader::{ReceiptSink, StoreMoment};
use crate::postgres::database::{Database, NO_DEADLINES, Parameter};
use crate::postgres::log_state::state_of_finished;
use crate::postgres::row::{number, read_receipt, system_time};
use crate::postgres::{
    PostgresError, PostgresFault, PostgresLoss, checkpoints, loss, pages, receipts, refused,
};

/// Reading a database.
pub(crate) struct PostgresSource {
    identity: Uuid,
    database: Database,
}

impl PostgresSource {
    /// Connects to a database whose schema is that of this release; nothing is written to it.
    pub(crate) async fn open(url: &str) -> Result<Self, PostgresError> {
        let database = Database::open(url, 1, PAGE_DEADLINE)?;
        let identity = identity(&database).await.map_err(|fault| fault.at(database.address()))?;
        Ok(Self { identity, database })
    }

    /// The store at one moment: see [`LogReader::moment`](crate::LogReader). It is one snapshot.
    pub(crate) async fn moment(&self, sink: ReceiptSink<'_>) -> Result<StoreMoment, SideError> {
        let address = self.database.address();
        let mut connection = self.database.connect().await.map_err(|fault| fault.at(address))?;
        let snapshot = connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let snapshot = snapshot.read_only(true).start().await.map_err(|error| self.unreadable(error))?;
        let moment = read_moment(&snapshot).await.map_err(|error| self.unreadable(error))?;
        let mut last: Option<Receipt> = None;
        loop {
            let after = AfterReceipt::of(last.as_ref(), RECEIPTS_AT_ONCE);
            let rows = snapshot.query_typed(receipts::AFTER, &after.parameters()).await;
            let rows = rows.map_err(|error| self.unreadable(error))?;
            let mut receipts = rows.iter().map(read_receipt).collect::<Result<Vec<_>, _>>()?;
            sink(&receipts)?;
            if receipts.len() < RECEIPTS_AT_ONCE {
                return Ok(moment);
            }
            last = receipts.pop();
        }
    }

    /// What tells that events are missing.
    pub(crate) async fn losses(&self) -> Result<Vec<String>, SideError> {
        let address = self.database.address();
        let finding = async { loss::find(&mut self.database.connect().await?).await };
        let losses = finding.await.map_err(|fault| fault.at(address))?;
        Ok(losses.iter().map(PostgresLoss::to_string).collect())
    }

    /// What a failure of a statement means to whoever reads.
    fn unreadable(&self, error: Error) -> SideError {
        refused("be read")(error).at(self.database.address()).into()
    }
}

/// Where the log ends, and how far its followers are.
async fn read_moment(snapshot: &Transaction<'_>) -> Result<StoreMoment, Error> {
    snapshot.batch_execute(NO_DEADLINES).await?;
    let end = Position(number(&snapshot.query_typed_one(pages::LOG_END, &[]).await?, 0)?);
    let rows = snapshot.query_typed(checkpoints::LOAD_ALL, &[]).await?;
    let checkpoints = rows.iter().map(checkpoints::read_named).collect::<Result<_, _>>()?;
    Ok(StoreMoment { end, checkpoints })
}

/// The parameters of [`receipts::AFTER`].
struct AfterReceipt<'a> {
    time: Option<SystemTime>,
    key: Option<&'a [u8]>,
    limit: i64,
}

impl<'a> AfterReceipt<'a> {
    fn of(last: Option<&'a Receipt>, limit: usize) -> Self {
        Self {
            time: last.map(|receipt| system_time(receipt.answered_at)),
            key: last.map(|receipt| receipt.key.as_bytes().as_slice()),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        }
    }

    fn parameters(&self) -> [Parameter<'_>; 3] {
        [(&self.time, Type::TIMESTAMPTZ), (&self.key, Type::BYTEA), (&self.limit, Type::INT8)]
    }
}

async fn identity(database: &Database) -> Result<Uuid, PostgresFault> {
    let connection = database.connect().await?;
    Ok(state_of_finished(&connection).await?.identity)
}

#[async_trait]
impl Source for PostgresSource {
    fn identity(&self) -> Uuid {
        self.identity
    }

    async fn log_end(&self) -> Result<Position, SideError> {
        Ok(pages::log_end(&self.database).await?)
    }

    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        let rest = usize::try_from(up_to.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        let limit = PageLimit { events: limit.events.min(rest), bytes: limit.bytes };
        Ok(pages::log(&self.database, after, limit).await?)
    }

    async fn receipts(&self, after: Option<&ReceiptPage>, limit: usize) -> Result<ReceiptPage, SideError> {
        let after = AfterReceipt::of(after.and_then(|page| page.receipts.last()), limit);
        let rows = self.database.query(receipts::AFTER, &after.parameters()).await?;
        let receipts = rows.iter().map(read_receipt).collect::<Result<_, _>>()?;
        Ok(ReceiptPage { receipts, last_number: None })
    }

    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        let rows = self.database.query(checkpoints::LOAD_ALL, &[]).await?;
        let checkpoints: Result<_, _> = rows.iter().map(checkpoints::read_named).collect();
        checkpoints.map_err(|error| self.unreadable(error))
    }
}
