//! Results for a person at a terminal.

use std::io::{self, Write};

use super::{Outcome, Side};

/// Writes an outcome to standard output.
pub(crate) fn print(outcome: &Outcome) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{}: {}", outcome.scenario, outcome.about)?;
    let width = outcome.sides.iter().map(|side| side.name.chars().count()).max().unwrap_or_default();
    if !outcome.sides.is_empty() {
        writeln!(
            out,
            "  {:<width$} {:>21} {:>23} {:>9} {:>9} {:>9} {:>9} {:>14}",
            "", "server µs/req", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "loadgen cores"
        )?;
    }
    for side in &outcome.sides {
        let Side { name, median, .. } = side;
        writeln!(
            out,
            "  {name:<width$} {:>21} {:>23} {:>9.3} {:>9.3} {:>9.3} {:>9.2} {:>14}",
            side.cpu_text(),
            side.rate_text(),
            median.p50_ms,
            median.p99_ms,
            median.p999_ms,
            median.max_ms,
            two_digits(median.loadgen_cores)
        )?;
    }
    for note in &outcome.notes {
        writeln!(out, "  {note}")?;
    }
    for verdict in &outcome.verdicts {
        let (value, target, met) = (verdict.value_text(), verdict.target_text(), verdict.met_text());
        writeln!(out, "  {}: {value}, target {target}: {met}", verdict.what)?;
    }
    out.flush()
}

/// Two digits behind the point, or nothing for a figure that there is not.
pub(super) fn two_digits(figure: Option<f64>) -> String {
    figure.map(|figure| format!("{figure:.2}")).unwrap_or_default()
}
