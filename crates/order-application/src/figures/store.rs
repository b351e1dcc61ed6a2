//! What stores count, and what can be asked of them at any moment.

use std::time::Duration;

use super::{Counter, Histogram};

/// Sizes of batches, in appends.
const BATCH_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Times of commits, in microseconds.
const COMMIT_BOUNDS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000,
];

/// What a store's writer counts.
#[derive(Debug)]
pub struct WritingFigures {
    /// How many appends were committed together.
    pub batch_appends: Histogram,
    /// How long commits took that succeeded, in microseconds: from the first row until they were durable.
    pub commit_micros: Histogram,
    shed: [Counter; Shed::ALL.len()],
}

impl Default for WritingFigures {
    fn default() -> Self {
        Self {
            batch_appends: Histogram::new(BATCH_BOUNDS),
            commit_micros: Histogram::new(COMMIT_BOUNDS),
            shed: Default::default(),
        }
    }
}

impl WritingFigures {
    /// So many appends were committed together, which took so long.
    pub fn committed(&self, appends: usize, took: Duration) {
        self.batch_appends.observe(appends as u64);
        self.commit_micros.observe_time(took);
    }

    /// Something was refused.
    pub fn shed(&self, why: Shed) {
        self.shed[why as usize].add_one();
    }

    /// How much was refused so far, and why.
    pub fn shed_so_far(&self) -> impl Iterator<Item = (Shed, u64)> {
        Shed::ALL.into_iter().zip(&self.shed).map(|(why, count)| (why, count.now()))
    }
}

/// Why a store refuses what it could do at another moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// As many wait for the writer as may, or as many bytes.
    QueueFull,
    /// It has waited too long for the writer to begin with it.
    WaitedTooLong,
    /// The views are too far behind.
    ViewsBehind,
}

impl Shed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::WaitedTooLong, Self::ViewsBehind];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "waited_too_long",
            Self::ViewsBehind => "views_behind",
        }
    }
}

/// A store that can say how it is at any moment, without waiting for anything.
pub trait MeasuredStore: Send + Sync + 'static {
    /// How it is now.
    fn figures(&self) -> StoreFigures<'_>;
}

/// How a store is now. A part that it does not have is left out.
#[derive(Debug, Clone, Default)]
pub struct StoreFigures<'s> {
    /// What its writer has counted.
    pub writing: Option<&'s WritingFigures>,
    /// What waits for the writer.
    pub queue: Option<QueueFigures>,
    /// Events of the log that the views' file does not have yet; reads miss none of them.
    pub views_lag: Option<u64>,
    /// Its connections to the database.
    pub pool: Option<PoolFigures>,
    /// The disk that its files are on.
    pub disk: Option<DiskFigures>,
}

/// What waits for a store's writer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Appends.
    pub requests: usize,
    /// Bytes of their events.
    pub bytes: usize,
    /// Most appends that may wait.
    pub max_requests: usize,
    /// Most bytes that may.
    pub max_bytes: usize,
}

/// The disk that a store's files are on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskFigures {
    /// Bytes that may still be written to it.
    pub free_bytes: u64,
    /// Its size.
    pub bytes: u64,
}

/// The connections that reads share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolFigures {
    /// In use now.
    pub in_use: usize,
    /// Open, and free.
    pub idle: usize,
    /// Who waits for one.
    pub waiting: usize,
    /// Most that are opened.
    pub max: usize,
    /// How often somebody waited for one in vain.
    pub refused: u64,
}
