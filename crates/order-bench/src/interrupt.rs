//! Ctrl+C and SIGTERM end a benchmark the way an error does: servers are stopped and scratch files removed on the way
//! out, because every wait in this program asks here whether to go on.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: Mutex<bool> = Mutex::new(false);
static WAKE: Condvar = Condvar::new();

/// Begins to listen for Ctrl+C and SIGTERM, on a thread of its own. A second signal ends the program at once; the
/// servers then die with it (see [`crate::server`]).
pub(crate) fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            for again in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if again {
                    std::process::exit(130);
                }
                *INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner) = true;
                WAKE.notify_all();
            }
        });
    })?;
    Ok(())
}

/// Fails once the program was asked to end.
pub(crate) fn check() -> Result<()> {
    if *INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner) {
        bail!("interrupted");
    }
    Ok(())
}

/// Waits this long, for what only the clock or a look at another process can tell; fails as soon as the program is
/// asked to end.
pub(crate) fn pause(time: Duration) -> Result<()> {
    let interrupted = INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    drop(WAKE.wait_timeout_while(interrupted, time, |interrupted| !*interrupted));
    check()
}
