//! File descriptors: each connection takes one, and the store and the brokers need some, too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is kept for everything but connections: the store's files or connections, brokers, operators.
const RESERVED: u64 = 256;

/// Has the system let us open as many files as it may, and answers with how many connections there is room for: as many as
/// `wanted`, if it can be.
pub(crate) fn allow_connections(wanted: usize) -> usize {
    let limit = raise();
    let allowed = connections_within(limit, wanted);
    if allowed < wanted {
        tracing::warn!(
            descriptors = limit,
            max_connections = wanted,
            allowed,
            "the system lets this process open too few files (see ulimit -n): fewer connections are taken"
        );
    }
    allowed
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
