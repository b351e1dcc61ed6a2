//! Requests over HTTP, by their routes, methods and answers, with the names and bounds of OpenTelemetry's semantic conventions
//! (`http.server.request.duration`).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use order_application::figures::{Gauge, Histogram};

use super::Source;
use super::page::Page;
use crate::routes;

/// In microseconds: those of the conventions, and three below, since most requests take less than their first.
const BOUNDS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];
const MICROS_PER_SECOND: f64 = 1e6;

/// The number of requests without a route.
const NO_ROUTE: usize = 0;
/// Methods that are told apart; the conventions' name for all others comes last.
const METHODS: [&str; 4] = ["GET", "POST", "HEAD", "_OTHER"];
/// What is answered; any other status counts as the first of its class, a rule of HTTP's own (RFC 9110, 15).
const STATUSES: [&str; 21] = [
    "200", "201", "202", "303", "304", "400", "401", "403", "404", "405", "408", "409", "412", "413", "415",
    "422", "429", "431", "500", "503", "507",
];
/// Most routes with a refusal each that are told apart, so that a scrape stays short whatever is asked for: refusals of other
/// routes are counted without them. Each is 3 KiB of a scrape. What succeeds is always told apart, since no client can make
/// more of that than there are routes.
const MAX_REFUSALS: usize = 20;

/// How long requests took, and how many are under way.
pub(crate) struct RequestFigures {
    /// The number of each route, from 1.
    routes: HashMap<String, usize>,
    /// By route, method and status; those are made that are needed.
    durations: Box<[OnceLock<Box<Histogram>>]>,
    /// How many of them are of refusals.
    refusals: AtomicUsize,
    active: Gauge,
}

impl Default for RequestFigures {
    fn default() -> Self {
        let routes: HashMap<_, _> = routes::paths().into_iter().zip(1..).collect();
        let durations = (routes.len() + 1) * METHODS.len() * STATUSES.len();
        Self {
            routes,
            durations: (0..durations).map(|_| OnceLock::new()).collect(),
            refusals: AtomicUsize::new(0),
            active: Gauge::default(),
        }
    }
}

/// A request that is under way, until it is dropped.
pub(crate) struct ActiveRequest {
    figures: Arc<RequestFigures>,
    begun: Instant,
}

impl ActiveRequest {
    pub(crate) fn begin(figures: &Arc<RequestFigures>) -> Self {
        figures.active.increase();
        Self { figures: Arc::clone(figures), begun: Instant::now() }
    }

    /// It is answered, and took so long.
    pub(crate) fn answered(&self, route: Option<&str>, method: &Method, status: StatusCode) -> Duration {
        let took = self.begun.elapsed();
        self.figures.duration(route, method, status).observe_time(took);
        took
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.figures.active.decrease();
    }
}

impl RequestFigures {
    fn duration(&self, route: Option<&str>, method: &Method, status: StatusCode) -> &Histogram {
        let route = route.filter(|_| has_a_route(status)).and_then(|route| self.routes.get(route)).copied();
        let cell = |route: usize, method: usize| {
            let index = (route * METHODS.len() + method) * STATUSES.len() + status_index(status);
            &self.durations[index]
        };
        let told_apart = cell(route.unwrap_or(NO_ROUTE), method_index(method));
        let is_refusal = status.is_client_error() || status.is_server_error();
        let is_new = is_refusal && told_apart.get().is_none();
        let is_too_much = is_new && self.refusals.fetch_add(1, Ordering::Relaxed) >= MAX_REFUSALS;
        let counted = if is_too_much { cell(NO_ROUTE, METHODS.len() - 1) } else { told_apart };
        counted.get_or_init(|| Box::new(Histogram::new(BOUNDS)))
    }
}

/// Whether such an answer tells anything of the route. What is refused at the door does not, and anybody could ask for it at
/// every route.
fn has_a_route(status: StatusCode) -> bool {
    ![StatusCode::UNAUTHORIZED, StatusCode::METHOD_NOT_ALLOWED, StatusCode::TOO_MANY_REQUESTS]
        .contains(&status)
}

fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1)
}

fn status_index(status: StatusCode) -> usize {
    let found = STATUSES.iter().position(|known| *known == status.as_str());
    let of_class = || STATUSES.iter().position(|known| known.as_bytes()[0] == status.as_str().as_bytes()[0]);
    found.or_else(of_class).unwrap_or_default()
}

impl Source for RequestFigures {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut names = vec![""; self.routes.len() + 1];
        self.routes.iter().for_each(|(name, number)| names[*number] = name);
        let shown = self.durations.iter().enumerate().filter_map(|(index, duration)| {
            let (rest, status) = (index / STATUSES.len(), STATUSES[index % STATUSES.len()]);
            let (route, method) = (names[rest / METHODS.len()], METHODS[rest % METHODS.len()]);
            let labels = [
                ("http_request_method", method),
                ("http_route", route),
                ("http_response_status_code", status),
            ];
            Some((labels, duration.get()?.now()))
        });
        page.histograms(
            "http_server_request_duration_seconds",
            "How long requests took until their answer began",
            MICROS_PER_SECOND,
            shown,
        )?;
        page.gauge("http_server_active_requests", "Requests that are under way", self.active.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;

    /// What all other metrics need is some 20 KiB.
    const MAX_PAGE_BYTES: usize = 176 * 1024;

    fn shown(figures: &RequestFigures) -> Vec<(usize, u64)> {
        let made = figures.durations.iter().enumerate();
        made.filter_map(|(index, cell)| Some((index, cell.get()?.now().counts.iter().sum()))).collect()
    }

    fn answer(figures: &Arc<RequestFigures>, route: Option<&str>, method: &Method, status: StatusCode) {
        ActiveRequest::begin(figures).answered(route, method, status);
    }

    #[test]
    fn whatever_is_asked_for_a_scrape_stays_short_and_nothing_is_left_out() {
        let figures = Arc::<RequestFigures>::default();
        let routes: Vec<_> = figures.routes.keys().cloned().collect();
        let refusals = STATUSES.iter().filter(|status| **status >= "400");
        let statuses: Vec<StatusCode> =
            refusals.chain(["202"].iter()).map(|status| status.parse().unwrap()).collect();
        for (route, status) in
            routes.iter().flat_map(|route| statuses.iter().map(move |status| (route, status)))
        {
            answer(&figures, Some(route), &Method::POST, *status);
            answer(&figures, Some(route), &Method::POST, *status);
        }
        let shown = shown(&figures);
        assert_eq!(
            shown.iter().map(|(_, count)| count).sum::<u64>(),
            (routes.len() * statuses.len() * 2) as u64
        );
        assert!(shown.len() <= routes.len() + MAX_REFUSALS + statuses.len(), "{}", shown.len());
        let metrics = Metrics::default();
        metrics.add(figures);
        let page = metrics.text(false);
        assert!(page.len() < MAX_PAGE_BYTES, "{} bytes", page.len());
    }

    #[test]
    fn a_status_that_is_not_expected_counts_as_the_first_of_its_class() {
        for (status, expected) in
            [(206, "200"), (308, "303"), (418, "400"), (501, "500"), (503, "503"), (100, "200")]
        {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(STATUSES[status_index(status)], expected, "{status}");
        }
    }

    #[test]
    fn what_is_refused_at_the_door_has_no_route() {
        let figures = Arc::<RequestFigures>::default();
        for route in ["/orders", "/orders/{id}", "/events"] {
            answer(&figures, Some(route), &Method::GET, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(shown(&figures).len(), 1);
        answer(&figures, Some("/orders"), &Method::GET, StatusCode::OK);
        answer(&figures, Some("/no-route-of-ours"), &Method::GET, StatusCode::OK);
        assert_eq!(shown(&figures).len(), 3);
    }

    #[test]
    fn a_request_is_under_way_until_it_is_dropped() {
        let figures = Arc::<RequestFigures>::default();
        let request = ActiveRequest::begin(&figures);
        assert_eq!(figures.active.now(), 1);
        drop(request);
        assert_eq!(figures.active.now(), 0);
    }
}
