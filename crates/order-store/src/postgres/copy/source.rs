//! A database that is copied. It may be in service: events never change, and views are read after the events that
//! they are copied with.

use async_trait::async_trait;
use order_application::{OrderView, PageLimit, Position, RecordedEvent, StoreError};
use order_domain::OrderId;
use uuid::Uuid;

use super::PAGE_DEADLINE;
use crate::copy::{CountedEnd, NamedCheckpoints, PlacedView, SideError, Source};
use crate::postgres::database::Database;
use crate::postgres::log_state::{LogState, state_of_finished};
use crate::postgres::pages::KeyedView;
use crate::postgres::row::DamagedView;
use crate::postgres::{PostgresError, checkpoints, connect, look_ups, pages, refused};

/// The next chunk of the log is read beside views for the one before.
const CONNECTIONS: usize = 2;

/// Reading a database.
pub(crate) struct PostgresSource {
    state: LogState,
    database: Database,
}

impl PostgresSource {
    /// Connects to a database whose schema is that of this release; nothing is written to it.
    pub(crate) async fn open(url: &str) -> Result<Self, PostgresError> {
        let database = Database::open(url, CONNECTIONS, PAGE_DEADLINE)?;
        let connection = connect(&database).await?;
        let state = state_of_finished(&connection).await?;
        drop(connection);
        Ok(Self { state, database })
    }

    /// For whoever takes the views, too, as they are: they have to be this release's.
    pub(crate) fn with_views(self) -> Result<Self, PostgresError> {
        self.state.check_views()?;
        Ok(self)
    }
}

#[async_trait]
impl Source for PostgresSource {
    fn identity(&self) -> Uuid {
        self.state.identity
    }

    async fn log_end(&self) -> Result<Position, SideError> {
        Ok(pages::log_end(&self.database).await?)
    }

    async fn counted_end(&self) -> Result<CountedEnd, SideError> {
        let connection = connect(&self.database).await?;
        Ok(super::end(&connection).await?)
    }

    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        if after >= up_to {
            return Ok(Vec::new());
        }
        let rest = usize::try_from(up_to.0 - after.0).unwrap_or(usize::MAX);
        let limit = PageLimit { events: limit.events.min(rest), bytes: limit.bytes };
        let mut events = pages::log(&self.database, after, limit).await?;
        events.retain(|event| event.position <= up_to);
        Ok(events)
    }

    async fn views_placed(&self, after: Position, up_to: Position) -> Result<Vec<PlacedView>, SideError> {
        // There are no more orders than positions.
        let limit = i64::try_from(up_to.0 - after.0).unwrap_or(i64::MAX);
        let rows = pages::rows(&self.database, after, limit).await?;
        let placed = rows.into_iter().take_while(|(position, _)| *position <= up_to);
        let read = |(position, view): KeyedView| Ok((position, view.map_err(|error| damaged(&error))?));
        placed.map(read).collect()
    }

    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        let rows = self.database.query(checkpoints::LOAD_ALL, &[]).await?;
        let checkpoints: Result<_, _> = rows.iter().map(checkpoints::read_named).collect();
        Ok(checkpoints.map_err(refused("be read"))?)
    }

    async fn views_of(&self, order_ids: &[OrderId]) -> Result<Vec<OrderView>, SideError> {
        let order_ids: Vec<&str> = order_ids.iter().map(OrderId::as_str).collect();
        let found = look_ups::find(&self.database, &order_ids).await?;
        found.into_values().map(|found| found.view.map_err(|error| damaged(&error).into())).collect()
    }
}

fn damaged(error: &DamagedView) -> StoreError {
    StoreError::Corrupt(format!("the view of an order: {error}; run `order-service rebuild` first"))
}
