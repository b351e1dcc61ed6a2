//! NATS JetStream: the log as a stream, for whoever wants to read along.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | `nats://…` |
//! | `connection.rs` | one connection, and what it means when there is none |
//! | `stream.rs`, `inspection.rs` | the stream: made, or looked at |
//! | `evidence.rs` | what the stream had to show, and where to go on |
//! | `broker.rs`, `publication.rs`, `window.rs` | publishing, and what is not acknowledged yet |
//! | `answer.rs`, `refusal.rs` | the stream's answers, and what JetStream's error codes mean |
//! | `message.rs` | an event as a message, and back |
//! | `reader.rs`, `bookmark.rs` | reading, as a replica does |

mod answer;
mod bookmark;
mod broker;
mod connection;
mod evidence;
mod inspection;
mod message;
mod options;
mod publication;
mod reader;
mod refusal;
mod stream;
mod window;

pub use broker::NatsBroker;
pub use options::NatsOptions;
pub use reader::NatsLog;
