//! NATS JetStream: the log as a stream, for whoever wants to read along.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | `nats://…` |
//! | `client.rs`, `error.rs` | one connection, and what it means when something goes wrong |
//! | `stream.rs`, `inspection.rs` | the stream: made, or looked at |
//! | `broker.rs`, `evidence.rs`, `resumption.rs` | opening a publication: what the stream has to show, and where to go on |
//! | `publication.rs`, `window.rs` | publishing, and what is not acknowledged yet |
//! | `message.rs` | an event as a message, and back |
//! | `log.rs`, `reader.rs` | reading, as a replica does |

mod broker;
mod client;
mod error;
mod evidence;
mod inspection;
mod log;
mod message;
mod options;
mod publication;
mod reader;
mod resumption;
mod stream;
mod window;

pub use broker::NatsBroker;
pub use log::NatsLog;
pub use options::NatsOptions;
