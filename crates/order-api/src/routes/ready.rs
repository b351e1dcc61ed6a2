use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use order_application::StoreError;
use utoipa::ToSchema;

use crate::Api;
use crate::json::push_string;

/// Should traffic come here?
///
/// Ready when the store can be used and the service is not stopping. A stopping service says `not_ready` first, so that
/// load balancers send no more, and finishes what is under way.
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
        Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) => "unavailable",
        Err(StoreError::StorageFull) => "storage_full",
        Err(StoreError::Corrupt(_) | StoreError::NewerRelease(_)) => "corrupt",
    };
    let mut body = format!(r#"{{"status":"{status}","checks":{{"lifecycle":"{lifecycle}","store":"{store}""#);
    for (name, value) in details.iter().flat_map(|detail| detail.checks()) {
        body.push(',');
        push_string(&mut body, &name);
        body.push(':');
        body.push_str(&value);
    }
    body.push_str("}}");
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
    /// `serving` or `draining`.
    lifecycle: String,
    /// `ok`, `overloaded`, `unavailable`, `storage_full` or `corrupt`.
    store: String,
    /// Where events are relayed to, by the name of each broker.
    relays: Option<BTreeMap<String, RelayCheck>>,
    /// How a replica follows its primary.
    replica: Option<ReplicaCheck>,
}

/// How a relay to a broker goes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is written elsewhere")]
struct RelayCheck {
    /// `publishing`, `standby` (another instance publishes), `connecting`, `unavailable`, `misconfigured` or `refused`.
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
    /// Messages that are not events of this service; not there while there are none.
    skipped: Option<u64>,
    /// What is wrong, and what to do about it.
    detail: Option<String>,
}
