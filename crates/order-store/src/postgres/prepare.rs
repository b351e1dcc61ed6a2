//! What is done with a database before it is used: connect, check the server, bring up the schema.

use order_application::StoreError;

use super::database::Database;
use super::error::{PostgresError, refused};
use super::schema::{self, Migrated};
use super::{PostgresOptions, state, views};

pub(super) async fn connect(database: &Database) -> Result<deadpool_postgres::Object, PostgresError> {
    database.connection().await.map_err(|error| {
        PostgresError::Connect(match error {
            StoreError::Unavailable(why) => why,
            other @ (StoreError::Overloaded
            | StoreError::OutcomeUnknown(_)
            | StoreError::StorageFull
            | StoreError::Corrupt(_)
            | StoreError::DamagedView(_)
            | StoreError::NewerRelease(_)) => other.to_string(),
        })
    })
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
    let state = "SELECT state FROM order_service.log";
    let state = connection.query_typed_one(state, &[]).await.map_err(refused("be read"))?;
    match state.try_get::<_, &str>(0).map_err(refused("be read"))? {
        "copying" => Err(PostgresError::Copying),
        _ => views::expect_projection(&connection).await,
    }
}

pub(super) async fn check_server(
    connection: &deadpool_postgres::Object,
    allow_unsafe: bool,
) -> Result<(), PostgresError> {
    let settings = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
                    current_setting('fsync'), current_setting('synchronous_commit'), \
                    current_setting('full_page_writes'), current_setting('default_transaction_isolation')";
    let row = connection.query_typed_one(settings, &[]).await.map_err(refused("show its settings"))?;
    let text = |index| row.try_get::<_, String>(index).map_err(refused("show its settings"));
    if row.try_get::<_, i32>(0).map_err(refused("show its settings"))? < 150_000 {
        return Err(PostgresError::TooOld { found: text(1)? });
    }
    for (index, name) in [(2, "fsync"), (3, "synchronous_commit"), (4, "full_page_writes")] {
        if text(index)? == "off" {
            let setting = format!("{name}=off");
            if !allow_unsafe {
                return Err(PostgresError::Unsafe { setting });
            }
            tracing::warn!(setting, "the server loses acknowledged orders when it crashes");
        }
    }
    match text(5)? {
        found if found == "read committed" => Ok(()),
        found => Err(PostgresError::Isolation { found }),
    }
}

pub(super) async fn bring_up(connection: &mut deadpool_postgres::Object) -> Result<Migrated, PostgresError> {
    let known = schema::known();
    let found = state::find_schema(connection).await?;
    if found.version < known {
        return schema::migrate(connection).await.map_err(refused("migrate the schema"));
    }
    Ok(Migrated { from: found.version, to: found.version, known })
}
