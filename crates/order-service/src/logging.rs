//! Logs: for people on a terminal, JSON otherwise, always to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogOptions;

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
    let lines = layer().with_writer(std::io::stderr).with_target(false);
    let _ = if text {
        registry.with(lines.with_ansi(terminal)).try_init()
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()
    };
}
