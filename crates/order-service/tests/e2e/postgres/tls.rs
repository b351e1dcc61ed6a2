//! TLS to the database: who asks for it gets it, or does not start.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use test_servers::postgres::{Certificate, installed_versions};
use test_servers::{PostgresOptions, PostgresServer, PostgresVersion};

use super::scenario::serving;
use crate::start_up::{FAILURE, USAGE, assert_refused};
use crate::workflow::run_through;

/// A root that signs servers' certificates, with its own certificate in a file.
struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("root.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { directory, issuer: Issuer::new(params, key) }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// For a server of that name or address.
    fn certificate(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let file = |name: &str, text: String| {
            let path = self.directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Certificate {
            certificate: file("server.pem", params.signed_by(&key, &self.issuer).unwrap().pem()),
            key: file("server.key", key.serialize_pem()),
        }
    }
}

/// A server with this certificate that takes no one without TLS. `None` where no PostgreSQL is installed: the fetched one
/// has no TLS. `cargo xtask test` says that these tests are left out then.
fn server_with(certificate: Certificate) -> Option<PostgresServer> {
    let newest = installed_versions().first().copied()?;
    let options = PostgresOptions::durable()
        .version(PostgresVersion::Installed(newest))
        .tls(certificate)
        .authentication("hostssl all app 127.0.0.1/32 scram-sha-256");
    let server = PostgresServer::start(options).unwrap();
    server.query("CREATE ROLE app SUPERUSER LOGIN PASSWORD 'secret'").unwrap();
    Some(server)
}

/// The way to a fresh database, as a user who is not let in without TLS.
fn url(server: &PostgresServer, query: &str) -> String {
    let database = server.create_database().unwrap();
    format!("{}?{query}", database.replace("postgres://postgres@", "postgres://app:secret@"))
}

fn verified_by(root: &Path) -> String {
    format!("sslmode=verify-full&sslrootcert={}", root.display())
}

#[track_caller]
fn assert_served(url: &str) {
    let server = serving(url).start();
    run_through(&server);
    server.stop();
}

#[test]
fn a_server_with_the_right_certificate_is_served_and_others_are_not() {
    let (authority, stranger) = (Authority::new("authority"), Authority::new("stranger"));
    let Some(server) = server_with(authority.certificate("127.0.0.1")) else { return };
    assert_served(&url(&server, &verified_by(&authority.root())));
    // Encrypted is enough for these, whoever it is.
    assert_served(&url(&server, "sslmode=require"));
    assert_served(&url(&server, "sslmode=prefer"));

    let unknown = url(&server, &verified_by(&stranger.root()));
    assert_refused(&serving(&unknown).run(), FAILURE, &["invalid peer certificate: UnknownIssuer"]);
    let in_clear = url(&server, "sslmode=disable");
    assert_refused(&serving(&in_clear).run(), FAILURE, &["no encryption"]);
    let no_root = url(&server, "sslmode=verify-full&sslrootcert=/nowhere/root.pem");
    assert_refused(&serving(&no_root).run(), FAILURE, &["sslrootcert /nowhere/root.pem: "]);
    let unused = url(&server, &format!("sslmode=require&sslrootcert={}", authority.root().display()));
    assert_refused(
        &serving(&unused).run(),
        USAGE,
        &["sslrootcert is looked at with sslmode=verify-full only"],
    );
}

#[test]
fn a_server_with_the_certificate_of_another_host_is_refused() {
    let authority = Authority::new("authority");
    let Some(server) = server_with(authority.certificate("db.example")) else { return };
    let url = url(&server, &verified_by(&authority.root()));
    assert_refused(&serving(&url).run(), FAILURE, &["certificate not valid for name \"127.0.0.1\""]);
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let server = PostgresServer::start(PostgresOptions::durable()).unwrap();
    for mode in ["require", "verify-full"] {
        let url = format!("{}?sslmode={mode}", server.create_database().unwrap());
        let ended = serving(&url).run();
        assert_refused(&ended, FAILURE, &["TLS"]);
    }
}
