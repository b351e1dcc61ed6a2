//! Who is let in: keys of a file, that is changed while the service runs.

mod credentials;
mod file;
pub(crate) mod issuer;
mod keys;
mod pipes;
mod rates;
mod reach;
mod tokens;
mod told;
mod trust;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::http::{Answer, Client, post};
use crate::server::{Program, Server, wait_until};

/// An order that anybody would take.
pub(crate) const ORDER: &str =
    r#"{"order_id":"ord-001","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;

/// An access file in a directory of its own.
pub(crate) struct AccessFile {
    directory: TempDir,
}

impl AccessFile {
    /// One that nobody is let in by yet.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("access.toml")
    }

    /// Adds a key, as people do, with what else its entry is to have.
    pub(crate) fn add(&self, name: &str, scopes: &str, more: &str) -> String {
        let made = Program::new(["keys", "create", "--name", name, "--scope", scopes]).run();
        assert_eq!(made.status, Some(0), "{made:?}");
        let mut file = OpenOptions::new().create(true).append(true).open(self.path()).unwrap();
        writeln!(file, "{}\n{more}", made.stdout.join("\n")).unwrap();
        made.stderr.join("").rsplit_once(' ').expect("the key is shown").1.to_owned()
    }

    pub(crate) fn read(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Puts another text in its place, at once.
    pub(crate) fn replace(&self, text: &str) {
        let new = self.directory.path().join("new.toml");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    pub(crate) fn program(&self) -> Program {
        Program::serve().argument("--store", "memory:").argument("--access", self.path())
    }

    pub(crate) fn start(&self) -> Server {
        self.program().start()
    }
}

/// Sends a request with more header fields, each with its line's end.
fn send(client: &mut Client, request: &str, fields: &str) -> io::Result<Answer> {
    client.send(request.replacen("\r\n", &format!("\r\n{fields}"), 1).as_bytes())?;
    client.answer()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: e2e\r\n\r\n")
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}\r\n")
}

/// A GET by the bearer of a key.
#[track_caller]
pub(crate) fn get_with(server: &Server, path: &str, key: &str) -> Answer {
    send(&mut server.connect(), &get(path), &bearer(key)).unwrap()
}

/// A POST by the bearer of a key.
#[track_caller]
pub(crate) fn post_with(server: &Server, path: &str, key: &str, body: &str) -> Answer {
    send(&mut server.connect(), &post(path, body), &bearer(key)).unwrap()
}

/// Waits until the service says something.
#[track_caller]
pub(crate) fn wait_for_log(server: &Server, words: &str) {
    wait_until(words, || server.log().contains(words).then_some(()));
}
