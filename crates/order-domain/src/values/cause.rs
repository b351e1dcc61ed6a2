//! Why an event happened that no client asked for by itself.

/// What led to an event that no client named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Units were cancelled, which lowered what is due or took reserved units.
    Cancelled,
    /// Units came back, which lowered what is due.
    Returned,
    /// The life that was asked for is over.
    Expired,
    /// Payments did not cover the order in time.
    Unpaid,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Cancelled, Self::Returned, Self::Expired, Self::Unpaid];

    /// Its name in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
            Self::Expired => "expired",
            Self::Unpaid => "unpaid",
        }
    }

    /// The cause of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}
