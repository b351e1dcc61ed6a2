//! Backups: directories that have a store's log, receipts and followers' checkpoints, made beside whoever serves from it, and
//! stores made from them.
//!
//! # The directory
//!
//! | file | holds |
//! |---|---|
//! | `manifest.json` | what is in the other files, and of which moment it is |
//! | `events-N.part` | a part of the log, from position N on |
//! | `receipts-R-N.part` | what was answered under clients' keys, as it was at run R: its part N |
//! | `backup.lock` | nothing: whoever makes or reads a backup holds a lock on it |
//!
//! Events are added: a run goes on where the last one ended, also one that was cut short. Receipts are all written anew, for
//! the oldest go as new ones come; so are the checkpoints, which stand in the manifest. There are no views: whoever opens a
//! store derives them. A file is written under another name (`.tmp`), synced, and then renamed. The manifest is replaced as
//! parts are added, and says only at the end of a run that the run is finished. Until then what the last one had can be
//! restored.
//!
//! # The files
//!
//! A part begins with a line that says what it is: `order-service backup 1: events`, or `receipts`. Records follow:
//!
//! | bytes | of an event | of a receipt |
//! |---|---|---|
//! | 4 | length of what follows, without the checksum | the same |
//! | 8 | position | key (16) |
//! | 8 | version | fingerprint (16) |
//! | 8 | time, in microseconds since 1970 | version |
//! | 16 | id | time of the answer (8) |
//! | 8 and more | order id, type, data, context, source: each with its length before it, 2⁶⁴ - 1 for one that is missing | order id, kind of the answer |
//! | 9 | checksum of all but the length, as a row of a SQLite log has it | the same |
//!
//! All numbers are little-endian. A checksum is a byte that names the format (1), and for that XXH3 with 64 bits and seed 0.
//! The manifest has the length and the checksum of each part, and ends with a checksum of all that stands before.
//!
//! # The code
//!
//! | file | holds |
//! |---|---|
//! | `making.rs` | a run, from a store to a directory |
//! | `restoring.rs`, `source.rs` | a store from a directory: a [copy](crate::copy()) of which the backup is the source |
//! | `until.rs` | up to where it is restored |
//! | `verifying.rs` | a backup checked from end to end |
//! | `directory.rs`, `manifest.rs`, `part.rs`, `record.rs` | the files |

mod directory;
mod error;
mod making;
mod manifest;
mod part;
mod record;
mod restoring;
mod source;
mod until;
mod verifying;

pub use error::{BackupDirError, BackupError, RestoreError};
pub use making::{BACKUP_PART_BYTES, BackupOptions, BackupReport, backup};
pub use restoring::{RestoreLimits, RestoreReport, restore};
pub use until::Until;
pub use verifying::verify_backup;
