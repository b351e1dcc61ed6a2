//! What the feeds that are open share.

use std::sync::Arc;

use order_application::{LogHistory, RepeatedFault, Subscription};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::pages::Pages;
use super::pump;
use super::tail::Tail;

/// Follows the log for as long as somebody holds it.
pub(super) struct Hub {
    pub(super) tail: Arc<Tail>,
    pub(super) pages: Arc<Pages>,
    /// Of the log that the feeds read. They end when it has another.
    pub(super) history: LogHistory,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Hub {
    /// What ends all feeds early is said once, as `ending` knows.
    pub(super) fn start(
        subscription: Subscription,
        pages: Arc<Pages>,
        ending: Arc<RepeatedFault>,
        shutdown: CancellationToken,
    ) -> Self {
        let (tail, history) = (Arc::new(Tail::new(subscription.position())), subscription.history());
        let pumped = Arc::clone(&tail);
        let pumping = tokio::spawn(async move { pump::run(subscription, &pumped, &ending, &shutdown).await });
        let waited_for = Arc::clone(&tail);
        let giving_turns = tokio::spawn(async move { waited_for.give_turns().await });
        Self { tail, pages, history, _tasks: [pumping, giving_turns].map(AbortOnDropHandle::new) }
    }
}
