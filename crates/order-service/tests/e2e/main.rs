//! The real binary, from end to end: started, killed, restarted, filled up and lied to.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]

mod checker;
mod http;
mod kill;
mod load;
mod random;
mod server;
mod start_up;
mod workflow;
