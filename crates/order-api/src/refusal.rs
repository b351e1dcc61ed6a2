//! The one place that says which error is which answer.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use order_application::{CommandError, Position, QueryError, StoreError};
use order_domain::{ObstacleKind, OrderError};
use tracing::Level;
use uuid::Uuid;

use crate::json::{Faults, Pointer};
use crate::problem::kind::{self, ProblemKind};
use crate::problem::{self, HiddenCause, Problem};

/// Why a request is not answered as it hoped.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The body is not JSON.
    Malformed(serde_json::Error),
    /// The connection broke off in the body.
    BodyBroken,
    /// The body is not announced as JSON, or is compressed.
    UnsupportedMediaType,
    /// The body is longer than allowed.
    BodyTooLarge { max_bytes: usize },
    /// The body did not come in time.
    BodyTooSlow,
    /// Everything that is wrong with a request that could be read.
    Invalid(Faults),
    /// No order can have the id in the path.
    OrderNotFound,
    /// No return can have the id in the path.
    ReturnNotFound,
    /// There is nothing at this path.
    NotFound,
    /// There is, but not with this method.
    MethodNotAllowed,
    /// There is not with this method, since this is a replica.
    NotOnReplica,
    /// The log of this replica, which may only be behind, ends before the position that the request names.
    ReplicaBehind { last_position: Position },
    /// As many live feeds are open as may be.
    TooManyFeeds,
    /// The store is not open yet.
    Starting,
    /// A command was not accepted.
    Command(CommandError),
    /// A question could not be answered.
    Query(QueryError),
    /// The code that answers panicked.
    Panic { payload: Box<dyn Any + Send>, in_command: bool },
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(error) => {
                Self::new(&kind::MALFORMED_REQUEST, format!("The body is not JSON: {error}."))
            }
            Refusal::BodyBroken => Self::new(&kind::MALFORMED_REQUEST, "The body ended early."),
            Refusal::UnsupportedMediaType => {
                let detail = "The body must be sent uncompressed with Content-Type: application/json.";
                Self::new(&kind::UNSUPPORTED_MEDIA_TYPE, detail)
            }
            Refusal::BodyTooLarge { max_bytes } => {
                Self::new(&kind::BODY_TOO_LARGE, format!("The body may have at most {max_bytes} bytes."))
            }
            Refusal::BodyTooSlow => Self::new(&kind::REQUEST_TIMEOUT, "The body did not arrive in time."),
            Refusal::Invalid(faults) => invalid(faults),
            Refusal::OrderNotFound => order_not_found(),
            Refusal::ReturnNotFound => return_not_found(),
            Refusal::NotFound => Self::new(&kind::NOT_FOUND, "There is nothing at this path."),
            Refusal::MethodNotAllowed => Self::new(
                &kind::METHOD_NOT_ALLOWED,
                "This path does not answer this method; see the Allow header.",
            ),
            Refusal::NotOnReplica => Self::new(
                &kind::METHOD_NOT_ALLOWED,
                "This is a read replica: it answers GET and HEAD. Commands go to the primary.",
            ),
            Refusal::Query(QueryError::PositionAhead { last_position }) => {
                Self::new(&kind::POSITION_AHEAD, format!("The log ends at position {last_position}."))
                    .with_last_position(last_position)
            }
            Refusal::ReplicaBehind { last_position } => {
                let detail = format!("The log of this replica ends at position {last_position} so far.");
                Self::new(&kind::REPLICA_BEHIND, detail).with_last_position(last_position)
            }
            Refusal::TooManyFeeds => {
                Self::new(&kind::OVERLOADED, "As many live feeds are open as the service allows.")
            }
            Refusal::Starting => Self::new(
                &kind::STORE_UNAVAILABLE,
                "The service is starting, and its store is not open yet. Nothing happened; send the request again.",
            ),
            Refusal::Command(error) => command_problem(error),
            Refusal::Query(QueryError::OrderNotFound) => order_not_found(),
            Refusal::Query(QueryError::Store(error)) => store_problem(&error),
            Refusal::Panic { payload, in_command } => {
                let cause = format_args!("a handler panicked: {}", panic_text(&*payload));
                let problem = hidden(&kind::INTERNAL, &cause);
                problem.with_detail(if in_command { FAILED_COMMAND } else { FAILED_QUESTION })
            }
        }
    }
}

const FAILED_QUESTION: &str =
    "This is the service's fault, and nothing was changed. The request may be sent again.";
const FAILED_COMMAND: &str = "This is the service's fault. The command may or may not have taken effect: sending it again with the same ids is safe.";

fn command_problem(error: CommandError) -> Problem {
    let detail = sentence(&error.to_string());
    match error {
        CommandError::Refused { error, facts } => match error {
            OrderError::NotFound => order_not_found(),
            OrderError::ReturnNotFound => return_not_found(),
            OrderError::IdReused { .. } => Problem::new(&kind::ID_REUSED, detail).with_facts(facts),
            OrderError::InTheWay(obstacle) => {
                Problem::new(kind_of_obstacle(obstacle.kind), detail).with_facts(facts)
            }
            OrderError::AmountExceedsDue { .. } => {
                Problem::new(&kind::AMOUNT_EXCEEDS_DUE, detail).with_facts(facts)
            }
            OrderError::AmountExceedsAuthorized { .. } => {
                Problem::new(&kind::AMOUNT_EXCEEDS_AUTHORIZED, detail).with_facts(facts)
            }
            OrderError::AmountExceedsCaptured { .. } => {
                Problem::new(&kind::AMOUNT_EXCEEDS_CAPTURED, detail).with_facts(facts)
            }
            OrderError::QuantityExceedsAvailable { .. } => {
                Problem::new(&kind::QUANTITY_EXCEEDS_AVAILABLE, detail).with_facts(facts)
            }
            OrderError::UnknownReference { .. } => Problem::new(&kind::UNKNOWN_REFERENCE, detail),
            OrderError::ZeroAmount => invalid_at("amount_cents", error.to_string()),
            OrderError::WhichParcel => invalid_at("tracking_number", error.to_string()),
            OrderError::InvalidTotal(_) => invalid_at("items", error.to_string()),
        },
        CommandError::VersionMismatch(facts) => {
            Problem::new(&kind::VERSION_MISMATCH, detail).with_facts(facts)
        }
        CommandError::ConcurrentModification(facts) => {
            Problem::new(&kind::CONCURRENT_MODIFICATION, detail).with_facts(facts)
        }
        CommandError::Store(error) => store_problem(&error),
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

fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Overloaded => overloaded(),
        StoreError::Unavailable(_) | StoreError::DamagedView(_) => hidden(&kind::STORE_UNAVAILABLE, error),
        StoreError::OutcomeUnknown(_) => hidden(&kind::OUTCOME_UNKNOWN, error),
        StoreError::StorageFull => hidden(&kind::STORAGE_FULL, error),
        StoreError::Corrupt(_) => hidden(&kind::CORRUPT, error),
        // Nothing is wrong, and during an upgrade it may come often.
        StoreError::NewerRelease(_) => hidden_at(Level::INFO, &kind::NEWER_RELEASE_NEEDED, error),
    }
}

/// A 5xx tells the client what to do, and the log why.
fn hidden(kind: &'static ProblemKind, cause: &dyn std::fmt::Display) -> Problem {
    hidden_at(Level::ERROR, kind, cause)
}

#[expect(clippy::disallowed_methods, reason = "an incident's name is for the log; no decision depends on it")]
fn hidden_at(level: Level, kind: &'static ProblemKind, cause: &dyn std::fmt::Display) -> Problem {
    let hidden = HiddenCause { incident: Uuid::new_v4(), level, text: cause.to_string() };
    Problem::new(kind, kind.advice).hiding(hidden)
}

/// The one 5xx without a cause to hide, and the one that comes in floods: a line in the log for each would make the
/// overload worse.
fn overloaded() -> Problem {
    tracing::debug!("a request was turned away: overloaded");
    Problem::new(&kind::OVERLOADED, kind::OVERLOADED.advice)
}

fn order_not_found() -> Problem {
    Problem::new(&kind::ORDER_NOT_FOUND, "No order has this id.")
}

fn return_not_found() -> Problem {
    Problem::new(&kind::RETURN_NOT_FOUND, "The order has no return of this id.")
}

fn invalid(faults: Faults) -> Problem {
    Problem::new(&kind::VALIDATION_FAILED, faults.summary()).with_faults(faults)
}

fn invalid_at(member: &'static str, detail: String) -> Problem {
    let mut faults = Faults::default();
    faults.at(Pointer::Key(&Pointer::Root, member), detail);
    invalid(faults)
}

/// Errors are phrased to stand within a sentence; a detail is one.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl IntoResponse for Refusal {
    /// A stand-in that carries the problem to the edge, which knows the path that it is about.
    fn into_response(self) -> Response {
        problem::carry(self.into())
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error)
    }
}
