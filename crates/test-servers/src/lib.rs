//! Real servers for tests. Each is started by the test process, on this machine, without containers and without
//! anything to prepare: the programs are found or fetched, the data directory is private, the port was free.
//!
//! ```no_run
//! use test_servers::{NatsCluster, PostgresOptions, PostgresServer};
//!
//! # fn main() -> anyhow::Result<()> {
//! // A fresh database on the server that all tests of this process share:
//! let url = PostgresServer::shared()?.create_database()?;
//! // A server of one's own, to be killed:
//! let mut server = PostgresServer::start(PostgresOptions::durable())?;
//! server.kill_hard()?;
//! server.start_again()?;
//! // Three that replicate:
//! let mut cluster = NatsCluster::start(3)?;
//! if let Some(leader) = cluster.leader_of_stream("orders") {
//!     cluster.nodes_mut()[leader].kill_hard()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **A server ends with the test process**, and its directory with it, however that process ends: a supervisor waits
//! for the end of a pipe that only the test process holds.
//!
//! **As root** servers are run as `postgres` or `nobody`, because most of them refuse to be root.
//!
//! To add another kind of server: a folder beside [`nats`] that finds its programs, writes its configuration into the
//! supervised directory, and says when the server is ready. What they have in common lies beside the folders; what befalls
//! a [`Server`] of any kind, in its methods. ([`postgres`] has its own, with more ways to end and to follow one another.)
//!
//! All calls block; in an asynchronous test that does no harm. Linux only: processes are looked up in `/proc`.

mod cache;
mod certificate;
mod command;
mod http;
pub mod kafka;
pub mod nats;
mod node;
mod port;
pub mod postgres;
mod process;
mod python;
mod server;
mod supervised;
mod user;
mod wait;

pub use certificate::{Authority, Certificate};
pub use kafka::{KafkaCluster, KafkaOptions, KafkaServer};
pub use nats::{NatsCluster, NatsOptions, NatsServer};
pub use node::node_packages;
pub use port::free_port;
pub use postgres::{PgBouncer, PostgresOptions, PostgresServer, PostgresVersion, Replication};
pub use python::{python_packages, python_requirements};
pub use server::{Cluster, Server};
