//! A collector of traces that takes whatever it is sent and keeps nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, thread};

use anyhow::Result;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// Listens until the program ends.
pub(crate) struct Collector {
    address: SocketAddr,
    taken_bytes: Arc<AtomicU64>,
}

impl Collector {
    /// Starts on a free port.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let taken_bytes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken_bytes);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(io::Result::ok) {
                let counter = Arc::clone(&counter);
                // Whoever exports connects anew when a connection ends.
                thread::spawn(move || take(&stream, &counter));
            }
        });
        Ok(Self { address, taken_bytes })
    }

    /// What tells a service to send it every hundredth trace.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
            ("OTEL_TRACES_SAMPLER_ARG", "0.01".to_owned()),
        ]
    }

    /// How many bytes of traces it was sent.
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.taken_bytes.load(Ordering::Relaxed)
    }
}

/// Answers one connection's requests until it ends.
fn take(stream: &TcpStream, counter: &AtomicU64) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut answers = stream;
    loop {
        let mut body_bytes = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                body_bytes = value.trim().parse().unwrap_or(0);
            }
        }
        counter
            .fetch_add(io::copy(&mut reader.by_ref().take(body_bytes), &mut io::sink())?, Ordering::Relaxed);
        answers.write_all(OK)?;
    }
}
