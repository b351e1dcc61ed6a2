//! A client of a service that runs, for `status` and `tail`: HTTP/1.1, a connection for each request.

mod server_sent;
mod service_url;

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Request, Response, StatusCode};
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) use server_sent::ServerSentEvents;
pub(crate) use service_url::ServiceUrl;

/// How long a service may take to begin an answer.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Longest answer that is read as a whole, in bytes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Which service is asked, and as whom.
#[derive(Debug, Args)]
pub(crate) struct ClientOptions {
    /// Where the service is.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080")]
    pub(crate) url: ServiceUrl,
    /// A key of the service's access file, where it has one. The environment is a better place for it than the command line.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Who signs the service's certificate, in a PEM file; without it the system's authorities do.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl ClientOptions {
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }
}

/// Asks a service.
pub(crate) struct Client {
    url: ServiceUrl,
    authorization: Option<HeaderValue>,
    /// For a service that encrypts.
    tls: Option<TlsConnector>,
}

impl Client {
    /// # Errors
    /// When the key or the file with the authorities cannot be used.
    pub(crate) fn new(options: &ClientOptions) -> anyhow::Result<Self> {
        let bearer = |key: &String| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| anyhow!("--key has a character that no key has"))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        };
        let tls = options.url.is_encrypted().then(|| connector(options.ca.as_ref()).context("--ca"));
        Ok(Self {
            url: options.url.clone(),
            authorization: options.key.as_ref().map(bearer).transpose()?,
            tls: tls.transpose()?,
        })
    }

    /// Asks, and answers with what comes, whatever its status.
    ///
    /// # Errors
    /// When the service cannot be reached, or does not begin to answer in time.
    pub(crate) async fn get(
        &self,
        target: &str,
        fields: &[(HeaderName, HeaderValue)],
    ) -> anyhow::Result<Response<Incoming>> {
        let asking = tokio::time::timeout(MAX_WAIT, self.ask(target, fields)).await;
        let answer = asking.unwrap_or_else(|_| bail!("no answer within {} s", MAX_WAIT.as_secs()));
        answer.with_context(|| format!("cannot ask {}", self.url))
    }

    async fn ask(
        &self,
        target: &str,
        fields: &[(HeaderName, HeaderValue)],
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::get(target)
            .header(header::HOST, self.url.authority())
            .header(header::USER_AGENT, concat!("order-service/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let tcp = TcpStream::connect((self.url.host(), self.url.port())).await?;
        match &self.tls {
            None => send(tcp, request).await,
            Some(tls) => {
                let name = self.url.host().to_owned().try_into()?;
                let encrypted = tls.connect(name, tcp).await.map_err(|error| self.without_tls(error))?;
                send(encrypted, request).await
            }
        }
    }

    /// What went wrong with the encryption, in plain words where the service has none.
    fn without_tls(&self, error: io::Error) -> anyhow::Error {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(_))) = cause {
            return anyhow!(
                "the service's certificate is one that signs others, or is signed by none that is trusted: --ca takes the \
                 authority that signed it ({error})"
            );
        }
        if let Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) = cause {
            return anyhow!(
                "nobody who is trusted has signed the service's certificate: --ca takes the certificate of who did"
            );
        }
        if let Some(rustls::Error::InvalidMessage(_)) = cause {
            let plain = format!("http://{}", self.url.authority());
            return anyhow!(
                "it does not answer as a service with TLS does; one without is asked with --url {plain}"
            );
        }
        error.into()
    }
}

/// Sends a request to where its URL leads, on a connection of its own, with TLS if there is any. Nobody is followed elsewhere.
///
/// # Errors
/// Nobody takes the connection, it breaks, or what comes is no HTTP.
pub(crate) async fn exchange<B>(
    mut request: Request<B>,
    tls: Option<&TlsConnector>,
) -> anyhow::Result<Response<Incoming>>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let url = std::mem::take(request.uri_mut());
    let authority = url.authority().context("the URL has no host")?;
    request.headers_mut().entry(header::HOST).or_insert(HeaderValue::try_from(authority.as_str())?);
    // A server wants to be asked for a path; the whole URL is for proxies.
    if let Some(path) = url.path_and_query() {
        *request.uri_mut() = path.clone().into();
    }
    let host = authority.host().trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.context("cannot connect")?;
    match tls {
        None => send(stream, request).await,
        Some(tls) => send(tls.connect(host.to_owned().try_into()?, stream).await?, request).await,
    }
}

/// Sends a request on a connection of its own.
///
/// # Errors
/// The connection breaks, or what comes is no HTTP.
async fn send<B>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<B>,
) -> anyhow::Result<Response<Incoming>>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with it is told by the answer's body.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Who may sign servers' certificates: those in a file, or whom the system trusts.
///
/// # Errors
/// The file has no certificates.
pub(crate) fn connector(authorities: Option<&PathBuf>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = authorities {
        let in_file = || file.display().to_string();
        for certificate in CertificateDer::pem_file_iter(file).with_context(in_file)? {
            roots.add(certificate.with_context(in_file)?).with_context(in_file)?;
        }
        if roots.is_empty() {
            bail!("{}: there is no certificate in it", in_file());
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// The whole body.
///
/// # Errors
/// When it breaks off, or is too long.
pub(crate) async fn body(answer: Response<Incoming>) -> anyhow::Result<Bytes> {
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
    let body = tokio::time::timeout(MAX_WAIT, body).await.context("the answer does not end")?;
    Ok(body.map_err(anyhow::Error::from_boxed).context("the answer broke off")?.to_bytes())
}

/// What a refusal says, for people. Whoever stands between may have answered with something else.
pub(crate) fn refusal(status: StatusCode, problem: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(problem).unwrap_or_default();
    match (problem["code"].as_str(), problem["detail"].as_str()) {
        (Some(code), Some(detail)) => {
            format!("{} {code}: {detail}{}", status.as_u16(), faults(&problem["errors"]))
        }
        _ => format!("{status}, and nothing that this service would say"),
    }
}

/// What is wrong with a request, each fault with its place.
fn faults(errors: &Value) -> String {
    let fault = |error: &Value| {
        let place = ["parameter", "pointer", "header"].into_iter().find_map(|place| error[place].as_str());
        Some(format!("{}: {}", place.unwrap_or("request"), error["detail"].as_str()?))
    };
    let faults: Vec<_> = errors.as_array().into_iter().flatten().filter_map(fault).collect();
    if faults.is_empty() { String::new() } else { format!(" ({})", faults.join("; ")) }
}
