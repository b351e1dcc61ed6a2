//! Access in the OpenAPI document.

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Paths};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

use super::responses;
use crate::access::Scope;
use crate::problem::kind::{self, ProblemKind};

/// The name under which operations refer to the scheme.
pub(super) const SCHEME: &str = "bearer";

/// How whatever takes a scope may be refused.
const REFUSALS: &[&ProblemKind] = &[&kind::UNAUTHENTICATED, &kind::FORBIDDEN, &kind::TOO_MANY_REQUESTS];

pub(super) fn bearer() -> SecurityScheme {
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some(
        "A key (`ok_…`) or a token (JWT) of an issuer that the service trusts. A service that runs without an access file, \
         as on your own machine, asks for none."
            .to_owned(),
    );
    SecurityScheme::Http(scheme)
}

/// Says of questions whom they are for.
pub(crate) fn declare_access(paths: &mut Paths, scope: Option<Scope>) {
    let Some(scope) = scope else { return };
    for (path, item) in &mut paths.paths {
        item.get.iter_mut().for_each(|operation| takes_scope(operation, path, scope));
    }
}

/// Says of an operation at a path that it takes a scope, or nothing where the service asks nobody.
///
/// The scope is no part of the requirement, as OpenAPI 3.1 would allow: tools know scopes of OAuth alone.
pub(crate) fn takes_scope(operation: &mut Operation, path: &str, scope: Scope) {
    let requirements = [SecurityRequirement::new(SCHEME, [""; 0]), SecurityRequirement::default()];
    operation.security = Some(requirements.into());
    operation.extensions = Some(Extensions::builder().add("x-scope", scope.as_str()).build());
    let description = operation.description.get_or_insert_default();
    description.push_str(&format!("\n\nTakes the scope `{scope}`."));
    let refusals = responses(&path.replace("{id}", "ord-001"), REFUSALS);
    operation.responses.responses.extend(refusals);
}
