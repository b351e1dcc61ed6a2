//! What the use cases need from outside. Adapters live in `order-store` and `order-bus`.

pub mod clock;
pub mod event_bus;
pub mod event_store;
pub mod ids;
