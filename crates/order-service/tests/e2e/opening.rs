//! From the moment that the address is taken, the service answers: it is alive, not ready, and asks to come again.

use std::path::{Path, PathBuf};
use std::process::Command;

use test_servers::free_port;

use crate::http::Client;
use crate::server::{Program, Server, wait_until};

const OPENING: &str = concat!(
    r#"{"status":"not_ready","checks":{"lifecycle":"starting","store":"opening","#,
    r#""views":{"state":"rebuilding","done":3,"total":10,"detail":"planted"}}}"#
);

/// A server whose store does not open before it may.
struct Opening {
    server: Server,
    port: u16,
    pipe: PathBuf,
}

impl Opening {
    fn start(command: &str, arguments: &[&str], directory: &Path) -> Self {
        let pipe = directory.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Its first line, which would tell the port, comes only when it serves.
        let port = free_port().unwrap();
        let store = format!("sqlite:{}", directory.join("orders.db").display());
        let server = Program::new([&[command], arguments].concat())
            .argument("--listen", format!("127.0.0.1:{port}"))
            .argument("--store", store)
            .variable("ORDER_SERVICE_PLANTED_FAULT", format!("slow-open={}", pipe.display()))
            .spawn();
        Self { server, port, pipe }
    }

    fn connect(&self) -> Client {
        wait_until("it takes connections", || Client::connect(self.port).ok())
    }

    /// Lets the store be opened.
    fn open(&self) {
        std::fs::write(&self.pipe, "").unwrap();
    }
}

/// `serve`, and `replica` with a broker that nobody is at.
const COMMANDS: [(&str, &[&str]); 2] = [("serve", &[]), ("replica", &["--from", "nats://127.0.0.1:1"])];

#[test]
fn while_its_store_opens_a_service_is_alive_and_not_ready_and_asks_to_come_again() {
    for (command, arguments) in COMMANDS {
        let directory = tempfile::tempdir().unwrap();
        let mut opening = Opening::start(command, arguments, directory.path());
        let mut client = opening.connect();
        wait_until("the store is being opened", || {
            (client.get("/ready").unwrap().text() == OPENING).then_some(())
        });
        assert_eq!(client.get("/ready").unwrap().status, 503);
        assert_eq!(client.get("/health").unwrap().status, 200);
        for answer in [client.get("/orders/o").unwrap(), client.post("/orders", "{}").unwrap()] {
            assert_eq!((answer.status, answer.code().as_str()), (503, "store-unavailable"));
            assert_eq!(answer.header("retry-after"), Some("2"));
        }
        assert_eq!(opening.server.said(), None);

        opening.open();
        opening.server.serves().unwrap();
        // A connection that was there before is no worse off.
        assert_eq!(client.get("/orders/o").unwrap().code(), "order-not-found");
        opening.server.stop();
    }
}

#[test]
fn sigterm_while_the_store_opens_ends_it_with_exit_status_0() {
    for (command, arguments) in COMMANDS {
        let directory = tempfile::tempdir().unwrap();
        let opening = Opening::start(command, arguments, directory.path());
        let mut client = opening.connect();
        assert_eq!(client.get("/health").unwrap().status, 200);
        opening.server.stop();
    }
}

#[test]
fn a_store_that_cannot_be_opened_ends_it_whoever_asks_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("orders.db"), "no store. ".repeat(1_000)).unwrap();
    let mut opening = Opening::start("serve", &[], directory.path());
    let mut client = opening.connect();
    assert_eq!(client.get("/health").unwrap().status, 200);
    opening.open();
    assert_eq!(opening.server.wait().code(), Some(1));
    assert!(opening.server.log().contains("is not an order store"), "{}", opening.server.log());
}
