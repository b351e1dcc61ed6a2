//! The way to standard error: a thread of its own writes there, so that nobody else ever waits for whoever reads it. What
//! is not read in time is lost, counted, and told once somebody reads again.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most that waits to be written: thousands of lines.
const MAX_WAITING_BYTES: usize = 1024 * 1024;
/// How long the end of the process waits for what was said before it.
const MAX_FLUSH: Duration = Duration::from_secs(1);

static STANDARD_ERROR: LazyLock<Arc<Lines>> = LazyLock::new(|| {
    let lines = Arc::<Lines>::default();
    let writing = Arc::clone(&lines);
    // Without it nothing can be said, also not why.
    let _ = std::thread::Builder::new()
        .name("standard-error".to_owned())
        .spawn(move || writing.write_out(&mut io::stderr(), tell_lost));
    lines
});

/// Has bytes written, whole lines of them, and does not wait for it.
pub(super) fn say(lines: &[u8]) {
    STANDARD_ERROR.push(lines);
}

/// Waits until all that was said is written, but no longer than is sensible.
pub(super) fn flush() {
    STANDARD_ERROR.flush(MAX_FLUSH);
}

fn tell_lost(lines: u64) {
    tracing::error!(lines, "lines of this output are lost: nobody has read it in time");
}

/// Each event is one write.
pub(super) struct LogLine;

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        say(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Lines {
    state: Mutex<LinesState>,
    changed: Condvar,
}

#[derive(Default)]
struct LinesState {
    waiting: Vec<u8>,
    /// Lines that found no room, and that nobody was told of.
    lost: u64,
    is_writing: bool,
}

impl Lines {
    fn push(&self, lines: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() + lines.len() > MAX_WAITING_BYTES {
            state.lost += 1;
        } else {
            state.waiting.extend_from_slice(lines);
            self.changed.notify_all();
        }
    }

    /// Writes what comes, for ever, and tells how many lines were lost whenever that has been written which kept them out.
    fn write_out(&self, out: &mut impl Write, tell_lost: impl Fn(u64)) {
        let mut taken = Vec::new();
        loop {
            let lost = self.take(&mut taken);
            // To one that is closed there is nothing to say.
            let _ = out.write_all(&taken).and_then(|()| out.flush());
            taken.clear();
            if lost > 0 {
                tell_lost(lost);
            }
        }
    }

    /// Takes all that waits, once there is something, and how many lines were lost behind it.
    fn take(&self, taken: &mut Vec<u8>) -> u64 {
        let mut state = self.state();
        state.is_writing = false;
        self.changed.notify_all();
        while state.waiting.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_writing = true;
        std::mem::swap(&mut state.waiting, taken);
        std::mem::take(&mut state.lost)
    }

    fn flush(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        let mut state = self.state();
        while state.is_writing || !state.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, LinesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
