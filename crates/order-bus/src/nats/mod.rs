//! NATS JetStream: the log as a stream, for whoever wants to read along.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs`, `units.rs` | `nats://…` |
//! | `connection.rs` | one connection, and what it means when there is none |
//! | `stream.rs` | the stream: made, or looked at |
//! | `evidence.rs` | what the stream had to show, and where to go on |
//! | `publication.rs`, `window.rs` | publishing, and what is not acknowledged yet |
//! | `reader.rs` | reading, as a replica does |
//! | `refusal.rs` | what JetStream's error codes mean |
//! | `message.rs` | an event as a message, and back |

mod connection;
mod evidence;
mod message;
mod options;
mod publication;
mod reader;
mod refusal;
mod stream;
mod units;
mod window;

pub use options::NatsOptions;
pub use publication::NatsBroker;
pub use reader::NatsLog;
