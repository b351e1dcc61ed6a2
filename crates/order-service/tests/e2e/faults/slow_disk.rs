//! A disk that is slow for a while, with far more clients than it can serve: what cannot be written in time is refused in
//! time, and never written.

mod clients;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::traced;
use crate::hostile::one_at_a_time;
use crate::server::Server;
use clients::{CLIENTS, Heard, PAUSE, under_pressure};

/// What a sync takes while the disk is slow.
const SLOW_SYNC: Duration = Duration::from_secs(2);
/// The syncs of the log's writer that are slow: many clients are there by the first, and the others come meanwhile.
const FIRST_SLOW_SYNC: u32 = 1_000;
const SLOW_SYNCS: u32 = 5;
/// How long a command may wait for the store's writer by default, and a moment in which its client hears that it has.
const REFUSED_WITHIN: Duration = Duration::from_millis(1_500);
/// After the disk is well again, all is well again.
const RECOVERY: Duration = Duration::from_secs(2);
/// In which every client has placed an order when all is well.
const TURN: Duration = PAUSE.saturating_add(REFUSED_WITHIN);
/// What the service may take of memory, in KiB.
const MAX_RESIDENT_KIB: u64 = 512 * 1024;
/// Most appends of one commit.
const BATCH: usize = 512;
/// The first slow sync is of the few that came before it, and a commit that starts the write-ahead log anew syncs twice.
const FULL_BATCHES: usize = (SLOW_SYNCS as usize - 1) / 2;
const SLOW_COMMIT: Duration = Duration::from_secs(2 * SLOW_SYNC.as_secs());

/// What the clients heard while the disk was slow, and when it had recovered.
struct Phases<'a> {
    slow: Vec<&'a Heard>,
    after: Vec<&'a Heard>,
}

impl<'a> Phases<'a> {
    fn of(heard: &'a [Heard]) -> Self {
        let refused = || heard.iter().filter(|heard| !heard.accepted);
        let first = refused().map(|heard| heard.asked).min().unwrap();
        let last = refused().map(|heard| heard.answered).max().unwrap();
        let between = |from: Instant, to: Instant| {
            heard.iter().filter(|heard| heard.answered >= from && heard.answered < to).collect()
        };
        Self { slow: between(first, last), after: between(last + RECOVERY, last + RECOVERY + TURN) }
    }
}

fn slowest_but_one_percent(heard: &[&Heard]) -> Duration {
    let mut waits: Vec<_> = heard.iter().map(|heard| heard.answered - heard.asked).collect();
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The orders of all events in the log.
fn stored(server: &Server) -> BTreeSet<String> {
    let mut client = server.connect();
    let mut orders = BTreeSet::new();
    let mut after = 0;
    loop {
        let page = client.get(&format!("/events?limit=1000&after={after}")).unwrap().json();
        let Some(last) = page.as_array().unwrap().last() else { return orders };
        after = last["position"].as_str().unwrap().parse().unwrap();
        let ids = page.as_array().unwrap().iter().map(|event| event["subject"].as_str().unwrap().to_owned());
        orders.extend(ids);
    }
}

#[test]
fn a_slow_disk_has_commands_refused_in_time_and_nothing_that_was_refused_is_stored() {
    let _alone = one_at_a_time();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let last = FIRST_SLOW_SYNC + SLOW_SYNCS - 1;
    let delay = SLOW_SYNC.as_micros();
    let fault = format!("fdatasync:delay_enter={delay}:when={FIRST_SLOW_SYNC}..{last}");
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    // So that strace stops nothing but syncs, and all else is as fast as without it.
    let server = traced(&["--seccomp-bpf"], &fault, &serve, directory.path()).start();

    let (heard, probe) = under_pressure(server.port(), RECOVERY + TURN);
    let Phases { slow, after } = Phases::of(&heard);
    let (accepted, refused): (Vec<&Heard>, Vec<&Heard>) = slow.into_iter().partition(|heard| heard.accepted);
    let [p99, refused_p99] = [&accepted, &refused].map(|heard| slowest_but_one_percent(heard));
    let told = format!(
        "{} accepted, p99 {p99:?}; {} refused, p99 {refused_p99:?}; then {} in {TURN:?}; a probe waited {probe:?}; {} KiB",
        accepted.len(),
        refused.len(),
        after.len(),
        resident_kib(&server),
    );
    assert!(refused_p99 <= REFUSED_WITHIN + probe, "{told}");
    assert!(p99 <= REFUSED_WITHIN + SLOW_COMMIT + probe, "{told}");
    assert!(accepted.len() * 10 >= FULL_BATCHES * BATCH * 8, "{told}");
    assert!(after.len() * 10 >= CLIENTS as usize * 8, "{told}");
    assert!(slowest_but_one_percent(&after) <= REFUSED_WITHIN + probe, "{told}");
    assert!(resident_kib(&server) <= MAX_RESIDENT_KIB, "{told}");

    let acknowledged = heard.iter().filter(|heard| heard.accepted).map(|heard| heard.order_id.clone());
    let (acknowledged, stored) = (acknowledged.collect::<BTreeSet<_>>(), stored(&server));
    assert_eq!(acknowledged.difference(&stored).next(), None, "it was acknowledged");
    assert_eq!(stored.difference(&acknowledged).next(), None, "it was refused");
    server.stop();
}
