//! The use cases: one way in for commands, and the queries.

mod command;
mod events;
mod key_claim;
mod query;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use order_domain::{Action, Obstacle, OrderError, OrderId, Status};
use uuid::Uuid;

use crate::event::{NewEvent, RecordedEvent, Version};
use crate::event_context::CORRELATION_ID;
use crate::figures::CommandFigures;
use crate::order_cache::{CacheFigures, OrderCache};
use crate::order_locks::OrderLocks;
use crate::ports::clock::Clock;
use crate::ports::event_bus::EventBus;
use crate::ports::event_log::{EventLog, StoreError};
use crate::ports::ids::IdSource;
use crate::ports::order_views::OrderViews;
use crate::ports::receipts::Receipts;
use crate::projection::VersionedOrder;
use crate::receipt::AnswerKind;
use crate::traces::CommandTrace;

use key_claim::KeyLocks;

pub use events::{EventFilter, EventPage};
pub use key_claim::{ClaimedKey, KeyClaim};
pub use query::{ActionState, AsOf, QueryError};
pub use waiting::{Waiting, Waits};

/// Everything that can be asked of orders. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct OrderService(Arc<ServiceParts>);

/// What one instance of the program works with.
struct ServiceParts {
    log: Arc<dyn EventLog>,
    views: Arc<dyn OrderViews>,
    receipts: Arc<dyn Receipts>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    keys: KeyLocks,
    locks: OrderLocks,
    cache: OrderCache,
    commands: CommandFigures,
    limits: ServiceLimits,
}

/// Most bytes of one event's data. Every order within the API's limits fits, and messages of such events are within what
/// brokers take by default.
pub const MAX_EVENT_BYTES: usize = 960 * 1024;

/// Bounds of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLimits {
    /// Most bytes, about, of orders that are kept in memory for their next command.
    pub order_cache_bytes: u64,
    /// Most events of one order.
    pub order_events: u64,
    /// How many of those are kept for commands that lead to the order's end.
    pub last_events: u64,
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
            last_events: 500,
            event_bytes: MAX_EVENT_BYTES,
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
    /// The trace that it belongs to.
    pub trace: CommandTrace,
    /// Who is told while it waits for others to the same order.
    pub waiting: Option<Waiting>,
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
    /// Its version after the command.
    pub version: Version,
    /// How it is answered.
    pub answer: AnswerKind,
    /// Whether anything was appended; not so when what was asked for had been done already.
    pub appended: bool,
}

/// What a command would lead to.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    /// The order's id, which may be made up.
    pub order_id: OrderId,
    /// What would be appended; nothing, if what was asked for is done already.
    pub events: Vec<NewEvent>,
    /// The order after that.
    pub order: Arc<VersionedOrder>,
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
    /// Another request was accepted under the key.
    #[error("the key was used for another request")]
    KeyReused,
    /// A request with the key is still under way.
    #[error("a request with the key is still under way")]
    KeyInProgress,
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

impl ServiceLimits {
    /// Most events of an order after a command.
    fn events_after(&self, leads_to_the_end: bool) -> u64 {
        if leads_to_the_end { self.order_events } else { self.order_events.saturating_sub(self.last_events) }
    }

    /// Whether an action may be done next, also for the length of the order's history.
    fn allows(&self, order: &VersionedOrder, action: Action) -> Result<(), Obstacle> {
        order.order.allows(action)?;
        if order.version.0 >= self.events_after(action.leads_to_the_end()) {
            return Err(Obstacle::HISTORY_FULL);
        }
        Ok(())
    }

    /// What a refused client may want to know of an order, where there is one.
    fn facts(&self, order: Option<&VersionedOrder>) -> Option<OrderFacts> {
        let order = order?;
        let allowed = Action::ALL.iter().copied().filter(|action| self.allows(order, *action).is_ok());
        Some(OrderFacts {
            status: order.order.status(),
            version: order.version,
            allowed_actions: allowed.collect(),
        })
    }
}

impl OrderService {
    /// Puts a service together.
    pub fn new(
        log: Arc<dyn EventLog>,
        views: Arc<dyn OrderViews>,
        receipts: Arc<dyn Receipts>,
        bus: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        limits: ServiceLimits,
    ) -> Self {
        let cache = OrderCache::new(limits.order_cache_bytes);
        let (keys, locks) = (KeyLocks::new(), OrderLocks::new());
        let commands = CommandFigures::default();
        let parts =
            ServiceParts { log, views, receipts, bus, clock, ids, keys, locks, cache, commands, limits };
        Self(Arc::new(parts))
    }

    /// How often each command came to each end.
    pub fn command_figures(&self) -> &CommandFigures {
        &self.0.commands
    }

    /// How the orders are used that are kept for their next command.
    pub fn cache_figures(&self) -> CacheFigures {
        self.0.cache.figures()
    }
}
