//! `kill -9` under load: whatever was acknowledged is there after the restart.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::checker::{check, check_list, verify};
use crate::load::{Finish, under_watched_load};
use crate::random::Random;
use crate::server::{Program, wait_until};

const ROUNDS: usize = 50;
/// A planted fault shows in about one round of five.
#[cfg(feature = "full-tests")]
const MAX_CONTROL_ROUNDS: usize = 200;

/// When to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// So long after the load began.
    After(Duration),
    /// The very moment that a client hears the acknowledgement of this number: if it came too early, by however little,
    /// what it promised is not there yet.
    Acknowledgement(u64),
}

impl Moment {
    fn any(random: &mut Random) -> Self {
        match random.between(0, 1) {
            0 => Self::After(Duration::from_micros(random.between(20_000, 150_000))),
            _ => Self::Acknowledgement(random.between(1, 400)),
        }
    }

    /// The kind that finds a planted fault soonest.
    #[cfg(feature = "full-tests")]
    fn early_acknowledgement(random: &mut Random) -> Self {
        Self::Acknowledgement(random.between(1, 60))
    }
}

/// Starts, loads, kills, restarts and checks, over and over on one store. Answers with the number of acknowledged
/// commands, or with the first breach.
fn kill_at_random_moments(
    directory: &Path,
    rounds: usize,
    mut moment: impl FnMut() -> Moment,
    program: impl Fn() -> Program,
) -> Result<u64, String> {
    let (mut position, mut orders, mut acknowledged) = (0, 0, 0);
    for round in 0..rounds {
        let mut server = program().start();
        let moment = moment();
        let process = server.process();
        let heard = |count| {
            if moment == Moment::Acknowledgement(count) {
                process.kill();
            }
        };
        let (claims, finishes) =
            under_watched_load(server.port(), &format!("round-{round}"), &heard, |progress| {
                if let Moment::After(time) = moment {
                    let started = Instant::now();
                    wait_until("the moment has come", || (started.elapsed() >= time).then_some(()));
                    process.kill();
                }
                server.wait();
                acknowledged += progress.acknowledged();
            });
        server.assert_no_panic();
        assert!(finishes.iter().all(was_cut_off), "{finishes:?}");
        let server = program().start();
        let breach = |breach| format!("round {round}, killed at {moment:?}: {breach}");
        let head = check(&server, position, &claims).map_err(breach)?;
        orders += claims.iter().filter(|claim| claim.acknowledged > 0).count();
        position = head;
        server.kill();
    }
    let server = program().start();
    let listed = check_list(&server)?;
    // A placement without an answer may be there too: at most one for each client and round.
    assert!(listed >= orders, "{listed} orders are listed, {orders} were acknowledged");
    server.kill();
    verify(directory)?;
    Ok(acknowledged)
}

/// Or was just not saying anything. Contradictions are the checker's to tell.
fn was_cut_off(finish: &Finish) -> bool {
    let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    match finish {
        Finish::Broken(error) => kinds.contains(&error.kind()),
        Finish::Stopped | Finish::Contradicted => true,
        Finish::Told => false,
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_50_random_moments() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::seeded("kill -9", 3);
    let program = || Program::serving(directory.path());
    let moment = || Moment::any(&mut random);
    let acknowledged = kill_at_random_moments(directory.path(), ROUNDS, moment, program).unwrap();
    eprintln!("{acknowledged} acknowledged commands are there after {ROUNDS} kills");
    assert!(acknowledged > 50 * ROUNDS as u64, "only {acknowledged} commands in all: hardly a load");
}

/// The negative control: the same checker, on a server that promises too early.
#[cfg(feature = "full-tests")]
#[test]
fn an_acknowledgement_before_the_commit_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::seeded("kill -9, planted fault", 4);
    let program =
        || Program::serving(directory.path()).variable("ORDER_SERVICE_PLANTED_FAULT", "ack-before-commit");
    let moment = || Moment::early_acknowledgement(&mut random);
    let breach = kill_at_random_moments(directory.path(), MAX_CONTROL_ROUNDS, moment, program);
    eprintln!("{breach:?}");
    assert!(breach.is_err(), "the checker did not notice");
}
