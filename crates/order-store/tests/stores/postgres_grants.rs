//! The rights that operators are told to grant, and no others.

use order_application::{EventLog, OrderViews, Position, Receipts, Trimmed};
use order_store::PostgresStore;
use test_servers::PostgresServer;

use crate::contract::{bus, old_before, under};
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::sql;

const MANUAL: &str = include_str!("../../../../docs/operations/postgresql.md");

/// The block of SQL with the grants, as it is documented.
fn documented_grants() -> &'static str {
    let blocks = MANUAL.split("```sql\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let [grants] = blocks.filter(|sql| sql.contains("GRANT ")).collect::<Vec<_>>()[..] else {
        panic!("the grants are one block")
    };
    grants
}

/// A database that its superuser has migrated, and its URL for a role with the documented rights.
async fn granted_database() -> (String, String) {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    PostgresStore::migrate(&url).await.unwrap();
    let (_, database) = url.rsplit_once('/').unwrap();
    let role = format!("shop_of_{database}");
    sql(&url, "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA order_service FROM PUBLIC").await;
    sql(&url, &format!("CREATE ROLE {role} LOGIN")).await;
    sql(&url, &documented_grants().replace("TO shop;", &format!("TO {role};"))).await;
    let restricted = url.replace("//postgres@", &format!("//{role}@"));
    assert_ne!(restricted, url);
    (url, restricted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_grants_are_enough_to_serve_to_trim_receipts_and_to_rebuild() {
    let (owner, url) = granted_database().await;
    let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
    let mut order = TestOrder::new("a");
    store.append(under("k", order.place())).await.unwrap();
    store.append(order.pay(1)).await.unwrap();
    assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));

    let trimmed = store.trim_receipts(old_before(i64::from(u32::MAX)), 10).await;
    assert_eq!(trimmed, Ok(Trimmed { receipts: 1, more: false }));

    // Of no order, so a rebuild deletes all of it.
    sql(
        &owner,
        "INSERT INTO order_service.orders SELECT (jsonb_populate_record(o, '{\"key\":2}')).* FROM order_service.orders o; \
         INSERT INTO order_service.order_terms (kind, value, key) VALUES ('sku', 'x', 2), ('sku', 'x', 99); \
         INSERT INTO order_service.log_times VALUES (7, now(), now())",
    )
    .await;
    PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    let verified = PostgresStore::verify(&url, &mut |_, _| {}).await.unwrap();
    assert_eq!((verified.faults, verified.events), (Vec::<String>::new(), 2));
    assert_eq!(store.end().await, Ok(Position(2)));
}
