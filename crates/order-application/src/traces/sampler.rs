//! Which traces are recorded here: OpenTelemetry's own samplers
//! (<https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers>).

use std::fmt;

use super::trace_parent::TraceParent;

/// Decides whether a request is recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether what the caller has decided counts, where there is a caller that is traced.
    pub follows_caller: bool,
    /// Decides for all others.
    pub others: Share,
}

/// How many requests are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// All.
    All,
    /// None.
    None,
    /// This part of them, from 0 to 1.
    Ratio(f64),
}

/// As OpenTelemetry's variables have it.
impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.follows_caller { "parentbased_" } else { "" })?;
        match self.others {
            Share::All => f.write_str("always_on"),
            Share::None => f.write_str("always_off"),
            Share::Ratio(ratio) => write!(f, "traceidratio {ratio}"),
        }
    }
}

impl Sampler {
    /// Whether anything may be recorded at all.
    pub fn is_on(self) -> bool {
        self.follows_caller || self.others != Share::None
    }

    /// Whether a request is recorded that came with this place in a trace. Its trace is, if it belongs to none, one whose id
    /// ends in `random`.
    pub(super) fn records(self, caller: Option<TraceParent>, random: impl FnOnce() -> u64) -> bool {
        match (caller, self.others) {
            (Some(caller), _) if self.follows_caller => caller.is_sampled(),
            (_, Share::All) => true,
            (_, Share::None) => false,
            (Some(caller), Share::Ratio(ratio)) => is_within(ratio, end_of(caller)),
            (None, Share::Ratio(ratio)) => is_within(ratio, random()),
        }
    }
}

/// The end of the trace's id: what services that record the same ratio decide by alike.
fn end_of(caller: TraceParent) -> u64 {
    // The right half of the number, whatever the left one is.
    u128::from_be_bytes(caller.trace_id.bytes()) as u64
}

/// As OpenTelemetry's SDKs decide by the 63 bits that all languages have.
fn is_within(ratio: f64, random: u64) -> bool {
    const ALL: u64 = 1 << 63;
    random >> 1 < (ratio.clamp(0.0, 1.0) * ALL as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(end: u64, flags: &str) -> Option<TraceParent> {
        TraceParent::parse(&format!("00-1111111111111111{end:016x}-1111111111111111-{flags}"))
    }

    #[test]
    fn a_caller_that_is_traced_decides_where_it_may() {
        for others in [Share::All, Share::None, Share::Ratio(0.5)] {
            let sampler = Sampler { follows_caller: true, others };
            assert!(sampler.records(caller(u64::MAX, "01"), || 0) && !sampler.records(caller(0, "00"), || 0));
        }
        let on = |others| Sampler { follows_caller: false, others };
        assert!(
            on(Share::All).records(caller(0, "00"), || 0) && !on(Share::None).records(caller(0, "01"), || 0)
        );
        // By the trace's id, and not by chance.
        assert!(on(Share::Ratio(0.5)).records(caller(u64::MAX / 2, "00"), || u64::MAX));
        assert!(!on(Share::Ratio(0.5)).records(caller(u64::MAX / 2 + 1, "01"), || 0));
    }

    #[test]
    fn a_ratio_is_that_part_of_all_ids() {
        for (ratio, part) in [(0.0, 0), (0.01, 10), (0.25, 250), (1.0, 1_000), (7.0, 1_000), (-1.0, 0)] {
            let sampler = Sampler { follows_caller: true, others: Share::Ratio(ratio) };
            // Each in the middle of its thousandth.
            let id = |n: u64| u64::MAX / 2_000 * (2 * n + 1);
            let recorded = (0..1_000).filter(|n| sampler.records(None, || id(*n))).count();
            assert_eq!(recorded, part, "{ratio}");
        }
        let all = Sampler { follows_caller: true, others: Share::Ratio(1.0) };
        assert!(all.records(None, || u64::MAX));
    }
}
