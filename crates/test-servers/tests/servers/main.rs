//! The servers that tests are given: they start, they suffer what they are told to, and they go.

#![cfg(feature = "full-tests")]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod end;
mod kafka;
mod nats;
mod pgbouncer;
mod postgres;
mod standby;
