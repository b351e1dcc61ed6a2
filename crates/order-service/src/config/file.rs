//! The file that `--config` names: the options of the command line, under the same names.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use toml::{Table, Value};

use crate::cli::Failure;

/// What is in it, written as on the command line. One file does for all commands: each takes the options that it has.
#[derive(Default)]
pub(super) struct File {
    path: PathBuf,
    pub(super) options: BTreeMap<String, Vec<String>>,
}

impl File {
    pub(super) fn read(path: PathBuf) -> Result<Self, Failure> {
        let fault = |error: &dyn Display| Failure::usage(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| fault(&error))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            fault(&format_args!("line {}: {}", before.matches('\n').count() + 1, error.message()))
        })?;
        let options = table.iter().map(|(name, value)| (name.clone(), written(value))).collect();
        Ok(Self { path, options })
    }

    /// What is wrong with an option in it.
    pub(super) fn fault(&self, option: &str, what: &str) -> String {
        format!("{}: {option}: {what}", self.path.display())
    }
}

/// A list is an option that is given several times.
fn written(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(written).collect(),
        Value::Integer(_) | Value::Boolean(_) | Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
            vec![value.to_string()]
        }
    }
}
