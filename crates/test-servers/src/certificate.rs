//! What a server proves its name with.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A server's certificate and its private key, as PEM files. They are copied.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate, followed by those that lead to the root.
    pub certificate: PathBuf,
    /// Its private key, without a passphrase.
    pub key: PathBuf,
}

/// A root that signs servers' certificates. Its files, and those of the certificates, go with it.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A root of its own, of this name: nobody trusts it yet.
    ///
    /// # Errors
    ///
    /// When no file can be written.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("root.pem"), params.self_signed(&key)?.pem())
            .context("write a root")?;
        Ok(Self { directory, issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, for those who are to trust it.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// A certificate for a server of this name or address.
    ///
    /// # Errors
    ///
    /// When it is no name, or no file can be written.
    pub fn certificate(&self, name: &str) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([name.to_owned()])?;
        let [certificate, key_file] =
            ["pem", "key"].map(|extension| self.directory.path().join(format!("{name}.{extension}")));
        fs::write(&certificate, params.signed_by(&key, &self.issuer)?.pem())
            .context("write a certificate")?;
        fs::write(&key_file, key.serialize_pem()).context("write a key")?;
        Ok(Certificate { certificate, key: key_file })
    }
}
