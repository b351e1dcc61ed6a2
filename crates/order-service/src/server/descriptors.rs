//! File descriptors: each connection takes one, and the store and the brokers need some, too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Limits;

/// What is kept for everything but connections: the store's files or connections, brokers, operators.
const RESERVED: u64 = 256;

/// Of what connections and the line for a place can have together, the line has such a part at least, where that is wanted for it.
const PART_OF_LINE: usize = 8;

/// Has the system let us open as many files as it may, and leaves of connections, and of those that wait for a place, as many as there
/// is room for.
pub(crate) fn within_descriptors(limits: Limits) -> Limits {
    let limit = raise();
    let within = within(limit, limits);
    if within.connections < limits.connections {
        tracing::warn!(
            descriptors = limit,
            max_connections = limits.connections,
            allowed = within.connections,
            "the system lets this process open too few files (see ulimit -n): fewer connections are taken"
        );
    }
    within
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

/// Some may always wait in line: where there is none, a machine with many has all others wait behind it. Where the limit is so low that
/// the reserve would leave next to nothing, connections and the line have a quarter of it.
pub(super) fn within(limit: u64, limits: Limits) -> Limits {
    let all = limit.saturating_sub(RESERVED).max(limit / 4);
    let all = usize::try_from(all).unwrap_or(usize::MAX);
    let least_waiting = limits.waiting.min((all / PART_OF_LINE).max(1));
    let connections = limits.connections.min(all.saturating_sub(least_waiting)).max(1);
    let waiting = limits.waiting.min(all.saturating_sub(connections)).max(least_waiting);
    Limits { connections, waiting, ..limits }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_store_has_its_reserve_and_some_may_always_wait_in_line() {
        for (limit, connections, allowed) in [
            (u64::MAX, 10_000, (10_000, 1_024)),
            (20_000, 10_000, (10_000, 1_024)),
            (10_600, 10_000, (9_320, 1_024)),
            (1_024, 10_000, (672, 96)),
            (1_024, 500, (500, 268)),
            (64, 10_000, (14, 2)),
            (4, 10_000, (1, 1)),
        ] {
            let limits = Limits {
                connections,
                waiting: 1_024,
                idle_timeout: Duration::ZERO,
                answer_bytes: 0,
                least_stillness: Duration::ZERO,
                in_service: Duration::ZERO,
            };
            let within = within(limit, limits);
            assert_eq!((within.connections, within.waiting), allowed, "{limit} for {connections}");
        }
    }
}
