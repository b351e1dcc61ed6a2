//! A way to the database that breaks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::random::Random;

/// By this the proxy knows an append when it passes. It stands at the beginning of the request, in clear.
const APPEND: &[u8] = b"order_service.append(";
const CHUNK_BYTES: usize = 64 * 1024;
/// One append of so many is cut off.
const APPENDS_OF_A_CUT: u64 = 12;
/// One append of so many is the last that passes on its connection.
const APPENDS_OF_A_SILENCE: u64 = 40;
/// And one chunk of so many that are something else.
const CHUNKS_OF_A_CUT: u64 = 150;

/// Passes bytes on between clients and a server on this machine, and breaks connections.
pub(crate) struct Proxy {
    port: u16,
    cuts: Arc<Cuts>,
}

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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let zero = || AtomicU64::new(0);
        let cuts = Arc::new(Cuts {
            fault: Mutex::new(Fault::None),
            random: Mutex::new(random),
            in_request: zero(),
            behind_request: zero(),
            before_answer: zero(),
            elsewhere: zero(),
            silent: zero(),
        });
        let its = Arc::clone(&cuts);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)) else { continue };
                pass_on(
                    &Arc::new(Connection {
                        client,
                        server,
                        answer_is_lost: AtomicBool::new(false),
                        is_silent: AtomicBool::new(false),
                    }),
                    &its,
                );
            }
        });
        Self { port, cuts }
    }

    /// The way through it to a database, given the direct one.
    pub(crate) fn url_of(&self, direct: &str, server_port: u16) -> String {
        direct.replace(&format!(":{server_port}/"), &format!(":{}/", self.port))
    }

    pub(crate) fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// From now on.
    pub(crate) fn plant(&self, fault: Fault) {
        *self.cuts.fault.lock().unwrap() = fault;
    }
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// It is cut when the server says the next word.
    answer_is_lost: AtomicBool,
    is_silent: AtomicBool,
}

impl Connection {
    fn cut(&self) {
        for end in [&self.client, &self.server] {
            // Closed already: as well.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// What is to become of a chunk on its way to the server.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Passes,
    /// So many of its bytes pass, and then nothing.
    IsCutAfter(usize),
    /// It passes, and its answer does not.
    IsNotAnswered,
    /// So many of its bytes pass, and then nobody hears anything.
    IsTheLast(usize),
}

impl Cuts {
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

fn pass_on(connection: &Arc<Connection>, cuts: &Arc<Cuts>) {
    let (there, back, cuts) = (Arc::clone(connection), Arc::clone(connection), Arc::clone(cuts));
    std::thread::spawn(move || {
        pass_chunks(&there.client, &there.server, |chunk| match cuts.fate(chunk) {
            Fate::Passes => Ok(()),
            Fate::IsCutAfter(bytes) => Err(bytes),
            Fate::IsNotAnswered => {
                there.answer_is_lost.store(true, Ordering::SeqCst);
                Ok(())
            }
            Fate::IsTheLast(bytes) => {
                there.is_silent.store(true, Ordering::SeqCst);
                Err(bytes)
            }
        });
        if there.is_silent.load(Ordering::SeqCst) {
            // Until the client gives up.
            let _ = std::io::copy(&mut &there.client, &mut std::io::sink());
        }
        there.cut();
    });
    std::thread::spawn(move || {
        pass_chunks(&back.server, &back.client, |_| {
            let lost =
                [&back.answer_is_lost, &back.is_silent].into_iter().any(|fault| fault.load(Ordering::SeqCst));
            if lost { Err(0) } else { Ok(()) }
        });
        if !back.is_silent.load(Ordering::SeqCst) {
            back.cut();
        }
    });
}

/// Until one end closes, or `may_pass` gives the number of bytes that are the last.
fn pass_chunks(mut from: &TcpStream, mut to: &TcpStream, may_pass: impl Fn(&[u8]) -> Result<(), usize>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer) else { return };
        let chunk = &buffer[..read];
        let passes = may_pass(chunk);
        let written = to.write_all(&chunk[..passes.err().unwrap_or(read)]);
        if written.is_err() || passes.is_err() {
            return;
        }
    }
}
