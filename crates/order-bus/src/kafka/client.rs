//! Settings of librdkafka, and what it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::BrokerError;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::error::failed;
use super::options::KafkaOptions;

/// How long to wait for a broker before saying that there is none.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);

/// A consumer has to have a group's name, although it joins none.
const GROUP: &str = "order-service";

/// What every client needs, whatever it does.
pub(super) fn settings(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.servers)
        .set("client.id", "order-service")
        .set("security.protocol", options.security_protocol())
        // A missing topic is made as this adapter makes it, or not at all.
        .set("allow.auto.create.topics", "false")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "1000")
        .set_log_level(RDKafkaLogLevel::Info);
    if let Some(login) = &options.login {
        config
            .set("sasl.mechanism", login.mechanism)
            .set("sasl.username", &login.user)
            .set("sasl.password", &login.password);
    }
    if let Some(tls) = &options.tls {
        // OpenSSL is built in, and does not know by itself where this system keeps its authorities.
        let authorities = tls.authorities.as_deref().map_or("probe".into(), |file| file.to_string_lossy());
        config.set("ssl.ca.location", authorities);
        if let Some((certificate, key)) = &tls.client {
            config.set("ssl.certificate.location", certificate.to_string_lossy());
            config.set("ssl.key.location", key.to_string_lossy());
        }
    }
    config
}

/// For a consumer that is told what to read: it joins no group and commits nothing.
pub(super) fn consumer_settings(options: &KafkaOptions) -> ClientConfig {
    let mut config = settings(options);
    config
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // An offset that is no longer there is told, not passed over.
        .set("auto.offset.reset", "error");
    config
}

/// Remembers what librdkafka complains about. It tries again for ever; only here it says why.
#[derive(Clone, Default)]
pub(super) struct Observer(Arc<Mutex<Complaints>>);

#[derive(Default)]
struct Complaints {
    /// The last one that names a broker. What is only logged counts if there was none before.
    last: Option<BrokerError>,
    /// The first one that does not end by itself.
    lasting: Option<BrokerError>,
    nobody_answers: bool,
}

impl Observer {
    /// What makes it useless to go on trying, if anything does.
    pub(super) fn verdict(&self) -> Option<BrokerError> {
        let Complaints { last, lasting, nobody_answers } = &*self.complaints();
        let unreachable = || BrokerError::Unavailable("no broker can be reached".to_owned());
        lasting.clone().or_else(|| nobody_answers.then(|| last.clone().unwrap_or_else(unreachable)))
    }

    /// The same when patience is at its end, whatever is known.
    pub(super) fn last_words(&self) -> BrokerError {
        self.verdict().unwrap_or_else(|| self.silence("no broker has answered", PATIENCE))
    }

    /// What has not happened within this time, with the last complaint.
    pub(super) fn silence(&self, what: &str, patience: Duration) -> BrokerError {
        let why = self.complaints().last.as_ref().map(|last| format!(": {last}")).unwrap_or_default();
        BrokerError::Unavailable(format!("{what} within {} s{why}", patience.as_secs()))
    }

    fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Observer {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "kafka", ?level, facility, "{message}");
        // Some failures are only logged: that a broker hangs up, for example, since it awaits TLS.
        if facility == "FAIL" {
            let what = message.split_once("]: ").map_or(message, |(_thread, what)| what);
            let failure = || failed(Some(Code::BrokerTransportFailure), what);
            self.complaints().last.get_or_insert_with(failure);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "librdkafka");
        let mut complaints = self.complaints();
        if error.rdkafka_error_code() == Some(Code::AllBrokersDown) {
            complaints.nobody_answers = true;
            return;
        }
        let failure = failed(error.rdkafka_error_code(), reason);
        if matches!(failure, BrokerError::Misconfigured(_)) {
            complaints.lasting.get_or_insert_with(|| failure.clone());
        }
        complaints.last = Some(failure);
    }
}

impl ConsumerContext for Observer {}

/// What librdkafka has against the settings.
pub(super) fn not_created(error: &KafkaError) -> BrokerError {
    BrokerError::Misconfigured(format!("Kafka's client cannot be set up: {error}"))
}
