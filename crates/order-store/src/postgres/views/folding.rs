//! Orders folded from their events in the log, those included that cannot be read.

use std::collections::{BTreeMap, HashSet};

use futures_util::TryStreamExt;
use order_application::{
    FoldedOrder, OrderView, RecordedEvent, SearchTerm, StoreError, Unreadable, Version, VersionedOrder,
};
use order_domain::OrderId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use crate::postgres::database::Parameter;
use crate::postgres::row::{
    EVENT_ORDER_ID, EVENT_ORDER_KEY, EVENT_POSITION, EVENT_VERSION, event_columns, number, read_event,
};
use crate::postgres::servers::Object;

const EVENTS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM order_service.events e \
     WHERE e.order_key = ANY($1) ORDER BY e.order_key, e.version"
);

/// More than one order would have the id, which an index forbids as long as nobody drops it.
const BEGUN_TWICE: &str = "SELECT e.order_id FROM order_service.events e \
    WHERE e.order_id = ANY($1) AND e.version = 1 GROUP BY e.order_id HAVING count(*) > 1";

/// The orders by their keys.
pub(super) type FoldedOrders = BTreeMap<i64, FoldedRow>;

/// What an order's row has to be, as far as the events go.
#[derive(Debug, Default)]
pub(super) struct FoldedRow {
    /// `None` as long as no row could be made, since no event tells whose it is.
    order_id: Option<OrderId>,
    order: Option<FoldedOrder>,
    /// Of its last event.
    pub(super) updated_position: i64,
}

impl FoldedRow {
    fn add(&mut self, key: i64, event: &RecordedEvent) {
        let begins_here = event.version != Version(1) || event.position.0.cast_signed() == key;
        let order_id = self.order_id.get_or_insert_with(|| event.order_id.clone());
        if begins_here && *order_id == event.order_id {
            self.order = Some(FoldedOrder::after(self.order.take(), event).0);
        } else {
            self.damage(event.version);
        }
    }

    fn damage(&mut self, version: Version) {
        let version = version.max(self.order.as_ref().map_or(Version::NONE, FoldedOrder::version));
        self.order = Some(FoldedOrder::Unreadable { version, why: Unreadable::Damaged });
    }

    fn readable(&self) -> Option<&VersionedOrder> {
        match self.order.as_ref()? {
            FoldedOrder::Readable(order) => Some(order),
            FoldedOrder::Unreadable { .. } => None,
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        self.readable().is_some()
    }

    /// What it is found by, if it can be read.
    pub(super) fn terms(&self) -> Option<Vec<SearchTerm>> {
        Some(SearchTerm::of_order(&self.readable()?.order))
    }

    pub(super) fn version(&self) -> Version {
        self.order.as_ref().map_or(Version::NONE, FoldedOrder::version)
    }

    pub(super) fn view(&self) -> Option<OrderView> {
        Some(self.order.as_ref()?.view(self.order_id.as_ref()?))
    }
}

/// Reads and folds the events as they come: no more is held in memory than what they make. Says how many there were.
pub(super) async fn fold(snapshot: &Object, keys: &[i64]) -> Result<(FoldedOrders, u64), Error> {
    let parameters: [Parameter<'_>; 1] = [(&keys, Type::INT8_ARRAY)];
    let mut rows = Box::pin(snapshot.query_typed_raw(EVENTS, parameters).await?);
    let mut folded = FoldedOrders::new();
    let mut scratch = Vec::new();
    let mut events = 0;
    while let Some(row) = rows.try_next().await? {
        let key: i64 = row.try_get(EVENT_ORDER_KEY)?;
        let order = folded.entry(key).or_default();
        order.updated_position = row.try_get(EVENT_POSITION)?;
        match read_event(&row, &mut scratch) {
            Ok(event) => order.add(key, &event),
            Err(error) => add_unreadable(order, &row, &error)?,
        }
        events += 1;
    }
    quarantine_begun_twice(snapshot, &mut folded).await?;
    Ok((folded, events))
}

fn add_unreadable(order: &mut FoldedRow, row: &Row, error: &StoreError) -> Result<(), Error> {
    tracing::error!(%error, "an event cannot be read; its order is not served");
    if order.order_id.is_none() {
        order.order_id = OrderId::new(row.try_get::<_, &str>(EVENT_ORDER_ID)?).ok();
    }
    order.damage(Version(number(row, EVENT_VERSION)?));
    Ok(())
}

/// Nobody can say which of two orders with one id is meant.
async fn quarantine_begun_twice(snapshot: &Object, folded: &mut FoldedOrders) -> Result<(), Error> {
    let order_ids: Vec<&str> =
        folded.values().filter_map(|order| order.order_id.as_ref()).map(OrderId::as_str).collect();
    let rows = snapshot.query_typed(BEGUN_TWICE, &[(&order_ids, Type::TEXT_ARRAY)]).await?;
    let twice: HashSet<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let is_twice =
        |order: &&mut FoldedRow| order.order_id.as_ref().is_some_and(|id| twice.contains(id.as_str()));
    for order in folded.values_mut().filter(is_twice) {
        tracing::error!(order_id = ?order.order_id, "the log has two beginnings of an order; it is not served");
        order.damage(Version::NONE);
    }
    Ok(())
}
