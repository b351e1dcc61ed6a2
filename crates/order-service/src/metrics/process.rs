//! The process as the system sees it, under the names that Prometheus's own libraries use. Only Linux tells.

use std::fmt;
use std::fs;

use order_api::{Page, Source};
use order_application::{Clock, SystemClock};
use order_domain::Timestamp;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// See the module.
pub(crate) struct ProcessSource {
    started: Timestamp,
}

impl ProcessSource {
    /// It begins now.
    pub(crate) fn new() -> Self {
        Self { started: SystemClock.now() }
    }
}

impl Source for ProcessSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let started = self.started.as_micros() as f64 / 1e6;
        page.gauge("process_start_time_seconds", "When the process began, in seconds since 1970", started)?;
        if let Some(open) = open_descriptors() {
            page.gauge("process_open_fds", "Open file descriptors", open)?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            page.gauge("process_max_fds", "Most file descriptors that may be open", most)?;
        }
        let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| Stat::parse(&stat));
        stat.map_or(Ok(()), |stat| stat.write(page))
    }
}

/// A part of `/proc/self/stat` (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name, in which anything may be.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        // The first of these is the third of all.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: number(14)? + number(15)?,
            threads: number(20)?,
            virtual_bytes: number(23)?,
            resident_pages: number(24)?,
        })
    }

    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let cpu_seconds = self.cpu_ticks as f64 / clock_ticks_per_second() as f64;
        let resident = self.resident_pages * page_size() as u64;
        page.counter("process_cpu_seconds", "CPU time that the process has used", cpu_seconds)?;
        page.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM", resident)?;
        page.gauge("process_virtual_memory_bytes", "Memory that the process has mapped", self.virtual_bytes)?;
        page.gauge("process_threads", "Threads of the process", self.threads)
    }
}

/// Since Linux 6.2 the directory's size says it; before, its entries have to be counted.
fn open_descriptors() -> Option<u64> {
    let directory = "/proc/self/fd";
    match fs::metadata(directory).ok()?.len() {
        0 => Some(fs::read_dir(directory).ok()?.count() as u64),
        open => Some(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let stat =
            "42 (a) b) S 1 42 42 0 -1 4194560 100 0 1 0 70 30 0 0 20 0 9 0 123 5000 77 18446744073709551615";
        let expected = Stat { cpu_ticks: 100, threads: 9, virtual_bytes: 5_000, resident_pages: 77 };
        assert_eq!(Stat::parse(stat), Some(expected));
        assert_eq!(Stat::parse("42 (order-service) S 1"), None);
    }
}
