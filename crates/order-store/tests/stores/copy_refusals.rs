//! Copies that are refused or stay unfinished: nobody serves half a store, and no target loses what it has.

use order_application::{Position, ViewsProgress};
use order_store::{
    CopyError, PostgresError, PostgresFault, PostgresStore, SideError, SqliteError, SqliteStore,
    StoreLocation,
};

use crate::contract::bus;
use crate::copy::{Place, SMALL_CHUNKS, copy, copy_some};
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::sql;
use crate::sqlite::SMALL_BATCHES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_opens_or_copies_an_unfinished_copy() {
    let from = Place::sqlite();
    from.fill().await;

    let file = Place::sqlite();
    copy_some(&from, &file, 2).await;
    let refused = SqliteStore::open(file.path(), bus(), SMALL_BATCHES, &ViewsProgress::default())
        .err()
        .expect("refused");
    assert!(matches!(refused, SqliteError::Copying { .. }), "{refused}");
    assert!(refused.to_string().ends_with(
        "is the target of an unfinished copy or restore; run the same command again, it goes on where it stopped"
    ));
    let refused = SqliteStore::verify(file.path(), &mut |_, _| {});
    assert!(matches!(refused, Err(SqliteError::Copying { .. })), "{refused:?}");
    let refused = copy(&file, &Place::sqlite()).await;
    assert!(
        matches!(refused, Err(CopyError::Source(SideError::Sqlite(SqliteError::Copying { .. })))),
        "{refused:?}"
    );

    let database = Place::postgres();
    copy_some(&from, &database, 2).await;
    let refused = PostgresStore::open(database.url(), bus(), QUICK_SERVER).await.err().expect("refused");
    assert!(matches!(refused.fault, PostgresFault::Copying), "{refused}");
    let refused = PostgresStore::verify(database.url(), &mut |_, _| {}).await;
    assert!(matches!(refused, Err(PostgresError { fault: PostgresFault::Copying, .. })), "{refused:?}");
    let refused = copy(&database, &Place::sqlite()).await;
    assert!(
        matches!(
            refused,
            Err(CopyError::Source(SideError::Postgres(PostgresError { fault: PostgresFault::Copying, .. })))
        ),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_with_other_content_is_refused_and_left_alone() {
    for to in [Place::sqlite(), Place::postgres()] {
        let from = Place::sqlite();
        from.fill().await;
        to.fill().await;
        let before = to.content().await;
        let refused = copy(&from, &to).await.unwrap_err();
        assert!(matches!(refused, CopyError::InService { events: Position(120) }), "{refused}");
        assert_eq!(to.content().await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unfinished_copy_of_another_store_is_refused() {
    for to in [Place::sqlite(), Place::postgres()] {
        let (from, other) = (Place::sqlite(), Place::sqlite());
        from.fill().await;
        other.fill().await;
        copy_some(&other, &to, 2).await;
        let refused = copy(&from, &to).await.unwrap_err();
        assert!(matches!(refused, CopyError::CopyOfAnother), "{refused}");
        copy(&other, &to).await.unwrap();
    }
}

/// Such as a source that was restored from a backup and has gone another way since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_not_the_beginning_of_the_source_is_refused() {
    let (from, to) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    copy_some(&from, &to, 2).await;
    let last = "(SELECT max(position) FROM order_service.events)";
    let damage = format!("UPDATE order_service.events SET id = gen_random_uuid() WHERE position = {last}");
    sql(to.url(), &damage).await;
    let refused = copy(&from, &to).await.unwrap_err();
    assert!(matches!(refused, CopyError::OtherContent { .. }), "{refused}");
    assert!(
        refused.to_string().starts_with("the target has other content: the source does not have its event ")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_not_copied_onto_itself() {
    let (file, database) = (Place::sqlite(), Place::postgres());
    file.fill().await;
    database.fill().await;
    for place in [&file, &database] {
        let refused = copy(place, place).await.unwrap_err();
        assert!(matches!(refused, CopyError::SameStore), "{refused}");
    }
    let elsewhere =
        file.path().parent().unwrap().join("../").join(file.path().parent().unwrap().file_name().unwrap());
    let same = StoreLocation::Sqlite(elsewhere.join("orders.db"));
    let refused = order_store::copy(&file.location, &same, SMALL_CHUNKS, &mut |_, _, _| {}).await;
    assert!(matches!(refused, Err(CopyError::SameStore)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_not_there_and_a_target_that_a_server_has_open_are_refused() {
    let (from, to) = (Place::sqlite(), Place::sqlite());
    let missing = copy(&from, &to).await.unwrap_err();
    assert!(matches!(missing, CopyError::Source(SideError::Sqlite(SqliteError::Io { .. }))), "{missing}");
    assert!(!to.path().exists(), "the target was made all the same");
    from.fill().await;
    let _server = to.open().await;
    let in_use = copy(&from, &to).await.unwrap_err();
    assert!(matches!(in_use, CopyError::Target(SideError::Sqlite(SqliteError::InUse { .. }))), "{in_use}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_event_is_not_copied() {
    let (from, to) = (Place::postgres(), Place::sqlite());
    from.fill().await;
    sql(from.url(), "UPDATE order_service.events SET source = 'x' WHERE position = 50").await;
    let refused = copy(&from, &to).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the source: corrupt data: event at position 50: the checksum does not match"
    );
}

/// The check finds what was copied faithfully: the target stays what it is, an unfinished copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_not_sound_is_not_finished() {
    for (from, to) in [(Place::postgres(), Place::postgres()), (Place::sqlite(), Place::sqlite())] {
        let mut orders = from.fill().await;
        let mut append = orders[0].pay(1);
        append.events[0].event_type = "order.teleported.v1".into();
        from.open().await.append(append).await.unwrap();
        let report = copy(&from, &to).await.unwrap();
        let fault = "order order-0, event at position 121: ";
        assert!(report.check.faults[0].starts_with(fault), "{:?}", report.check.faults);
        let refused = copy(&to, &Place::sqlite()).await.unwrap_err();
        assert!(refused.to_string().contains("the target of an unfinished copy"), "{refused}");
    }
}
