//! What a shop wants to see of its orders from afar: how many there are of each status, and what has waited for longest.
//!
//! The views are asked now and then, and not whenever somebody looks: it costs the same however many look.

use std::sync::Arc;
use std::time::Duration;

use order_domain::{Status, Timestamp};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::event::Position;
use crate::order_list::{ListQuery, OrderFilter};
use crate::ports::event_log::StoreError;
use crate::ports::order_views::OrderViews;

/// How often the views are asked.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Orders of one status are counted up to so many: those that are done only become more, and to count millions takes time.
const MOST_COUNTED: usize = 100_000;

/// Looks at all orders again and again.
pub struct ShopWatch {
    views: Arc<dyn OrderViews>,
    seen: watch::Sender<Option<ShopFigures>>,
}

/// All orders at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopFigures {
    /// How many there are of each status, counted up to 100,000.
    pub orders: Vec<(Status, usize)>,
    /// When the first order was placed that is paid for and has no stock reserved.
    pub oldest_unreserved: Option<Timestamp>,
    /// When the first was placed that has all its stock reserved and of which nothing is shipped.
    pub oldest_unshipped: Option<Timestamp>,
}

impl ShopWatch {
    /// Has not looked yet.
    pub fn new(views: Arc<dyn OrderViews>) -> Self {
        Self { views, seen: watch::Sender::new(None) }
    }

    /// What was seen at the last look; `None` when there was none yet, or when it failed.
    pub fn seen(&self) -> watch::Receiver<Option<ShopFigures>> {
        self.seen.subscribe()
    }

    /// Looks until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let seen = match tokio::time::timeout(PATIENCE, self.look()).await {
                Ok(Ok(seen)) => Some(seen),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "orders cannot be counted");
                    None
                }
                Err(_) => None,
            };
            self.seen.send_replace(seen);
            stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
        }
    }

    async fn look(&self) -> Result<ShopFigures, StoreError> {
        let mut orders = Vec::with_capacity(Status::ALL.len());
        for status in Status::ALL {
            orders.push((status, self.views.count(status, MOST_COUNTED).await?));
        }
        Ok(ShopFigures {
            orders,
            oldest_unreserved: self.oldest(Status::PaymentAuthorized).await?,
            oldest_unshipped: self.oldest(Status::InventoryReserved).await?,
        })
    }

    /// When the first order of a status was placed. Those on hold are to wait.
    async fn oldest(&self, status: Status) -> Result<Option<Timestamp>, StoreError> {
        let filter =
            OrderFilter { statuses: [status].into(), on_hold: Some(false), ..OrderFilter::default() };
        let first = ListQuery { filter, ..ListQuery::placed_after(Position::START, 1) };
        Ok(self.views.many(&first).await?.orders.first().map(|order| order.summary.placed_at))
    }
}
