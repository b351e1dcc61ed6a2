//! What the service says of itself to whoever watches it: `/metrics`, in Prometheus's text format and as OpenMetrics.
//!
//! Nothing is gathered for a scrape: it reads what was counted anyway. Each part of the service is a [`Source`] of its own,
//! and is asked anew each time.
//!
//! | file | holds |
//! |---|---|
//! | `page.rs` | writing one metric after the other |
//! | `requests.rs` | requests over HTTP: counted here, and shown |
//! | `commands.rs`, `store.rs`, `background.rs`, `budgets.rs` | what the other layers count, shown |

mod background;
mod budgets;
mod commands;
mod page;
mod requests;
mod store;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use crate::answer;

pub(crate) use background::{Readiness, ready_checks};
pub(crate) use budgets::{budgets, feeds};
pub(crate) use commands::{cache, commands};
pub use page::{Page, Sample};
pub(crate) use requests::{ActiveRequest, RequestFigures};
pub use store::StoreSource;

/// The media type of OpenMetrics, as the library writes it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A part of the service that has something to say.
pub trait Source: Send + Sync + 'static {
    /// Writes its metrics. It MUST NOT wait for anything, and no label may have more values the longer the service runs.
    ///
    /// # Errors
    /// Those of the page.
    fn write(&self, page: &mut Page<'_>) -> fmt::Result;
}

/// All that `/metrics` shows. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Metrics(Arc<Parts>);

struct Parts {
    requests: Arc<RequestFigures>,
    registry: Registry,
    sources: Arc<Sources>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Arc::<RequestFigures>::default();
        let metrics = Self::of(Arc::clone(&requests), Arc::default(), []);
        metrics.add(requests);
        metrics
    }
}

impl Metrics {
    fn of(
        requests: Arc<RequestFigures>,
        sources: Arc<Sources>,
        more: impl IntoIterator<Item = Arc<dyn Source>>,
    ) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&sources)));
        for source in more {
            registry.register_collector(Box::new(Sources(RwLock::new(vec![source]))));
        }
        Self(Arc::new(Parts { requests, registry, sources }))
    }

    /// The same, and whatever is added to them later, with something that only these show.
    pub(crate) fn with(&self, source: Arc<dyn Source>) -> Self {
        let Parts { requests, registry: _, sources } = &*self.0;
        Self::of(Arc::clone(requests), Arc::clone(sources), [source])
    }

    /// From now on this is shown, too.
    pub fn add(&self, source: Arc<dyn Source>) {
        self.0.sources.0.write().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Where requests are counted.
    pub(crate) fn requests(&self) -> &Arc<RequestFigures> {
        &self.0.requests
    }

    /// What a scrape is answered with.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        let wants_open_metrics = wants_open_metrics(headers);
        let media_type = if wants_open_metrics { OPEN_METRICS } else { prometheus_text::CONTENT_TYPE };
        let mut response = answer::of(media_type, self.text(wants_open_metrics));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn text(&self, as_open_metrics: bool) -> String {
        let (mut page, registry) = (String::new(), &self.0.registry);
        let written = match as_open_metrics {
            true => text::encode(&mut page, registry),
            false => prometheus_text::encode(&mut page, registry),
        };
        match written {
            Ok(()) => page,
            Err(e) => unreachable!("invariant: a string takes whatever is written to it: {e}"),
        }
    }
}

/// Whether a scraper names OpenMetrics among what it takes: one that does prefers it.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named =
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
        is_named && !parts.any(|parameter| parameter == "q=0")
    })
}

#[derive(Default)]
struct Sources(RwLock<Vec<Arc<dyn Source>>>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A source may take a moment: whoever adds one is not to wait for that.
        let sources = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut page = Page::new(encoder);
        sources.iter().try_for_each(|source| source.write(&mut page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_name_it() {
        let wants = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            wants_open_metrics(&headers)
        };
        assert!(wants(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
        ));
        assert!(wants("Application/OpenMetrics-Text"));
        for accept in ["text/plain", "*/*", "application/openmetrics-text;q=0", "text/html, application/xml"]
        {
            assert!(!wants(accept), "{accept}");
        }
        assert!(!wants_open_metrics(&HeaderMap::new()));
    }
}
