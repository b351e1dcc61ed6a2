//! Event buses. The in-process one is always there; brokers come beside it, not in its place.

mod in_process;

pub use in_process::InProcessBus;
