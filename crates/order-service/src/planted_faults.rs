//! A fault that tests plant. A build without the feature `full-tests` has none of this, and one with it does nothing unless
//! the environment names the fault.

use std::path::PathBuf;

use order_application::{ViewsProgress, ViewsState, ViewsStatus};

use crate::thread;

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

/// `slow-open=FIFO`: the store opens when somebody has written to that pipe, and has views to make until then.
pub(crate) async fn slow_open(progress: &ViewsProgress) -> anyhow::Result<()> {
    let fault = std::env::var(VARIABLE).unwrap_or_default();
    let Some(pipe) = fault.strip_prefix("slow-open=").map(PathBuf::from) else { return Ok(()) };
    progress.tell(ViewsStatus {
        state: ViewsState::Rebuilding,
        detail: Some("planted".to_owned()),
        done: Some(3),
        total: Some(10),
    });
    thread::opening(move || Ok(std::fs::read(pipe)?)).await?;
    Ok(())
}
