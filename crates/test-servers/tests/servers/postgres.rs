//! PostgreSQL.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use test_servers::postgres::{Programs, installed_versions};
use test_servers::{Authority, PostgresOptions, PostgresServer, PostgresVersion};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_server_keeps_its_data_when_it_is_killed() {
    let mut server = PostgresServer::start(PostgresOptions::durable()).unwrap();
    server.query("CREATE TABLE kept (x int)").unwrap();
    for kill in [PostgresServer::kill_immediately, PostgresServer::kill_hard, PostgresServer::stop] {
        server.query("INSERT INTO kept VALUES (1)").unwrap();
        let url = server.url();
        kill(&mut server).unwrap();
        assert!(!server.is_running());
        assert!(server.query("SELECT 1").is_err());
        server.start_again().unwrap();
        assert!(server.is_running());
        assert_eq!(server.url(), url);
    }
    assert_eq!(server.query("SELECT count(*) FROM kept").unwrap(), "3");
}

#[test]
fn every_database_is_fresh() {
    let server = PostgresServer::shared().unwrap();
    let urls = [(); 2].map(|()| server.create_database().unwrap());
    assert_ne!(urls[0], urls[1]);
    for url in urls {
        psql(&url, "CREATE TABLE mine (x int)").unwrap();
    }
}

#[test]
fn the_shared_server_is_one() {
    let server = PostgresServer::shared().unwrap();
    assert_eq!(server.url(), PostgresServer::shared().unwrap().url());
    assert_eq!(server.query("SHOW fsync").unwrap(), "off");
}

#[test]
fn the_last_value_of_a_setting_holds_until_it_is_changed() {
    let options = PostgresOptions::durable().setting("shared_buffers", "1MB").setting("search_path", r"a'\b");
    let server = PostgresServer::start(options.setting("shared_buffers", "16MB")).unwrap();
    assert_eq!(server.query("SHOW fsync").unwrap(), "on");
    assert_eq!(server.query("SHOW shared_buffers").unwrap(), "16MB");
    assert_eq!(server.query("SHOW search_path").unwrap(), r"a'\b");
    server.set("search_path", "other").unwrap();
    assert_eq!(server.query("SHOW search_path").unwrap(), "other");
}

#[test]
fn a_server_that_refuses_its_settings_says_so() {
    let options = PostgresOptions::quick().setting("max_connections", "many");
    let error = PostgresServer::start(options).unwrap_err();
    assert!(format!("{error:#}").contains("invalid value for parameter \"max_connections\""), "{error:#}");
}

#[test]
fn a_frozen_server_says_nothing_until_it_is_thawed() {
    let mut server = PostgresServer::start(PostgresOptions::quick()).unwrap();
    server.query("CREATE TABLE answers (x int)").unwrap();
    let mut session = session(&server.url());
    server.freeze().unwrap();
    assert!(server.is_running());
    // The operating system still takes connections for it.
    TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    session.ask();
    assert!(!session.answers_within(Duration::from_millis(300)));
    server.thaw().unwrap();
    assert!(session.answers_within(PATIENCE));
}

#[test]
fn every_installed_version_starts() {
    for version in installed_versions() {
        let options = PostgresOptions::quick().version(PostgresVersion::Installed(version));
        let server = PostgresServer::start(options).unwrap();
        let number: u32 = server.query("SHOW server_version_num").unwrap().parse().unwrap();
        assert_eq!(number / 10_000, version);
    }
    let error = Programs::find(PostgresVersion::Installed(7)).unwrap_err();
    assert_eq!(error.to_string(), "PostgreSQL 7 is not installed");
}

#[test]
fn tls_and_a_password_are_demanded() {
    let authority = Authority::new("test").unwrap();
    let options = PostgresOptions::quick()
        .tls(authority.certificate("localhost").unwrap())
        .authentication("hostssl all app 127.0.0.1/32 scram-sha-256");
    let Some(&version) = installed_versions().first() else {
        // What is fetched has no TLS, and says so.
        let error = PostgresServer::start(options).unwrap_err();
        assert!(format!("{error:#}").contains("SSL is not supported by this build"), "{error:#}");
        return;
    };
    let server = PostgresServer::start(options.version(PostgresVersion::Installed(version))).unwrap();
    server.query("CREATE ROLE app LOGIN PASSWORD 'secret'").unwrap();
    let url = |password, tls| {
        format!("postgres://app:{password}@127.0.0.1:{}/postgres?sslmode={tls}", server.port())
    };
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(psql_of(version, &url("secret", "require"), sql).unwrap(), "t");
    assert!(psql_of(version, &url("secret", "disable"), sql).unwrap_err().contains("no encryption"));
    assert!(psql_of(version, &url("wrong", "require"), sql).unwrap_err().contains("password"));
}

/// A client that stays connected.
struct Session {
    psql: Child,
    answers: Receiver<String>,
}

fn session(url: &str) -> Session {
    let psql = Programs::find(PostgresVersion::Newest).unwrap().path("psql");
    let mut psql =
        Command::new(psql).args(["-XAtq", url]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(psql.stdout.take().unwrap()).lines();
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut session = Session { psql, answers };
    session.ask();
    assert!(session.answers_within(PATIENCE));
    session
}

impl Session {
    fn ask(&mut self) {
        writeln!(self.psql.stdin.as_ref().unwrap(), "SELECT 'here';").unwrap();
    }

    fn answers_within(&self, time: Duration) -> bool {
        self.answers.recv_timeout(time).is_ok()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

/// Runs SQL and returns what is printed, or what is complained.
pub(crate) fn psql(url: &str, sql: &str) -> Result<String, String> {
    run_psql(&Programs::find(PostgresVersion::Newest).unwrap(), url, sql)
}

fn psql_of(version: u32, url: &str, sql: &str) -> Result<String, String> {
    run_psql(&Programs::find(PostgresVersion::Installed(version)).unwrap(), url, sql)
}

fn run_psql(programs: &Programs, url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(programs.path("psql")).args(["-XAtq", url, "-c", sql]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
