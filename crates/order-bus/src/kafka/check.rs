//! Whether a topic still has its ends, while it is published to.

use std::time::{Duration, Instant};

use order_application::BrokerError;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;

use super::evidence::Evidence;
use super::failure::{NO_TOPIC, code_of, failure, misconfigured};
use super::probe::watermarks;

/// How long the partitions' leaders may take to say where the partitions end: there may be none for a while.
const PATIENCE: Duration = Duration::from_secs(10);

/// Compares the ends of all partitions with what has been acknowledged. Blocks.
pub(super) fn check<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    acknowledged: &Evidence,
) -> Result<(), BrokerError> {
    let until = Instant::now() + PATIENCE;
    for (&partition, marks) in &acknowledged.partitions {
        let left = until.saturating_duration_since(Instant::now());
        let now = watermarks(client, topic, partition, left)
            .map_err(|error| no_answer(&error, topic, partition))?;
        if now.high <= marks.last.offset {
            return Err(BrokerError::OutOfStep(format!(
                "partition {partition} of {topic} ends at offset {}, and had acknowledged offset {}",
                now.high, marks.last.offset
            )));
        }
    }
    Ok(())
}

fn no_answer(error: &KafkaError, topic: &str, partition: i32) -> BrokerError {
    let code = code_of(error);
    if code.is_some_and(|code| NO_TOPIC.contains(&code)) {
        return BrokerError::OutOfStep(format!("partition {partition} of {topic} is gone"));
    }
    if misconfigured(code) {
        return failure(error, &format!("look at partition {partition} of {topic}"));
    }
    BrokerError::Unavailable(format!("nobody says where partition {partition} of {topic} ends: {error}"))
}
