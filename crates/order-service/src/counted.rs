//! Numbers as people read them.

/// `1 event`, `4,000 events`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// `4,000`
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
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
