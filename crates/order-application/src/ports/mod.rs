//! What the use cases need from outside. Adapters live in `order-store` and `order-bus`.

pub mod broker;
pub mod checkpoints;
pub mod clock;
pub mod event_bus;
pub mod event_log;
pub mod ids;
pub mod order_views;
pub mod receipts;
pub mod replica_store;
pub mod view_repair;
