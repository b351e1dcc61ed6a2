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
/// And one chunk of so many that are something else.
const CHUNKS_OF_A_CUT: u64 = 150;

/// Passes bytes on between clients and a server on this machine, and cuts connections.
pub(crate) struct Proxy {
    port: u16,
    cuts: Arc<Cuts>,
}

/// How often, and where.
pub(crate) struct Cuts {
    wanted: AtomicBool,
    random: Mutex<Random>,
    /// Within an append's request: the server must not act on half of it.
    pub(crate) in_request: AtomicU64,
    /// When the whole request has gone to the server: it may just be at work.
    pub(crate) behind_request: AtomicU64,
    /// When the answer comes: the server has committed, and the client does not hear of it.
    pub(crate) before_answer: AtomicU64,
    /// Anywhere else.
    pub(crate) elsewhere: AtomicU64,
}

impl Proxy {
    /// In front of a port. It ends with the test process.
    pub(crate) fn start(server_port: u16, random: Random) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let zero = || AtomicU64::new(0);
        let cuts = Arc::new(Cuts {
            wanted: AtomicBool::new(false),
            random: Mutex::new(random),
            in_request: zero(),
            behind_request: zero(),
            before_answer: zero(),
            elsewhere: zero(),
        });
        let its = Arc::clone(&cuts);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)) else { continue };
                pass_on(
                    &Arc::new(Connection { client, server, answer_is_lost: AtomicBool::new(false) }),
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

    pub(crate) fn begin_to_cut(&self) {
        self.cuts.wanted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn cut_no_more(&self) {
        self.cuts.wanted.store(false, Ordering::Relaxed);
    }
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// It is cut when the server says the next word.
    answer_is_lost: AtomicBool,
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
}

impl Cuts {
    fn fate(&self, chunk: &[u8]) -> Fate {
        let is_append = chunk.windows(APPEND.len()).any(|window| window == APPEND);
        let mut random = self.random.lock().unwrap();
        let one_of = if is_append { APPENDS_OF_A_CUT } else { CHUNKS_OF_A_CUT };
        if !self.wanted.load(Ordering::Relaxed) || random.between(1, one_of) > 1 {
            return Fate::Passes;
        }
        let somewhere = random.next() as usize % chunk.len();
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
        });
        there.cut();
    });
    std::thread::spawn(move || {
        let is_lost = |_: &[u8]| if back.answer_is_lost.load(Ordering::SeqCst) { Err(0) } else { Ok(()) };
        pass_chunks(&back.server, &back.client, is_lost);
        back.cut();
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
