//! PostgreSQL: one database for any number of instances.
//!
//! * **One writer for each instance** ([`writer`]) takes what has queued up and commits it in one round trip, by one call
//!   of `order_service.append_v1` (`migrations/0002_append.sql`), which takes the head of the log, checks versions, and adds
//!   events and views. It is the only place that adds to the log.
//! * **Turns** ([`turn`]): an order that several instances want to change at once is changed by one after the other.
//! * **Look-ups** of single orders ([`look_ups`]) share round trips as appends do; **pages** ([`pages`]) are read from a
//!   pool.
//! * **The announcer** ([`announcer`]) tells the bus what was committed, by this instance or another.
//! * **Outages**: reads are asked again and appends appended again until their deadline. An append of which nobody knows
//!   whether it was committed is resolved by appending it again.
//! * **Repairs** ([`views`]) make views anew that were found damaged, or that an earlier release made.
//! * **Checkpoints** ([`checkpoints`]) say how far followers of the log have come, and the leases on them which instance
//!   follows.

mod announcer;
mod batch;
mod checkpoints;
mod columns;
mod copy;
mod database;
mod error;
mod failure;
mod look_ups;
mod pages;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod prepare;
mod row;
mod schema;
mod state;
mod tls;
mod url;
mod verify;
mod views;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use order_application::{
    Append, AppendError, EventBus, EventLog, ListQuery, OrderPage, OrderSummary, OrderView, OrderViews,
    PageLimit, Position, RecordedEvent, StoreError, Unreadable, Version,
};
use order_domain::OrderId;

use announcer::Announcer;
use database::Database;
use error::refused;
use look_ups::LookUps;
use prepare::{bring_up, check_server, connect, prepare};
use url::Target;
use views::{Damaged, Repairs};

pub(crate) use copy::{PostgresSource, PostgresTarget};
pub use error::PostgresError;
pub use schema::Migrated;
pub use url::without_password;

/// Bounds of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresLimits {
    /// Most appends that wait for the writer.
    pub queued_appends: usize,
    /// Most bytes of event data that wait for the writer.
    pub queued_bytes: usize,
    /// Connections for reads; the writer has its own.
    pub read_connections: usize,
    /// How long a command or a read may take before it is answered that the database is not there.
    pub deadline: Duration,
}

impl PostgresLimits {
    /// What is used unless told otherwise.
    pub const DEFAULT: Self = Self {
        queued_appends: 8_192,
        queued_bytes: 16 * 1024 * 1024,
        read_connections: 8,
        deadline: Duration::from_secs(5),
    };
}

impl Default for PostgresLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How to open a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PostgresOptions {
    /// Bounds of the store.
    pub limits: PostgresLimits,
    /// Also on a server that acknowledges before it has synced, and so loses orders when it crashes.
    pub allow_unsafe_durability: bool,
}

/// Orders in a PostgreSQL database.
pub struct PostgresStore {
    shared: Arc<Shared>,
    writer: writer::Writer,
    look_ups: LookUps,
    following: tokio::task::JoinHandle<()>,
    repairing: tokio::task::JoinHandle<()>,
}

/// What the store's tasks share.
struct Shared {
    /// For the writer alone: readers must not keep it waiting.
    appends: Database,
    reads: Arc<Database>,
    announcer: Arc<Announcer>,
    repairs: Arc<Repairs>,
}

/// The version of the projection as the database has it.
fn projection() -> i32 {
    crate::projection().cast_signed()
}

/// The writer sends one batch after the other.
const APPEND_CONNECTIONS: usize = 1;

impl PostgresStore {
    /// Connects, checks the server, and migrates the database if it needs to be.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn open(
        url: &str,
        bus: Arc<dyn EventBus>,
        options: PostgresOptions,
    ) -> Result<Self, PostgresError> {
        let limits = options.limits;
        let target = Target::parse(url).map_err(PostgresError::Url)?;
        let presence = Arc::default();
        let pool = |connections| {
            let database =
                Database::new(&target, connections, limits.deadline).map_err(PostgresError::Url)?;
            Ok::<_, PostgresError>(database.sharing(&presence))
        };
        let appends = pool(APPEND_CONNECTIONS)?;
        let reads = Arc::new(pool(limits.read_connections)?);
        prepare(&appends, options).await?;

        let head = pages::head(&reads).await.map_err(|error| PostgresError::Connect(error.to_string()))?;
        let announcer = Arc::new(Announcer::new(bus, head));
        let following = tokio::spawn(Arc::clone(&announcer).follow(Arc::clone(&reads)));
        let look_ups = LookUps::start(&reads, limits.deadline);
        let repairs =
            Repairs::new(&reads).await.map_err(|error| PostgresError::Connect(error.to_string()))?;
        let repairs = Arc::new(repairs);
        let rows = Self::repair_pool(&target).map_err(PostgresError::Url)?.sharing(&presence);
        let repairing = tokio::spawn(Arc::clone(&repairs).run(Arc::new(rows), Arc::clone(&reads)));
        let shared = Arc::new(Shared { appends, reads, announcer, repairs });
        let writer = writer::Writer::start(Arc::clone(&shared), limits);
        Ok(Self { shared, writer, look_ups, following, repairing })
    }

    /// Brings the database's schema up to this release, and says what it did.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn migrate(url: &str) -> Result<Migrated, PostgresError> {
        let target = Target::parse(url).map_err(PostgresError::Url)?;
        let database =
            Database::new(&target, 1, PostgresLimits::default().deadline).map_err(PostgresError::Url)?;
        let mut connection = connect(&database).await?;
        // Whether a server may lose what it acknowledges is for those to decide who serve from it.
        check_server(&connection, true).await?;
        bring_up(&mut connection).await
    }

    /// Answers what is queued and closes the connections. Appends that come later are refused.
    pub async fn close(&self) {
        self.writer.finish().await;
        self.following.abort();
        self.repairing.abort();
        self.shared.appends.close();
        self.shared.reads.close();
    }
}

impl PostgresStore {
    /// The order's view, if it is as the log has it.
    async fn find_view(&self, order_id: &OrderId) -> Result<Option<OrderView>, StoreError> {
        let Some(found) = self.look_ups.find(order_id).await? else { return Ok(None) };
        found.view.map(Some).map_err(|damaged| {
            let why = format!("order {order_id}: {damaged}");
            self.shared.repairs.ask_for([Damaged::Order(order_id.clone())], &why);
            StoreError::DamagedView(why)
        })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.following.abort();
        self.repairing.abort();
    }
}

/// Whether `url` is one that [`PostgresStore::open`] understands. Nothing is connected to.
///
/// # Errors
/// What is wrong with it; never with its password.
pub fn check_postgres_url(url: &str) -> Result<(), String> {
    Target::parse(url).map(|_| ())
}

#[async_trait]
impl EventLog for PostgresStore {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        #[cfg(feature = "planted-faults")]
        let append = crate::planted_release::write(append);
        self.writer.append(append).await
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let page = pages::stream(&self.shared.reads, order_id, after, limit).await?;
        // What only the row says is asked of the row when it has been checked.
        if page.is_damaged && self.find_view(order_id).await?.is_some_and(|view| view.is_damaged()) {
            return Err(Unreadable::Damaged.error(order_id));
        }
        Ok(page.events)
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        pages::log(&self.shared.reads, after, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        pages::head(&self.shared.reads).await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        Ok(self.look_ups.find(order_id).await?.map_or(Version::NONE, |found| found.version))
    }

    async fn check(&self) -> Result<(), StoreError> {
        pages::check(&self.shared.reads).await
    }
}

#[async_trait]
impl OrderViews for PostgresStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.find_view(order_id).await?.map(OrderView::into_summary).transpose()
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        let (page, damaged) = pages::list(&self.shared.reads, query).await?;
        self.shared.repairs.ask_for(damaged.into_iter().map(Damaged::Key), "a list met damaged rows");
        Ok(page)
    }
}
