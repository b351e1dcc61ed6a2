//! Results as the tables that `docs/BENCHMARKS.md` shows.

use super::text::two_digits;
use super::{Outcome, Report};

/// The report as Markdown: where and how it was measured, the targets, the figures behind them.
pub(crate) fn markdown(report: &Report) -> String {
    let mut lines = Vec::new();
    if let Some(date) = &report.date {
        lines.push(format!("- Date: {date}"));
    }
    let machine = &report.machine;
    lines.push(format!("- Machine: {} × {}, {:.0} GiB", machine.cores, machine.cpu, machine.memory_gib));
    lines.push(format!("- Kernel: {}; data on {}", machine.kernel, machine.filesystem));
    lines.push(format!("- Command: `{}`", report.command));

    lines.push("\n| work | measured | result | target | |".into());
    lines.push("|---|---|--:|--:|---|".into());
    for Outcome { scenario, verdicts, .. } in &report.outcomes {
        for verdict in verdicts {
            let (value, target, met) = (verdict.value_text(), verdict.target_text(), verdict.met_text());
            lines.push(format!("| {scenario} | {} | {value} | {target} | {met} |", verdict.what));
        }
    }

    lines.push(
        "\n| work | | server CPU µs/request | requests/s | p50 ms | p99 ms | p99.9 ms | max ms | load generator, cores |"
            .into(),
    );
    lines.push("|---|---|--:|--:|--:|--:|--:|--:|--:|".into());
    for Outcome { scenario, sides, .. } in &report.outcomes {
        for side in sides {
            let median = &side.median;
            lines.push(format!(
                "| {scenario} | {} | {} | {} | {:.3} | {:.3} | {:.3} | {:.2} | {} |",
                side.name,
                side.cpu_text(),
                side.rate_text(),
                median.p50_ms,
                median.p99_ms,
                median.p999_ms,
                median.max_ms,
                two_digits(median.loadgen_cores)
            ));
        }
    }

    lines.push(String::new());
    for Outcome { scenario, about, notes, .. } in &report.outcomes {
        let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
        lines.push(format!("- {scenario}: {about}{notes}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::{Figures, Side, Verdict};

    #[test]
    fn every_verdict_is_a_row_with_its_target() {
        let startup = Outcome {
            scenario: "startup",
            about: "starting".into(),
            sides: Vec::new(),
            verdicts: vec![Verdict::at_most("after SIGTERM", 0.4, "s", 1.0)],
            notes: vec!["warm cache".into()],
        };
        let markdown = markdown(&report_of(startup));
        assert!(markdown.contains("| startup | after SIGTERM | 0.40 s | ≤ 1 s | met |"), "{markdown}");
        assert!(markdown.contains("- startup: starting; warm cache"), "{markdown}");
    }

    #[test]
    fn the_servers_cpu_time_comes_first_because_it_scatters_least() {
        let figures = Figures { server_cpu_us_per_request: Some(20.3), ..Figures::of_rate(1_000.0) };
        let placing = Outcome {
            scenario: "place-seq",
            about: "placing".into(),
            sides: vec![Side::new("service", vec![figures])],
            verdicts: Vec::new(),
            notes: Vec::new(),
        };
        let markdown = markdown(&report_of(placing));
        assert!(markdown.contains("| work | | server CPU µs/request | requests/s |"), "{markdown}");
        assert!(markdown.contains("| place-seq | service | 20.30 | 1000 |"), "{markdown}");
    }

    fn report_of(outcome: Outcome) -> Report {
        Report {
            date: Some("2026-01-01".into()),
            machine: Machine {
                cpu: "CPU".into(),
                cores: 2,
                memory_gib: 8.0,
                kernel: "6.1".into(),
                filesystem: "ext4".into(),
            },
            command: "cargo xtask bench startup".into(),
            outcomes: vec![outcome],
        }
    }
}
