//! Holds two servers until it is killed, for the test that kills it: says of each, on a line, its process and its
//! directory. With the argument `frozen`, the servers are frozen.

use std::io::Write;
use std::{env, io, thread};

use anyhow::Result;
use test_servers::{PostgresOptions, PostgresServer};

fn main() -> Result<()> {
    let frozen = env::args().any(|argument| argument == "frozen");
    // Two: each supervisor could hold the other's pipe open.
    let mut servers = [(); 2].map(|()| PostgresServer::start(PostgresOptions::quick()));
    for server in &mut servers {
        let server = server.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        if frozen {
            server.freeze()?;
        }
        writeln!(io::stdout(), "{} {}", server.process().unwrap_or_default(), server.directory().display())?;
    }
    loop {
        thread::park();
    }
}
