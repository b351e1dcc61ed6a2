//! What every process that serves has in common: its runtime, its first line, and how it is told to stop.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// Threads that scan the store for readers; more would only wait for the same disk.
const MAX_BLOCKING_THREADS: usize = 16;

/// The runtime of a server.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .context("cannot start the runtime")
}

/// The line that scripts wait for.
#[expect(clippy::print_stdout, reason = "standard output is for this line alone; logs go to standard error")]
pub(crate) fn announce(port: u16) {
    println!("order-service listening on :{port}");
}

/// Does what has to be done before requests can be served, while `server` answers that it is starting. `None`: the process
/// was told to stop first.
pub(crate) async fn before_serving<T>(
    server: &Server,
    stop: &mut StopSignal,
    doing: impl Future<Output = anyhow::Result<T>>,
    grace: Duration,
) -> anyhow::Result<Option<T>> {
    tokio::select! {
        done = doing => done.map(Some),
        signal = stop.received() => {
            tracing::info!(signal, "stopping: the store is not open yet");
            // Nothing is in flight but answers that it is starting.
            _ = tokio::time::timeout(grace, server.drain()).await;
            Ok(None)
        }
    }
}

/// Serves until it is told to stop or the store cannot go on. Then `shutdown` ends what would never end by itself, and the
/// rest has the grace time to finish.
pub(crate) async fn serve_until_stopped(
    server: Server,
    stop: &mut StopSignal,
    store_stopped: impl Future<Output: Display>,
    shutdown: CancellationToken,
    grace: Duration,
) -> ExitCode {
    let code = tokio::select! {
        signal = stop.received() => {
            tracing::info!(signal, "stopping: finishing what is in flight");
            ExitCode::SUCCESS
        }
        why = store_stopped => {
            tracing::error!(%why, "stopping: the store cannot go on");
            ExitCode::FAILURE
        }
    };
    shutdown.cancel();
    if tokio::time::timeout(grace, server.drain()).await.is_err() {
        tracing::warn!("the grace time is over; what is still in flight is cut off");
    }
    code
}

/// Ctrl+C, or SIGTERM where there is such a thing.
pub(crate) struct StopSignal {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignal {
    #[cfg(unix)]
    pub(crate) fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl+C")?;
        Ok(Self { terminate, interrupt })
    }

    #[cfg(unix)]
    pub(crate) async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl+C",
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(crate) async fn received(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl+C"
    }
}
