//! Views of single orders. Look-ups that come at the same time share one round trip.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use order_application::{OrderView, StoreError};
use order_domain::OrderId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::database::Database;
use super::row::{order_columns, read_order};

const LOOK_UP: &str = concat!("SELECT ", order_columns!(), " FROM order_service.look_up($1) AS o");

/// Most orders of one round trip.
const MAX_ORDERS: usize = 256;
/// Most look-ups that wait; beyond that readers are shed.
const MAX_WAITING: usize = 8_192;
/// Round trips at once. While one is under way the next gathers.
const WORKERS: usize = 2;

type Answer = Result<Option<OrderView>, StoreError>;

struct Question {
    order_id: OrderId,
    answer: oneshot::Sender<Answer>,
}

/// The way to the look-ups' workers. They end when this is dropped.
pub(super) struct LookUps {
    questions: mpsc::Sender<Question>,
    deadline: Duration,
}

impl LookUps {
    pub(super) fn start(database: &Arc<Database>, deadline: Duration) -> Self {
        let (questions, waiting) = mpsc::channel(MAX_WAITING);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..WORKERS {
            tokio::spawn(work(Arc::clone(database), Arc::clone(&waiting)));
        }
        Self { questions, deadline }
    }

    /// The order's view, as it is at some moment after this was called.
    pub(super) async fn view(&self, order_id: &OrderId) -> Answer {
        let (answer, answered) = oneshot::channel();
        let question = Question { order_id: order_id.clone(), answer };
        self.questions.try_send(question).map_err(|_| StoreError::Overloaded)?;
        let unavailable = |why: &str| Err(StoreError::Unavailable(why.to_owned()));
        match timeout(self.deadline, answered).await {
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
        match look_up(&database, &questions).await {
            Ok(found) => {
                for Question { order_id, answer } in questions {
                    let _ = answer.send(Ok(found.get(&order_id).cloned()));
                }
            }
            Err(error) => {
                for question in questions {
                    let _ = question.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

async fn look_up(
    database: &Database,
    questions: &[Question],
) -> Result<HashMap<OrderId, OrderView>, StoreError> {
    let order_ids: Vec<&str> = questions.iter().map(|question| question.order_id.as_str()).collect();
    let rows = database.query(LOOK_UP, &[(&order_ids, Type::TEXT_ARRAY)]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let (_, view) = read_order(row)?;
        found.insert(view.order_id().clone(), view);
    }
    Ok(found)
}
