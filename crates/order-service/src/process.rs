//! What every process that serves has in common: what it answers while it starts, its first line, and how it is told to stop.

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use order_api::{Access, ApiConfig, Metrics, StoreSource};
use order_application::traces::Tracer;
use order_application::{
    EventBus, Lifecycle, OrderService, ReadyChecks, ReadyDetails, ServiceLimits, SystemClock, UuidV7Ids,
    ViewRepair, ViewsProgress, error_chain,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::access::FileAccess;
use crate::background::{Background, Upkeep};
use crate::config::{Bounds, ListenOptions, StopOptions};
use crate::metrics::{AccessSource, BuildSource, ConnectionSource, ProcessSource};
use crate::open_store::Store;
use crate::operators::Operators;
use crate::output;
use crate::server::{self, Server};
use crate::stop_signal::{Stop, StopSignal};
use crate::{service_manager, thread};

/// Threads that scan the store for readers; more would only wait for the same disk.
const MAX_BLOCKING_THREADS: usize = 16;

/// The runtime of every command.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .context("cannot start the runtime")
}

/// Runs a process that serves. Once that has ended, nobody waits for what a disk that does not answer still holds up: the
/// store is closed by then.
pub(crate) fn run(serving: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    let ended = runtime.block_on(serving);
    runtime.shutdown_background();
    ended
}

/// A process that answers requests from its start until it is told to stop.
pub(crate) struct Process {
    stop: StopSignal,
    server: Server,
    operators: Option<Operators>,
    /// Where a store that is being opened tells how far it is.
    pub(crate) views_progress: ViewsProgress,
    /// Cancelled when the process is to stop.
    pub(crate) shutdown: CancellationToken,
    /// What `/metrics` shows, from the start.
    pub(crate) metrics: Metrics,
    bounds: Bounds,
    stopping: StopOptions,
    access: Option<Arc<dyn Access>>,
    is_encrypted: bool,
}

impl Process {
    /// Takes the address, and answers there that it is starting; a command will wait in the store's queue for `queue_wait` at
    /// most. From now on the file with the rules of `access` is looked at.
    pub(crate) async fn start(
        listening: &ListenOptions,
        bounds: Bounds,
        queue_wait: Duration,
        stopping: StopOptions,
        access: Option<Arc<FileAccess>>,
    ) -> anyhow::Result<Self> {
        // Signals count from the start: a stop that comes while the store opens is not lost.
        let stop = StopSignal::listen()?;
        let tls = match listening.tls_files() {
            Some(files) => Some(files.start().await?),
            None => None,
        };
        let is_encrypted = tls.is_some();
        let listeners = listening.listen.bind().map_err(anyhow::Error::msg)?;
        let limits = bounds.server(queue_wait);
        let limits = server::within_descriptors(limits);
        let views_progress = ViewsProgress::default();
        let shutdown = CancellationToken::new();
        if let Some(access) = access.clone() {
            tokio::spawn(access.follow(shutdown.clone()));
        }
        let metrics = Metrics::default();
        metrics.add(Arc::new(AccessSource(access.clone())));
        let access = access.map(|access| access as Arc<dyn Access>);
        metrics.add(Arc::new(BuildSource));
        metrics.add(Arc::new(ProcessSource::new()));
        let starting = order_api::starting(views_progress.clone(), metrics.clone(), access.clone());
        let operators = listening
            .operate_listen
            .map(|address| Operators::start(address, starting.clone(), limits))
            .transpose()?;
        if let Some(tls) = &tls {
            metrics.add(Arc::new(tls.clone()));
        }
        let server = Server::start(listeners, tls, starting, limits);
        metrics.add(Arc::new(ConnectionSource(server.admission())));
        Ok(Self {
            stop,
            server,
            operators,
            metrics,
            views_progress,
            shutdown,
            bounds,
            stopping,
            access,
            is_encrypted,
        })
    }

    /// Does what has to be done before requests can be served. `None`: the process was told to stop first.
    pub(crate) async fn before_serving<T>(
        &mut self,
        doing: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<Option<T>> {
        tokio::select! {
            done = doing => done.map(Some),
            stop = self.stop.received() => {
                tracing::info!(signal = stop.name(), "stopping: the store is not open yet");
                // Nothing is in flight but answers that it is starting.
                _ = tokio::time::timeout(self.stopping.grace_seconds, self.server.drain()).await;
                Ok(None)
            }
        }
    }

    /// Serves from the store until it is told to stop or the store cannot go on. The store is still open afterwards. A replica
    /// needs no upkeep: what orders do by themselves its primary does.
    pub(crate) async fn serve(
        mut self,
        store: &Arc<dyn Store>,
        bus: Arc<dyn EventBus>,
        scrub_rate: u32,
        upkeep: Option<Upkeep>,
        api: ApiConfig,
    ) -> ExitCode {
        self.metrics.add(Arc::new(StoreSource(store.clone())));
        let leaving = CancellationToken::new();
        let mut api = self.configured(api, store, &leaving);
        let service = OrderService::new(
            store.clone(),
            store.clone(),
            store.clone(),
            bus,
            Arc::new(SystemClock),
            Arc::new(UuidV7Ids),
            ServiceLimits::default(),
        );
        let background = self.begin_background(&service, store, scrub_rate, upkeep, api.tracer.as_ref());
        api.ready_details.extend(background.iter().filter_map(|running| running.shown.clone()));
        let router = order_api::router(service, api);
        if let Some(operators) = &self.operators {
            operators.serve(router.clone());
        }
        self.server.serve(router);
        announce(self.server.port());
        service_manager::ready();
        let code = self.stopped(store, &leaving).await;
        for running in background {
            running.ended().await;
        }
        code
    }

    /// The same, with what the API has to know of this process and its store.
    fn configured(&self, api: ApiConfig, store: &Arc<dyn Store>, leaving: &CancellationToken) -> ApiConfig {
        let mut ready_details = api.ready_details;
        ready_details.push(Arc::new(Leaving(leaving.clone())));
        ready_details.push(Arc::new(store.clone() as Arc<dyn ViewRepair>));
        ApiConfig {
            ready_details,
            shutdown: self.shutdown.clone(),
            metrics: self.metrics.clone(),
            access: self.access.clone(),
            is_encrypted: self.is_encrypted,
            body_timeout: self.bounds.body_timeout_seconds,
            max_open_body_bytes: self.bounds.max_open_body_bytes,
            max_open_page_bytes: self.bounds.max_open_page_bytes,
            max_feeds: self.bounds.max_feeds,
            ..api
        }
    }

    /// Starts what runs beside requests.
    fn begin_background(
        &self,
        service: &OrderService,
        store: &Arc<dyn Store>,
        scrub_rate: u32,
        upkeep: Option<Upkeep>,
        tracer: Option<&Tracer>,
    ) -> Vec<Background> {
        let scrubber =
            NonZeroU32::new(scrub_rate).map(|rate| Background::scrubber(rate, store, &self.shutdown));
        let upkeep = upkeep.into_iter().flat_map(|upkeep| {
            let (service, tracer) = (service.clone(), tracer.cloned());
            let timers = Background::timers(upkeep.clock_pause, service, store, tracer, &self.shutdown);
            [timers, Background::receipt_trimmer(upkeep, store, &self.metrics, &self.shutdown)]
        });
        let shop = Background::shop_watch(store, &self.metrics, &self.shutdown);
        scrubber.into_iter().chain(upkeep).chain([shop]).collect()
    }

    /// Waits for the end. What would never end by itself is ended, and the rest has the grace time to finish.
    async fn stopped(&mut self, store: &Arc<dyn Store>, leaving: &CancellationToken) -> ExitCode {
        let code = tokio::select! {
            () = self.left(leaving) => ExitCode::SUCCESS,
            why = store.stopped() => {
                tracing::error!(%why, "stopping: the store cannot go on");
                ExitCode::FAILURE
            }
        };
        service_manager::stopping();
        self.shutdown.cancel();
        if tokio::time::timeout(self.stopping.grace_seconds, self.server.drain()).await.is_err() {
            tracing::warn!("the grace time is over; what is still in flight is cut off");
        }
        code
    }

    /// Waits until it is told to stop, and then until nobody sends requests here any more, who is told that none should come.
    async fn left(&mut self, leaving: &CancellationToken) {
        let stop = self.stop.received().await;
        leaving.cancel();
        let drain_delay = self.stopping.drain_delay_seconds;
        if !drain_delay.is_zero() {
            let (signal, drain_delay_seconds) = (stop.name(), drain_delay.as_secs());
            tracing::info!(
                signal,
                drain_delay_seconds,
                "stopping soon: /ready says no, and requests are served on; another Ctrl+C or SIGTERM stops at once"
            );
            tokio::time::sleep(drain_delay).await;
        }
        self.tell_what_is_waited_for(stop);
    }

    fn tell_what_is_waited_for(&self, stop: Stop) {
        let (signal, requests) = (stop.name(), self.server.requests_in_flight());
        tracing::info!(
            signal,
            requests,
            grace_seconds = self.stopping.grace_seconds.as_secs(),
            "stopping: finishing what is in flight; another Ctrl+C or SIGTERM stops at once"
        );
    }
}

/// Makes `/ready` say no from the moment at which the process is told to stop.
struct Leaving(CancellationToken);

impl ReadyDetails for Leaving {
    fn is_ready(&self) -> bool {
        !self.0.is_cancelled()
    }

    fn add_to(&self, checks: &mut ReadyChecks) {
        if self.0.is_cancelled() {
            checks.lifecycle = Lifecycle::Draining;
        }
    }
}

/// The line that scripts wait for. One that is not read, or cannot be written, keeps nobody from being served.
fn announce(port: u16) {
    let print = move || {
        if let Err(error) = output::print(&format!("order-service listening on :{port}")) {
            tracing::warn!("{}", error_chain(error.as_ref()));
        }
    };
    if let Err(error) = thread::spawn("announcing", print) {
        tracing::warn!("{}", error_chain(error.as_ref()));
    }
}
