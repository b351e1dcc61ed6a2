//! What an instance shows of the orders, beside what their events make of them.

use super::breach::{Breach, Rule};
use super::log::Log;
use crate::http::{Answer, Client};
use crate::server::Server;

/// Of so many orders each is also read by itself.
const SAMPLE: usize = 20;

pub(crate) fn check(server: &Server, log: &Log, breaches: &mut Vec<Breach>) {
    let mut client = server.connect();
    let expected: Vec<String> = log.placed.iter().map(|order_id| expected_view(log, order_id)).collect();
    let listed = list(&mut client);
    if listed != expected {
        let differing = expected.iter().zip(&listed).find(|(expected, listed)| expected != listed);
        let what = format!(
            "{} orders are listed, {} are in the log; the first that differs: {differing:?}",
            listed.len(),
            expected.len()
        );
        breaches.push(Breach::new(Rule::Views, what));
    }
    let alone = log.placed.iter().zip(&expected);
    for (order_id, view) in alone
        .enumerate()
        .filter(|(n, (id, _))| n % SAMPLE == 0 || id.starts_with("hot"))
        .map(|(_, pair)| pair)
    {
        let answer = client.get(&format!("/orders/{order_id}")).unwrap();
        let version = log.orders[order_id].states.last().map(|state| state.version);
        if answer.status != 200 || answer.text() != view || answer.version() != version {
            let what = format!("{order_id} reads {answer:?}, its events make {view} of version {version:?}");
            breaches.push(Breach::new(Rule::Views, what));
        }
    }
}

fn expected_view(log: &Log, order_id: &str) -> String {
    let life = &log.orders[order_id];
    let Some(order) = life.states.last() else { unreachable!("invariant: there is a first state") };
    format!(
        r#"{{"OrderID":"{order_id}","CustomerID":"{}","Status":"{}","TotalCents":{},"LastUpdated":{}}}"#,
        order.customer_id,
        order.status(),
        order.total(),
        life.updated_seconds
    )
}

/// All orders in the order of the list, as they stand there.
fn list(client: &mut Client) -> Vec<String> {
    let mut listed = Vec::new();
    let mut next = Some("/orders?limit=1000".to_owned());
    while let Some(path) = next {
        let answer = client.get(&path).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let rows = answer.text().trim_start_matches('[').trim_end_matches(']');
        listed.extend(rows.split_inclusive('}').map(|row| row.trim_start_matches(',').to_owned()));
        next = next_page(&answer);
    }
    listed
}

fn next_page(answer: &Answer) -> Option<String> {
    let (path, _) = answer.header("link")?.split_once('>')?;
    Some(path.trim_start_matches('<').to_owned())
}
