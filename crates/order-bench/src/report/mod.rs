//! Results, and how they are shown.

mod markdown;
mod text;

use std::time::Duration;

use serde::Serialize;

use crate::bench::Pair;
use crate::load::{Histogram, Measurement};
use crate::machine::Machine;

pub(crate) use self::markdown::markdown;
pub(crate) use self::text::print;

/// What one server did in one turn.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figures {
    pub(crate) requests_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// CPU time of the server's process for each request, what it did afterwards included; none where requests of
    /// several kinds share it.
    pub(crate) server_cpu_us_per_request: Option<f64>,
    /// How many cores the load generator took for itself; none where there was none.
    pub(crate) loadgen_cores: Option<f64>,
}

impl Figures {
    /// `server_cpu_after`: the server's CPU time once it had settled, where it is known.
    pub(crate) fn new(measurement: &Measurement, server_cpu_after: Option<Duration>) -> Self {
        let Measurement { elapsed, latency, loadgen_cpu, server_cpu_at_begin } = measurement;
        let server_cpu =
            server_cpu_after.zip(*server_cpu_at_begin).map(|(after, begin)| after.saturating_sub(begin));
        Self {
            server_cpu_us_per_request: server_cpu
                .map(|cpu| cpu.as_secs_f64() * 1e6 / latency.count().max(1) as f64),
            loadgen_cores: Some(loadgen_cpu.as_secs_f64() / elapsed.as_secs_f64()),
            ..Self::of_latencies(latency, *elapsed)
        }
    }

    /// Of a loop that ran in this process.
    pub(crate) fn of_latencies(latency: &Histogram, elapsed: Duration) -> Self {
        let quantile_ms = |share| latency.quantile(share).as_secs_f64() * 1e3;
        Self {
            requests_per_s: latency.count() as f64 / elapsed.as_secs_f64(),
            p50_ms: quantile_ms(0.5),
            p99_ms: quantile_ms(0.99),
            p999_ms: quantile_ms(0.999),
            max_ms: latency.max().as_secs_f64() * 1e3,
            server_cpu_us_per_request: None,
            loadgen_cores: None,
        }
    }

    /// Of work that has a rate and nothing else.
    pub(crate) fn of_rate(per_s: f64) -> Self {
        Self { requests_per_s: per_s, ..Self::of_latencies(&Histogram::new(), Duration::from_secs(1)) }
    }

    /// Each figure's median over the rounds by itself.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure));
        let of_known = |figure: fn(&Self) -> Option<f64>| {
            let known: Vec<f64> = rounds.iter().filter_map(figure).collect();
            (!known.is_empty()).then(|| median(known))
        };
        Self {
            requests_per_s: of(|round| round.requests_per_s),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            p999_ms: of(|round| round.p999_ms),
            max_ms: of(|round| round.max_ms),
            server_cpu_us_per_request: of_known(|round| round.server_cpu_us_per_request),
            loadgen_cores: of_known(|round| round.loadgen_cores),
        }
    }
}

/// The middle one; of an even number, the mean of the two in the middle. Zero of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        len => (values[(len - 1) / 2] + values[len / 2]) / 2.0,
    }
}

/// The least and the greatest; none of fewer than two.
fn spread(values: &[f64]) -> Option<[f64; 2]> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (values.len() > 1).then_some([least, greatest])
}

/// `20.30 (19.91–20.85)`
fn with_spread(value: f64, spread: Option<[f64; 2]>, digits: usize) -> String {
    match spread {
        Some([least, greatest]) => format!("{value:.digits$} ({least:.digits$}–{greatest:.digits$})"),
        None => format!("{value:.digits$}"),
    }
}

/// One server or group of connections in a scenario, round by round.
#[derive(Serialize)]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) median: Figures,
    pub(crate) rounds: Vec<Figures>,
}

impl Side {
    pub(crate) fn new(name: impl Into<String>, rounds: Vec<Figures>) -> Self {
        Self { name: name.into(), median: Figures::median(&rounds), rounds }
    }

    /// The server's CPU time for each request, in µs, with its spread over the rounds; empty where it is not known.
    fn cpu_text(&self) -> String {
        let known: Vec<f64> =
            self.rounds.iter().filter_map(|round| round.server_cpu_us_per_request).collect();
        let median = self.median.server_cpu_us_per_request;
        median.map(|median| with_spread(median, spread(&known), 2)).unwrap_or_default()
    }

    /// Requests a second, with their spread over the rounds.
    fn rate_text(&self) -> String {
        let rates: Vec<f64> = self.rounds.iter().map(|round| round.requests_per_s).collect();
        with_spread(self.median.requests_per_s, spread(&rates), 0)
    }

    /// The two of an alternation.
    pub(crate) fn of_pair(pair: Pair<Figures>) -> Vec<Self> {
        vec![Self::new("echo", pair.limit), Self::new("service", pair.service)]
    }
}

/// Which side of the target is good.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast,
    AtMost,
}

/// One figure held against its target.
#[derive(Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) value: f64,
    /// The least and the greatest of the rounds, where the value is their median.
    pub(crate) spread: Option<[f64; 2]>,
    pub(crate) unit: &'static str,
    pub(crate) bound: Bound,
    pub(crate) target: f64,
    pub(crate) met: bool,
}

impl Verdict {
    /// Requests a second as a share of the limit's: the median of the rounds' ratios, since the two turns of one round
    /// saw the same machine.
    pub(crate) fn ratio(what: &str, pair: &Pair<Figures>, target: f64) -> Self {
        Self::ratio_of(what, &pair.service, &pair.limit, target)
    }

    /// The same of two sides by name.
    pub(crate) fn ratio_of(what: &str, measured: &[Figures], limit: &[Figures], target: f64) -> Self {
        let rounds = measured.iter().zip(limit);
        let ratios = rounds.map(|(measured, limit)| measured.requests_per_s / limit.requests_per_s);
        Self::of_rounds(what, ratios.collect(), "×", Bound::AtLeast, target)
    }

    /// Of the server's CPU time for each request, in the same way; what is not known of a round counts for nothing.
    pub(crate) fn cpu_ratio(what: &str, pair: &Pair<Figures>, target: f64) -> Self {
        let cpu = |figures: &Figures| figures.server_cpu_us_per_request;
        let rounds = pair.service.iter().zip(&pair.limit);
        let ratios = rounds.filter_map(|(measured, limit)| Some(cpu(measured)? / cpu(limit)?));
        Self::of_rounds(what, ratios.collect(), "×", Bound::AtMost, target)
    }

    /// The median of what each round gave.
    pub(crate) fn of_rounds(
        what: &str,
        rounds: Vec<f64>,
        unit: &'static str,
        bound: Bound,
        target: f64,
    ) -> Self {
        let spread = spread(&rounds);
        Self { spread, ..Self::new(what, median(rounds), unit, bound, target) }
    }

    pub(crate) fn at_least(what: &str, value: f64, unit: &'static str, target: f64) -> Self {
        Self::new(what, value, unit, Bound::AtLeast, target)
    }

    pub(crate) fn at_most(what: &str, value: f64, unit: &'static str, target: f64) -> Self {
        Self::new(what, value, unit, Bound::AtMost, target)
    }

    fn new(what: &str, value: f64, unit: &'static str, bound: Bound, target: f64) -> Self {
        let met = match bound {
            Bound::AtLeast => value >= target,
            Bound::AtMost => value <= target,
        };
        Self { what: what.to_owned(), value, spread: None, unit, bound, target, met }
    }

    /// `≥ 0.55 ×`
    pub(crate) fn target_text(&self) -> String {
        let sign = match self.bound {
            Bound::AtLeast => '≥',
            Bound::AtMost => '≤',
        };
        format!("{sign} {} {}", self.target, self.unit)
    }

    /// `0.61 ×`, or `0.61 (0.58–0.63) ×` where rounds differ.
    pub(crate) fn value_text(&self) -> String {
        let digits = if self.value.abs() < 10.0 { 2 } else { 1 };
        format!("{} {}", with_spread(self.value, self.spread, digits), self.unit)
    }

    pub(crate) fn met_text(&self) -> &'static str {
        if self.met { "met" } else { "MISSED" }
    }
}

/// Everything that one run of the program found.
#[derive(Serialize)]
pub(crate) struct Report {
    /// As given on the command line.
    pub(crate) date: Option<String>,
    pub(crate) machine: Machine,
    /// What to type to measure the same again.
    pub(crate) command: String,
    pub(crate) outcomes: Vec<Outcome>,
}

/// What a scenario found.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: &'static str,
    pub(crate) about: String,
    pub(crate) sides: Vec<Side>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_and_says_how_far_they_scatter() {
        let rounds = |rates: [f64; 3]| rates.map(Figures::of_rate).to_vec();
        let pair = Pair { limit: rounds([100.0, 200.0, 100.0]), service: rounds([98.0, 190.0, 101.0]) };
        let verdict = Verdict::ratio("of the older build", &pair, 0.95);
        assert_eq!(verdict.value_text(), "0.98 (0.95–1.01) ×");
        assert_eq!(Side::new("service", pair.service).rate_text(), "101 (98–190)");
    }

    #[test]
    fn more_cpu_time_than_the_target_allows_is_a_miss() {
        let rounds = |cpu| vec![Figures { server_cpu_us_per_request: Some(cpu), ..Figures::of_rate(1.0) }];
        let verdict = |service| {
            Verdict::cpu_ratio("CPU", &Pair { limit: rounds(20.0), service: rounds(service) }, 1.05)
        };
        assert!(verdict(21.0).met);
        assert!(!verdict(21.5).met);
        assert_eq!(verdict(21.5).value_text(), "1.07 ×");
    }

    #[test]
    fn a_target_is_met_at_its_bound() {
        assert!(Verdict::at_most("p99", 30.0, "ms", 30.0).met);
        assert!(!Verdict::at_most("p99", 30.1, "ms", 30.0).met);
    }
}
