//! PostgreSQL: one database for any number of instances.
//!
//! * **One writer for each instance** ([`writer`]) takes what has queued up and commits it in one round trip, by one call
//!   of `order_service.append_v2` (`migrations/0004_append_to_a_known_log.sql`), which locks the end of the log, checks versions, and adds
//!   events and views. It is the only place that adds to the log.
//! * **Look-ups** of single orders ([`look_ups`]) share round trips as appends do; **pages** ([`pages`]) and **lists**
//!   ([`lists`]) are read from a pool.
//! * **The announcer** ([`announcer`]) tells the bus what was committed, by this instance or another.
//! * **History** ([`history`]): whether the log is still the one that it was, and has not gone back.
//! * **Servers** ([`servers`]): of several, the primary that took over last ([`primaries`]).
//! * **Outages**: reads are asked again and appends appended again until their deadline. An append of which nobody knows
//!   whether it was committed is resolved by appending it again.
//! * **Views** ([`views`]) are repaired where they were found damaged, and rebuilt where an earlier release made them.
//! * **Receipts** ([`receipts`]) say what was answered under a client's key, to whichever instance.
//! * **Checkpoints** ([`checkpoints`]) say how far followers of the log have come, and the leases on them which instance
//!   follows.

mod address;
mod announcer;
mod checkpoints;
mod clock;
mod columns;
mod copy;
mod database;
mod history;
mod lists;
mod log_state;
mod look_ups;
mod loss;
mod objects;
mod pages;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod ports;
mod prepare;
mod primaries;
mod receipts;
mod row;
mod schema;
mod server_failure;
mod servers;
mod statement_failure;
mod timeline;
mod times;
mod tls;
mod url;
mod verify;
mod views;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use order_application::{EventBus, OrderView, StoreError};
use order_domain::OrderId;
use tokio::task::JoinHandle;

use announcer::Announcer;
use database::Database;
use history::{Expected, History};
use log_state::LogState;
use look_ups::LookUps;
use prepare::{bring_up, check_server, prepare};
use url::DatabaseUrl;
use views::Repairs;
use writer::Writer;

use crate::DEFAULT_QUEUE_WAIT;
use crate::postgres_error::{PostgresError, PostgresFault, refused};

pub use address::PostgresAddress;
pub(crate) use copy::{PostgresSource, PostgresTarget};
pub use loss::PostgresLoss;
pub use schema::Migrated;
pub use server_failure::ServerFailure;
pub use url::{with_password, without_password};

/// How long a command or a read may take before it is answered that the database is not there.
const DEADLINE: Duration = Duration::from_secs(5);

/// How to open a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Connections for reads; the writer has its own.
    pub read_connections: usize,
    /// Also on a server that acknowledges before it has synced, and so loses orders when it crashes.
    pub allow_unsafe_durability: bool,
    /// How long an append waits for the writer at most; then it is refused, and never written.
    pub queue_wait: Duration,
    /// Also a database that has no store yet: one is made.
    pub create: bool,
    /// Also a database from which acknowledged events are missing, as something still knows (see [`PostgresLoss`]). What knows
    /// of them then gives way.
    pub accept_loss: bool,
}

impl PostgresOptions {
    /// What is used unless told otherwise.
    pub const DEFAULT: Self = Self {
        read_connections: 8,
        allow_unsafe_durability: false,
        queue_wait: DEFAULT_QUEUE_WAIT,
        create: true,
        accept_loss: false,
    };
}

/// Orders in a PostgreSQL database.
pub struct PostgresStore {
    writer: Writer,
    reads: Arc<Database>,
    look_ups: LookUps,
    repairs: Arc<Repairs>,
    history: Arc<History>,
    /// What goes on beside requests until the store is closed: the announcer, repairs, and looks at the log and at
    /// other servers.
    background: [JoinHandle<()>; 4],
}

/// Told how much is done, and how much there is in all.
type Progress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// The version of the projection as the database has it.
fn projection() -> i32 {
    crate::projection().cast_signed()
}

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
        let url = DatabaseUrl::parse(url).map_err(PostgresFault::of_url)?;
        let (presence, history) = (Arc::default(), Arc::<History>::default());
        let pool = |connections, deadline| Database::new(&url, connections, deadline, &presence, &history);
        // The writer sends one batch after the other, and readers must not keep it waiting.
        let appends = pool(1, DEADLINE)?;
        let reads = Arc::new(pool(options.read_connections, DEADLINE)?);
        let rows = pool(1, views::BATCH_DEADLINE)?;
        let prepared = async {
            prepare(&appends, options).await?;
            loss::check(&appends, options.accept_loss).await?;
            expected(&appends, options).await
        };
        history.expect(prepared.await.map_err(|fault| fault.at(&url.address))?);

        let unreachable = |error: StoreError| {
            PostgresFault::Connect(ServerFailure::away(error.to_string())).at(&url.address)
        };
        let log_end = pages::log_end(&reads).await.map_err(unreachable)?;
        let announcer = Arc::new(Announcer::new(bus, log_end, Arc::clone(&history)));
        let repairs = Arc::new(Repairs::new(&reads).await.map_err(unreachable)?);
        Ok(Self {
            background: [
                tokio::spawn(Arc::clone(&announcer).follow(Arc::clone(&reads))),
                tokio::spawn(Arc::clone(&repairs).run(rows, Arc::clone(&reads))),
                tokio::spawn(history::watch(Arc::clone(&history), Arc::clone(&reads))),
                tokio::spawn(history::watch_others(Arc::clone(&reads))),
            ],
            history,
            writer: Writer::start(appends, announcer, options.queue_wait),
            look_ups: LookUps::start(&reads),
            reads,
            repairs,
        })
    }

    /// Brings the database's schema up to this release, and says what it did.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn migrate(url: &str) -> Result<Migrated, PostgresError> {
        let database = Database::open(url, 1, DEADLINE)?;
        Self::migrate_in(&database).await.map_err(|fault| fault.at(database.address()))
    }

    async fn migrate_in(database: &Database) -> Result<Migrated, PostgresFault> {
        let mut connection = database.connect().await?;
        objects::refuse_template(&connection).await?;
        // Whether a server may lose what it acknowledges is for those to decide who serve from it.
        check_server(&connection, database.address(), true).await?;
        bring_up(&mut connection).await
    }

    /// Answers what is queued and closes the connections. Appends that come later are refused.
    pub async fn close(&self) {
        self.writer.finish().await;
        self.background.iter().for_each(JoinHandle::abort);
        self.reads.close();
    }

    /// Why this machine's clock is not to be acted by: the database's shows another time.
    #[must_use]
    pub fn clock_doubt(&self) -> Option<String> {
        self.history.clocks.doubt()
    }

    /// The order's view, if it is as the log has it.
    async fn find_view(&self, order_id: &OrderId) -> Result<Option<OrderView>, StoreError> {
        let Some(found) = self.look_ups.find(order_id).await? else { return Ok(None) };
        found.view.map(Some).map_err(|damaged| {
            let why = format!("order {order_id}: {damaged}");
            self.repairs.ask_for([found.key], &why);
            StoreError::DamagedView(why)
        })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.background.iter().for_each(JoinHandle::abort);
    }
}

/// What the database has to be from now on.
async fn expected(database: &Database, options: PostgresOptions) -> Result<Expected, PostgresFault> {
    let LogState { identity, .. } = log_state::log_state(&database.connect().await?).await?;
    let (allow_unsafe, user) = (options.allow_unsafe_durability, database.address().user.clone());
    Ok(Expected { identity, allow_unsafe, user })
}

/// What `url` means to [`PostgresStore::open`]. Nothing is connected to.
///
/// # Errors
/// What is wrong with it; never with its password.
pub fn postgres_address(url: &str) -> Result<PostgresAddress, String> {
    DatabaseUrl::parse(url).map(|url| url.address)
}
