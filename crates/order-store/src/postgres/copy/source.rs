//! A database that is copied. It may be in service: events never change.

use async_trait::async_trait;
use order_application::{PageLimit, Position, RecordedEvent};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PAGE_DEADLINE;
use crate::copy::{NamedCheckpoints, ReceiptPage, SideError, Source};
use crate::postgres::database::{Database, Parameter};
use crate::postgres::log_state::state_of_finished;
use crate::postgres::row::{read_receipt, system_time};
use crate::postgres::{PostgresError, PostgresFault, checkpoints, pages, receipts, refused};

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
        let after = after.and_then(|page| page.receipts.last());
        let time = after.map(|receipt| system_time(receipt.answered_at));
        let key = after.map(|receipt| receipt.key.as_bytes().as_slice());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters: [Parameter<'_>; 3] =
            [(&time, Type::TIMESTAMPTZ), (&key, Type::BYTEA), (&limit, Type::INT8)];
        let rows = self.database.query(receipts::AFTER, &parameters).await?;
        let receipts = rows.iter().map(read_receipt).collect::<Result<_, _>>()?;
        Ok(ReceiptPage { receipts, last_number: None })
    }

    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        let rows = self.database.query(checkpoints::LOAD_ALL, &[]).await?;
        let checkpoints: Result<_, _> = rows.iter().map(checkpoints::read_named).collect();
        Ok(checkpoints.map_err(|error| refused("be read")(error).at(self.database.address()))?)
    }
}
