//! What processes and threads consume, read from the kernel's books.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::interrupt;

/// A server that works less than this share of one core is taken to be done with what it put off.
const IDLE_CORES: f64 = 0.1;
const SETTLE_STEP: Duration = Duration::from_millis(200);
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// A running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId(pub(crate) u32);

/// Resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// The most that was ever resident (`VmHWM`).
    pub(crate) peak_bytes: u64,
    /// Resident now (`VmRSS`).
    pub(crate) resident_bytes: u64,
}

/// For people.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

impl ProcessId {
    /// User and system time of all the process's threads since its start, in steps of 10 ms.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let ticks = cpu_ticks(&stat).with_context(|| format!("read CPU time in {path}"))?;
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Resident memory now and at its peak.
    pub(crate) fn memory(self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.0);
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let field = |name| status_bytes(&status, name).with_context(|| format!("no {name} in {path}"));
        Ok(Memory { peak_bytes: field("VmHWM")?, resident_bytes: field("VmRSS")? })
    }

    /// Waits until the process has finished what it put off (the views that are written behind the log), so that the
    /// next server is not measured beside it. A process that never rests is not waited for beyond a minute.
    pub(crate) fn settle(self) -> Result<()> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        let mut used = self.cpu()?;
        while Instant::now() < deadline {
            interrupt::pause(SETTLE_STEP)?;
            let before = std::mem::replace(&mut used, self.cpu()?);
            if used.saturating_sub(before) <= SETTLE_STEP.mul_f64(IDLE_CORES) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// `utime` + `stime`, the 14th and 15th field of `/proc/<pid>/stat` (proc_pid_stat(5)). The second field, the name, is in
/// parentheses and may hold anything, so counting begins after the last one.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut from_14th = fields.split_ascii_whitespace().skip(11);
    let user: u64 = from_14th.next()?.parse().ok()?;
    let system: u64 = from_14th.next()?.parse().ok()?;
    Some(user + system)
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_an_awkward_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 999 1 1";
        assert_eq!(cpu_ticks(stat), Some(200));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(status_bytes(status, "VmHWM"), Some(2048 * 1024));
        assert_eq!(status_bytes(status, "VmSwap"), None);
    }

    #[test]
    fn the_kernel_answers_for_this_process() {
        let this = ProcessId(std::process::id());
        this.cpu().unwrap();
        let memory = this.memory().unwrap();
        assert!(memory.resident_bytes > 0 && memory.peak_bytes >= memory.resident_bytes);
    }
}
