//! Threads for what librdkafka does blockingly.

use std::thread;

use order_application::BrokerError;
use tokio::sync::oneshot;

/// Runs it on a thread of its own. Not on one of the runtime's: that would wait for them when it ends, and librdkafka can
/// take seconds when nobody answers.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    let (sender, result) = oneshot::channel();
    let work = move || {
        // Nobody waits for it any more, if it cannot be sent.
        let _ = sender.send(work());
    };
    thread::Builder::new()
        .name("kafka".to_owned())
        .spawn(work)
        .map_err(|error| BrokerError::Unavailable(format!("no thread for Kafka's client: {error}")))?;
    result.await.unwrap_or_else(|_| Err(BrokerError::Unavailable("Kafka's client has given up".to_owned())))
}

/// Drops it where that may take its time.
pub(super) fn drop_in_background(value: impl Send + 'static) {
    // If there is no thread for it, it has been dropped here.
    let _ = thread::Builder::new().name("kafka-drop".to_owned()).spawn(move || drop(value));
}
