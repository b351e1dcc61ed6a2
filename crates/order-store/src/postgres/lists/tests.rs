//! Lists of a table that is long enough for plans to matter, over many blocks of terms and many zones of the log.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::cmp::Reverse;
use std::collections::BTreeSet;

use order_application::{
    ListQuery, OrderFilter, OrderSummary, OrderView, Position, SearchTerm, Sort, SortKey, TimeRange, Version,
};
use order_domain::{Cents, CustomerId, OrderId, PaymentId, Sku, Status, Timestamp};
use test_servers::PostgresServer;
use tokio_postgres::types::Type;

use super::{ListReader, count, list, statement};
use crate::list_path::ListPath;
use crate::postgres::columns::{column, made_by, parameters, term_columns, view_columns};
use crate::postgres::database::{Database, Parameter};
use crate::postgres::row::system_time;
use crate::postgres::servers::Object;
use crate::postgres::times::zone_of;
use crate::postgres::{DEADLINE, PostgresStore};

const ORDERS: usize = 20_000;
/// Positions from one order to the next.
const STRIDE: u64 = 500;

const INSERT: &str = "INSERT INTO order_service.orders (key, updated_position, order_id, state, version, customer_id, status, \
    total_cents, placed_at, updated_at, due_at, on_hold, checksum, projection) \
    SELECT n.*, $14 FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS n";
const INSERT_TERMS: &str = "INSERT INTO order_service.order_terms (key, kind, value) \
    SELECT * FROM unnest($1, $2, $3)";
const INSERT_TIMES: &str = "INSERT INTO order_service.log_times AS l \
    SELECT t.zone, min(t.time), max(t.time) FROM unnest($1, $2) AS t(zone, time) GROUP BY t.zone";
/// The end of the log.
const INSERT_END: &str = "INSERT INTO order_service.events \
    SELECT n, n, 1, gen_random_uuid(), 'x', now(), 'end-' || n, '', '', NULL, '' FROM generate_series(9998001, 10000000) n";

struct Known {
    key: Position,
    updated_position: Position,
    summary: OrderSummary,
    terms: BTreeSet<SearchTerm>,
}

impl Known {
    fn place(&self, by: SortKey) -> Position {
        match by {
            SortKey::Placed => self.key,
            SortKey::Updated => self.updated_position,
        }
    }
}

/// A second for each position; now and then the clock is wrong by days.
fn time_of(position: Position) -> Timestamp {
    let wrong = match position.0 / STRIDE % 997 {
        3 => 300_000,
        4 => -300_000,
        _ => 0,
    };
    at(position.0 as i64 + wrong)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000 + second * 1_000_000)
}

fn customer(n: usize) -> SearchTerm {
    SearchTerm::Customer(CustomerId::new(format!("c{n}")).unwrap())
}

fn sku(name: &str) -> SearchTerm {
    SearchTerm::Sku(Sku::new(name).unwrap())
}

fn payment(n: usize) -> SearchTerm {
    SearchTerm::Payment(PaymentId::new(format!("p{n}")).unwrap())
}

fn known(n: usize) -> Known {
    let key = Position(n as u64 * STRIDE + 1);
    // Orders are updated in another order than they were placed.
    let updated_position = Position((n * 7_919 % ORDERS) as u64 * STRIDE + 250);
    let status = if n % 1_000 == 7 { Status::Returned } else { [Status::Placed, Status::Shipped][n % 2] };
    let summary = OrderSummary {
        order_id: OrderId::new(format!("o{n}")).unwrap(),
        customer_id: CustomerId::new(format!("c{}", n % 200)).unwrap(),
        status,
        total: Cents::new((n % 500) as i64).unwrap(),
        version: Version(2),
        placed_at: time_of(key),
        updated_at: time_of(updated_position),
        due_at: None,
        on_hold: n % 300 == 9,
    };
    let terms = [customer(n % 200), payment(n), sku(["pen", "ink"][n % 2])].into();
    Known { key, updated_position, summary, terms }
}

struct Shop {
    database: Database,
    orders: Vec<Known>,
}

impl Shop {
    async fn open() -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        PostgresStore::migrate(&url).await.unwrap();
        let shop = Self {
            database: Database::open(&url, 1, DEADLINE).unwrap(),
            orders: (0..ORDERS).map(known).collect(),
        };
        shop.fill(&shop.database.connection().await.unwrap()).await;
        shop
    }

    async fn fill(&self, connection: &Object) {
        let orders = &self.orders;
        let views: Vec<_> = orders.iter().map(|order| OrderView::Readable(order.summary.clone())).collect();
        let mut columns = vec![
            column(Type::INT8_ARRAY, orders, |order| order.key.0.cast_signed()),
            column(Type::INT8_ARRAY, orders, |order| order.updated_position.0.cast_signed()),
        ];
        columns.extend(view_columns(&views));
        columns.push(made_by());
        connection.execute_typed(INSERT, &parameters(&columns)).await.unwrap();

        let terms = orders.iter().flat_map(|order| order.terms.iter().map(|term| (order.key.0 as i64, term)));
        let terms: Vec<_> = terms.collect();
        let columns = term_columns(Type::INT8_ARRAY, &terms);
        connection.execute_typed(INSERT_TERMS, &parameters(&columns)).await.unwrap();

        let positions = orders.iter().flat_map(|order| [order.key, order.updated_position]);
        let times: Vec<_> = positions.map(|position| (zone_of(position), time_of(position))).collect();
        let columns = [
            column(Type::INT8_ARRAY, &times, |(zone, _)| *zone),
            column(Type::TIMESTAMPTZ_ARRAY, &times, |(_, time)| system_time(*time)),
        ];
        connection.execute_typed(INSERT_TIMES, &parameters(&columns)).await.unwrap();
        connection.batch_execute(INSERT_END).await.unwrap();
        connection.batch_execute("VACUUM ANALYZE").await.unwrap();
    }

    /// All that a list has.
    fn expected(&self, filter: &OrderFilter, sort: Sort) -> Vec<Position> {
        let belongs = |order: &&Known| filter.accepts(&order.summary) && filter.terms.is_subset(&order.terms);
        let mut places: Vec<_> =
            self.orders.iter().filter(belongs).map(|order| order.place(sort.by)).collect();
        match sort.descending {
            false => places.sort_unstable(),
            true => places.sort_unstable_by_key(|place| Reverse(*place)),
        }
        places
    }

    /// All pages of a list.
    async fn follow(&self, filter: &OrderFilter, sort: Sort) -> Vec<Position> {
        let mut query = ListQuery { filter: filter.clone(), sort, after: None, limit: 400 };
        let mut all = Vec::new();
        loop {
            let (page, damaged) = list(&self.database, &query).await.unwrap();
            assert_eq!((page.left_out, damaged), (0, vec![]));
            all.extend(page.orders.iter().map(|listed| listed.place));
            match page.next {
                None => return all,
                next => query.after = next,
            }
        }
    }

    /// How the database finds a page.
    async fn plan(&self, sort: &str, filter: OrderFilter) -> String {
        let sort = Sort::from_name(sort).unwrap();
        let query = ListQuery { filter, sort, after: Some(Position(5_000_000)), limit: 100 };
        let mut reading = match ListPath::of(&query) {
            ListPath::InOrder(source) => ListReader::new(&query, source, statement::in_order),
            ListPath::Sorted(source, _) => ListReader::new(&query, source, statement::sorted),
        };
        reading.statement.insert_str(0, "EXPLAIN (COSTS OFF) ");
        let parameters = reading.values.parameters(&5_000_000, &101);
        let rows = self.database.query(&reading.statement, &parameters).await.unwrap();
        rows.iter().map(|row| format!("{}\n", row.get::<_, &str>(0))).collect()
    }
}

fn any() -> OrderFilter {
    OrderFilter::default()
}

fn times(from: i64, to: i64) -> TimeRange {
    TimeRange { after: Some(at(from)), before: Some(at(to)) }
}

fn filters() -> Vec<OrderFilter> {
    let with = |terms: &[SearchTerm]| OrderFilter { terms: terms.iter().cloned().collect(), ..any() };
    vec![
        any(),
        OrderFilter { statuses: [Status::Returned].into(), ..any() },
        OrderFilter { statuses: [Status::Returned, Status::Shipped].into(), ..any() },
        OrderFilter { on_hold: Some(true), ..any() },
        OrderFilter { placed: times(3_000_000, 3_200_000), ..any() },
        OrderFilter { updated: times(3_000_000, 3_200_000), ..any() },
        OrderFilter { updated: times(100, 9_000_000), ..any() },
        OrderFilter { placed: times(5_000_000, 5_100_000), updated: times(100, 3_200_000), ..any() },
        OrderFilter { min_total: Some(Cents::new(490).unwrap()), ..any() },
        with(&[customer(17)]),
        with(&[payment(17_000)]),
        with(&[sku("pen")]),
        with(&[customer(17), sku("ink")]),
        with(&[customer(17), sku("pen")]),
    ]
}

#[tokio::test]
async fn lists_over_many_blocks_and_zones_have_what_they_should() {
    let shop = Shop::open().await;
    for filter in filters() {
        for sort in Sort::ALL {
            let (found, expected) = (shop.follow(&filter, sort).await, shop.expected(&filter, sort));
            assert!(
                found == expected,
                "{} of {filter:?}: {} of {}",
                sort.as_str(),
                found.len(),
                expected.len()
            );
        }
    }
}

/// What a plan has besides the index: none of the tables is read from its beginning to its end, and nothing is sorted but the
/// first of each status among each other, and what a zone of the log has.
async fn assert_found_by(shop: &Shop, index: &str, filter: OrderFilter, sorts: [(&str, usize); 2]) {
    for (sort, sorted) in sorts {
        let plan = shop.plan(sort, filter.clone()).await;
        assert!(plan.contains(index), "{sort}: {plan}");
        assert!(!plan.contains("Seq Scan"), "{sort}: {plan}");
        assert!(
            plan.matches(" Sort\n").count() - plan.matches("Incremental Sort\n").count() <= sorted,
            "{sort}: {plan}"
        );
    }
}

#[tokio::test]
async fn each_index_finds_the_lists_that_it_is_for() {
    let shop = Shop::open().await;
    let placed = [("placed", 0), ("-placed", 0)];
    let status = OrderFilter { statuses: [Status::Returned].into(), ..any() };
    assert_found_by(&shop, "using orders_by_status", status, [("placed", 1), ("-placed", 1)]).await;
    let on_hold = OrderFilter { on_hold: Some(true), ..any() };
    assert_found_by(&shop, "using orders_on_hold", on_hold, placed).await;
    assert_found_by(&shop, "using orders_by_update", any(), [("updated", 0), ("-updated", 0)]).await;
    for term in [customer(17), payment(17_000), sku("pen")] {
        let filter = OrderFilter { terms: [term].into(), ..any() };
        assert_found_by(&shop, "using order_terms_by_hash", filter, placed).await;
    }
    let lately = OrderFilter { placed: times(3_000_000, 3_200_000), ..any() };
    assert_found_by(&shop, "using log_times_pkey", lately, placed).await;
    let lately = OrderFilter { updated: times(3_000_000, 3_200_000), ..any() };
    assert_found_by(&shop, "orders_by_update", lately.clone(), [("updated", 1), ("-updated", 1)]).await;
    assert_found_by(&shop, "using log_times_pkey", lately, [("updated", 1), ("-updated", 1)]).await;
}

#[tokio::test]
async fn orders_of_a_status_are_counted_by_its_index_and_up_to_a_limit() {
    let shop = Shop::open().await;
    for (status, at_most) in [("returned", 100_000_i64), ("shipped", 100)] {
        let parameters: [Parameter<'_>; 2] = [(&status, Type::TEXT), (&at_most, Type::INT8)];
        let explain = format!("EXPLAIN (COSTS OFF) {}", statement::COUNT);
        let rows = shop.database.query(&explain, &parameters).await.unwrap();
        let plan: String = rows.iter().map(|row| format!("{}\n", row.get::<_, &str>(0))).collect();
        assert!(plan.contains("orders_by_status") && !plan.contains("Seq Scan"), "{plan}");
    }
    assert_eq!(count(&shop.database, Status::Returned, 100_000).await.unwrap(), ORDERS / 1_000);
    assert_eq!(count(&shop.database, Status::Shipped, 100).await.unwrap(), 100);
}

/// What is sorted afterwards is found by the index all the same, and the rows by their keys.
#[tokio::test]
async fn what_has_to_be_sorted_is_found_by_its_index() {
    let shop = Shop::open().await;
    for (index, filter) in [
        ("orders_by_status", OrderFilter { statuses: [Status::Returned].into(), ..any() }),
        ("using orders_on_hold", OrderFilter { on_hold: Some(true), ..any() }),
        ("using order_terms_by_hash", OrderFilter { terms: [customer(17)].into(), ..any() }),
        ("using orders_pkey", OrderFilter { placed: times(3_000_000, 3_200_000), ..any() }),
    ] {
        let plan = shop.plan("updated", filter).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan on orders"), "{plan}");
    }
}
