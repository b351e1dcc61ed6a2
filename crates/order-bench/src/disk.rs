//! The limit for every durable write: the disk itself.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::interrupt;
use crate::load::Histogram;
use crate::report::Figures;

/// A page of SQLite's, the least that a commit writes.
const WRITE_BYTES: usize = 4096;
/// How long the file is that is written over; when its end is reached, writing goes on at its beginning.
const OVERWRITTEN_BYTES: u64 = 64 * 1024 * 1024;

/// Where the writes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// To the end of a growing file: each sync also writes the file's new length.
    Append,
    /// Over a file that has its length and its blocks.
    Overwrite,
}

/// Writes 4 KiB and waits for `fdatasync`, over and over, on the disk of this directory.
pub(crate) fn write_and_sync(dir: &Path, pattern: Pattern, time: Duration) -> Result<Figures> {
    let file = tempfile::tempfile_in(dir).context("make a file to write to")?;
    if pattern == Pattern::Overwrite {
        fill(&file)?;
    }
    let block = [0x5a; WRITE_BYTES];
    let mut latency = Histogram::new();
    let mut offset = 0;
    let begin = Instant::now();
    let mut write_begin = begin;
    while write_begin - begin < time {
        interrupt::check()?;
        file.write_all_at(&block, offset)?;
        file.sync_data()?;
        let write_end = Instant::now();
        latency.record(write_end - write_begin);
        write_begin = write_end;
        offset += WRITE_BYTES as u64;
        if pattern == Pattern::Overwrite {
            offset %= OVERWRITTEN_BYTES;
        }
    }
    Ok(Figures::of_latencies(&latency, write_begin - begin))
}

/// Real zeros, not `fallocate`: the first write to a block that is only reserved changes metadata too.
fn fill(file: &File) -> Result<()> {
    let zeros = vec![0; 1024 * 1024];
    for megabyte in 0..OVERWRITTEN_BYTES / zeros.len() as u64 {
        file.write_all_at(&zeros, megabyte * zeros.len() as u64)?;
    }
    Ok(file.sync_all()?)
}
