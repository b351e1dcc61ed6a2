//! Holds two servers until it is killed, for the test that kills it: says of each, on a line, its process and its
//! directory. They are PostgreSQL's, or with the argument `buses` one of NATS and one of Kafka. With the argument
//! `frozen`, they are frozen.

use std::io::Write;
use std::path::Path;
use std::{env, io, thread};

use anyhow::Result;
use test_servers::{
    KafkaOptions, KafkaServer, NatsOptions, NatsServer, PostgresOptions, PostgresServer, Server,
};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let asked = |word: &str| arguments.iter().any(|argument| argument == word);
    // Two: each supervisor could hold the other's pipe open.
    if asked("buses") {
        let mut nats = NatsServer::start(&NatsOptions::default())?;
        let mut kafka = KafkaServer::start(&KafkaOptions::default())?;
        if asked("frozen") {
            nats.freeze()?;
            kafka.freeze()?;
        }
        tell_of(&nats)?;
        tell_of(&kafka)?;
        stay()
    }
    let mut first = PostgresServer::start(PostgresOptions::quick())?;
    let mut second = PostgresServer::start(PostgresOptions::quick())?;
    for server in [&mut first, &mut second] {
        if asked("frozen") {
            server.freeze()?;
        }
        tell(server.process(), server.directory())?;
    }
    stay()
}

fn tell_of<K>(server: &Server<K>) -> Result<()> {
    tell(server.process(), server.directory())
}

fn tell(process: Option<u32>, directory: &Path) -> Result<()> {
    writeln!(io::stdout(), "{} {}", process.unwrap_or_default(), directory.display())?;
    Ok(())
}

fn stay() -> ! {
    loop {
        thread::park();
    }
}
