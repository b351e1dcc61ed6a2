//! A way to the database that breaks at the worst moments of an append.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::proxy::{self, Fate, Fates};
use crate::random::Random;

/// By this the proxy knows an append when it passes. It stands at the beginning of the request, in clear.
const APPEND: &[u8] = b"order_service.append_v2(";
/// One append of so many is cut off.
const APPENDS_OF_A_CUT: u64 = 12;
/// One append of so many is the last that passes on its connection.
const APPENDS_OF_A_SILENCE: u64 = 40;
/// And one chunk of so many that are something else.
const CHUNKS_OF_A_CUT: u64 = 150;

/// Passes bytes on between the service and a database on this machine, and breaks connections.
pub(crate) struct Proxy(proxy::Proxy<Cuts>);

/// What befalls connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Both ends learn that the connection has ended.
    Cut,
    /// Nothing passes any more, and neither end is told.
    Silence,
}

/// How often, and where.
pub(crate) struct Cuts {
    fault: Mutex<Fault>,
    random: Mutex<Random>,
    /// Within an append's request: the server must not act on half of it.
    pub(crate) in_request: AtomicU64,
    /// When the whole request has gone to the server: it may just be at work.
    pub(crate) behind_request: AtomicU64,
    /// When the answer comes: the server has committed, and the client does not hear of it.
    pub(crate) before_answer: AtomicU64,
    /// Anywhere else.
    pub(crate) elsewhere: AtomicU64,
    /// Connections that fell silent, after a part of an append's request or all of it.
    pub(crate) silent: AtomicU64,
}

impl Proxy {
    /// In front of a port. It ends with the test process.
    pub(crate) fn start(server_port: u16, random: Random) -> Self {
        let zero = || AtomicU64::new(0);
        let cuts = Cuts {
            fault: Mutex::new(Fault::None),
            random: Mutex::new(random),
            in_request: zero(),
            behind_request: zero(),
            before_answer: zero(),
            elsewhere: zero(),
            silent: zero(),
        };
        Self(proxy::Proxy::start(server_port, cuts))
    }

    /// The way through it to a database, given the direct one.
    pub(crate) fn url_of(&self, direct: &str, server_port: u16) -> String {
        direct.replace(&format!(":{server_port}/"), &format!(":{}/", self.0.port()))
    }

    pub(crate) fn cuts(&self) -> &Cuts {
        self.0.fates()
    }

    /// From now on.
    pub(crate) fn plant(&self, fault: Fault) {
        *self.cuts().fault.lock().unwrap() = fault;
    }
}

impl Fates for Cuts {
    fn fate(&self, chunk: &[u8]) -> Fate {
        let is_append = chunk.windows(APPEND.len()).any(|window| window == APPEND);
        let fault = *self.fault.lock().unwrap();
        let one_of = match (fault, is_append) {
            (Fault::None, _) | (Fault::Silence, false) => return Fate::Passes,
            (Fault::Silence, true) => APPENDS_OF_A_SILENCE,
            (Fault::Cut, true) => APPENDS_OF_A_CUT,
            (Fault::Cut, false) => CHUNKS_OF_A_CUT,
        };
        let mut random = self.random.lock().unwrap();
        if random.between(1, one_of) > 1 {
            return Fate::Passes;
        }
        let somewhere = random.next() as usize % chunk.len();
        if fault == Fault::Silence {
            self.silent.fetch_add(1, Ordering::Relaxed);
            // By turns of chance: all of it, all but the message that ends it (5 bytes), or some of it.
            let passes = [chunk.len(), chunk.len() - 5, somewhere][random.next() as usize % 3];
            return Fate::IsTheLast(passes);
        }
        let (counter, fate) = match (is_append, random.between(0, 2)) {
            (false, _) => (&self.elsewhere, Fate::IsCutAfter(somewhere)),
            (true, 0) => (&self.in_request, Fate::IsCutAfter(somewhere)),
            (true, 1) => (&self.behind_request, Fate::IsCutAfter(chunk.len())),
            (true, _) => (&self.before_answer, Fate::IsNotAnswered),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        fate
    }
}
