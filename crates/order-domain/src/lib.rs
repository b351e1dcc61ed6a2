//! What an order is and what it may do.
//!
//! This crate is pure: no I/O, no async, no clock, no randomness, no serialisation. Time and ids arrive as
//! arguments. Three things make it up:
//!
//! * [`OrderCommand`]: what somebody wants, in values that are valid by themselves ([`Quantity`], [`Cents`], ids);
//! * [`decide()`]: holds a command against the order's ledgers and answers with [`OrderEvent`]s or an [`OrderError`];
//! * [`evolve`]: applies one event to the ledgers. It never refuses: what happened, happened.
//!
//! The code has a folder for each subject (`placement`, `payment`, `inventory`, `fulfilment`) with a file for each command,
//! which holds all of it: command, event, what may stand in its way, how it is decided, and what its event does to the
//! order. `command.rs`, `event.rs` and `action.rs` list them.
//!
//! ```
//! use order_domain::{decide, evolve, OrderCommand, OrderEvent, Timestamp};
//! # use order_domain::{PlaceOrder, OrderLine, Sku, Quantity, Cents, CustomerId, Currency};
//! # let place = PlaceOrder {
//! #     customer_id: CustomerId::new("cust-1").unwrap(),
//! #     lines: vec![OrderLine { sku: Sku::new("sku-1").unwrap(), quantity: Quantity::new(2).unwrap(), unit_price: Cents::new(1500).unwrap() }],
//! #     currency: None, default_currency: Currency::USD, adjustments: None, metadata: None,
//! # };
//! let events = decide(None, &OrderCommand::Place(place), Timestamp::from_micros(0))?;
//! assert!(matches!(events[..], [OrderEvent::OrderPlaced(_)]));
//! let order = events.iter().fold(None, evolve).expect("an OrderPlaced begins an order");
//! assert_eq!(order.total().get(), 3000);
//! # Ok::<(), order_domain::OrderError>(())
//! ```

mod action;
mod command;
mod decide;
mod error;
mod event;
mod fulfilment;
mod inventory;
mod order;
mod payment;
mod placement;
mod values;

pub use action::Action;
pub use command::OrderCommand;
pub use decide::decide;
pub use error::{IdKind, Obstacle, OrderError, Reference};
pub use event::OrderEvent;
pub use fulfilment::Shipment;
pub use fulfilment::ship::{OrderShipped, ShipObstacle, ShipOrder, ShippedUnits, UnitRequest, UnitSelector};
pub use inventory::Reservation;
pub use inventory::reserve::{InventoryReserved, ReserveInventory, ReserveObstacle, ReservedUnits};
pub use iso_currency::Currency;
pub use order::ledger::{LineLedger, PaymentLedger};
pub use order::status::Status;
pub use order::{Order, evolve};
pub use payment::Payment;
pub use payment::authorize::{AuthorizePayment, PaymentAuthorized, PaymentObstacle};
pub use placement::Line;
pub use placement::place::{OrderLine, OrderPlaced, PlaceOrder, PlacedLine};
pub use values::money::{Adjustment, AdjustmentKind, Cents, MAX_CENTS, MoneyError};
pub use values::quantity::{LineNumber, MAX_LINES, MAX_QUANTITY, Quantity};
pub use values::text::{
    Carrier, CustomerId, Label, MAX_METADATA_KEY_CHARS, MAX_METADATA_PAIRS, MAX_METADATA_VALUE_CHARS,
    MAX_TEXT_CHARS, Metadata, OrderId, PaymentId, ReservationId, Sku, TextError, TrackingNumber,
};
pub use values::time::{MAX_EXPIRES_IN_SECONDS, Timestamp};
