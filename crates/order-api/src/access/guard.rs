//! What stands before every route that is not for everybody.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Extensions;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Access, AccessRequest, Caller, Credentials, NotAdmitted, Scope, Sender};
use crate::asked_by::AskedBy;
use crate::body;
use crate::refusal::Refusal;

/// Whom a route lets in.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) access: Arc<dyn Access>,
    pub(super) scope: Scope,
}

/// Hands on a request whose sender has the scope. The body of another is read as far as is needed for the client to see its
/// refusal.
pub(super) async fn check(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    match guard.check(request.headers(), request.extensions()).await {
        Ok(sender) => {
            request.extensions_mut().insert(sender);
            next.run(request).await
        }
        Err(refusal) => {
            body::drain_request(request);
            refusal.into_response()
        }
    }
}

impl Guard {
    async fn check(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Sender, Refusal> {
        let caller = admit(&*self.access, headers, extensions).await?;
        let sender = Sender::known(caller);
        sender.need(self.scope)?;
        Ok(sender)
    }
}

/// Who sends the request with this head.
///
/// # Errors
/// That they show nothing that is good, or ask too often.
pub(crate) async fn admit(
    access: &dyn Access,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Arc<Caller>, Refusal> {
    let credentials = Credentials::read(headers);
    let peer = extensions.get::<AskedBy>().map(|AskedBy(connection)| connection.address());
    let admitted = access.admit(AccessRequest { token: credentials.token(), peer, headers }).await;
    admitted.map_err(|why| match (why, credentials) {
        (NotAdmitted::Nobody, Credentials::Malformed) => Refusal::malformed_credentials(),
        (NotAdmitted::Nobody, Credentials::None | Credentials::Token(_)) => Refusal::no_credentials(),
        (NotAdmitted::BadToken(why), _) => Refusal::bad_credentials(why),
        (NotAdmitted::TooMany(exhausted), _) => Refusal::too_many_requests(exhausted),
    })
}
