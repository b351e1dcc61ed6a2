//! Several instances of the real binary on one real PostgreSQL, and what befalls them.
//!
//! | file | holds |
//! |---|---|
//! | `clients.rs`, `followers.rs` | who works on the instances, and writes down what it sends and hears |
//! | `history.rs` | what they wrote down |
//! | `model.rs`, `log.rs` | an order as it should be, and the log followed by that |
//! | `check.rs`, `views.rs`, `breach.rs` | the checkers, and what they find |
//! | `scenario.rs` | a run from start to verdict |
//! | `sql.rs`, `proxy.rs` | the test's own way to the database, and one that breaks |
//!
//! The other files are tests: one for each kind of fault, and two (`controls.rs`, `tampering.rs`) that see the checkers go
//! red.

mod awaited;
mod breach;
mod calm;
mod check;
mod clients;
mod clocks;
mod controls;
mod cuts;
mod everything_at_once;
mod followers;
mod foreign_sessions;
mod frozen_instance;
mod gone_back;
mod history;
mod keys;
mod log;
mod model;
mod old_primary;
mod one_order;
mod outages;
mod passwords;
mod pooler;
mod proxy;
mod refused_starts;
mod restores;
mod scenario;
pub(crate) mod sql;
mod standby;
mod tampering;
mod timers;
mod tls;
mod views;
