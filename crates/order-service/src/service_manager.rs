//! systemd, where it waits to hear how the service is (`Type=notify`, sd_notify(3)). Elsewhere nobody is told.

use sd_notify::NotifyState;

/// Requests are served.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

/// No more requests are taken; what is in flight is finished.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
