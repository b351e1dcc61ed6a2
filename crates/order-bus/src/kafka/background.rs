//! Threads for what librdkafka does blockingly.

use std::ops::Deref;
use std::thread;

use order_application::BrokerError;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Runs it on a thread of its own, where the runtime can be asked for. Not on one of the runtime's: that would wait for
/// them when it ends, and librdkafka can take seconds when nobody answers.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    let (sender, result) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        let _entered = runtime.enter();
        // Nobody waits for it any more, if it cannot be sent.
        let _ = sender.send(work());
    };
    thread::Builder::new()
        .name("kafka".to_owned())
        .spawn(work)
        .map_err(|error| BrokerError::Unavailable(format!("no thread for Kafka's client: {error}")))?;
    result.await.unwrap_or_else(|_| Err(BrokerError::Unavailable("Kafka's client has given up".to_owned())))
}

/// What takes its time to be dropped, half a second and more when nobody answers: a thread of its own does it.
pub(super) struct DroppedInBackground<T: Send + 'static>(Option<T>);

impl<T: Send> DroppedInBackground<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send> Deref for DroppedInBackground<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("invariant: only `drop` takes the value"),
        }
    }
}

impl<T: Send> Drop for DroppedInBackground<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        // If there is no thread for it, it has been dropped here.
        let _ = thread::Builder::new().name("kafka-drop".to_owned()).spawn(move || drop(value));
    }
}
