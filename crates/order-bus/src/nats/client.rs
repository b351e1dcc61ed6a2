//! One connection. It is never mended: once it is lost, whoever has it opens another, and looks at the stream again.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use async_nats::rustls;
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use order_application::{BrokerError, error_chain};
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::{misconfigured, silence, unavailable};
use super::options::{Access, NatsOptions};
use crate::tls::file_fault;

/// To reach one address and to be let in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For one answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// To connect, and to find out where the stream is.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that may wait for their reader: more than a window of acknowledgements or of messages fetched ahead.
const SUBSCRIPTION_MESSAGES: usize = 128 * 1024;

pub(super) struct Connection {
    pub(super) client: Client,
    /// Why it is lost.
    lost: watch::Receiver<Option<BrokerError>>,
}

impl Connection {
    pub(super) async fn open(options: &NatsOptions) -> Result<Self, BrokerError> {
        let (sender, lost) = watch::channel(None);
        let on_event = {
            let options = options.clone();
            move |event| {
                if let Some(error) = loss(&options, &event) {
                    // The first reason stands; what follows is its consequence.
                    sender.send_if_modified(|lost| {
                        let is_first = lost.is_none();
                        lost.get_or_insert(error);
                        is_first
                    });
                }
                std::future::ready(())
            }
        };
        let hosts: Vec<&str> = options.servers.split(',').collect();
        let connect = connect_options(options)
            .await?
            .name("order-service")
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .subscription_capacity(SUBSCRIPTION_MESSAGES)
            // Each server once, now and after the loss: the client must not go on for ever on its own.
            .max_reconnects(hosts.len())
            .ignore_discovered_servers()
            // The subjects are made here, of characters that are known.
            .skip_subject_validation(true)
            .event_callback(on_event);
        let client = connect.connect(&hosts[..]).await.map_err(|error| connect_error(options, &error))?;
        Ok(Self { client, lost })
    }

    /// Waits until the connection is lost, or the server refuses something; says why.
    pub(super) async fn lost(&mut self) -> BrokerError {
        let gone = || BrokerError::Unavailable("the connection to NATS has ended".to_owned());
        match self.lost.wait_for(Option::is_some).await {
            Ok(lost) => lost.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }
}

/// What an event means for whoever uses the connection; `None` if nothing.
#[expect(clippy::wildcard_enum_match_arm, reason = "the client's enum: what it adds later is no loss")]
fn loss(options: &NatsOptions, event: &Event) -> Option<BrokerError> {
    match event {
        Event::Disconnected | Event::Closed => Some(unavailable(options, "the connection was lost")),
        Event::ServerError(ServerError::Other(text))
            if text.to_lowercase().contains("permissions violation") =>
        {
            Some(misconfigured(options, format_args!("this user may not do everything: {text}")))
        }
        _ => None,
    }
}

async fn connect_options(options: &NatsOptions) -> Result<ConnectOptions, BrokerError> {
    options.tls_files.check()?;
    let connect = match &options.access {
        Access::Anybody => ConnectOptions::new(),
        Access::Password { user, password } => {
            ConnectOptions::with_user_and_password(user.clone(), password.clone())
        }
        Access::Token(token) => ConnectOptions::with_token(token.clone()),
        Access::Nkey(file) => ConnectOptions::with_nkey(nkey_seed(file)?),
        Access::Credentials(file) => ConnectOptions::with_credentials_file(file)
            .await
            .map_err(|error| file_fault("creds", file, &error.to_string()))?,
    };
    let mut connect = connect.require_tls(options.requires_tls);
    if options.begins_with_tls {
        connect = connect.tls_first();
    }
    if let Some(file) = &options.tls_files.authorities {
        connect = connect.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = &options.tls_files.client {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect)
}

/// The line of a file that is the seed of a user's nkey: such files may have comments.
fn nkey_seed(file: &Path) -> Result<String, BrokerError> {
    let text = fs::read_to_string(file).map_err(|error| file_fault("nkey", file, &error.to_string()))?;
    let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
    seed.map(str::to_owned).ok_or_else(|| file_fault("nkey", file, "it has no seed of a user (SU…)"))
}

fn connect_error(options: &NatsOptions, error: &ConnectError) -> BrokerError {
    let cause = error.source().map(error_chain).unwrap_or_default();
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => misconfigured(
            options,
            "the server does not let us in: user, password, token or key are wrong or missing",
        ),
        ConnectErrorKind::Tls => misconfigured(options, format_args!("TLS: {cause}")),
        ConnectErrorKind::ServerParse => misconfigured(options, format_args!("not an address: {cause}")),
        ConnectErrorKind::Dns => unavailable(options, format_args!("the host is not known: {cause}")),
        ConnectErrorKind::TimedOut | ConnectErrorKind::MaxReconnects => {
            unavailable(options, "the server does not answer")
        }
        // A broken handshake comes as an error of reading.
        ConnectErrorKind::Io => match error.source().and_then(tls_error) {
            Some(tls) => misconfigured(options, format_args!("TLS: {tls}")),
            None => unavailable(options, format_args!("the server cannot be reached: {cause}")),
        },
    }
}

fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.and_then(|inner| inner.downcast_ref())
}

/// Bounds what talks to the server.
pub(super) async fn within<T>(
    limit: Duration,
    options: &NatsOptions,
    work: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    // Boxed, for it is large and happens seldom.
    timeout(limit, Box::pin(work)).await.unwrap_or_else(|_| Err(silence(options, limit)))
}
