//! What an order may do, told as: given these events, when this command, then these events or this refusal.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]

mod authorize_payment;
mod harness;
mod place;
mod properties;
mod reserve_inventory;
mod ship;
mod status;
