//! PgBouncer in transaction mode between the service and PostgreSQL.

use std::sync::Arc;

use test_servers::{PgBouncer, PostgresOptions, PostgresServer, Replication};

use super::calm::until_there_is_enough;
use super::clients::Balance;
use super::controls::{command, send};
use super::history::{Action, Outcome};
use super::scenario::{instances, run, serving};
use super::sql::Session;
use super::standby::WAITING;
use crate::server::wait_until;
use crate::workflow::run_through;

/// `None` where it is not installed; `cargo xtask test` says that these tests are left out then.
fn pooler_of(database: &PostgresServer) -> Option<PgBouncer> {
    PgBouncer::find()?;
    Some(PgBouncer::start(database).unwrap())
}

#[test]
fn a_pooler_in_transaction_mode_may_stand_between() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let Some(pooler) = pooler_of(&database) else { return };
    let url = || pooler.url_of(&database.create_database().unwrap());
    let server = serving(&url()).start();
    run_through(&server);
    server.stop();
    run("PgBouncer", instances(&url()), Balance::Anywhere, |progress, _| until_there_is_enough(progress));
}

/// The pooler says "server conn crashed?", and cannot know whether the server had committed.
#[test]
fn a_commit_whose_server_dies_behind_the_pooler_is_not_said_not_to_have_happened() {
    let mut primary = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let mut standby = primary.standby(Replication::Synchronous).unwrap();
    let Some(pooler) = pooler_of(&primary) else { return };
    let url = primary.create_database().unwrap();
    let server = serving(&pooler.url_of(&url)).start();
    let session = Session::open(&url);

    // The commit is on the primary's disk and waits for the standby.
    standby.freeze().unwrap();
    let port = server.port();
    let request = std::thread::spawn(move || send(port, 0, Arc::new(command("o", Action::Place, "c"))));
    wait_until("the commit waits for the standby", || (session.value::<i32>(WAITING) > 0).then_some(()));
    primary.kill_hard().unwrap();
    assert_eq!(request.join().unwrap().outcome, Outcome::Unknown);

    standby.thaw().unwrap();
    primary.start_again().unwrap();
    let events: i64 = Session::open(&url).value("SELECT count(*) FROM order_service.events");
    assert_eq!(events, 1, "it had happened");
}
