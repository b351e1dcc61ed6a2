//! How far those who follow the log have come; their leases stay behind. They are few, and may have changed in any way
//! since an earlier run, so all that the source has takes the place of what is there.

use super::{CopyError, Source, Target};

pub(super) async fn copy(source: &dyn Source, target: &mut dyn Target) -> Result<(), CopyError> {
    // The followers of a finished copy may have gone on by themselves.
    if target.state().await.map_err(CopyError::Target)?.copying {
        let checkpoints = source.checkpoints().await.map_err(CopyError::Source)?;
        target.put_checkpoints(&checkpoints).await.map_err(CopyError::Target)?;
    }
    Ok(())
}
