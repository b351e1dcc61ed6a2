//! Views of single orders. Look-ups that come at the same time share one round trip.

use std::collections::HashMap;
use std::sync::Arc;

use order_application::{OrderView, Position, StoreError, Unreadable, UnreadableOrder, Version};
use order_domain::OrderId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::database::Database;
use super::row::{DamagedView, number, order_columns, read_order};
use super::{DEADLINE, projection};

const LOOK_UP: &str = concat!(
    "SELECT o.asked_id, o.log_key, o.log_version, o.log_updated, ",
    order_columns!(),
    " FROM order_service.look_up_v1($1) AS o"
);
/// Where the order's row begins among the columns of [`LOOK_UP`].
const ROW: usize = 4;

/// Most orders of one round trip.
const MAX_ORDERS: usize = 256;
/// Most look-ups that wait; beyond that readers are shed.
const MAX_WAITING: usize = 8_192;
/// Round trips at once. While one is under way the next gathers.
const WORKERS: usize = 2;

/// An order that the log has.
#[derive(Debug, Clone)]
pub(super) struct FoundOrder {
    /// Where it begins.
    pub(super) key: Position,
    /// How many events it has.
    pub(super) version: Version,
    /// Its view, unless that is not what the log makes of it.
    pub(super) view: Result<OrderView, DamagedView>,
}

type Answer = Result<Option<FoundOrder>, StoreError>;

struct Question {
    order_id: OrderId,
    answer: oneshot::Sender<Answer>,
}

/// The way to the look-ups' workers. They end when this is dropped.
pub(super) struct LookUps {
    questions: mpsc::Sender<Question>,
}

impl LookUps {
    pub(super) fn start(database: &Arc<Database>) -> Self {
        let (questions, waiting) = mpsc::channel(MAX_WAITING);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..WORKERS {
            tokio::spawn(work(Arc::clone(database), Arc::clone(&waiting)));
        }
        Self { questions }
    }

    /// What there is of an order at some moment after this was called. `None`: the log does not have it.
    pub(super) async fn find(&self, order_id: &OrderId) -> Answer {
        let (answer, answered) = oneshot::channel();
        let question = Question { order_id: order_id.clone(), answer };
        self.questions.try_send(question).map_err(|_| StoreError::Overloaded)?;
        let unavailable = |why: &str| Err(StoreError::Unavailable(why.to_owned()));
        match timeout(DEADLINE, answered).await {
            Ok(answer) => answer.unwrap_or_else(|_| unavailable("the store is closed")),
            // It waited behind look-ups that got no answer either.
            Err(_) => unavailable("the database does not answer"),
        }
    }
}

async fn work(database: Arc<Database>, waiting: Arc<tokio::sync::Mutex<mpsc::Receiver<Question>>>) {
    loop {
        let mut questions = Vec::new();
        if waiting.lock().await.recv_many(&mut questions, MAX_ORDERS).await == 0 {
            return;
        }
        answer(&database, questions).await;
    }
}

async fn answer(database: &Database, mut questions: Vec<Question>) {
    let order_ids: Vec<&str> = questions.iter().map(|question| question.order_id.as_str()).collect();
    match find(database, &order_ids).await {
        Ok(found) => {
            for Question { order_id, answer } in questions {
                let _ = answer.send(Ok(found.get(&order_id).cloned()));
            }
        }
        // The database cannot read one of them; the others need not suffer for it.
        Err(StoreError::Corrupt(_)) if questions.len() > 1 => {
            let others = questions.split_off(questions.len() / 2);
            Box::pin(answer(database, questions)).await;
            Box::pin(answer(database, others)).await;
        }
        Err(error) => {
            for question in questions {
                let _ = question.answer.send(Err(error.clone()));
            }
        }
    }
}

/// The orders among these that the log has.
pub(super) async fn find(
    database: &Database,
    order_ids: &[&str],
) -> Result<HashMap<OrderId, FoundOrder>, StoreError> {
    let rows = database.query(LOOK_UP, &[(&order_ids, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(read_found).collect()
}

fn read_found(row: &Row) -> Result<(OrderId, FoundOrder), StoreError> {
    let broken = |error: tokio_postgres::Error| StoreError::Corrupt(format!("a look-up: {error}"));
    let order_id: &str = row.try_get(0).map_err(broken)?;
    let key = Position(number(row, 1).map_err(broken)?);
    let version = Version(number(row, 2).map_err(broken)?);
    let order_id =
        OrderId::new(order_id).map_err(|error| StoreError::Corrupt(format!("order id: {error}")))?;
    let updated = Position(number(row, 3).map_err(broken)?);
    let view = view_of(row, &order_id, version, updated);
    Ok((order_id, FoundOrder { key, version, view }))
}

/// The row's view, if it is one of this order as the log has it.
fn view_of(
    row: &Row,
    order_id: &OrderId,
    version: Version,
    updated: Position,
) -> Result<OrderView, DamagedView> {
    let damaged = |why: &str| Err(DamagedView(why.to_owned()));
    if row.try_get::<_, Option<i64>>(ROW).ok().flatten().is_none() {
        return damaged("it is missing");
    }
    let stored = read_order(row, ROW)?;
    if stored.view.order_id() != order_id {
        return damaged("another order's is in its place");
    }
    if stored.view.version() != version {
        return damaged("it is of another version than the log");
    }
    if stored.updated_position != updated {
        return damaged("it says that its last event is elsewhere");
    }
    // What an earlier release could not read, this one may.
    let is_newer =
        matches!(stored.view, OrderView::Unreadable(UnreadableOrder { why: Unreadable::Newer, .. }));
    if is_newer && stored.projection < projection() {
        return damaged("an earlier release could not make it");
    }
    Ok(stored.view)
}
