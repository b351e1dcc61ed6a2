//! Databases for tests, with orders or without, and ways to damage them.

use std::sync::Arc;

use order_application::EventLog;
use order_store::PostgresStore;
use test_servers::PostgresServer;
use tokio_postgres::{Client, NoTls};

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;

/// A database of the server that the tests of this process share, with nothing in it.
pub(crate) fn database() -> String {
    PostgresServer::shared().unwrap().create_database().unwrap()
}

/// Orders `order-0`, `order-1`, … with keys 1, 2, …, each paid once: all placements first, then all payments.
pub(crate) async fn paid_orders(number: usize) -> (String, Arc<PostgresStore>, Vec<TestOrder>) {
    let url = database();
    let store = open(&url).await;
    let mut orders: Vec<_> = (0..number).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
    for order in &mut orders {
        store.append(order.place()).await.unwrap();
    }
    for order in &mut orders {
        store.append(order.pay(1)).await.unwrap();
    }
    (url, store, orders)
}

pub(crate) async fn open(url: &str) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::open(url, bus(), QUICK_SERVER).await.unwrap())
}

/// What `verify` has to say of a database.
pub(crate) async fn faults(url: &str) -> Vec<String> {
    PostgresStore::verify(url, &mut |_, _| {}).await.unwrap().faults
}

/// A connection to a database that is nobody's but the test's.
pub(crate) async fn session(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs SQL as whoever damages a database would.
pub(crate) async fn sql(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}
