//! Use cases of the order service, and the ports that they need.
//!
//! The way of a command: [`OrderService::execute`] takes the order's lock in this process, gets its state from a
//! bounded cache or by replaying its stream, lets [`order_domain::decide`] answer, and appends the events through the
//! [`EventLog`] port, expecting the version it decided on. What readers want comes back through the same service.
//!
//! | module | holds |
//! |---|---|
//! | [`service`] | the use cases |
//! | [`ports`] | what the use cases need from outside: event log, views, event bus, brokers, checkpoints, clock, ids |
//! | [`codec`] | stored JSON ⇄ domain event, and where upcasts go |
//! | [`projection`], [`folded_order`] | the order view as a pure fold, and what becomes of orders that cannot be folded |
//! | [`subscription`] | reading the log: catch up, then live |
//! | [`follower`] | having every event dealt with, by one of many instances |
//! | [`relay`] | publishing the log to a broker |
//! | [`replica`] | a read model of its own, built from what a broker has |
//! | [`scrubber`] | comparing the views with the log |
//! | [`cloud_event`] | an event as others see it |
//! | [`event_context`] | where an event came from |
//! | [`traces`] | where a request belongs among those of other services |
//! | [`figures`] | numbers that are counted while the service works |
//! | [`nearest`] | what was probably meant by a misspelt name |

mod backoff;
mod clock_watch;
pub mod cloud_event;
pub mod codec;
mod error_chain;
mod event;
pub mod event_context;
pub mod figures;
pub mod folded_order;
pub mod follower;
pub mod json_text;
mod keyed_locks;
mod lease;
mod log_ids;
pub mod nearest;
mod order_cache;
mod order_list;
mod order_locks;
#[cfg(feature = "planted-faults")]
mod planted_faults;
pub mod ports;
pub mod projection;
mod ready_details;
mod receipt;
mod receipt_trimmer;
pub mod relay;
mod repeated_fault;
pub mod replica;
pub mod rfc3339;
mod ring;
pub mod scrubber;
mod search_term;
pub mod service;
mod shop_watch;
mod store_error;
mod stream;
pub mod subscription;
mod system;
pub mod timers;
pub mod traces;
mod views_progress;

pub use backoff::Backoff;
pub use error_chain::error_chain;
pub use event::{NewEvent, Position, RecordedEvent, Version};
pub use event_context::EventContext;
pub use folded_order::FoldedOrder;
pub use follower::{
    Consumer, Consumption, Follower, FollowerError, FollowerFigures, FollowerLimits, FollowerPorts,
    FollowerState, FollowerStatus,
};
pub use lease::{Candidate, HolderWatch, Lease, LeaseLoss};
pub use order_list::{
    ListQuery, ListedOrder, MAX_EXAMINED, OrderFilter, OrderPage, PageBuilder, Sort, SortKey, TimeRange,
};
pub use ports::broker::{
    Broker, BrokerError, BrokerLog, BrokerReader, Delivery, FoundEvent, MAX_MESSAGE_BYTES, Opened,
    Publication,
};
pub use ports::checkpoints::{Beat, Checkpoint, Checkpoints, Claim, Epoch};
pub use ports::clock::Clock;
pub use ports::event_bus::{BusReceiver, Committed, EventBus, Missed};
pub use ports::event_log::{Append, AppendError, EventLog, LogHistory, PageLimit, StoreError};
pub use ports::ids::IdSource;
pub use ports::order_views::{DueOrder, DuePage, DuePlace, DueQuery, OrderViews};
pub use ports::receipts::{ReceiptAge, Receipts, Trimmed};
pub use ports::replica_store::ReplicaStore;
pub use ports::view_repair::{ViewRepair, ViewsState, ViewsStatus};
pub use projection::{
    OrderSummary, OrderView, PROJECTION_VERSION, Unreadable, UnreadableOrder, VersionedOrder,
};
pub use ready_details::{Lifecycle, ReadyChecks, ReadyDetails, StoreCheck};
pub use receipt::{AnswerKind, Fingerprint, Receipt, ReceiptKey};
pub use receipt_trimmer::ReceiptTrimmer;
pub use relay::Relay;
pub use repeated_fault::RepeatedFault;
pub use replica::{
    Import, ImportError, Imported, OtherLog, Replica, ReplicaError, ReplicaLimits, ReplicaState,
    ReplicaStatus,
};
pub use ring::Ring;
pub use scrubber::{ScrubState, ScrubStatus, Scrubber, ScrubberPorts};
pub use search_term::SearchTerm;
pub use service::{
    ActionState, AsOf, ClaimedKey, CommandError, CommandMeta, CommandOutcome, DryRun, EventFilter, EventPage,
    KeyClaim, MAX_EVENT_BYTES, NamedVersions, OrderFacts, OrderService, QueryError, ServiceLimits, Waiting,
    Waits,
};
pub use shop_watch::{ShopFigures, ShopWatch};
pub use subscription::Subscription;
pub use system::{SystemClock, UuidV7Ids};
pub use timers::{TimerPorts, Timers, TimersState, TimersStatus};
pub use views_progress::ViewsProgress;
