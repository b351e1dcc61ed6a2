//! The way of spans to the collector: a bounded queue, and a thread with a runtime of its own that sends them in batches.
//!
//! Whoever records a span never waits: where the queue is full, since the collector is slow, hangs or is away, spans are
//! dropped and counted. A batch that is not taken is not sent again, since newer ones wait behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use order_api::{Page, Source};
use order_application::figures::Counter;
use order_application::traces::{RecordedSpan, SpanSink};
use order_application::{RepeatedFault, error_chain};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::collector::Collector;
use super::settings::TraceSettings;
use super::span_data;
use crate::thread;

/// Most spans that wait: as many as tens of thousands of requests a second come to while spans are gathered, or a few seconds of
/// what a busy server records of every hundredth request.
const QUEUE_SPANS: usize = 8_192;
/// Most spans of a batch.
const BATCH_SPANS: usize = 512;
/// How long spans are gathered that are less than a batch.
const GATHER_FOR: Duration = Duration::from_millis(200);
/// How long a process that is about to end goes on sending what is left.
const FLUSH_FOR: Duration = Duration::from_secs(2);
/// And how long it waits for the thread beyond that.
const STOPPING: Duration = Duration::from_millis(250);

/// The running thread.
pub(super) struct Exporter {
    queue: mpsc::Sender<RecordedSpan>,
    figures: Arc<SpanFigures>,
    stop: CancellationToken,
    thread: oneshot::Receiver<()>,
}

impl Exporter {
    /// Starts it.
    pub(super) fn start(settings: TraceSettings) -> anyhow::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE_SPANS);
        let (figures, stop) = (Arc::new(SpanFigures::default()), CancellationToken::new());
        let (counted, stopped) = (Arc::clone(&figures), stop.clone());
        let thread = thread::spawn("traces", move || run(settings, waiting, &counted, &stopped))?;
        Ok(Self { queue, figures, stop, thread })
    }

    /// Where spans go that are over.
    pub(super) fn sink(&self) -> Arc<dyn SpanSink> {
        Arc::new(Queue { spans: self.queue.clone(), figures: Arc::clone(&self.figures) })
    }

    /// What becomes of spans.
    pub(super) fn figures(&self) -> Arc<dyn Source> {
        Arc::clone(&self.figures) as _
    }

    /// Sends what is left, and waits for that no longer than is sensible.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // A thread that hangs ends with the process.
        let _ = timeout(FLUSH_FOR + STOPPING, self.thread).await;
    }
}

/// How many spans came to which end.
#[derive(Default)]
struct SpanFigures {
    sent: Counter,
    not_taken: Counter,
    no_room: Counter,
}

impl Source for SpanFigures {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let outcomes = [("sent", &self.sent), ("not_taken", &self.not_taken), ("no_room", &self.no_room)];
        let samples = outcomes.map(|(outcome, spans)| ([("outcome", outcome)], spans.now()));
        page.counters("order_trace_spans", "Spans of traces, by what became of them", samples)
    }
}

struct Queue {
    spans: mpsc::Sender<RecordedSpan>,
    figures: Arc<SpanFigures>,
}

impl SpanSink for Queue {
    fn take(&self, span: RecordedSpan) {
        if self.spans.try_send(span).is_err() {
            self.figures.no_room.add(1);
        }
    }
}

/// Sends spans on this thread until `stop`.
fn run(
    settings: TraceSettings,
    queue: mpsc::Receiver<RecordedSpan>,
    figures: &SpanFigures,
    stop: &CancellationToken,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "traces are not sent"),
    };
    runtime.block_on(async {
        match Collector::new(&settings) {
            Ok(collector) => {
                let (patience, fault) = (settings.timeout, RepeatedFault::default());
                Sending { collector, patience, figures, fault }.send_all(queue, stop).await;
            }
            Err(error) => tracing::error!(error = error_chain(error.as_ref()), "traces are not sent"),
        }
    });
    // What still goes on is a collector's that hangs.
    runtime.shutdown_background();
}

struct Sending<'a> {
    collector: Collector,
    /// How long a batch may take.
    patience: Duration,
    figures: &'a SpanFigures,
    fault: RepeatedFault,
}

impl Sending<'_> {
    /// Sends until `stop`, and what is left then for a moment.
    async fn send_all(&self, mut queue: mpsc::Receiver<RecordedSpan>, stop: &CancellationToken) {
        let sending = async {
            loop {
                let batch = gather(&mut queue, stop).await;
                if batch.is_empty() {
                    return;
                }
                self.send(batch).await;
            }
        };
        let over = async {
            stop.cancelled().await;
            sleep(FLUSH_FOR).await;
        };
        tokio::select! {
            () = sending => {}
            () = over => tracing::warn!("the collector did not take the last spans in time"),
        }
    }

    async fn send(&self, batch: Vec<RecordedSpan>) {
        let spans = batch.len() as u64;
        let batch = batch.into_iter().map(span_data::of).collect();
        let why = match timeout(self.patience, self.collector.take(batch)).await {
            Ok(Ok(())) => {
                self.figures.sent.add(spans);
                if let Some(batches) = self.fault.over() {
                    tracing::info!(
                        batches,
                        "the collector takes spans again; so many more batches were dropped"
                    );
                }
                return;
            }
            Ok(Err(error)) => error_chain(error.as_ref()),
            Err(_) => format!("no answer within {} ms", self.patience.as_millis()),
        };
        self.figures.not_taken.add(spans);
        if self.fault.is_news() {
            tracing::warn!(why, "the collector does not take spans; they are dropped until it does");
        }
    }
}

/// The next batch. None is left if it is empty.
async fn gather(queue: &mut mpsc::Receiver<RecordedSpan>, stop: &CancellationToken) -> Vec<RecordedSpan> {
    let mut batch = Vec::new();
    tokio::select! {
        _ = queue.recv_many(&mut batch, 1) => {}
        () = stop.cancelled() => {}
    }
    // Nobody wakes this thread meanwhile, which would cost more than a span.
    if queue.len() < BATCH_SPANS {
        stop.run_until_cancelled(sleep(GATHER_FOR)).await;
    }
    while batch.len() < BATCH_SPANS {
        let Ok(span) = queue.try_recv() else { break };
        batch.push(span);
    }
    batch
}
