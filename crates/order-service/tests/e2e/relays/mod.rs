//! Relays of the real binary to real brokers, and what befalls both.
//!
//! | file | holds |
//! |---|---|
//! | `broker.rs`, `channel.rs` | brokers that can be broken; a stream or a topic of one, and its name |
//! | `nats.rs`, `kafka.rs` | consumers with plain clients, which know nothing of this project |
//! | `event.rs`, `primary.rs` | an event as anybody sees it; the log as the service tells it |
//! | `check.rs`, `verdict.rs` | what a consumer may rely on, held against the log |
//! | `load.rs`, `ready.rs` | steady clients; how a relay says it is |
//!
//! The other files are tests: one for each kind of fault, and `controls.rs`, which sees the checker go red.

mod again;
pub(crate) mod broker;
pub(crate) mod channel;
mod check;
mod consumers;
mod controls;
mod cuts;
mod event;
mod gone_back;
pub(crate) mod kafka;
mod killed_service;
mod leaders;
mod leases;
mod load;
mod made_anew;
mod misconfigured;
pub(crate) mod nats;
mod outages;
mod primary;
pub(crate) mod ready;
mod refused;
mod two_histories;
pub(crate) mod verdict;
mod wiped;
