//! Databases whose log has lost events that views, receipts, checkpoints or times still know of: none is served as if that
//! were all there was, and nothing that knows of more is deleted by itself.

use order_application::{
    Checkpoint, Checkpoints, Claim, EventLog, ListQuery, OrderViews, Position, Receipts, StoreError, Version,
};
use order_store::{LogReader, PostgresError, PostgresFault, PostgresOptions, PostgresStore, StoreLocation};

use crate::contract::{bus, receipt, under};
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{database, faults, open, session, sql};
use crate::scrubbing::one_pass;

const ACCEPTING: PostgresOptions = PostgresOptions { accept_loss: true, ..QUICK_SERVER };
const ORDERS: usize = 20;

/// Twenty orders, placed under keys, then each paid: positions 1 to 40. Somebody has followed all of it.
async fn shop() -> String {
    let url = database();
    let store = open(&url).await;
    let mut orders: Vec<_> = (0..ORDERS).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
    for (n, order) in orders.iter_mut().enumerate() {
        store.append(under(&format!("key-{n}"), order.place())).await.unwrap();
    }
    for order in &mut orders {
        store.append(order.pay(1)).await.unwrap();
    }
    let Claim::Granted(epoch) = store.claim("nats/ORDERS", "a", None).await.unwrap() else {
        panic!("the lease is free")
    };
    let followed = Checkpoint { position: Position(40), evidence: None };
    assert_eq!(store.save("nats/ORDERS", epoch, &followed).await, Ok(true));
    store.release("nats/ORDERS", "a", epoch).await.unwrap();
    store.close().await;
    url
}

async fn open_as(url: &str, options: PostgresOptions) -> Result<PostgresStore, PostgresError> {
    PostgresStore::open(url, bus(), options).await
}

/// What a start says that is refused.
async fn refusal(url: &str) -> String {
    let refused = open_as(url, QUICK_SERVER).await.map(drop).unwrap_err();
    assert!(matches!(refused.fault, PostgresFault::Lost(_)), "{refused}");
    refused.to_string()
}

async fn number(url: &str, query: &str) -> i64 {
    session(url).await.query_one(query, &[]).await.unwrap().get(0)
}

/// Everything that is there, as one number: nothing was changed as long as it is the same.
async fn content(url: &str) -> i64 {
    let tables = ["events", "orders", "order_terms", "log_times", "receipts", "checkpoints"];
    let sums = tables.map(|table| {
        format!("(SELECT coalesce(sum(hashtext(t::text)::bigint), 0) FROM order_service.{table} t)")
    });
    number(url, &format!("SELECT ({})::bigint", sums.join(" + "))).await
}

const NO_VIEWS: &str = "TRUNCATE order_service.orders, order_service.order_terms";
const NO_TIMES: &str = "TRUNCATE order_service.log_times";
const NO_RECEIPTS: &str = "TRUNCATE order_service.receipts";
const NO_CHECKPOINTS: &str = "TRUNCATE order_service.checkpoints";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_lost_events_is_not_served_and_says_which_are_missing() {
    let events = "TRUNCATE order_service.events";
    let tail = "DELETE FROM order_service.events WHERE position > 30";
    for (lost, said) in [
        (
            vec![events, NO_RECEIPTS, NO_TIMES, NO_CHECKPOINTS],
            "the views end at position 40 (order order-19, version 2), and the log ends at position 0: 40 events are missing, at \
             positions 1 to 40",
        ),
        (
            vec![tail, NO_RECEIPTS, NO_CHECKPOINTS],
            "the views end at position 40 (order order-19, version 2), and the log ends at position 30: 10 events are missing, at \
             positions 31 to 40",
        ),
        (
            vec![events, NO_VIEWS, NO_RECEIPTS, NO_TIMES],
            "the checkpoint \"nats/ORDERS\" is at position 40, and the log ends at position 0: 40 events are missing, at positions 1 \
             to 40",
        ),
        (
            vec![events, NO_VIEWS, NO_TIMES, NO_CHECKPOINTS],
            "there is the receipt of a command that brought order order-19 to version 1, and the log does not have that event (20 \
             receipts like that among the newest)",
        ),
        (
            vec!["DELETE FROM order_service.events WHERE position > 15", NO_VIEWS, NO_TIMES, NO_CHECKPOINTS],
            "there is the receipt of a command that brought order order-19 to version 1, and the log does not have that event (5 \
             receipts like that among the newest)",
        ),
        (
            vec![events, NO_VIEWS, NO_RECEIPTS, NO_CHECKPOINTS],
            "order_service.log_times knows when the events at position 1 and after it were, and the log ends at position 0: the event \
             at position 1 is missing",
        ),
    ] {
        let url = shop().await;
        for statement in &lost {
            sql(&url, statement).await;
        }
        let before = content(&url).await;
        let refused = refusal(&url).await;
        assert!(refused.contains(said), "{lost:?}: {refused}");
        assert!(refused.contains("Nothing was changed") && refused.contains("--accept-loss"), "{refused}");
        if !said.contains("log_times") {
            let rebuilt = PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap_err();
            assert!(rebuilt.to_string().contains(said), "{rebuilt}");
        }
        let reader = LogReader::open(&StoreLocation::Postgres(url.clone())).await.unwrap();
        assert!(reader.losses().await.unwrap().contains(&said.to_owned()), "{lost:?}");
        assert_ne!(faults(&url).await, Vec::<String>::new(), "{lost:?}");
        assert_eq!(content(&url).await, before, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_holds_checkpoints_and_receipts_against_the_log() {
    let url = shop().await;
    sql(&url, "TRUNCATE order_service.events").await;
    for statement in [NO_VIEWS, NO_TIMES] {
        sql(&url, statement).await;
    }
    let faults = faults(&url).await;
    assert_eq!(faults.len(), 1 + ORDERS, "{faults:?}");
    assert!(faults[0].starts_with("the checkpoint \"nats/ORDERS\" is at position 40"), "{faults:?}");
    let receipt =
        "a receipt is of a command that brought order order-7 to version 1, and in the log it has version 0";
    assert!(faults.contains(&receipt.to_owned()), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_were_given_the_positions_of_lost_ones_hide_no_loss() {
    let url = shop().await;
    let old_views = "CREATE TABLE old AS SELECT * FROM order_service.orders WHERE updated_position > 30";
    sql(&url, old_views).await;
    for statement in [
        "DELETE FROM order_service.events WHERE position > 30",
        "DELETE FROM order_service.orders WHERE updated_position > 30",
        NO_RECEIPTS,
        NO_CHECKPOINTS,
    ] {
        sql(&url, statement).await;
    }
    let store = open(&url).await;
    for n in 0..15 {
        store.append(TestOrder::new(&format!("new-{n}")).place()).await.unwrap();
    }
    store.close().await;
    sql(&url, "INSERT INTO order_service.orders SELECT * FROM old ON CONFLICT (key) DO NOTHING").await;
    let said = "the views are of another history: they have order order-19 at version 2, with its last event at position 40, \
                and the log has another order's event there";
    let refused = refusal(&url).await;
    assert!(refused.contains(said), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_that_is_accepted_is_told_no_more_and_what_knew_of_it_gives_way() {
    for lost in ["TRUNCATE order_service.events", "DELETE FROM order_service.events WHERE position > 15"] {
        let url = shop().await;
        sql(&url, lost).await;
        refusal(&url).await;
        let store = open_as(&url, ACCEPTING).await.unwrap();
        let end = store.end().await.unwrap();
        let page = store.many(&ListQuery::placed_after(Position::START, 100)).await.unwrap();
        assert_eq!((page.orders.len() as u64, page.left_out), (end.0, 0), "{lost}");
        let left = number(&url, "SELECT count(*) FROM order_service.receipts").await;
        assert_eq!(left.cast_unsigned(), end.0, "{lost}");
        assert_eq!(store.load("nats/ORDERS").await, Ok(None), "{lost}");
        // The command is carried out when it is sent again.
        let mut again = TestOrder::new("order-19");
        assert_eq!(store.append(under("key-19", again.place())).await, Ok(end.plus(1)), "{lost}");
        store.close().await;
        let store = open(&url).await;
        assert_eq!(store.one(&again.id).await, Ok(Some(again.summary())), "{lost}");
        assert_eq!(faults(&url).await, Vec::<String>::new(), "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_database_is_left_as_it_is_by_whoever_would_accept_a_loss() {
    let url = shop().await;
    let before = content(&url).await;
    open_as(&url, ACCEPTING).await.unwrap().close().await;
    assert_eq!(content(&url).await, before);
}

/// Its order is refused where it is met, and all others are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_rows_is_no_loss() {
    for damage in [
        "UPDATE order_service.orders SET updated_position = 1000 WHERE key = 2",
        "UPDATE order_service.orders SET updated_position = 1000, version = 7 WHERE key = 2",
        "UPDATE order_service.orders SET key = 1000 WHERE key = 2",
        "UPDATE order_service.receipts SET version = 7 WHERE order_id = 'order-1'",
        "UPDATE order_service.events SET data = '{}' WHERE position = 40",
        "UPDATE order_service.events SET order_id = 'other' WHERE position = 40",
        "DELETE FROM order_service.events WHERE position = 35",
    ] {
        let url = shop().await;
        sql(&url, damage).await;
        let opened = open_as(&url, QUICK_SERVER).await;
        assert!(opened.is_ok(), "{damage}: {:?}", opened.err().map(|error| error.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_of_an_event_that_is_lost_answers_nothing() {
    let url = shop().await;
    let store = open(&url).await;
    let key = |n: usize| receipt(&format!("key-{n}"), &TestOrder::new("any").id, 1, 1).key;
    sql(&url, "DELETE FROM order_service.events WHERE position = 20 OR position = 40").await;
    let lost =
        "a receipt is of a command that brought order order-19 to version 1, and in the log it has version 0";
    assert_eq!(store.find_receipt(&key(19)).await, Err(StoreError::Corrupt(lost.to_owned())));
    let found = store.find_receipt(&key(18)).await.unwrap().unwrap();
    assert_eq!((found.order_id.as_str(), found.version), ("order-18", Version(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scrubber_keeps_what_the_log_has_lost_and_removes_what_is_an_orders_elsewhere() {
    let url = shop().await;
    let store = open(&url).await;
    let rows = "SELECT count(*) FROM order_service.orders WHERE";
    sql(&url, "UPDATE order_service.orders SET key = 1000 WHERE key = 2").await;
    assert!(one_pass(&store).await > 0);
    let healed = format!("{rows} key = 2 AND NOT EXISTS (SELECT FROM order_service.orders WHERE key = 1000)");
    for _ in 0..200 {
        if number(&url, &healed).await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(number(&url, &healed).await, 1);
    sql(&url, "DELETE FROM order_service.events WHERE position > 15").await;
    for _ in 0..2 {
        assert!(one_pass(&store).await > 0);
    }
    let kept = number(&url, &format!("{rows} key BETWEEN 16 AND 20")).await;
    assert_eq!(kept, 5, "the last traces of the orders that are lost");
}
