//! What lists are found by, against what the log makes of it: terms of orders, and times of the log's zones.

use std::collections::{HashMap, HashSet};
use std::pin::pin;

use futures_util::TryStreamExt;
use order_application::{Position, SearchTerm, error_chain};
use order_domain::OrderId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, Transaction};

use super::scan::{SAVEPOINT, go_on, is_about_rows};
use crate::postgres::row::timestamp;
use crate::postgres::times::{LogTimes, ZoneTimes};
use crate::verify::{CheckedOrders, Findings, Part};

/// The terms of a part of the orders, which are those that begin in the log.
const TERMS_OF_PART: &str = "\
    SELECT t.kind, t.value, e.order_id FROM order_service.order_terms t \
    JOIN order_service.events e ON e.position = t.key AND e.version = 1 \
    WHERE (hashtextextended(e.order_id, 0) & 9223372036854775807) % $2 = $1";

/// Terms where no order begins.
const GHOSTS: &str = "\
    SELECT t.kind, t.value, t.key FROM order_service.order_terms t \
    WHERE NOT EXISTS (SELECT FROM order_service.events e WHERE e.position = t.key AND e.version = 1)";

const TIMES: &str = "SELECT zone, earliest, latest FROM order_service.log_times ORDER BY zone";

/// Every term of an order that can be read is there, once, and no other is.
pub(super) async fn check_terms(
    snapshot: &Transaction<'_>,
    part: Part,
    orders: &CheckedOrders,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let readable = orders.by_id.iter().filter_map(|(order_id, order)| Some((order_id, order.terms()?)));
    let mut wanted: HashMap<&OrderId, HashSet<SearchTerm>> =
        readable.map(|(order_id, terms)| (order_id, terms.into_iter().collect())).collect();
    snapshot.batch_execute(SAVEPOINT).await?;
    let numbers = [part.number, part.of].map(u64::cast_signed);
    let parameters = numbers.iter().map(|number| (number, Type::INT8));
    let mut rows = pin!(snapshot.query_typed_raw(TERMS_OF_PART, parameters).await?);
    loop {
        match rows.try_next().await {
            Ok(Some(row)) => check_term(&row, &mut wanted, findings)?,
            Ok(None) => break,
            Err(error) if is_about_rows(&error) => {
                return cannot_be_read("terms of orders", &error, snapshot, findings).await;
            }
            Err(error) => return Err(error),
        }
    }
    for (order_id, terms) in wanted {
        for term in terms {
            findings.fault(format!(
                "order {order_id}: it is not found by its {}, {:?}",
                term.kind(),
                term.value()
            ));
        }
    }
    Ok(())
}

fn check_term(
    row: &Row,
    wanted: &mut HashMap<&OrderId, HashSet<SearchTerm>>,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let (kind, value, order_id): (&str, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let order = OrderId::new(order_id).ok();
    let Some(wanted) = order.and_then(|order_id| wanted.get_mut(&order_id)) else { return Ok(()) };
    let term = wanted.iter().find(|term| term.kind() == kind && term.value() == value).cloned();
    // A newer release may have kinds that this one does not know.
    if !term.is_some_and(|term| wanted.remove(&term)) && SearchTerm::KINDS.contains(&kind) {
        findings.fault(format!(
            "order {order_id}: it is found by a {kind} that it does not have, or twice, {value:?}"
        ));
    }
    Ok(())
}

/// No term is of an order that the log does not have.
pub(super) async fn check_ghosts(
    snapshot: &Transaction<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    snapshot.batch_execute(SAVEPOINT).await?;
    let nothing: [(i64, Type); 0] = [];
    let mut rows = pin!(snapshot.query_typed_raw(GHOSTS, nothing).await?);
    loop {
        match rows.try_next().await {
            Ok(Some(row)) => {
                let (kind, value, key): (&str, &str, i64) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                findings
                    .fault(format!("a {kind}, {value:?}, leads to position {key}, where no order begins"));
            }
            Ok(None) => return Ok(()),
            Err(error) if is_about_rows(&error) => {
                return cannot_be_read("terms of orders", &error, snapshot, findings).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Every zone of the log has its times, and no other has any.
pub(super) async fn check_times(
    snapshot: &Transaction<'_>,
    times: &LogTimes,
    end: Position,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    snapshot.batch_execute(SAVEPOINT).await?;
    let stored = match snapshot.query_typed(TIMES, &[]).await {
        Ok(rows) => rows.iter().map(read_times).collect::<Result<HashMap<_, _>, _>>()?,
        Err(error) if is_about_rows(&error) => {
            return cannot_be_read("times of the log", &error, snapshot, findings).await;
        }
        Err(error) => return Err(error),
    };
    let mut stored = stored;
    for (zone, known) in times.zones(end) {
        match (stored.remove(&zone), known) {
            (Some(stored), Some(known)) if stored != Some(known) => {
                let stored =
                    stored.map_or_else(|| "none that can be".to_owned(), |stored| stored.to_string());
                findings
                    .fault(format!("the log's zone {zone}: its times are {stored}, and its events' {known}"));
            }
            (None, _) => findings.fault(format!("the log's zone {zone}: it has no times")),
            (Some(_), _) => {}
        }
    }
    let mut beyond: Vec<_> = stored.into_keys().collect();
    beyond.sort_unstable();
    for zone in beyond {
        findings.fault(format!("the log's zone {zone}: it has times, and no events"));
    }
    Ok(())
}

/// `None`: times that none of ours are.
fn read_times(row: &Row) -> Result<(i64, Option<ZoneTimes>), Error> {
    let (earliest, latest) = (timestamp(row.try_get(1)?), timestamp(row.try_get(2)?));
    let times = earliest.ok().zip(latest.ok()).map(|(earliest, latest)| ZoneTimes { earliest, latest });
    Ok((row.try_get(0)?, times))
}

async fn cannot_be_read(
    what: &str,
    error: &Error,
    snapshot: &Transaction<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    findings.fault(format!("{what} cannot be read: {}", error_chain(error)));
    go_on(snapshot).await
}
