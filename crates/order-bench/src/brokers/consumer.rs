//! A consumer that notes how old events are when they arrive, by the clock of this machine that both sides read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self};
use futures_util::StreamExt;
use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers;
use rdkafka::{Offset, TopicPartitionList};

use super::Broker;
use crate::load::Histogram;

/// Reads a topic or stream on a thread of its own.
pub(crate) struct Consumer {
    ages: Arc<Mutex<Histogram>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Consumer {
    /// Begins to read what comes from now on.
    pub(crate) fn start(broker: &Broker, name: &str) -> Self {
        let ages = Arc::new(Mutex::new(Histogram::new()));
        let stop = Arc::<AtomicBool>::default();
        let name = name.to_owned();
        let note = {
            let ages = Arc::clone(&ages);
            move |time: &str| {
                let age = age(time)?;
                ages.lock().unwrap_or_else(PoisonError::into_inner).record(age);
                Ok(())
            }
        };
        let stopped = Arc::clone(&stop);
        let thread = match broker {
            Broker::Kafka(kafka) => {
                let servers = kafka.bootstrap();
                std::thread::spawn(move || from_kafka(&servers, &name, &stopped, &note))
            }
            Broker::Nats(nats) => {
                let url = nats.url();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    runtime.block_on(from_nats(&url, &name, &stopped, &note))
                })
            }
        };
        Self { ages, stop, thread }
    }

    /// Forgets what was noted so far.
    pub(crate) fn begin_anew(&self) {
        *self.ages.lock().unwrap_or_else(PoisonError::into_inner) = Histogram::new();
    }

    /// Ends, and gives the ages.
    pub(crate) fn finish(self) -> Result<Histogram> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the consumer panicked"))??;
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut ages, Histogram::new()))
    }
}

fn from_kafka(
    servers: &str,
    topic: &str,
    stop: &AtomicBool,
    note: &dyn Fn(&str) -> Result<()>,
) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "order-bench")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut from_the_end = TopicPartitionList::new();
    from_the_end.add_partition_offset(topic, 0, Offset::End)?;
    consumer.assign(&from_the_end)?;
    while !stop.load(Ordering::Relaxed) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        let headers = message.headers().context("an event has headers")?;
        let time = headers.iter().find(|header| header.key == "ce_time").and_then(|header| header.value);
        note(std::str::from_utf8(time.context("an event has a time")?)?)?;
    }
    Ok(())
}

async fn from_nats(
    url: &str,
    stream: &str,
    stop: &AtomicBool,
    note: &dyn Fn(&str) -> Result<()>,
) -> Result<()> {
    let context = jetstream::new(async_nats::connect(url).await?);
    let stream = context.get_stream(stream).await?;
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::New, ..Default::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    while !stop.load(Ordering::Relaxed) {
        let Ok(message) = tokio::time::timeout(Duration::from_millis(100), messages.next()).await else {
            continue;
        };
        let message = message.context("the stream goes on")??;
        let time = message.headers.as_ref().and_then(|headers| headers.get("ce-time"));
        note(time.context("an event has a time")?.as_str())?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "events bear the wall clock's time")]
/// How long ago an event's time was: the moment in which its command was decided, before its commit.
fn age(time: &str) -> Result<Duration> {
    let time: jiff::Timestamp = time.parse().context("an event's time")?;
    let time = Duration::from_micros(time.as_microsecond().unsigned_abs());
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_sub(time))
}
