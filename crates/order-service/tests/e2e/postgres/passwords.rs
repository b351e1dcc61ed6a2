//! A password that the URL does not tell is taken from where PostgreSQL's own programs take it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;
use test_servers::{PostgresOptions, PostgresServer};

use crate::server::Program;
use crate::start_up::{FAILURE, USAGE, assert_refused};

/// With everything that a URL or a line of a password file takes for something else.
const PASSWORD: &str = r"p@s:s\w/o?r&d %41#ö";

/// A server of which `app` owns the database `orders`, and needs the password.
fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let login = "host all all 127.0.0.1/32 scram-sha-256";
        let server = PostgresServer::start(PostgresOptions::durable().authentication(login)).unwrap();
        server.query(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")).unwrap();
        server.query("CREATE DATABASE orders OWNER app").unwrap();
        server
    })
}

fn migrate() -> Program {
    let url = format!("postgres://app@127.0.0.1:{}/orders?sslmode=disable", server().port());
    Program::new(["migrate", "--store", &url])
}

/// A password file that nobody else may read.
fn password_file(directory: &Path) -> PathBuf {
    let file = directory.join(".pgpass");
    let escaped = PASSWORD.replace('\\', r"\\").replace(':', r"\:");
    fs::write(
        &file,
        format!("# ours\nelsewhere:*:*:app:no\n127.0.0.1:{}:orders:app:{escaped}\n", server().port()),
    )
    .unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}

#[track_caller]
fn assert_let_in(program: Program) {
    let ended = program.run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(!format!("{ended:?}").contains("w/o"), "{ended:?}");
}

#[test]
fn it_is_taken_from_pgpassword_from_the_file_that_pgpassfile_names_and_from_pgpass_at_home() {
    let home = TempDir::new().unwrap();
    assert_refused(&migrate().variable("HOME", home.path()).run(), FAILURE, &["password missing"]);
    let file = password_file(home.path());
    assert_let_in(migrate().variable("HOME", "/nowhere").variable("PGPASSWORD", PASSWORD));
    assert_let_in(migrate().variable("HOME", "/nowhere").variable("PGPASSFILE", &file));
    assert_let_in(migrate().variable("HOME", home.path()));
    // The more explicit one counts.
    let wrong = migrate().variable("HOME", home.path()).variable("PGPASSWORD", "wrong");
    assert_refused(&wrong.run(), FAILURE, &["password authentication failed"]);
}

#[test]
fn a_password_file_that_others_may_read_or_that_is_not_there_is_a_fault() {
    let home = TempDir::new().unwrap();
    let file = password_file(home.path());
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let readable = migrate().variable("PGPASSFILE", &file).run();
    assert_refused(&readable, USAGE, &[&format!("others may read it: chmod 600 {}", file.display())]);
    let missing = migrate().variable("PGPASSFILE", home.path().join("missing")).run();
    assert_refused(&missing, USAGE, &["the password file "]);
}
