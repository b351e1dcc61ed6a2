//! Images of the files of a small store, cut, flipped, exchanged, of other times and of other stores: none is served with an event silently
//! missing that its views, its checkpoints or its receipts know of; and none is refused that a crash may leave.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use order_application::{
    Checkpoint, Checkpoints, Claim, EventLog, PageLimit, Position, Receipts, RecordedEvent, ViewsProgress,
};
use order_store::{SqliteError, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{bus, receipt, under};
use crate::order::TestOrder;
use crate::random::Random;
use crate::sqlite::SMALL_BATCHES;
use crate::sqlite_damage::damage_pages;
use crate::sqlite_foreign_files::hot_journal;

/// A run for every change has some, the full tests have all.
const IMAGES: u64 = if cfg!(feature = "full-tests") { 2_000 } else { 200 };
/// Images that are looked at beside each other.
const AT_ONCE: usize = 4;
/// Times at which the files are looked at.
const MOMENTS: usize = 16;

/// What is in a file, if it is there.
type Content = Option<Vec<u8>>;

/// The files of a store at some time, as `kill -9` would have left them.
#[derive(Clone)]
struct Image {
    log: Content,
    wal: Content,
    journal: Content,
    views: [Content; 2],
}

impl Image {
    const NAMES: [&str; 5] =
        ["orders.db", "orders.db-wal", "orders.db-journal", "orders.views.1.db", "orders.views.1.db-wal"];

    fn of(directory: &Path) -> Self {
        let [log, wal, journal, views, views_wal] =
            Self::NAMES.map(|name| fs::read(directory.join(name)).ok());
        Self { log, wal, journal, views: [views, views_wal] }
    }

    fn write(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let files = [&self.log, &self.wal, &self.journal, &self.views[0], &self.views[1]];
        for (name, content) in Self::NAMES.iter().zip(files) {
            if let Some(content) = content {
                fs::write(directory.path().join(name), content).unwrap();
            }
        }
        directory
    }

    /// The same with its views' schema of another version.
    fn with_views_of_schema(&self, version: usize) -> Self {
        let directory = self.write();
        let views = Connection::open(directory.path().join("orders.views.1.db")).unwrap();
        views.pragma_update(None, "user_version", version).unwrap();
        drop(views);
        Self { views: Self::of(directory.path()).views, ..self.clone() }
    }

    /// How far its views know of the log.
    fn known(&self) -> u64 {
        let directory = self.write();
        let views = Connection::open(directory.path().join("orders.views.1.db")).unwrap();
        views.query_row("SELECT position FROM progress", (), |row| row.get(0)).unwrap_or_default()
    }
}

/// A time, and what was acknowledged by then.
struct Moment {
    image: Image,
    acknowledged: u64,
    known: u64,
}

struct History {
    moments: Vec<Moment>,
    /// Of another store.
    foreign: Vec<Image>,
    events: Vec<RecordedEvent>,
    orders: Vec<TestOrder>,
}

impl History {
    /// So many moments, each with as many orders more; and some of another store that has fewer orders, or more.
    async fn new(moments_in_all: usize, orders_each: usize) -> Self {
        let [foreign, more] =
            [Self::of_one(2, orders_each / 2 + 3), Self::of_one(moments_in_all, orders_each)];
        let (foreign, more) = (foreign.await.moments, more.await.moments);
        let foreign = foreign.into_iter().chain(more).map(|moment| moment.image).collect();
        Self { foreign, ..Self::of_one(moments_in_all, orders_each).await }
    }

    async fn of_one(moments_in_all: usize, orders_each: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        let Ok(Claim::Granted(epoch)) = store.claim("relay", "me", None).await else {
            panic!("nobody has it")
        };
        let (mut moments, mut orders) = (Vec::new(), Vec::<TestOrder>::new());
        for moment in 0..moments_in_all {
            let mut placements = Vec::new();
            for n in 0..orders_each {
                let mut order = TestOrder::new(&format!("order-{moment}-{n}"));
                let placement = order.place();
                placements.push(store.append(under(order.id.as_str(), placement)));
                orders.push(order);
            }
            assert!(join_all(placements).await.iter().all(Result::is_ok));
            let paid = &mut orders[moment * 5];
            let payment = paid.pay(1);
            store.append(under(&format!("{}-paid", paid.id), payment)).await.unwrap();
            let acknowledged = store.end().await.unwrap();
            let checkpoint = Checkpoint { position: acknowledged, evidence: None };
            assert_eq!(store.save("relay", epoch, &checkpoint).await, Ok(true));
            let image = Image::of(directory.path());
            let known = image.known();
            moments.push(Moment { image, acknowledged: acknowledged.0, known });
            // The write-ahead log's next turn begins now and then, and sometimes it is copied only in part.
            if moment % 4 == 3 {
                copy_wal(directory.path(), moment % 8 == 7, &store, &mut orders).await;
            }
        }
        let events = store.read_log(Position::START, PageLimit::events(100_000)).await.unwrap();
        Self { moments, foreign: Vec::new(), events, orders }
    }
}

/// Copies the write-ahead log into the log; `partly`: only what was there before the last order.
async fn copy_wal(directory: &Path, partly: bool, store: &SqliteStore, orders: &mut Vec<TestOrder>) {
    let reader = Connection::open(directory.join("orders.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM log;").unwrap();
    reader.query_row("SELECT count(*) FROM events", (), |_| Ok(())).unwrap();
    if !partly {
        reader.execute_batch("COMMIT").unwrap();
    }
    let mut order = TestOrder::new(&format!("order-{}-more", orders.len()));
    store.append(order.place()).await.unwrap();
    orders.push(order);
    let copier = Connection::open(directory.join("orders.db")).unwrap();
    copier.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
}

fn open(directory: &Path) -> Result<SqliteStore, SqliteError> {
    SqliteStore::open(&directory.join("orders.db"), bus(), SMALL_BATCHES, &ViewsProgress::default())
}

/// An image, and what is known of it.
struct Ruined {
    image: Image,
    what: String,
    /// The position up to which nothing may be missing without a word.
    known: u64,
    /// How many events there are at least, if it must be opened.
    must_have: Option<u64>,
}

fn ruin(history: &History, random: &mut Random) -> Ruined {
    let pick = |random: &mut Random| random.below(history.moments.len());
    let at = pick(random);
    let moment = &history.moments[at];
    let mut ruined =
        Ruined { image: moment.image.clone(), what: String::new(), known: moment.known, must_have: None };
    let image = &mut ruined.image;
    let other = pick(random);
    let others = &history.moments[other];
    ruined.what = match random.below(16) {
        0 => {
            ruined.must_have = Some(moment.acknowledged);
            "as it was".to_owned()
        }
        1 => {
            ruined.must_have = Some(moment.acknowledged);
            let next = history.moments.get(at + 1).map_or(&moment.image, |next| &next.image);
            format!("written up to {:?}", write_some(image, next, random))
        }
        2 => {
            let wal = image.wal.get_or_insert_default();
            wal.truncate(random.below(wal.len() + 1));
            format!("write-ahead log cut to {} bytes", wal.len())
        }
        3 | 4 => format!("write-ahead log: {}", damaged(&mut image.wal, random)),
        5 => {
            image.log = others.image.log.clone();
            format!("log of moment {other}")
        }
        6 => {
            image.wal = others.image.wal.clone();
            format!("write-ahead log of moment {other}")
        }
        7 => {
            (image.log, image.wal) = (others.image.log.clone(), others.image.wal.clone());
            if other >= at {
                ruined.must_have = Some(others.acknowledged);
            }
            format!("log and write-ahead log of moment {other}")
        }
        8 => format!("log: {}", damaged(&mut image.log, random)),
        9 => {
            image.wal = [None, Some(Vec::new())][random.below(2)].clone();
            "no write-ahead log".to_owned()
        }
        10..=14 => made_elsewhere(image, history, random),
        _ => {
            image.log = [None, Some(Vec::new())][random.below(2)].clone();
            "no log".to_owned()
        }
    };
    ruined.what = format!("moment {at}, {}", ruined.what);
    ruined
}

/// Files of other stores and other releases, and what is no database.
fn made_elsewhere(image: &mut Image, history: &History, random: &mut Random) -> String {
    let foreign = &history.foreign[random.below(history.foreign.len())];
    match random.below(7) {
        0 => {
            image.journal = Some(hot_journal());
            "a journal".to_owned()
        }
        1 => {
            let bytes = [1, 2, 50, 99, 4096][random.below(5)];
            image.log = Some(vec![b'\n'; bytes]);
            format!("{bytes} bytes in place of the log")
        }
        2 => {
            image.wal = foreign.wal.clone();
            "another store's write-ahead log".to_owned()
        }
        3 => {
            image.log = foreign.log.clone();
            "another store's log".to_owned()
        }
        4 => {
            (image.log, image.wal) = (foreign.log.clone(), foreign.wal.clone());
            "another store's log and write-ahead log".to_owned()
        }
        5 => {
            let wal = image.wal.get_or_insert_default();
            let bytes = [32, 512, 4096, 8192][random.below(4)].min(wal.len());
            wal[..bytes].fill(0);
            format!("{bytes} zeros at the beginning of the write-ahead log")
        }
        _ => {
            let version = [0, 1, 2, 4][random.below(4)];
            *image = image.with_views_of_schema(version);
            let other = random.below(history.moments.len());
            let others = &history.moments[other].image;
            (image.log, image.wal) = (others.log.clone(), others.wal.clone());
            format!("views of schema {version}, and the log of moment {other}")
        }
    }
}

fn damaged(content: &mut Content, random: &mut Random) -> String {
    let content = content.get_or_insert_default();
    if content.len() < 4096 { "nothing".to_owned() } else { damage_pages(content, random) }
}

/// Writes what came next to the write-ahead log, up to some byte: a process that is killed leaves that. Where the log was written
/// to meanwhile, or another turn began, nothing is written.
fn write_some(image: &mut Image, next: &Image, random: &mut Random) -> Option<usize> {
    let (Some(before), Some(after)) = (&mut image.wal, &next.wal) else { return None };
    if image.log != next.log || before.get(..32) != after.get(..32) {
        return None;
    }
    let first = before.iter().zip(after.iter()).position(|(a, b)| a != b).unwrap_or(before.len());
    let up_to = first + random.below(after.len() - first + 1);
    let behind = before.get(up_to..).unwrap_or_default().to_vec();
    *before = [&after[..up_to], &behind].concat();
    Some(up_to)
}

/// What is known is there, or an error.
async fn assert_nothing_is_missing(store: &SqliteStore, history: &History, known: u64, what: &str) {
    let end = store.end().await.unwrap();
    assert!(end.0 >= known, "{what}: the log ends at position {end}, and {known} positions are known");
    let mut after = 0;
    while after < known as usize {
        match store.read_log(Position(after as u64), PageLimit::events(10_000)).await {
            Ok(page) => {
                let expected = &history.events[after..known as usize];
                let compared = page.len().min(expected.len());
                assert!(compared > 0 && page[..compared] == expected[..compared], "{what}: {page:#?}");
                after += compared;
            }
            // It cannot be read, which is said.
            Err(_) => after += 1,
        }
    }
    if let Ok(Some(checkpoint)) = store.load("relay").await {
        assert!(checkpoint.position <= end, "{what}: a checkpoint at {}, of {end}", checkpoint.position);
    }
    for order in &history.orders {
        for (key, version) in [(order.id.to_string(), 1), (format!("{}-paid", order.id), 2)] {
            let key = receipt(&key, &order.id, version, 1).key;
            if let Ok(Some(receipt)) = store.find_receipt(&key).await
                && let Ok(version) = store.version(&order.id).await
            {
                assert!(version >= receipt.version, "{what}: order {} has lost its events", order.id);
            }
        }
    }
}

/// Looks at every so many images from one on. Answers with how many were opened, and how many refused.
async fn look_at_images(history: Arc<History>, images: Range<u64>) -> (u64, u64) {
    let (mut opened, mut refused) = (0, 0);
    for image in images.step_by(AT_ONCE) {
        let mut random = Random(0x0000_0005 ^ (image << 32));
        let Ruined { image: files, what, known, must_have } = ruin(&history, &mut random);
        let what = format!("image {image}: {what}");
        let directory = files.write();
        match open(directory.path()) {
            Ok(store) => {
                assert_nothing_is_missing(&store, &history, known.max(must_have.unwrap_or(0)), &what).await;
                opened += 1;
            }
            Err(error) => {
                assert_eq!(must_have, None, "{what}: {error}");
                refused += 1;
            }
        }
    }
    (opened, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_image_of_files_is_served_with_a_known_event_silently_missing() {
    let history = Arc::new(History::new(MOMENTS, 6).await);
    let looking =
        (0..AT_ONCE as u64).map(|first| tokio::spawn(look_at_images(Arc::clone(&history), first..IMAGES)));
    let looked = join_all(looking).await.into_iter().map(Result::unwrap);
    let (opened, refused) = looked.fold((0, 0), |all, some| (all.0 + some.0, all.1 + some.1));
    assert!(opened > IMAGES / 4 && refused > IMAGES / 4, "{opened} opened, {refused} refused");
}

/// The same of a store whose log has thousands of pages, which its write-ahead log has only some of.
#[cfg(feature = "full-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_image_of_large_files_is_served_with_a_known_event_silently_missing() {
    const LARGE_IMAGES: u64 = 60;
    let history = Arc::new(History::new(8, 2_000).await);
    let images = |first| tokio::spawn(look_at_images(Arc::clone(&history), first..LARGE_IMAGES));
    let looked = join_all((0..AT_ONCE as u64).map(images)).await;
    let refused = looked.into_iter().map(|looked| looked.unwrap().1).sum::<u64>();
    assert!(refused > LARGE_IMAGES / 4, "{refused} refused");
}

/// The negative control: a store that opens files whether or not they belong together is caught.
#[cfg(feature = "planted-faults")]
#[test]
fn a_store_that_does_not_look_at_its_files_is_caught() {
    let test = "sqlite_loss_at_random::no_image_of_files_is_served_with_a_known_event_silently_missing";
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("ORDER_SERVICE_PLANTED_FAULT", "unchecked-files")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(!ended.status.success(), "it was not noticed: {said}");
    assert!(said.contains("image "), "it went red for another reason: {said}");
}
