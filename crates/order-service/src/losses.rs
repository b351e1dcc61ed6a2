//! What is known to be missing from a store, for those who write down what there is.

use std::process::ExitCode;

use order_store::{LogReader, SideError};

use crate::{logging, verify};

/// Warns of each loss. What is not there is no reason not to write what is, but for whoever takes it for all there was: so the
/// exit status is that of faults.
pub(crate) async fn warn_of_losses(log: &LogReader) -> Result<ExitCode, SideError> {
    let losses = log.losses().await?;
    for loss in &losses {
        logging::warn(&format!("acknowledged events are missing from what is written: {loss}"));
    }
    Ok(if losses.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(verify::FAULTS_FOUND) })
}
