//! Which error of Kafka means what.

use order_application::BrokerError;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// Somebody has to do something about these.
const MISCONFIGURED: &[Code] = &[
    Code::Authentication,
    Code::SaslAuthenticationFailed,
    Code::UnsupportedSASLMechanism,
    Code::SecurityDisabled,
    Code::SSL,
    Code::TopicAuthorizationFailed,
    Code::ClusterAuthorizationFailed,
    Code::InvalidTopic,
    Code::InvalidPartitions,
    Code::InvalidReplicationFactor,
    Code::InvalidConfig,
    Code::PolicyViolation,
    Code::UnsupportedVersion,
    Code::UnsupportedFeature,
    Code::UnsupportedCompressionType,
];

/// What is there is not what should be.
const OUT_OF_STEP: &[Code] = &[
    Code::UnknownTopic,
    Code::UnknownTopicOrPartition,
    Code::UnknownTopicId,
    Code::UnknownPartition,
    Code::OffsetOutOfRange,
    Code::AutoOffsetReset,
    Code::LogTruncation,
];

/// A broker does not take a message as it is.
pub(super) const REFUSED: &[Code] = &[
    Code::MessageSizeTooLarge,
    Code::MessageBatchTooLarge,
    Code::InvalidMessageSize,
    Code::InvalidRecord,
    Code::InvalidTimestamp,
];

/// Failures that follow from another one, which says more.
pub(super) const CONSEQUENCES: &[Code] = &[
    Code::Fatal,
    Code::GaplessGuarantee,
    Code::PurgeQueue,
    Code::PurgeInflight,
    Code::InvalidDifferentRecord,
    Code::OutOfOrderSequenceNumber,
];

/// There is no such topic.
pub(super) const NO_TOPIC: &[Code] =
    &[Code::UnknownTopic, Code::UnknownTopicOrPartition, Code::UnknownPartition];

/// What `reason` tells of, whatever it happened to.
pub(super) fn failed(code: Option<Code>, reason: &str) -> BrokerError {
    let reason = one_line(reason);
    match code {
        Some(code) if MISCONFIGURED.contains(&code) => BrokerError::Misconfigured(reason),
        Some(code) if OUT_OF_STEP.contains(&code) => BrokerError::OutOfStep(reason),
        _ => BrokerError::Unavailable(with_hint(reason)),
    }
}

/// A broker that expects TLS hangs up on whoever speaks plainly: on the first request, as a rule. What is no broker may do so,
/// too, or answer in its own language.
fn with_hint(reason: String) -> String {
    if let Some(told) = another_language(&reason) {
        return told;
    }
    let signs = ["connection closed by peer", "security.protocol", "APIVERSION_QUERY"];
    if signs.iter().any(|sign| reason.contains(sign)) {
        return format!(
            "{reason} (if that is always so, it may expect TLS: tls=required; or it is no Kafka broker)"
        );
    }
    reason
}

/// What librdkafka takes for the length of an answer are the first four bytes of whatever came, and its advice is to take longer
/// answers. No answer of a broker is longer than it takes as it is set up here.
fn another_language(reason: &str) -> Option<String> {
    let (broker, told) = reason.split_once("Invalid response size ")?;
    let size: i32 = told.split_whitespace().next()?.parse().ok()?;
    let bytes = size.to_be_bytes();
    let broker = broker.trim_end().trim_end_matches("Receive failed:");
    // An alert of TLS 1.x.
    Some(if bytes.starts_with(b"\x15\x03") {
        format!("{broker}what answers there expects TLS: tls=required")
    } else {
        format!(
            "{broker}what answers there is no Kafka broker (it begins with {:?})",
            String::from_utf8_lossy(&bytes)
        )
    })
}

/// The same for an error that comes without a reason of its own.
pub(super) fn failure(error: &KafkaError, doing: &str) -> BrokerError {
    let code = error.rdkafka_error_code();
    let what = code.map_or_else(|| error.to_string(), |code| code.to_string());
    failed(code, &format!("{doing}: {what}"))
}

/// The same for the same trouble: librdkafka ends with "(after 3ms in state CONNECT, …)", which is another each time.
fn one_line(text: &str) -> String {
    let timed = text.rfind(" (after ").filter(|at| text[*at..].contains("ms in state "));
    text[..timed.unwrap_or(text.len())]
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Why a message is not taken, and what to do.
pub(super) fn refusal(code: Code, topic: &str) -> String {
    if code == Code::InvalidRecord || code == Code::InvalidTimestamp {
        return format!("{code}; see how the topic {topic} is set up");
    }
    format!(
        "it is larger than the topic {topic} takes: raise the topic's max.message.bytes, or the broker's message.max.bytes"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_told_in_the_same_words() {
        for told in [
            "h:9092: Connect failed: refused (after 0ms in state CONNECT)",
            "h:9092: Connect failed: refused (after 17ms in state CONNECT, 3 identical error(s) suppressed)",
            "h:9092: Connect failed:\n refused",
        ] {
            let told = one_line(told).replace(';', "");
            assert_eq!(told, "h:9092: Connect failed: refused");
        }
        assert_eq!(one_line("refused (after all)"), "refused (after all)");
    }

    #[test]
    fn whoever_is_hung_up_on_is_told_what_it_may_mean() {
        let told = |reason: &str| failed(Some(Code::BrokerTransportFailure), reason).to_string();
        assert!(told("h:9092: Disconnected: connection closed by peer: receive 0").contains("tls=required"));
        assert_eq!(told("h:9092: Connect failed: refused"), "h:9092: Connect failed: refused");
        for (answer, said) in [
            (*b"HTTP", "what answers there is no Kafka broker (it begins with \"HTTP\")"),
            ([0x15, 3, 3, 0], "what answers there expects TLS: tls=required"),
        ] {
            let size = i32::from_be_bytes(answer);
            let reason = format!("h:80: Receive failed: Invalid response size {size} (0..9): increase this");
            assert_eq!(told(&reason), format!("h:80: {said}"));
        }
    }
}
