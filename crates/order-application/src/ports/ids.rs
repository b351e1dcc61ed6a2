//! New names.

use uuid::Uuid;

/// Makes ids that nobody else makes.
pub trait IdSource: Send + Sync + 'static {
    /// A fresh UUIDv7 (RFC 9562).
    fn next(&self) -> Uuid;
}
