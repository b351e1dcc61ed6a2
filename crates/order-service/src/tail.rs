//! `tail`: follows a service's log, and goes on by itself when the connection breaks.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use clap::Args;
use order_application::Backoff;
use serde_json::Value;

use crate::cli::Failure;
use crate::client::{self, Client, ClientOptions, ServerSentEvents};
use crate::output::{self, Reader};
use crate::{logging, process};

/// How long to wait before the service is asked again; longer each time that it fails.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// No service is waited for longer at its own word.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// A service says something every 15 s, if only how far it has looked.
const MAX_SILENCE: Duration = Duration::from_secs(45);
/// Beyond the end of any log.
const BEYOND_THE_END: u64 = u64::MAX;

/// What to follow, and how to show it.
#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    #[command(flatten)]
    client: ClientOptions,
    /// Begin behind this position; 0 is the beginning. Without it only what comes from now on is shown.
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Show events of this type only, such as `order.shipped.v1`. May be given several times; in the environment they are
    /// separated by spaces.
    #[arg(id = "type", long = "type", value_name = "TYPE", value_delimiter = ' ')]
    types: Vec<String>,
    /// Show events of this order only.
    #[arg(long, value_name = "ID")]
    order_id: Option<String>,
    /// Print whole CloudEvents, one a line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &TailArguments) -> Result<ExitCode, Failure> {
    Ok(process::runtime()?.block_on(tail(arguments))?)
}

async fn tail(arguments: &TailArguments) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.client)?;
    let after = match arguments.after {
        Some(after) => after,
        None => end_of_log(&client).await?,
    };
    let mut tail = Tail { client, arguments, after };
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let before = tail.after;
        let lost = match tail.follow().await {
            Ok(Reader::Gone) => return Ok(ExitCode::SUCCESS),
            Ok(Reader::Present) => "the service has ended the feed".to_owned(),
            Err(Broken::ForGood(error)) => return Err(error),
            Err(Broken::ForNow(error)) => format!("{error:#}"),
        };
        if tail.after > before {
            backoff.reset();
        }
        logging::say(&format!("{lost}; going on behind position {}", tail.after));
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// The log's last position, of which a service speaks when it is asked for more than there is.
async fn end_of_log(client: &Client) -> anyhow::Result<u64> {
    let answer = client.get(&format!("/events?after={BEYOND_THE_END}"), &[]).await?;
    let status = answer.status();
    let body = client::body(answer).await?;
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    problem["last_position"].as_u64().with_context(|| client::refusal(status, &body))
}

/// Why a feed is over.
enum Broken {
    /// It will be no better the next time.
    ForGood(anyhow::Error),
    ForNow(anyhow::Error),
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Self {
        Self::ForNow(error)
    }
}

struct Tail<'a> {
    client: Client,
    arguments: &'a TailArguments,
    /// The last position that was shown, or looked at.
    after: u64,
}

impl Tail<'_> {
    /// Shows what comes until the service ends the feed, or the reader is gone.
    async fn follow(&mut self) -> Result<Reader, Broken> {
        let accept = [(ACCEPT, HeaderValue::from_static("text/event-stream"))];
        let answer = self.client.get(&self.target(), &accept).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            let pause = retry_after(answer.headers());
            let refusal = anyhow::Error::msg(client::refusal(status, &client::body(answer).await?));
            if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                return Err(Broken::ForGood(refusal));
            }
            tokio::time::sleep(pause).await;
            return Err(Broken::ForNow(refusal));
        }
        let mut events = ServerSentEvents::new(answer.into_body());
        loop {
            let next = tokio::time::timeout(MAX_SILENCE, events.next()).await;
            let next =
                next.map_err(|_| anyhow::anyhow!("nothing was heard for {} s", MAX_SILENCE.as_secs()))?;
            let Some(event) = next? else { return Ok(Reader::Present) };
            if !event.data.is_empty() {
                let line = match self.arguments.json {
                    true => event.data.clone(),
                    false => output::shown(&for_people(&event.data)?).into_owned(),
                };
                if output::write(&format!("{line}\n")).map_err(Broken::ForGood)? == Reader::Gone {
                    return Ok(Reader::Gone);
                }
            }
            if let Some(position) = event.id.as_deref().and_then(|id| id.parse().ok()) {
                self.after = position;
            }
        }
    }

    fn target(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("after", &self.after.to_string());
        for event_type in &self.arguments.types {
            query.append_pair("type", event_type);
        }
        if let Some(order_id) = &self.arguments.order_id {
            query.append_pair("order_id", order_id);
        }
        format!("/events?{}", query.finish())
    }
}

/// How long the service wants to be left alone.
fn retry_after(fields: &HeaderMap) -> Duration {
    let seconds = fields.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default()).min(MAX_RETRY_AFTER)
}

/// `2026-11-27T10:00:00.000Z  42  order.shipped.v1  order-7 v4  {"tracking_number":"t"}`
fn for_people(event: &str) -> anyhow::Result<String> {
    let event: Value = serde_json::from_str(event).context("an event is no JSON")?;
    let text = |name: &str| event[name].as_str().map_or_else(|| event[name].to_string(), str::to_owned);
    if event["type"].is_null() {
        bail!("this is no event: {event}");
    }
    Ok(format!(
        "{}  {}  {}  {} v{}  {}",
        text("time"),
        text("position"),
        text("type"),
        text("subject"),
        text("version"),
        event["data"]
    ))
}
