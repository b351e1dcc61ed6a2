//! The file that `--config` names: the options of the command line, under the same names.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::PathBuf;

use order_application::nearest::did_you_mean;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What is in it, written as on the command line. One file does for all commands: each takes the options that it has.
#[derive(Default)]
pub(super) struct File {
    path: PathBuf,
    options: BTreeMap<String, Given>,
}

/// An option in it. A list is an option that is given several times.
struct Given {
    line: usize,
    values: Vec<String>,
}

impl File {
    /// What can be read of it, and every fault for which the rest cannot.
    pub(super) fn read(path: PathBuf) -> (Self, Vec<String>) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return (Self::default(), vec![format!("{}: {error}", path.display())]),
        };
        let mut file = Self { path, options: BTreeMap::new() };
        let (_, errors) = DeTable::parse_recoverable(&text);
        let mut broken = BTreeMap::new();
        for error in &errors {
            // What follows from the first fault of a line is none of its own.
            let line = line_of(&text, &error.span().unwrap_or_default());
            broken.entry(line).or_insert_with(|| file.fault_at(line, &error.message()));
        }
        // The parser gives up at some faults, so it is given the lines that have none.
        let text = without_lines(&text, |line| broken.contains_key(&line));
        let (table, _) = DeTable::parse_recoverable(&text);
        file.options = table.get_ref().iter().map(|(name, value)| option(&text, name, value)).collect();
        (file, broken.into_values().collect())
    }

    /// What it says of an option, if it does.
    pub(super) fn values(&self, option: &str) -> Option<&[String]> {
        self.options.get(option).map(|given| given.values.as_slice())
    }

    /// What is wrong with an option that is in it.
    pub(super) fn fault(&self, option: &str, what: &str) -> Option<String> {
        let given = self.options.get(option)?;
        Some(self.fault_at(given.line, &format_args!("{option}: {what}")))
    }

    /// The options in it that no command has, in the order of its lines.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<String> {
        let mut unknown: Vec<_> =
            self.options.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
        unknown.sort_by_key(|(_, given)| given.line);
        let fault = |(name, given): (&String, &Given)| {
            let meant = did_you_mean(name, known.iter().copied());
            self.fault_at(given.line, &format_args!("{name}: there is no such option{meant}"))
        };
        unknown.into_iter().map(fault).collect()
    }

    fn fault_at(&self, line: usize, what: &dyn Display) -> String {
        format!("{}: line {line}: {what}", self.path.display())
    }
}

fn option(text: &str, name: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> (String, Given) {
    let given = Given { line: line_of(text, &name.span()), values: written(value) };
    (name.get_ref().to_string(), given)
}

/// The same text, in which those lines are empty.
fn without_lines(text: &str, is_left_out: impl Fn(usize) -> bool) -> String {
    let kept = |(index, line)| if is_left_out(index + 1) { "" } else { line };
    text.split('\n').enumerate().map(kept).collect::<Vec<_>>().join("\n")
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.get(..span.start).unwrap_or(text).matches('\n').count() + 1
}

fn written(value: &Spanned<DeValue<'_>>) -> Vec<String> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().flat_map(written).collect(),
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Integer(number) => vec![number.to_string()],
        DeValue::Float(number) => vec![number.to_string()],
        DeValue::Boolean(is_so) => vec![is_so.to_string()],
        DeValue::Datetime(time) => vec![time.to_string()],
        // No option is a table: whatever reads it says what it wants instead.
        DeValue::Table(_) => vec!["{}".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (File, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f.toml");
        std::fs::write(&path, text).unwrap();
        let (file, faults) = File::read(path);
        let short = |fault: String| fault.split_once("f.toml: ").unwrap().1.to_owned();
        (file, faults.into_iter().map(short).collect())
    }

    #[test]
    fn a_text_is_a_list_of_one_and_values_are_written_as_on_the_command_line() {
        let (file, faults) =
            read("bus = 'nats://h'\nlisten = [':1', \":2\"]\ngrace_seconds = 1_000\naccept_loss = true");
        assert_eq!(faults, [""; 0]);
        assert_eq!(file.values("bus"), Some(&["nats://h".to_owned()][..]));
        assert_eq!(file.values("listen"), Some(&[":1".to_owned(), ":2".to_owned()][..]));
        assert_eq!(file.values("grace_seconds"), Some(&["1000".to_owned()][..]));
        assert_eq!(file.values("accept_loss"), Some(&["true".to_owned()][..]));
        assert_eq!(file.values("log"), None);
    }

    #[test]
    fn every_line_that_is_no_toml_is_told_once_and_the_others_are_read() {
        let (file, faults) = read("listen = ':0'\nthis is no TOML\ncurrency = 'EUR'\nlog = = 'info'\n");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("line 2: ") && faults[1].starts_with("line 4: "), "{faults:?}");
        assert_eq!(file.values("currency"), Some(&["EUR".to_owned()][..]));
        assert_eq!((file.values("this"), file.values("log")), (None, None));
    }

    #[test]
    fn a_fault_of_an_option_names_its_line() {
        let (file, _) = read("# the address\n\nlisten = 'here'");
        assert!(
            file.fault("listen", "no").is_some_and(|fault| fault.ends_with("f.toml: line 3: listen: no"))
        );
        assert_eq!(file.fault("log", "no"), None);
    }
}
