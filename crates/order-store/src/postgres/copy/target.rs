//! A database that is made by copying: first the log, a chunk in one transaction, and in the end the views, from the orders
//! that the check folds.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use order_application::{Position, Receipt, RecordedEvent, StoreError, Version};
use order_domain::OrderId;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, IsolationLevel, Row};
use uuid::Uuid;

use super::{PAGE_DEADLINE, rows, served};
use crate::copy::{NamedCheckpoints, SideError, Target, TargetState};
use crate::postgres::columns::{parameters, receipt_columns};
use crate::postgres::database::{Database, NO_DEADLINES};
use crate::postgres::log_state::{LogState, log_state};
use crate::postgres::row::number;
use crate::postgres::servers::Object;
use crate::postgres::verify::{self, LogParts};
use crate::postgres::{
    PostgresAddress, PostgresError, PostgresFault, ServerFailure, bring_up, check_server, projection,
    receipts, refused,
};
use crate::verify::{VerifyProgress, VerifyReport};

/// A chunk that a crash of the server takes back is copied again, so its commit need not wait for the disk. The lock is
/// that of `order_service.append_v2`, which a server may hold that was started before the copy.
const BEGIN_CHUNK: &str = "SET LOCAL synchronous_commit = off; SELECT order_service.lock_log_end_v1()";

const CHUNK_BASIS: &str = "SELECT state = 'copying', \
                           coalesce((SELECT max(position) FROM order_service.events), 0) FROM order_service.log";

const OWNER_OF_TABLES_NOT_TO_EMPTY: &str = "\
    SELECT tableowner::text FROM pg_tables WHERE schemaname = 'order_service' \
    AND tablename IN ('checkpoints', 'receipts', 'orders', 'order_terms', 'log_times') \
    AND NOT has_table_privilege(format('%I.%I', schemaname, tablename), 'DELETE') LIMIT 1";

/// What a server refuses that refuses a chunk, or the copy.
const DOING: &str = "take events";
const BEGINNING: &str = "begin a copy";

const WRITTEN_BY_OTHERS: &str = "somebody else has written to it meanwhile";

/// Under the lock on the log's end: whoever appends later sees it, and whoever did before is seen.
const BEGIN: &str = "UPDATE order_service.log SET state = 'copying', copied_from = $1 \
                     WHERE state = 'ready' AND NOT EXISTS (SELECT FROM order_service.events)";

const LAST_EVENT: &str = "SELECT position, id FROM order_service.events ORDER BY position DESC LIMIT 1";

const KEYS: &str = "SELECT o.asked_id, o.log_key FROM order_service.look_up_v1($1) AS o";

/// All views are this release's. A newer one that has opened the store before rebuilds them.
const FINISH: &str = "UPDATE order_service.log SET state = 'ready', projection = greatest(projection, $1), \
                      outdated_from = CASE WHEN projection > $1 THEN 1 END";

/// Writing a database that nobody serves from.
pub(crate) struct PostgresTarget {
    connection: Object,
    address: PostgresAddress,
}

impl PostgresTarget {
    /// Connects, and brings the schema up to this release as a server does.
    pub(crate) async fn open(url: &str) -> Result<Self, PostgresError> {
        let database = Database::open(url, 1, PAGE_DEADLINE)?;
        let address = database.address().clone();
        let connection = prepared(&database).await.map_err(|fault| fault.at(&address))?;
        Ok(Self { connection, address })
    }

    async fn log_state(&self) -> Result<LogState, SideError> {
        log_state(&self.connection).await.map_err(|fault| fault.at(&self.address).into())
    }

    /// What a failure of a statement means to whoever copies.
    fn refused(&self, doing: &'static str) -> impl Fn(Error) -> SideError + use<> {
        let address = self.address.clone();
        move |error| refused(doing)(error).at(&address).into()
    }

    /// Checks the log, and makes the views of what it has.
    async fn make_views(&mut self, progress: VerifyProgress<'_>) -> Result<VerifyReport, Error> {
        // What plans are made from, or the first queries would be planned for an empty table.
        self.connection.batch_execute("ANALYZE order_service.events").await?;
        let snapshot = self.connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let snapshot = snapshot.start().await?;
        snapshot.batch_execute(rows::GATHER_VIEWS).await?;
        let mut check = LogParts::begin(&snapshot, progress).await?;
        while let Some((_, orders)) = check.next().await? {
            rows::gather_views(&snapshot, &orders).await?;
        }
        let report = std::mem::take(&mut check.findings.report);
        if report.is_sound() {
            snapshot.batch_execute(rows::PUT_VIEWS).await?;
            rows::put_times(&snapshot, &check.times, check.end).await?;
            snapshot.commit().await?;
        }
        Ok(report)
    }
}

/// A connection to a database whose schema is that of this release.
async fn prepared(database: &Database) -> Result<Object, PostgresFault> {
    let mut connection = database.connect().await?;
    // Whether a server may lose what it acknowledges is for those to decide who serve from it.
    check_server(&connection, database.address(), true).await?;
    bring_up(&mut connection).await?;
    check_rights(&connection, &database.address().user).await?;
    Ok(connection)
}

/// That the user may do all that a copy does, before anything is copied.
async fn check_rights(connection: &Object, user: &str) -> Result<(), PostgresFault> {
    let unreadable = refused("show who may empty its tables");
    let lacking = connection.query_typed_opt(OWNER_OF_TABLES_NOT_TO_EMPTY, &[]).await.map_err(&unreadable)?;
    let Some(row) = lacking else { return Ok(()) };
    Err(PostgresFault::MayNotCopy { user: user.to_owned(), owner: row.try_get(0).map_err(&unreadable)? })
}

#[async_trait]
impl Target for PostgresTarget {
    async fn state(&mut self) -> Result<TargetState, SideError> {
        let state = self.log_state().await?;
        let unreadable = self.refused("be read");
        let last = self.connection.query_typed_opt(LAST_EVENT, &[]).await.map_err(&unreadable)?;
        let read = |row: Row| Ok((Position(number(&row, 0)?), row.try_get(1)?));
        let last = last.map(read).transpose().map_err(&unreadable)?;
        Ok(TargetState {
            identity: state.identity,
            copying: state.copying,
            copied_from: state.copied_from,
            log_end: last.map_or(Position::START, |(position, _)| position),
            last_event_id: last.map(|(_, event_id)| event_id),
        })
    }

    async fn expect_unserved(&mut self) -> Result<(), SideError> {
        let unserved = served::refuse_if_served(&self.connection).await;
        unserved.map_err(|fault| fault.at(&self.address).into())
    }

    async fn begin(&mut self, source: Uuid) -> Result<(), SideError> {
        let failed = self.refused(BEGINNING);
        if begin(&mut self.connection, source).await.map_err(failed)? {
            return Ok(());
        }
        let why = ServerFailure::for_good(WRITTEN_BY_OTHERS);
        Err(PostgresFault::Refused { doing: BEGINNING, why }.at(&self.address).into())
    }

    async fn append(&mut self, events: Vec<RecordedEvent>) -> Result<(), SideError> {
        let Some(first) = events.first() else { return Ok(()) };
        let before = Position(first.position.0 - 1);
        let failed = self.refused(DOING);
        let transaction = self.connection.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
        let transaction = transaction.start().await.map_err(&failed)?;
        if basis(&transaction).await.map_err(&failed)? != (true, before) {
            let why = ServerFailure::for_good(WRITTEN_BY_OTHERS);
            return Err(PostgresFault::Refused { doing: DOING, why }.at(&self.address).into());
        }
        let keys = keys(&transaction, &events, &failed).await?;
        rows::copy_events(&transaction, &events, &keys).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn delete_receipts(&mut self) -> Result<(), SideError> {
        let deleted = self.connection.batch_execute("DELETE FROM order_service.receipts").await;
        deleted.map_err(self.refused("take receipts"))
    }

    async fn add_receipts(&mut self, receipts: &[Receipt]) -> Result<(), SideError> {
        let columns = receipt_columns(receipts);
        let added = self.connection.execute_typed(receipts::KEEP, &parameters(&columns)).await;
        added.map(drop).map_err(self.refused("take receipts"))
    }

    async fn put_checkpoints(&mut self, checkpoints: &NamedCheckpoints) -> Result<(), SideError> {
        let put = rows::put_checkpoints(&mut self.connection, checkpoints).await;
        put.map_err(self.refused("take checkpoints"))
    }

    async fn verify(&mut self, progress: VerifyProgress<'_>) -> Result<VerifyReport, SideError> {
        if !self.log_state().await?.copying {
            // It was finished before, and may be in service.
            let checked = verify::check(&mut self.connection, progress).await;
            return checked.map_err(|fault| fault.at(&self.address).into());
        }
        let made = self.make_views(progress).await;
        made.map_err(self.refused("take views"))
    }

    async fn finish(&mut self) -> Result<(), SideError> {
        // This commit waits for the disk, and with it everything before.
        let finished = self.connection.execute_typed(FINISH, &[(&projection(), Type::INT4)]).await;
        finished.map(drop).map_err(self.refused("finish a copy"))
    }
}

/// Marks an empty log as an unfinished copy; `false` if it is not empty any more.
async fn begin(connection: &mut Object, source: Uuid) -> Result<bool, Error> {
    let transaction = connection.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
    let transaction = transaction.start().await?;
    transaction.batch_execute(NO_DEADLINES).await?;
    transaction.batch_execute("SELECT order_service.lock_log_end_v1()").await?;
    let begun = transaction.execute_typed(BEGIN, &[(&source, Type::UUID)]).await?;
    transaction.commit().await?;
    Ok(begun == 1)
}

/// Whether the database is being copied to, and how far it is.
async fn basis(transaction: &Transaction<'_>) -> Result<(bool, Position), Error> {
    transaction.batch_execute(NO_DEADLINES).await?;
    transaction.batch_execute(BEGIN_CHUNK).await?;
    let row = transaction.query_typed_one(CHUNK_BASIS, &[]).await?;
    Ok((row.try_get(0)?, Position(number(&row, 1)?)))
}

/// The key of each order: where its first event is, in these events or in those of an earlier chunk.
async fn keys(
    transaction: &Transaction<'_>,
    events: &[RecordedEvent],
    failed: &(impl Fn(Error) -> SideError + Sync),
) -> Result<HashMap<OrderId, Position>, SideError> {
    let placed = events.iter().filter(|event| event.version == Version(1));
    let mut keys: HashMap<_, _> = placed.map(|event| (event.order_id.clone(), event.position)).collect();
    let earlier = events.iter().filter(|event| !keys.contains_key(&event.order_id));
    let earlier: HashSet<&str> = earlier.map(|event| event.order_id.as_str()).collect();
    let earlier: Vec<&str> = earlier.into_iter().collect();
    for row in transaction.query_typed(KEYS, &[(&earlier, Type::TEXT_ARRAY)]).await.map_err(failed)? {
        let key = Position(number(&row, 1).map_err(failed)?);
        if let Ok(order_id) = OrderId::new(row.try_get::<_, &str>(0).map_err(failed)?) {
            keys.insert(order_id, key);
        }
    }
    match events.iter().find(|event| !keys.contains_key(&event.order_id)) {
        None => Ok(keys),
        Some(RecordedEvent { order_id, .. }) => {
            Err(StoreError::Corrupt(format!("order {order_id} has no first event")).into())
        }
    }
}
