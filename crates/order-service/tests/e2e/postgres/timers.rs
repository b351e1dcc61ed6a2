//! Timers of two instances on one database: the one that holds the lease fires, and the other takes over.

use test_servers::{PostgresOptions, PostgresServer};

use super::scenario::serving;
use crate::server::{Server, wait_until};
use crate::timers::data_of;

fn place(server: &Server, order_id: &str) {
    let line = r#"{"SKU":"s","Quantity":1,"UnitPriceCents":100}"#;
    let placement =
        format!(r#"{{"order_id":"{order_id}","customer_id":"c","items":[{line}],"pay_within_seconds":1}}"#);
    assert_eq!(server.post("/orders", &placement).status, 201);
}

fn is_cancelled(server: &Server, order_id: &str) -> Option<()> {
    (server.get(&format!("/orders/{order_id}")).json()["Status"] == "cancelled").then_some(())
}

#[test]
fn each_timer_fires_once_and_a_killed_instance_is_followed_by_the_other() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let (one, other) = (serving(&database.url()).start(), serving(&database.url()).start());
    let running = |server: &Server| server.get("/ready").json()["checks"]["timers"]["state"] == "running";
    let first_runs = wait_until("one instance fires timers", || {
        [running(&one), running(&other)].iter().position(|runs| *runs)
    });
    (0..20).for_each(|n| place(if n % 2 == 0 { &one } else { &other }, &format!("order-{n}")));
    (0..20).for_each(|n| wait_until("its time is over", || is_cancelled(&one, &format!("order-{n}"))));

    let (holder, standby) = if first_runs == 0 { (one, other) } else { (other, one) };
    place(&standby, "later");
    holder.kill();
    wait_until("the other takes over", || is_cancelled(&standby, "later"));
    for n in 0..20 {
        let cancelled = data_of(&standby, &format!("order-{n}"), "order.cancelled.v1");
        assert_eq!(cancelled.len(), 1, "{cancelled:?}");
        assert_eq!(cancelled[0]["cause"], "unpaid");
    }
    standby.stop();
}
