//! Receipts go when their time is over.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use order_application::figures::Counter;
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
const CLOCK_PAUSE: Duration = Duration::from_secs(15 * 60);
/// More than one transaction deletes.
const MANY: usize = 450;

fn key(text: &str) -> ReceiptKey {
    ReceiptKey::new(None, text)
}

impl World {
    fn after(&self, time: Duration) {
        self.clock.set(NEW_YEAR + time.as_micros() as i64);
    }

    async fn keep(&self, text: &str) {
        let receipt = Receipt {
            key: key(text),
            fingerprint: Fingerprint::of(&[]),
            order_id: id("a"),
            version: Version(1),
            answer: AnswerKind::Placed,
            answered_at: self.clock.now(),
        };
        self.store.keep_receipt(receipt).await.unwrap();
    }

    async fn knows(&self, text: &str) -> bool {
        self.store.find_receipt(&key(text)).await.unwrap().is_some()
    }

    fn trim(&self) -> JoinHandle<()> {
        self.trim_and_count().0
    }

    fn trim_and_count(&self) -> (JoinHandle<()>, Arc<Counter>) {
        let clock = Arc::new(self.clock.clone());
        let trimmer = ReceiptTrimmer::new(self.store.clone(), clock, DAY, CLOCK_PAUSE);
        let trimmed = trimmer.trimmed();
        (tokio::spawn(async move { trimmer.run(CancellationToken::new()).await }), trimmed)
    }

    /// Lets time pass, by the clock too.
    async fn wait(&self, minutes: u64) {
        for _ in 0..minutes {
            self.clock.set(self.clock.now().as_micros() + MINUTE.as_micros() as i64);
            advance(MINUTE).await;
            // What is due in this minute is done before the next.
            sleep(Duration::from_millis(500)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn receipts_go_when_their_time_is_over_and_not_before() {
    let world = World::new();
    for n in 0..MANY {
        world.keep(&n.to_string()).await;
    }
    world.after(MINUTE * 10);
    world.keep("later").await;
    world.after(DAY - MINUTE);
    let (trimming, trimmed) = world.trim_and_count();
    tokio::task::yield_now().await;
    assert!(world.knows("0").await);
    world.wait(3).await;
    for n in 0..MANY {
        assert!(!world.knows(&n.to_string()).await, "{n}");
    }
    assert!(world.knows("later").await);
    world.wait(10).await;
    assert!(!world.knows("later").await);
    assert_eq!(trimmed.now(), MANY as u64 + 1, "each is counted");
    trimming.abort();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_has_jumped_makes_no_receipt_old_for_a_while() {
    let world = World::new();
    world.keep("k").await;
    let trimming = world.trim();
    tokio::task::yield_now().await;
    world.after(DAY * 2);
    world.wait(14).await;
    assert!(world.knows("k").await, "somebody may set the clock right");
    world.wait(3).await;
    assert!(!world.knows("k").await, "nobody has");
    trimming.abort();
}

/// Receipts of a store that lets nobody delete any, for as long as it is so.
struct Undeletable {
    store: Arc<dyn Receipts>,
    refuses: AtomicBool,
}

#[async_trait]
impl Receipts for Undeletable {
    async fn find_receipt(&self, key: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        self.store.find_receipt(key).await
    }

    async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.store.keep_receipt(receipt).await
    }

    async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("permission denied for table receipts".to_owned()));
        }
        self.store.trim_receipts(age, limit).await
    }
}

/// What is said, a line for each.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn lines_with(&self, text: &str) -> Vec<String> {
        let said = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        said.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_by_a_clock_that_is_known_to_be_wrong() {
    let world = World::new();
    world.keep("k").await;
    world.after(DAY * 2);
    world.clock.set_doubted(true);
    let trimming = world.trim();
    world.wait(30).await;
    assert!(world.knows("k").await);
    world.clock.set_doubted(false);
    world.wait(2).await;
    assert!(!world.knows("k").await);
    trimming.abort();
}

#[tokio::test(start_paused = true)]
async fn that_receipts_cannot_be_deleted_is_said_once_and_when_they_can_be_again() {
    let output = Output::default();
    let writer = output.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _saying = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    world.keep("k").await;
    world.after(DAY * 2);
    let receipts = Arc::new(Undeletable { store: world.store.clone(), refuses: AtomicBool::new(true) });
    let clock = Arc::new(world.clock.clone());
    let trimmer = ReceiptTrimmer::new(receipts.clone(), clock, DAY, CLOCK_PAUSE);
    let trimming = tokio::spawn(async move { trimmer.run(CancellationToken::new()).await });

    world.wait(30).await;
    let said = output.lines_with("old receipts");
    let [line] = &said[..] else { panic!("{said:?}") };
    assert!(line.contains("WARN") && line.contains("permission denied for table receipts"), "{line}");
    receipts.refuses.store(false, Ordering::Relaxed);
    world.wait(3).await;
    assert!(!world.knows("k").await);
    let said = output.lines_with("old receipts are deleted again");
    assert!(matches!(&said[..], [line] if line.contains("INFO") && line.contains("more=")), "{said:?}");
    trimming.abort();
}
