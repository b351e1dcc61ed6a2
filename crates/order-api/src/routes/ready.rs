use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::Response;
use order_application::{Lifecycle, ReadyChecks, StoreCheck, ViewsState, ViewsStatus};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{self, Access, Question, Scope};
use crate::openapi::ProbeRefusals;
use crate::{Api, ApiState, answer};

/// How long a scrape waits for the store. One that does not say how it is by then is no store to work with.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of_everybody(routes!(ready))
}

/// Should traffic come here?
///
/// Ready when the store can be used and the service is not stopping. A stopping service says `not_ready` first, so that
/// load balancers send no more, and finishes what is under way. A starting one says `not_ready` from the moment its address
/// is taken until the store is open; `views` then tells how far the views are, if they have to be made first.
///
/// `views` tells whether the rows that lists and reads show are being rebuilt, and `scrub` how far their comparison with
/// the events is and what it found. Neither is a reason to be not ready: what adds up is served meanwhile.
///
/// A service that relays events to brokers has `relays` among the checks: for each its `state`, the `position` up to which
/// all is acknowledged, its `lag` in events, and a `detail` if something is wrong. A broker that is away is no reason to be
/// not ready. A replica has `replica`, and is not ready before it has caught up once.
///
/// Where keys are asked for, all but `lifecycle` and `store` is only for those that have the scope `operate`.
#[utoipa::path(
    get, path = "/ready", tag = "Operations", operation_id = "ready",
    responses(
        (status = 200, description = "Yes.", body = Readiness,
            example = json!({"status": "ready", "checks": {"lifecycle": "serving", "store": "ok"}})),
        (status = 503, description = "No, and `checks` tells why.", body = Readiness,
            example = json!({"status": "not_ready", "checks": {"lifecycle": "draining", "store": "ok"}})),
        ProbeRefusals,
    ),
)]
pub(crate) async fn ready(State(api): State<Api>, request: Request) -> Response {
    let shows_details =
        shows_details(api.config.access.as_deref(), request.headers(), request.extensions()).await;
    let checked = api.service.check().await;
    // Asked every few seconds, by whoever wants to know.
    match &checked {
        Err(error) if api.not_ready.is_news() => tracing::warn!(%error, "not ready"),
        Err(_) => {}
        Ok(()) => {
            if let Some(more) = api.not_ready.over() {
                tracing::info!(more, "ready again; so many more were told that it is not");
            }
        }
    }
    let checks = ReadyChecks { store: StoreCheck::from(&checked), ..api.ready_checks() };
    let is_ready = checked.is_ok() && api.can_serve(&checks);
    let checks = if shows_details {
        checks
    } else {
        ReadyChecks { lifecycle: checks.lifecycle, store: checks.store, ..ReadyChecks::default() }
    };
    answer(is_ready, checks)
}

impl ApiState {
    /// Whether the service is ready, for whoever waits no longer than for its metrics.
    pub(crate) async fn is_ready_now(&self) -> bool {
        let checked = tokio::time::timeout(STORE_PATIENCE, self.service.check()).await;
        matches!(checked, Ok(Ok(()))) && self.can_serve(&self.ready_checks())
    }

    /// Whether all that readiness depends on is right, but for the store.
    fn can_serve(&self, checks: &ReadyChecks) -> bool {
        let mut details = self.config.ready_details.iter();
        checks.lifecycle == Lifecycle::Serving && details.all(|detail| detail.is_ready())
    }

    /// All that readiness depends on but the store, which has to be asked.
    pub(crate) fn ready_checks(&self) -> ReadyChecks {
        let draining = self.config.shutdown.is_cancelled();
        let lifecycle = if draining { Lifecycle::Draining } else { Lifecycle::Serving };
        let mut checks = ReadyChecks { lifecycle, ..ReadyChecks::default() };
        self.config.ready_details.iter().for_each(|detail| detail.add_to(&mut checks));
        checks
    }
}

/// The same while the store opens; without details, `views` are `None`.
pub(crate) fn starting(views: Option<&ViewsStatus>) -> Response {
    answer(false, checks_of_start(views))
}

/// What there is to check while the store opens.
pub(crate) fn checks_of_start(views: Option<&ViewsStatus>) -> ReadyChecks {
    let views = views.filter(|views| views.state != ViewsState::Current).cloned();
    ReadyChecks { views, ..ReadyChecks::default() }
}

/// The same when the service does not come to answer it.
pub(crate) fn too_busy() -> Response {
    let (lifecycle, store) = (Lifecycle::Serving, StoreCheck::Overloaded);
    answer(false, ReadyChecks { lifecycle, store, ..ReadyChecks::default() })
}

/// Whether whoever asks sees more than a word for the service and one for its store. Credentials that are no good are as good as
/// none here: a probe whose key expires must not take its service out of use.
pub(crate) async fn shows_details(
    access: Option<&dyn Access>,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> bool {
    let Some(access) = access else { return true };
    if headers.get(header::AUTHORIZATION).is_none() {
        return false;
    }
    let caller = access::admit(access, headers, extensions).await;
    caller.is_ok_and(|caller| caller.scopes.contain(Scope::Operate))
}

/// Whether traffic should come, and each thing that it depends on.
#[derive(Serialize, ToSchema)]
struct Readiness {
    #[schema(inline)]
    status: ReadyStatus,
    /// What was looked at.
    checks: ReadyChecks,
}

/// Whether traffic should come, in a word.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReadyStatus {
    Ready,
    NotReady,
}

fn answer(is_ready: bool, checks: ReadyChecks) -> Response {
    let status = if is_ready { ReadyStatus::Ready } else { ReadyStatus::NotReady };
    let mut response = answer::json(answer::json_text(&Readiness { status, checks }));
    if !is_ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
