//! Who has had the machine's processors. That the server is prompt is promised of a machine which it shares with its clients and
//! with whoever attacks it. Where others take most of it, such as other tests, a wait says nothing of the server.

use std::time::{Duration, Instant};

use crate::server::Process;

/// So many times as long as is prompt nobody is kept waiting, however busy the machine.
const MOST_EXCUSED: u32 = 4;

/// Times a wait for a server.
pub(super) struct Watch {
    server: Process,
    begun: Instant,
    before: Ticks,
}

impl Watch {
    pub(super) fn start(server: Process) -> Self {
        Self { server, begun: Instant::now(), before: Ticks::now(server) }
    }

    /// How long the wait has been so far. `None`, and the test's output says so: it would have been `prompt` if the processors' time that
    /// others than the server and this process had meanwhile had not passed. Such a wait does not count. Nor is there an excuse for
    /// one that is much longer.
    pub(super) fn waited(&self, prompt: Duration) -> Option<Duration> {
        let waited = self.begun.elapsed();
        if waited < prompt || waited > MOST_EXCUSED * prompt {
            return Some(waited);
        }
        let now = Ticks::now(self.server);
        let (all, idle, ours) =
            (now.all - self.before.all, now.idle - self.before.idle, now.ours - self.before.ours);
        let share = (idle + ours) as f64 / all.max(1) as f64;
        if waited.mul_f64(share.min(1.0)) >= prompt {
            return Some(waited);
        }
        eprintln!("others had much of the machine in {waited:?}: {all} ticks, {idle} idle, {ours} ours");
        None
    }
}

/// What processors have done so far, in the system's ticks.
struct Ticks {
    all: u64,
    idle: u64,
    /// For the server and this process.
    ours: u64,
}

impl Ticks {
    fn now(server: Process) -> Self {
        let stat = std::fs::read_to_string("/proc/stat").expect("the system tells");
        // user nice system idle iowait irq softirq steal; those after them are parts of these.
        let of_all: Vec<u64> = numbers(stat.lines().next().unwrap_or_default()).skip(1).take(8).collect();
        Self {
            all: of_all.iter().sum(),
            idle: of_all[3] + of_all[4],
            ours: of_process("self") + of_process(&server.to_string()),
        }
    }
}

/// What a process has had, all of its threads together.
fn of_process(number: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).expect("the process runs");
    // A program's name may have anything in it. From its state on, its times are the 12th and the 13th field.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    numbers(fields).skip(11).take(2).sum()
}

/// The words of a line as numbers, those that are none as 0.
fn numbers(line: &str) -> impl Iterator<Item = u64> {
    line.split_whitespace().map(|word| word.parse().unwrap_or(0))
}
