//! Live feeds: many readers of them, and the bare stream that is their limit.

mod bare;
mod readers;

pub(crate) use self::bare::run as run_bare_stream;
pub(crate) use self::readers::{Drained, Readers, Watched, whole_feed};
