//! What was probably meant by a name that nothing has: an option, a parameter of a URL.

/// Most letters that may be wrong, missing, too many or exchanged.
const NEAR: usize = 2;

/// Ends the telling of an unknown name: `; did you mean listen?`, or nothing where no known one is near.
#[must_use]
pub fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    nearest(name, known).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

/// The known name that was probably meant.
#[must_use]
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let letters = |name: &str| name.replace('-', "_").to_lowercase();
    let name = letters(name);
    // The distance costs the product of the lengths: what is much longer than any name is not near one.
    let close = known.into_iter().filter(|known| name.len() <= known.len() + NEAR);
    let distances = close.map(|known| (strsim::damerau_levenshtein(&name, &letters(known)), known));
    let (distance, meant) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= NEAR.min(name.len() / 2)).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slip_is_told_with_the_one_that_was_meant() {
        let meant = |name: &str| did_you_mean(name, ["listen", "data_dir", "log", "trace"]);
        for (name, known) in [
            ("lisen", "listen"),
            ("LISTENN", "listen"),
            ("data-dir", "data_dir"),
            ("trcae", "trace"),
            ("lgo", "log"),
        ] {
            assert_eq!(meant(name), format!("; did you mean {known}?"));
        }
        for name in ["", "x", "colour", &"listen".repeat(100_000)] {
            assert_eq!(meant(name), "");
        }
    }
}
