//! The one way in for commands over HTTP. A file under `routes` says what is particular to a command; what all of them
//! need is here: the body off the wire, its faults, `Idempotency-Key`, `If-Match`, the correlation id, the answer.

mod dry_run;
pub(crate) mod idempotency_key;
mod operation;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use order_application::{AnswerKind, ClaimedKey, CommandMeta, CommandOutcome, Version};
use order_domain::{OrderCommand, OrderId, ReturnId};
use tracing::Span;

use crate::access::{Scope, Sender};
use crate::asked_by::{AskedBy, InLine};
use crate::config::ApiConfig;
use crate::json::{self, Object, Pointer, Shape, Value};
use crate::path_id::{PathOrderId, PathReturnId};
use crate::problem::kind::ProblemKind;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::trace::{self, RequestSpan};
use crate::{Api, answer, body, etag};

pub(crate) use operation::describe;

/// What is particular to a command over HTTP.
pub(crate) struct CommandRoute<B: 'static> {
    pub(crate) path: &'static str,
    /// Who may send it.
    pub(crate) scope: Scope,
    /// What clients that are generated from the OpenAPI document call it.
    pub(crate) operation_id: &'static str,
    pub(crate) summary: &'static str,
    /// Markdown.
    pub(crate) description: &'static str,
    pub(crate) body: Object<B>,
    /// Whether no body at all counts as `{}`.
    pub(crate) body_may_be_missing: bool,
    pub(crate) target: Target<B>,
    /// How it may be refused, besides what every command may meet.
    pub(crate) refusals: &'static [&'static ProblemKind],
}

/// What a command is for, and how it is made of its body.
pub(crate) enum Target<B> {
    /// A new order, under the id that its body may name; the answer is 201.
    NewOrder { id: fn(&B) -> Option<OrderId>, command: fn(B, &ApiConfig) -> OrderCommand },
    /// The order that the path names; the answer is 202.
    Order(fn(B) -> OrderCommand),
    /// A return of the order, both named by the path; the answer is 202.
    Return(fn(B, ReturnId) -> OrderCommand),
}

/// What carries a command out.
pub(crate) fn handler<B: Send>(route: &'static CommandRoute<B>) -> MethodRouter<Api> {
    post(move |State(api): State<Api>, ids: PathIds, sender: Sender, request: Request| async move {
        let carried_out = carry_out(route, &api, ids, &sender, request).await;
        carried_out.map_err(|refusal| if sender.sees_orders() { refusal } else { refusal.about_no_order() })
    })
}

type PathIds = (PathOrderId, PathReturnId);

async fn carry_out<B>(
    route: &CommandRoute<B>,
    api: &Api,
    (order_id, return_id): PathIds,
    sender: &Sender,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts, body, route.body_may_be_missing, api).await?;
    let asked_by = parts.extensions.get::<AskedBy>();
    let order_in_path = match route.target {
        Target::NewOrder { .. } => None,
        Target::Order(_) | Target::Return(_) => Some(order_id.get()?),
    };
    let mut query = Query::new(parts.uri.query());
    let dry_run = query.flag("dry_run");
    if dry_run {
        // It shows the order.
        sender.need(Scope::Read)?;
    }
    // What is only tried has no answer that could be kept.
    let key = if dry_run { None } else { idempotency_key::read(&parts.headers, sender.owner())? };
    let claim = match key {
        None => None,
        Some(key) => {
            let ids = (order_in_path.as_ref(), return_id.as_ref());
            let fingerprint = idempotency_key::fingerprint(route.path, ids, &parts, &bytes);
            let claimed = {
                // Mostly for another request with the key.
                let _in_line = InLine::begin(asked_by);
                let from = asked_by.map(|asked_by| asked_by.asker().network);
                api.service.claim(key, fingerprint, from).await?
            };
            match claimed {
                ClaimedKey::Answered(outcome) => {
                    let is_first = outcome.version == Version::NONE.plus(1);
                    return Ok(shown_to(sender, is_first, answer(&outcome)));
                }
                ClaimedKey::New(claim) => Some(claim),
            }
        }
    };
    let (body, meta) = read(&route.body, &parts, &bytes, query)?;
    let waiting = asked_by.map(AskedBy::waiting);
    let meta = CommandMeta { actor: sender.name(), trace: trace::of_command(&parts), waiting, ..meta };
    // Others may need the room while the command is carried out.
    drop(bytes);
    let (order_id, command) = match route.target {
        Target::NewOrder { id, command } => (id(&body), command(body, &api.config)),
        Target::Order(command) => (order_in_path, command(body)),
        Target::Return(command) => (order_in_path, command(body, return_id.get()?)),
    };
    if dry_run {
        return Ok(dry_run::tried(&api.service.dry_run(order_id, command, meta).await?));
    }
    let outcome = api.service.execute_claimed(claim, order_id, command, meta).await?;
    if let (Target::NewOrder { .. }, Some(recorded)) = (&route.target, parts.extensions.get::<RequestSpan>())
    {
        recorded.is_about(outcome.order_id.as_str());
    }
    Ok(shown_to(sender, outcome.appended, answer(&outcome)))
}

/// Leaves out what tells what others have done with the order since, if the sender may not know that.
fn shown_to(sender: &Sender, is_own_version: bool, mut response: Response) -> Response {
    if !is_own_version && !sender.sees_orders() {
        response.headers_mut().remove(header::ETAG);
    }
    response
}

/// Reads the body by its shape, and what comes with every command.
fn read<B>(
    shape: &Object<B>,
    parts: &Parts,
    bytes: &[u8],
    query: Query<'_>,
) -> Result<(B, CommandMeta), Refusal> {
    let json = json::parse(bytes)?;
    let mut faults = query.into_faults();
    let meta = CommandMeta {
        correlation_id: trace::correlation_id(&parts.headers).map(Arc::from),
        if_match: etag::if_match(&parts.headers, &mut faults),
        ..CommandMeta::default()
    };
    match shape.read(Value { json: &json, at: Pointer::Root }, &mut faults) {
        Some(body) if faults.is_empty() => Ok((body, meta)),
        Some(_) | None => Err(Refusal::invalid(faults)),
    }
}

/// What an accepted command is answered with, now or again.
fn answer(outcome: &CommandOutcome) -> Response {
    Span::current().record("order_id", outcome.order_id.as_str());
    match outcome.answer {
        AnswerKind::Placed => placed(outcome),
        AnswerKind::Accepted => accepted(StatusCode::ACCEPTED, outcome, ACCEPTED),
    }
}

const ACCEPTED: Bytes = Bytes::from_static(br#"{"status":"accepted"}"#);

fn placed(outcome: &CommandOutcome) -> Response {
    // An order id needs no escaping, neither in JSON nor in a path nor in a header.
    let id = outcome.order_id.as_str();
    let body = Bytes::from([r#"{"order_id":""#, id, r#""}"#].concat());
    let mut response = accepted(StatusCode::CREATED, outcome, body);
    match HeaderValue::from_maybe_shared(Bytes::from(["/orders/", id].concat())) {
        Ok(location) => response.headers_mut().insert(header::LOCATION, location),
        Err(e) => unreachable!("invariant: order ids are made of characters that headers allow: {e}"),
    };
    response
}

/// Tells a client that it has been here before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a command is answered with that was accepted.
fn accepted(status: StatusCode, outcome: &CommandOutcome, body: Bytes) -> Response {
    let mut response = answer::json(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::ETAG, etag::of(outcome.version));
    if !outcome.appended {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
