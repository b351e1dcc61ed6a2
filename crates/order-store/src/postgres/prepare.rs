//! What is done with a database before it is used: connect, check the server, bring up the schema.

use tokio_postgres::types::Type;

use super::address::PostgresAddress;
use super::database::Database;
use super::log_state::{self, LogState};
use super::objects;
use super::pages::LOG_END;
use super::schema::{self, Migrated};
use super::servers::Object;
use super::{PostgresFault, PostgresOptions, projection, refused};

/// Checks the server, then the schema, and that the log can be read.
pub(super) async fn prepare(database: &Database, options: PostgresOptions) -> Result<(), PostgresFault> {
    let mut connection = database.connect().await?;
    objects::refuse_template(&connection).await?;
    check_server(&connection, database.address(), options.allow_unsafe_durability).await?;
    check_timeouts(&connection, database.address()).await?;
    if !options.create && schema::find(&connection).await? == 0 {
        return Err(PostgresFault::NoStore);
    }
    let migrated = bring_up(&mut connection).await?;
    if migrated.from == 0 {
        // Where somebody expects a store, as while a dump is restored, this is how it shows.
        tracing::warn!(database = %database.address(), "made a new, empty store");
    } else if migrated.from < migrated.to {
        tracing::info!(from = migrated.from, to = migrated.to, "migrated the database");
    } else if migrated.to > migrated.known {
        tracing::info!(
            schema = migrated.to,
            known = migrated.known,
            "a newer release has migrated the database, and this one may serve from it"
        );
    }
    objects::check(&connection).await?;
    let state = log_state::log_state(&connection).await?;
    if state.copying {
        return Err(PostgresFault::Copying);
    }
    expect_projection(&connection, state).await?;
    // Who may not read it is told so here, where the server's word is not taken for an outage.
    connection.query_typed_one(LOG_END, &[]).await.map(drop).map_err(refused("be read"))
}

/// Tells the database which projection this release makes its rows with, if it does not know.
pub(super) async fn expect_projection(connection: &Object, state: LogState) -> Result<(), PostgresFault> {
    if state.projection >= projection() {
        return Ok(());
    }
    let expect = "SELECT order_service.expect_projection_v1($1)";
    let expected = connection.query_typed(expect, &[(&projection(), Type::INT4)]).await;
    expected.map(drop).map_err(refused("take a newer projection"))
}

/// Whether a store can be made and kept there.
pub(super) async fn check_server(
    connection: &Object,
    address: &PostgresAddress,
    allow_unsafe: bool,
) -> Result<(), PostgresFault> {
    let settings = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
                    current_setting('fsync'), current_setting('synchronous_commit'), \
                    current_setting('full_page_writes'), current_setting('default_transaction_isolation'), \
                    current_setting('server_encoding')";
    let row = connection.query_typed_one(settings, &[]).await.map_err(refused("show its settings"))?;
    let text = |index| row.try_get::<_, String>(index).map_err(refused("show its settings"));
    if row.try_get::<_, i32>(0).map_err(refused("show its settings"))? < 150_000 {
        return Err(PostgresFault::TooOld(text(1)?));
    }
    let encoding = text(6)?;
    if encoding != "UTF8" {
        return Err(PostgresFault::Encoding { encoding, options: address.as_options() });
    }
    for (index, name) in [(2, "fsync"), (3, "synchronous_commit"), (4, "full_page_writes")] {
        if text(index)? == "off" {
            let setting = format!("{name}=off");
            if !allow_unsafe {
                return Err(PostgresFault::Unsafe(setting));
            }
            tracing::warn!(setting, "the server loses acknowledged orders when it crashes");
        }
    }
    match text(5)? {
        found if found == "read committed" => Ok(()),
        found => Err(PostgresFault::Isolation(found)),
    }
}

/// That no timeout of the server, the database or the role ends a statement that serves. What takes its time sets its own.
async fn check_timeouts(connection: &Object, address: &PostgresAddress) -> Result<(), PostgresFault> {
    // The second came with PostgreSQL 17.
    let set = "SELECT name, current_setting(name) FROM pg_settings WHERE setting <> '0' \
               AND name IN ('statement_timeout', 'transaction_timeout') ORDER BY name LIMIT 1";
    let found = connection.query_typed_opt(set, &[]).await;
    let Some(row) = found.map_err(refused("show its settings"))? else { return Ok(()) };
    let text = |index| row.try_get(index).map_err(refused("show its settings"));
    Err(PostgresFault::Timeout { setting: text(0)?, value: text(1)?, user: address.user.clone() })
}

pub(super) async fn bring_up(connection: &mut Object) -> Result<Migrated, PostgresFault> {
    let (from, known) = (schema::find(connection).await?, schema::known());
    if from < known {
        return schema::migrate(connection).await.map_err(schema::not_migrated);
    }
    Ok(Migrated { from, to: from, known })
}
