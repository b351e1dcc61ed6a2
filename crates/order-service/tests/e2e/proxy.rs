//! A way to a server that breaks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

const CHUNK_BYTES: usize = 64 * 1024;

/// Says what befalls connections.
pub(crate) trait Fates: Send + Sync + 'static {
    /// What is to become of a chunk on its way to the server.
    fn fate(&self, chunk: &[u8]) -> Fate;
}

/// What is to become of a chunk on its way to the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Passes,
    /// So many of its bytes pass, and then both ends learn that the connection has ended.
    IsCutAfter(usize),
    /// It passes, and its answer does not.
    IsNotAnswered,
    /// So many of its bytes pass, and then nobody hears anything.
    IsTheLast(usize),
}

/// Passes bytes on between clients and a server on this machine, and breaks connections.
pub(crate) struct Proxy<F> {
    port: u16,
    server_port: Arc<AtomicU16>,
    fates: Arc<F>,
}

impl<F: Fates> Proxy<F> {
    /// In front of a port. It ends with the test process.
    pub(crate) fn start(server_port: u16, fates: F) -> Self {
        let proxy = Self::leading_nowhere(fates);
        proxy.lead_to(server_port);
        proxy
    }

    /// For a server that has to know the proxy before it starts.
    pub(crate) fn leading_nowhere(fates: F) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (server_port, fates) = (Arc::new(AtomicU16::new(0)), Arc::new(fates));
        let (its_server_port, its_fates) = (Arc::clone(&server_port), Arc::clone(&fates));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server_port = its_server_port.load(Ordering::SeqCst);
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)) else { continue };
                pass_on(
                    &Arc::new(Connection {
                        client,
                        server,
                        answer_is_lost: AtomicBool::new(false),
                        is_silent: AtomicBool::new(false),
                    }),
                    &its_fates,
                );
            }
        });
        Self { port, server_port, fates }
    }

    /// From now on.
    pub(crate) fn lead_to(&self, server_port: u16) {
        self.server_port.store(server_port, Ordering::SeqCst);
    }

    /// Where clients come in.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn fates(&self) -> &F {
        &self.fates
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

fn pass_on<F: Fates>(connection: &Arc<Connection>, fates: &Arc<F>) {
    let (there, back, fates) = (Arc::clone(connection), Arc::clone(connection), Arc::clone(fates));
    std::thread::spawn(move || {
        pass_chunks(&there.client, &there.server, |chunk| match fates.fate(chunk) {
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
