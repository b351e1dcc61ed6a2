//! A data directory and its configuration.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::options::PostgresOptions;
use super::programs::Programs;
use crate::certificate::Certificate;
use crate::supervised::Supervised;
use crate::user::ServerUser;

/// This crate's own ways in, before all others.
const OWN_AUTHENTICATION: &str = "\
host all         postgres 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust
";

/// A data directory that no server runs on yet, in a private directory.
pub(super) struct Cluster<'a> {
    pub(super) supervised: &'a mut Supervised,
    pub(super) programs: &'a Programs,
    pub(super) user: ServerUser,
}

impl Cluster<'_> {
    /// `initdb`, and what the options say.
    pub(super) fn create(&mut self, options: &PostgresOptions) -> Result<()> {
        // Not synced: the tests kill processes, they do not cut the power.
        let how = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        self.run("initdb", &how)?;
        self.set(&options.settings)?;
        if !options.authentication.is_empty() {
            let lines = format!("{OWN_AUTHENTICATION}{}\n", options.authentication.join("\n"));
            fs::write(self.data().join("pg_hba.conf"), lines).context("write pg_hba.conf")?;
        }
        options.certificate.as_ref().map_or(Ok(()), |certificate| self.offer_tls(certificate))
    }

    /// Copies another server's data, to follow it.
    pub(super) fn copy_to_follow(&mut self, port: u16) -> Result<()> {
        let port = port.to_string();
        let from = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        let how = ["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"];
        self.run("pg_basebackup", &[&from[..], &how].concat())
    }

    /// Copies a backup of a server's data, to go on from it with the log that was archived since.
    pub(super) fn copy_to_recover(&mut self, base: &Path) -> Result<()> {
        let data = self.data();
        let mut copy = self.user.words("cp");
        copy.extend(["-r".into(), base.into(), data.clone().into()]);
        self.supervised.run(&copy)?;
        let mut close = self.user.words("chmod");
        close.extend(["0700".into(), data.clone().into()]);
        self.supervised.run(&close)?;
        self.user.write_private(&data.join("recovery.signal"), b"")
    }

    /// Adds lines to `postgresql.conf`; the last one for a name holds.
    pub(super) fn set(&self, settings: &[(String, String)]) -> Result<()> {
        let mut lines = String::new();
        for (name, value) in settings {
            writeln!(lines, "{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"))?;
        }
        let path = self.data().join("postgresql.conf");
        let mut file = OpenOptions::new().append(true).open(path).context("open postgresql.conf")?;
        file.write_all(lines.as_bytes()).context("write postgresql.conf")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.supervised.directory().join("data")
    }

    /// The server reads a key only if nobody else can.
    fn offer_tls(&self, Certificate { certificate, key }: &Certificate) -> Result<()> {
        for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
            self.user.copy_private(from, &self.data().join(name))?;
        }
        let files = [("ssl", "on"), ("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")];
        self.set(&files.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// Runs one of PostgreSQL's programs on the data directory.
    fn run(&mut self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut words = self.user.words(self.programs.path(program));
        words.extend(["-D".into(), self.data().into()]);
        words.extend(arguments.iter().map(Into::into));
        self.supervised.run(&words)
    }
}
