//! Faults that tests plant to see their checkers go red. A build without the feature `planted-faults` has none of this,
//! and one with it does nothing unless the environment names a fault.

use std::sync::LazyLock;

use order_application::Position;
use tokio::sync::oneshot;

use super::placement::Accepted;
use super::{Waiting, WriterThread};

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

static ACK_BEFORE_COMMIT: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os(VARIABLE).is_some_and(|fault| fault == "ack-before-commit"));

impl WriterThread {
    /// Says that appends are durable before anything is written.
    pub(super) fn plant_ack_before_commit(
        &self,
        mut accepted: Vec<Accepted<Waiting>>,
    ) -> Vec<Accepted<Waiting>> {
        if *ACK_BEFORE_COMMIT {
            let acknowledge = |Accepted { append, first_position, waiting, .. }: &mut Accepted<Waiting>| {
                let (nobody, _) = oneshot::channel();
                let last_position = Position(first_position.0 + append.events.len() as u64 - 1);
                (std::mem::replace(waiting, nobody), Ok(last_position))
            };
            let _ = self.answers.send(accepted.iter_mut().map(acknowledge).collect());
        }
        accepted
    }
}
