//! Logs: for people on a terminal, JSON otherwise, always to standard error, which nobody ever waits for.

mod standard_error;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use clap::ValueEnum;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogOptions;
use standard_error::LogLine;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people where standard error is a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Says that something is logged from now on. A second call changes nothing.
pub(crate) fn start(options: &LogOptions) {
    let terminal = std::io::stderr().is_terminal();
    let text = match options.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(options.log.clone());
    let lines = layer().with_writer(|| LogLine).with_target(false);
    let _ = if text {
        registry.with(lines.with_ansi(terminal)).try_init()
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()
    };
    // The usual hook would wait for whoever reads standard error.
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let why = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    let backtrace = Some(Backtrace::capture()).filter(|trace| trace.status() == BacktraceStatus::Captured);
    let backtrace = backtrace.map(|trace| trace.to_string());
    let thread = std::thread::current().name().map(str::to_owned);
    tracing::error!(why, place, thread, backtrace, "a thread panicked");
}

/// Says something to whoever started the program.
pub(crate) fn say(line: &str) {
    standard_error::say(format!("{line}\n").as_bytes());
}

/// Waits for what was logged or said to be written, but no longer than is sensible: the process is about to end.
pub(crate) fn flush() {
    standard_error::flush();
}
