//! Commands at a given rate, however long the answers take.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::interrupt;
use crate::load::{Histogram, parse_head};
use crate::order_ids::OrderIds;
use crate::request::Request;
use crate::server::Server;

/// What became of the commands.
pub(crate) struct Paced {
    /// From the moment that each was due, whether or not its connection was free by then.
    pub(crate) latency: Histogram,
    /// Until the last was answered.
    pub(crate) elapsed: Duration,
}

/// Places so many orders a second for this long, over connections that share the rate; with a caller's key, if there is one.
pub(crate) fn place_at(
    service: &Server,
    connections: u64,
    per_second: u64,
    time: Duration,
    key: Option<&str>,
) -> Result<Paced> {
    let period = Duration::from_secs_f64(connections as f64 / per_second as f64);
    let each = (time.as_secs_f64() / period.as_secs_f64()) as u32;
    let address = service.address();
    let begun = Instant::now();
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            let offset = period.mul_f64(client as f64 / connections as f64);
            let ids = OrderIds::new_random();
            let request = Request::place(ids, 1);
            let mut request = match key {
                Some(key) => request.with_bearer(key),
                None => request,
            };
            std::thread::spawn(move || -> Result<Histogram> {
                let mut stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                let mut latency = Histogram::new();
                let begin = Instant::now() + offset;
                for n in 0..each {
                    let due = begin + period * n;
                    interrupt::pause(due.saturating_duration_since(Instant::now()))?;
                    stream.write_all(request.for_order(ids, n.into()))?;
                    let status = read_answer(&mut stream)?;
                    ensure!(status == 201, "an order was answered with {status}");
                    latency.record(due.elapsed());
                }
                Ok(latency)
            })
        })
        .collect();
    let mut latency = Histogram::new();
    for client in clients {
        latency.add(&client.join().map_err(|_| anyhow!("a client panicked"))??);
    }
    Ok(Paced { latency, elapsed: begun.elapsed() })
}

fn read_answer(stream: &mut TcpStream) -> Result<u16> {
    let mut answer = Vec::with_capacity(1024);
    let mut buffer = [0; 1024];
    loop {
        if let Some(head) = parse_head(&answer)?
            && answer.len() >= head.answer_bytes()
        {
            return Ok(head.status);
        }
        let read = stream.read(&mut buffer).context("read an answer")?;
        ensure!(read > 0, "the server closed the connection");
        answer.extend_from_slice(&buffer[..read]);
    }
}
