//! Backups whose files were flipped, cut, exchanged, removed or taken from another time: none is restored as something
//! that was never backed up.

use std::fs;
use std::path::{Path, PathBuf};

use order_application::{Append, EventLog, PageLimit, Position, Receipts, RecordedEvent, ViewsProgress};
use order_domain::Timestamp;
use order_store::{BackupOptions, RestoreLimits, SqliteStore, StoreLocation, Until, verify_backup};
use tempfile::TempDir;

use crate::contract::{bus, receipt, under};
use crate::order::TestOrder;
use crate::random::Random;
use crate::sqlite::SMALL_BATCHES;

/// A run for every change has some, the full tests have all.
const IMAGES: u64 = if cfg!(feature = "full-tests") { 400 } else { 60 };

/// The files of a backup, by their names.
type Image = Vec<(String, Vec<u8>)>;

fn read(directory: &Path) -> Image {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Image = entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn write(image: &Image) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in image {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

/// A small store, and how to back it up.
struct Shop {
    directory: TempDir,
    orders: Vec<TestOrder>,
}

impl Shop {
    fn path(&self) -> PathBuf {
        self.directory.path().join("orders.db")
    }

    fn open(path: &Path) -> SqliteStore {
        SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap()
    }

    async fn append(&mut self, append: impl Fn(&mut TestOrder) -> Append) {
        let store = Self::open(&self.path());
        for order in &mut self.orders {
            store.append(append(order)).await.unwrap();
        }
    }

    async fn back_up(&self, to: &Path) -> Image {
        let made_at = Timestamp::from_micros(1_780_000_000_000_000);
        let options = BackupOptions { event_source: "/shop".to_owned(), made_at, part_bytes: 1_500 };
        let location = StoreLocation::Sqlite(self.path());
        order_store::backup(&location, to, options, &mut |_, _| {}).await.unwrap();
        read(to)
    }

    async fn events(path: &Path) -> Vec<RecordedEvent> {
        Self::open(path).read_log(Position::START, PageLimit::events(1_000)).await.unwrap()
    }
}

/// Changes something, and says what.
fn damage(image: &mut Image, earlier: &Image, random: &mut Random) -> String {
    let file = random.below(image.len());
    let (name, length) = (image[file].0.clone(), image[file].1.len());
    // The lock has nothing in it.
    if length == 0 {
        return damage(image, earlier, random);
    }
    match random.below(5) {
        0 => {
            let (at, bit) = (random.below(length), random.below(8));
            image[file].1[at] ^= 1 << bit;
            format!("{name}: bit {bit} of byte {at}")
        }
        1 => {
            let left = random.below(length);
            image[file].1.truncate(left);
            format!("{name}: cut to {left}")
        }
        2 => {
            let other = random.below(image.len());
            let content = image[other].1.clone();
            image[other].1 = std::mem::replace(&mut image[file].1, content);
            format!("{name} and {} exchanged", image[other].0)
        }
        3 => {
            image.remove(file);
            format!("{name} removed")
        }
        _ => {
            let old = random.below(earlier.len());
            let (old_name, content) = earlier[old].clone();
            image.retain(|(name, _)| *name != old_name);
            image.push((old_name.clone(), content));
            format!("{old_name} as it was earlier")
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_damaged_at_random_is_never_restored_as_something_else() {
    let (directory, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut shop =
        Shop { directory, orders: (0..12).map(|n| TestOrder::new(&format!("order-{n}"))).collect() };
    shop.append(|order| under(&format!("place {}", order.id), order.place())).await;
    let earlier = shop.back_up(kept.path()).await;
    shop.append(|order| under(&format!("pay {}", order.id), order.pay(2))).await;
    let image = shop.back_up(kept.path()).await;
    let original = Shop::events(&shop.path()).await;

    let mut refused = 0;
    for seed in 0..IMAGES {
        let mut damaged = image.clone();
        let what = damage(&mut damaged, &earlier, &mut Random(seed));
        let (backup, target) = (write(&damaged), tempfile::tempdir().unwrap());
        let path = target.path().join("orders.db");
        let to = StoreLocation::Sqlite(path.clone());
        let restored =
            order_store::restore(backup.path(), &to, Until::End, RestoreLimits::default(), &mut |_, _, _| {})
                .await;
        let sound = verify_backup(backup.path(), &mut |_, _| {}).is_ok_and(|report| report.is_sound());
        let Ok(restored) = restored else {
            assert!(!sound, "{what}: it says that all is well, and is refused: {restored:?}");
            assert!(!path.exists() || open_is_refused(&path), "{what}: it is served all the same");
            refused += 1;
            continue;
        };
        assert!(sound && restored.copy.check.is_sound(), "{what}");
        let events = Shop::events(&path).await;
        let whole = [12, 36].contains(&events.len()) && original.starts_with(&events);
        assert!(whole, "{what}: {} events", events.len());
        let store = Shop::open(&path);
        for order in &shop.orders {
            for (command, version) in [("place", 1), ("pay", 3)] {
                let asked = receipt(&format!("{command} {}", order.id), &order.id, version, 1);
                let found = store.find_receipt(&asked.key).await.unwrap();
                let expected = (version == 1 || events.len() == 36).then_some(asked);
                assert_eq!(found, expected, "{what}");
            }
        }
    }
    assert!(refused > IMAGES / 2, "only {refused} were refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_manifest_may_change() {
    let (directory, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut shop = Shop { directory, orders: vec![TestOrder::new("a")] };
    shop.append(|order| under("place", order.place())).await;
    shop.back_up(kept.path()).await;
    let path = kept.path().join("manifest.json");
    let manifest = fs::read(&path).unwrap();
    for at in 0..manifest.len() {
        let mut changed = manifest.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        let report = verify_backup(kept.path(), &mut |_, _| {}).unwrap();
        assert_eq!(report.faults.len(), 1, "byte {at}: {report:?}");
        assert!(report.faults[0].contains("manifest.json: it"), "byte {at}: {report:?}");
    }
}

fn open_is_refused(path: &Path) -> bool {
    SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).is_err()
}
