//! What an order may do, told as: given these events, when this command, then these events or this refusal.

mod authorize_payment;
mod harness;
mod place;
mod properties;
mod reserve_inventory;
mod ship;
mod status;
