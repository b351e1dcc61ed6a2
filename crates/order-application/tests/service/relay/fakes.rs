//! A broker and checkpoints in memory, whose faults a test commands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use order_application::*;
use tokio::sync::Notify;
use uuid::Uuid;

/// A broker that keeps what it takes, in order of arrival.
#[derive(Clone, Default)]
pub(super) struct FakeBroker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) taken: Vec<RecordedEvent>,
    /// What each event's messages have named as the one before it.
    pub(super) previous_ids: HashMap<Uuid, Option<Uuid>>,
    /// What `open` and `check` answer with.
    pub(super) away: Option<BrokerError>,
    /// Takes events and says nothing.
    pub(super) silent: bool,
    /// Breaks the publication after so many more events.
    pub(super) breaks_after: Option<usize>,
    /// Somebody else publishes after so many more events.
    pub(super) disturbed_after: Option<usize>,
    /// Does not take the event at this position.
    pub(super) refuses: Option<Position>,
    pub(super) opened: usize,
}

impl FakeBroker {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.changed.notify_waiters();
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn positions(&self) -> Vec<u64> {
        self.state().taken.iter().map(|event| event.position.0).collect()
    }
}

#[async_trait]
impl Broker for FakeBroker {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        let mut state = self.state();
        state.opened += 1;
        if let Some(error) = &state.away {
            return Err(error.clone());
        }
        let evidence = checkpoint.evidence.as_deref().and_then(|seen| seen.parse::<usize>().ok());
        let resume_after = match evidence {
            Some(seen) if seen > state.taken.len() => {
                let still = state.taken.last().map_or(Position::START, |event| event.position);
                still.min(checkpoint.position)
            }
            Some(_) | None => checkpoint.position,
        };
        let seen = state.taken.len();
        let first = evidence.unwrap_or(seen).min(seen).saturating_sub(1);
        let place: Arc<str> = "the stream".into();
        let found = |event: &RecordedEvent| FoundEvent {
            place: Arc::clone(&place),
            position: event.position,
            id: event.id,
        };
        Ok(Opened {
            found: state.taken[first..].iter().map(found).collect(),
            publication: Box::new(FakePublication { broker: self.clone(), last: None, next: seen, seen }),
            resume_after,
        })
    }
}

struct FakePublication {
    broker: FakeBroker,
    /// The last event that was sent and is not acknowledged.
    last: Option<Position>,
    /// How much the broker should have.
    next: usize,
    /// How much the broker had when it acknowledged last.
    seen: usize,
}

#[async_trait]
impl Publication for FakePublication {
    async fn publish(
        &mut self,
        previous_id: Option<Uuid>,
        events: &[RecordedEvent],
    ) -> Result<(), BrokerError> {
        let mut previous_id = previous_id;
        // As a real one does not answer before anybody can look.
        tokio::task::yield_now().await;
        let mut state = self.broker.state();
        for event in events {
            if state.taken.len() != self.next {
                return Err(BrokerError::OutOfStep("it forgot, or somebody else publishes".to_owned()));
            }
            if state.refuses == Some(event.position) {
                return Err(BrokerError::Refused { position: event.position, why: "too large".to_owned() });
            }
            match &mut state.breaks_after {
                Some(0) => {
                    state.breaks_after = None;
                    return Err(BrokerError::Unavailable("the connection broke".to_owned()));
                }
                Some(left) => *left -= 1,
                None => {}
            }
            match &mut state.disturbed_after {
                Some(0) => {
                    state.disturbed_after = None;
                    return Err(BrokerError::OutOfStep("somebody else publishes".to_owned()));
                }
                Some(left) => *left -= 1,
                None => {}
            }
            let named = state.previous_ids.insert(event.id, previous_id);
            assert!(named.is_none_or(|named| named == previous_id), "a repetition is identical");
            previous_id = Some(event.id);
            state.taken.push(event.clone());
            self.next += 1;
            self.last = Some(event.position);
        }
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<Position, BrokerError> {
        loop {
            let changed = self.broker.0.changed.notified();
            {
                let state = self.broker.0.state.lock().unwrap_or_else(PoisonError::into_inner);
                if !state.silent
                    && let Some(last) = self.last.take()
                {
                    self.seen = state.taken.len();
                    return Ok(last);
                }
            }
            changed.await;
        }
    }

    fn evidence(&self) -> Box<str> {
        self.seen.to_string().into()
    }

    async fn check(&mut self) -> Result<(), BrokerError> {
        let state = self.broker.state();
        match &state.away {
            Some(error) => Err(error.clone()),
            None if state.taken.len() < self.seen => Err(BrokerError::OutOfStep("it forgot".to_owned())),
            None => Ok(()),
        }
    }
}

/// Checkpoints that several instances share.
#[derive(Default)]
pub(crate) struct FakeCheckpoints(Mutex<HashMap<String, Entry>>);

#[derive(Default)]
struct Entry {
    holder: Option<String>,
    epoch: u64,
    beat: u64,
    checkpoint: Option<Checkpoint>,
}

impl FakeCheckpoints {
    fn with<T>(&self, name: &str, change: impl FnOnce(&mut Entry) -> T) -> T {
        change(self.0.lock().unwrap().entry(name.to_owned()).or_default())
    }

    pub(crate) fn position(&self, name: &str) -> u64 {
        self.with(name, |entry| entry.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.position.0))
    }
}

#[async_trait]
impl Checkpoints for FakeCheckpoints {
    async fn claim(&self, name: &str, holder: &str, last_seen: Option<Beat>) -> Result<Claim, StoreError> {
        Ok(self.with(name, |entry| {
            let is_holder = entry.holder.as_deref() == Some(holder);
            if entry.holder.is_some() && !is_holder && last_seen != Some(Beat(entry.beat)) {
                return Claim::Held(Beat(entry.beat));
            }
            entry.epoch += u64::from(!is_holder);
            entry.beat += 1;
            entry.holder = Some(holder.to_owned());
            Claim::Granted(Epoch(entry.epoch))
        }))
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        self.with(name, |entry| {
            if entry.holder.as_deref() == Some(holder) && entry.epoch == epoch.0 {
                entry.holder = None;
            }
        });
        Ok(())
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.with(name, |entry| entry.checkpoint.clone()))
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        Ok(self.with(name, |entry| {
            let current = entry.epoch == epoch.0;
            if current {
                entry.checkpoint = Some(checkpoint.clone());
            }
            current
        }))
    }
}
