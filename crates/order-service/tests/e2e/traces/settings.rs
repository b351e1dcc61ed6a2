//! What is said in the environment, and is wrong.

use super::serving;
use crate::server::Program;

#[test]
fn every_fault_is_told_at_the_start_without_secrets() {
    let ended = serving()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:SECRET@127.0.0.1:1")
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "SECRET")
        .variable("OTEL_TRACES_SAMPLER", "sometimes")
        .run();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let told = ended.stderr.join("\n");
    for name in [
        "ENDPOINT: must not have a password",
        "PROTOCOL: must be one of grpc, http/protobuf",
        "HEADERS: must be",
    ] {
        assert!(told.contains(&format!("OTEL_EXPORTER_OTLP_{name}")), "{told}");
    }
    assert!(told.contains("OTEL_TRACES_SAMPLER: must be one of always_on"), "{told}");
    assert!(!told.contains("SECRET"), "{told}");
}

#[test]
fn the_help_names_the_variables() {
    for command in ["serve", "replica"] {
        let help = Program::new([command, "--help"]).run().stdout.join("\n");
        for name in
            ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME", "OTEL_SDK_DISABLED"]
        {
            assert!(help.contains(name), "{command}: {help}");
        }
    }
}
