use std::sync::Arc;
use std::time::Duration;

use order_application::ReadyDetails;
use order_application::traces::Tracer;
use order_domain::Currency;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::metrics::Metrics;

/// What the API needs to know besides the service it speaks for.
#[derive(Clone)]
pub struct ApiConfig {
    /// The currency of an order that names none.
    pub default_currency: Currency,
    /// The `source` of every event, a URI reference (CloudEvents 1.0).
    pub event_source: String,
    /// Longest request body.
    pub max_body_bytes: usize,
    /// Most bytes, about, that all request bodies take together while they are read; who would go beyond is refused.
    pub max_open_body_bytes: usize,
    /// How long a whole request body may take to arrive.
    pub body_timeout: Duration,
    /// Most bytes, about, that all pages of orders and events take together until clients have taken them; who would go
    /// beyond is refused.
    pub max_open_page_bytes: usize,
    /// Most live feeds at once.
    pub max_feeds: usize,
    /// How often a live feed says how far it is, so that proxies keep its connection; it does so at once, too. Not zero.
    pub feed_heartbeat: Duration,
    /// Most bytes of one page, about: a page that would be larger ends early, with a link to the next.
    pub max_page_bytes: usize,
    /// Cancelled when the service drains: from then on it is not ready, and live feeds end.
    pub shutdown: CancellationToken,
    /// Whether commands are taken. A read replica takes none, and says so.
    pub takes_commands: bool,
    /// What readiness depends on besides the store.
    pub ready_details: Vec<Arc<dyn ReadyDetails>>,
    /// Who may do what; `None`: everybody may do everything.
    pub access: Option<Arc<dyn Access>>,
    /// What `/metrics` shows, to which the API adds what it knows.
    pub metrics: Metrics,
    /// What records requests, if anything does.
    pub tracer: Option<Tracer>,
    /// Whether requests come encrypted.
    pub is_encrypted: bool,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            default_currency: Currency::USD,
            event_source: "/order-service".to_owned(),
            max_body_bytes: 1024 * 1024,
            max_open_body_bytes: 64 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            max_open_page_bytes: 128 * 1024 * 1024,
            max_feeds: 1_000,
            feed_heartbeat: Duration::from_secs(15),
            max_page_bytes: 4 * 1024 * 1024,
            shutdown: CancellationToken::new(),
            takes_commands: true,
            ready_details: Vec::new(),
            access: None,
            metrics: Metrics::default(),
            tracer: None,
            is_encrypted: false,
        }
    }
}
