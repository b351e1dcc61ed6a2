//! `--tls-cert` and `--tls-key`: what the service proves its name with. Both files are looked at again and again, so that a
//! certificate is renewed without a restart.

use std::fmt::{self, Display};
use std::future::poll_fn;
use std::net::IpAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::anyhow;
use order_api::{Page, Source, Turns, network};
use order_application::{Clock, SystemClock};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::settings_file::{Looks, SettingsFile};

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Longest of either file: many certificates.
const MAX_FILE_BYTES: usize = 1024 * 1024;
/// What clients may choose from (RFC 7301): HTTP/2 if they can.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// PEM files: a certificate, followed by those that lead to its root, and its private key without a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What new connections are taken with.
#[derive(Clone)]
pub(crate) struct Tls {
    config: watch::Receiver<Arc<ServerConfig>>,
    validity: Arc<Validity>,
    /// To agree with a client how to encrypt costs as much as hundreds of requests.
    handshakes: Turns<IpAddr>,
}

/// Whether the certificate in use is going to be of use, for metrics.
#[derive(Default)]
struct Validity {
    /// In seconds since 1970.
    ends_at: AtomicU64,
    /// The files are not what they should be, and what was read before is in use.
    is_bad: AtomicBool,
}

impl Validity {
    /// Another certificate is in use.
    fn note(&self, read: &Read) {
        let ends_at = end_of(&read.certificate);
        self.ends_at.store(ends_at.unwrap_or_default(), Ordering::Relaxed);
        let now = SystemClock.now().as_micros() / 1_000_000;
        if ends_at.is_some_and(|ends_at| i64::try_from(ends_at).is_ok_and(|ends_at| ends_at <= now)) {
            tracing::warn!("the certificate has expired: clients will refuse it");
        }
    }
}

/// When the first certificate of a file ceases to count, in seconds since 1970.
fn end_of(pem: &[u8]) -> Option<u64> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    let certificate = Certificate::from_der(&certificate).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
}

impl Source for Tls {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let ends_at = self.validity.ends_at.load(Ordering::Relaxed);
        page.gauge(
            "order_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in use expires, in seconds since 1970",
            ends_at,
        )?;
        page.gauge(
            "order_tls_certificate_bad",
            "1 while the files of the certificate cannot be used and the one before stays in use",
            u64::from(self.validity.is_bad.load(Ordering::Relaxed)),
        )
    }
}

impl Tls {
    fn new(config: watch::Receiver<Arc<ServerConfig>>, validity: Arc<Validity>) -> Self {
        // Whoever is connected already has the other half.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { config, validity, handshakes: Turns::new(processors.div_ceil(2)) }
    }

    /// Takes a connection with the certificate of this moment.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config.borrow()).into()
    }

    /// A handshake of which only so much is done at a time, as with all others: machines take turns, however many connections each
    /// of them opens. While it waits for its client it has none. `None`: the client has left, as seen at the `socket` while others had
    /// their turns.
    pub(crate) async fn in_turns<H>(
        &self,
        from: IpAddr,
        mut handshake: H,
        socket: impl Fn(&H) -> Option<&TcpStream>,
    ) -> Option<H::Output>
    where
        H: Future + Unpin,
    {
        #[cfg(feature = "full-tests")]
        if crate::planted_faults::handshakes_take_no_turns() {
            return Some(handshake.await);
        }
        let mut signs = SIGNS_BEFORE_AN_ANSWER;
        loop {
            let turn = tokio::select! {
                biased;
                () = left(socket(&handshake), signs) => return None,
                turn = self.handshakes.turn(network(from)) => turn,
            };
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut handshake).poll(cx))).await;
            if let Poll::Ready(outcome) = polled {
                return Some(outcome);
            }
            drop(turn);
            until_woken().await;
            signs = Interest::ERROR;
        }
    }
}

/// What tells that a client has left to which nothing has been said yet: it says no more, and cannot have said all, or its system has
/// reset the connection. (Whoever has an answer may have said all that it has to say, and listen.) To be readable would tell nothing,
/// since there is what it has said; on Linux this is the end alone, where no urgent bytes are asked for.
#[cfg(target_os = "linux")]
const SIGNS_BEFORE_AN_ANSWER: Interest = Interest::ERROR.add(Interest::PRIORITY);
/// The same where only the second can be told.
#[cfg(not(target_os = "linux"))]
const SIGNS_BEFORE_AN_ANSWER: Interest = Interest::ERROR;

/// Returns when one of these signs is seen at a client's socket.
async fn left(socket: Option<&TcpStream>, signs: Interest) {
    let is_seen = match socket {
        Some(socket) => socket.ready(signs).await.is_ok(),
        None => false,
    };
    if !is_seen {
        std::future::pending().await
    }
}

/// Waits until there is more to do for what was polled last.
async fn until_woken() {
    let mut has_waited = false;
    let waiting = |_: &mut Context<'_>| match std::mem::replace(&mut has_waited, true) {
        false => Poll::Pending,
        true => Poll::Ready(()),
    };
    poll_fn(waiting).await;
}

impl TlsFiles {
    /// Reads the files, and again whenever they change, until nobody needs them any more.
    ///
    /// # Errors
    /// When they are not what they should be now. Later on, what was good before stays in use.
    pub(crate) async fn start(self) -> anyhow::Result<Tls> {
        let files =
            [&self.certificate, &self.key].map(|path| SettingsFile::new(path.clone(), MAX_FILE_BYTES));
        let read = self.read(&files).await.map_err(|fault| anyhow!(fault))?;
        let config = self.config(&read).map_err(|fault| anyhow!(fault))?;
        let (sender, receiver) = watch::channel(config);
        let validity = Arc::new(Validity::default());
        validity.note(&read);
        tokio::spawn(self.watch(files, read, sender, Arc::clone(&validity)));
        Ok(Tls::new(receiver, validity))
    }

    /// Replaces the certificate when the files change.
    async fn watch(
        self,
        files: [SettingsFile; 2],
        known: Read,
        sender: watch::Sender<Arc<ServerConfig>>,
        validity: Arc<Validity>,
    ) {
        let mut looks = Looks::after(Ok(known));
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            let found = self.read(&files).await;
            let Some(found) = looks.other(found) else { continue };
            let config = found.as_ref().map_err(Clone::clone);
            let config = config.and_then(|read| Ok((read, self.config(read)?)));
            validity.is_bad.store(config.is_err(), Ordering::Relaxed);
            match config {
                Ok((read, config)) => {
                    sender.send_replace(config);
                    validity.note(read);
                    tracing::info!("new connections get the new certificate");
                }
                Err(fault) => {
                    tracing::error!(%fault, "the new certificate cannot be used; the one before stays in use");
                }
            }
        }
    }

    async fn read(&self, files: &[SettingsFile; 2]) -> Result<Read, String> {
        let [certificate, key] = files;
        let certificate = certificate.read().await.map_err(|fault| self.certificate_fault(fault))?;
        let key = key.read().await.map_err(|fault| self.key_fault(fault))?;
        Ok(Read { certificate, key })
    }

    fn config(&self, read: &Read) -> Result<Arc<ServerConfig>, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&read.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| self.certificate_fault(pem_fault(&error, "certificate")))?;
        if chain.is_empty() {
            return Err(self.certificate_fault(pem_fault(&pem::Error::NoItemsFound, "certificate")));
        }
        let key = PrivateKeyDer::from_pem_slice(&read.key)
            .map_err(|error| self.key_fault(pem_fault(&error, "private key without a passphrase")))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                let certificate = self.certificate.display();
                self.key_fault(format_args!("it is not the key of the certificate in {certificate}"))
            } else {
                self.certificate_fault(error)
            }
        })?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(Arc::new(config))
    }

    fn certificate_fault(&self, what: impl Display) -> String {
        format!("--tls-cert {}: {what}", self.certificate.display())
    }

    fn key_fault(&self, what: impl Display) -> String {
        format!("--tls-key {}: {what}", self.key.display())
    }
}

/// What is wrong with a file in which something is looked for. The library would show the bytes of a marker that it misses.
fn pem_fault(error: &pem::Error, wanted: &str) -> String {
    if matches!(error, pem::Error::NoItemsFound) {
        format!("there is no {wanted} in it")
    } else if matches!(error, pem::Error::MissingSectionEnd { .. }) {
        "it ends too early".to_owned()
    } else {
        error.to_string()
    }
}

/// What the files had in them.
#[derive(Clone, PartialEq, Eq)]
struct Read {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_from_its_file() {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        assert_eq!(end_of(pem.as_bytes()), Some(1_577_836_800));
        assert_eq!(end_of(b"no certificate"), None);
    }

    /// Of which one handshake is reckoned at a time.
    fn one_at_a_time() -> Tls {
        let config = watch::channel(Arc::new(
            ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new())),
        ));
        Tls { config: config.1, validity: Arc::default(), handshakes: Turns::new(1) }
    }

    /// Something that is done in so many steps, and notes how many of its kind are at work.
    struct Steps<'a> {
        left: usize,
        done: &'a AtomicUsize,
        /// Of its client.
        socket: Option<&'a TcpStream>,
    }

    impl Future for Steps<'_> {
        type Output = usize;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            self.left -= 1;
            if self.left == 0 {
                return Poll::Ready(done);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn machines_take_turns_however_many_handshakes_each_begins() {
        let tls = one_at_a_time();
        let done = AtomicUsize::new(0);
        let turn = tls.handshakes.turn([192, 0, 2, 3].into()).await;
        let steps = || Steps { left: 3, done: &done, socket: None };
        let of = |machine: u8| tls.in_turns([192, 0, 2, machine].into(), steps(), |_| None);
        let many = futures_util::future::join_all((0..100).map(|_| of(1)));
        let all = futures_util::future::join(many, of(2));
        let (_, one) = futures_util::future::join(async { drop(turn) }, all).await.1;
        let one = one.expect("nobody has left");
        assert!(one <= 3 * 4, "it had to wait until {one} steps were done");
        assert_eq!(done.load(Ordering::Relaxed), 303);
    }

    /// What a client says before it leaves: nobody reads it.
    const HELLO: &[u8] = b"hello";

    /// Both ends of a connection by which a client has said hello.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(HELLO).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        server.readable().await.unwrap();
        (client, server)
    }

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn whoever_has_left_is_in_line_no_more() {
        let (tls, from) = (one_at_a_time(), [192, 0, 2, 1].into());
        let done = AtomicUsize::new(0);
        let _taken = tls.handshakes.turn(from).await;
        for is_reset in [false, true] {
            let (client, server) = connection().await;
            let steps = Steps { left: 1, done: &done, socket: Some(&server) };
            let mut waits = Box::pin(tls.in_turns(from, steps, |steps| steps.socket));
            assert!((&mut waits).now_or_never().is_none(), "it is there");
            if is_reset {
                client.set_zero_linger().unwrap();
            }
            drop(client);
            assert!(timeout(SOON, waits).await.expect("it waits no more").is_none());
        }
    }

    #[tokio::test]
    async fn whoever_has_an_answer_may_say_no_more_and_wait_for_its_turn() {
        let (tls, from) = (one_at_a_time(), [192, 0, 2, 1].into());
        let done = AtomicUsize::new(0);
        let (mut client, server) = connection().await;
        let steps = Steps { left: 2, done: &done, socket: Some(&server) };
        let mut agreeing = Box::pin(tls.in_turns(from, steps, |steps| steps.socket));
        assert!((&mut agreeing).now_or_never().is_none(), "it has its answer");
        let taken = tls.handshakes.turn(from).await;
        client.shutdown().await.unwrap();
        while !server.ready(Interest::READABLE).await.unwrap().is_read_closed() {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert!((&mut agreeing).now_or_never().is_none(), "it waits for its turn");
        }
        drop(taken);
        assert_eq!(agreeing.await, Some(2));
    }
}
