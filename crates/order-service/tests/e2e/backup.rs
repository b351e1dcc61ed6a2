//! `backup` and `restore` with the real binary: beside servers under load, between stores, cut short and killed, into
//! directories that cannot be written to.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::checker::check;
use crate::copy::{ORDERS, database, fill, place_many, served, serving, sqlite, verify};
use crate::http::post_under;
use crate::load::{Claim, under_load};
use crate::server::{Ended, Program, Server, wait_until};

/// A directory in another that is not there yet.
struct Backup {
    parent: TempDir,
}

impl Backup {
    fn new() -> Self {
        Self { parent: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.parent.path().join("backup")
    }

    fn making(&self, store: &str) -> Program {
        self.making_under(&[], store)
    }

    /// The same with words before it, such as those of `strace`.
    fn making_under(&self, prefix: &[&str], store: &str) -> Program {
        Program::started_by(prefix, ["backup"]).argument("--store", store).operand(self.path())
    }

    /// Makes it, or adds to it, and answers with the position that it reaches.
    #[track_caller]
    fn make(&self, store: &str) -> u64 {
        reached(&self.making(store).run())
    }

    fn restoring(&self, store: &str) -> Program {
        Program::new(["restore"]).argument("--store", store).operand(self.path())
    }

    #[track_caller]
    fn restore(&self, store: &str) -> Ended {
        let ended = self.restoring(store).run();
        assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]), "{ended:?}");
        ended
    }

    fn verify(&self) -> Ended {
        Program::new(["verify"]).argument("--backup", self.path()).run()
    }

    /// What it has, if a run was finished.
    fn position(&self) -> Option<u64> {
        let text = fs::read(self.path().join("manifest.json")).ok()?;
        let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
        manifest["finished"]["last_position"].as_u64()
    }
}

/// The position that a backup has reached.
#[track_caller]
fn reached(ended: &Ended) -> u64 {
    assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]), "{ended:?}");
    let told = ended.stdout[0].strip_prefix("backed up to position ").unwrap();
    told.split_once(':').unwrap().0.parse().unwrap()
}

/// Each command that was acknowledged before is there, and what is sent again under its key gets its first answer. And
/// whatever is there of commands with keys, before or later, has its key: another request under that is refused.
fn check_kept(server: &Server, before: &[Claim], during: Vec<Claim>) -> Result<(), String> {
    // Of what came while the backup was made anything may be there.
    let during = during.into_iter().map(|claim| Claim { acknowledged: 0, ..claim });
    let all: Vec<_> = before.iter().cloned().chain(during).collect();
    check(server, 0, &all)?;
    let mut client = server.connect();
    for claim in all.iter().filter(|claim| claim.has_keys()) {
        for step in 0..claim.acknowledged {
            let again = claim.send(step, &mut client).unwrap();
            assert_eq!(
                (again.version(), again.header("idempotent-replayed")),
                (Some(step as u64 + 1), Some("true"))
            );
        }
        let order = format!("/orders/{}", claim.order_id);
        let Some(last) = client.get(&order).unwrap().version() else { continue };
        let key = claim.own_id(last as usize - 1);
        let other = post_under(&key, &format!("{order}/payment"), r#"{"payment_id":"another"}"#);
        client.send(other.as_bytes()).unwrap();
        let answer = client.answer().unwrap();
        if answer.status != 422 {
            return Err(format!("the key {key} is not known any more: {answer:?}"));
        }
        assert_eq!(answer.code(), "idempotency-key-reused");
    }
    Ok(())
}

/// Backs a store up under load, twice, and holds a store that is restored from it to what clients were told. `changed`: how the
/// second run is started.
fn under_load_and_back(from: &str, to: &str, changed: impl Fn(Program) -> Program) -> Result<(), String> {
    let backup = Backup::new();
    let server = serving(from).start();
    let (before, _) = under_load(server.port(), "before", |progress| {
        wait_until("there are orders", || (progress.acknowledged() > 1_000).then_some(()));
        backup.make(from);
        let more = progress.acknowledged() + 500;
        wait_until("there are more", || (progress.acknowledged() > more).then_some(()));
    });
    let acknowledged = before.iter().map(|claim| claim.acknowledged as u64).sum();
    let (during, _) = under_load(server.port(), "during", |progress| {
        wait_until("there is a load", || (progress.acknowledged() > 100).then_some(()));
        let position = reached(&changed(backup.making(from)).run());
        assert!(position >= acknowledged, "{position}, and {acknowledged} were acknowledged");
    });
    server.stop();
    assert_eq!(backup.verify().status, Some(0));
    backup.restore(to);
    assert_eq!(verify(to).status, Some(0));
    let restored = serving(to).start();
    let kept = check_kept(&restored, &before, during);
    restored.stop();
    kept
}

#[test]
fn a_backup_under_load_restores_every_command_that_was_acknowledged_before_it_began() {
    let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (from, to) in [(sqlite(&directories[0]), database()), (database(), sqlite(&directories[1]))] {
        under_load_and_back(&from, &to, |program| program).unwrap();
    }
}

/// The negative control: a backup that has events which came after its receipts.
#[test]
fn receipts_of_an_earlier_moment_than_the_events_are_found_out() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let late = |program: Program| program.variable("ORDER_SERVICE_PLANTED_FAULT", "receipts-before-events");
    let breach = under_load_and_back(&sqlite(&from), &sqlite(&to), late);
    assert!(breach.as_ref().is_err_and(|breach| breach.contains("is not known any more")), "{breach:?}");
}

#[test]
fn a_store_is_served_as_before_from_a_backup_and_from_a_backup_of_that() {
    let (first, second, url) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), database());
    let server = Program::serving(first.path()).start();
    fill(&server);
    let backups = [Backup::new(), Backup::new()];
    // Beside the server.
    backups[0].make(&sqlite(&first));
    server.stop();
    let before = served(&sqlite(&first));

    let ended = backups[0].restore(&url);
    assert!(
        ended.stdout[0]
            .starts_with("restored and checked up to position 5: 5 events of 3 orders, from the backup of 2"),
        "{ended:?}"
    );
    assert_eq!(served(&url), before);
    backups[1].make(&url);
    backups[1].restore(&sqlite(&second));
    assert_eq!(served(&sqlite(&second)), before);
    assert_eq!(backups[1].verify().stdout, ["all is well: 5 events of 3 orders checked"]);
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_said_in_one_line() {
    let (directory, backup) = (tempfile::tempdir().unwrap(), Backup::new());
    let store = sqlite(&directory);
    let refused = |program: Program, status: i32, says: &str| {
        let ended = program.run();
        assert_eq!((ended.status, ended.stdout.len(), ended.stderr.len()), (Some(status), 0, 1), "{ended:?}");
        assert!(ended.stderr[0].contains(says), "{says:?} in {ended:?}");
    };
    refused(backup.making("memory:"), 2, "memory: is gone at exit, so there is nothing to back up");
    refused(backup.making(&store), 1, "the store: cannot use ");
    assert!(!backup.path().exists(), "it was made all the same");
    refused(backup.restoring(&store), 1, "cannot use ");

    let server = Program::serving(directory.path()).start();
    fill(&server);
    backup.make(&store);
    refused(backup.restoring(&store), 1, "is in use by another process");
    server.stop();
    refused(backup.restoring(&store), 1, "the backup is of this very store");
    refused(backup.restoring("memory:"), 2, "memory: is gone at exit, so nothing can be restored to it");

    let (elsewhere, url) = (tempfile::tempdir().unwrap(), database());
    let until = |option: &str, value: &str| backup.restoring(&sqlite(&elsewhere)).argument(option, value);
    refused(until("--until-position", "6"), 1, "the backup ends at position 5");
    refused(until("--until-time", "2020-01-01T00:00:00Z"), 1, "no event from before that time");
    refused(until("--until-time", "yesterday"), 2, "until-time: must be a time such as");
    let both = until("--until-time", "2020-01-01T00:00:00Z").argument("--until-position", "1");
    refused(both, 2, "give one of them");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "something was made all the same");

    let server = serving(&url).start();
    fill(&server);
    refused(backup.making(&url), 1, "is the backup of another store");
    server.stop();

    let part = backup.path().join("events-00000000000000000001.part");
    let mut content = fs::read(&part).unwrap();
    content[100] ^= 1;
    fs::write(&part, &content).unwrap();
    refused(
        backup.restoring(&sqlite(&elsewhere)),
        1,
        "its checksum does not match; this backup cannot be trusted",
    );
    let ended = backup.verify();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stdout[0].contains("events at positions 1 to 5: they cannot be read: "), "{ended:?}");
    let not_served = serving(&sqlite(&elsewhere)).run();
    assert!(not_served.stderr.last().unwrap().contains("unfinished copy"), "{not_served:?}");
    content.pop();
    fs::write(&part, &content).unwrap();
    refused(backup.making(&store), 1, "bytes, and");
    fs::remove_file(&part).unwrap();
    refused(backup.restoring(&url), 1, "it is missing; this backup cannot be trusted");
}

/// Runs it with a fault in the place of a system call on a file of the directory.
fn faulty(backup: &Backup, store: &str, file: &str, fault: &str) -> Program {
    let calls = format!("trace={}", fault.split(':').next().unwrap());
    let (path, inject) = (backup.path().join(file), format!("inject={fault}"));
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none"];
    let options = ["-P", path.to_str().unwrap(), "-e", &calls, "-e", &inject];
    backup.making_under(&[&strace[..], &options].concat(), store)
}

#[test]
fn a_full_and_a_read_only_directory_are_told_and_leave_the_last_backup_whole() {
    let (directory, backup) = (tempfile::tempdir().unwrap(), Backup::new());
    let store = sqlite(&directory);
    let server = Program::serving(directory.path()).start();
    fill(&server);
    backup.make(&store);
    assert_eq!(server.post("/orders/c/payment", r#"{"payment_id":"p"}"#).status, 202);

    let part = "events-00000000000000000006.part.tmp";
    for (file, fault, says) in [
        (part, "write:error=ENOSPC:when=1+", "no space left for "),
        (part, "fdatasync:error=ENOSPC:when=1+", "make space and run the same command again"),
        ("manifest.json.tmp", "write:error=EDQUOT:when=2+", "no space left for "),
        ("backup.lock", "openat:error=EROFS:when=1+", "Read-only file system"),
        ("backup.lock", "openat:error=EACCES:when=1+", "Permission denied"),
    ] {
        let ended = faulty(&backup, &store, file, fault).run();
        assert_eq!(
            (ended.status, ended.stdout.len(), ended.stderr.len()),
            (Some(1), 0, 1),
            "{fault}: {ended:?}"
        );
        assert!(ended.stderr[0].contains(says), "{fault}: {ended:?}");
        assert_eq!((backup.verify().status, backup.position()), (Some(0), Some(5)), "{fault}");
        let unfinished = |name: &Path| name.extension().is_some_and(|extension| extension == "tmp");
        let left =
            fs::read_dir(backup.path()).unwrap().filter(|entry| unfinished(&entry.as_ref().unwrap().path()));
        assert_eq!(left.count(), 0, "{fault}: something takes the space that others need");
    }
    assert_eq!(backup.make(&store), 6);
    server.stop();
}

#[test]
fn a_backup_that_is_killed_at_any_step_leaves_the_last_one_whole_and_goes_on() {
    let (directory, backup) = (tempfile::tempdir().unwrap(), Backup::new());
    let store = sqlite(&directory);
    let server = Program::serving(directory.path()).start();
    fill(&server);
    let kills = ["rename", "fdatasync", "fsync", "unlink"].map(|call| (1..=6).map(move |nth| (call, nth)));
    let mut killed = 0;
    for (round, (call, nth)) in kills.into_iter().flatten().enumerate() {
        let order = format!(
            r#"{{"order_id":"r{round}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":5}}]}}"#
        );
        // With a key, so that receipts are written anew and those of the last run removed.
        let mut client = server.connect();
        client.send(post_under(&format!("key-{round}"), "/orders", &order).as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, 201);
        let before = backup.position();
        let fault = format!("inject={call}:signal=KILL:when={nth}");
        let trace = format!("trace={call}");
        let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none"];
        let ended = backup.making_under(&[&strace[..], &["-e", &trace, "-e", &fault]].concat(), &store).run();
        killed += u32::from(ended.status.is_none());
        let after = backup.position();
        assert!(ended.status.is_none() || after == Some(6 + round as u64), "{fault}: {ended:?}");
        assert!(after >= before, "{fault}: {before:?} became {after:?}");
        if after.is_some() {
            assert_eq!(backup.verify().status, Some(0), "{fault}");
        }
    }
    assert!(killed >= 12, "only {killed} were killed");
    let position = backup.make(&store);
    server.stop();
    let restored = tempfile::tempdir().unwrap();
    let ended = backup.restore(&sqlite(&restored));
    assert!(ended.stdout[0].starts_with(&format!("restored and checked up to position {position}: ")));
    assert_eq!(served(&sqlite(&restored)), served(&store));
}

#[test]
fn a_restore_that_is_killed_is_not_served_and_goes_on() {
    let (from, to, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Backup::new());
    place_many(&from.path().join("orders.db"));
    assert_eq!(backup.make(&sqlite(&from)), ORDERS);
    let file = to.path().join("orders.db");
    let restored = || {
        let log =
            rusqlite::Connection::open_with_flags(&file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        log.query_row("SELECT max(position) FROM events", (), |row| row.get::<_, u64>(0)).ok()
    };
    let restoring_to = |position: u64| {
        let restore = backup.restoring(&sqlite(&to)).spawn();
        wait_until("more is restored", || restored().filter(|reached| *reached >= position));
        restore
    };
    let mut restore = restoring_to(10_000);
    restore.signal(Signal::TERM);
    assert_eq!(restore.wait().code(), Some(143), "{}", restore.log());
    assert_eq!(restore.log(), "stopped by SIGTERM: the same command goes on where it was\n");
    let mut restore = restoring_to(20_000);
    restore.process().kill();
    assert_eq!(restore.wait().code(), None, "it was not killed: {}", restore.log());

    let refused = serving(&sqlite(&to)).run();
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(
        refused.stderr.last().unwrap().contains("the target of an unfinished copy or restore"),
        "{refused:?}"
    );
    let ended = backup.restore(&sqlite(&to));
    assert!(ended.stdout[0].contains(": 30,000 events of 30,000 orders"), "{ended:?}");
    assert_eq!(verify(&sqlite(&to)).status, Some(0));
}

#[test]
fn two_backups_at_once_in_one_directory_are_one_too_many() {
    let (directory, backup) = (tempfile::tempdir().unwrap(), Backup::new());
    let store = sqlite(&directory);
    let server = Program::serving(directory.path()).start();
    fill(&server);
    backup.make(&store);
    // As the first holds it as long as it runs.
    let first = fs::File::open(backup.path().join("backup.lock")).unwrap();
    first.lock().unwrap();
    let restored = tempfile::tempdir().unwrap();
    for program in [backup.making(&store), backup.restoring(&sqlite(&restored))] {
        let second = program.run();
        assert_eq!((second.status, second.stderr.len()), (Some(1), 1), "{second:?}");
        assert!(
            second.stderr[0].ends_with("is in use by another backup or restore; let that one end first"),
            "{second:?}"
        );
    }
    drop(first);
    backup.make(&store);
    server.stop();
}
