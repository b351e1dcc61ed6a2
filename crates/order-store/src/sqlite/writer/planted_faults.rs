//! The writer's part of the [planted faults](crate::sqlite::planted_faults).

use std::time::{Duration, Instant};

use order_application::Position;
use tokio::sync::oneshot;

use crate::sqlite::planted_faults::is_planted;
use crate::sqlite::writer::positioning::Accepted;
use crate::sqlite::writer::queue::{Queue, QueuedAppend};
use crate::sqlite::writer::thread::{LogWriterThread, Waiting};

impl LogWriterThread {
    /// Says that appends are durable if that is the fault.
    pub(super) fn plant_ack(
        &self,
        fault: &str,
        mut accepted: Vec<Accepted<Waiting>>,
    ) -> Vec<Accepted<Waiting>> {
        if is_planted(fault) {
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

impl Queue {
    /// Keeps appends in the queue that are refused.
    pub(super) fn plant_late_but_written(&self, late: &[QueuedAppend]) {
        if is_planted("late-but-written") {
            for QueuedAppend { append, .. } in late {
                let (done, _) = oneshot::channel();
                // Not late again for a while. There is room for it: it was in there.
                let since = Instant::now() + Duration::from_secs(60);
                let _ = self.push(QueuedAppend { append: append.clone(), since, done });
            }
        }
    }
}
