//! PostgreSQL, and PgBouncer in front of it.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | what a server is asked to be |
//! | `programs.rs`, `wheel.rs` | where its programs are, and how they get there |
//! | `cluster.rs` | the data directory and its configuration |
//! | `server.rs` | a running server: databases, and everything that can befall it |
//! | `standby.rs` | a second server that follows the first |
//! | `backup.rs` | a second server that is made from a backup of the first |
//! | `pgbouncer.rs` | a connection pooler between client and server |

mod backup;
mod cluster;
mod options;
mod pgbouncer;
mod programs;
mod server;
mod standby;
mod wheel;

pub use options::{PostgresOptions, PostgresVersion};
pub use pgbouncer::PgBouncer;
pub use programs::{Programs, installed_versions};
pub use server::PostgresServer;
pub use standby::Replication;

pub use crate::certificate::Certificate;
