//! NATS JetStream: the log as a stream, for whoever wants to read along. `stream.rs`, `inspection.rs` and `search.rs`
//! make the stream, or look at it; the other files are those that every broker has.

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
mod search;
mod stream;
mod window;

pub use broker::NatsBroker;
pub use log::NatsLog;
pub use options::NatsOptions;
