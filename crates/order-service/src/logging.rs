//! Logs: for people on a terminal, JSON otherwise, always to standard error, which nobody ever waits for.

mod filter;
mod standard_error;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogOptions;
use standard_error::LogLine;

pub(crate) use filter::log_filter;

/// Whether JSON was asked for, also for what is said before anything is logged.
static IS_TOLD_AS_JSON: AtomicBool = AtomicBool::new(false);
/// Whether something is logged.
static IS_STARTED: AtomicBool = AtomicBool::new(false);

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
    IS_STARTED.store(true, Ordering::Relaxed);
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

/// From now on what the program says by itself is JSON, too, one object a line.
pub(crate) fn tell_as_json() {
    IS_TOLD_AS_JSON.store(true, Ordering::Relaxed);
}

/// Tells something to whoever started the program.
pub(crate) fn say(what: &str) {
    standard_error::say(format!("{what}\n").as_bytes());
}

/// Tells whoever started the program why it ends, whatever is logged.
pub(crate) fn error(what: &str) {
    tell(Level::ERROR, what);
}

/// Warns of something about the start. Where there is a log, it belongs there.
pub(crate) fn warn(what: &str) {
    if IS_STARTED.load(Ordering::Relaxed) {
        tracing::warn!("{what}");
    } else {
        tell(Level::WARN, what);
    }
}

fn tell(level: Level, what: &str) {
    let is_error = level == Level::ERROR;
    if !IS_TOLD_AS_JSON.load(Ordering::Relaxed) {
        let word = if is_error { "error" } else { "warning" };
        return standard_error::say(format!("{word}: {what}\n").as_bytes());
    }
    let lines = layer().with_writer(|| LogLine).with_target(false).json().flatten_event(true);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
        if is_error { tracing::error!("{what}") } else { tracing::warn!("{what}") }
    });
}

/// Waits for what was logged or said to be written, but no longer than is sensible: the process is about to end.
pub(crate) fn flush() {
    standard_error::flush();
}
