//! Damage at random: thousands of images of small stores, each with something wrong in its files.
//!
//! Of damaged views no reader and no command ever learns anything that is not so, and they mend themselves. Of a damaged log
//! `verify` names every event that cannot be served. What is random follows from a seed, which a failure tells.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_application::{
    Append, AppendError, EventLog, ListQuery, OrderViews, PageLimit, Position, Receipts, RecordedEvent,
    StoreError, Version, ViewsProgress,
};
use order_store::{SqliteError, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{bus, list, receipt, under};
use crate::order::TestOrder;
use crate::random::Random;
use crate::scrubbing::one_pass;
use crate::sqlite::{PATIENCE, SMALL_BATCHES, rebuilt, replaced};

/// Images of each kind. A run for every change has some, the full tests have all.
const IMAGES: u64 = if cfg!(feature = "full-tests") { 1_000 } else { 60 };
const ORDERS: usize = 40;
/// Images of a store that is not small: tables of several levels, batches of many pages.
const LARGE_IMAGES: u64 = if cfg!(feature = "full-tests") { 6 } else { 1 };
const MANY_ORDERS: usize = 10_000;
/// How often a large image is damaged.
const DAMAGES: usize = 20;
const ALL: PageLimit = PageLimit::events(10_000);

/// A store that was closed, as the bytes of its files. Each order's placement has a receipt under the order's id.
struct Original {
    orders: Vec<TestOrder>,
    log: Vec<u8>,
    views: Vec<u8>,
    events: Vec<RecordedEvent>,
}

fn log_in(directory: &Path) -> PathBuf {
    directory.join("orders.db")
}

fn views_in(directory: &Path) -> PathBuf {
    directory.join("orders.views.1.db")
}

impl Original {
    async fn new(orders: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let mut orders: Vec<_> = (0..orders).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
        let mut placements = Vec::new();
        for (n, order) in orders.iter_mut().enumerate() {
            let placement = order.place_for(&format!("customer-{n}"));
            placements.push(under(order.id.as_str(), placement));
        }
        append_all(&store, placements).await;
        let mut payments = Vec::new();
        for (n, order) in orders.iter_mut().enumerate() {
            payments.push(order.pay(1 + n as u64 % 3));
        }
        append_all(&store, payments).await;
        let events = store.read_log(Position::START, ALL).await.unwrap();
        drop(store);
        let read = |path: PathBuf| fs::read(path).unwrap();
        let (log, views) = (read(log_in(directory.path())), read(views_in(directory.path())));
        Self { orders, log, views, events }
    }

    /// The store once more, in a directory of its own.
    fn copy(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(log_in(directory.path()), &self.log).unwrap();
        fs::write(views_in(directory.path()), &self.views).unwrap();
        directory
    }
}

/// Many in one commit, in this order.
async fn append_all(store: &SqliteStore, appends: Vec<Append>) {
    for chunk in appends.chunks(1_000) {
        let appended = join_all(chunk.iter().map(|append| store.append(append.clone()))).await;
        assert!(appended.iter().all(Result::is_ok));
    }
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(&log_in(directory), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap()
}

/// Does something to a file that a disk, a cable or a cosmic ray could do. The first page is one among the others.
pub(crate) fn damage_pages(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    const PAGE: usize = 4096;
    let pages = bytes.len() / PAGE;
    let page = |number: usize| number * PAGE..(number + 1) * PAGE;
    match random.below(5) {
        0 => {
            let flips = 1 + random.below(8);
            let places: Vec<_> = (0..flips).map(|_| (random.below(bytes.len()), random.below(8))).collect();
            places.iter().for_each(|(byte, bit)| bytes[*byte] ^= 1 << bit);
            format!("flipped {places:?}")
        }
        1 => {
            let (a, b) = (random.below(pages), random.below(pages));
            let copy = bytes[page(a)].to_vec();
            bytes.copy_within(page(b), a * PAGE);
            bytes[page(b)].copy_from_slice(&copy);
            format!("swapped the pages {a} and {b}")
        }
        2 => {
            let zeroed = random.below(pages);
            bytes[page(zeroed)].fill(0);
            format!("zeroed page {zeroed}")
        }
        3 => {
            let (from, to) = (random.below(pages), random.below(pages));
            bytes.copy_within(page(from), to * PAGE);
            format!("wrote page {from} over page {to}")
        }
        _ => {
            let length = random.below(bytes.len());
            bytes.truncate(length);
            format!("cut to {length} bytes")
        }
    }
}

/// Deletes or changes rows of the views, as somebody with a tool would.
fn damage_rows(path: &Path, random: &mut Random) -> String {
    let views = Connection::open(path).unwrap();
    let mut done = Vec::new();
    for _ in 0..1 + random.below(3) {
        let table = random.one_of(&[
            "orders",
            "orders",
            "order_ids",
            "order_events",
            "id_ranges",
            "receipt_index",
            "receipt_segments",
            "progress",
        ]);
        let columns: Vec<String> = {
            let mut statement = views.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
            statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let column = &columns[random.below(columns.len())];
        let one_row = format!("(SELECT {0} FROM {table} ORDER BY random() LIMIT 1)", columns[0]);
        let change = match random.below(4) {
            0 => format!("DELETE FROM {table} WHERE {} = {one_row}", columns[0]),
            1 => format!(
                "UPDATE OR IGNORE {table} SET {column} = {column} + 1 WHERE {} = {one_row}",
                columns[0]
            ),
            // What another row has.
            2 => format!(
                "UPDATE OR IGNORE {table} SET {column} = (SELECT {column} FROM {table} ORDER BY random() LIMIT 1) \
                 WHERE {} = {one_row}",
                columns[0]
            ),
            _ => format!("DELETE FROM {table} WHERE random() % 4 = 0"),
        };
        // Some are refused by the types of the columns.
        let _ = views.execute_batch(&change);
        done.push(change);
    }
    done.join("; ")
}

/// What is under the key that an order was placed with is what was answered, or an error; and no command runs under it.
async fn assert_key_is_not_free(store: &SqliteStore, order: &TestOrder, what: &str) {
    let receipt = receipt(order.id.as_str(), &order.id, 1, 1);
    let found = store.find_receipt(&receipt.key).await;
    assert!(found.is_err() || found == Ok(Some(receipt)), "{what}: {found:?}");
    let mut other = TestOrder::new(&format!("{}-again", order.id));
    let again = store.append(under(order.id.as_str(), other.place())).await;
    assert!(again.is_err(), "{what}: key {} was taken twice", order.id);
}

/// Nothing that is answered is wrong, whatever else is an error.
async fn assert_nothing_wrong(store: &SqliteStore, orders: &[TestOrder], what: &str) {
    for order in orders {
        let one = store.one(&order.id).await;
        assert!(
            matches!(&one, Ok(Some(view)) if *view == order.summary()) || one.is_err(),
            "{what}: {one:?}"
        );
        let version = store.version(&order.id).await;
        assert!(version == Ok(order.version()) || version.is_err(), "{what}: {version:?}");
        match store.read_stream(&order.id, Version::NONE, ALL).await {
            Ok(events) => {
                assert_eq!(events.len() as u64, order.version().0, "{what}");
                assert!(events.iter().all(|event| event.order_id == order.id), "{what}");
            }
            Err(StoreError::Unavailable(_) | StoreError::DamagedView(_)) => {}
            Err(error) => panic!("{what}: {error}"),
        }
        let twice = store.append(TestOrder::new(order.id.as_str()).place()).await;
        assert!(twice.is_err(), "{what}: order {} was placed twice", order.id);
        assert_key_is_not_free(store, order, what).await;
    }
    let unknown = store.one(&TestOrder::new("nobody-s").id).await;
    assert!(matches!(unknown, Ok(None) | Err(_)), "{what}: {unknown:?}");
    let mut after = Position::START;
    let mut listed = Vec::new();
    loop {
        match store.many(&ListQuery::placed_after(after, 7)).await {
            Ok(page) => {
                assert_eq!(page.left_out, 0, "{what}");
                listed.extend(page.orders.into_iter().map(|listed| listed.summary));
                match page.next {
                    Some(next) => after = next,
                    None => {
                        let all: Vec<_> = orders.iter().map(TestOrder::summary).collect();
                        return assert_eq!(listed, all, "{what}");
                    }
                }
            }
            Err(StoreError::Unavailable(_) | StoreError::DamagedView(_)) => return,
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

async fn assert_damaged_views_mend_themselves(seed: u64, damage: impl Fn(&Path, &mut Random) -> String) {
    let original = Original::new(ORDERS).await;
    assert_images_mend_themselves(&original, IMAGES, seed, damage).await;
}

async fn assert_images_mend_themselves(
    original: &Original,
    images: u64,
    seed: u64,
    damage: impl Fn(&Path, &mut Random) -> String,
) {
    for image in 0..images {
        let mut random = Random(seed ^ (image << 32));
        let directory = original.copy();
        let what = format!("image {image}: {}", damage(&views_in(directory.path()), &mut random));
        let store = open(directory.path());
        assert_nothing_wrong(&store, &original.orders, &what).await;
        rebuilt(&store, &what).await;
        assert_eq!(store.check().await, Ok(()), "{what}");
        for order in &original.orders {
            assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())), "{what}");
        }
        assert_nothing_wrong(&store, &original.orders, &what).await;
        let listed = list(&store, Position::START, MANY_ORDERS).await;
        assert_eq!(listed.len(), original.orders.len(), "{what}");
        let mut new = TestOrder::new("new");
        let place = new.place();
        // It may be the first to look where the index of orders is damaged.
        while let Err(error) = store.append(place.clone()).await {
            assert!(matches!(error, AppendError::Store(StoreError::DamagedView(_))), "{what}: {error}");
            rebuilt(&store, &what).await;
        }
        assert_eq!(store.one(&new.id).await, Ok(Some(new.summary())), "{what}");
        for order in &original.orders {
            let receipt = receipt(order.id.as_str(), &order.id, 1, 1);
            while let Err(error) = store.find_receipt(&receipt.key).await {
                assert!(matches!(error, StoreError::DamagedView(_)), "{what}: {error}");
                rebuilt(&store, &what).await;
            }
            assert_eq!(store.find_receipt(&receipt.key).await, Ok(Some(receipt)), "{what}");
        }
        drop(store);
        // No answer may have needed what is damaged. The filter of known orders does, and is filled in its own time; what only
        // lists with filters need, the scrubber looks at.
        if !verify(directory.path()).is_empty() {
            let store = Arc::new(open(directory.path()));
            one_pass(&store).await;
            replaced(&store, &views_in(directory.path()), &what).await;
        }
        assert_eq!(verify(directory.path()), Vec::<String>::new(), "{what}");
    }
}

fn verify(directory: &Path) -> Vec<String> {
    let start = Instant::now();
    loop {
        match SqliteStore::verify(&log_in(directory), &mut |_, _| {}) {
            // A look of the scrubber's that was cut off has the store until it ends.
            Err(SqliteError::InUse { .. }) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            outcome => return outcome.unwrap().faults,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_with_damaged_pages_tell_nothing_wrong_and_mend_themselves() {
    assert_damaged_views_mend_themselves(0x0000_0001, |path, random| {
        let mut bytes = fs::read(path).unwrap();
        let what = damage_pages(&mut bytes, random);
        fs::write(path, bytes).unwrap();
        what
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_with_damaged_rows_tell_nothing_wrong_and_mend_themselves() {
    assert_damaged_views_mend_themselves(0x0000_0002, damage_rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_views_with_much_damage_tell_nothing_wrong_and_mend_themselves() {
    let original = Original::new(MANY_ORDERS).await;
    assert_images_mend_themselves(&original, LARGE_IMAGES, 0x0000_0004, |path, random| {
        let mut done = vec![damage_rows(path, random)];
        let mut bytes = fs::read(path).unwrap();
        // One that is cut has no other damage that counts.
        let whole = bytes.len();
        while done.len() < DAMAGES && bytes.len() == whole {
            done.push(damage_pages(&mut bytes, random));
        }
        fs::write(path, bytes).unwrap();
        done.join("; ")
    })
    .await;
}

/// Positions that a line of `verify` names.
fn named(fault: &str, last: u64) -> Vec<u64> {
    let numbers = |text: &str| -> Vec<u64> {
        let words = text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    if let Some((_, places)) = fault.split_once("at positions ") {
        let numbers = numbers(places);
        return (numbers[0]..=numbers[1].min(last)).collect();
    }
    if fault.contains("no event can be read") {
        assert!(!fault.contains("order-service verify"), "verify advises to run itself: {fault}");
        return (1..=last).collect();
    }
    match fault.split_once("position ") {
        Some((_, place)) => numbers(place).into_iter().take(1).collect(),
        None => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_names_every_event_of_a_damaged_log_that_cannot_be_served() {
    let original = Original::new(ORDERS).await;
    let last = original.events.len() as u64;
    let mut damaged = 0;
    for image in 0..2 * IMAGES {
        let mut random = Random(0x0000_0003 ^ (image << 32));
        let directory = original.copy();
        let mut bytes = original.log.clone();
        let what = format!("image {image}: {}", damage_pages(&mut bytes, &mut random));
        fs::write(log_in(directory.path()), &bytes).unwrap();
        let report = SqliteStore::verify(&log_in(directory.path()), &mut |_, _| {});
        assert_eq!(fs::read(log_in(directory.path())).unwrap(), bytes, "{what}: verify changed it");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            2,
            "{what}: verify left something behind"
        );

        // It may look as if a newer release had written it. Then nobody serves it either.
        let Ok(faults) = report.map(|report| report.faults) else {
            assert!(
                SqliteStore::open(&log_in(directory.path()), bus(), SMALL_BATCHES, &ViewsProgress::default())
                    .is_err(),
                "{what}"
            );
            damaged += 1;
            continue;
        };
        let named: Vec<_> = faults.iter().flat_map(|fault| named(fault, last)).collect();
        let store =
            SqliteStore::open(&log_in(directory.path()), bus(), SMALL_BATCHES, &ViewsProgress::default());
        let Ok(store) = store else {
            assert!(!faults.is_empty(), "{what}: it cannot be opened, and nothing was said");
            damaged += 1;
            continue;
        };
        for event in &original.events {
            let before = Position(event.position.0 - 1);
            let served = store.read_log(before, PageLimit::events(1)).await;
            match served {
                Ok(page) if page.first() == Some(event) => {}
                other => {
                    assert!(
                        named.contains(&event.position.0),
                        "{what}: position {} is {other:?}, and what is said is {faults:#?}",
                        event.position
                    );
                }
            }
        }
        damaged += u64::from(!faults.is_empty());
    }
    assert!(damaged > IMAGES, "only {damaged} of {} images had damage that counts", 2 * IMAGES);
}

/// The negative controls: a store that leaves out a check is caught by the test that is there for it.
#[cfg(feature = "planted-faults")]
#[test]
fn a_store_that_leaves_out_a_check_is_caught() {
    for (check, test) in [
        ("unchecked-views", "views_with_damaged_rows_tell_nothing_wrong_and_mend_themselves"),
        ("unchecked-absence", "views_with_damaged_rows_tell_nothing_wrong_and_mend_themselves"),
        ("unchecked-keys", "views_with_damaged_rows_tell_nothing_wrong_and_mend_themselves"),
        ("unchecked-events", "verify_names_every_event_of_a_damaged_log_that_cannot_be_served"),
    ] {
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("sqlite_damage::{test}")])
            .env("ORDER_SERVICE_PLANTED_FAULT", check)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(!ended.status.success(), "{check} was not noticed: {said}");
        assert!(said.contains("image "), "{check} went red for another reason: {said}");
    }
}
