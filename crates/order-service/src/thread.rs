//! Threads beside those of the runtime, which answer requests meanwhile.

use anyhow::{Context, anyhow};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Runs something on a thread of its own. What it comes to can be waited for.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<T>> {
    let (ended, waiting) = oneshot::channel();
    // Perhaps nobody waits any more.
    let run = move || _ = ended.send(run());
    std::thread::Builder::new().name(name.to_owned()).spawn(run).context("cannot start a thread")?;
    Ok(waiting)
}

/// Opens a store, which may take as long as its views take to be made. When the process is told to stop, nobody waits for it:
/// a store is opened so that it may be killed at any moment, and one that comes too late closes itself.
pub(crate) async fn opening<T: Send + 'static>(
    open: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let runtime = Handle::current();
    let open = move || {
        let _entered = runtime.enter();
        open()
    };
    spawn("opening", open)?.await.unwrap_or_else(|_| Err(anyhow!("opening the store ended early")))
}
