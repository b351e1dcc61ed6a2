//! Routes that say whom they are for. There is no other way to add one.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::guard::{self, Guard};
use super::{Access, Scope};
use crate::command::{self, CommandRoute};
use crate::{Api, openapi};

/// A question: where it is, how it is answered, how it is described, and whom it is for.
pub(crate) struct Question {
    scope: Option<Scope>,
    route: UtoipaMethodRouter<Api>,
}

impl Question {
    /// One for those who have the scope.
    pub(crate) fn of(scope: Scope, route: UtoipaMethodRouter<Api>) -> Self {
        Self { scope: Some(scope), route }
    }

    /// One for everybody.
    pub(crate) fn of_everybody(route: UtoipaMethodRouter<Api>) -> Self {
        Self { scope: None, route }
    }
}

/// Routes with their document.
pub(crate) struct Routes {
    router: OpenApiRouter<Api>,
    access: Option<Arc<dyn Access>>,
}

impl Routes {
    pub(crate) fn new(document: OpenApi, access: Option<Arc<dyn Access>>) -> Self {
        Self { router: OpenApiRouter::with_openapi(document), access }
    }

    /// Adds a question.
    pub(crate) fn question(self, Question { scope, route }: Question) -> Self {
        let (schemas, mut paths, route) = route;
        openapi::declare_access(&mut paths, scope);
        let route = match scope {
            Some(scope) => self.guarded(scope, route),
            None => route,
        };
        Self { router: self.router.routes((schemas, paths, route)), access: self.access }
    }

    /// Adds a command.
    pub(crate) fn command<B: Send>(mut self, route: &'static CommandRoute<B>) -> Self {
        command::describe(route, self.router.get_openapi_mut());
        let handler = self.guarded(route.scope, command::handler(route));
        Self { router: self.router.route(route.path, handler), access: self.access }
    }

    /// Adds a path that answers no method.
    pub(crate) fn without_methods(self, path: &str) -> Self {
        Self { router: self.router.route(path, MethodRouter::new()), access: self.access }
    }

    /// Adds pages for everybody, which the document leaves out.
    pub(crate) fn pages(self, pages: Router<Api>) -> Self {
        Self { router: self.router.merge(pages.into()), access: self.access }
    }

    pub(crate) fn into_router(self) -> Router<Api> {
        self.router.into()
    }

    pub(crate) fn into_openapi(self) -> OpenApi {
        self.router.into_openapi()
    }

    /// Other methods than those of the route are refused to everybody.
    fn guarded(&self, scope: Scope, route: MethodRouter<Api>) -> MethodRouter<Api> {
        match &self.access {
            Some(access) => {
                let guard = Guard { access: Arc::clone(access), scope };
                route.route_layer(from_fn_with_state(guard, guard::check))
            }
            None => route,
        }
    }
}
