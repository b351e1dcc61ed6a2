//! The files of TLS, which both brokers' URLs name in the same way.

use std::fs::File;
use std::path::{Path, PathBuf};

use async_nats::rustls::pki_types::CertificateDer;
use async_nats::rustls::pki_types::pem::{self, PemObject};
use order_application::BrokerError;

use crate::url::Parameters;

/// PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// `ca`: who signs the server's certificate. Without it the system's authorities do.
    pub(crate) authorities: Option<PathBuf>,
    /// `cert` and `key`: this client's certificate and its key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// Takes the files out of a URL's parameters.
    pub(crate) fn take(parameters: &mut Parameters) -> Result<Self, String> {
        let client = match (parameters.file("cert"), parameters.file("key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err("cert= and key= belong together".to_owned()),
        };
        Ok(Self { authorities: parameters.file("ca"), client })
    }

    /// Reads them once: what the clients say of a file that they cannot use does not name it.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        if let Some(file) = &self.authorities {
            check_certificate("ca", file)?;
        }
        if let Some((certificate, key)) = &self.client {
            check_certificate("cert", certificate)?;
            File::open(key).map_err(|error| file_fault("key", key, &error.to_string()))?;
        }
        Ok(())
    }
}

fn check_certificate(parameter: &str, file: &Path) -> Result<(), BrokerError> {
    match CertificateDer::from_pem_file(file) {
        Ok(_) => Ok(()),
        Err(pem::Error::NoItemsFound) => Err(file_fault(parameter, file, "there is no certificate in it")),
        Err(error) => Err(file_fault(parameter, file, &error.to_string())),
    }
}

/// What is wrong with the file that a parameter names.
pub(crate) fn file_fault(parameter: &str, file: &Path, what: &str) -> BrokerError {
    BrokerError::Misconfigured(format!("{parameter}={}: {what}", file.display()))
}
