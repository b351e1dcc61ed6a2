//! Kafka's own benchmark of producers.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use super::configuration::property;
use super::java::{MEASURED, java};
use crate::command::output;

/// What Kafka's benchmark has found, over all its records, the first ones included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProducerFigures {
    /// How many records were acknowledged.
    pub records: u64,
    /// How many in a second.
    pub records_per_second: f64,
    /// From the producer's `send` to the acknowledgement.
    pub mean_latency_milliseconds: f64,
    /// The longest of all.
    pub max_latency_milliseconds: f64,
    /// Half of the records took no longer.
    pub p50_latency_milliseconds: f64,
    /// The same for 95 in 100.
    pub p95_latency_milliseconds: f64,
    /// The same for 99 in 100.
    pub p99_latency_milliseconds: f64,
}

/// Runs `kafka-producer-perf-test`: sends this many records of this size to a topic, as fast as they are taken.
///
/// `properties` are the producer's, such as `("acks", "all")`.
///
/// # Errors
///
/// When there is no Java, or when the producer fails; the message has what it said.
pub fn producer_performance(
    bootstrap: &str,
    topic: &str,
    records: u64,
    record_bytes: usize,
    properties: &[(&str, &str)],
) -> Result<ProducerFigures> {
    let (program, words) = java(MEASURED, "org.apache.kafka.tools.ProducerPerformance")?;
    let mut command = Command::new(program);
    command.args(words).args(["--topic", topic, "--throughput", "-1", "--num-records", &records.to_string()]);
    command.args(["--record-size", &record_bytes.to_string(), "--bootstrap-server", bootstrap]);
    // In a file: on the command line, a value must not contain `=`.
    let mut file = NamedTempFile::new().context("make a file for the producer's properties")?;
    properties.iter().try_for_each(|(name, value)| file.write_all(property(name, value).as_bytes()))?;
    let said = output(command.arg("--command-config").arg(file.path()))?;
    let last = said.lines().rev().find(|line| line.contains("99th"));
    let figures = last.and_then(figures).filter(|figures| figures.records == records);
    figures.with_context(|| format!("the benchmark of producers said:\n{said}"))
}

/// From `20000 records sent, 31055.9 records/sec (2.96 MB/sec), 267.48 ms avg latency, 364.00 ms max latency, 286 ms
/// 50th, 347 ms 95th, 349 ms 99th, 350 ms 99.9th.`
fn figures(line: &str) -> Option<ProducerFigures> {
    let mut numbers = line.split(", ").map(|part| part.split_whitespace().next());
    let records = numbers.next()??.parse().ok()?;
    let mut next = || -> Option<f64> { numbers.next()??.parse().ok() };
    Some(ProducerFigures {
        records,
        records_per_second: next()?,
        mean_latency_milliseconds: next()?,
        max_latency_milliseconds: next()?,
        p50_latency_milliseconds: next()?,
        p95_latency_milliseconds: next()?,
        p99_latency_milliseconds: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_line() {
        let line = "20000 records sent, 31055.9 records/sec (2.96 MB/sec), 267.48 ms avg latency, \
                    364.00 ms max latency, 286 ms 50th, 347 ms 95th, 349 ms 99th, 350 ms 99.9th.";
        let expected = ProducerFigures {
            records: 20_000,
            records_per_second: 31_055.9,
            mean_latency_milliseconds: 267.48,
            max_latency_milliseconds: 364.0,
            p50_latency_milliseconds: 286.0,
            p95_latency_milliseconds: 347.0,
            p99_latency_milliseconds: 349.0,
        };
        assert_eq!(figures(line), Some(expected));
        assert_eq!(figures("0 records sent, NaN"), None);
    }
}
