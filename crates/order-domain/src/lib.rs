//! What an order is and what it may do.
//!
//! This crate is pure: no I/O, no async, no clock, no randomness, no serialisation. Time and ids arrive as
//! arguments. Three things make it up:
//!
//! * [`OrderCommand`]: what somebody wants, in values that are valid by themselves ([`Quantity`], [`Cents`], ids);
//! * [`decide()`]: holds a command against the order's ledgers and answers with [`OrderEvent`]s or an [`OrderError`];
//! * [`evolve`]: applies one event to the ledgers. It never refuses: what happened, happened.
//!
//! The code has a folder for each subject (`placement`, `payment`, `inventory`, `fulfilment`, `cancellation`, `returns`, `hold`,
//! `completion`) with a file for each command,
//! which holds all of it: command, event, what may stand in its way, how it is decided, and what its event does to the
//! order, and the tests that specify it. `command.rs` and `event.rs` list them.
//!
//! ```
//! use order_domain::{decide, evolve, OrderCommand, OrderEvent, Timestamp};
//! # use order_domain::{PlaceOrder, OrderLine, Sku, Quantity, Cents, CustomerId, Currency};
//! # let place = PlaceOrder {
//! #     customer_id: CustomerId::new("cust-1").unwrap(),
//! #     lines: vec![OrderLine { sku: Sku::new("sku-1").unwrap(), quantity: Quantity::new(2).unwrap(), unit_price: Cents::new(1500).unwrap() }],
//! #     currency: None, default_currency: Currency::USD, adjustments: None, metadata: None, pay_within_seconds: None,
//! # };
//! let events = decide(None, &OrderCommand::Place(place), Timestamp::from_micros(0))?;
//! assert!(matches!(events[..], [OrderEvent::OrderPlaced(_)]));
//! let order = events.iter().fold(None, evolve).expect("an OrderPlaced begins an order");
//! assert_eq!(order.total().get(), 3000);
//! # Ok::<(), order_domain::OrderError>(())
//! ```

mod cancellation;
mod command;
mod completion;
mod error;
mod event;
mod fulfilment;
mod hold;
mod inventory;
mod order;
mod payment;
mod placement;
mod returns;
#[cfg(test)]
mod specification;
mod values;

pub use cancellation::{CancelUnits, CancelUnpaidOrder, Cancellation, LinesCancelled, OrderCancelled};
pub use command::{Action, OrderCommand, decide};
pub use completion::{CompleteOrder, OrderCompleted};
pub use error::{Obstacle, ObstacleKind, OrderError};
pub use event::{OrderEvent, evolve};
pub use fulfilment::{
    DeliverShipment, LoseShipment, OrderShipped, ShipOrder, Shipment, ShipmentDelivered, ShipmentLost,
    ShipmentState,
};
pub use hold::{HoldOrder, HoldReleased, OrderHeld, ReleaseHold};
pub use inventory::{
    ExpireReservation, InventoryReserved, ReleaseReservation, Reservation, ReservationReleased,
    ReservationShare, ReserveInventory,
};
pub use iso_currency::Currency;
pub use order::Order;
pub use order::ledger::{LineLedger, PaymentLedger};
pub use order::status::Status;
pub use order::timers::Timer;
pub use order::units::{LineUnits, UnitRequest, UnitSelector};
pub use payment::{
    AuthorizePayment, Capture, CapturePayment, DeclinePayment, ExpireAuthorization, MAX_DECLINES,
    MAX_PAYMENTS, Payment, PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentRefunded,
    PaymentShare, PaymentVoided, Refund, RefundPayment, Void, VoidPayment,
};
pub use placement::*;
pub use returns::{
    ReceiveReturn, RejectReturn, RequestReturn, Return, ReturnReceived, ReturnRejected, ReturnRequested,
    ReturnState,
};
pub use values::cause::Cause;
pub use values::money::{Adjustment, AdjustmentKind, Cents, MAX_CENTS, MoneyError};
pub use values::quantity::{LineNumber, MAX_LINES, MAX_QUANTITY, Quantity};
pub use values::text::{
    CancellationId, CaptureId, Carrier, CustomerId, Label, MAX_METADATA_KEY_CHARS, MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE_CHARS, MAX_REASON_CHARS, MAX_TEXT_CHARS, Metadata, OrderId, PaymentId, Reason,
    RefundId, ReservationId, ReturnId, Sku, TextError, TrackingNumber, VoidId,
};
pub use values::time::{Expiry, MAX_EXPIRES_IN_SECONDS, Timestamp};
