//! The threads of an open store, and reads that would hold up those of the runtime.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use order_application::StoreError;

use crate::sqlite_error::SqliteError;

/// Who starts it has a way to tell it to end.
pub(crate) struct StoreThread(Mutex<Option<JoinHandle<()>>>);

impl StoreThread {
    pub(crate) fn start(
        name: &str,
        log_path: &Path,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<Self, SqliteError> {
        let handle = Builder::new().name(name.to_owned()).spawn(run).map_err(SqliteError::io(log_path))?;
        Ok(Self(Mutex::new(Some(handle))))
    }

    /// Waits for its end. A panic in it has been told by the panic hook.
    pub(crate) fn join(&self) {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            let _ = handle.join();
        }
    }
}

/// Reads on a thread where that may take long.
pub(crate) async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a read ended early: {error}")).into()))
}
