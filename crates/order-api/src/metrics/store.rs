use std::fmt;
use std::sync::Arc;

use order_application::figures::{
    DiskFigures, MeasuredStore, PoolFigures, QueueFigures, StoreFigures, WritingFigures,
};

use super::Source;
use super::page::Page;

const MICROS_PER_SECOND: f64 = 1e6;

/// The store, as it says that it is.
pub struct StoreSource(pub Arc<dyn MeasuredStore>);

impl Source for StoreSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let StoreFigures { writing, queue, views_lag, pool, disk } = self.0.figures();
        if let Some(writing) = writing {
            write_writing(page, writing, pool)?;
        }
        if let Some(queue) = queue {
            write_queue(page, queue)?;
        }
        if let Some(lag) = views_lag {
            let help = "Events that the file of views does not have yet; reads miss none of them";
            page.gauge("order_views_lag_events", help, lag)?;
        }
        pool.map_or(Ok(()), |pool| write_pool(page, pool))?;
        disk.map_or(Ok(()), |disk| write_disk(page, disk))
    }
}

fn write_writing(page: &mut Page<'_>, writing: &WritingFigures, pool: Option<PoolFigures>) -> fmt::Result {
    let (batches, commits) = (writing.batch_appends.now(), writing.commit_micros.now());
    page.histograms(
        "order_store_batch_appends",
        "How many appends were committed together",
        1.0,
        [([], batches)],
    )?;
    page.histograms(
        "order_store_commit_seconds",
        "How long commits took that succeeded, until they were durable",
        MICROS_PER_SECOND,
        [([], commits)],
    )?;
    let writers = writing.shed_so_far().map(|(why, count)| (why.as_str(), count));
    let readers = pool.map(|pool| ("no_connection", pool.refused));
    page.counters(
        "order_store_shed",
        "What the store refused as overloaded, and why",
        writers.chain(readers).map(|(why, count)| ([("reason", why)], count)),
    )
}

fn write_queue(page: &mut Page<'_>, queue: QueueFigures) -> fmt::Result {
    let QueueFigures { requests, bytes, max_requests, max_bytes } = queue;
    page.gauge("order_store_queue_appends", "Appends that wait for the store's writer", requests)?;
    page.gauge("order_store_queue_max_appends", "Most appends that may wait", max_requests)?;
    page.gauge("order_store_queue_bytes", "Bytes of events that wait for the store's writer", bytes)?;
    page.gauge("order_store_queue_max_bytes", "Most bytes of events that may wait", max_bytes)
}

fn write_disk(page: &mut Page<'_>, disk: DiskFigures) -> fmt::Result {
    let DiskFigures { free_bytes, bytes } = disk;
    page.gauge(
        "order_store_disk_free_bytes",
        "What may still be written to the disk of the store's files",
        free_bytes,
    )?;
    page.gauge("order_store_disk_bytes", "The size of the disk of the store's files", bytes)
}

fn write_pool(page: &mut Page<'_>, pool: PoolFigures) -> fmt::Result {
    let PoolFigures { in_use, idle, waiting, max, refused: _ } = pool;
    let connections = [([("state", "in_use")], in_use), ([("state", "idle")], idle)];
    page.gauges("order_store_connections", "Connections to the database for reads", connections)?;
    page.gauge("order_store_max_connections", "Most connections to the database for reads", max)?;
    page.gauge("order_store_connection_waiters", "Reads that wait for a connection to the database", waiting)
}
