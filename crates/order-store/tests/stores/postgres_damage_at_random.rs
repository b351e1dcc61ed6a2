//! Damage at random: rows of views deleted and changed in any way, again and again. Nobody ever learns anything that is not
//! so, no order is placed twice, and all is repaired by itself. What is random follows from a seed, which a failure tells.

use std::time::Duration;

use order_application::{
    AppendError, EventLog, OrderViews, PageLimit, StoreError, Version, ViewRepair, ViewsState,
};
use order_domain::OrderId;
use order_store::PostgresStore;
use test_servers::PostgresServer;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::sql;
use crate::random::Random;

const SETS: u64 = 200;
const ORDERS: usize = 30;
const ALL: PageLimit = PageLimit { events: 10_000, bytes: usize::MAX };
const PATIENCE: Duration = Duration::from_secs(30);

/// One change of one row, or of two.
fn damage(random: &mut Random) -> String {
    let (key, other) = (1 + random.below(ORDERS), 1 + random.below(ORDERS));
    let set = |what: &str| format!("UPDATE order_service.orders SET {what} WHERE key = {key};");
    match random.below(17) {
        0 | 1 => format!("DELETE FROM order_service.orders WHERE key = {key};"),
        2 => set(&format!("order_id = 'order-{other}'")),
        3 => set("order_id = ''"),
        4 => set(&format!("state = '{}'", ["damaged", "newer", "later", ""][random.below(4)])),
        5 => set(&format!("version = {}", random.below(5))),
        6 => set("version = -1"),
        7 => set("customer_id = NULL"),
        8 => set("status = 'shipped'"),
        9 => set(&format!("total_cents = {}", random.below(5000))),
        10 => set("placed_at = placed_at - interval '1 microsecond'"),
        11 => set("updated_at = 'infinity'"),
        12 => set("checksum = set_byte(checksum, 4, get_byte(checksum, 4) # 16)"),
        13 => set(&format!("projection = {}", [-1, 0, 99][random.below(3)])),
        14 => set(&format!("key = {}", 1000 + random.below(100_000))).replace(
            "WHERE",
            "WHERE NOT EXISTS (SELECT FROM order_service.orders g WHERE g.key >= 1000) AND",
        ),
        // A row as it once was, of an order that has gone on since.
        15 => format!(
            "DELETE FROM order_service.orders WHERE key = {key}; \
             INSERT INTO order_service.orders SELECT * FROM stale WHERE key = {key};"
        ),
        // Two rows change places, or one takes the place of the other.
        _ => format!(
            "UPDATE order_service.orders SET key = -1 WHERE key = {key}; \
             UPDATE order_service.orders SET key = {key} WHERE key = {other}; \
             UPDATE order_service.orders SET key = {other} WHERE key = -1;"
        ),
    }
}

struct Stage {
    client: Client,
    url: String,
    store: PostgresStore,
    orders: Vec<TestOrder>,
}

impl Stage {
    async fn new() -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
        let mut orders: Vec<_> = (1..=ORDERS).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
        for order in &mut orders {
            store.append(order.place()).await.unwrap();
        }
        sql(&url, "CREATE TABLE stale AS TABLE order_service.orders").await;
        for (n, order) in orders.iter_mut().enumerate() {
            store.append(order.pay(1 + n as u64 % 3)).await.unwrap();
        }
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { client, url, store, orders }
    }

    /// What is wrong with what the store says of an order, if anything is.
    async fn lie(&self, order: &TestOrder) -> Option<String> {
        let (id, version) = (&order.id, order.version());
        let (one, asked, stream) = tokio::join!(
            self.store.one(id),
            self.store.version(id),
            self.store.read_stream(id, Version::NONE, ALL)
        );
        match one {
            Ok(Some(summary)) if summary == order.summary() => {}
            Err(StoreError::DamagedView(_) | StoreError::Corrupt(_) | StoreError::NewerRelease(_)) => {}
            wrong => return Some(format!("{wrong:?}")),
        }
        if !matches!(&asked, Ok(asked) if *asked == version) {
            return Some(format!("{asked:?}"));
        }
        match stream {
            Ok(events) => {
                let mut read = TestOrder::new(id.as_str());
                read.replay(&events);
                (read.summary() != order.summary()).then(|| format!("{events:?}"))
            }
            Err(StoreError::DamagedView(_) | StoreError::Corrupt(_)) => None,
            Err(error) => Some(error.to_string()),
        }
    }

    async fn lies(&self) -> Vec<String> {
        let mut lies = Vec::new();
        for order in &self.orders {
            lies.extend(self.lie(order).await.map(|lie| format!("order {}: {lie}", order.id)));
            let again = self.store.append(TestOrder::new(order.id.as_str()).place()).await;
            if again != Err(AppendError::Conflict { current: order.version() }) {
                lies.push(format!("order {} was placed again: {again:?}", order.id));
            }
        }
        lies
    }

    /// Rows of the table that are not what they were.
    async fn differences(&self) -> i64 {
        let differences = "SELECT count(*) FROM (
            (TABLE sound EXCEPT TABLE order_service.orders) UNION ALL (TABLE order_service.orders EXCEPT TABLE sound)) d";
        self.client.query_one(differences, &[]).await.unwrap().get(0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_views_damaged_at_random_nobody_learns_what_is_not_so_and_all_are_repaired() {
    let mut stage = Stage::new().await;
    let ids: Vec<OrderId> = stage.orders.iter().map(|order| order.id.clone()).collect();
    for seed in 0..SETS {
        stage
            .client
            .batch_execute("DROP TABLE IF EXISTS sound; CREATE TABLE sound AS TABLE order_service.orders")
            .await
            .unwrap();
        let mut random = Random(seed);
        let damaged: Vec<String> = (0..1 + random.below(6)).map(|_| damage(&mut random)).collect();
        for statement in &damaged {
            // Where a place is taken already, nothing is changed.
            let _ = stage.client.batch_execute(&format!("BEGIN; {statement} COMMIT")).await;
            let _ = stage.client.batch_execute("ROLLBACK").await;
        }
        let lies = stage.lies().await;
        assert_eq!(lies, Vec::<String>::new(), "seed {seed}: {damaged:?}");

        // What single reads did not meet is what a scrubber asks for, or an operator has rebuilt.
        stage.store.repair_views(&ids, &[], "the test asks for it").await.unwrap();
        let repaired = async {
            while stage.store.views().state != ViewsState::Current {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, repaired)
            .await
            .unwrap_or_else(|_| panic!("seed {seed}: {:?}", stage.store.views()));
        for order in &stage.orders {
            assert_eq!(
                stage.store.one(&order.id).await,
                Ok(Some(order.summary())),
                "seed {seed}: {damaged:?}"
            );
        }
        PostgresStore::rebuild(&stage.url, &mut |_, _| {}).await.unwrap();
        assert_eq!(stage.differences().await, 0, "seed {seed}: {damaged:?}");
        // And they go on.
        let order = &mut stage.orders[random.below(ORDERS)];
        stage.store.append(order.pay(1)).await.unwrap();
    }
    assert_eq!(PostgresStore::verify(&stage.url, &mut |_, _| {}).await.unwrap().faults, Vec::<String>::new());
}

/// The negative control: a row whose checksum was made to fit other content is not noticed, and the checker says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_a_row_that_no_checksum_gives_away() {
    let mut stage = Stage::new().await;
    // What a store without checksums would do with damage, one with checksums does with a row that another order's
    // history led to.
    let mut forged = stage.orders[4].pay(1);
    let mut summary = forged.view.clone().into_summary().unwrap();
    summary.customer_id = order_domain::CustomerId::new("somebody-else").unwrap();
    forged.view = order_application::OrderView::Readable(summary);
    assert_eq!(stage.lies().await.len(), 2, "the log is behind what the test knows");
    stage.store.append(forged).await.unwrap();
    let lies = stage.lies().await;
    assert!(matches!(&lies[..], [lie] if lie.contains("somebody-else")), "{lies:?}");
}
