//! The writer's part of the [planted faults](crate::sqlite::planted_faults).

use order_application::Position;
use tokio::sync::oneshot;

use crate::sqlite::planted_faults::is_planted;
use crate::sqlite::writer::positioning::Accepted;
use crate::sqlite::writer::thread::{LogWriterThread, Waiting};

impl LogWriterThread {
    /// Says that appends are durable before anything is written.
    pub(super) fn plant_ack_before_commit(
        &self,
        mut accepted: Vec<Accepted<Waiting>>,
    ) -> Vec<Accepted<Waiting>> {
        if is_planted("ack-before-commit") {
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
