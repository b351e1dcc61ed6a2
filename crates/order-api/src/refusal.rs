//! The one place that says which error is which answer.

use std::any::Any;
use std::fmt::Display;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use order_application::{CommandError, Position, QueryError, StoreError};
use order_domain::{ObstacleKind, OrderError};
use tracing::Level;
use uuid::Uuid;

use crate::access::{AllowanceOf, Caller, Exhausted, Scope};
use crate::json::{Faults, Pointer};
use crate::problem::kind::{self, ProblemKind};
use crate::problem::{HiddenCause, Problem};
use crate::turns::NoTurn;

/// Why a request is not answered as it hoped: a problem on its way to the [edge](crate::edge), which knows what was asked
/// for and writes it out.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(pub(crate) Box<Problem>);

impl IntoResponse for Refusal {
    /// A stand-in that carries the refusal through the router.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

impl Refusal {
    /// The refusal that a response stands for.
    pub(crate) fn carried(response: &mut Response) -> Option<Self> {
        response.extensions_mut().remove()
    }

    /// Without what the order is, for somebody who may not know that.
    pub(crate) fn about_no_order(self) -> Self {
        self.0.about_no_order().into()
    }

    /// Nothing shows who sends the request.
    pub(crate) fn no_credentials() -> Self {
        challenge("Bearer", "The request has no Authorization header.")
    }

    /// What should show who sends the request is no bearer token.
    pub(crate) fn malformed_credentials() -> Self {
        let detail = "The request must have one Authorization header: Bearer, a space, and a key or a token.";
        challenge("Bearer error=\"invalid_request\"", detail)
    }

    /// What shows who sends the request opens nothing.
    pub(crate) fn bad_credentials(why: &'static str) -> Self {
        challenge("Bearer error=\"invalid_token\"", why)
    }

    /// Whoever sends the request may not do this.
    pub(crate) fn forbidden(caller: &Caller, scope: Scope) -> Self {
        let detail = sentence(&format!("{} has no scope {scope}", caller.credential));
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        let headers = headers([(header::WWW_AUTHENTICATE, challenge)]);
        Problem { headers, ..Problem::new(&kind::FORBIDDEN, detail) }.into()
    }

    /// More requests have come than may.
    pub(crate) fn too_many_requests(exhausted: Exhausted) -> Self {
        let Exhausted { whose, burst, refill_seconds, retry_after_seconds } = exhausted;
        let (policy, detail) = match whose {
            AllowanceOf::Caller => ("caller", "More requests have come from this caller than may."),
            AllowanceOf::Address => {
                ("address", "More requests without good credentials have come from this address than may.")
            }
        };
        let headers = headers([
            (header::RETRY_AFTER, retry_after_seconds.to_string()),
            (HeaderName::from_static("ratelimit"), format!("\"{policy}\";r=0;t={retry_after_seconds}")),
            (
                HeaderName::from_static("ratelimit-policy"),
                format!("\"{policy}\";q={burst};w={refill_seconds}"),
            ),
        ]);
        Problem { headers, ..Problem::new(&kind::TOO_MANY_REQUESTS, detail) }.into()
    }

    /// The connection broke off in the body.
    pub(crate) fn body_broken() -> Self {
        Problem::new(&kind::MALFORMED_REQUEST, "The body ended early.").into()
    }

    /// What stands in `Idempotency-Key` is no key.
    pub(crate) fn idempotency_key_invalid() -> Self {
        let detail = "Idempotency-Key must be one key of 1 to 255 characters, quoted or bare.";
        Problem::new(&kind::IDEMPOTENCY_KEY_INVALID, detail).into()
    }

    /// The body is not announced as JSON, or is compressed.
    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "The body must be sent uncompressed with Content-Type: application/json.";
        Problem::new(&kind::UNSUPPORTED_MEDIA_TYPE, detail).into()
    }

    /// The body is longer than allowed.
    pub(crate) fn body_too_large(max_bytes: usize) -> Self {
        Problem::new(&kind::BODY_TOO_LARGE, format!("The body may have at most {max_bytes} bytes.")).into()
    }

    /// The body did not come in time.
    pub(crate) fn body_too_slow() -> Self {
        Problem::new(&kind::REQUEST_TIMEOUT, "The body did not arrive in time.").into()
    }

    /// Everything that is wrong with a request that could be read.
    pub(crate) fn invalid(faults: Faults) -> Self {
        let problem = Problem::new(&kind::VALIDATION_FAILED, faults.summary());
        Problem { errors: faults.told(), ..problem }.into()
    }

    /// There is nothing at this path.
    pub(crate) fn not_found() -> Self {
        Problem::new(&kind::NOT_FOUND, "There is nothing at this path.").into()
    }

    /// No order has this id, or none can have it.
    pub(crate) fn order_not_found() -> Self {
        Problem::new(&kind::ORDER_NOT_FOUND, "No order has this id.").into()
    }

    /// The order has no return of this id, or none can have it.
    pub(crate) fn return_not_found() -> Self {
        Problem::new(&kind::RETURN_NOT_FOUND, "The order has no return of this id.").into()
    }

    /// There is something at this path, but not with this method.
    pub(crate) fn method_not_allowed(is_replica: bool) -> Self {
        let detail = if is_replica {
            "This is a read replica: it answers GET and HEAD. Commands go to the primary."
        } else {
            "This path does not answer this method; see the Allow header."
        };
        Problem::new(&kind::METHOD_NOT_ALLOWED, detail).into()
    }

    /// The log of this replica, which may only be behind, ends before the position that the request names.
    pub(crate) fn replica_behind(last_position: Position) -> Self {
        let detail = format!("The log of this replica ends at position {last_position} so far.");
        Problem { last_position: Some(last_position.0), ..Problem::new(&kind::REPLICA_BEHIND, detail) }.into()
    }

    /// As many live feeds are open as may be.
    pub(crate) fn too_many_feeds() -> Self {
        Problem::new(&kind::OVERLOADED, "As many live feeds are open as the service allows.").into()
    }

    /// The bodies that are being read take as much memory as they may.
    pub(crate) fn too_many_bodies() -> Self {
        let detail =
            "The requests that are being read take as much memory as the service allows. Nothing happened.";
        Problem::new(&kind::OVERLOADED, detail).into()
    }

    /// The body came too slowly when others needed the memory that it took.
    pub(crate) fn body_gave_way() -> Self {
        let detail = "Nothing of the body came for a while, and other requests needed the memory that it took. Nothing happened.";
        Problem::new(&kind::OVERLOADED, detail).into()
    }

    /// The pages that are being made and sent take as much memory as they may.
    pub(crate) fn too_many_pages() -> Self {
        let detail = "The pages that are being sent take as much memory as the service allows.";
        Problem::new(&kind::OVERLOADED, detail).into()
    }

    /// It is not the turn of this client.
    pub(crate) fn no_turn(why: NoTurn) -> Self {
        let detail = match why {
            NoTurn::Over => "The service is stopping, and others were before this request. Send it again.",
            NoTurn::MayHaveLeft => {
                "The service has many such pages to make, and does not keep a place for a client that says no more. Send the request again."
            }
            NoTurn::TooLong => {
                "The service has many such pages to make, and others were before this request for too long. Send it again."
            }
        };
        Problem::new(&kind::OVERLOADED, detail).into()
    }

    /// The store is not open yet.
    pub(crate) fn starting() -> Self {
        let detail = "The service is starting, and its store is not open yet. Nothing happened; send the request again.";
        Problem::new(&kind::STORE_UNAVAILABLE, detail).into()
    }

    /// The code that answers panicked.
    pub(crate) fn panic(payload: &(dyn Any + Send), in_command: bool) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let cause = format_args!("a handler panicked: {}", text.unwrap_or("no message"));
        let detail = if in_command {
            "This is the service's fault. The command may or may not have taken effect: sending it again with the same ids is safe."
        } else {
            "This is the service's fault, and nothing was changed. The request may be sent again."
        };
        Problem { detail: detail.into(), ..hiding(Level::ERROR, &kind::INTERNAL, &cause) }.into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Problem::new(&kind::MALFORMED_REQUEST, format!("The body is not JSON: {error}.")).into()
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::OrderNotFound => Self::order_not_found(),
            QueryError::PositionAhead { last_position } => {
                let detail = format!("The log ends at position {last_position}.");
                Problem {
                    last_position: Some(last_position.0),
                    ..Problem::new(&kind::POSITION_AHEAD, detail)
                }
                .into()
            }
            QueryError::Store(error) => error.into(),
        }
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let detail = sentence(&error.to_string());
        let member = |name| Pointer::Key(&Pointer::Root, name);
        let (kind, facts) = match error {
            CommandError::Refused { error, facts } => match error {
                OrderError::NotFound => return Self::order_not_found(),
                OrderError::ReturnNotFound => return Self::return_not_found(),
                OrderError::ZeroAmount => return invalid_at(member("amount_cents"), &error),
                OrderError::WhichParcel => return invalid_at(member("tracking_number"), &error),
                OrderError::InvalidTotal(_) => return invalid_at(member("items"), &error),
                OrderError::IdReused { .. } => (&kind::ID_REUSED, facts),
                OrderError::InTheWay(obstacle) => (kind_of_obstacle(obstacle.kind), facts),
                OrderError::AmountExceedsDue { .. } => (&kind::AMOUNT_EXCEEDS_DUE, facts),
                OrderError::AmountExceedsAuthorized { .. } => (&kind::AMOUNT_EXCEEDS_AUTHORIZED, facts),
                OrderError::AmountExceedsCaptured { .. } => (&kind::AMOUNT_EXCEEDS_CAPTURED, facts),
                OrderError::QuantityExceedsAvailable { .. } => (&kind::QUANTITY_EXCEEDS_AVAILABLE, facts),
                OrderError::UnknownReference { .. } => (&kind::UNKNOWN_REFERENCE, None),
            },
            CommandError::VersionMismatch(facts) => (&kind::VERSION_MISMATCH, facts),
            CommandError::ConcurrentModification(facts) => (&kind::CONCURRENT_MODIFICATION, facts),
            CommandError::KeyReused => (&kind::IDEMPOTENCY_KEY_REUSED, None),
            CommandError::KeyInProgress => (&kind::IDEMPOTENCY_IN_PROGRESS, None),
            CommandError::Store(error) => return error.into(),
        };
        Problem::new(kind, detail).about(facts).into()
    }
}

impl From<StoreError> for Refusal {
    /// A 5xx tells the client what to do, and the log why.
    fn from(error: StoreError) -> Self {
        let (level, kind) = match error {
            // The one without a cause to hide, and the one that comes in floods: a line in the log for each would make
            // the overload worse.
            StoreError::Overloaded => {
                tracing::debug!("a request was turned away: overloaded");
                return Problem::new(&kind::OVERLOADED, kind::OVERLOADED.advice).into();
            }
            StoreError::Unavailable(_) | StoreError::DamagedView(_) => {
                (Level::ERROR, &kind::STORE_UNAVAILABLE)
            }
            StoreError::OutcomeUnknown(_) => (Level::ERROR, &kind::OUTCOME_UNKNOWN),
            StoreError::StorageFull => (Level::ERROR, &kind::STORAGE_FULL),
            StoreError::Corrupt(_) => (Level::ERROR, &kind::CORRUPT),
            // Nothing is wrong, and during an upgrade it may come often.
            StoreError::NewerRelease(_) => (Level::INFO, &kind::NEWER_RELEASE_NEEDED),
        };
        hiding(level, kind, &error).into()
    }
}

/// The kind of problem that an obstacle is.
pub(crate) fn kind_of_obstacle(obstacle: ObstacleKind) -> &'static ProblemKind {
    match obstacle {
        ObstacleKind::State => &kind::INVALID_TRANSITION,
        ObstacleKind::OnHold => &kind::ORDER_ON_HOLD,
        ObstacleKind::AlreadyShipped => &kind::ALREADY_SHIPPED,
        ObstacleKind::Full => &kind::ORDER_FULL,
    }
}

#[expect(clippy::disallowed_methods, reason = "an incident's name is for the log; no decision depends on it")]
fn hiding(level: Level, kind: &'static ProblemKind, cause: &dyn Display) -> Problem {
    let incident = Some(Uuid::new_v4().to_string());
    let hidden = Some(HiddenCause { level, text: cause.to_string() });
    Problem { incident, hidden, ..Problem::new(kind, kind.advice) }
}

/// Asks whoever sent the request to show who they are.
fn challenge(challenge: &'static str, detail: &'static str) -> Refusal {
    let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))]);
    Problem { headers, ..Problem::new(&kind::UNAUTHENTICATED, detail) }.into()
}

fn headers<const N: usize>(fields: [(HeaderName, String); N]) -> HeaderMap {
    let value = |text: String| match HeaderValue::try_from(text) {
        Ok(value) => value,
        Err(e) => unreachable!("invariant: scopes and numbers may stand in a header: {e}"),
    };
    fields.into_iter().map(|(name, text)| (name, value(text))).collect()
}

fn invalid_at(place: Pointer<'_>, error: &dyn Display) -> Refusal {
    let mut faults = Faults::default();
    faults.at(place, error.to_string());
    Refusal::invalid(faults)
}

/// Errors are phrased to stand within a sentence; a detail is one.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}
