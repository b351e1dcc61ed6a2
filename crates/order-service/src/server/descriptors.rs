//! File descriptors: each connection takes one, and the store and the brokers need some, too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Limits;

/// What is kept for everything but connections: the store's files or connections, brokers, operators.
const RESERVED: u64 = 256;

/// Has the system let us open as many files as it may, and leaves of connections, and of those that wait for a place, as many as there
/// is room for.
pub(crate) fn within_descriptors(limits: Limits) -> Limits {
    let limit = raise();
    let (wanted, allowed) = (limits.connections, connections_within(limit, limits.connections));
    if allowed < wanted {
        tracing::warn!(
            descriptors = limit,
            max_connections = wanted,
            allowed,
            "the system lets this process open too few files (see ulimit -n): fewer connections are taken"
        );
    }
    let rest = limit.saturating_sub(RESERVED + allowed as u64);
    let waiting = usize::try_from(rest).unwrap_or(usize::MAX).min(limits.waiting);
    Limits { connections: allowed, waiting, ..limits }
}

/// Raises the soft limit to the hard one. `u64::MAX`: there is none.
fn raise() -> u64 {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    };
    limit.unwrap_or(u64::MAX)
}

/// Where the limit is so low that the reserve would leave next to nothing, connections have a quarter of it.
fn connections_within(limit: u64, wanted: usize) -> usize {
    let room = limit.saturating_sub(RESERVED).max(limit / 4).max(1);
    usize::try_from(room).unwrap_or(usize::MAX).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_its_reserve() {
        for (limit, wanted, allowed) in [
            (u64::MAX, 10_000, 10_000),
            (20_000, 10_000, 10_000),
            (1_024, 10_000, 768),
            (1_024, 500, 500),
            (64, 10_000, 16),
        ] {
            assert_eq!(connections_within(limit, wanted), allowed, "{limit} for {wanted}");
        }
    }
}
