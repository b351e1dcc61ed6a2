//! A database that is away when the service starts: the service waits for it, and other commands say so at once.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;

use test_servers::{PostgresOptions, PostgresServer, free_port};

use super::refused_starts::as_user;
use super::sql::Session;
use crate::http::Client;
use crate::server::{Program, Server, wait_until};
use crate::start_up::{FAILURE, assert_refused};

/// What must be seen nowhere.
const PASSWORD: &str = "canary-71e0";

/// A service whose first line, which would tell its port, has not come yet.
struct Waiting {
    server: Server,
    port: u16,
}

impl Waiting {
    fn for_database(url: &str) -> Self {
        let port = free_port().unwrap();
        let listen = format!("127.0.0.1:{port}");
        let serve = Program::new(["serve", "--store", url]).argument("--listen", listen);
        Self { server: serve.spawn(), port }
    }

    /// It has told that it waits, and does.
    #[track_caller]
    fn answers_that_it_waits(&self) {
        wait_until("the outage is told", || (self.told() > 0).then_some(()));
        let mut client = wait_until("it takes connections", || Client::connect(self.port).ok());
        assert_eq!(client.get("/health").unwrap().status, 200);
        assert_eq!(client.get("/ready").unwrap().status, 503);
        let command = client.post("/orders", "{}").unwrap();
        assert_eq!((command.status, command.code().as_str()), (503, "store-unavailable"));
        assert!(command.header("retry-after").is_some());
        assert_eq!(self.server.said(), None);
    }

    /// How often it said that it waits.
    fn told(&self) -> usize {
        self.server.log().matches("the database is away").count()
    }
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let mut database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    database.stop().unwrap();
    let mut waiting = Waiting::for_database(&url);
    waiting.answers_that_it_waits();
    database.start_again().unwrap();
    waiting.server.serves().unwrap();
    assert_eq!(waiting.server.get("/ready").status, 200);
    let log = waiting.server.log();
    assert!(log.contains(&format!("PostgreSQL at 127.0.0.1:{} (database ", database.port())), "{log}");
    assert!(log.contains("Connection refused") && log.contains("failed_attempts"), "{log}");
    waiting.server.stop();
}

#[test]
fn a_server_that_says_nothing_is_waited_for() {
    let mut database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    database.freeze().unwrap();
    let mut waiting = Waiting::for_database(&url);
    waiting.answers_that_it_waits();
    database.thaw().unwrap();
    waiting.server.serves().unwrap();
    waiting.server.stop();
}

#[test]
fn a_server_that_has_no_connection_left_is_waited_for() {
    // Three of these are kept for superusers.
    let few = PostgresOptions::durable().setting("max_connections", 20);
    let database = PostgresServer::start(few).unwrap();
    database.query("CREATE ROLE app LOGIN").unwrap();
    database.query("CREATE DATABASE orders OWNER app").unwrap();
    let url = database.url_of("orders").replace("//postgres@", "//app@");
    let taken: Vec<_> = (0..17).map(|_| Session::open(&url)).collect();
    let mut waiting = Waiting::for_database(&url);
    waiting.answers_that_it_waits();
    let told = "an instance takes two more than --postgres-connections says (10 by default)";
    assert!(waiting.server.log().contains(told), "{}", waiting.server.log());
    drop(taken);
    waiting.server.serves().unwrap();
    waiting.server.stop();
}

#[test]
fn a_user_whose_transactions_are_read_only_is_told_how_to_switch_that_off_and_waited_for() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    database.query("CREATE ROLE app SUPERUSER LOGIN").unwrap();
    database.query("ALTER ROLE app SET default_transaction_read_only = on").unwrap();
    let url = database.create_database().unwrap().replace("//postgres@", "//app@");
    let mut waiting = Waiting::for_database(&url);
    waiting.answers_that_it_waits();
    let told = "`ALTER ROLE app SET default_transaction_read_only = off`";
    assert!(waiting.server.log().contains(told), "{}", waiting.server.log());
    database.query("ALTER ROLE app SET default_transaction_read_only = off").unwrap();
    waiting.server.serves().unwrap();
    waiting.server.stop();
}

#[test]
fn an_outage_is_told_once_however_often_it_is_tried_again_and_a_stop_ends_the_wait() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (attempt, attempts) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Closed as soon as the client has said something.
            let _ = stream.and_then(|mut stream| stream.read(&mut [0; 8]));
            if attempt.send(()).is_err() {
                return;
            }
        }
    });
    let waiting = Waiting::for_database(&format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/orders"));
    for _ in 0..5 {
        wait_until("it is tried again", || attempts.try_recv().ok());
    }
    waiting.answers_that_it_waits();
    assert_eq!(waiting.told(), 1, "{}", waiting.server.log());
    assert!(!waiting.server.log().contains(PASSWORD));
    waiting.server.stop();
}

#[test]
fn one_that_refuses_for_good_when_it_is_there_ends_the_wait() {
    let login = "host all all 127.0.0.1/32 scram-sha-256";
    let mut database = PostgresServer::start(PostgresOptions::durable().authentication(login)).unwrap();
    database.query(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let url = as_user(&database.create_database().unwrap(), "app", "another");
    database.stop().unwrap();
    let mut waiting = Waiting::for_database(&url);
    waiting.answers_that_it_waits();
    database.start_again().unwrap();
    assert_eq!(waiting.server.wait().code(), Some(FAILURE));
    let log = waiting.server.log();
    assert!(log.lines().last().unwrap().contains("password authentication failed"), "{log}");
}

#[test]
fn commands_other_than_serve_do_not_wait() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", directory.path().join("orders.db").display());
    Program::serve().argument("--store", &file).start().stop();
    let away = format!("postgres://app:{PASSWORD}@127.0.0.1:{}/orders", free_port().unwrap());
    let broker = "nats://127.0.0.1:1";
    let commands: [&[&str]; 7] = [
        &["verify", "--store", &away],
        &["migrate", "--store", &away],
        &["rebuild", "--store", &away],
        &["export", "--store", &away],
        &["republish", "--store", &away, "--from-position", "1", "--bus", broker],
        &["copy", "--from", &away, "--to", "sqlite:there.db"],
        &["copy", "--from", &file, "--to", &away],
    ];
    for command in commands {
        let ended = Program::new(command).in_directory(directory.path()).run();
        assert_refused(&ended, FAILURE, &["(database orders, user app): cannot connect: "]);
        assert!(ended.stderr[0].contains("Connection refused"), "{ended:?}");
        assert!(!format!("{ended:?}").contains(PASSWORD), "{ended:?}");
    }
}
