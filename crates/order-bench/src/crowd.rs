//! Clients that take a server's places and get nothing done.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::interrupt;

/// How often each of them is looked after.
const PERIOD: Duration = Duration::from_secs(1);
/// How many are looked after at once, so that they do not all come in the same moment.
const AT_ONCE: usize = 50;

/// What a crowd does.
#[derive(Clone, Copy)]
pub(crate) enum Habit {
    /// Each asks for all events, and takes none.
    UnreadFeed,
    /// Each begins a request and adds a byte to its head every second.
    SlowHead,
}

/// A crowd at a server. Whoever is sent away comes again within a second.
pub(crate) struct Crowd {
    is_over: Arc<AtomicBool>,
    clients: JoinHandle<Result<()>>,
}

impl Crowd {
    /// Comes back when all are there.
    pub(crate) fn gather(address: SocketAddr, count: usize, habit: Habit) -> Result<Self> {
        raise_descriptors()?;
        let clients: Result<Vec<_>> = (0..count).map(|_| Client::new(address, habit)).collect();
        let (mut clients, is_over) = (clients?, Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&is_over);
        let clients = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                look_after(&mut clients, address, habit)?;
            }
            Ok(())
        });
        Ok(Self { is_over, clients })
    }

    /// All leave.
    pub(crate) fn leave(self) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients.join().map_err(|_| anyhow!("the crowd panicked"))?
    }
}

/// Has each do what it does in a period.
fn look_after(clients: &mut [Client], address: SocketAddr, habit: Habit) -> Result<()> {
    let begun = Instant::now();
    let turns = clients.len().div_ceil(AT_ONCE) as u32;
    for (turn, some) in clients.chunks_mut(AT_ONCE).enumerate() {
        let due = begun + PERIOD * turn as u32 / turns;
        interrupt::pause(due.saturating_duration_since(Instant::now()))?;
        for client in some {
            if client.is_sent_away()? || client.go_on(habit).is_err() {
                *client = Client::new(address, habit)?;
            }
        }
    }
    interrupt::pause((begun + PERIOD).saturating_duration_since(Instant::now()))
}

struct Client(TcpStream);

impl Client {
    fn new(address: SocketAddr, habit: Habit) -> Result<Self> {
        let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        let begin: &[u8] = match habit {
            Habit::UnreadFeed => {
                b"GET /events?after=0 HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n"
            }
            Habit::SlowHead => b"GET /orders HTTP/1.1\r\nhost: bench\r\nx-slow: ",
        };
        // A server that is done with it already lets it know when it is looked after.
        let _ = stream.write_all(begin);
        Ok(Self(stream))
    }

    fn go_on(&mut self, habit: Habit) -> io::Result<()> {
        match habit {
            Habit::UnreadFeed => Ok(()),
            Habit::SlowHead => self.0.write_all(b"x"),
        }
    }

    fn is_sent_away(&self) -> Result<bool> {
        let mut polled = [PollFd::new(&self.0, PollFlags::RDHUP)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).context("look at a connection")?;
        Ok(!polled[0].revents().is_empty())
    }
}

/// A crowd takes more descriptors than a process is usually given.
fn raise_descriptors() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raise the limit of open files")
}
