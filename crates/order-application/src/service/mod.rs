//! The use cases: one way in for commands, and the queries.

mod command;
mod events;
mod query;

use std::sync::Arc;
use std::time::Duration;

use order_domain::{Action, OrderError, OrderId, Status};
use uuid::Uuid;

use crate::event::{RecordedEvent, Version};
use crate::event_context::CORRELATION_ID;
use crate::order_cache::OrderCache;
use crate::order_locks::OrderLocks;
use crate::ports::clock::Clock;
use crate::ports::event_bus::EventBus;
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::ids::IdSource;
use crate::ports::order_views::OrderViews;
use crate::projection::VersionedOrder;

pub use events::{EventFilter, EventPage};
pub use query::QueryError;

/// Everything that can be asked of orders. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct OrderService(Arc<ServiceParts>);

/// What one instance of the program works with.
struct ServiceParts {
    log: Arc<dyn EventLog>,
    views: Arc<dyn OrderViews>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    locks: OrderLocks,
    cache: OrderCache,
    limits: ServiceLimits,
}

/// Bounds of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLimits {
    /// Most bytes, about, of orders that are kept in memory for their next command.
    pub order_cache_bytes: u64,
    /// Most events of one order.
    pub order_events: u64,
    /// Most bytes of one event's data.
    pub event_bytes: usize,
    /// Most events that one filtered page looks at, whether or not they are wanted.
    pub searched_events: usize,
    /// How long a command takes at most: the wait for others to the same order, the store, and deciding again where another
    /// instance was quicker.
    pub command_patience: Duration,
}

impl Default for ServiceLimits {
    fn default() -> Self {
        Self {
            order_cache_bytes: 32 * 1024 * 1024,
            order_events: 10_000,
            event_bytes: 512 * 1024,
            searched_events: 5_000,
            command_patience: Duration::from_secs(5),
        }
    }
}

/// What comes with a command besides itself.
#[derive(Debug, Clone, Default)]
pub struct CommandMeta {
    /// Ties together what one request set off; made if left out.
    pub correlation_id: Option<Arc<str>>,
    /// The event that made whoever sends the command act.
    pub causation_id: Option<Uuid>,
    /// Who asks.
    pub actor: Option<Arc<str>>,
    /// The versions on which the command may act; left out: any.
    pub if_match: Option<NamedVersions>,
}

impl CommandMeta {
    /// For a command that a follower of the log sends because of an event: both belong to one request.
    pub fn caused_by(event: &RecordedEvent) -> Self {
        let correlation_id = event.context.get(CORRELATION_ID).map(Arc::from);
        Self { correlation_id, causation_id: Some(event.id), ..Self::default() }
    }
}

/// The versions of an order that a precondition names, as HTTP's `If-Match` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedVersions {
    /// Any, as long as the order exists.
    Any,
    /// One of these.
    OneOf(Vec<Version>),
}

impl NamedVersions {
    /// Whether an order at this version is meant.
    pub fn contain(&self, version: Version) -> bool {
        version != Version::NONE
            && match self {
                Self::Any => true,
                Self::OneOf(versions) => versions.contains(&version),
            }
    }
}

/// An accepted command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutcome {
    /// The order, whose id the service may have made.
    pub order_id: OrderId,
    /// Its version now.
    pub version: Version,
    /// Whether anything was appended; not so when what was asked for had been done already.
    pub appended: bool,
}

/// A command that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The order refuses it.
    #[error("{error}")]
    Refused {
        /// Why.
        error: OrderError,
        /// What the order is, where there is one.
        facts: Option<OrderFacts>,
    },
    /// The order is at another version than the command asked for.
    #[error("the order is not at the version that the request names")]
    VersionMismatch(Option<OrderFacts>),
    /// Other instances changed the order each time the command was decided, for as long as it may take.
    #[error("other requests keep changing the order")]
    ConcurrentModification(Option<OrderFacts>),
    /// The order has as many events as an order may have.
    #[error("the order has as many events as an order may have")]
    OrderFull(Option<OrderFacts>),
    /// What the command says is too much for one event.
    #[error("the request makes an event of {bytes} bytes, and {max_bytes} are allowed")]
    EventTooLarge {
        /// The event's data.
        bytes: usize,
        /// What is allowed.
        max_bytes: usize,
    },
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a refused client may want to know of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFacts {
    /// Its status.
    pub status: Status,
    /// Its version.
    pub version: Version,
    /// What may be done next.
    pub allowed_actions: Vec<Action>,
}

impl OrderFacts {
    fn of(order: Option<&VersionedOrder>) -> Option<Self> {
        order.map(|versioned| Self {
            status: versioned.order.status(),
            version: versioned.version,
            allowed_actions: versioned.order.allowed_actions(),
        })
    }
}

impl OrderService {
    /// Puts a service together.
    pub fn new(
        log: Arc<dyn EventLog>,
        views: Arc<dyn OrderViews>,
        bus: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        limits: ServiceLimits,
    ) -> Self {
        let cache = OrderCache::new(limits.order_cache_bytes);
        let parts = ServiceParts { log, views, bus, clock, ids, locks: OrderLocks::new(), cache, limits };
        Self(Arc::new(parts))
    }
}
