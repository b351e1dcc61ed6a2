//! What the view writer is given to do.

use std::sync::mpsc::SyncSender;

use crate::sqlite::rebuild::build::BuiltViews;
use crate::sqlite_error::SqliteError;

/// Whoever has this to be done sends it to the thread, which takes one after the other.
pub(crate) enum ViewWriterWork {
    /// To write what has changed.
    Flush,
    /// To go on with another file, and to say whether that went well.
    Replace(Box<BuiltViews>, SyncSender<Result<(), SqliteError>>),
    /// To write everything, and end.
    Finish,
}
