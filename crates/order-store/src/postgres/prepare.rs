//! What is done with a database before it is used: connect, check the server, bring up the schema.

use deadpool_postgres::Object;
use tokio_postgres::types::Type;

use super::database::Database;
use super::log_state::{self, LogState};
use super::schema::{self, Migrated};
use super::{PostgresError, PostgresOptions, projection, refused};

pub(super) async fn connect(database: &Database) -> Result<Object, PostgresError> {
    database.connection().await.map_err(|failure| PostgresError::Connect(failure.to_string()))
}

/// Checks the server, then the schema.
pub(super) async fn prepare(database: &Database, options: PostgresOptions) -> Result<(), PostgresError> {
    let mut connection = connect(database).await?;
    check_server(&connection, options.allow_unsafe_durability).await?;
    let migrated = bring_up(&mut connection).await?;
    if migrated.from < migrated.to {
        tracing::info!(from = migrated.from, to = migrated.to, "migrated the database");
    } else if migrated.to > migrated.known {
        tracing::info!(
            schema = migrated.to,
            known = migrated.known,
            "a newer release has migrated the database, and this one may serve from it"
        );
    }
    let state = log_state::log_state(&connection).await?;
    if state.copying {
        return Err(PostgresError::Copying);
    }
    expect_projection(&connection, state).await
}

/// Tells the database which projection this release makes its rows with, if it does not know.
pub(super) async fn expect_projection(connection: &Object, state: LogState) -> Result<(), PostgresError> {
    if state.projection >= projection() {
        return Ok(());
    }
    let expect = "SELECT order_service.expect_projection_v1($1)";
    let expected = connection.query_typed(expect, &[(&projection(), Type::INT4)]).await;
    expected.map(drop).map_err(refused("take a newer projection"))
}

pub(super) async fn check_server(connection: &Object, allow_unsafe: bool) -> Result<(), PostgresError> {
    let settings = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
                    current_setting('fsync'), current_setting('synchronous_commit'), \
                    current_setting('full_page_writes'), current_setting('default_transaction_isolation')";
    let row = connection.query_typed_one(settings, &[]).await.map_err(refused("show its settings"))?;
    let text = |index| row.try_get::<_, String>(index).map_err(refused("show its settings"));
    if row.try_get::<_, i32>(0).map_err(refused("show its settings"))? < 150_000 {
        return Err(PostgresError::TooOld(text(1)?));
    }
    for (index, name) in [(2, "fsync"), (3, "synchronous_commit"), (4, "full_page_writes")] {
        if text(index)? == "off" {
            let setting = format!("{name}=off");
            if !allow_unsafe {
                return Err(PostgresError::Unsafe(setting));
            }
            tracing::warn!(setting, "the server loses acknowledged orders when it crashes");
        }
    }
    match text(5)? {
        found if found == "read committed" => Ok(()),
        found => Err(PostgresError::Isolation(found)),
    }
}

pub(super) async fn bring_up(connection: &mut Object) -> Result<Migrated, PostgresError> {
    let (from, known) = (schema::find(connection).await?, schema::known());
    if from < known {
        return schema::migrate(connection).await.map_err(refused("migrate the schema"));
    }
    Ok(Migrated { from, to: from, known })
}
