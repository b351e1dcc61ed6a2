//! Where options come from: the command line goes before the environment, and that before the file that `--config` names.

use std::error::Error;
use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, value_parser};
use order_bus::BrokerUrl;

use super::file::File;
use super::variables::{options, variable, with_variable};
use crate::cli::{Arguments, Failure};
use crate::logging;
use crate::store_url::StoreUrl;

/// Reads them all, and ends the program where the command line asks for help.
///
/// # Errors
/// That the command line cannot be understood; or every fault at once, each under the name that the option has where it was
/// given.
pub(crate) fn read() -> Result<Arguments, Failure> {
    let command = command();
    // What is given is looked at first, whatever it is worth: that says which command it is, and which file.
    let unchecked = every(command.clone(), unchecked);
    if let Ok(matches) = unchecked.clone().ignore_errors(true).try_get_matches() {
        choose_format(&Given { matches: called(&matches).1, file: File::default() });
    }
    let matches = unchecked.try_get_matches().map_err(|error| not_understood(error, &command))?;
    let (name, matches) = called(&matches);
    // Some commands take no settings.
    let path = matches.try_get_one::<OsString>("config").ok().flatten();
    let (file, mut faults) = path.map(|path| File::read(path.into())).unwrap_or_default();
    let given = Given { matches, file };
    choose_format(&given);

    faults.extend(given.unknown(&command));
    faults.extend(given.two_stores());
    faults.extend(given.overruled_store());
    let command = match name {
        // The options of `serve` without its name are not asked for.
        Some(_) => command.mut_args(|option| option.env(Resettable::Reset)),
        None => command,
    };
    let command = change(command, name, |option| given.with_file(option));
    let matches = check(command, name, &given, faults)?;
    Arguments::from_arg_matches(&matches).map_err(|error| Failure::Runtime(error.into()))
}

/// All commands, with the variables of their options.
pub(crate) fn command() -> Command {
    every(Arguments::command(), |option| {
        let takes_values = option.get_action().takes_values();
        // `-1` is what is said for an option, and no option.
        with_variable(option).allow_negative_numbers(takes_values)
    })
}

fn every(command: Command, change: fn(Arg) -> Arg) -> Command {
    command.mut_args(change).mut_subcommands(|command| command.mut_args(change))
}

/// Which command was called, and what was given to it.
fn called(matches: &ArgMatches) -> (Option<&str>, &ArgMatches) {
    matches.subcommand().map_or((None, matches), |(name, of)| (Some(name), of))
}

/// Faults of the options, too, are told in the format that was asked for.
fn choose_format(given: &Given<'_>) {
    if given.text("log_format").is_some_and(|format| format == "json") {
        logging::tell_as_json();
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
            Ok(matches) => {
                faults.extend(given.two_brokers(called(&matches).1));
                return if faults.is_empty() { Ok(matches) } else { Err(Failure::Usage(faults)) };
            }
            Err(error) => error,
        };
        let faulty = option_of(&error).filter(|option| !let_through.contains(option));
        let Some(option) = faulty else {
            faults.extend(not_understood(error, &command).lines());
            return Err(Failure::Usage(faults));
        };
        faults.push(given.fault(&option, &what_is_wrong(&error)));
        command =
            change(command, name, |other| if *other.get_id() == option { unchecked(other) } else { other });
        let_through.push(option);
    }
}

/// Help is no failure, and is shown here. All else goes the way of other failures, since it repeats what was given.
fn not_understood(error: clap::Error, commands: &Command) -> Failure {
    if !error.use_stderr() {
        // The options as they are checked: which are required, and what may be given for them.
        let checked = commands.clone().try_get_matches().err().filter(|checked| !checked.use_stderr());
        checked.unwrap_or(error).exit();
    }
    if let (ErrorKind::ArgumentConflict, Some(command)) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
    {
        let example = commands.find_subcommand(command.to_string()).and_then(an_option).unwrap_or_default();
        return Failure::usage(format!(
            "what stands before {command} is for `serve`: put options behind it, as in `order-service {command}{example}`"
        ));
    }
    let text = error.render().to_string();
    Failure::usage(text.trim_end().trim_start_matches("error: "))
}

/// An option of this command that says what it is about, as it is written.
fn an_option(command: &Command) -> Option<String> {
    let has_value = |option: &&Arg| option.get_long().is_some() && option.get_value_names().is_some();
    let mut options = command.get_arguments().filter(|option| option.get_id() != "config").filter(has_value);
    let first = options.next()?;
    let option = options.find(|option| option.get_id() == "data_dir").unwrap_or(first);
    Some(format!(" --{} {}", option.get_long()?, option.get_value_names()?.first()?))
}

/// The id of the option that an error is about, or of the first of them.
fn option_of(error: &clap::Error) -> Option<String> {
    let usage = error.get(ContextKind::InvalidArg)?.to_string();
    Some(usage.split_whitespace().next()?.strip_prefix("--")?.replace('-', "_"))
}

/// It does not show the value, which may have a password.
fn what_is_wrong(error: &clap::Error) -> String {
    match (error.get(ContextKind::ValidValue), error.source()) {
        // Whatever it may be, it is not nothing.
        (Some(words), _) if words.to_string().is_empty() => "must not be empty".to_owned(),
        (Some(words), _) => format!("must be one of {words}"),
        (None, Some(why)) => why.to_string(),
        (None, None) => "is required".to_owned(),
    }
}

/// An option's name, as it is written where it is given by hand.
fn name_by_hand(option: &str, source: ValueSource) -> String {
    if source == ValueSource::EnvVariable {
        variable(option)
    } else {
        format!("--{}", option.replace('_', "-"))
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

    /// What is given for it, where that is one thing.
    fn text(&self, option: &str) -> Option<&OsStr> {
        match self.by_hand(option) {
            Some(_) => self.matches.get_one::<OsString>(option).map(OsString::as_os_str),
            None => self.file.values(option)?.first().map(OsStr::new),
        }
    }

    /// The option with what the file says where nobody else says anything.
    fn with_file(&self, option: Arg) -> Arg {
        let name = option.get_id().as_str();
        // A directory that is named by hand takes the place of a store in the file.
        let is_given = self.by_hand(name).is_some() || name == "store" && self.by_hand("data_dir").is_some();
        let may_be_given = !is_given && !option.is_positional();
        match self.file.values(name).filter(|values| may_be_given && !values.is_empty()) {
            Some(values) => {
                let values = values.to_vec();
                option.required(false).default_values(values)
            }
            None => option,
        }
    }

    /// A fault of an option, under the name that it has where it is given.
    fn fault(&self, option: &str, what: &str) -> String {
        let by_hand = |source| format!("{}: {what}", name_by_hand(option, source));
        match self.by_hand(option) {
            Some(source) => by_hand(source),
            // What is given nowhere is missed on the command line.
            None => self.file.fault(option, what).unwrap_or_else(|| by_hand(ValueSource::CommandLine)),
        }
    }

    fn unknown(&self, command: &Command) -> Vec<String> {
        let known: Vec<&str> = options(command).map(|option| option.get_id().as_str()).collect();
        self.file.unknown(&known)
    }

    fn two_stores(&self) -> Option<String> {
        let by_hand = |option| self.by_hand(option).map(|source| name_by_hand(option, source));
        let two = |[one, other]: [&str; 2]| {
            format!("{one} and {other} both say where orders are kept: give one of them")
        };
        if let (Some(one), Some(other)) = (by_hand("data_dir"), by_hand("store")) {
            return Some(two([&one, &other]));
        }
        let are_in_file = ["data_dir", "store"].iter().all(|option| self.file.values(option).is_some());
        are_in_file.then(|| self.file.fault("store", &two(["data_dir", "store"]))).flatten()
    }

    /// Tells of a store in the file that counts for nothing, since a directory is named by hand. It is checked all the same.
    fn overruled_store(&self) -> Option<String> {
        let directory = name_by_hand("data_dir", self.by_hand("data_dir")?);
        let store = self.file.values("store")?.first().filter(|_| self.by_hand("store").is_none())?;
        if let Err(fault) = store.parse::<StoreUrl>() {
            return self.file.fault("store", &fault);
        }
        let not_used = format!("it is not used, since {directory} says where orders are kept");
        if let Some(told) = self.file.fault("store", &not_used) {
            logging::warn(&told);
        }
        None
    }

    /// Two brokers that would share a checkpoint.
    fn two_brokers(&self, matches: &ArgMatches) -> Option<String> {
        // Nothing is said of what has another fault.
        let brokers: Vec<_> = matches.try_get_many::<BrokerUrl>("bus").ok()??.collect();
        let mut names: Vec<_> = brokers.iter().map(|broker| broker.name()).collect();
        names.sort_unstable();
        let name = names.windows(2).find(|pair| pair[0] == pair[1])?[0];
        let what = format!(
            "two brokers go by the name {name}, which their checkpoint would share; tell them apart with ?name=…"
        );
        Some(self.fault("bus", &what))
    }
}
