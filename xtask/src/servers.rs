//! Real servers, to run the service on by hand.

use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};
use test_servers::postgres::Programs;
use test_servers::{PostgresOptions, PostgresServer, PostgresVersion};

/// Fetches the servers' programs if need be: without them, every test that starts a server would fail by itself.
pub(crate) fn fetch() -> Result<()> {
    Programs::find(PostgresVersion::Newest).context("the full tests need PostgreSQL")?;
    Ok(())
}

/// Starts the servers and stays. Ctrl+C ends this program, and its servers end with it.
pub(crate) fn serve() -> Result<ExitCode> {
    let postgres = PostgresServer::start(PostgresOptions::durable())?;
    let url = postgres.url();
    eprintln!("PostgreSQL: {url}");
    eprintln!("  its data and its log: {}", postgres.directory().display());
    eprintln!("  cargo run -- --store {url}");
    eprintln!("Ctrl+C stops it and removes its data.");
    loop {
        thread::park();
    }
}
