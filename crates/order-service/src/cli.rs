//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use order_application::error_chain;

use crate::backup::BackupArguments;
use crate::config::{LogOptions, ReplicaOptions, ServeOptions, StoreOptions};
use crate::copy::CopyArguments;
use crate::export::ExportArguments;
use crate::keys::KeysCommand;
use crate::print::PrintArguments;
use crate::release;
use crate::republish::RepublishArguments;
use crate::restore::RestoreArguments;
use crate::status::StatusArguments;
use crate::tail::TailArguments;
use crate::verify::VerifyArguments;
use crate::{
    backup, config, copy, export, keys, logging, migrate, print, rebuild, replica, republish, restore, serve,
    status, tail, traces, verify,
};

/// Takes e-commerce orders through their whole life, and forgets nothing.
///
/// Without a command it serves: HTTP on :8080 (this machine only), orders in ./data. Every option can also be given in
/// the environment (named below) or in a file (--config); the command line goes before the environment, and that
/// before the file.
#[derive(Debug, Parser)]
#[command(name = "order-service", version = release::description(), args_conflicts_with_subcommands = true, max_term_width = 100, after_long_help = traces::HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Configured<ServeOptions>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve orders over HTTP; this is also what happens when no command is given.
    ///
    /// Prints `order-service listening on :PORT` once requests are served. Wait for that line, or for 200 from `/ready`: `/health`
    /// says 200 as soon as the process answers, when the store is not open yet. Ctrl+C or SIGTERM stops: what is in flight is
    /// finished first; another one stops at once (exit status 130 or 143).
    #[command(after_long_help = traces::HELP)]
    Serve(Configured<ServeOptions>),
    /// Check a store from end to end: every event, every order's history, every view. Or a backup: --backup DIR.
    ///
    /// Exit status 0: all is well; 3: faults were found, each told on a line of its own. On SQLite the server must not be
    /// running. On PostgreSQL servers may keep running: all is read as it was at one moment.
    Verify(Configured<VerifyArguments>),
    /// Back up a store into a directory: every event, what was answered under Idempotency-Keys, and how far relays are.
    ///
    /// Servers may keep running, on SQLite, too: the backup takes the time that they leave. What was acknowledged before it
    /// began is in it. Run again with the same directory, it adds what is new; one that was interrupted goes on where it was,
    /// and what the run before has made stays whole until then. Exit status 3: acknowledged events are missing from the store, as
    /// a warning says; what there is was backed up.
    Backup(Configured<BackupArguments>),
    /// Make a store from a backup: a file that is not there yet, or an empty database, of whichever kind the backup is.
    ///
    /// All of it, or up to a position or a time. Every part and every event is checked on the way, and the store in the end, as
    /// `verify` does: until then no server opens it. An interrupted run goes on where it stopped when the same command is run
    /// again. Exit status 0: the store may be served; 3: the check found faults, each told on a line of its own.
    Restore(Configured<RestoreArguments>),
    /// Copy a store into another, of the same kind or not, with all events as they are.
    ///
    /// An interrupted copy goes on where it stopped when the same command is run again. Until all is copied and checked,
    /// as `verify` does, no server opens the target. The servers of the source should be stopped: what it grows by is followed
    /// only as long as it pauses, and what it takes after the copy is not in it. Exit status 0: the target may be served; 3: the
    /// check found faults, each told on a line of its own.
    Copy(Configured<CopyArguments>),
    /// Rebuild the views: what lists and reads show, derived from the events.
    ///
    /// The server does this by itself after an upgrade that needs it, and when it notices damage. On SQLite
    /// the server must not be running. On PostgreSQL servers may keep running. A run that is interrupted leaves
    /// the old views on SQLite, and on PostgreSQL those that are made and the old ones of all other orders.
    Rebuild(Configured<StoreOptions>),
    /// Bring a PostgreSQL database to the schema of this release. `serve` does the same when it starts; use this
    /// if it runs as a user that may not change the schema.
    Migrate(Configured<StoreOptions>),
    /// Publish events to a broker again, from a position to the end of the log, whatever the broker has.
    ///
    /// For a broker or a consumer that has lost events in a way that the relay cannot notice by itself. Consumers tell
    /// repetitions by the events' ids. On SQLite the server must not be running. On PostgreSQL servers keep running: their
    /// relay pauses meanwhile.
    #[command(mut_arg("bus", |bus| bus.required(true)))]
    Republish(Configured<RepublishArguments>),
    /// Serve orders for reading, from a copy that follows a primary through a broker.
    ///
    /// Answers every GET as the primary does, once it has caught up; commands go to the primary. `/ready` tells how it
    /// goes. Goes on where it was when it is started again.
    #[command(after_long_help = traces::HELP)]
    Replica(Configured<ReplicaOptions>),
    /// Write every event to standard output, one CloudEvent a line.
    ///
    /// Servers may keep running. What is committed meanwhile is left out. Exit status 3: acknowledged events are missing from
    /// the store, as a warning says; what there is was written.
    Export(Configured<ExportArguments>),
    /// Ask a service that runs how it is, as its `/ready` says it.
    ///
    /// Exit status 0: it is ready; 3: it is not; 1: it does not answer.
    Status(Configured<StatusArguments>),
    /// Follow the events of a service that runs, one a line.
    ///
    /// Goes on where it was when the connection breaks or the service is started again.
    Tail(Configured<TailArguments>),
    /// Print what comes with the binary: a systemd unit, manifests, rules for Prometheus, a dashboard, completions, manual pages,
    /// the API's description.
    Print(PrintArguments),
    /// Make keys for `--access`, and check the file that has them.
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// A command's own options, and the file that may have some of them.
#[derive(Debug, Args)]
struct Configured<O: Args> {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    options: O,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// A TOML file with any of these options, named as here with underscores: `data_dir = "data"`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Command {
    /// What to log, for those that do.
    fn log(&self) -> Option<&LogOptions> {
        match self {
            Self::Serve(Configured { options, .. }) => Some(&options.log),
            Self::Replica(Configured { options, .. }) => Some(&options.log),
            Self::Republish(Configured { options, .. }) => Some(&options.log),
            Self::Verify(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Copy(_)
            | Self::Rebuild(_)
            | Self::Migrate(_)
            | Self::Export(_)
            | Self::Status(_)
            | Self::Print(_)
            | Self::Keys(_)
            | Self::Tail(_) => None,
        }
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let command = arguments.command.unwrap_or(Command::Serve(arguments.serve));
    if let Some(options) = command.log() {
        logging::start(options);
    }
    config::unknown_variables().iter().for_each(|unknown| logging::warn(unknown));
    match command {
        Command::Serve(Configured { options, .. }) => serve::run(options),
        Command::Verify(Configured { options, .. }) => verify::run(options),
        Command::Backup(Configured { options, .. }) => backup::run(options),
        Command::Restore(Configured { options, .. }) => restore::run(options),
        Command::Rebuild(Configured { options, .. }) => rebuild::run(&options.url()),
        Command::Copy(Configured { options, .. }) => copy::run(&options),
        Command::Migrate(Configured { options, .. }) => migrate::run(&options.url()),
        Command::Republish(Configured { options, .. }) => republish::run(options),
        Command::Replica(Configured { options, .. }) => replica::run(options),
        Command::Export(Configured { options, .. }) => export::run(options),
        Command::Status(Configured { options, .. }) => status::run(&options),
        Command::Tail(Configured { options, .. }) => tail::run(&options),
        Command::Print(arguments) => print::run(arguments),
        Command::Keys(command) => keys::run(command),
    }
}

/// Why the program ends otherwise than it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for cannot be: every fault, one to a line.
    Usage(Vec<String>),
    /// It went wrong.
    Runtime(anyhow::Error),
}

impl Failure {
    /// One thing that was asked for cannot be.
    pub(crate) fn usage(fault: impl Into<String>) -> Self {
        Self::Usage(vec![fault.into()])
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Usage(faults) => faults.clone(),
            Self::Runtime(error) => vec![error_chain(error.as_ref())],
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Runtime(_) => ExitCode::from(1),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Runtime(error)
    }
}
