//! Receipts. Since an earlier run others may have come and the oldest gone, so all that the source has takes the place of what
//! is there.

use super::{CopyError, Source, Target};

/// Receipts of one page, which is one transaction of the target.
pub(crate) const RECEIPTS_AT_ONCE: usize = 5_000;

/// Copies all receipts.
pub(super) async fn copy(source: &dyn Source, target: &mut dyn Target) -> Result<(), CopyError> {
    target.delete_receipts().await.map_err(CopyError::Target)?;
    let mut last = None;
    loop {
        let page = source.receipts(last.as_ref(), RECEIPTS_AT_ONCE).await.map_err(CopyError::Source)?;
        target.add_receipts(&page.receipts).await.map_err(CopyError::Target)?;
        // Between SQLite files nothing else waits: here the copy can be stopped.
        tokio::task::yield_now().await;
        if page.receipts.len() < RECEIPTS_AT_ONCE {
            return Ok(());
        }
        last = Some(page);
    }
}
