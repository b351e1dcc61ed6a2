//! Appends to an order that several instances want to change at once.
//!
//! Appends take the head of the log only for the moment of their commit, so an instance that is always a little later
//! than another would find the order changed each time, for ever. Here the head is taken *before* the order is looked at:
//! PostgreSQL hands it out first come, first served, so each gets its turn. The price is that other writers wait for
//! two round trips more, which is why it is only done after the usual way has failed.

use futures_util::future::join;
use order_application::{Append, AppendError, DecideInTurn, Position, StoreError, Version};
use order_domain::OrderId;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::batch::Outcome;
use super::database::{Parameter, Pause, abandon};
use super::failure::Failure;
use super::row::{bigint, event_columns};
use super::{head, pages};

/// Not in pages: an order has a bounded number of events, and most of them are known already.
const NEWS: &str = concat!("SELECT ", event_columns!(), " FROM order_service.news_v1($1, $2) AS e");

/// What became of a turn.
enum Turn {
    NothingToAppend,
    Appended(Append, Outcome),
    /// The append was sent, and no answer came.
    Unknown(Append),
}

impl PostgresStore {
    /// See [`EventLog::append_in_turn`](order_application::EventLog::append_in_turn).
    pub(super) async fn take_turn(
        &self,
        order_id: &OrderId,
        after: Version,
        decide: &mut DecideInTurn<'_>,
    ) -> Result<Option<Position>, AppendError> {
        let deadline = Instant::now() + self.limits.deadline;
        let mut pause = Pause::new();
        loop {
            let why = match self.one_turn(order_id, after, decide, deadline).await {
                Ok(Turn::NothingToAppend) => return Ok(None),
                Ok(Turn::Appended(append, outcome)) => {
                    let first = outcome?;
                    let last = Position(first.0 + append.events.len() as u64 - 1);
                    self.shared.announcer.look();
                    return Ok(Some(last));
                }
                // The usual way resolves what is unknown.
                Ok(Turn::Unknown(append)) => {
                    return self.writer.append_again(append, deadline).await.map(Some);
                }
                Err(Failure::Refused(error)) => return Err(error.into()),
                Err(Failure::NothingHappened(why) | Failure::Unknown(why)) => why,
            };
            if !pause.before(deadline).await {
                return Err(StoreError::Unavailable(why).into());
            }
        }
    }

    /// An error means that nothing was appended.
    async fn one_turn(
        &self,
        order_id: &OrderId,
        after: Version,
        decide: &mut DecideInTurn<'_>,
        deadline: Instant,
    ) -> Result<Turn, Failure> {
        let silent = || Failure::NothingHappened(self.shared.turns.missed());
        let connection =
            match timeout_at(deadline, self.shared.turns.connection()).await.map_err(|_| silent())? {
                Err(StoreError::Unavailable(why)) => return Err(Failure::NothingHappened(why)),
                other => other.map_err(Failure::Refused)?,
            };

        // All on its way at once; the order is read in a statement of its own, which sees what was committed before the
        // head was ours.
        let first = bigint(after.0);
        let parameters: [Parameter<'_>; 2] = [(&order_id.as_str(), Type::TEXT), (&first, Type::INT8)];
        let begun = join(head::take(&connection), connection.query_typed(NEWS, &parameters));
        let Ok((taken, news)) = timeout_at(deadline, begun).await else {
            abandon(connection);
            return Err(silent());
        };
        let news = taken.and(news).map_err(|error| Failure::of(&error));
        let decided = news
            .and_then(|rows| pages::read_stream(&rows, order_id, after).map_err(Failure::Refused))
            .and_then(|news| decide(news).map_err(Failure::Refused));
        let append = match decided {
            #[cfg(feature = "planted-faults")]
            Ok(Some(append)) => crate::planted_release::write(append),
            #[cfg(not(feature = "planted-faults"))]
            Ok(Some(append)) => append,
            other => {
                // Whatever it is, the head is given back first.
                if !matches!(timeout_at(deadline, connection.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
                    abandon(connection);
                }
                return other.map(|_| Turn::NothingToAppend);
            }
        };

        match timeout_at(deadline, head::append_and_commit(&connection, &[&append])).await {
            Ok(Ok(mut appended)) => match appended.outcomes.pop() {
                Some(outcome) => Ok(Turn::Appended(append, outcome)),
                None => unreachable!("invariant: one append has one outcome"),
            },
            Ok(Err(error)) => match Failure::of(&error) {
                Failure::Unknown(_) => Ok(Turn::Unknown(append)),
                failure @ (Failure::NothingHappened(_) | Failure::Refused(_)) => Err(failure),
            },
            Err(_) => {
                abandon(connection);
                Ok(Turn::Unknown(append))
            }
        }
    }
}
