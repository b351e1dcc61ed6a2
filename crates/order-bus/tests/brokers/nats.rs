//! NATS JetStream through the contract suite.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use order_application::{Broker, BrokerLog};
use order_bus::{NatsBroker, NatsLog, NatsOptions};
use test_servers::NatsServer;

use crate::contract::{Fixture, contract_suite};

pub(crate) const SOURCE: &str = "/order-service";

contract_suite!(NatsFixture);

pub(crate) struct NatsFixture {
    options: NatsOptions,
    /// If it is its own.
    server: Option<NatsServer>,
}

impl NatsFixture {
    fn server(&mut self) -> &mut NatsServer {
        self.server.as_mut().expect("the server is its own")
    }

    fn store(&mut self) -> [std::path::PathBuf; 2] {
        ["store", "copy"].map(|name| self.server().directory().join(name))
    }
}

/// Options for a stream that nobody else has, and that takes subjects of its own.
pub(crate) fn fresh(url: &str, parameters: &str) -> NatsOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    NatsOptions::parse(&format!("{url}?stream=ORDERS-{number}&subject=orders-{number}{parameters}")).unwrap()
}

impl Fixture for NatsFixture {
    const TOO_LARGE_BYTES: usize = 1024 * 1024;
    const TAKES_WHAT_IS_LATE: bool = false;

    fn shared() -> Self {
        Self { options: fresh(&NatsServer::shared().unwrap().url(), ""), server: None }
    }

    fn own() -> Self {
        let server = NatsServer::start(&test_servers::NatsOptions::default()).unwrap();
        Self { options: NatsOptions::parse(&server.url()).unwrap(), server: Some(server) }
    }

    fn unknown_host() -> Arc<dyn Broker> {
        Arc::new(NatsBroker::new(NatsOptions::parse("nats://no-such-host.invalid").unwrap(), SOURCE))
    }

    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(NatsBroker::new(self.options.clone(), SOURCE))
    }

    fn log(&self) -> Arc<dyn BrokerLog> {
        Arc::new(NatsLog::new(self.options.clone()))
    }

    fn kill_hard(&mut self) {
        self.server().kill_hard().unwrap();
    }

    fn start_again(&mut self) {
        self.server().start_again().unwrap();
    }

    fn wipe(&mut self) {
        self.server().wipe().unwrap();
        self.server().start_again().unwrap();
    }

    fn put_copy_aside(&mut self) {
        self.server().stop().unwrap();
        let [store, copy] = self.store();
        assert!(Command::new("cp").arg("-a").args([store, copy]).status().unwrap().success());
        self.server().start_again().unwrap();
    }

    fn go_back_to_copy(&mut self) {
        self.server().wipe().unwrap();
        let [store, copy] = self.store();
        assert!(Command::new("cp").arg("-a").args([copy, store]).status().unwrap().success());
        self.server().start_again().unwrap();
    }

    fn freeze(&mut self) {
        self.server().freeze().unwrap();
    }

    fn thaw(&mut self) {
        self.server().thaw().unwrap();
    }
}
