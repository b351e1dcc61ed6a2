//! `status`: asks a service how it is.

use std::fmt::Write;
use std::process::ExitCode;

use axum::http::StatusCode;
use clap::Args;
use serde_json::Value;

use crate::cli::Failure;
use crate::client::{self, Client, ClientOptions, ServiceUrl};
use crate::{logging, output, process};

/// Exit status of a service that answers, and is not ready.
const NOT_READY: u8 = 3;

/// Whom to ask, and how to say it.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    client: ClientOptions,
    /// Print the document of `/ready` as it is.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &StatusArguments) -> Result<ExitCode, Failure> {
    Ok(process::runtime()?.block_on(status(arguments))?)
}

async fn status(arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
    let answer = Client::new(&arguments.client)?.get("/ready", &[]).await?;
    let status = answer.status();
    let body = client::body(answer).await?;
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_known = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    let url = &arguments.client.url;
    anyhow::ensure!(is_known && document["checks"].is_object(), "{url}: {}", client::refusal(status, &body));
    if arguments.json {
        output::print(std::str::from_utf8(&body)?)?;
    } else {
        output::write(&for_people(url, &document))?;
        if !shows_details(&document) {
            let what = if arguments.client.has_key() {
                "this key is unknown, over, or lacks"
            } else {
                "--key takes a key with"
            };
            logging::say(&format!("how its parts are is for operators: {what} the scope operate"));
        }
    }
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::from(NOT_READY) })
}

/// Without them there is a word for the service and one for its store, and while it starts even less.
fn shows_details(document: &Value) -> bool {
    let mut checks = document["checks"].as_object().into_iter().flatten();
    document["status"] != "ready" || checks.any(|(name, _)| name != "lifecycle" && name != "store")
}

/// What is looked at first comes first: whether orders are taken, whether they are handed on, how they are shown, and what goes on
/// in the background. What a later release may add comes behind.
const ORDER: [&str; 7] = ["lifecycle", "store", "relays", "replica", "views", "scrub", "timers"];

/// A line for each check, in the words that `/ready` has for it.
fn for_people(url: &ServiceUrl, document: &Value) -> String {
    let state = document["status"].as_str().unwrap_or_default().replace('_', " ");
    let mut text = format!("{url} is {}\n", output::shown(&state));
    let mut checks: Vec<_> = document["checks"].as_object().into_iter().flatten().collect();
    let place = |name: &str| ORDER.iter().position(|other| *other == name).unwrap_or(ORDER.len());
    checks.sort_by_key(|(name, _)| place(name));
    let width = checks.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, check) in checks {
        // To write to a string cannot fail.
        let (name, check) = (output::shown(name), in_words(check));
        let _ = writeln!(text, "  {name:width$}  {}", output::shown(&check));
    }
    text
}

fn in_words(check: &Value) -> String {
    let Some(members) = check.as_object() else { return word(check) };
    let state = members.get("state").map(word);
    let mut others: Vec<_> = members.iter().filter(|(name, _)| *name != "state").collect();
    // A sentence or more, behind what is looked for.
    others.sort_by_key(|(name, _)| *name == "detail");
    let others = others.into_iter();
    let others = others.map(|(name, value)| format!("{} {}", name.replace('_', " "), in_words(value)));
    state.into_iter().chain(others).collect::<Vec<_>>().join(", ")
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_check_is_a_line_and_what_is_looked_at_first_comes_first() {
        let document = json!({
            "status": "not_ready",
            "checks": {
                "lifecycle": "serving",
                "another": "fine",
                "scrub": { "state": "waiting" },
                "timers": { "state": "running" },
                "store": "ok",
                "views": { "state": "rebuilding", "done": 10, "of": 20 },
                "relays": { "kafka": { "detail": "it is slow", "state": "following", "lag": 3 } },
            },
        });
        assert!(shows_details(&document));
        assert!(!shows_details(
            &json!({"status": "ready", "checks": {"lifecycle": "serving", "store": "ok"}})
        ));
        let url = "http://localhost:8080".parse().unwrap();
        assert_eq!(
            for_people(&url, &document),
            "http://localhost:8080 is not ready\n\
             \x20 lifecycle  serving\n\
             \x20 store      ok\n\
             \x20 relays     kafka following, lag 3, detail it is slow\n\
             \x20 views      rebuilding, done 10, of 20\n\
             \x20 scrub      waiting\n\
             \x20 timers     running\n\
             \x20 another    fine\n"
        );
    }
}
