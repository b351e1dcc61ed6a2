//! The load generator: one thread, many keep-alive connections, one request on its way on each.
//!
//! It is a closed loop: a connection asks again once it is answered, so a slow server is asked less often and latencies
//! are those that this many waiting clients see. Requests are ready-made bytes with the order id patched in, answers
//! are read as far as their length, so that the generator leaves the machine to the server that it measures; what it
//! takes itself is measured too.

mod connection;
mod histogram;
mod response;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::{Events, Poll, Token};

use self::connection::Connection;
pub(crate) use self::histogram::Histogram;
pub(crate) use self::response::parse_head;
use crate::interrupt;
use crate::process::{self, ProcessId};
use crate::work::Work;

/// How long the server may leave every connection without an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait for readiness before looking at the clock again.
const POLL_TIMEOUT: Duration = Duration::from_millis(10);
const EVENTS_PER_POLL: usize = 256;

/// Connections that share one kind of work and one histogram.
pub(crate) struct Group<'w> {
    pub(crate) connections: usize,
    pub(crate) work: &'w mut dyn Work,
}

/// What one group did in one measured span.
pub(crate) struct Measurement {
    pub(crate) elapsed: Duration,
    /// One entry for each answer with 2xx.
    pub(crate) latency: Histogram,
    /// CPU time of the load generator's thread, all groups together.
    pub(crate) loadgen_cpu: Duration,
    /// CPU time of the server's process at the beginning of the span, where the process is known; what it puts off is
    /// only spent after the end.
    pub(crate) server_cpu_at_begin: Option<Duration>,
}

impl Measurement {
    /// Of groups that were measured in one span, all of them together; whose CPU time that took cannot be told.
    pub(crate) fn together(measurements: Vec<Self>) -> Option<Self> {
        let join = |mut all: Self, one: Self| {
            all.latency.add(&one.latency);
            all
        };
        let all = measurements.into_iter().reduce(join)?;
        Some(Self { server_cpu_at_begin: None, ..all })
    }
}

/// How long to drive a server.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// Driven first, not measured.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Open connections to one server, and what is on its way on them.
pub(crate) struct Load<'w> {
    poll: Poll,
    events: Events,
    groups: Vec<Group<'w>>,
    latencies: Vec<Histogram>,
    connections: Vec<Member>,
    in_flight: usize,
    last_answer_at: Instant,
}

struct Member {
    connection: Connection,
    group: usize,
    /// Counted from 0 within the group.
    number: usize,
}

impl<'w> Load<'w> {
    /// Opens every group's connections, all to one server.
    pub(crate) fn connect(address: SocketAddr, groups: Vec<Group<'w>>) -> Result<Self> {
        Self::connect_each(groups.into_iter().map(|group| (address, group)).collect())
    }

    /// Opens every group's connections, each group's to the server that stands beside it.
    pub(crate) fn connect_each(groups: Vec<(SocketAddr, Group<'w>)>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for (group, &(address, Group { connections: wanted, .. })) in groups.iter().enumerate() {
            for number in 0..wanted {
                let connection = Connection::open(address, poll.registry(), Token(connections.len()))?;
                connections.push(Member { connection, group, number });
            }
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            latencies: groups.iter().map(|_| Histogram::new()).collect(),
            groups: groups.into_iter().map(|(_, group)| group).collect(),
            connections,
            in_flight: 0,
            last_answer_at: Instant::now(),
        })
    }

    /// Drives the server at full rate and measures; leaves the last requests on their way, for
    /// [`drain`](Self::drain) or for a server that is killed meanwhile. One measurement for each group.
    ///
    /// # Errors
    ///
    /// On the first answer that is not 2xx, with its text, or that the work does not take, and whenever a connection
    /// breaks or stays silent.
    pub(crate) fn run(&mut self, span: Span, server: Option<ProcessId>) -> Result<Vec<Measurement>> {
        self.ask_on_every_connection()?;
        let warm_at = Instant::now() + span.warm_up;
        self.drive_while(|now| now < warm_at)?;
        let end = Instant::now() + span.measured;
        self.measure_while(server, |now| now < end)
    }

    /// The same without a warm-up, and for as long as `go_on` says.
    pub(crate) fn run_while(&mut self, go_on: impl FnMut(Instant) -> bool) -> Result<Vec<Measurement>> {
        self.ask_on_every_connection()?;
        self.measure_while(None, go_on)
    }

    fn measure_while(
        &mut self,
        server: Option<ProcessId>,
        go_on: impl FnMut(Instant) -> bool,
    ) -> Result<Vec<Measurement>> {
        self.latencies.iter_mut().for_each(Histogram::clear);
        let begin = Instant::now();
        let loadgen_cpu = process::thread_cpu();
        let server_cpu_at_begin = server.map(ProcessId::cpu).transpose()?;
        self.drive_while(go_on)?;
        let elapsed = begin.elapsed();
        let loadgen_cpu = process::thread_cpu() - loadgen_cpu;

        let measured = |latency: &Histogram| Measurement {
            elapsed,
            latency: latency.clone(),
            loadgen_cpu,
            server_cpu_at_begin,
        };
        Ok(self.latencies.iter().map(measured).collect())
    }

    /// Drives the server until every group's work is used up and answered.
    pub(crate) fn run_to_end(&mut self) -> Result<()> {
        self.ask_on_every_connection()?;
        while self.in_flight > 0 {
            self.turn(Then::AskAgain)?;
        }
        Ok(())
    }

    /// Waits for the answers that are still on their way and asks nothing new.
    pub(crate) fn drain(mut self) -> Result<()> {
        while self.in_flight > 0 {
            self.turn(Then::Rest)?;
        }
        Ok(())
    }

    fn ask_on_every_connection(&mut self) -> Result<()> {
        let now = Instant::now();
        self.last_answer_at = now;
        for member in &mut self.connections {
            if let Some(request) = self.groups[member.group].work.next_request(member.number) {
                member.connection.send(request, now)?;
                self.in_flight += 1;
            }
        }
        Ok(())
    }

    fn drive_while(&mut self, mut go_on: impl FnMut(Instant) -> bool) -> Result<()> {
        while go_on(self.turn(Then::AskAgain)?) {
            if self.in_flight == 0 {
                bail!("the work is used up before the time is");
            }
        }
        Ok(())
    }

    /// Waits for readiness once and serves every connection that is ready; the time afterwards.
    fn turn(&mut self, then: Then) -> Result<Instant> {
        interrupt::check()?;
        match self.poll.poll(&mut self.events, Some(POLL_TIMEOUT)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(error).context("wait for readiness");
            }
            Ok(()) | Err(_) => {}
        }
        let mut now = Instant::now();
        for event in &self.events {
            let Member { connection, group, number } = &mut self.connections[event.token().0];
            if event.is_writable() {
                connection.flush()?;
            }
            if !(event.is_readable() || event.is_error()) {
                continue;
            }
            let work = &mut self.groups[*group].work;
            if !connection.receive()? {
                continue;
            }
            now = Instant::now();
            self.last_answer_at = now;
            self.in_flight -= 1;
            self.latencies[*group].record(now - connection.sent_at());
            work.answered(*number, connection.body())?;
            if matches!(then, Then::AskAgain)
                && let Some(request) = work.next_request(*number)
            {
                connection.send(request, now)?;
                self.in_flight += 1;
            }
        }
        if now - self.last_answer_at > SILENCE_LIMIT {
            bail!("no answer for {SILENCE_LIMIT:?} with {} requests on their way", self.in_flight);
        }
        Ok(now)
    }
}

/// What a connection does once it is answered.
#[derive(Clone, Copy)]
enum Then {
    AskAgain,
    Rest,
}
