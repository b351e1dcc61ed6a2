//! How a database gets its schema, and which releases may serve from it.

use order_application::{EventLog, OrderViews, StoreError};
use order_store::{PostgresError, PostgresFault, PostgresStore};
use tokio_postgres::Client;

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{database, session, sql};

async fn open(url: &str) -> Result<PostgresStore, PostgresError> {
    PostgresStore::open(url, bus(), QUICK_SERVER).await
}

/// Waits until somebody in this database waits for a lock, and says who.
async fn blocked(client: &Client) -> i32 {
    let waits = "SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                 WHERE NOT l.granted AND a.datname = current_database()";
    loop {
        if let Some(row) = client.query_opt(waits, &[]).await.unwrap() {
            return row.get(0);
        }
        tokio::task::yield_now().await;
    }
}

/// Holds a lock that a migration meets after its first tables are made.
async fn in_the_way(url: &str) -> Client {
    sql(
        url,
        "CREATE SCHEMA order_service; CREATE TABLE order_service.migrations (version bigint PRIMARY KEY, \
         oldest_compatible bigint NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
    )
    .await;
    let client = session(url).await;
    client.batch_execute("BEGIN; LOCK TABLE order_service.migrations IN SHARE MODE").await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_says_what_it_did() {
    let url = database();
    let made = PostgresStore::migrate(&url).await.unwrap();
    assert_eq!((made.from, made.to), (0, made.known));
    let again = PostgresStore::migrate(&url).await.unwrap();
    assert_eq!((again.from, again.to), (made.known, made.known));
    sql(&url, "INSERT INTO order_service.migrations VALUES (99, 3)").await;
    let newer = PostgresStore::migrate(&url).await.unwrap();
    assert_eq!((newer.from, newer.to, newer.known), (99, 99, made.known));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_refuses_a_server_that_no_instance_could_serve_from() {
    let url = database();
    let isolation = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', \
                     current_database()); END $$";
    sql(&url, isolation).await;
    let refused = PostgresStore::migrate(&url).await;
    assert!(matches!(refused, Err(PostgresError { fault: PostgresFault::Isolation(_), .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_half_way_leaves_nothing_and_is_run_again() {
    let url = database();
    let blocker = in_the_way(&url).await;
    let migrating = tokio::spawn({
        let url = url.clone();
        async move { PostgresStore::migrate(&url).await }
    });
    let pid = blocked(&blocker).await;
    blocker.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let killed = migrating.await.unwrap();
    assert!(matches!(killed, Err(PostgresError { fault: PostgresFault::Refused { .. }, .. })), "{killed:?}");
    let there = "SELECT to_regclass('order_service.events') IS NOT NULL";
    assert!(!blocker.query_one(there, &[]).await.unwrap().get::<_, bool>(0), "a part of it is there");
    blocker.batch_execute("COMMIT").await.unwrap();

    assert_eq!(PostgresStore::migrate(&url).await.unwrap().from, 0);
    open(&url).await.unwrap().append(TestOrder::new("a").place()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_waits_for_a_lock_lets_others_pass_and_tries_again() {
    let url = database();
    let blocker = in_the_way(&url).await;
    let migrating = tokio::spawn({
        let url = url.clone();
        async move { PostgresStore::migrate(&url).await }
    });
    let first = blocked(&blocker).await;
    // It gives up: its transaction ends, and with it every lock that others could wait for.
    let ended = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND xact_start IS NOT NULL AND wait_event_type = 'Lock'";
    while blocker.query_one(ended, &[&first]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!migrating.is_finished());
    blocker.batch_execute("COMMIT").await.unwrap();
    assert_eq!(migrating.await.unwrap().unwrap().from, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_that_says_it_is_compatible_is_served() {
    let url = database();
    let before = open(&url).await.unwrap();
    sql(
        &url,
        "INSERT INTO order_service.migrations VALUES (99, 3); \
         ALTER TABLE order_service.orders ADD COLUMN later text; ALTER TABLE order_service.events ADD COLUMN later text",
    )
    .await;
    let after = open(&url).await.unwrap();
    let mut order = TestOrder::new("a");
    for (store, append) in [(&before, order.place()), (&after, order.pay(1)), (&before, order.pay(1))] {
        store.append(append).await.unwrap();
        assert_eq!(store.check().await, Ok(()));
    }
    assert_eq!(PostgresStore::verify(&url, &mut |_, _| {}).await.unwrap().faults, Vec::<String>::new());
}

/// Functions never change once they are released, and columns come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_columns_may_have_the_names_of_what_functions_call_their_variables() {
    let url = database();
    let store = open(&url).await.unwrap();
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    sql(
        &url,
        "DO $$ DECLARE name text; BEGIN \
             FOR name IN \
                 SELECT unnest(proargnames) FROM pg_proc WHERE pronamespace = 'order_service'::regnamespace \
                 UNION SELECT (regexp_matches(prosrc, '^ +(\\w+) [a-z]+(?:\\[\\])?(?: := .*)?;$', 'gm'))[1] FROM pg_proc \
                     WHERE pronamespace = 'order_service'::regnamespace \
             LOOP \
                 EXECUTE format('ALTER TABLE order_service.log ADD COLUMN IF NOT EXISTS %I text', name); \
                 EXECUTE format('ALTER TABLE order_service.events ADD COLUMN IF NOT EXISTS %I text', name); \
                 EXECUTE format('ALTER TABLE order_service.orders ADD COLUMN IF NOT EXISTS %I text', name); \
             END LOOP; \
         END $$",
    )
    .await;
    let declared = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'order_service.orders'::regclass \
                    AND attname IN ('last_position', 'written', 'outdated')";
    assert_eq!(session(&url).await.query_one(declared, &[]).await.unwrap().get::<_, i64>(0), 3);

    let store = open(&url).await.unwrap();
    store.append(order.pay(1)).await.unwrap();
    assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
    for damage in [
        "UPDATE order_service.orders SET status = 'shipped'; UPDATE order_service.log SET outdated_from = 1",
        "DELETE FROM order_service.orders",
        "INSERT INTO order_service.orders SELECT (jsonb_populate_record(o, '{\"key\":2}')).* FROM order_service.orders o",
        "UPDATE order_service.log SET projection = 0",
    ] {
        sql(&url, damage).await;
        PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
        assert_eq!(PostgresStore::verify(&url, &mut |_, _| {}).await.unwrap().faults, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_that_needs_a_newer_release_is_refused_before_and_after_the_start() {
    let url = database();
    let serving = open(&url).await.unwrap();
    sql(
        &url,
        "INSERT INTO order_service.migrations VALUES (99, 98); \
         ALTER FUNCTION order_service.append_v2 RENAME TO append_v3",
    )
    .await;
    let refused = open(&url).await.err().expect("refused");
    assert!(matches!(refused.fault, PostgresFault::Newer { found: 99, needed: 98, .. }), "{refused}");
    let check = serving.check().await;
    assert!(matches!(check, Err(StoreError::NewerRelease(_))), "{check:?}");
    let append = serving.append(TestOrder::new("a").place()).await;
    assert!(
        matches!(append, Err(order_application::AppendError::Store(StoreError::NewerRelease(_)))),
        "{append:?}"
    );
}
