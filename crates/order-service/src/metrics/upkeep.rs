use std::fmt;
use std::sync::Arc;

use order_api::{Page, Source};
use order_application::figures::Counter;

/// What was forgotten of clients' keys.
pub(crate) struct TrimmedSource(pub(crate) Arc<Counter>);

impl Source for TrimmedSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "Idempotency-Keys whose answers were forgotten, since their time was over";
        page.counter("order_receipts_trimmed", help, self.0.now())
    }
}
