//! Ctrl+C and SIGTERM: the first asks the process to end, a second one ends it.

use std::process;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging;

/// A signal that comes within this time after the first is the same one: `timeout` and some shells send it to the process and
/// to its group.
const SAME_SIGNAL: Duration = Duration::from_millis(300);

/// What asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM
    Terminate,
    /// Ctrl+C
    Interrupt,
}

impl Stop {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "Ctrl+C",
        }
    }

    /// Ends the process, with the exit status that shells have for one that a signal has ended.
    pub(crate) fn end_now(self) -> ! {
        logging::flush();
        process::exit(match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        })
    }
}

/// Both signals, from now on.
pub(crate) struct StopSignal {
    /// Gone once the first has come: then they are waited for by whoever ends the process.
    signals: Option<Signals>,
}

impl StopSignal {
    /// Signals count from now on.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl+C")?;
        Ok(Self { signals: Some(Signals { terminate, interrupt }) })
    }

    /// Waits for the first signal. From then on another one ends the process at once.
    pub(crate) async fn received(&mut self) -> Stop {
        let Some(signals) = &mut self.signals else { return std::future::pending().await };
        let first = signals.next().await;
        if let Some(signals) = self.signals.take() {
            tokio::spawn(end_at_next(signals));
        }
        first
    }
}

async fn end_at_next(mut signals: Signals) {
    let first = Instant::now();
    loop {
        let stop = signals.next().await;
        if first.elapsed() >= SAME_SIGNAL {
            tracing::warn!(signal = stop.name(), "stopped at once; what was in flight is cut off");
            stop.end_now();
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}
