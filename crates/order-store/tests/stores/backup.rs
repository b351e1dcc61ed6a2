//! Backups: a store that is restored is the one that was backed up, up to where it was asked for; and what cannot be that is
//! refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use order_application::{Checkpoint, PageLimit, Position, ReceiptKey, ViewsProgress};
use order_domain::Timestamp;
use order_store::{
    BackupDirError, BackupError, BackupOptions, BackupReport, CopyError, PostgresError, PostgresFault,
    RestoreError, RestoreLimits, RestoreReport, SideError, SqliteError, SqliteStore, StoreLocation, Until,
    verify_backup,
};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::contract::{Store, bus, receipt, under};
use crate::copy::Place;
use crate::order::TestOrder;
use crate::other_process::OtherProcess;
use crate::sqlite::SMALL_BATCHES;

/// Chunks of few events, and several passes over receipts.
const SMALL_LIMITS: RestoreLimits =
    RestoreLimits { chunk: PageLimit { events: 7, bytes: 1 << 20 }, undone_orders: 8 };
/// A few events of this test's orders.
const SMALL_PARTS: usize = 2_000;
/// Any time will do.
const MADE_AT: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);

/// A directory for a backup, which is not there yet.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    _parent: TempDir,
}

impl Directory {
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        Self { path: parent.path().join("backup"), _parent: parent }
    }

    pub(crate) fn files(&self, beginning: &str) -> Vec<PathBuf> {
        let names = fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path());
        let has_name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(beginning);
        let mut files: Vec<_> = names.filter(has_name).collect();
        files.sort();
        files
    }
}

fn options() -> BackupOptions {
    BackupOptions { event_source: "/shop".to_owned(), made_at: MADE_AT, part_bytes: SMALL_PARTS }
}

pub(crate) async fn backup(from: &Place, to: &Path) -> Result<BackupReport, BackupError> {
    order_store::backup(&from.location, to, options(), &mut |_, _| {}).await
}

pub(crate) async fn restore(from: &Path, to: &Place, until: Until) -> Result<RestoreReport, RestoreError> {
    order_store::restore(from, &to.location, until, SMALL_LIMITS, &mut |_, _, _| {}).await
}

/// Each kind of store restored as each kind.
fn ways() -> [(Place, Place); 4] {
    [
        (Place::sqlite(), Place::postgres()),
        (Place::postgres(), Place::sqlite()),
        (Place::sqlite(), Place::sqlite()),
        (Place::postgres(), Place::postgres()),
    ]
}

fn at(position: u64, evidence: Option<&str>) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: evidence.map(Box::from) }
}

/// A payment with a receipt under a key, for each order.
async fn pay_with_keys(store: &dyn Store, orders: &mut [TestOrder], run: &str) {
    for order in orders {
        store.append(under(&format!("{run} {}", order.id), order.pay(1))).await.unwrap();
    }
}

fn key(run: &str, order: &TestOrder) -> ReceiptKey {
    ReceiptKey::new(None, &format!("{run} {}", order.id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_store_has_every_event_view_receipt_and_checkpoint_as_it_was() {
    for (from, to) in ways() {
        let mut orders = from.fill().await;
        let store = from.open().await;
        pay_with_keys(&*store, &mut orders, "first").await;
        let without_events = receipt("no events", &orders[0].id, orders[0].version().0, 5);
        store.keep_receipt(without_events.clone()).await.unwrap();
        drop(store);
        from.save("kafka", &at(160, Some("{\"\u{1F4E6}\": '\n'}"))).await;
        let directory = Directory::new();
        let made = backup(&from, &directory.path).await.unwrap();
        assert_eq!(made, BackupReport { position: Position(160), added: 160, receipts: 41, checkpoints: 1 });
        assert!(directory.files("events-").len() > 10);

        let restored = restore(&directory.path, &to, Until::End).await.unwrap();
        assert_eq!((restored.copy.copied, restored.copy.check.faults), (160, vec![]));
        assert_eq!((restored.position, restored.made_at), (Position(160), MADE_AT));
        assert_eq!((restored.event_source.as_str(), restored.receipts_left_out), ("/shop", 0));
        assert_eq!(to.content().await, from.content().await);
        let (original, copy) = (from.open().await, to.open().await);
        for order in &orders {
            let kept = copy.find_receipt(&key("first", order)).await;
            assert!(matches!(kept, Ok(Some(_))), "{kept:?}");
            assert_eq!(kept, original.find_receipt(&key("first", order)).await);
        }
        assert_eq!(copy.find_receipt(&without_events.key).await, Ok(Some(without_events)));
        drop((original, copy));
        let checkpoint = at(160, Some("{\"\u{1F4E6}\": '\n'}"));
        assert_eq!(to.checkpoints().await.load("kafka").await, Ok(Some(checkpoint)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_added_to_is_as_one_that_was_made_at_once() {
    for (from, to) in ways() {
        let (added_to, whole) = (Directory::new(), Directory::new());
        let mut orders = from.fill().await;
        assert_eq!(backup(&from, &added_to.path).await.unwrap().added, 120);
        let first = added_to.files("events-");
        let first: Vec<_> = first.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        pay_with_keys(&*from.open().await, &mut orders, "later").await;
        let second = backup(&from, &added_to.path).await.unwrap();
        assert_eq!((second.position, second.added, second.receipts), (Position(160), 40, 40));
        for (path, content) in first {
            assert!(fs::read(&path).unwrap() == content, "{} was changed", path.display());
        }
        let third = backup(&from, &added_to.path).await.unwrap();
        assert_eq!((third.position, third.added, third.receipts), (Position(160), 0, 40));
        backup(&from, &whole.path).await.unwrap();

        let other = Place::sqlite();
        restore(&added_to.path, &to, Until::End).await.unwrap();
        restore(&whole.path, &other, Until::End).await.unwrap();
        assert_eq!(to.content().await, other.content().await);
        assert_eq!(to.content().await, from.content().await);
        let store = to.open().await;
        for order in &orders {
            assert!(matches!(store.find_receipt(&key("later", order)).await, Ok(Some(_))));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_restored_up_to_a_position_without_what_came_later() {
    for (from, to) in ways() {
        let mut orders = from.fill().await;
        let store = from.open().await;
        pay_with_keys(&*store, &mut orders, "early").await;
        pay_with_keys(&*store, &mut orders, "late").await;
        drop(store);
        from.save("behind", &at(100, Some("evidence"))).await;
        from.save("ahead", &at(200, Some("evidence"))).await;
        let directory = Directory::new();
        backup(&from, &directory.path).await.unwrap();

        // In the middle of the late payments: the first ten are in.
        let restored = restore(&directory.path, &to, Until::Position(Position(170))).await.unwrap();
        assert_eq!((restored.position, restored.copy.check.events), (Position(170), 170));
        assert_eq!(
            (restored.receipts_left_out, &restored.followers_ahead[..]),
            (30, &["ahead".to_owned()][..])
        );
        assert_eq!(to.content().await.events, from.content().await.events[..170]);
        let store = to.open().await;
        for (n, order) in orders.iter().enumerate() {
            assert!(matches!(store.find_receipt(&key("early", order)).await, Ok(Some(_))));
            let late = store.find_receipt(&key("late", order)).await.unwrap();
            assert_eq!(late.is_some(), n < 10, "{n}");
        }
        drop(store);
        let checkpoints = to.checkpoints().await;
        assert_eq!(checkpoints.load("behind").await, Ok(Some(at(100, Some("evidence")))));
        assert_eq!(checkpoints.load("ahead").await, Ok(Some(at(170, None))));

        let refused = restore(&directory.path, &Place::sqlite(), Until::Position(Position(201))).await;
        let told = "the backup ends at position 200; name that one or an earlier one, or a later backup";
        assert_eq!(refused.unwrap_err().to_string(), told);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_restored_up_to_the_last_event_before_anything_later_than_a_time() {
    let from = Place::sqlite();
    from.fill().await;
    let directory = Directory::new();
    backup(&from, &directory.path).await.unwrap();
    let events = from.content().await.events;
    let later = |time: Timestamp| events.iter().position(|event| event.time > time).unwrap_or(events.len());
    for time in [events[0].time, events[40].time, events[119].time, MADE_AT] {
        let to = Place::sqlite();
        let restored = restore(&directory.path, &to, Until::Time(time)).await.unwrap();
        assert_eq!(restored.position, Position(later(time) as u64));
        assert_eq!(to.content().await.events, events[..later(time)]);
    }
    let before = Timestamp::from_micros(events[0].time.as_micros() - 1);
    let refused = restore(&directory.path, &Place::sqlite(), Until::Time(before)).await;
    assert!(matches!(refused, Err(RestoreError::BeginsAfter)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_store_can_be_backed_up_and_restored() {
    for (from, to) in ways() {
        drop(from.open().await);
        let directory = Directory::new();
        let made = backup(&from, &directory.path).await.unwrap();
        assert_eq!(made, BackupReport { position: Position::START, added: 0, receipts: 0, checkpoints: 0 });
        restore(&directory.path, &to, Until::End).await.unwrap();
        to.fill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_server_has_all_that_was_acknowledged_before() {
    let (from, directory) = (Place::sqlite(), Directory::new());
    let mut server = OtherProcess::serves(from.path());
    let mut position = Position::START;
    for round in 1..=3 {
        let acknowledged = server.wait_for(round * 400);
        // The server is fast, and each part has its syncs.
        let options = BackupOptions { part_bytes: 100_000, ..options() };
        let made = order_store::backup(&from.location, &directory.path, options, &mut |_, _| {}).await;
        position = made.unwrap().position;
        assert!(position.0 >= acknowledged, "{position}");
    }
    server.kill();
    let to = Place::sqlite();
    let progress = &mut |_, _, _| {};
    let restored =
        order_store::restore(&directory.path, &to.location, Until::End, RestoreLimits::default(), progress)
            .await;
    let restored = restored.unwrap();
    assert_eq!((restored.position, restored.copy.check.faults), (position, vec![]));
    let (events, original) = (to.content().await.events, from.content().await.events);
    assert!(original.starts_with(&events), "{}", events.len());
}

/// Makes a backup, or goes on with one, and is gone after so many reports of progress.
async fn backup_some(from: &Place, to: &Path, reports: usize) {
    let enough = Notify::new();
    let mut done = 0;
    let mut progress = |_, _| {
        done += 1;
        if done == reports {
            enough.notify_one();
        }
    };
    let backup = order_store::backup(&from.location, to, options(), &mut progress);
    tokio::select! {
        biased;
        () = enough.notified() => {}
        result = backup => panic!("it was not interrupted: {result:?}"),
    }
    // A part that it was just writing is there first.
    fs::File::open(to.join("backup.lock")).unwrap().lock().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_cut_short_leaves_the_last_one_whole_and_the_next_goes_on() {
    for (from, to) in ways() {
        let directory = Directory::new();
        let mut orders = from.fill().await;
        backup_some(&from, &directory.path, 1).await;
        let unfinished = restore(&directory.path, &Place::sqlite(), Until::End).await;
        let Err(RestoreError::Directory(BackupDirError::Unfinished(_))) = unfinished else {
            panic!("{unfinished:?}");
        };
        backup(&from, &directory.path).await.unwrap();

        pay_with_keys(&*from.open().await, &mut orders, "later").await;
        backup_some(&from, &directory.path, 1).await;
        let restored = restore(&directory.path, &to, Until::End).await.unwrap();
        assert_eq!((restored.position, restored.copy.check.faults), (Position(120), vec![]));
        assert_eq!(to.content().await.events, from.content().await.events[..120]);
        let made = backup(&from, &directory.path).await.unwrap();
        assert_eq!((made.position, made.receipts), (Position(160), 40));
        let last = Place::sqlite();
        restore(&directory.path, &last, Until::End).await.unwrap();
        assert_eq!(last.content().await, from.content().await);
    }
}

/// Restores so many chunks, and is then gone.
async fn restore_some(from: &Path, to: &Place, chunks: usize) {
    let enough = Notify::new();
    let mut done = 0;
    let mut progress = |_, _, _| {
        done += 1;
        if done == chunks {
            enough.notify_one();
        }
    };
    let restore = order_store::restore(from, &to.location, Until::End, SMALL_LIMITS, &mut progress);
    tokio::select! {
        biased;
        () = enough.notified() => {}
        result = restore => panic!("it was not interrupted: {result:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_opens_a_store_that_is_half_restored_and_the_next_run_goes_on() {
    for (from, to) in ways() {
        let directory = Directory::new();
        from.fill().await;
        backup(&from, &directory.path).await.unwrap();
        restore_some(&directory.path, &to, 3).await;
        let again = backup(&to, &Directory::new().path).await.unwrap_err();
        let unfinished = match to.location {
            StoreLocation::Sqlite(_) => {
                matches!(again, BackupError::Store(SideError::Sqlite(SqliteError::Copying(_))))
            }
            StoreLocation::Postgres(_) => {
                let copying = |error: &PostgresError| matches!(error.fault, PostgresFault::Copying);
                matches!(&again, BackupError::Store(SideError::Postgres(error)) if copying(error))
            }
        };
        assert!(unfinished, "{again}");
        let restored = restore(&directory.path, &to, Until::End).await.unwrap();
        assert!(restored.copy.found >= 3 * 7, "{restored:?}");
        assert_eq!(to.content().await, from.content().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_has_orders_is_not_restored_onto() {
    for (from, to) in ways() {
        let directory = Directory::new();
        from.fill().await;
        backup(&from, &directory.path).await.unwrap();
        to.fill().await;
        let before = to.content().await;
        let refused = restore(&directory.path, &to, Until::End).await;
        assert!(matches!(refused, Err(RestoreError::Copy(CopyError::InService { .. }))), "{refused:?}");
        assert_eq!(to.content().await, before);
        let refused = restore(&directory.path, &from, Until::End).await;
        assert!(matches!(refused, Err(RestoreError::OntoItself)), "{refused:?}");
        assert_eq!(from.content().await.events.len(), 120);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_something_else_is_left_alone() {
    let (from, other) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    other.fill().await;
    let directory = Directory::new();
    fs::create_dir(&directory.path).unwrap();
    fs::write(directory.path.join("photo.jpg"), "me").unwrap();
    let refused = backup(&from, &directory.path).await.unwrap_err();
    assert!(refused.to_string().ends_with(
        "is no backup, and it has \"photo.jpg\"; name an empty directory, or one that is not there"
    ));
    assert_eq!(directory.files("").len(), 1);
    let refused = restore(&directory.path, &other, Until::End).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Directory(BackupDirError::NotABackup(_))), "{refused}");

    let directory = Directory::new();
    backup(&from, &directory.path).await.unwrap();
    let before: Vec<_> = directory.files("").iter().map(|path| fs::read(path).unwrap()).collect();
    let refused = backup(&other, &directory.path).await.unwrap_err();
    assert!(matches!(refused, BackupError::OtherLog(_)), "{refused}");
    let after: Vec<_> = directory.files("").iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(before, after);
}

/// Whoever may write to a directory beside it could have any file overwritten otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_somebody_put_there_lead_nowhere() {
    let (from, directory) = (Place::sqlite(), Directory::new());
    from.fill().await;
    fs::create_dir(&directory.path).unwrap();
    let victim = tempfile::NamedTempFile::new().unwrap();
    fs::write(victim.path(), "mine").unwrap();
    symlink(victim.path(), directory.path.join("manifest.json.tmp")).unwrap();
    backup(&from, &directory.path).await.unwrap();
    assert_eq!(fs::read_to_string(victim.path()).unwrap(), "mine");

    let other = Directory::new();
    fs::create_dir(&other.path).unwrap();
    symlink(victim.path(), other.path.join("backup.lock")).unwrap();
    let refused = backup(&from, &other.path).await.unwrap_err();
    assert!(matches!(refused, BackupError::Directory(BackupDirError::Io { .. })), "{refused}");
}

/// Such as files that were restored by hand, and have gone another way since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_does_not_continue_the_backup_is_refused() {
    let (from, directory) = (Place::sqlite(), Directory::new());
    let mut orders = from.fill().await;
    let earlier = fs::read(from.path()).unwrap();
    pay_with_keys(&*from.open().await, &mut orders[..20], "first").await;
    backup(&from, &directory.path).await.unwrap();

    for entry in fs::read_dir(from.path().parent().unwrap()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::write(from.path(), earlier).unwrap();
    let refused = backup(&from, &directory.path).await.unwrap_err();
    assert!(
        refused.to_string().contains("has events up to position 140, and there the store has none"),
        "{refused}"
    );
    let mut new: Vec<_> = (0..30).map(|n| TestOrder::new(&format!("new-{n}"))).collect();
    let store = from.open().await;
    for order in &mut new {
        store.append(order.place()).await.unwrap();
    }
    drop(store);
    let refused = backup(&from, &directory.path).await.unwrap_err();
    assert!(refused.to_string().contains("there the store has another"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backup_at_a_time_is_made_in_a_directory() {
    let (from, directory) = (Place::sqlite(), Directory::new());
    from.fill().await;
    backup(&from, &directory.path).await.unwrap();
    let lock = fs::File::open(directory.path.join("backup.lock")).unwrap();
    lock.lock_shared().unwrap();
    let refused = backup(&from, &directory.path).await.unwrap_err();
    assert!(matches!(refused, BackupError::Directory(BackupDirError::InUse(_))), "{refused}");
    // Those who read it may be many.
    restore(&directory.path, &Place::sqlite(), Until::End).await.unwrap();
    lock.unlock().unwrap();
    lock.lock().unwrap();
    let refused = restore(&directory.path, &Place::sqlite(), Until::End).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Directory(BackupDirError::InUse(_))), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_not_backed_up_for_it_has_no_receipts() {
    let from = Place::sqlite();
    drop(SqliteStore::open_replica(from.path(), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap());
    let refused = backup(&from, &Directory::new().path).await.unwrap_err();
    assert!(matches!(refused, BackupError::Store(SideError::Sqlite(SqliteError::Replica(_)))), "{refused}");
}

/// What the check of the restored store finds, the check of the backup finds before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_events_are_not_sound_is_backed_up_and_not_served_when_it_is_restored() {
    let (from, directory, to) = (Place::sqlite(), Directory::new(), Place::sqlite());
    let mut orders = from.fill().await;
    let mut append = orders[0].pay(1);
    append.events[0].event_type = "order.teleported.v1".into();
    from.open().await.append(append).await.unwrap();
    backup(&from, &directory.path).await.unwrap();
    let fault = "order order-0, event at position 121: ";
    let report = verify_backup(&directory.path, &mut |_, _| {}).unwrap();
    assert!(report.faults[0].starts_with(fault), "{report:?}");
    let restored = restore(&directory.path, &to, Until::End).await.unwrap();
    assert!(restored.copy.check.faults[0].starts_with(fault), "{restored:?}");
    let refused =
        SqliteStore::open(to.path(), bus(), SMALL_BATCHES, &ViewsProgress::default()).err().unwrap();
    assert!(matches!(refused, SqliteError::Copying(_)), "{refused}");
    let up_to_there = Place::sqlite();
    let restored = restore(&directory.path, &up_to_there, Until::Position(Position(120))).await.unwrap();
    assert_eq!(restored.copy.check.faults, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_further_than_what_is_asked_for_is_refused() {
    let (from, directory, to) = (Place::sqlite(), Directory::new(), Place::sqlite());
    from.fill().await;
    backup(&from, &directory.path).await.unwrap();
    restore_some(&directory.path, &to, 8).await;
    let refused = restore(&directory.path, &to, Until::Position(Position(10))).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Copy(CopyError::OtherContent { .. })), "{refused}");
}
