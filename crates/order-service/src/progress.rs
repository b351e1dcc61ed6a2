//! How far a long command has come, on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How much of how much, and since when. Nothing is promised: what is left takes as long as it takes.
const WITH_TOTAL: &str = "{msg} {wide_bar} {human_pos} of {human_len} ({elapsed})";
/// For a phase of which nobody knows how much there is.
const WITHOUT_TOTAL: &str = "{msg} ({elapsed})";
/// How often the time is drawn anew, so that everybody sees that something still goes on.
const TICK: Duration = Duration::from_secs(1);

/// A bar on standard error, drawn only if that is a terminal: one after the other for each phase of the command. It never
/// goes back within a phase.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// What the first phase of a check has to do in all.
    first_of_check: Option<u64>,
}

impl Progress {
    /// Shows a phase of which it is not known yet how much there is to do.
    pub(crate) fn begin(phase: &'static str) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(style(0));
        bar.set_message(phase);
        bar.enable_steady_tick(TICK);
        Self::on(bar)
    }

    fn on(bar: ProgressBar) -> Self {
        Self { bar, first_of_check: None }
    }

    /// Shows how much of a phase is done. Another phase than before begins a bar of its own.
    pub(crate) fn show(&mut self, phase: &'static str, done: u64, total: u64) {
        if self.bar.message() != phase {
            // What a phase takes says nothing about the next.
            self.bar.reset();
            self.bar.set_message(phase);
        }
        if self.bar.length() != Some(total) {
            self.bar.set_style(style(total));
            self.bar.set_length(total);
        }
        self.bar.set_position(done.max(self.bar.position()));
    }

    /// Shows how far the check of a store is. It goes over all events first, and over each order after that, which it
    /// tells by a higher total.
    pub(crate) fn show_check(&mut self, done: u64, total: u64) {
        let first = *self.first_of_check.get_or_insert(total);
        if total == first {
            self.show("checking events", done, total);
        } else {
            self.show("checking orders", done.saturating_sub(first), total.saturating_sub(first));
        }
    }

    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

fn style(total: u64) -> ProgressStyle {
    let template = if total == 0 { WITHOUT_TOTAL } else { WITH_TOTAL };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(progress: &Progress) -> (String, u64, Option<u64>) {
        (progress.bar.message(), progress.bar.position(), progress.bar.length())
    }

    #[test]
    fn a_check_has_a_bar_for_each_phase_and_none_goes_back() {
        let mut progress = Progress::on(ProgressBar::hidden());
        let seen =
            [(40, 100), (100, 100), (110, 300), (190, 300), (180, 300), (300, 300)].map(|(done, total)| {
                progress.show_check(done, total);
                shown(&progress)
            });
        let expected = [
            ("checking events", 40, 100),
            ("checking events", 100, 100),
            ("checking orders", 10, 200),
            ("checking orders", 90, 200),
            ("checking orders", 90, 200),
            ("checking orders", 200, 200),
        ];
        assert_eq!(seen, expected.map(|(phase, done, total)| (phase.to_owned(), done, Some(total))));
    }

    #[test]
    fn a_copy_that_grows_is_no_new_phase() {
        let mut progress = Progress::on(ProgressBar::hidden());
        progress.show("copying", 50, 100);
        progress.show("copying", 60, 200);
        assert_eq!(shown(&progress), ("copying".to_owned(), 60, Some(200)));
        progress.show_check(10, 200);
        assert_eq!(shown(&progress), ("checking events".to_owned(), 10, Some(200)));
    }
}
