//! The good end.

pub(crate) mod complete;

pub use complete::{CompleteOrder, OrderCompleted};
