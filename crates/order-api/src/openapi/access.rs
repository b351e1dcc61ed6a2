//! Access in the OpenAPI document.

use utoipa::openapi::path::Paths;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

use super::responses;
use crate::access::Scope;
use crate::problem::kind::{self, ProblemKind};

/// The name under which operations refer to the scheme.
pub(super) const SCHEME: &str = "bearer";

/// How whatever takes a scope may be refused.
pub(crate) const REFUSALS_OF_ACCESS: &[&ProblemKind] =
    &[&kind::UNAUTHENTICATED, &kind::FORBIDDEN, &kind::TOO_MANY_REQUESTS];

pub(super) fn bearer() -> SecurityScheme {
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some(
        "A key (`ok_…`) or a token (JWT) of an issuer that the service trusts. A service that runs without an access file, \
         as on your own machine, asks for none."
            .to_owned(),
    );
    SecurityScheme::Http(scheme)
}

/// What an operation takes: the scope, or nothing where the service asks nobody.
pub(crate) fn required(scope: Scope) -> [SecurityRequirement; 2] {
    [SecurityRequirement::new(SCHEME, [scope.as_str()]), SecurityRequirement::default()]
}

/// Says of questions whom they are for.
pub(crate) fn declare_access(paths: &mut Paths, scope: Option<Scope>) {
    let Some(scope) = scope else { return };
    for (path, item) in &mut paths.paths {
        for operation in item.get.iter_mut() {
            operation.security = Some(required(scope).into());
            let refusals = responses(&path.replace("{id}", "ord-001"), REFUSALS_OF_ACCESS);
            operation.responses.responses.extend(refusals);
        }
    }
}
