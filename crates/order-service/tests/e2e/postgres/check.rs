//! Holds a run to its history: what the log, the followers and the views say must fit with what clients were told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::breach::{Breach, Rule};
use super::history::{Command, Facts, History, Outcome, Request, Span};
use super::log::{self, Life, Log};
use super::model::Verdict;
use super::views;
use crate::server::Server;

/// Everything that is not as it should be.
pub(crate) fn check(servers: &[Server], history: &History) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let Some(first) = servers.first() else { return breaches };
    let events = log::read(first);
    let log = Log::follow(&events, history, &mut breaches);
    check_outcomes(&log, history, &mut breaches);
    check_feeds(&log, history, &mut breaches);
    let moments = Moments::of(&log, history);
    moments.check_real_time(&log, history, &mut breaches);
    moments.check_answers(&log, history, &mut breaches);
    for server in servers {
        views::check(server, &log, &mut breaches);
    }
    breaches
}

/// Accepted: once. Refused, or nothing happened: not at all. Unknown: either.
fn check_outcomes(log: &Log, history: &History, breaches: &mut Vec<Breach>) {
    let mut commands: HashMap<&Arc<Command>, Vec<&Request>> = HashMap::new();
    for request in &history.requests {
        commands.entry(&request.command).or_default().push(request);
        if let Outcome::Unheard(answer) = &request.outcome {
            breaches.push(Breach::new(Rule::Answers, format!("{:?}: {answer}", request.command)));
        }
    }
    for (command, requests) in commands {
        let any = |wanted: fn(&Outcome) -> bool| requests.iter().any(|request| wanted(&request.outcome));
        let is_there = log.positions.contains_key(command);
        if any(|outcome| matches!(outcome, Outcome::Accepted { .. })) {
            if !is_there {
                breaches.push(Breach::new(Rule::Kept, format!("{command:?} was acknowledged and is lost")));
            }
            continue;
        }
        // Whatever an earlier request may still have been about to do: after a refusal it can no more.
        let refused = any(|outcome| matches!(outcome, Outcome::Refused { .. }));
        let may_be_there = !refused && any(|outcome| matches!(outcome, Outcome::Unknown));
        if is_there && !may_be_there {
            let outcomes: Vec<_> = requests.iter().map(|request| &request.outcome).collect();
            breaches.push(Breach::new(Rule::NothingOfIt, format!("{command:?} is there after {outcomes:?}")));
        }
    }
}

fn check_feeds(log: &Log, history: &History, breaches: &mut Vec<Breach>) {
    for (feed, number) in history.feeds.iter().zip(1..) {
        for (index, seen) in feed.iter().enumerate() {
            let entry = log.entries.get(index);
            if entry.is_none_or(|entry| entry.position != seen.position || entry.event_id != seen.event_id) {
                let what = format!(
                    "follower {number} saw {} in place {}, where the log has {:?}",
                    seen.position,
                    index + 1,
                    entry.map(|entry| entry.position)
                );
                breaches.push(Breach::new(Rule::Followers, what));
                break;
            }
        }
        if feed.len() < log.entries.len() {
            let what = format!("follower {number} saw {} of {} events", feed.len(), log.entries.len());
            breaches.push(Breach::new(Rule::Followers, what));
        }
    }
}

/// What is known of the log's head at any moment: it was at least where somebody had seen it before, and less than
/// where the first command is that was sent afterwards.
struct Moments {
    /// By time: from then on the head was at least there.
    at_least: Vec<(Instant, u64)>,
    /// By time: the lowest position of commands that were first sent then or later.
    begun_later: Vec<(Instant, u64)>,
    first_sent: HashMap<Arc<Command>, Instant>,
}

impl Moments {
    fn of(log: &Log, history: &History) -> Self {
        let mut first_sent: HashMap<Arc<Command>, Instant> = HashMap::new();
        let mut at_least = Vec::new();
        let mut observe = |at: Instant, order_id: &str, version: u64| {
            let positions = log.orders.get(order_id).map_or(&[][..], |life| &life.positions);
            let position =
                usize::try_from(version).ok().and_then(|version| positions.get(version.checked_sub(1)?));
            at_least.extend(position.map(|&position| (at, position)));
        };
        for Request { command, span, outcome, .. } in &history.requests {
            first_sent
                .entry(Arc::clone(command))
                .and_modify(|at| *at = (*at).min(span.begun))
                .or_insert(span.begun);
            match outcome {
                Outcome::Accepted { version } => observe(span.ended, &command.order_id, *version),
                Outcome::Refused { facts: Some(facts), .. } => {
                    observe(span.ended, &command.order_id, facts.version);
                }
                Outcome::Refused { .. } | Outcome::NotHappened | Outcome::Unknown | Outcome::Unheard(_) => {}
            }
        }
        for read in &history.reads {
            if let Some(facts) = &read.found {
                observe(read.span.ended, &read.order_id, facts.version);
            }
        }
        at_least.extend(history.feeds.iter().flatten().map(|seen| (seen.at, seen.position)));
        at_least.sort_unstable();
        let mut highest = 0;
        for (_, position) in &mut at_least {
            highest = highest.max(*position);
            *position = highest;
        }

        let mut begun_later: Vec<(Instant, u64)> = log
            .positions
            .iter()
            .filter_map(|(command, &position)| Some((*first_sent.get(command)?, position)))
            .collect();
        begun_later.sort_unstable();
        let mut lowest = u64::MAX;
        for (_, position) in begun_later.iter_mut().rev() {
            lowest = lowest.min(*position);
            *position = lowest;
        }
        Self { at_least, begun_later, first_sent }
    }

    /// The head was at least here when a request began that was sent then.
    fn lowest_head(&self, at: Instant) -> u64 {
        let before = self.at_least.partition_point(|(seen, _)| *seen < at);
        before.checked_sub(1).map_or(0, |last| self.at_least[last].1)
    }

    /// And at most here when an answer came then.
    fn highest_head(&self, at: Instant) -> u64 {
        let until = self.begun_later.partition_point(|(begun, _)| *begun <= at);
        self.begun_later.get(until).map_or(u64::MAX, |(_, position)| position - 1)
    }

    fn check_real_time(&self, log: &Log, history: &History, breaches: &mut Vec<Breach>) {
        for (command, position) in &log.positions {
            let Some(&sent) = self.first_sent.get(command) else { continue };
            let head = self.lowest_head(sent);
            if *position <= head {
                let what = format!("{command:?} is at {position}, and was sent after {head} had been seen");
                breaches.push(Breach::new(Rule::RealTime, what));
            }
        }
        for request in &history.requests {
            let position = log.positions.get(&request.command);
            if let (Outcome::Accepted { .. }, Some(&position)) = (&request.outcome, position)
                && position > self.highest_head(request.span.ended)
            {
                let what = format!("{request:?} is at {position}, behind what was sent after its answer");
                breaches.push(Breach::new(Rule::RealTime, what));
            }
        }
    }

    fn check_answers(&self, log: &Log, history: &History, breaches: &mut Vec<Breach>) {
        let unborn = Life { states: vec![super::model::Order::default()], ..Life::default() };
        let life = |order_id: &str| log.orders.get(order_id).unwrap_or(&unborn);
        let mut untrue = |what: String| breaches.push(Breach::new(Rule::Truth, what));
        for request in &history.requests {
            let command = &request.command;
            let life = life(&command.order_id);
            let (low, high) = self.versions(life, request.span);
            let holds = match &request.outcome {
                Outcome::Accepted { version } => {
                    let state = usize::try_from(*version).ok().and_then(|version| life.states.get(version));
                    (low..=high).contains(version)
                        && state.is_some_and(|state| state.judge(command) == Verdict::DoneAlready)
                }
                Outcome::Refused { code, facts } => {
                    // A service that gave up says nothing of the order.
                    code == "concurrent-modification" || states(life, low, high).iter().any(|state| {
                        let refused =
                            matches!(state.judge(command), Verdict::Refused(expected) if expected == code);
                        refused && fits(facts.as_ref(), state.version, state.status())
                    })
                }
                Outcome::NotHappened | Outcome::Unknown | Outcome::Unheard(_) => true,
            };
            if !holds {
                untrue(format!("{request:?}, while the order had versions {low} to {high}"));
            }
        }
        for read in &history.reads {
            let life = life(&read.order_id);
            let (low, high) = self.versions(life, read.span);
            let holds = match &read.found {
                None => low == 0,
                Some(facts) => states(life, low.max(1), high)
                    .iter()
                    .any(|state| fits(Some(facts), state.version, state.status())),
            };
            if !holds {
                untrue(format!("{read:?}, while the order had versions {low} to {high}"));
            }
        }
    }

    /// Which versions an order may have had in the time of a request.
    fn versions(&self, life: &Life, span: Span) -> (u64, u64) {
        let up_to = |head: u64| life.positions.partition_point(|position| *position <= head) as u64;
        (up_to(self.lowest_head(span.begun)), up_to(self.highest_head(span.ended)))
    }
}

fn states(life: &Life, low: u64, high: u64) -> &[super::model::Order] {
    let index = |version: u64| usize::try_from(version).unwrap_or(usize::MAX).min(life.states.len());
    life.states.get(index(low)..index(high.saturating_add(1))).unwrap_or_default()
}

fn fits(facts: Option<&Facts>, version: u64, status: &str) -> bool {
    facts.is_none_or(|facts| facts.version == version && facts.status == status)
}
