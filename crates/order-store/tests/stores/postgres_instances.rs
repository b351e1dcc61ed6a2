//! What only shows when several instances share a database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use order_application::{
    Beat, Checkpoint, Checkpoints, Claim, Clock, Epoch, EventLog, HolderWatch, OrderViews, PageLimit,
    Position, ReceiptAge, Receipts, StoreError, Subscription, SystemClock, Version,
};
use order_domain::Timestamp;
use order_store::{PostgresOptions, PostgresStore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls};

use crate::contract::{bus, receipt};
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{database, open, session, sql};
use crate::postgres_gone_back::until;

const ALL: PageLimit = PageLimit { events: 10_000, bytes: usize::MAX };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_have_no_gap_when_several_instances_write() {
    const INSTANCES: usize = 3;
    const ORDERS: usize = 100;
    let url = database();
    let mut writers = Vec::new();
    for instance in 0..INSTANCES {
        let store = open(&url).await;
        for client in 0..4 {
            let store = Arc::clone(&store);
            writers.push(tokio::spawn(async move {
                for n in 0..ORDERS {
                    let mut order = TestOrder::new(&format!("order-{instance}-{client}-{n}"));
                    store.append(order.place()).await.unwrap();
                    store.append(order.pay(1)).await.unwrap();
                }
            }));
        }
    }
    // A follower on an instance of its own hears of all of it, in order.
    let bus = bus();
    let store = Arc::new(PostgresStore::open(&url, bus.clone(), QUICK_SERVER).await.unwrap());
    let mut subscription = Subscription::new(store.clone(), &*bus, Position::START);
    let mut next = 1;
    while next <= (INSTANCES * 4 * ORDERS * 2) as u64 {
        for event in subscription.next().await.unwrap().unwrap() {
            assert_eq!(event.position.0, next);
            next += 1;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_hears_soon_of_what_another_instance_commits() {
    const ROUNDS: usize = 40;
    let url = database();
    let writer = open(&url).await;
    let bus = bus();
    let reader = Arc::new(PostgresStore::open(&url, bus.clone(), QUICK_SERVER).await.unwrap());
    let mut subscription = Subscription::new(reader, &*bus, Position::START);
    let mut delays = Vec::new();
    for n in 0..ROUNDS {
        writer.append(TestOrder::new(&format!("order-{n}")).place()).await.unwrap();
        let acknowledged = Instant::now();
        assert_eq!(subscription.next().await.unwrap().unwrap().len(), 1);
        delays.push(acknowledged.elapsed());
    }
    delays.sort_unstable();
    // Generous: what is promised is a tenth of it, and measured where nothing else runs.
    assert!(delays[ROUNDS / 2] < Duration::from_secs(1), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_instances_may_open_an_empty_database_at_once() {
    let url = database();
    let opening: Vec<_> = (0..10)
        .map(|n| {
            let url = url.clone();
            tokio::spawn(async move {
                let store = open(&url).await;
                store.append(TestOrder::new(&format!("order-{n}")).place()).await.unwrap();
            })
        })
        .collect();
    for instance in opening {
        instance.await.unwrap();
    }
    assert_eq!(open(&url).await.read_log(Position::START, ALL).await.unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_was_committed_unheard_is_found_again_and_not_repeated() {
    let url = database();
    let (first, second) = (open(&url).await, open(&url).await);
    let mut order = TestOrder::new("a");
    let (place, pay) = (order.place(), order.pay(3));
    let placed = first.append(place.clone()).await.unwrap();
    let paid = first.append(pay.clone()).await.unwrap();
    // As after a lost connection: the same batch, the same event ids.
    assert_eq!(second.append(place).await, Ok(placed));
    assert_eq!(second.append(pay.clone()).await, Ok(paid));
    assert_eq!(first.append(pay).await, Ok(paid));
    assert_eq!(first.read_log(Position::START, ALL).await.unwrap().len(), 4);
    assert_eq!(first.version(&order.id).await, Ok(Version(4)));
}

fn at(position: u64) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: Some("evidence".into()) }
}

/// How long a holder may be silent.
const TERM: Duration = Duration::from_secs(1);

/// Asks for the lease `relay` until it is granted.
async fn stand_by(store: &PostgresStore, holder: &str) -> Epoch {
    let mut watch = HolderWatch::default();
    let taking = async {
        loop {
            match store.claim("relay", holder, watch.silent_for(TERM)).await.unwrap() {
                Claim::Granted(epoch) => break epoch,
                Claim::Held(beat) => watch.saw(beat),
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TERM * 5, taking).await.expect("it is taken over in time")
}

async fn granted(store: &PostgresStore, name: &str, holder: &str) -> Epoch {
    match store.claim(name, holder, None).await.unwrap() {
        Claim::Granted(epoch) => epoch,
        Claim::Held(beat) => panic!("another has it, at {beat:?}"),
    }
}

async fn last_beat(store: &PostgresStore, name: &str, holder: &str) -> Beat {
    match store.claim(name, holder, None).await.unwrap() {
        Claim::Granted(epoch) => panic!("nobody had it: {epoch:?}"),
        Claim::Held(beat) => beat,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_at_a_time_holds_a_lease_and_another_takes_over_when_it_ends() {
    let url = database();
    let (first, second) = (open(&url).await, open(&url).await);
    let lease = granted(&first, "relay", "a").await;
    last_beat(&second, "relay", "b").await;
    granted(&second, "another", "b").await;
    assert_eq!(granted(&first, "relay", "a").await, lease);
    assert_eq!(first.save("relay", lease, &at(1)).await, Ok(true));
    assert_eq!(second.load("relay").await, Ok(Some(at(1))));

    // The holder dies: it claims no more.
    let taken = stand_by(&second, "b").await;
    assert!(taken > lease);
    // It was only frozen, and wakes up late.
    assert_eq!(first.save("relay", lease, &at(2)).await, Ok(false));
    first.release("relay", "a", lease).await.unwrap();
    last_beat(&first, "relay", "a").await;
    assert_eq!(second.save("relay", taken, &at(3)).await, Ok(true));
    assert_eq!(first.load("relay").await, Ok(Some(at(3))));

    second.release("relay", "b", taken).await.unwrap();
    assert!(granted(&first, "relay", "a").await > taken, "it was given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_beats_keeps_its_lease_and_of_two_standbys_one_gets_it() {
    let store = open(&database()).await;
    let lease = granted(&store, "relay", "a").await;
    let before = last_beat(&store, "relay", "b").await;
    assert_eq!(last_beat(&store, "relay", "b").await, before, "who asks does not beat");
    assert_eq!(granted(&store, "relay", "a").await, lease);
    let now = last_beat(&store, "relay", "b").await;
    assert!(now > before);
    assert_eq!(store.claim("relay", "b", Some(before)).await, Ok(Claim::Held(now)), "it has beaten since");

    let (b, c) = tokio::join!(store.claim("relay", "b", Some(now)), store.claim("relay", "c", Some(now)));
    let granted = [b, c].map(|claim| matches!(claim, Ok(Claim::Granted(epoch)) if epoch > lease));
    assert_eq!(granted.iter().filter(|granted| **granted).count(), 1, "{granted:?}");
}

/// Puts a clock of its own into a database, for sessions that begin from now on. `test_clock.shift` is what it is off by.
const TEST_CLOCK: &str = "\
    CREATE SCHEMA test_clock; \
    CREATE TABLE test_clock.shift AS SELECT interval '0' AS by; \
    CREATE FUNCTION test_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS \
        'SELECT pg_catalog.clock_timestamp() + by FROM test_clock.shift'; \
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = test_clock, pg_catalog', current_database()); END $$";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_in_time_also_if_the_database_s_clock_goes_back_a_day() {
    let url = database();
    sql(&url, TEST_CLOCK).await;
    let (first, second) = (open(&url).await, open(&url).await);
    let lease = granted(&first, "relay", "a").await;
    sql(&url, "UPDATE test_clock.shift SET by = interval '-1 day'").await;
    assert!(stand_by(&second, "b").await > lease);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_knows_whether_its_clock_and_the_databases_are_far_apart() {
    let url = database();
    sql(&url, TEST_CLOCK).await;
    let store = open(&url).await;
    let shift = async |by: &str| {
        sql(&url, &format!("UPDATE test_clock.shift SET by = interval '{by}'")).await;
    };
    assert_eq!(store.clock_doubt(), None);
    for (by, way) in
        [("-6 minutes", " seconds ahead of the database's"), ("6 minutes", " seconds behind the database's")]
    {
        shift(by).await;
        until("it is known", async || store.clock_doubt().is_some_and(|doubt| doubt.ends_with(way))).await;
        // Whoever begins knows it before anything is done by its clock.
        assert!(open(&url).await.clock_doubt().is_some_and(|doubt| doubt.ends_with(way)), "{by}");
        shift("4 minutes").await;
        until("it is over", async || store.clock_doubt().is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_makes_no_receipt_old() {
    let store = open(&database()).await;
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    let now = SystemClock.now().as_micros();
    let kept = receipt("new", &order.id, 1, now / 1_000_000);
    store.keep_receipt(kept.clone()).await.unwrap();
    let days = |days: i64| Timestamp::from_micros(now + days * 86_400 * 1_000_000);
    let two_days_ahead = ReceiptAge { before: days(1), now: days(2) };
    assert_eq!(store.trim_receipts(two_days_ahead, 10).await.map(|trimmed| trimmed.receipts), Ok(0));
    assert_eq!(store.find_receipt(&kept.key).await, Ok(Some(kept)));
    // Kept for no time at all, as far as the database's clock goes.
    let right = ReceiptAge { before: days(1), now: days(0) };
    assert_eq!(store.trim_receipts(right, 10).await.map(|trimmed| trimmed.receipts), Ok(1));
}

/// Waits until what a task asks of the database waits for a lock.
async fn wait_until_blocked<T>(client: &Client, task: &JoinHandle<T>) {
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                 WHERE NOT l.granted AND a.datname = current_database()";
    while client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!task.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
}

/// A save waits for a claim that is on its way, and is then refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_meets_a_claim_on_its_way_waits_for_it() {
    let url = database();
    let store = open(&url).await;
    let epoch = granted(&store, "relay", "a").await;
    let client = session(&url).await;
    let claim =
        "BEGIN; UPDATE order_service.checkpoints SET epoch = epoch + 1, holder = 'b' WHERE name = 'relay'";
    client.batch_execute(claim).await.unwrap();
    let late = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.save("relay", epoch, &at(1)).await }
    });
    // Appends need nothing of what the save waits for.
    store.append(TestOrder::new("a").place()).await.unwrap();
    wait_until_blocked(&client, &late).await;
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(late.await.unwrap(), Ok(false));
    assert_eq!(store.load("relay").await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_gets_no_connection_is_shed_and_does_not_say_that_the_database_is_away() {
    let url = database();
    let options = PostgresOptions { read_connections: 1, ..QUICK_SERVER };
    let store = Arc::new(PostgresStore::open(&url, bus(), options).await.unwrap());
    let client = session(&url).await;
    client.batch_execute("BEGIN; LOCK TABLE order_service.events").await.unwrap();
    let slow = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.end().await }
    });
    wait_until_blocked(&client, &slow).await;
    assert_eq!(store.check().await, Err(StoreError::Overloaded));
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(slow.await.unwrap(), Ok(Position::START));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_behind_a_slow_one_are_refused_in_time_and_never_written() {
    let url = database();
    let options = PostgresOptions { queue_wait: Duration::from_millis(100), ..QUICK_SERVER };
    let store = Arc::new(PostgresStore::open(&url, bus(), options).await.unwrap());
    let client = session(&url).await;
    client.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1869767780)").await.unwrap();
    let begun = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.append(TestOrder::new("begun").place()).await }
    });
    wait_until_blocked(&client, &begun).await;
    let asked = Instant::now();
    let refused = store.append(TestOrder::new("refused").place()).await;
    assert_eq!(refused, Err(StoreError::Overloaded.into()));
    // Long before the database is taken to be away.
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(begun.await.unwrap(), Ok(Position(1)), "what is begun is not given up");
    store.close().await;
    assert_eq!(open(&url).await.end().await, Ok(Position(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_takes_two_connections_besides_those_for_reads() {
    const READS: usize = 3;
    let url = database();
    let options = PostgresOptions { read_connections: READS, ..QUICK_SERVER };
    let store = Arc::new(PostgresStore::open(&url, bus(), options).await.unwrap());
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("UPDATE order_service.orders SET status = 'shipped'").await.unwrap();
    assert!(matches!(store.one(&order.id).await, Err(StoreError::DamagedView(_))));

    // All of it at once, until the row is repaired and every connection is there: the pools keep what they have opened.
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let (mut taken, mut is_repaired) = (0, false);
    while taken < READS as i64 + 2 || !is_repaired {
        let reads = (0..32).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.read_log(Position::START, ALL).await })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.unwrap().unwrap();
        }
        store.append(TestOrder::new(&format!("b-{}", store.end().await.unwrap())).place()).await.unwrap();
        is_repaired = store.one(&order.id).await.is_ok();
        taken = client.query_one(count, &[]).await.unwrap().get(0);
        assert!(taken <= READS as i64 + 2, "{taken}");
    }
}
