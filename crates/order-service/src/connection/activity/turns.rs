//! Whose turn it is: the service's, or the client's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Activity;

/// A request that waits for the service.
pub(crate) struct InService(Arc<Activity>);

impl InService {
    /// A request's head is there.
    pub(crate) fn begin(activity: &Arc<Activity>) -> (Self, Open) {
        activity.progressed();
        activity.in_service.fetch_add(1, Ordering::Relaxed);
        activity.open.fetch_add(1, Ordering::Relaxed);
        activity.requests.fetch_add(1, Ordering::Relaxed);
        (Self(Arc::clone(activity)), Open(Arc::clone(activity)))
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.0
    }
}

impl Drop for InService {
    fn drop(&mut self) {
        self.0.in_service.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's stretch of waiting for its client: within its time [in service](InService), or after its answer, where what is left
/// of its body is thrown away.
pub(crate) struct WaitsForClient(Arc<Activity>);

impl WaitsForClient {
    pub(crate) fn begin(activity: Arc<Activity>) -> Self {
        activity.awaited.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for WaitsForClient {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request whose answer is not wholly handed over.
pub(crate) struct Open(Arc<Activity>);

impl Open {
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
