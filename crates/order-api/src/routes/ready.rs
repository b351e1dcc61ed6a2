use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use order_application::{ReadyChecks, StoreError, ViewsState, ViewsStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;

/// Should traffic come here?
///
/// Ready when the store can be used and the service is not stopping. A stopping service says `not_ready` first, so that
/// load balancers send no more, and finishes what is under way. A starting one says `not_ready` from the moment its address
/// is taken until the store is open; `views` then tells how far the views are, if they have to be made first.
///
/// `views` tells whether the rows that lists and reads show are being made anew, and `scrub` how far their comparison with
/// the events is and what it found. Neither is a reason to be not ready: what adds up is served meanwhile.
///
/// A service that relays events to brokers has `relays` among the checks: for each its `state`, the `position` up to which
/// all is acknowledged, its `lag` in events, and a `detail` if something is wrong. A broker that is away is no reason to be
/// not ready. A replica has `replica`, and is not ready before it has caught up once.
#[utoipa::path(
    get, path = "/ready", tag = "Operations", operation_id = "ready",
    responses(
        (status = 200, description = "Yes.", body = Readiness,
            example = json!({"status": "ready", "checks": {"lifecycle": "serving", "store": "ok"}})),
        (status = 503, description = "No, and `checks` tells why.", body = Readiness,
            example = json!({"status": "not_ready", "checks": {"lifecycle": "draining", "store": "ok"}})),
    ),
)]
pub(crate) async fn ready(State(api): State<Api>) -> Response {
    let draining = api.config.shutdown.is_cancelled();
    let checked = api.service.check().await;
    if let Err(error) = &checked {
        tracing::warn!(%error, "not ready");
    }
    let details = &api.config.ready_details;
    let is_ready = checked.is_ok() && !draining && details.iter().all(|detail| detail.is_ready());
    let status = if is_ready { "ready" } else { "not_ready" };
    let lifecycle = if draining { "draining" } else { "serving" };
    let store = match checked {
        Ok(()) => "ok",
        Err(StoreError::Overloaded) => "overloaded",
        Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::DamagedView(_)) => {
            "unavailable"
        }
        Err(StoreError::StorageFull) => "storage_full",
        Err(StoreError::Corrupt(_)) => "corrupt",
        Err(StoreError::NewerRelease(_)) => "newer_release_needed",
    };
    let mut beside = ReadyChecks::default();
    details.iter().for_each(|detail| detail.add_to(&mut beside));
    answer(is_ready, &Shown { status, checks: ShownChecks { lifecycle, store, beside } })
}

/// The same while the store opens.
pub(crate) fn starting(views: &ViewsStatus) -> Response {
    let mut beside = ReadyChecks::default();
    if views.state != ViewsState::Current {
        beside.views = Some(views.clone());
    }
    let checks = ShownChecks { lifecycle: "starting", store: "opening", beside };
    answer(false, &Shown { status: "not_ready", checks })
}

/// What is answered.
#[derive(Serialize)]
struct Shown {
    status: &'static str,
    checks: ShownChecks,
}

#[derive(Serialize)]
struct ShownChecks {
    lifecycle: &'static str,
    store: &'static str,
    #[serde(flatten)]
    beside: ReadyChecks,
}

fn answer(is_ready: bool, shown: &Shown) -> Response {
    let body = match serde_json::to_string(shown) {
        Ok(body) => body,
        Err(e) => unreachable!("invariant: what is shown is made of texts and numbers: {e}"),
    };
    let mut response = Response::new(Body::from(body));
    if !is_ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether traffic should come, and each thing that it depends on.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is written by hand above")]
struct Readiness {
    /// `ready` or `not_ready`.
    status: String,
    /// What was looked at.
    checks: Checks,
}

/// What readiness depends on.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is written by hand above")]
struct Checks {
    /// `starting`, `serving` or `draining`.
    lifecycle: String,
    /// `ok`, `opening`, `overloaded`, `unavailable`, `storage_full`, `corrupt` or `newer_release_needed`.
    store: String,
    /// How what readers are shown is.
    views: Option<ViewsCheck>,
    /// How its comparison with the events goes; not there if that is switched off.
    scrub: Option<ScrubCheck>,
    /// Where events are relayed to, by the name of each broker.
    relays: Option<BTreeMap<String, RelayCheck>>,
    /// How a replica follows its primary.
    replica: Option<ReplicaCheck>,
}

/// How the views are: what lists and reads show, derived from the events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is written elsewhere")]
struct ViewsCheck {
    /// `current`, `rebuilding` (they are being made anew) or `failed` (that did not work, and is tried again).
    state: String,
    /// While they are being made anew: how many events have been gone through.
    done: Option<u64>,
    /// Of how many.
    total: Option<u64>,
    /// Why they are being made anew, or why that failed.
    detail: Option<String>,
}

/// How the comparison of the views with the events goes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is written elsewhere")]
struct ScrubCheck {
    /// `scrubbing`, `resting` (a pass has ended, and the next begins soon), `standby` (another instance compares),
    /// `waiting` (the views are being made anew, or are a newer release's), `unavailable` or `starting`.
    state: String,
    /// Everything up to here has been compared in this pass.
    position: u64,
    /// Where this pass ends.
    of: u64,
    /// What was found to differ in this pass. The log names it, and it is mended.
    faults_in_pass: u64,
    /// What was found to differ since this process started.
    faults: u64,
    /// Passes that have ended since this process started.
    passes: u64,
    /// Why it does not go on.
    detail: Option<String>,
}

/// How a relay to a broker goes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is written elsewhere")]
struct RelayCheck {
    /// `following` (it publishes), `standby` (another instance does), `connecting`, `unavailable`, `misconfigured` or `refused`.
    state: String,
    /// Everything up to here has been acknowledged by the broker.
    position: u64,
    /// Events in the log beyond that.
    lag: u64,
    /// What is wrong, and what to do about it.
    detail: Option<String>,
}

/// How a replica goes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is written elsewhere")]
struct ReplicaCheck {
    /// `following`, `catching_up`, `connecting`, `missing`, `other_log`, `unavailable` or `misconfigured`.
    state: String,
    /// Everything up to here has been applied.
    position: u64,
    /// Messages that the broker has beyond that; not there while it is not known.
    behind: Option<u64>,
    /// Messages that are not events of this service.
    skipped: u64,
    /// What is wrong, and what to do about it.
    detail: Option<String>,
}
