//! `export`: writes the log to standard output.

use std::process::ExitCode;

use clap::Args;
use order_application::{PageLimit, Position, StoreError, cloud_event, json_text};
use order_store::{LogReader, SideError, StoreLocation};

use crate::cli::Failure;
use crate::config::{EventOptions, StoreOptions, positive};
use crate::logging;
use crate::losses::warn_of_losses;
use crate::output::{self, Reader};
use crate::process;

/// Events that are read at a time.
const PAGE: PageLimit = PageLimit { events: 2_000, bytes: 4 * 1024 * 1024 };

/// What to write.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The first event to write, by its position.
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive::<u64>)]
    from_position: u64,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    events: EventOptions,
}

pub(crate) fn run(arguments: ExportArguments) -> Result<ExitCode, Failure> {
    let location = arguments.store.url().location("there is nothing to write")?;
    let from = Position(arguments.from_position);
    Ok(process::runtime()?.block_on(export(&location, from, &arguments.events.event_source))?)
}

async fn export(location: &StoreLocation, from: Position, event_source: &str) -> anyhow::Result<ExitCode> {
    let mut source = String::new();
    json_text::push_string(&mut source, event_source);
    let log = LogReader::open(location).await.map_err(told)?;
    let exit_code = warn_of_losses(&log).await.map_err(told)?;
    // Up to where the log ends now: a busy server would keep this going for ever.
    let end = log.end().await.map_err(told)?;
    anyhow::ensure!(from <= end.plus(1), "there is no position {from}: the log ends at {end}");
    let (mut after, mut lines) = (Position(from.0 - 1), String::new());
    let mut previous_id = match log.id_at(after).await {
        // What is behind a damaged event can be had all the same.
        Err(SideError::Store(StoreError::Corrupt(why))) => {
            logging::warn(&format!(
                "the first line does not name the event before it, which is damaged: {why}"
            ));
            None
        }
        found => found.map_err(told)?,
    };
    while after < end {
        let page = log.read_log(after, PAGE).await.map_err(told)?;
        let Some(last) = page.last() else { break };
        after = last.position;
        lines.clear();
        for event in page.iter().filter(|event| event.position <= end) {
            cloud_event::write_published(&mut lines, &source, event, previous_id.replace(event.id));
            lines.push('\n');
        }
        if output::write(&lines)? == Reader::Gone {
            break;
        }
    }
    Ok(exit_code)
}

/// Its text says the cause already.
pub(crate) fn told(error: SideError) -> anyhow::Error {
    anyhow::Error::msg(error.to_string())
}
