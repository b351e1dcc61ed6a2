use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use order_domain::{
    CancelUnpaidOrder, ExpireAuthorization, ExpireReservation, Obstacle, OrderCommand, OrderError, OrderId,
    Timer, Timestamp,
};

use super::TimerPorts;
use crate::event::Version;
use crate::figures::CommandFigures;
use crate::ports::event_log::{PageLimit, StoreError};
use crate::ports::order_views::{DueOrder, DuePage, DueQuery};
use crate::service::{CommandError, CommandMeta, EventFilter, QueryError};
use crate::traces::{CommandTrace, SpanKind, Tracer};

/// Orders of one page.
const ORDERS_AT_ONCE: usize = 200;
/// Most orders that are remembered as set aside. Of more, each is tried again, and told, at each look.
const MAX_SET_ASIDE: usize = 10_000;

/// How many of an order's last events are asked for their traces.
const LINKED_EVENTS: usize = 16;

/// Looks at what is due, and what is remembered from one to the next.
#[derive(Default)]
pub(super) struct Passes {
    fired: u64,
    /// Orders that refuse a timer for good, or cannot be read, and at which version they were.
    set_aside: HashMap<OrderId, Version>,
    /// Orders that the last look found due and did not set aside, and for how long the first of them had been.
    found_due: (u64, Duration),
}

impl Passes {
    /// How many timers did something.
    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    /// How many orders wait for people.
    pub(super) fn set_aside(&self) -> usize {
        self.set_aside.len()
    }

    /// How many orders were due at the last look, and how late the first of them was.
    pub(super) fn found_due(&self) -> (u64, Duration) {
        self.found_due
    }

    /// Fires every timer that is due now, as long as it is to go on.
    pub(super) async fn fire_what_is_due(
        &mut self,
        ports: &TimerPorts,
        going_on: impl Fn() -> bool,
    ) -> Result<(), StoreError> {
        let mut query = DueQuery { until: ports.clock.now(), after: None, limit: ORDERS_AT_ONCE };
        let mut still_due = HashMap::new();
        self.found_due = (0, Duration::ZERO);
        loop {
            let DuePage { orders, next } = ports.views.due(&query).await?;
            for DueOrder { order_id, place } in &orders {
                if !going_on() {
                    return Ok(());
                }
                match self.fire(ports, order_id).await? {
                    None => self.was_due(place.due_at, query.until),
                    Some(version) if still_due.len() < MAX_SET_ASIDE => {
                        still_due.insert(order_id.clone(), version);
                    }
                    Some(_) => {}
                }
            }
            if next.is_none() {
                break;
            }
            query.after = next;
        }
        // Those that are due no longer are forgotten.
        self.set_aside = still_due;
        Ok(())
    }

    fn was_due(&mut self, due_at: Timestamp, now: Timestamp) {
        let (orders, late) = &mut self.found_due;
        *orders += 1;
        let micros = now.as_micros().saturating_sub(due_at.as_micros());
        *late = (*late).max(Duration::from_micros(u64::try_from(micros).unwrap_or_default()));
    }

    /// Fires the timers of an order that are due. Answers with its version if it is set aside.
    async fn fire(&mut self, ports: &TimerPorts, order_id: &OrderId) -> Result<Option<Version>, StoreError> {
        // Asked of its row, since its history may be as long as one can be, and is not to be read at each look.
        if let Some(version) = self.set_aside.get(order_id)
            && ports.views.one(order_id).await.is_ok_and(|row| row.is_some_and(|row| row.version == *version))
        {
            return Ok(Some(*version));
        }
        let order = match ports.service.order(order_id).await {
            Ok(order) => order,
            Err(QueryError::OrderNotFound | QueryError::PositionAhead { .. }) => return Ok(None),
            Err(QueryError::Store(error)) => return self.set_aside_or_fail(order_id, error).map(Some),
        };
        let mut set_aside = None;
        let now = ports.clock.now();
        for Timer { command, .. } in order.order.timers().filter(|timer| timer.due <= now) {
            let trace = match &ports.tracer {
                Some(tracer) => recorded(tracer, ports, order_id, order.version, &command).await,
                None => CommandTrace::None,
            };
            let meta = CommandMeta { trace, ..CommandMeta::default() };
            match ports.service.execute(Some(order_id.clone()), command, meta).await {
                Ok(outcome) => self.fired += u64::from(outcome.appended),
                Err(CommandError::Refused { error: OrderError::InTheWay(obstacle), facts })
                    if !is_early(obstacle) =>
                {
                    let version = facts.map_or(order.version, |facts| facts.version);
                    set_aside = Some(self.set_aside_at(version, order_id, &obstacle.to_string()));
                }
                // Somebody else was quicker, or the clock went back a little: the next look finds out.
                Err(
                    CommandError::Refused { .. }
                    | CommandError::VersionMismatch(_)
                    | CommandError::ConcurrentModification(_)
                    // Timers have no keys.
                    | CommandError::KeyReused
                    | CommandError::KeyInProgress,
                ) => {}
                Err(CommandError::Store(error)) => {
                    set_aside = Some(self.set_aside_or_fail(order_id, error)?);
                }
            }
        }
        Ok(set_aside)
    }

    /// What is wrong with one order sets it aside, and holds up no other; what is wrong with the store is an error.
    fn set_aside_or_fail(&self, order_id: &OrderId, error: StoreError) -> Result<Version, StoreError> {
        match error {
            StoreError::Corrupt(_) | StoreError::NewerRelease(_) | StoreError::DamagedView(_) => {
                Ok(self.set_aside_at(Version::NONE, order_id, &error.to_string()))
            }
            StoreError::Overloaded
            | StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::StorageFull => Err(error),
        }
    }

    /// Tells that an order waits for people, unless it was told already.
    fn set_aside_at(&self, version: Version, order_id: &OrderId, why: &str) -> Version {
        if self.set_aside.get(order_id) != Some(&version) {
            tracing::warn!(%order_id, why, "a timer is set aside");
        }
        version
    }
}

/// The trace of a timer's command: one of its own, with links to the requests about the order that were recorded last.
async fn recorded(
    tracer: &Tracer,
    ports: &TimerPorts,
    order_id: &OrderId,
    version: Version,
    command: &OrderCommand,
) -> CommandTrace {
    let last = Version(version.0.saturating_sub(LINKED_EVENTS as u64));
    let (filter, limit) = (EventFilter::default(), PageLimit::events(LINKED_EVENTS));
    let page = ports.service.history(order_id, last, &filter, limit).await;
    // Whatever is wrong with the order, its command finds out.
    let events = page.map(|page| page.events).unwrap_or_default();
    let mut links: Vec<_> = events.iter().filter_map(|event| event.context.trace_parent()).collect();
    links.retain(|link| link.is_sampled());
    links.dedup();
    let name = CommandFigures::name_of(command);
    let Some(span) = tracer.because_of(links, name, SpanKind::Internal) else { return CommandTrace::None };
    span.note("order.id", order_id.to_string());
    CommandTrace::Recorded(Arc::new(span))
}

/// Whether the timer was only a little early.
fn is_early(obstacle: Obstacle) -> bool {
    [ExpireReservation::NOT_DUE, ExpireAuthorization::NOT_DUE, CancelUnpaidOrder::NOT_DUE].contains(&obstacle)
}
