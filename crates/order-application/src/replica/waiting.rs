use tokio::time::Instant;

use super::merge::Merge;
use crate::event::Position;

/// Waiting for a position while later ones are here.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    /// What the merge had heard when the waiting began; more than that is hope.
    heard: u64,
    /// Since when nothing has come from where the position may be.
    pub(super) since: Instant,
}

impl Waiting {
    /// Looks again whether there is something to wait for.
    pub(super) fn look(before: Option<Self>, merge: &Merge) -> Option<Self> {
        if merge.gap().is_none() || merge.missing.is_some() {
            return None;
        }
        let heard = merge.heard;
        let unchanged = before.filter(|waiting| waiting.heard == heard);
        Some(unchanged.unwrap_or_else(|| Self { heard, since: Instant::now() }))
    }
}

/// What to do about a position that is missing.
pub(super) fn advice(position: Position, why: &str, next: Position) -> String {
    format!(
        "position {position} is missing: {why}, and the next one that it has is {next}. Publish again from there, with \
         `order-service republish --bus URL --from-position {position}` on the primary; or start this replica with \
         `--from-file FILE`, where FILE is what `order-service export --from-position {position}` writes there"
    )
}
