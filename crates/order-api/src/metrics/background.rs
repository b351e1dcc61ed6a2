//! What runs beside requests, as `/ready` has it.

use std::collections::BTreeMap;
use std::fmt;

use order_application::{FollowerStatus, ReadyChecks, ReplicaStatus, ScrubStatus, TimersStatus, ViewsStatus};
use serde::Serialize;

use super::Source;
use super::page::Page;

/// Whether `/ready` would say yes at the moment of the scrape.
pub(crate) struct Readiness(pub(crate) bool);

impl Source for Readiness {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "Whether traffic should come: 1 if /ready would say so now, otherwise 0";
        page.gauge("order_service_ready", help, u64::from(self.0))
    }
}

/// Whatever of it there is.
pub(crate) fn ready_checks(page: &mut Page<'_>, checks: &ReadyChecks) -> fmt::Result {
    let ReadyChecks { lifecycle, store: _, views, scrub, timers, relays, replica } = checks;
    state(page, "order_service_lifecycle", "Where the process is between its start and its end", lifecycle)?;
    views.as_ref().map_or(Ok(()), |views| write_views(page, views))?;
    scrub.as_ref().map_or(Ok(()), |scrub| write_scrub(page, scrub))?;
    timers.as_ref().map_or(Ok(()), |timers| write_timers(page, timers))?;
    write_relays(page, relays)?;
    replica.as_ref().map_or(Ok(()), |replica| write_replica(page, replica))
}

/// A state is a label whose value is the word that `/ready` has for it; only the one that is now is shown, as 1.
fn state(page: &mut Page<'_>, name: &str, help: &str, state: &impl Serialize) -> fmt::Result {
    page.gauges(name, help, [([("state", &*word(state))], 1_u64)])
}

fn word(state: &impl Serialize) -> String {
    let word = serde_json::to_value(state).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn write_views(page: &mut Page<'_>, views: &ViewsStatus) -> fmt::Result {
    let ViewsStatus { state: now, done, total, detail: _ } = views;
    state(page, "order_views_state", "How the views are, in a word", now)?;
    let (done, total) = (done.unwrap_or_default(), total.unwrap_or_default());
    page.gauge("order_views_rebuilt_events", "Events that a rebuild of the views has gone through", done)?;
    page.gauge(
        "order_views_rebuilding_events",
        "Events that a rebuild of the views has to go through; 0: nothing is rebuilt",
        total,
    )
}

fn write_scrub(page: &mut Page<'_>, scrub: &ScrubStatus) -> fmt::Result {
    let ScrubStatus { state: now, position, of, faults_in_pass: _, faults, passes, detail: _ } = scrub;
    state(page, "order_scrub_state", "What the comparison of views with events is doing", now)?;
    page.counter("order_scrub_faults", "What was found to differ between views and events", *faults)?;
    page.counter("order_scrub_passes", "Comparisons that have come to their end", *passes)?;
    page.gauge("order_scrub_position", "The last event that was compared in this pass", position.0)?;
    page.gauge("order_scrub_end_position", "The last event that this pass goes to", of.0)
}

fn write_timers(page: &mut Page<'_>, timers: &TimersStatus) -> fmt::Result {
    let TimersStatus { state: now, fired, set_aside, due, late, detail: _ } = timers;
    state(page, "order_timers_state", "What timers are doing", now)?;
    page.counter("order_timers_fired", "Timers that did something", *fired)?;
    page.gauge(
        "order_timers_set_aside",
        "Orders whose timer their state refuses; they wait for people",
        *set_aside,
    )?;
    page.gauge("order_timers_due", "Orders that were due at the last look", *due)?;
    let help = "How long the first order had been due at the last look";
    page.gauge("order_timers_late_seconds", help, late.as_secs_f64())
}

fn write_relays(page: &mut Page<'_>, relays: &BTreeMap<String, FollowerStatus>) -> fmt::Result {
    if relays.is_empty() {
        return Ok(());
    }
    let states: Vec<_> = relays.iter().map(|(name, relay)| (name.as_str(), word(&relay.state))).collect();
    let states = states.iter().map(|(name, state)| ([("relay", *name), ("state", state.as_str())], 1_u64));
    page.gauges("order_relay_state", "What each relay is doing", states)?;
    let positions = relays.iter().map(|(name, relay)| ([("relay", name.as_str())], relay.position.0));
    page.gauges(
        "order_relay_position",
        "The last event up to which the broker has acknowledged all",
        positions,
    )?;
    let lags = relays.iter().map(|(name, relay)| ([("relay", name.as_str())], relay.lag));
    page.gauges("order_relay_lag_events", "Events that the broker has not acknowledged yet", lags)
}

fn write_replica(page: &mut Page<'_>, replica: &ReplicaStatus) -> fmt::Result {
    let ReplicaStatus { state: now, position, behind, has_caught_up, skipped, detail: _ } = replica;
    state(page, "order_replica_state", "What the replica is doing", now)?;
    page.gauge("order_replica_position", "The last event up to which all is applied", position.0)?;
    page.gauge("order_replica_caught_up", "1 once it has caught up", u64::from(*has_caught_up))?;
    page.counter("order_replica_skipped_messages", "Messages of the broker that were no events", *skipped)?;
    let behind = behind.map(|behind| ([], behind));
    page.gauges(
        "order_replica_lag_events",
        "Messages that are not applied yet; without a value: not known",
        behind,
    )
}
