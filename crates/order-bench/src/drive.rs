//! Drives a server that already runs: something to profile against.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::load::{Group, Load, Span};
use crate::order_ids::OrderIds;
use crate::prepared::PREPARED_IDS;
use crate::process::ProcessId;
use crate::report::Figures;
use crate::work::{GetRandom, List, Place, Work, Workflow};

/// What to ask of which server.
#[derive(Args, Debug)]
pub(crate) struct Drive {
    /// The kind of requests
    #[arg(value_enum)]
    work: WorkKind,

    /// The server's address
    #[arg(long, default_value = "127.0.0.1:8080")]
    to: SocketAddr,

    /// The server's process, to see its CPU time
    #[arg(long)]
    pid: Option<u32>,

    /// Keep-alive connections, each with one request on its way
    #[arg(long, default_value_t = 64)]
    connections: usize,

    /// How long, after one second that is not measured
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,

    /// For `load` how many orders to place, for `get-random` how many `load` has placed
    #[arg(long, default_value_t = 1_000_000)]
    orders: u64,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum WorkKind {
    /// Place orders with ids in sequence
    PlaceSeq,
    /// Place orders with random UUIDv4 ids
    PlaceRandom,
    /// Place orders of 1,000 lines
    PlaceLong,
    /// Place, pay, reserve and ship
    Workflow,
    /// Place so many random orders as fast as possible, for `get-random`
    Load,
    /// Read single orders that `load` has placed
    GetRandom,
    /// Read the first page of orders
    List,
}

/// Drives the server and prints one line.
pub(crate) fn run(drive: &Drive) -> Result<()> {
    let mut work: Box<dyn Work> = match drive.work {
        WorkKind::PlaceSeq => Box::new(Place::new(OrderIds::new_sequence())),
        WorkKind::PlaceRandom => Box::new(Place::new(OrderIds::new_random())),
        WorkKind::PlaceLong => Box::new(Place::with_lines(OrderIds::new_random(), 1_000)),
        WorkKind::Workflow => Box::new(Workflow::new(OrderIds::new_random())),
        WorkKind::Load => {
            let mut place = Place::new(PREPARED_IDS);
            place.set_end(drive.orders);
            Load::connect(drive.to, vec![Group { connections: drive.connections, work: &mut place }])?
                .run_to_end()?;
            return Ok(());
        }
        WorkKind::GetRandom => Box::new(GetRandom::new(PREPARED_IDS, drive.orders)),
        WorkKind::List => Box::new(List),
    };
    let server = drive.pid.map(ProcessId);
    let group = Group { connections: drive.connections, work: work.as_mut() };
    let mut load = Load::connect(drive.to, vec![group])?;
    let span = Span { warm_up: Duration::from_secs(1), measured: Duration::from_secs_f64(drive.seconds) };
    let measurements = load.run(span, server)?;
    let cpu = server.map(ProcessId::cpu).transpose()?;
    load.drain()?;
    for measurement in &measurements {
        let figures = Figures::new(measurement, cpu);
        let server_us = figures.server_cpu_us_per_request.map(|us| format!("server {us:.2} µs/request, "));
        writeln!(
            std::io::stdout(),
            "{}{:.0} requests/s, p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, max {:.2} ms, load generator {:.2} cores",
            server_us.unwrap_or_default(),
            figures.requests_per_s,
            figures.p50_ms,
            figures.p99_ms,
            figures.p999_ms,
            figures.max_ms,
            figures.loadgen_cores.unwrap_or_default()
        )?;
    }
    Ok(())
}
