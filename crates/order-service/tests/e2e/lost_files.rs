//! Files of a store that were restored in part, lost, or taken away from a running server: never an empty shop in place of the
//! shop, and never a command that nobody will find again.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::damage::{stopped_store, verify, view_reads};
use crate::server::{Program, Server, wait_until};
use crate::start_up::{FAILURE, USAGE, assert_refused};

pub(crate) fn place(server: &Server, order: &str) -> u16 {
    let placement = format!(
        r#"{{"order_id":"{order}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
    );
    server.post("/orders", &placement).status
}

/// A store with six events in a backup, and seven that its views know of.
fn restored_in_part() -> TempDir {
    let directory = stopped_store("customer");
    let log = directory.path().join("orders.db");
    let backup = fs::read(&log).unwrap();
    let server = Program::serving(directory.path()).start();
    assert_eq!(place(&server, "later"), 201);
    server.stop();
    fs::write(log, backup).unwrap();
    directory
}

#[test]
fn an_option_that_accepts_losses_is_spoken_of_at_every_start_that_has_it() {
    let directory = stopped_store("customer");
    let server = Program::serving(directory.path()).argument("--accept-loss", "true").start();
    assert!(server.log().contains("--accept-loss is set: leave it out"), "{}", server.log());
    server.stop();
}

#[test]
fn a_log_that_lacks_what_its_views_know_is_refused_with_the_ways_out() {
    let directory = restored_in_part();
    let told = [
        "orders.views.1.db end at position 7, and the log ends at position 6: 1 event is missing",
        "Nothing was changed",
        "docs/OPERATIONS.md (When the start is refused)",
        "--accept-loss",
    ];
    for said in told {
        assert_refused(&Program::serving(directory.path()).run(), FAILURE, &[said]);
    }
    let checked = verify(&directory);
    assert_eq!(checked.status, Some(3), "{checked:?}");
    assert!(checked.stdout[0].contains(told[0]), "{checked:?}");
    for command in ["rebuild", "republish"] {
        let mut program = Program::new([command]).argument("--data-dir", directory.path());
        if command == "republish" {
            program = program.argument("--from-position", "1").argument("--bus", "nats://127.0.0.1:1");
        }
        assert_refused(&program.run(), FAILURE, &[told[0]]);
    }
    let exported = Program::new(["export"]).argument("--data-dir", directory.path()).run();
    assert_eq!((exported.status, exported.stdout.len()), (Some(3), 6), "{exported:?}");
    let warned = "warning: acknowledged events are missing from what is written: ";
    assert!(exported.stderr[0].starts_with(warned) && exported.stderr[0].contains(told[0]), "{exported:?}");
    let backup = directory.path().join("backup");
    let backed_up = Program::new([OsStr::new("backup"), backup.as_os_str()])
        .argument("--data-dir", directory.path())
        .run();
    assert_eq!(backed_up.status, Some(3), "{backed_up:?}");
    assert!(
        backed_up.stderr[0].starts_with(warned) && backed_up.stderr[0].contains(told[0]),
        "{backed_up:?}"
    );
    assert!(backed_up.stdout[0].starts_with("backed up to position 6: 6 events added;"), "{backed_up:?}");
    let copy = format!("sqlite:{}", directory.path().join("copy.db").display());
    let from = format!("sqlite:{}", directory.path().join("orders.db").display());
    let copied = Program::new(["copy"]).argument("--from", from).argument("--to", copy).run();
    assert_eq!(copied.status, Some(FAILURE), "{copied:?}");

    let server = Program::serving(directory.path()).argument("--accept-loss", "true").start();
    assert_eq!(server.get("/orders/later").status, 404);
    assert_eq!(server.get("/orders/a").status, 200);
    let accepted = "events are missing, and it is accepted";
    wait_until("the loss is told", || server.log().contains(accepted).then_some(()));
    server.stop();
    Program::serving(directory.path()).start().stop();
    assert_eq!(verify(&directory).status, Some(0));
}

/// `docs/OPERATIONS.md`, step by step: a backup, one of a server that was killed as well, and back to it after a disaster.
#[test]
fn a_backup_is_made_and_restored_by_stopping_and_copying_files() {
    for is_killed in [false, true] {
        let (directory, backup) = (stopped_store("customer"), tempfile::tempdir().unwrap());
        let server = Program::serving(directory.path()).start();
        assert_eq!(place(&server, "in-backup"), 201);
        let before = view_reads(&server);
        if is_killed {
            server.kill();
        } else {
            server.stop();
        }
        for name in ["orders.db", "orders.db-wal"] {
            let from = directory.path().join(name);
            if from.exists() {
                fs::copy(from, backup.path().join(name)).unwrap();
            }
        }
        assert_eq!(backup.path().join("orders.db-wal").exists(), is_killed);
        assert_eq!(verify(&backup).status, Some(0));

        let server = Program::serving(directory.path()).start();
        assert_eq!(place(&server, "later"), 201);
        server.kill();

        for file in fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if ["orders.db", "orders.db-wal", "orders.db-shm"].contains(&&*name)
                || name.starts_with("orders.views.")
            {
                fs::remove_file(file).unwrap();
            }
        }
        for file in fs::read_dir(backup.path()).unwrap().map(|entry| entry.unwrap()) {
            fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
        }
        assert_eq!(verify(&directory).status, Some(0));
        let server = Program::serving(directory.path()).start();
        assert_eq!(view_reads(&server), before);
        assert_eq!(server.get("/orders/later").status, 404);
        assert_eq!(place(&server, "after"), 201);
        server.stop();
    }
}

#[test]
fn companions_without_their_log_are_refused_and_told_by_verify() {
    let directory = stopped_store("customer");
    let log = directory.path().join("orders.db");
    fs::remove_file(&log).unwrap();
    let missing = "orders.views.1.db, which knows of 6 events";
    assert_refused(&Program::serving(directory.path()).run(), FAILURE, &[missing]);
    let checked = verify(&directory);
    assert_eq!(checked.status, Some(3), "{checked:?}");
    assert!(checked.stdout[0].contains(missing), "{checked:?}");
    assert!(!log.exists(), "it was made");
}

#[test]
fn only_whoever_serves_makes_a_store_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let mistyped = directory.path().join("mistyped");
    for arguments in [
        &["republish", "--from-position", "1", "--bus", "nats://127.0.0.1:1"][..],
        &["rebuild"],
        &["verify"],
        &["export"],
    ] {
        let ended = Program::new(arguments).argument("--data-dir", &mistyped).run();
        assert_refused(&ended, FAILURE, &["orders.db"]);
        assert!(!mistyped.exists(), "{arguments:?} made something");
    }
    let existing = |data: &Path| Program::serving(data).argument("--existing-store", "true");
    assert_refused(&existing(&mistyped).run(), FAILURE, &["orders.db: there is no such file"]);
    assert!(!mistyped.exists(), "serving made something");
    let in_memory = Program::serve().argument("--store", "memory:");
    let ended = in_memory.argument("--existing-store", "true").run();
    assert_refused(&ended, USAGE, &["--existing-store asks for one that is there"]);
    let server = Program::serving(Path::new("data")).in_directory(directory.path()).start();
    let place = directory.path().canonicalize().unwrap().join("data/orders.db");
    let made = |log: String| log.contains("made a new store") && log.contains(&*place.to_string_lossy());
    wait_until("a new store is told", || made(server.log()).then_some(()));
    server.stop();
    let server = existing(&directory.path().join("data")).start();
    assert!(!server.log().contains("made a new store"), "{}", server.log());
    server.stop();
}

#[test]
fn a_server_whose_files_are_removed_takes_no_more_commands_and_says_so_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Program::serving(directory.path()).start();
    assert_eq!(place(&server, "before"), 201);
    for file in fs::read_dir(directory.path()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    wait_until("it is not ready", || (server.get("/ready").status == 503).then_some(()));
    assert_eq!(server.get("/ready").json()["checks"]["store"], "corrupt");
    for order in ["after", "later"] {
        let answer = server.post(
            "/orders",
            &format!(
                r#"{{"order_id":"{order}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#
            ),
        );
        assert_eq!((answer.status, answer.code().as_str()), (503, "corrupt"));
    }
    assert_eq!(server.get("/orders/before").status, 200);
    let told = || server.log().matches("no command is taken any more").count();
    wait_until("it is told", || (told() > 0).then_some(()));
    assert_eq!(told(), 1, "{}", server.log());
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    server.assert_no_panic();
}

/// As `cp backup/orders.db data/orders.db` does it. Its end may not pour what is left in the write-ahead log into that.
#[test]
fn a_server_whose_log_is_written_over_leaves_what_was_written_there_as_it_is() {
    let directory = stopped_store("customer");
    let (log, wal) = (directory.path().join("orders.db"), directory.path().join("orders.db-wal"));
    let backup = fs::read(&log).unwrap();
    let server = Program::serving(directory.path()).start();
    // Enough to make the log longer than its backup.
    for order in 0..30 {
        assert_eq!(place(&server, &format!("later-{order}")), 201);
    }
    server.stop();
    let mut server = Program::serving(directory.path()).start();
    assert_eq!(place(&server, "last"), 201);
    fs::write(&log, &backup).unwrap();
    wait_until("it is not ready", || (server.get("/ready").status == 503).then_some(()));
    let committed = fs::read(&wal).unwrap();
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    server.assert_no_panic();
    assert!(fs::read(&log).unwrap() == backup, "the end of the server wrote to the backup");
    assert!(fs::read(&wal).is_ok_and(|left| left == committed), "what was committed last is gone");
    assert_refused(
        &Program::serving(directory.path()).run(),
        FAILURE,
        &["31 events are missing. Nothing was changed"],
    );
}
