//! System calls that kill, fail, or find the disk full. `strace` plants them in the running binary; it counts calls in
//! each thread by itself.

pub(crate) mod clock;
mod crash_in_a_batch;
mod failed_sync;
mod first_start;
mod full_disk;
mod kill_at_system_call;
mod lost_answer;
mod migration;
mod rebuild;
mod slow_disk;

use std::ffi::OsStr;
use std::path::Path;

use crate::server::Program;

/// Serves a data directory with a fault planted, such as `fdatasync:error=EIO:when=3+`.
fn with_fault(fault: &str, directory: &Path) -> Program {
    command_with_fault(fault, &["serve", "--listen", "127.0.0.1:0"], directory)
}

/// The same of any command on a data directory.
fn command_with_fault(fault: &str, command: &[&str], directory: &Path) -> Program {
    traced(&[], fault, command, directory)
}

/// A command in the hands of `strace`.
fn traced(options: &[&str], fault: &str, command: &[&str], directory: &Path) -> Program {
    let calls = fault.split(':').next().unwrap_or(fault);
    let (trace, inject) = (format!("trace={calls}"), format!("inject={fault}"));
    // -D: strace stands aside, and the server is our own child, with its own exit status.
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none"];
    let prefix = [&strace[..], options, &["-e", &trace, "-e", &inject]].concat();
    let arguments = command.iter().chain(&["--data-dir"]).map(OsStr::new);
    Program::started_by(&prefix, arguments.chain([directory.as_os_str()]))
}
