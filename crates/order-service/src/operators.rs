//! `--operate-listen`: an address for operators, which answers whatever clients do at the other one.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::runtime::{Handle, Runtime};

use crate::listen::ListenAddress;
use crate::server::{Limits, Server};

/// Connections of operators at once.
const PLACES: usize = 64;
/// What their answers may take that they have not taken, besides what clients' answers may.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The server at that address. It has a thread of its own, so that it waits for none of the service's.
pub(crate) struct Operators {
    server: Server,
    /// Where the service itself runs.
    service: Handle,
    runtime: Option<Runtime>,
}

impl Operators {
    /// Takes the address, and answers there that the service is starting.
    pub(crate) fn start(address: ListenAddress, starting: Router, limits: Limits) -> anyhow::Result<Self> {
        let service = Handle::current();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("operators")
            .enable_all()
            .build()
            .context("cannot start the operators' thread")?;
        let bound = {
            let _entered = runtime.enter();
            address.bind()
        };
        let listeners = match bound {
            Ok(listeners) => listeners,
            Err(why) => {
                // Dropped here, where the service's own is running, it would panic instead of telling why.
                runtime.shutdown_background();
                return Err(anyhow::Error::msg(why));
            }
        };
        let server = {
            let _entered = runtime.enter();
            let starting = order_api::operators(starting, service.clone());
            Server::start(
                listeners,
                None,
                starting,
                // What they ask for is answered at once, so that whoever is not at work needs no place.
                Limits {
                    connections: PLACES,
                    waiting: 0,
                    answer_bytes: ANSWER_BYTES,
                    least_stillness: Duration::ZERO,
                    ..limits
                },
            )
        };
        tracing::info!(port = server.port(), "operators are answered");
        Ok(Self { server, service, runtime: Some(runtime) })
    }

    /// From now on `/ready` is what `router` says.
    pub(crate) fn serve(&self, router: Router) {
        self.server.serve(order_api::operators(router, self.service.clone()));
    }
}

impl Drop for Operators {
    /// It answers as long as the service is there, and nobody waits for its clients.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
