//! Time as the domain sees it: a label that arrives with the command. Order never depends on it.

/// Longest life of a reservation or an authorisation, and longest term for a payment, in seconds: one year of 365 days.
pub const MAX_EXPIRES_IN_SECONDS: u32 = 31_536_000;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(unix_micros: i64) -> Self {
        Self(unix_micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// So many seconds later.
    pub const fn plus_seconds(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds as i64 * 1_000_000))
    }
}

/// When something ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// The life that was asked for, in seconds: 1 to [`MAX_EXPIRES_IN_SECONDS`].
    pub seconds: u32,
    /// When that is over, by the clock at the command.
    pub at: Timestamp,
}

impl Expiry {
    /// So many seconds from now, if that was asked for.
    pub(crate) fn from_now(seconds: Option<u32>, now: Timestamp) -> Option<Self> {
        seconds.map(|seconds| Self { seconds, at: now.plus_seconds(seconds) })
    }
}
