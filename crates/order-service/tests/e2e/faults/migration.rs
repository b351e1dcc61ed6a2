//! `kill -9` while a later release, which is planted, migrates the log of this one, and while a copy that SQLite has made is taken
//! into use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{command_with_fault, with_fault};
use crate::checker::check;
use crate::load::{Claim, under_load};
use crate::server::{Program, wait_until};

/// The schema of the log that the later release makes: the one after this release's.
const LATER_SCHEMA: i64 = 5;

/// A store of this release, with what its clients were told.
fn store_of_this_release(directory: &Path) -> Vec<Claim> {
    let server = Program::serving(directory).start();
    let (claims, _) = under_load(server.port(), "before", |progress| {
        wait_until("some orders are there", || (progress.acknowledged() > 50).then_some(()));
    });
    server.stop();
    claims
}

fn of_later_release(program: Program) -> Program {
    program.variable("ORDER_SERVICE_PLANTED_FAULT", "newer-release")
}

/// Whether the log has had the later release's migration, as whoever opens it next finds it: all of it or nothing.
fn is_migrated(directory: &Path) -> bool {
    let log = directory.join("orders.db");
    let log = Connection::open_with_flags(log, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let version: i64 = log.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let has_column = log.prepare("SELECT planted FROM log").is_ok();
    assert_eq!(version == LATER_SCHEMA, has_column, "version {version}");
    has_column
}

#[test]
fn a_migration_that_is_killed_at_any_write_or_sync_leaves_the_log_as_it_was_or_as_it_becomes() {
    let before = tempfile::tempdir().unwrap();
    let claims = store_of_this_release(before.path());
    let mut found = BTreeSet::new();
    let writes = (1..=12).map(|nth| ("pwrite64", nth));
    for (call, nth) in writes.chain([1, 2, 3].map(|nth| ("fdatasync", nth))) {
        let directory = tempfile::tempdir().unwrap();
        for file in fs::read_dir(before.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
        }
        let fault = format!("{call}:signal=KILL:when={nth}");
        // It migrates the log before anything else, and ends if it gets so far.
        let ended = of_later_release(command_with_fault(&fault, &["rebuild"], directory.path())).run();
        assert_eq!(ended.status, None, "{fault}: {ended:?}");
        found.insert(is_migrated(directory.path()));

        for program in
            [Program::serving(directory.path()), of_later_release(Program::serving(directory.path()))]
        {
            let server = program.start();
            check(&server, 0, &claims).unwrap_or_else(|breach| panic!("{fault}: {breach}"));
            server.kill();
        }
        assert!(is_migrated(directory.path()), "{fault}: it was not run again");
    }
    assert_eq!(found, BTreeSet::from([false, true]), "some kills came before its commit, and some after");
}

/// Such a copy has no write-ahead log until the service gives it one.
#[test]
fn a_copy_by_vacuum_whose_first_start_is_killed_at_any_write_or_sync_is_started_again() {
    let before = tempfile::tempdir().unwrap();
    let claims = store_of_this_release(before.path());
    let writes = (1..=8).map(|nth| ("pwrite64", nth));
    let syncs = (1..=4).map(|nth| ("fdatasync", nth));
    for (call, nth) in writes.chain(syncs).chain([("unlink", 1), ("unlink", 2)]) {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("orders.db");
        let log = Connection::open(before.path().join("orders.db")).unwrap();
        log.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        drop(log);
        let fault = format!("{call}:signal=KILL:when={nth}");
        if let Ok(server) = with_fault(&fault, directory.path()).try_start() {
            server.kill();
        }
        let server = Program::serving(directory.path()).start();
        check(&server, 0, &claims).unwrap_or_else(|breach| panic!("{fault}: {breach}"));
        server.kill();
    }
}
