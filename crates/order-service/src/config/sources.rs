//! Where options come from: the command line goes before the environment, and that before the file that `--config` names.

use std::error::Error;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ContextKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, value_parser};

use super::file::File;
use crate::cli::{Arguments, Failure};

/// Reads them all, and ends the program where the command line asks for help.
///
/// # Errors
/// That the command line cannot be understood; or every fault at once, each under the name that the option has where it was
/// given.
pub(crate) fn read() -> Result<Arguments, Failure> {
    let every = |command: Command, change: fn(Arg) -> Arg| {
        command.mut_args(change).mut_subcommands(|command| command.mut_args(change))
    };
    let command = every(Arguments::command(), with_variable);
    // What is given is looked at first, whatever it is worth: that says which command it is, and which file.
    let matches = every(command.clone(), unchecked).try_get_matches().map_err(not_understood)?;
    let (name, matches) = matches.subcommand().map_or((None, &matches), |(name, of)| (Some(name), of));
    // Some commands take no settings.
    let path = matches.try_get_one::<OsString>("config").ok().flatten();
    let file = path.map_or_else(|| Ok(File::default()), |path| File::read(path.into()))?;
    let given = Given { matches, file };

    let mut faults = given.unknown(&command);
    faults.extend(given.two_stores());
    let command = match name {
        // The options of `serve` without its name are not asked for.
        Some(_) => command.mut_args(|option| option.env(Resettable::Reset)),
        None => command,
    };
    let command = change(command, name, |option| given.with_file(option));
    let matches = check(command, name, &given, faults)?;
    Arguments::from_arg_matches(&matches).map_err(|error| Failure::Runtime(error.into()))
}

/// Each option has its variable. One that is empty is as good as none.
fn with_variable(option: Arg) -> Arg {
    let variable = format!("ORDER_SERVICE_{}", option.get_id().as_str().to_uppercase());
    if std::env::var_os(&variable).is_some_and(|value| value.is_empty()) {
        option
    } else {
        option.env(variable)
    }
}

/// Any text may be given for it, or none.
fn unchecked(option: Arg) -> Arg {
    option.required(false).value_parser(value_parser!(OsString))
}

/// Changes the options of the command that was called.
fn change(command: Command, name: Option<&str>, change: impl FnMut(Arg) -> Arg) -> Command {
    match name {
        Some(name) => command.mut_subcommand(name, |command| command.mut_args(change)),
        None => command.mut_args(change),
    }
}

/// Checks all options. Whatever has a fault is let through the next time, until no more are found: at most as often as there
/// are options.
fn check(
    mut command: Command,
    name: Option<&str>,
    given: &Given<'_>,
    mut faults: Vec<String>,
) -> Result<ArgMatches, Failure> {
    let mut let_through = Vec::new();
    loop {
        let error = match command.clone().try_get_matches() {
            Ok(matches) if faults.is_empty() => return Ok(matches),
            Ok(_) => return Err(Failure::Usage(faults)),
            Err(error) => error,
        };
        let faulty = option_of(&error).filter(|option| !let_through.contains(option));
        let Some(option) = faulty else { return Err(not_understood(error)) };
        faults.push(given.fault(&option, &what_is_wrong(&error)));
        command =
            change(command, name, |other| if *other.get_id() == option { unchecked(other) } else { other });
        let_through.push(option);
    }
}

/// Help is no failure, and is shown here. All else goes the way of other failures, since it repeats what was given.
fn not_understood(error: clap::Error) -> Failure {
    if !error.use_stderr() {
        error.exit();
    }
    let text = error.render().to_string();
    Failure::usage(text.trim_end().trim_start_matches("error: "))
}

/// The id of the option that an error is about, or of the first of them.
fn option_of(error: &clap::Error) -> Option<String> {
    let usage = error.get(ContextKind::InvalidArg)?.to_string();
    Some(usage.split_whitespace().next()?.strip_prefix("--")?.replace('-', "_"))
}

/// It does not show the value, which may have a password.
fn what_is_wrong(error: &clap::Error) -> String {
    match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(words), _) => format!("must be one of {words}"),
        (None, Some(why)) => why.to_string(),
        (None, None) => "is required".to_owned(),
    }
}

/// What is given, and where.
struct Given<'m> {
    matches: &'m ArgMatches,
    file: File,
}

impl Given<'_> {
    /// Where an option is given by hand: on the command line or in the environment.
    fn by_hand(&self, option: &str) -> Option<ValueSource> {
        self.matches.try_contains_id(option).ok()?;
        self.matches.value_source(option).filter(|source| *source != ValueSource::DefaultValue)
    }

    /// The option with what the file says where nobody else says anything.
    fn with_file(&self, option: Arg) -> Arg {
        let name = option.get_id().as_str();
        // A directory that is named by hand takes the place of a store in the file.
        let is_given = self.by_hand(name).is_some() || name == "store" && self.by_hand("data_dir").is_some();
        match self.file.options.get(name).filter(|values| !is_given && !values.is_empty()) {
            Some(values) => option.required(false).default_values(values.clone()),
            None => option,
        }
    }

    /// A fault of an option, under the name that it has where it is given.
    fn fault(&self, option: &str, what: &str) -> String {
        let by_hand = self.by_hand(option);
        if by_hand == Some(ValueSource::EnvVariable) {
            format!("ORDER_SERVICE_{}: {what}", option.to_uppercase())
        } else if by_hand.is_none() && self.file.options.contains_key(option) {
            self.file.fault(option, what)
        } else {
            format!("{}: {what}", option.replace('_', "-"))
        }
    }

    fn unknown(&self, command: &Command) -> Vec<String> {
        let options = command.get_subcommands().chain([command]).flat_map(Command::get_arguments);
        let known: Vec<&str> = options.map(|option| option.get_id().as_str()).collect();
        let unknown = self.file.options.keys().filter(|name| !known.contains(&name.as_str()));
        unknown.map(|name| self.file.fault(name, "there is no such option")).collect()
    }

    fn two_stores(&self) -> Option<String> {
        let both = ["data_dir", "store"];
        let two = both.iter().all(|option| self.by_hand(option).is_some())
            || both.iter().all(|option| self.file.options.contains_key(*option));
        two.then(|| "data-dir and store both say where orders are kept: give one of them".to_owned())
    }
}
