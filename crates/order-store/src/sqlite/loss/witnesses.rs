//! What else knows of the events that a log should have: its views, and the checkpoints of those who follow it. And what the log
//! says of its receipts itself.

use std::path::{Path, PathBuf};

use order_application::Position;
use rusqlite::Connection;
use uuid::Uuid;

use crate::sqlite::log::{self, accepted_losses, follower_checkpoints, receipts};
use crate::sqlite::loss::Loss;
use crate::sqlite::loss::known_orders::{self, KnownOrder};
use crate::sqlite::outside::OutsideFile;
use crate::sqlite::views::files;
use crate::sqlite::views::progress::{FileProgress, ViewsOrigin};
use crate::sqlite_error::SqliteError;

/// What a log lacks that something knows of. Nothing is changed. `with_wal`: the write-ahead log belongs to it.
pub(super) fn losses(log_path: &Path, with_wal: bool) -> Result<Vec<Loss>, SqliteError> {
    let opened = if with_wal {
        OutsideFile::open(log_path, log_path)
    } else {
        OutsideFile::open_alone(log_path, log_path)
    };
    // Whoever opens it for good says why that cannot be done.
    let Some(log) = opened.ok().and_then(|file| WitnessedLog::of(file).ok()) else { return Ok(Vec::new()) };
    let mut losses = Vec::new();
    for number in files::numbers(log_path)? {
        let path = files::path(log_path, number);
        if let Some(known) = known_to_views(log_path, &path) {
            losses.extend(log.lost_by_views(log_path, &path, &known));
        }
    }
    losses.extend(log.lost_by_followers());
    losses.extend(log.lost_receipts(log_path));
    Ok(losses)
}

/// What views know.
pub(super) struct KnownToViews {
    pub(super) origin: ViewsOrigin,
    /// The rest, if they are of this release's schema.
    progress: Option<FileProgress>,
    /// Some of their orders, if they are of this release's schema.
    orders: Vec<KnownOrder>,
}

/// How far views have come, if they are complete and can tell.
pub(super) fn known_to_views(log_path: &Path, views_path: &Path) -> Option<KnownToViews> {
    // What was written to the file itself is true as well, if what is beside it cannot be read.
    let opened = [OutsideFile::open(log_path, views_path), OutsideFile::open_alone(log_path, views_path)];
    opened.into_iter().flatten().find_map(|views| {
        let origin = ViewsOrigin::load_complete(&views.connection).ok()?;
        let progress = FileProgress::load_complete(&views.connection).ok();
        let last_key = progress.map(|progress| Position(progress.last_key));
        let orders = last_key.map_or_else(Vec::new, |last| known_orders::some(&views.connection, last));
        Some(KnownToViews { origin, progress, orders })
    })
}

struct WitnessedLog {
    file: OutsideFile,
    /// `None`: nothing was ever written to it.
    identity: Option<Uuid>,
    end: Position,
}

impl WitnessedLog {
    fn of(file: OutsideFile) -> rusqlite::Result<Self> {
        if log::is_empty(&file.connection)? {
            return Ok(Self { file, identity: None, end: Position::START });
        }
        let (identity, end) = (log::identity(&file.connection)?, log::end(&file.connection)?);
        Ok(Self { file, identity: Some(identity), end })
    }

    fn connection(&self) -> &Connection {
        &self.file.connection
    }

    fn lost_by_views(&self, log_path: &Path, path: &Path, known: &KnownToViews) -> Vec<Loss> {
        let ViewsOrigin { log_identity, position, event_id } = known.origin;
        let (views, end) = (path.to_owned(), self.end);
        // Views are made of a log whose tables are safe.
        let Some(identity) = self.identity else {
            return vec![Loss::without_tables(log_path, views, position)];
        };
        if identity != log_identity {
            // Of a log that never had an event nothing is lost.
            let other = Loss::OtherLog { views, position, end };
            return (position > Position::START).then_some(other).into_iter().collect();
        }
        if position > end {
            return vec![Loss::ViewsAhead { views, position, end }];
        }
        let mut losses = Vec::new();
        if position > Position::START
            && let Ok(found) = log::event_id_at(self.connection(), position)
            && found != Some(event_id)
        {
            losses.push(Loss::OtherHistory { views: views.clone(), position, event_id });
        }
        if losses.is_empty()
            && let Some(order) = known.orders.iter().find(|order| order.is_lost(self.connection()))
        {
            let KnownOrder { order_id, position } = order.clone();
            losses.push(Loss::MissingOrder { views: views.clone(), order_id, position });
        }
        losses.extend(known.progress.and_then(|progress| self.lost_receipt(views, &progress)));
        losses
    }

    fn lost_receipt(&self, views: PathBuf, progress: &FileProgress) -> Option<Loss> {
        let last = progress.receipts.last;
        let newest = receipts::newest(self.connection()).ok()?.unwrap_or_default();
        if last > newest {
            return Some(Loss::ReceiptsAhead { views, last, newest });
        }
        let may_be = progress.receipts.may_be_of(self.connection(), progress.hash_seed).ok()?;
        (!may_be).then_some(Loss::OtherReceipt { views, last })
    }

    /// An earlier release's log cannot tell.
    fn lost_receipts(&self, log_path: &Path) -> Option<Loss> {
        let missing = accepted_losses::some_missing_receipts(self.connection()).ok()?;
        missing.map(|gap| Loss::of_receipts(log_path, gap))
    }

    fn lost_by_followers(&self) -> Vec<Loss> {
        let checkpoints = follower_checkpoints::load_all(self.connection()).unwrap_or_default();
        let ahead = checkpoints.into_iter().filter(|(_, checkpoint)| checkpoint.position > self.end);
        ahead
            .map(|(name, checkpoint)| Loss::CheckpointAhead {
                name: name.into(),
                position: checkpoint.position,
                end: self.end,
            })
            .collect()
    }
}
