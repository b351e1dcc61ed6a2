//! Places orders with cqrs-es and postgres-es: `PEER DATABASE_URL CLIENTS WARM_UP_SECONDS SECONDS`.

mod order;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, io};

use anyhow::{Context, Result};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::order::{Line, Order, Place};

/// The table that the library's documentation tells to create.
const SCHEMA: &str = "\
    CREATE TABLE events (
        aggregate_type text                         NOT NULL,
        aggregate_id   text                         NOT NULL,
        sequence       bigint CHECK (sequence >= 0) NOT NULL,
        event_type     text                         NOT NULL,
        event_version  text                         NOT NULL,
        payload        json                         NOT NULL,
        metadata       json                         NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )";

#[tokio::main]
async fn main() -> Result<()> {
    let [url, clients, warm_up_s, seconds] = arguments()?;
    let (clients, warm_up_s, seconds): (u32, f64, f64) =
        (clients.parse()?, warm_up_s.parse()?, seconds.parse()?);
    let pool = PgPoolOptions::new().min_connections(clients).max_connections(clients).connect(&url).await?;
    sqlx::query(SCHEMA).execute(&pool).await?;
    let cqrs = Arc::new(postgres_cqrs::<Order>(pool, Vec::new(), ()));

    let begin = Instant::now() + Duration::from_secs_f64(warm_up_s);
    let end = begin + Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(place_until(end, begin, Arc::clone(&cqrs)));
    }
    let mut latencies = Vec::new();
    while let Some(of_client) = tasks.join_next().await {
        latencies.extend(of_client??);
    }
    report(latencies, seconds)
}

fn arguments() -> Result<[String; 4]> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    arguments.try_into().ok().context("usage: PEER DATABASE_URL CLIENTS WARM_UP_SECONDS SECONDS")
}

/// One client; the latencies of what was answered between `begin` and `end`.
async fn place_until(end: Instant, begin: Instant, cqrs: Arc<PostgresCqrs<Order>>) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let asked_at = Instant::now();
        let line = Line { line: 1, sku: "sku-1".to_owned(), quantity: 2, unit_price_cents: 1500 };
        let place = Place { customer_id: "cust-123".to_owned(), lines: vec![line] };
        cqrs.execute(&Uuid::new_v4().to_string(), place).await.context("place an order")?;
        let answered_at = Instant::now();
        if answered_at >= end {
            return Ok(latencies);
        }
        if answered_at >= begin {
            latencies.push(answered_at - asked_at);
        }
    }
}

fn report(mut latencies: Vec<Duration>, seconds: f64) -> Result<()> {
    latencies.sort_unstable();
    let quantile_ms = |share: f64| {
        let rank = (latencies.len() as f64 * share).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    let figures = serde_json::json!({
        "requests_per_s": latencies.len() as f64 / seconds,
        "p50_ms": quantile_ms(0.5),
        "p99_ms": quantile_ms(0.99),
        "p999_ms": quantile_ms(0.999),
        "max_ms": quantile_ms(1.0),
    });
    Ok(writeln!(io::stdout(), "{figures}")?)
}
