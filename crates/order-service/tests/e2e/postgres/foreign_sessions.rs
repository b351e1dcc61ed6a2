//! Somebody else's transactions, which hold what the store needs.

use test_servers::{PostgresOptions, PostgresServer};

use super::clients::Balance;
use super::scenario::{instances, run};
use super::sql::Session;
use crate::server::wait_until;

/// The lock on the log's end, as `order_service.append_v2` takes it.
pub(crate) const LOCK_LOG_END: &str = "SELECT pg_advisory_xact_lock(1869767780)";

#[test]
fn whoever_holds_the_logs_end_or_an_old_snapshot_delays_commands_and_nothing_more() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    run("foreign sessions", instances(&url), Balance::Anywhere, |progress, _| {
        progress.wait_for_more(&[0, 1, 2], 100);
        let (holder, snapshot) = (Session::open(&url), Session::open(&url));
        snapshot.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        let events = "SELECT count(*) FROM order_service.events";
        let seen: i64 = snapshot.value(events);

        // For a moment: the append waits, and then goes on.
        holder.run("BEGIN");
        holder.run(LOCK_LOG_END);
        wait_until("an append waits for the lock", || (waiting(&snapshot) > 0).then_some(()));
        holder.run("COMMIT");
        progress.wait_for_more(&[0, 1, 2], 50);

        // Until the store gives up on some.
        holder.run("BEGIN");
        holder.run(LOCK_LOG_END);
        let before = progress.turned_away();
        wait_until("commands are turned away", || (progress.turned_away() >= before + 9).then_some(()));
        holder.run("COMMIT");
        progress.wait_for_more(&[0, 1, 2], 50);
        assert_eq!(snapshot.value::<i64>(events), seen, "the old snapshot was held all the while");
    });
}

/// How many sessions wait for a lock such as that on the log's end, in the session's database.
pub(crate) fn waiting(session: &Session) -> i64 {
    session.value(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
}
