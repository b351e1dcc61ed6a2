//! An order that waits: nothing is reserved, shipped, captured or completed.

pub(crate) mod place;
pub(crate) mod release;

pub use place::{HoldOrder, OrderHeld};
pub use release::{HoldReleased, ReleaseHold};
