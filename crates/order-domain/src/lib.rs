//! What an order is and what it may do.
//!
//! This crate is pure: no I/O, no async, no clock, no randomness, no serialisation. Time and ids arrive as
//! arguments. Three things make it up:
//!
//! * [`OrderCommand`]: what somebody wants, in values that are valid by themselves ([`Quantity`], [`Cents`], ids);
//! * [`decide()`]: holds a command against the order's ledgers and answers with [`OrderEvent`]s or an [`OrderError`];
//! * [`evolve`]: applies one event to the ledgers. It never refuses: what happened, happened.
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

mod command;
mod decide;
mod error;
mod event;
mod ledger;
mod money;
mod order;
mod quantity;
mod status;
mod text;
mod time;

pub use command::{
    AuthorizePayment, OrderCommand, OrderLine, PlaceOrder, ReserveInventory, ShipOrder, UnitRequest,
    UnitSelector,
};
pub use decide::decide;
pub use error::{IdKind, OrderError, Reference};
pub use event::{
    InventoryReserved, OrderEvent, OrderPlaced, OrderShipped, PaymentAuthorized, ReservedUnits, ShippedUnits,
};
pub use iso_currency::Currency;
pub use ledger::{LineLedger, PaymentLedger};
pub use money::{Adjustment, AdjustmentKind, Cents, MAX_CENTS, MoneyError};
pub use order::{Line, Order, Payment, Reservation, Shipment, evolve};
pub use quantity::{LineNumber, MAX_LINES, MAX_QUANTITY, Quantity};
pub use status::{Action, Status};
pub use text::{
    Carrier, CustomerId, Label, MAX_METADATA_PAIRS, Metadata, OrderId, PaymentId, ReservationId, Sku,
    TextError, TrackingNumber,
};
pub use time::{MAX_EXPIRES_IN_SECONDS, Timestamp};
