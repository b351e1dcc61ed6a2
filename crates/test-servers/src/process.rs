//! Processes that are not our children: looked up in `/proc`, and sent signals.

use std::fs;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_until;

/// Whether it is there and has not ended. (One that has ended and that nobody has waited for is still listed.)
pub(crate) fn is_alive(process: Pid) -> bool {
    status(process).is_some_and(|status| !matches!(status.state, 'Z' | 'X'))
}

/// Sends a signal; a process that is gone does not need it.
pub(crate) fn send(process: Pid, signal: Signal) -> Result<()> {
    match kill_process(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("send a signal to process {process}")),
    }
}

/// Stops a process and its children, and returns them all once they have stopped.
///
/// The parent goes first: once it has stopped, it makes no more children.
pub(crate) fn stop_family(parent: Pid) -> Result<Vec<Pid>> {
    stop(&[parent])?;
    let mut family = children(parent)?;
    stop(&family)?;
    family.push(parent);
    Ok(family)
}

/// Ends all of them without a word, and returns once they have ended.
pub(crate) fn kill(processes: &[Pid]) -> Result<()> {
    processes.iter().try_for_each(|&process| send(process, Signal::KILL))?;
    wait_until("the killed processes have ended", || Ok(!processes.iter().any(|&process| is_alive(process))))
}

/// The processes that this one has started and that have not ended.
pub(crate) fn children(parent: Pid) -> Result<Vec<Pid>> {
    let entries = fs::read_dir("/proc").context("list processes")?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let processes = numbers.filter_map(Pid::from_raw);
    let is_child = |&process: &Pid| {
        status(process).is_some_and(|status| status.parent == parent.as_raw_nonzero().get())
            && is_alive(process)
    };
    Ok(processes.filter(is_child).collect())
}

fn stop(processes: &[Pid]) -> Result<()> {
    processes.iter().try_for_each(|&process| send(process, Signal::STOP))?;
    let has_stopped = |&process: &Pid| status(process).is_none_or(|status| "TtZX".contains(status.state));
    wait_until("processes have stopped", || Ok(processes.iter().all(has_stopped)))
}

struct Status {
    /// `R` running, `S` asleep, `T` stopped, `Z` ended and not waited for, …: proc_pid_stat(5).
    state: char,
    parent: i32,
}

fn status(process: Pid) -> Option<Status> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may hold some itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    Some(Status { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
}
