//! Commands that may be ended at any moment, since the same command goes on where it was.

use std::io::{self, IsTerminal};

use crate::logging;
use crate::process;
use crate::stop_signal::StopSignal;

/// Does it on the caller's thread; the runtime's look after connections, and read ahead.
pub(crate) fn run<T>(doing: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = process::runtime()?;
    runtime.block_on(async { StopSignal::listen().map(|stop| tokio::spawn(end_when_told(stop))) })?;
    Ok(runtime.block_on(doing))
}

async fn end_when_told(mut stop: StopSignal) {
    let stop = stop.received().await;
    // On a terminal a bar stands in the line.
    let begin = if io::stderr().is_terminal() { "\n" } else { "" };
    logging::say(&format!("{begin}stopped by {}: the same command goes on where it was", stop.name()));
    stop.end_now();
}
