//! What a backup has: `manifest.json`.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use order_application::{Checkpoint, Position, rfc3339};
use order_domain::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::BackupDirError;
use crate::checksum::Checksum;
use crate::copy::NamedCheckpoints;

/// The format that this release writes, and the latest that it reads.
pub(super) const FORMAT: u64 = 1;

/// What stands before the checksum, which is that of all bytes before these.
const BEFORE_CHECKSUM: &str = ",\n  \"checksum\": \"";
const AFTER_CHECKSUM: &str = "\"\n}\n";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u64,
    /// What tells the log from every other.
    #[serde(with = "text")]
    pub(super) log_id: Uuid,
    /// The last run that was finished; `None`: there is nothing to restore yet.
    pub(super) finished: Option<FinishedRun>,
    /// The log, in its order. A run that was cut short may have left more than the last finished one.
    pub(super) events: Vec<EventPart>,
}

/// The moment that a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FinishedRun {
    /// Numbers the runs.
    pub(super) number: u64,
    #[serde(with = "time")]
    pub(super) made_at: Timestamp,
    /// The first event's position; 0 while there is none.
    pub(super) first_position: u64,
    /// The last event's position; 0 while there is none.
    pub(super) last_position: u64,
    /// What events give as their source, as whoever made the backup has said.
    pub(super) event_source: String,
    pub(super) receipts: Vec<ReceiptPart>,
    pub(super) checkpoints: Vec<SavedCheckpoint>,
}

/// A file of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventPart {
    #[serde(flatten)]
    pub(super) file: PartFile,
    pub(super) first: u64,
    pub(super) last: u64,
    #[serde(with = "text")]
    pub(super) last_id: Uuid,
    /// The latest time of its events.
    #[serde(with = "time")]
    pub(super) latest: Timestamp,
}

/// A file of receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReceiptPart {
    #[serde(flatten)]
    pub(super) file: PartFile,
    pub(super) receipts: u64,
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartFile {
    #[serde(rename = "file")]
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Of all its bytes, as [`Checksum`] writes it.
    pub(super) checksum: String,
}

/// How far a follower of the log had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedCheckpoint {
    name: String,
    position: u64,
    evidence: Option<String>,
}

impl Manifest {
    /// Of a backup that has nothing yet.
    pub(super) fn new(log_id: Uuid) -> Self {
        Self { format: FORMAT, log_id, finished: None, events: Vec::new() }
    }

    /// Up to where the log is there.
    pub(super) fn events_end(&self) -> Position {
        self.events.last().map_or(Position::START, |part| Position(part.last))
    }

    /// All files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &PartFile> {
        let receipts = self.finished.iter().flat_map(|run| &run.receipts).map(|part| &part.file);
        self.events.iter().map(|part| &part.file).chain(receipts)
    }

    pub(super) fn to_text(&self) -> serde_json::Result<String> {
        let document = serde_json::to_string_pretty(self)?;
        let covered = document.strip_suffix("\n}").unwrap_or(&document);
        let checksum = Checksum::of(covered.as_bytes());
        Ok(format!("{covered}{BEFORE_CHECKSUM}{checksum}{AFTER_CHECKSUM}"))
    }

    /// Reads what is in the file at `path`.
    pub(super) fn parse(text: &[u8], path: &Path) -> Result<Self, BackupDirError> {
        let damaged = |what: &str| BackupDirError::damaged(path, what);
        let text = std::str::from_utf8(text).map_err(|_| damaged("it is not UTF-8"))?;
        let (covered, checksum) =
            text.rsplit_once(BEFORE_CHECKSUM).ok_or_else(|| damaged("it has no end"))?;
        if format!("{}{AFTER_CHECKSUM}", Checksum::of(covered.as_bytes())) != checksum {
            return Err(damaged("its checksum does not match"));
        }
        let document = format!("{covered}\n}}");
        let unreadable = |error: serde_json::Error| damaged(&error.to_string());
        let Format { format } = serde_json::from_str(&document).map_err(unreadable)?;
        if format > FORMAT {
            let path = path.parent().unwrap_or(path).to_owned();
            return Err(BackupDirError::Newer { path, found: format, known: FORMAT });
        }
        let manifest: Self = serde_json::from_str(&document).map_err(unreadable)?;
        manifest
            .is_consistent()
            .then_some(manifest)
            .ok_or_else(|| damaged("its parts do not follow on each other"))
    }

    /// Whether its parts have the log without a gap, and all that the last finished run had.
    fn is_consistent(&self) -> bool {
        let mut end = 0;
        let follow = self.events.iter().all(|part| {
            let follows = part.first == end + 1 && part.last >= part.first;
            end = part.last;
            follows
        });
        follow && self.finished.as_ref().is_none_or(|run| run.last_position <= end)
    }
}

/// All that is known of a document before its format is.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl SavedCheckpoint {
    pub(super) fn all(checkpoints: NamedCheckpoints) -> Vec<Self> {
        let saved = |(name, Checkpoint { position, evidence }): (String, Checkpoint)| Self {
            name,
            position: position.0,
            evidence: evidence.map(String::from),
        };
        checkpoints.into_iter().map(saved).collect()
    }

    pub(super) fn named(&self) -> (String, Checkpoint) {
        let evidence = self.evidence.clone().map(String::into_boxed_str);
        (self.name.clone(), Checkpoint { position: Position(self.position), evidence })
    }
}

/// Values as the text that they are shown as.
mod text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Times as RFC 3339 has them.
mod time {
    use super::*;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&rfc3339::format(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        rfc3339::parse(&text).ok_or_else(|| D::Error::custom("not a time"))
    }
}
