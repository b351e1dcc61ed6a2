//! What is particular to a replica's SQLite files.

use std::fs;
use std::path::PathBuf;

use order_application::{
    Checkpoint, Checkpoints, EventLog, Position, ReplicaStore, StoreError, ViewsProgress,
};
use order_store::{SqliteError, SqliteLimits, SqliteStore};
use tempfile::TempDir;

use crate::contract::{assert_unreadable_orders_are_refused, bring_unreadable_orders, bus, list};
use crate::order::TestOrder;
use crate::other_process::OtherProcess;
use crate::sqlite::SMALL_BATCHES;

fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

fn at(position: u64) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: Some(position.to_string().into()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_has_the_checkpoint_of_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = log_in(&directory);
    let mut last = 0;
    for _ in 0..8 {
        let mut replica = OtherProcess::replicates(&path);
        let reached = replica.wait_for(last + 200);
        // In the middle of a commit, about.
        let modified = || fs::metadata(directory.path().join("orders.db-wal")).unwrap().modified().unwrap();
        let before = modified();
        while modified() == before {}
        let reached = reached.max(replica.kill());
        let store =
            SqliteStore::open_replica(&path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
        let head = store.end().await.unwrap();
        assert!(head.0 >= reached, "{reached} was acknowledged, and {head} is there");
        assert_eq!(store.load("replica").await, Ok(Some(at(head.0))));
        drop(store);
        let report = SqliteStore::verify(&path, &mut |_, _| {}).unwrap();
        assert_eq!((report.events, report.orders, report.faults), (head.0, head.0 / 2, vec![]));
        last = head.0;
    }
}

#[tokio::test]
async fn a_replicas_file_is_no_servers_and_the_other_way_round() {
    let (replica, server) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(
        SqliteStore::open_replica(&log_in(&replica), bus(), SMALL_BATCHES, &ViewsProgress::default())
            .unwrap(),
    );
    drop(SqliteStore::open(&log_in(&server), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap());

    let refused = SqliteStore::open(&log_in(&replica), bus(), SMALL_BATCHES, &ViewsProgress::default())
        .err()
        .expect("refused");
    assert!(matches!(refused, SqliteError::Replica { .. }), "{refused}");
    let line =
        format!("{} is a replica's; serve it with `order-service replica`", log_in(&replica).display());
    assert_eq!(refused.to_string(), line);
    let refused =
        SqliteStore::open_replica(&log_in(&server), bus(), SMALL_BATCHES, &ViewsProgress::default())
            .err()
            .expect("refused");
    assert!(matches!(refused, SqliteError::NotAReplica { .. }), "{refused}");

    for directory in [&replica, &server] {
        assert!(SqliteStore::verify(&log_in(directory), &mut |_, _| {}).unwrap().is_sound());
    }
    // And nothing of that has changed what they are.
    drop(
        SqliteStore::open_replica(&log_in(&replica), bus(), SMALL_BATCHES, &ViewsProgress::default())
            .unwrap(),
    );
    drop(SqliteStore::open(&log_in(&server), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap());
}

#[tokio::test]
async fn a_full_overlay_takes_no_more_until_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    // About ten orders.
    let limits = SqliteLimits { overlay_bytes: 5_000, ..SMALL_BATCHES };
    let store =
        SqliteStore::open_replica(&log_in(&directory), bus(), limits, &ViewsProgress::default()).unwrap();
    let mut refused = 0;
    for n in 1..=1_000 {
        let place = TestOrder::new(&format!("order-{n}")).place();
        loop {
            match store.replicate(vec![place.clone()], "replica", at(n)).await {
                Ok(()) => break,
                Err(error) => {
                    assert_eq!(error, StoreError::Overloaded);
                    assert_eq!(store.end().await, Ok(Position(n - 1)));
                    refused += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    assert_eq!(list(&store, Position::START, 2_000).await.len(), 1_000);
    drop(store);

    let full = SqliteLimits { overlay_bytes: 0, ..SMALL_BATCHES };
    let store =
        SqliteStore::open_replica(&log_in(&directory), bus(), full, &ViewsProgress::default()).unwrap();
    let more = store.replicate(vec![TestOrder::new("more").place()], "replica", at(1_001)).await;
    assert_eq!(more, Err(StoreError::Overloaded), "after {refused} such answers");
    assert_eq!(store.load("replica").await, Ok(Some(at(1_000))));
}

/// The views are built from the log alone, and the same orders are refused.
#[tokio::test]
async fn orders_that_cannot_be_read_are_found_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.db");
    let orders = {
        let store =
            SqliteStore::open_replica(&path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
        bring_unreadable_orders(&store).await
    };
    fs::remove_file(path.with_extension("views.1.db")).unwrap();
    let store = SqliteStore::open_replica(&path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
    assert_unreadable_orders_are_refused(&store, &orders).await;
    drop(store);
    let faults = SqliteStore::verify(&path, &mut |_, _| {}).unwrap().faults;
    assert_eq!(faults.len(), 3, "{faults:?}");
    for (order, position, what) in [
        (1, 41, "unknown event type"),
        (2, 42, "version 1 where 2 should be"),
        (3, 43, "version 3 where 2 should be"),
    ] {
        let start = format!("order order-{order}, event at position {position}: ");
        assert!(faults.iter().any(|fault| fault.starts_with(&start) && fault.contains(what)), "{faults:?}");
    }
}
