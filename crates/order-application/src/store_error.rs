/// Why a store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much is asked of it at once: a queue, the overlay or the line for one order is full. Nothing happened; try again later.
    #[error("the store has more work than it can take")]
    Overloaded,
    /// It cannot be reached or has stopped. Nothing happened.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Whether the append happened could not be learnt. The same command may be sent again.
    #[error("whether the command took effect is unknown: {0}")]
    OutcomeUnknown(String),
    /// There is no space left to write to. Nothing happened.
    #[error("no space left for the store")]
    StorageFull,
    /// What was read is not what was written.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// A view is not what was written, and is being repaired from the log. Nothing happened.
    #[error("a view is damaged and is being repaired: {0}")]
    DamagedView(String),
    /// A newer release wrote it, and this one cannot read it. Nothing is wrong with it.
    #[error("a newer release is needed: {0}")]
    NewerRelease(String),
}
