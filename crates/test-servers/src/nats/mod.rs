//! NATS with JetStream: one server, or several that replicate streams.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | what a server is asked to be |
//! | `program.rs` | where its program is, and how it gets there |
//! | `configuration.rs` | its configuration file |
//! | `server.rs` | a running server, or several: where they are, who leads |

mod configuration;
mod options;
mod program;
mod server;

pub use options::NatsOptions;
pub use program::program;
pub use server::{Nats, NatsCluster, NatsServer};
