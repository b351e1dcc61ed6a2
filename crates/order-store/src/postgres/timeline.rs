//! Which of several servers is the primary that took over last. Each promotion of a standby begins a timeline with the next
//! higher number, so a primary on a lower one than has been seen is an old primary that came back: it takes writes as any other,
//! and lacks all that was written since.

use std::fmt;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Row};

/// The columns that [`Timeline::of`] reads. Any role may ask. The name of the file that is being written begins with the
/// timeline; the control file has the new one only after the first checkpoint that follows a promotion.
macro_rules! timeline_columns {
    () => {
        "(SELECT system_identifier FROM pg_control_system()), \
         CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END"
    };
}
pub(super) use timeline_columns;

/// A timeline of a database cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeline {
    /// What the cluster and all copies of its files have in common.
    pub(super) system: i64,
    pub(super) number: u32,
}

impl Timeline {
    /// Of a row that has [`timeline_columns`] from a place on; `None` on a standby.
    pub(super) fn of(row: &Row, place: usize) -> Result<Option<Self>, Error> {
        let (system, file): (Option<i64>, Option<&str>) = (row.try_get(place)?, row.try_get(place + 1)?);
        Ok(system.zip(file.and_then(number_in)).map(|(system, number)| Self { system, number }))
    }

    /// Asks a server that nothing else is asked of; `None` where it does not tell.
    pub(super) async fn ask(client: &Client) -> Result<Option<Self>, Error> {
        match client.query_typed_one(concat!("SELECT ", timeline_columns!()), &[]).await {
            Ok(row) => Self::of(&row, 0),
            Err(error) if is_not_told(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether others have taken over since, as this one shows.
    pub(super) fn was_left_for(self, other: Self) -> bool {
        self.system == other.system && self.number < other.number
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeline {}", self.number)
    }
}

/// Whether the server has no such functions, or keeps them from this role, as services do that replicate in their own way
/// (Amazon Aurora).
pub(super) fn is_not_told(error: &Error) -> bool {
    let states = [
        SqlState::UNDEFINED_FUNCTION,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
    ];
    error.code().is_some_and(|state| states.contains(state))
}

/// The first eight digits of a name such as `00000002000000000000000A`.
fn number_in(wal_file: &str) -> Option<u32> {
    u32::from_str_radix(wal_file.get(..8)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_read_from_the_name_of_a_file_of_the_log() {
        assert_eq!(number_in("000000020000000A000000FF"), Some(2));
        assert_eq!(number_in("FFFFFFFF0000000000000001"), Some(u32::MAX));
        for other in ["", "0000000", "timeline", "00000é00"] {
            assert_eq!(number_in(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_lower_timeline_of_the_same_cluster_was_left() {
        let timeline = |system, number| Timeline { system, number };
        assert!(timeline(7, 1).was_left_for(timeline(7, 2)));
        for other in [timeline(7, 1), timeline(7, 2), timeline(8, 3)] {
            assert!(!timeline(7, 2).was_left_for(other), "{other:?}");
        }
    }
}
