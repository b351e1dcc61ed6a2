//! Whether the database takes appends: one is made, and taken back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join3;
use order_application::traces::CommandTrace;
use order_application::{
    Append, EventContext, LogHistory, NewEvent, OrderView, StoreError, Unreadable, UnreadableOrder, Version,
};
use order_domain::{OrderId, Timestamp};
use tokio_postgres::Error;
use uuid::Uuid;

use super::append::append;
use crate::postgres::database::Database;
use crate::postgres::history::History;
use crate::postgres::servers::Object;

/// Whoever asks does not wait for long.
const PATIENCE: Duration = Duration::from_millis(800);

/// Ends by itself if this machine vanishes before it is taken back: nobody may keep the log's end.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '1s'";

/// Makes an append as any other, in a transaction that is rolled back.
pub(super) async fn probe(database: &Database) -> Result<(), StoreError> {
    #[expect(clippy::disallowed_methods, reason = "names an order that nobody has, and that is taken back")]
    let Ok(order_id) = OrderId::new(format!("probe-{}", Uuid::now_v7())) else { return Ok(()) };
    let order_id = &order_id;
    let attempt = |connection: Arc<Object>| async move { take_back(&connection, order_id).await };
    database.retry(PATIENCE, attempt).await
}

/// All on its way at once: its locks are held no longer than it takes.
async fn take_back(connection: &Object, order_id: &OrderId) -> Result<(), Error> {
    // What is taken back must not be remembered as an event that the log has.
    let history = History::default();
    let probe = of_probe(order_id, history.number());
    let (begun, appended, ended) = join3(
        connection.batch_execute(BEGIN),
        append(connection, &[&probe], &history),
        connection.batch_execute("ROLLBACK"),
    )
    .await;
    begun?;
    appended?;
    ended
}

/// An order that nobody has placed, and nobody will see.
fn of_probe(order_id: &OrderId, history: LogHistory) -> Append {
    let event = NewEvent {
        id: Uuid::nil(),
        event_type: "probe".into(),
        time: Timestamp::from_micros(0),
        data: "{}".into(),
        context: EventContext::new("", None, None),
        source: None,
    };
    let (order_id, version) = (order_id.clone(), Version(1));
    let view = UnreadableOrder { order_id: order_id.clone(), version, why: Unreadable::Damaged };
    Append {
        order_id,
        expected_version: Version::NONE,
        events: vec![event],
        view: OrderView::Unreadable(view),
        terms: Vec::new(),
        receipt: None,
        deadline: None,
        trace: CommandTrace::default(),
        history,
    }
}
