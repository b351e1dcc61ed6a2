//! Faults that tests plant. A build without the feature `full-tests` has none of this, and one with it does nothing unless
//! the environment names one.

use std::path::PathBuf;

use order_application::{ViewsProgress, ViewsState, ViewsStatus};

use crate::thread;

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

/// `heads-are-believed`: whatever a head says of hosts and encodings is all right.
pub(crate) fn heads_are_believed() -> bool {
    is_planted("heads-are-believed")
}

/// `nobody-gives-way`: who has a place keeps it.
pub(crate) fn nobody_gives_way() -> bool {
    is_planted("nobody-gives-way")
}

/// `answers-are-not-counted`: clients may leave lying what they like.
pub(crate) fn answers_are_not_counted() -> bool {
    is_planted("answers-are-not-counted")
}

/// `handshakes-take-no-turns`: each is reckoned as soon as its client has spoken.
pub(crate) fn handshakes_take_no_turns() -> bool {
    is_planted("handshakes-take-no-turns")
}

/// `requests-are-told`: heads and bodies stand in the output.
pub(crate) fn requests_are_told() -> bool {
    is_planted("requests-are-told")
}

fn is_planted(fault: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|planted| planted == fault)
}

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
