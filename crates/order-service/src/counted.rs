//! Numbers as people read them.

use indicatif::HumanCount;

/// `1 event`, `4,000 events`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_thousands_are_grouped() {
        let cases = [(0, "0 events"), (1, "1 event"), (999, "999 events"), (1_000, "1,000 events")];
        for (count, expected) in cases.into_iter().chain([(1_234_567, "1,234,567 events")]) {
            assert_eq!(counted(count, "event"), expected);
        }
    }
}
