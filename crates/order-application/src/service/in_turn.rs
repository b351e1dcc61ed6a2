//! Commands to an order that many want to change at once: the line for its lock, and turns at the store.
//!
//! Whoever has an order's lock when its turn at the store comes takes along who waits behind it: their commands are
//! decided one after the other, each on what those before it lead to, and appended together. A turn costs the same for
//! one command as for sixty.

use std::sync::Arc;

use order_domain::{OrderCommand, OrderId};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::sleep;

use super::command::{Basis, Judgement, nothing_appended};
use super::query::replay;
use super::{CommandError, CommandMeta, CommandOutcome, OrderFacts, Shared};
use crate::event::{RecordedEvent, Version};
use crate::order_locks::OrderGuard;
use crate::ports::event_log::{Append, AppendError, StoreError};
use crate::projection::OrderView;

/// Most commands that are taken along.
const MAX_COMPANY: usize = 64;
/// Event data of one turn, about, after which nobody more is taken along.
const MAX_TURN_BYTES: usize = 1024 * 1024;

/// A command, and what comes with it.
pub(super) struct Asked {
    pub(super) command: OrderCommand,
    pub(super) meta: CommandMeta,
}

/// A command that waits for its order's lock.
pub(super) struct Passenger {
    asked: Arc<Asked>,
    /// Dropped without an answer: it was not taken along after all.
    answer: oneshot::Sender<Result<CommandOutcome, CommandError>>,
}

impl Shared {
    /// Waits for the order's lock, or for whoever has it to carry out this command as well.
    pub(super) async fn execute_after_others(
        &self,
        order_id: OrderId,
        asked: Asked,
    ) -> Result<CommandOutcome, CommandError> {
        let asked = Arc::new(asked);
        let (answer, mut answered) = oneshot::channel();
        let waiting = self.locks.wait(&order_id, Passenger { asked: Arc::clone(&asked), answer });
        let lock = tokio::select! {
            biased;
            Ok(answer) = &mut answered => return answer,
            lock = waiting.lock() => lock,
            () = sleep(self.limits.order_patience) => {
                if waiting.take_back() {
                    return Err(StoreError::Overloaded.into());
                }
                // Somebody is at it. How long that may take is the store's to say.
                let answer = match answered.try_recv() {
                    Err(TryRecvError::Empty) => answered.await.ok(),
                    at_once => at_once.ok(),
                };
                let unknown = || StoreError::OutcomeUnknown("the request that carried it out has ended".to_owned());
                return answer.unwrap_or_else(|| Err(unknown().into()));
            }
        };
        if !waiting.take_back()
            && let Ok(answer) = answered.try_recv()
        {
            return answer;
        }
        // Whoever took it along may have ended half-way. Asked again, it is found done, or done now.
        drop(waiting);
        self.execute_under(lock, order_id, &asked).await
    }

    /// Decides while the store holds off everybody else: others keep changing the order.
    pub(super) async fn execute_in_turn(
        &self,
        order_id: OrderId,
        asked: &Asked,
        basis: Basis,
        lock: &mut OrderGuard<'_, Passenger>,
    ) -> Result<CommandOutcome, CommandError> {
        let after = basis.version();
        // Copied before the turn comes: others wait for its end.
        let mut known = Some(basis.order().cloned());
        let mut company = Vec::new();
        // What the last decision was.
        let (mut next, mut answers) = (None, Vec::new());
        let mut decide = |news: Vec<RecordedEvent>| {
            if !news.is_empty() {
                lock.found(true);
            }
            company.extend(lock.take_along(MAX_COMPANY.saturating_sub(company.len())));
            let mut order = replay(known.take().unwrap_or_else(|| basis.order().cloned()), &news)?;
            let expected_version = order.as_ref().map_or(Version::NONE, |order| order.version);
            let (mut events, mut bytes) = (Vec::new(), 0);
            answers.clear();
            let all =
                std::iter::once(asked).chain(company.iter().map(|passenger: &Passenger| &*passenger.asked));
            for asked in all {
                if bytes > MAX_TURN_BYTES {
                    break;
                }
                answers.push(match self.decide_on(order.as_ref(), asked) {
                    Ok(Judgement::Append(decided)) => {
                        let next = decided.next(order.take());
                        bytes += decided.encoded.iter().map(|event| event.data.len()).sum::<usize>();
                        events.extend(decided.encoded);
                        let version = next.version;
                        order = Some(next);
                        Ok(CommandOutcome { order_id: order_id.clone(), version, appended: true })
                    }
                    Ok(Judgement::Answer(answer)) => {
                        let version = order.as_ref().map_or(Version::NONE, |order| order.version);
                        nothing_appended(order_id.clone(), version, answer)
                    }
                    Err(error) => Err(error),
                });
            }
            next = order.map(Arc::new);
            let Some(next) = next.as_ref().filter(|_| !events.is_empty()) else { return Ok(None) };
            let view = OrderView::Readable(next.summary(&order_id));
            Ok(Some(Append { order_id: order_id.clone(), expected_version, events, view }))
        };
        let outcome = self.log.append_in_turn(&order_id, after, &mut decide).await;
        let failed = match outcome {
            Ok(Some(_)) => {
                if let Some(next) = next {
                    self.cache.put(order_id, next);
                }
                None
            }
            Ok(None) => None,
            Err(AppendError::Store(error)) => Some(self.failed(&order_id, error)),
            Err(AppendError::Conflict { .. }) => {
                self.cache.forget(&order_id);
                Some(CommandError::ConcurrentModification(OrderFacts::of(basis.order())))
            }
        };
        // What was refused may have been so because of what has failed as well.
        let mut answers = answers.into_iter().map(|answer| failed.clone().map_or(answer, Err));
        let own = answers.next();
        for (passenger, answer) in company.into_iter().zip(answers) {
            // Whoever gave up waiting does not hear it.
            let _ = passenger.answer.send(answer);
        }
        match (own, failed) {
            (Some(own), _) => own,
            (None, Some(failed)) => Err(failed),
            (None, None) => unreachable!("invariant: a turn that was had has decided"),
        }
    }
}
