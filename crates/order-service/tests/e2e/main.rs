//! The real binary, from end to end: started, killed, restarted, filled up and lied to.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]

mod access;
#[cfg(feature = "full-tests")]
mod backup;
mod canaries;
mod checker;
mod client_commands;
#[cfg(feature = "full-tests")]
mod clients;
#[cfg(feature = "full-tests")]
mod copy;
mod damage;
mod drain;
mod export;
#[cfg(feature = "full-tests")]
mod faults;
mod hang_up;
mod hostile;
mod http;
mod kill;
mod live_feed;
mod load;
mod logs;
mod lost_files;
mod metrics;
#[cfg(feature = "full-tests")]
mod opening;
mod permissions;
#[cfg(feature = "full-tests")]
mod postgres;
mod print;
mod progress;
#[cfg(feature = "full-tests")]
mod proxy;
mod random;
mod rebuild;
#[cfg(feature = "full-tests")]
mod relays;
#[cfg(feature = "full-tests")]
mod replica;
mod scrub;
mod server;
mod settings;
mod standard_streams;
mod start_up;
mod timers;
mod tls;
mod traces;
#[cfg(feature = "full-tests")]
mod walks;
mod workflow;
