//! Event stores with their views.
//!
//! | store | for |
//! |---|---|
//! | [`MemoryStore`] | tests and demos: gone at exit |
//!
//! Both go through one contract suite, `tests/contract`. To add a store: one folder here, one arm in the binary's wiring,
//! one line that calls the suite.

mod memory;

pub use memory::MemoryStore;
