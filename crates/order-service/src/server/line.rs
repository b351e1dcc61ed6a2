//! Where those wait for a place whose networks have most, so that others need not wait behind them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// So many may come at once and mean no harm. A line that has places for as many is not waited for when it is full.
const BURST: usize = 256;
/// For so long a newcomer that finds a shorter line full waits for somebody to leave it. All others who are new wait behind that one.
const PATIENCE: Duration = Duration::from_millis(400);
/// So often at most, so that a line that stays full keeps others waiting for a part of the time only. Meanwhile newcomers whom it has no
/// room for are hung up on.
const EACH: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Line {
    places: Arc<Semaphore>,
    length: usize,
    /// When somebody was last the first to find it full.
    patient_from: Mutex<Option<Instant>>,
}

impl Line {
    /// A line of so many.
    pub(super) fn new(length: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(length)), length, patient_from: Mutex::default() }
    }

    /// A place in it. `None`: it is full, and stays so for longer than one can wait.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        if self.length >= BURST {
            return None;
        }
        let place = Arc::clone(&self.places).acquire_owned();
        timeout_at(self.patient_until(), place).await.ok()?.ok()
    }

    /// Whoever finds it full now waits until then. A burst that is soon over is let in as a whole.
    fn patient_until(&self) -> Instant {
        let mut patient_from = self.patient_from.lock().unwrap_or_else(PoisonError::into_inner);
        let from = patient_from.filter(|from| from.elapsed() < EACH).unwrap_or_else(Instant::now);
        *patient_from = Some(from);
        from + PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_it_full_waits_until_somebody_leaves() {
        let line = Line::new(1);
        let first = line.place().await;
        let mut second = Box::pin(line.place());
        assert!((&mut second).now_or_never().is_none());
        advance(PATIENCE / 2).await;
        drop(first);
        assert!(second.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_line_is_not_waited_for() {
        let line = Line::new(BURST);
        let places: Vec<_> = (0..BURST).map(|_| line.place().now_or_never().flatten()).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(line.place().now_or_never().expect("at once").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_stays_full_keeps_whoever_is_behind_it_waiting_for_no_more_than_a_part_of_the_time() {
        let line = Line::new(1);
        let _first = line.place().await;
        let begun = Instant::now();
        for _ in 0..1_000 {
            assert!(line.place().await.is_none());
        }
        let waited = begun.elapsed();
        assert!(waited >= PATIENCE && waited < 2 * PATIENCE, "{waited:?}");
        advance(EACH).await;
        let begun = Instant::now();
        assert!(line.place().await.is_none());
        assert!(begun.elapsed() >= PATIENCE, "there is patience again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_moves_all_the_while_is_waited_for_no_longer() {
        let line = Line::new(1);
        let mut in_line = line.place().await;
        let begun = Instant::now();
        while in_line.is_some() {
            assert!(begun.elapsed() < EACH);
            let place = line.place();
            let leaving = async {
                tokio::time::sleep(PATIENCE / 20).await;
                drop(in_line);
            };
            (in_line, ()) = futures_util::future::join(place, leaving).await;
        }
        assert!(begun.elapsed() < PATIENCE + PATIENCE / 10, "{:?}", begun.elapsed());
    }
}
