//! `migrate`: brings a database to the schema of this release.

use std::process::ExitCode;

use order_store::{Migrated, PostgresStore};

use crate::cli::Failure;
use crate::output;
use crate::process;
use crate::store_url::StoreUrl;

pub(crate) fn run(store: &StoreUrl) -> Result<ExitCode, Failure> {
    let StoreUrl::Postgres { url, .. } = store else {
        return Err(Failure::usage(format!(
            "{store} is migrated when it is opened; this command is for a database: --store postgres://…"
        )));
    };
    let migrated = process::runtime()?.block_on(PostgresStore::migrate(url));
    let Migrated { from, to, known } = migrated.map_err(anyhow::Error::from)?;
    output::print(&match (from, to) {
        (0, to) => format!("made a store of schema version {to}"),
        (from, to) if from < to => format!("migrated the store from schema version {from} to {to}"),
        (_, to) if to > known => format!(
            "nothing to do: the store has schema version {to}, of a newer release that this one may run beside"
        ),
        (_, to) => format!("nothing to do: the store has schema version {to}"),
    })?;
    Ok(ExitCode::SUCCESS)
}
