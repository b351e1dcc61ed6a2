//! `migrate`: brings a database to the schema of this release.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use order_store::PostgresStore;

use crate::cli::Failure;
use crate::store_url::StoreUrl;

pub(crate) fn run(store: &StoreUrl) -> Result<ExitCode, Failure> {
    let StoreUrl::Postgres { url, .. } = store else {
        return Err(Failure::Usage(vec![format!(
            "{store} needs no migration; --store names a postgres:// database"
        )]));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let migrations = runtime.block_on(PostgresStore::migrate(url)).map_err(anyhow::Error::from)?;
    let told = match migrations {
        0 => writeln!(std::io::stdout(), "nothing to do: the database is up to date"),
        1 => writeln!(std::io::stdout(), "1 migration was run"),
        n => writeln!(std::io::stdout(), "{n} migrations were run"),
    };
    told.context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
