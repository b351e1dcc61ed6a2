//! `kill -9` for the service while its relay is at work: what was acknowledged to clients reaches consumers, in order.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::broker::Broker;
use super::channel::{Channel, Kind};
use super::load::{under_paced_load, under_steady_load, wait_for_more};
use super::ready::wait_for_state;
use super::verdict::{assert_relayed, assert_replicated};
use crate::load::{Claim, Progress};
use crate::random::Random;
use crate::server::{Program, Server, wait_until};

const ROUNDS: usize = 50;
/// Commands before the broker falls silent.
const COMMANDS_ANSWERED: u64 = 20;
/// Commands behind a broker that does not answer: more than the relay needs to save its checkpoint.
const COMMANDS_UNANSWERED: u64 = 150;
/// Commands for the service that is not killed any more.
const LAST_COMMANDS: u64 = 20;

/// When to kill.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// So long after the load began: the relay may be on its way to the broker, or at work.
    AfterStart(Duration),
    /// So long after the relay has begun.
    AtWork(Duration),
    /// When the broker takes nothing for a while, with much under way.
    Unanswered,
}

impl Moment {
    fn any(random: &mut Random) -> Self {
        match random.between(0, 9) {
            0..=3 => Self::AfterStart(Duration::from_micros(random.between(0, 400_000))),
            4..=8 => Self::AtWork(Duration::from_micros(random.between(0, 500_000))),
            _ => Self::Unanswered,
        }
    }
}

/// A service that was killed again and again, and is at work for good.
pub(super) struct Survivor {
    pub(super) server: Server,
    pub(super) claims: Vec<Claim>,
    pub(super) channel: Channel,
    _broker: Broker,
    _directory: TempDir,
}

impl Survivor {
    /// `spoil` is for all programs but the last.
    pub(super) fn of(
        kind: Kind,
        moments: impl Iterator<Item = Moment>,
        spoil: impl Fn(Program) -> Program,
    ) -> Self {
        let mut broker = Broker::start(kind);
        let channel = broker.channel();
        let directory = tempfile::tempdir().unwrap();
        let program = || serving(directory.path(), &channel);
        let mut claims = Vec::new();
        for (round, moment) in moments.enumerate() {
            let mut server = spoil(program()).start();
            let (claimed, _) = under_paced_load(
                server.port(),
                &format!("{round}"),
                |_| {},
                |progress| {
                    wait_for(moment, &server, &channel, &mut broker, progress);
                    server.process().kill();
                    server.wait();
                },
            );
            server.assert_no_panic();
            if matches!(moment, Moment::Unanswered) {
                broker.thaw();
            }
            claims.extend(claimed);
        }
        let server = spoil(program()).start();
        claims.extend(under_steady_load(server.port(), "last", |progress| {
            wait_for_more(progress, LAST_COMMANDS);
        }));
        Self { server, claims, channel, _broker: broker, _directory: directory }
    }
}

fn serving(directory: &Path, channel: &Channel) -> Program {
    Program::serving(directory).argument("--bus", channel.url())
}

fn wait_for(moment: Moment, server: &Server, channel: &Channel, broker: &mut Broker, progress: &Progress) {
    let begun = || drop(wait_for_state(server, &channel.relay(), "following"));
    let after = |time| {
        let started = Instant::now();
        wait_until("the moment has come", || (started.elapsed() >= time).then_some(()));
    };
    match moment {
        Moment::AfterStart(time) => after(time),
        Moment::AtWork(time) => {
            begun();
            after(time);
        }
        Moment::Unanswered => {
            begun();
            wait_for_more(progress, COMMANDS_ANSWERED);
            broker.freeze();
            wait_for_more(progress, COMMANDS_UNANSWERED);
        }
    }
}

fn a_consumer_gets_everything_from_a_service_that_is_killed(kind: Kind) {
    let mut random = Random::seeded("kill -9 while relaying", 7);
    let moments = (0..ROUNDS).map(|_| Moment::any(&mut random));
    let Survivor { server, claims, channel, .. } = &Survivor::of(kind, moments, |program| program);
    assert!(claims.len() > 4 * ROUNDS, "only {} orders: hardly a load", claims.len());
    assert_relayed(server, claims, std::slice::from_ref(channel));
    assert_replicated(server, channel);
}

#[test]
fn nats_gets_everything_in_order_from_a_service_that_is_killed_at_50_random_moments() {
    a_consumer_gets_everything_from_a_service_that_is_killed(Kind::Nats);
}

#[test]
fn kafka_gets_everything_in_order_from_a_service_that_is_killed_at_50_random_moments() {
    a_consumer_gets_everything_from_a_service_that_is_killed(Kind::Kafka);
}
