//! Opening a store, which may take as long as its views take to be made.

use anyhow::{Context, anyhow};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Runs what blocks on a thread of its own: those of the runtime answer requests meanwhile. When the process is told to
/// stop, nobody waits for it. A store is opened so that it may be killed at any moment.
pub(crate) async fn on_its_own_thread<T: Send + 'static>(
    open: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (opened, waiting) = oneshot::channel();
    let runtime = Handle::current();
    let run = move || {
        let _entered = runtime.enter();
        // Nobody waits any more for a store that comes too late; it closes itself.
        let _ = opened.send(open());
    };
    std::thread::Builder::new().name("opening".to_owned()).spawn(run).context("cannot start a thread")?;
    waiting.await.unwrap_or_else(|_| Err(anyhow!("opening the store ended early")))
}
