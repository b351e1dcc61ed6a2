//! `copy` and `verify` between SQLite and PostgreSQL, with the real binary: what is served afterwards, what is left after
//! a `kill -9`, and exit statuses.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use order_application::traces::CommandTrace;
use order_application::{
    Append, EventContext, EventLog, LogHistory, NewEvent, OrderView, SearchTerm, Version, ViewsProgress,
    codec, projection,
};
use order_domain::*;
use order_store::{SqliteLimits, SqliteStore};
use rustix::process::Signal;
use tempfile::TempDir;
use test_servers::PostgresServer;
use uuid::Uuid;

use crate::postgres::sql::Session;
use crate::server::{Ended, Program, Server, wait_until};

pub(crate) fn database() -> String {
    PostgresServer::shared().unwrap().create_database().unwrap()
}

pub(crate) fn sqlite(directory: &TempDir) -> String {
    format!("sqlite:{}", directory.path().join("orders.db").display())
}

fn copying(from: &str, to: &str) -> Program {
    Program::new(["copy", "--from", from, "--to", to])
}

pub(crate) fn verify(store: &str) -> Ended {
    Program::new(["verify", "--store", store]).run()
}

/// On the shared server, which does not wait for its disk.
pub(crate) fn serving(store: &str) -> Program {
    Program::serve().argument("--store", store).argument("--allow-unsafe-durability", "true")
}

/// What clients see of a store: bodies, and the versions in the `ETag`s.
pub(crate) fn served(store: &str) -> Vec<(String, Option<String>)> {
    let server = serving(store).start();
    let paths = ["/orders", "/orders?view=full", "/orders/a", "/orders/b/events", "/events"];
    let answers = paths.map(|path| {
        let answer = server.get(path);
        let etag = answer.headers.iter().find(|(name, _)| name == "etag").map(|(_, value)| value.clone());
        (answer.text().to_owned(), etag)
    });
    server.stop();
    answers.into()
}

/// Three orders, two of them paid.
pub(crate) fn fill(server: &Server) {
    for order in ["a", "b", "c"] {
        let placement = format!(
            r#"{{"order_id":"{order}","customer_id":"c-{order}","items":[{{"SKU":"s","Quantity":2,"UnitPriceCents":5}}]}}"#
        );
        assert_eq!(server.post("/orders", &placement).status, 201);
    }
    for order in ["b", "a"] {
        assert_eq!(server.post(&format!("/orders/{order}/payment"), r#"{"payment_id":"p"}"#).status, 202);
    }
}

#[test]
fn a_store_is_served_as_before_from_postgres_and_from_sqlite_again() {
    let (first, second, url) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), database());
    let server = Program::serving(first.path()).start();
    fill(&server);
    server.stop();
    let before = served(&sqlite(&first));

    for (from, to) in [(sqlite(&first), url.clone()), (url.clone(), sqlite(&second))] {
        let ended = copying(&from, &to).run();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, ["copied and checked: 5 events of 3 orders"]);
        assert_eq!(ended.stderr, [""; 0]);
        assert_eq!(served(&to), before);
    }
    assert_eq!(verify(&url).stdout, ["all is well: 5 events of 3 orders checked"]);

    let again = copying(&sqlite(&first), &url).run();
    assert_eq!(again.status, Some(0), "{again:?}");
    let told = "nothing was left to copy: 5 events of 3 orders, 5 of them by an earlier run";
    assert_eq!(again.stdout, [told]);
}

#[test]
fn verify_tells_faults_in_postgres_by_its_exit_status() {
    let url = database();
    let server = serving(&url).start();
    fill(&server);
    // Beside the server.
    let ended = verify(&url);
    assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]), "{ended:?}");
    assert_eq!(ended.stdout, ["all is well: 5 events of 3 orders checked"]);
    server.stop();

    Session::open(&url).run("UPDATE order_service.orders SET version = 7 WHERE order_id = 'b'");
    let ended = verify(&url);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stdout[0].starts_with("fault: order b: "), "{ended:?}");
    let verdict = "NOT sound: 5 events of 3 orders checked; docs/OPERATIONS.md (When verify finds faults) says what to do about each";
    assert_eq!(ended.stdout[1], verdict);

    let ended = verify(&database());
    assert_eq!((ended.status, &ended.stdout[..]), (Some(1), &[][..]), "{ended:?}");
    assert!(ended.stderr[0].contains(": the database has no order store"), "{ended:?}");
}

#[test]
fn what_cannot_be_copied_is_said_in_one_line() {
    let (directory, url) = (tempfile::tempdir().unwrap(), database());
    let file = sqlite(&directory);
    let ended = copying("memory:", &file).run();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert_eq!(
        ended.stderr,
        ["error: memory: is gone at exit, so it can neither be copied nor be copied to"]
    );

    let ended = copying(&file, &url).run();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr[0].starts_with("error: the source: "), "{ended:?}");

    let server = Program::serving(directory.path()).start();
    fill(&server);
    let ended = copying(&url, &file).run();
    assert!(ended.stderr[0].starts_with("error: the source: PostgreSQL at "), "{ended:?}");
    assert!(ended.stderr[0].contains(": the database has no order store"), "{ended:?}");
    drop(server);

    let ended = copying(&file, &file).run();
    assert_eq!(ended.stderr, ["error: source and target are the same store"]);

    let server = serving(&url).start();
    fill(&server);
    server.stop();
    let ended = copying(&file, &url).run();
    let line = "error: the target has 5 events and is no unfinished copy or restore; name an empty target";
    assert_eq!((ended.status, &ended.stderr[..]), (Some(1), &[line.to_owned()][..]), "{ended:?}");
}

#[test]
fn a_file_in_service_is_copied_while_nobody_orders() {
    let (directory, url) = (tempfile::tempdir().unwrap(), database());
    let server = Program::serving(directory.path()).start();
    fill(&server);
    let ended = copying(&sqlite(&directory), &url).run();
    assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]), "{ended:?}");
    assert_eq!(ended.stdout, ["copied and checked: 5 events of 3 orders"]);
    // The server is none the worse for it.
    let placed = server.post("/orders/c/payment", r#"{"payment_id":"p"}"#);
    assert_eq!(placed.status, 202, "{}", placed.text());
    server.stop();
    assert_eq!(verify(&sqlite(&directory)).stdout, ["all is well: 6 events of 3 orders checked"]);
}

/// A copy takes a chunk of 10,000 events at a time.
pub(crate) const ORDERS: u64 = 30_000;

#[test]
fn a_copy_that_is_killed_goes_on_where_it_stopped() {
    let (first, second, url) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), database());
    place_many(&first.path().join("orders.db"));
    let session = Session::open(&url);
    let in_database = || {
        let there = "SELECT to_regclass('order_service.events') IS NOT NULL";
        if !session.value::<bool>(there) {
            return 0;
        }
        session.value::<i64>("SELECT coalesce(max(position), 0) FROM order_service.events")
    };
    kill_half_way(&sqlite(&first), &url, || in_database() >= 10_000);

    let file = second.path().join("orders.db");
    let in_file = || {
        let Ok(log) = rusqlite::Connection::open(&file) else { return 0 };
        log.query_row("SELECT max(position) FROM events", (), |row| row.get(0)).unwrap_or(0)
    };
    kill_half_way(&url, &sqlite(&second), || file.exists() && in_file() >= 10_000);
}

#[test]
fn a_copy_that_ctrl_c_stops_says_that_it_goes_on() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    place_many(&first.path().join("orders.db"));
    let file = second.path().join("orders.db");
    let mut copy = copying(&sqlite(&first), &sqlite(&second)).spawn();
    wait_until("the copy has begun", || file.exists().then_some(()));
    copy.signal(Signal::INT);
    assert_eq!(copy.wait().code(), Some(130), "{}", copy.log());
    assert_eq!(copy.log(), "stopped by Ctrl+C: the same command goes on where it was\n");

    let ended = copying(&sqlite(&first), &sqlite(&second)).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let told = "copied and checked: 30,000 events of 30,000 orders";
    assert!(ended.stdout[0].starts_with(told), "{ended:?}");
}

/// Kills the copy when `begun`, sees that the target is not served, and copies the rest.
fn kill_half_way(from: &str, to: &str, begun: impl Fn() -> bool) {
    let mut copy = copying(from, to).spawn();
    wait_until("a chunk has been copied", || begun().then_some(()));
    copy.process().kill();
    assert_eq!(copy.wait().code(), None, "it was not killed: {}", copy.log());

    let refused = serving(to).run();
    assert_eq!(refused.status, Some(1), "{refused:?}");
    let line = refused.stderr.iter().find(|line| line.starts_with("error: ")).expect("a line that says why");
    assert!(
        line.contains("the target of an unfinished copy or restore; run the same command again"),
        "{line}"
    );

    let ended = copying(from, to).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let told = "copied and checked: 30,000 events of 30,000 orders, ";
    let rest = ended.stdout[0].strip_prefix(told).unwrap_or_else(|| panic!("{ended:?}"));
    let found = rest.strip_suffix(" of them by an earlier run").unwrap().replace(',', "");
    let found: u64 = found.parse().unwrap();
    assert!((10_000..ORDERS).contains(&found), "{found}");
    assert_eq!(verify(to).status, Some(0));
}

/// A store with many orders, as fast as it can be made.
pub(crate) fn place_many(path: &Path) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        // None of them is to be refused because the machine has others to serve.
        let (queued_appends, queued_bytes, queue_wait) = (1 << 20, 1 << 30, Duration::from_secs(60));
        let limits = SqliteLimits { queued_appends, queued_bytes, queue_wait, ..SqliteLimits::default() };
        let bus = Arc::new(order_bus::InProcessBus::new());
        let store = Arc::new(SqliteStore::open(path, bus, limits, &ViewsProgress::default()).unwrap());
        let place = |n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.append(placement(n)).await })
        };
        let placed: Vec<_> = (0..ORDERS).map(place).collect();
        for order in placed {
            order.await.unwrap().unwrap();
        }
        store.close();
    });
}

fn placement(n: u64) -> Append {
    let order_id = OrderId::new(format!("order-{n}")).unwrap();
    let price = Cents::new(1500).unwrap();
    let line =
        PlacedLine { sku: Sku::new("s").unwrap(), quantity: Quantity::new(1).unwrap(), unit_price: price };
    let event = OrderEvent::OrderPlaced(OrderPlaced {
        customer_id: CustomerId::new("c").unwrap(),
        currency: Currency::USD,
        lines: vec![line],
        adjustments: vec![],
        metadata: Metadata::default(),
        total: price,
        payment_term: None,
    });
    let time = Timestamp::from_micros(1_767_225_600_000_000);
    let summary = projection::apply(None, &event, time).unwrap().summary(&order_id);
    let (event_type, data) = codec::encode(&event);
    let id = Uuid::from_u128(u128::from(n) + 1);
    let context = EventContext::new("corr", None, None);
    Append {
        receipt: None,
        deadline: None,
        trace: CommandTrace::None,
        order_id,
        expected_version: Version::NONE,
        events: vec![NewEvent {
            id,
            event_type: Cow::Borrowed(event_type),
            time,
            data,
            context,
            source: None,
        }],
        history: LogHistory::default(),
        view: OrderView::Readable(summary),
        terms: SearchTerm::of_event(&event),
    }
}
