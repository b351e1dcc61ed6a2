//! Whoever has sent a command, while it waits for others.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Is told when a command begins to wait for others to the same order, so that nothing is done for it, and when it does so no more.
pub trait Waits: Send + Sync {
    /// It waits from now on.
    fn begin_waiting(&self);

    /// It does not any more.
    fn end_waiting(&self);

    /// Where it comes from: what one machine is likely to have for itself. Where too many wait, those of one network give way to
    /// those of others.
    fn network(&self) -> IpAddr;
}

/// Who is told so.
#[derive(Clone)]
pub struct Waiting(pub Arc<dyn Waits>);

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

/// A command that waits, until this is dropped.
pub(super) struct InLine<'a>(Option<&'a Waiting>);

impl<'a> InLine<'a> {
    pub(super) fn begin(waiting: Option<&'a Waiting>) -> Self {
        if let Some(Waiting(waits)) = waiting {
            waits.begin_waiting();
        }
        Self(waiting)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(Waiting(waits)) = self.0 {
            waits.end_waiting();
        }
    }
}
