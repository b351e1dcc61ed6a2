//! The file that `--config` names: the options of the command line, under the same names.

use std::path::Path;

use clap::{Args, Command};
use serde::de::DeserializeOwned;

use super::{ReplicaOptions, ServeOptions, StoreOptions};
use crate::cli::Failure;

/// What is in it. One file does for all commands: each takes the options that it has.
#[derive(Debug, Default)]
pub(crate) struct File {
    all: toml::Table,
}

impl File {
    /// Reads the file, if one is named.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let fault =
            |error: &dyn std::fmt::Display| Failure::Usage(vec![format!("{}: {error}", path.display())]);
        let text = std::fs::read_to_string(path).map_err(|error| fault(&error))?;
        let all: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            fault(&format_args!("line {}: {}", before.matches('\n').count() + 1, error.message()))
        })?;
        Ok(Self { all })
    }

    /// Takes the options of this kind out. Values that cannot be are faults, each told with the name of its option.
    pub(super) fn take<T: Args + Default + DeserializeOwned>(&mut self, faults: &mut Vec<String>) -> T {
        let mut taken = toml::Table::new();
        for name in names::<T>() {
            let Some(value) = self.all.remove(&name) else { continue };
            let alone = toml::Table::from_iter([(name.clone(), value.clone())]);
            match alone.try_into::<T>() {
                Ok(_) => _ = taken.insert(name, value),
                Err(error) => faults.push(format!("{name} in the file: {}", error.message())),
            }
        }
        taken.try_into().unwrap_or_else(|error: toml::de::Error| {
            faults.push(error.message().to_owned());
            T::default()
        })
    }

    /// What is left are options of other commands. Names that nobody knows are faults.
    pub(super) fn rest(self, faults: &mut Vec<String>) {
        let known = [names::<StoreOptions>(), names::<ServeOptions>(), names::<ReplicaOptions>()].concat();
        let unknown = self.all.keys().filter(|name| !known.contains(name));
        faults.extend(unknown.map(|name| format!("{name} in the file: there is no such option")));
    }
}

/// The names of the options of this kind.
fn names<T: Args>() -> Vec<String> {
    let options = T::augment_args(Command::new("options"));
    options.get_arguments().map(|option| option.get_id().to_string()).collect()
}
