use std::sync::Arc;

use tokio::sync::watch;

use crate::ports::view_repair::ViewsStatus;

/// How the views come about while their store opens: the store tells it, and who waits looks at it.
#[derive(Clone, Default)]
pub struct ViewsProgress(Arc<watch::Sender<ViewsStatus>>);

impl ViewsProgress {
    /// Tells how they are now.
    pub fn tell(&self, now: ViewsStatus) {
        self.0.send_replace(now);
    }

    /// What was told last.
    pub fn now(&self) -> ViewsStatus {
        self.0.borrow().clone()
    }
}
