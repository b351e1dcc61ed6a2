//! What there is to be told of a store from which something is missing.

use std::path::{Path, PathBuf};

use order_application::{Position, Version};
use order_domain::OrderId;
use uuid::Uuid;

use crate::counted::counted;
use crate::sqlite::log::accepted_losses::ReceiptGap;

/// What tells that events are missing that were acknowledged, or will be once SQLite has opened the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// There is no log, or what SQLite takes for nothing, beside files that were made of one.
    #[error(
        "the log {} is {}, and there is {}{}",
        log.display(),
        if *is_empty { "empty" } else { "missing" },
        list(leftovers),
        known.map_or(String::new(), |known| format!(", which knows of {}", counted(known.0, "event")))
    )]
    MissingLog {
        /// Where the log should be.
        log: PathBuf,
        /// The file is there.
        is_empty: bool,
        /// The files beside it.
        leftovers: Vec<PathBuf>,
        /// How far the log went at least, if one of them tells.
        known: Option<Position>,
    },
    /// The log's file does not begin as one, and files are there that were made of one.
    #[error(
        "the log {} is no database, and there is {}{}",
        log.display(),
        list(leftovers),
        known.map_or(String::new(), |known| format!(", which knows of {}", counted(known.0, "event")))
    )]
    NoDatabase {
        /// The log.
        log: PathBuf,
        /// The files beside it.
        leftovers: Vec<PathBuf>,
        /// How far the log went at least, if one of them tells.
        known: Option<Position>,
    },
    /// A rollback journal is there. SQLite would play it back, and the log would be what it was when that was written: mostly nothing.
    #[error("the rollback journal {} is there, with which SQLite would undo what the log has", journal.display())]
    Journal {
        /// The journal.
        journal: PathBuf,
    },
    /// The log's file has lost its end.
    #[error("the log {} was cut: of its {of} pages it has {pages}", log.display())]
    CutLog {
        /// The log.
        log: PathBuf,
        /// Whole pages that are there.
        pages: u64,
        /// Pages that there were.
        of: u64,
    },
    /// A frame of the write-ahead log is not what was written, and what was synced after it is there.
    #[error("the write-ahead log {} is damaged at its frame {frame}, and later commits follow", wal.display())]
    BrokenWal {
        /// The write-ahead log.
        wal: PathBuf,
        /// The first frame that cannot be read, from 1.
        frame: u64,
    },
    /// The write-ahead log's header is not what was written, or of an earlier time, and the log lacks what follows it.
    #[error(
        "the header of the write-ahead log {} is damaged, or of an earlier time, and the log lacks what follows it",
        wal.display()
    )]
    WalWithoutHeader {
        /// The write-ahead log.
        wal: PathBuf,
    },
    /// The log has pages that came after all that the write-ahead log has.
    #[error("the write-ahead log {} is from an earlier time than the log beside it", wal.display())]
    EarlierWal {
        /// The write-ahead log.
        wal: PathBuf,
    },
    /// The write-ahead log goes on from a longer log.
    #[error(
        "the write-ahead log {} is from a later time than the log beside it: {} in neither",
        wal.display(), is_or_are(*missing_pages, "page")
    )]
    LaterWal {
        /// The write-ahead log.
        wal: PathBuf,
        /// Pages between what the log has and what the write-ahead log has.
        missing_pages: u64,
    },
    /// The write-ahead log is of another database, or of another store.
    #[error("the write-ahead log {} is of another file than the log beside it", wal.display())]
    OtherWal {
        /// The write-ahead log.
        wal: PathBuf,
    },
    /// Views have events that the log does not have.
    #[error(
        "the views {} end at position {position}, and the log ends at position {end}: {}",
        views.display(),
        missing(position.0 - end.0)
    )]
    ViewsAhead {
        /// The views.
        views: PathBuf,
        /// Where they end.
        position: Position,
        /// Where the log ends.
        end: Position,
    },
    /// Views end with an event that the log does not have there.
    #[error(
        "the views {} are of another history: they end with event {event_id} at position {position}, which the log does \
         not have there",
        views.display()
    )]
    OtherHistory {
        /// The views.
        views: PathBuf,
        /// Where they end.
        position: Position,
        /// The event there.
        event_id: Uuid,
    },
    /// Views have an order that the log does not have there.
    #[error(
        "the views {} have order {order_id}, which begins at position {position}, and the log does not have it there",
        views.display()
    )]
    MissingOrder {
        /// The views.
        views: PathBuf,
        /// The order. There may be others.
        order_id: OrderId,
        /// Where its first event was.
        position: Position,
    },
    /// Views of another log are there, which had events: one of the two is not this store's.
    #[error(
        "the views {} are of another log, which had positions up to {position}, and this one ends at position {end}",
        views.display()
    )]
    OtherLog {
        /// The views.
        views: PathBuf,
        /// Where they end.
        position: Position,
        /// Where this log ends.
        end: Position,
    },
    /// Views have receipts that the log does not have.
    #[error(
        "the views {} have receipts up to number {last}, and the log's last is number {newest}",
        views.display()
    )]
    ReceiptsAhead {
        /// The views.
        views: PathBuf,
        /// The last receipt that they have.
        last: u64,
        /// The last receipt that the log has.
        newest: u64,
    },
    /// The receipt that views end with is another's in the log.
    #[error(
        "the views {} are of another history: they end with the receipt number {last}, which is under another key in the log",
        views.display()
    )]
    OtherReceipt {
        /// The views.
        views: PathBuf,
        /// The last receipt that they have.
        last: u64,
    },
    /// Receipts are missing between others. Old ones are deleted from the first on, so that leaves no gap.
    #[error(
        "the log {} lacks {} (number {first} to {last}) of commands with an Idempotency-Key, and has those before and after \
         them: such a command that is sent again may be carried out a second time",
        log.display(),
        counted(last - first + 1, "receipt")
    )]
    MissingReceipts {
        /// The log.
        log: PathBuf,
        /// The first number that is missing.
        first: u64,
        /// The last number that is missing.
        last: u64,
    },
    /// The log has receipts of commands whose events it does not have.
    #[error(
        "the log {} has the receipt of a command that brought order {order_id} to version {version}, and does not have that \
         event ({} like that among the newest)",
        log.display(),
        counted(*receipts as u64, "receipt")
    )]
    MissingEvent {
        /// The log.
        log: PathBuf,
        /// The order of the newest one. There may be others.
        order_id: OrderId,
        /// The version that it says the order had.
        version: Version,
        /// How many of the receipts that were looked at are of such commands.
        receipts: usize,
    },
    /// Somebody has followed the log further than it goes.
    #[error(
        "the checkpoint {name:?} is at position {position}, and the log ends at position {end}: {}",
        missing(position.0 - end.0)
    )]
    CheckpointAhead {
        /// The checkpoint's name.
        name: Box<str>,
        /// How far it has come.
        position: Position,
        /// Where the log ends.
        end: Position,
    },
}

impl Loss {
    /// Of a log in which there is nothing, beside views that have come to a position.
    pub(crate) fn without_tables(log: &Path, views: PathBuf, position: Position) -> Self {
        let known = Some(position).filter(|position| *position > Position::START);
        Self::MissingLog { log: log.to_owned(), is_empty: true, leftovers: vec![views], known }
    }

    pub(crate) fn of_receipts(log: &Path, ReceiptGap { first, last }: ReceiptGap) -> Self {
        Self::MissingReceipts { log: log.to_owned(), first, last }
    }

    /// Whether SQLite would pour a write-ahead log into a log that it does not belong to, or drop it.
    pub(crate) fn is_of_other_wal(&self) -> bool {
        match self {
            Self::MissingLog { .. }
            | Self::WalWithoutHeader { .. }
            | Self::EarlierWal { .. }
            | Self::LaterWal { .. }
            | Self::OtherWal { .. } => true,
            Self::NoDatabase { .. }
            | Self::Journal { .. }
            | Self::CutLog { .. }
            | Self::BrokenWal { .. }
            | Self::ViewsAhead { .. }
            | Self::OtherHistory { .. }
            | Self::MissingOrder { .. }
            | Self::OtherLog { .. }
            | Self::ReceiptsAhead { .. }
            | Self::OtherReceipt { .. }
            | Self::MissingReceipts { .. }
            | Self::MissingEvent { .. }
            | Self::CheckpointAhead { .. } => false,
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}

fn missing(count: u64) -> String {
    format!("{} missing", is_or_are(count, "event"))
}

/// `1 event is`, `2 events are`.
fn is_or_are(count: u64, what: &str) -> String {
    format!("{} {}", counted(count, what), if count == 1 { "is" } else { "are" })
}
