//! Commands at a given rate, however long the answers take.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::interrupt;
use crate::load::parse_head;
use crate::order_ids::OrderIds;
use crate::request::Request;
use crate::server::Server;

/// Connections that share the rate.
const CONNECTIONS: u64 = 10;

/// Places so many orders a second for this long.
pub(crate) fn place_at(service: &Server, per_second: u64, time: Duration) -> Result<()> {
    let period = Duration::from_secs_f64(CONNECTIONS as f64 / per_second as f64);
    let each = (time.as_secs_f64() / period.as_secs_f64()) as u32;
    let address = service.address();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|client| {
            let offset = period.mul_f64(client as f64 / CONNECTIONS as f64);
            std::thread::spawn(move || -> Result<()> {
                let mut stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                let ids = OrderIds::new_random();
                let mut request = Request::place(ids, 1);
                let begin = Instant::now() + offset;
                for n in 0..each {
                    interrupt::pause((begin + period * n).saturating_duration_since(Instant::now()))?;
                    stream.write_all(request.for_order(ids, n.into()))?;
                    let status = read_answer(&mut stream)?;
                    ensure!(status == 201, "an order was answered with {status}");
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| anyhow!("a client panicked"))??;
    }
    Ok(())
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
