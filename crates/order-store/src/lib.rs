//! Event stores with their views.
//!
//! | store | for |
//! |---|---|
//! | [`SqliteStore`] | one machine, durable: the default |
//! | [`MemoryStore`] | tests and demos: gone at exit |
//!
//! Both go through one contract suite, `tests/stores/contract`. To add a store: one folder here, one arm in the binary's wiring,
//! one line that calls the suite.

mod memory;
mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::{OpenError, SqliteLimits, SqliteStore, VerifyReport, verify};
