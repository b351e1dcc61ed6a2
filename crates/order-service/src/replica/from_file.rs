//! `--from-file`: what the broker's history does not reach back to.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use order_application::cloud_event::{self, PublishedEvent};
use order_application::{Import, ReplicaLimits, ReplicaStore};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::progress::Progress;

/// Longest line: an event, with room for what makes JSON longer than its text.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1024;
/// Lines between two looks at the clock.
const SHOW_EVERY: u64 = 1_000;

/// Adds the events of a file that the store does not have yet. Each line is one CloudEvent as JSON.
pub(super) async fn import(path: &Path, store: Arc<dyn ReplicaStore>) -> anyhow::Result<()> {
    let name = path.display();
    let file = File::open(path).await.with_context(|| format!("cannot open {name}"))?;
    let total = file.metadata().await.with_context(|| format!("cannot look at {name}"))?.len();
    let mut lines = BufReader::with_capacity(READ_BYTES, file);
    let mut import = Import::begin(store, ReplicaLimits::default()).await?;
    let mut progress = Progress::begin("reading");
    let (mut number, mut bytes, mut line) = (0_u64, 0_u64, Vec::new());
    loop {
        line.clear();
        number += 1;
        let read = (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await;
        let length = read.with_context(|| format!("cannot read {name}"))? as u64;
        if length == 0 {
            break;
        }
        bytes += length;
        if line.last() != Some(&b'\n') && length == MAX_LINE_BYTES {
            bail!("{name}, line {number}: longer than an event can be");
        }
        let event = read_event(&line).with_context(|| format!("{name}, line {number}"))?;
        import.add(event).await.with_context(|| format!("{name}, line {number}"))?;
        if number % SHOW_EVERY == 0 {
            progress.show("reading", bytes, total);
        }
    }
    let imported = import.finish().await.with_context(|| format!("{name}, at its end"))?;
    progress.finish();
    tracing::info!(file = %name, added = imported.added, known = imported.known, "events were read from the file");
    Ok(())
}

fn read_event(line: &[u8]) -> anyhow::Result<PublishedEvent> {
    let text = str::from_utf8(line).map_err(|_| anyhow!("not UTF-8"))?;
    Ok(cloud_event::read_json(text)?)
}
