use std::fmt;
use std::sync::Arc;

use order_api::{Page, Source};

use crate::access::FileAccess;

/// The access file, if there is one.
pub(crate) struct AccessSource(pub(crate) Option<Arc<FileAccess>>);

impl Source for AccessSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let is_bad = self.0.as_ref().is_some_and(|access| access.is_bad());
        let help = "1 while the access file is bad, and the rules before it are in force";
        page.gauge("order_access_file_bad", help, u64::from(is_bad))
    }
}
