//! `rebuild`: rebuilds a store's views.

use std::process::ExitCode;

use order_store::{PostgresStore, RebuildReport, SqliteStore, StoreLocation};

use crate::cli::Failure;
use crate::counted::counted;
use crate::output;
use crate::process;
use crate::progress::Progress;
use crate::store_url::StoreUrl;

pub(crate) fn run(store: &StoreUrl) -> Result<ExitCode, Failure> {
    let location = store.location("there are no views to rebuild")?;
    let mut bar = Progress::begin("reading the log");
    let mut progress = |done, total| bar.show("rebuilding views", done, total);
    let report = match location {
        StoreLocation::Sqlite(path) => {
            SqliteStore::rebuild(&path, &mut progress).map_err(anyhow::Error::from)?
        }
        StoreLocation::Postgres(url) => {
            let report = process::runtime()?.block_on(PostgresStore::rebuild(&url, &mut progress));
            report.map_err(anyhow::Error::from)?
        }
    };
    bar.finish();
    output::print(&told(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn told(report: &RebuildReport) -> String {
    let RebuildReport { events, orders, unreadable } = *report;
    let (orders, events) = (counted(orders, "order"), counted(events, "event"));
    let told = format!("views of {orders} rebuilt from {events}");
    match unreadable {
        0 => told,
        1 => format!("{told}; 1 order cannot be read: verify names it"),
        _ => format!("{told}; {} cannot be read: verify names them", counted(unreadable, "order")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_how_much_was_made_and_what_cannot_be_read() {
        let told = |orders, events, unreadable| told(&RebuildReport { events, orders, unreadable });
        assert_eq!(told(1_000, 4_000, 0), "views of 1,000 orders rebuilt from 4,000 events");
        let one = "views of 1 order rebuilt from 1 event; 1 order cannot be read: verify names it";
        assert_eq!(told(1, 1, 1), one);
        let two = "views of 2 orders rebuilt from 3 events; 2 orders cannot be read: verify names them";
        assert_eq!(told(2, 3, 2), two);
    }
}
