//! Leases: the right to do what only one instance should do, for a while.
//!
//! All times are the database's, so that clocks of machines do not matter. Whoever takes a lease over gets a higher epoch;
//! what a holder writes under its lease must name its epoch, and is refused once there is a higher one: a holder that
//! was frozen and wakes up late does no harm.

use std::sync::Arc;
use std::time::Duration;

use order_application::StoreError;
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::database::Database;

/// Takes the lease if it is free, has run out, or is ours already; then it gets a new end, and a new epoch unless it was
/// ours all the while.
const TAKE: &str = "\
    INSERT INTO order_service.leases AS l (name, holder, epoch, expires_at) \
    VALUES ($1, $2, 1, clock_timestamp() + $3::float8 * interval '1 second') \
    ON CONFLICT (name) DO UPDATE SET \
        holder = excluded.holder, expires_at = excluded.expires_at, \
        epoch = CASE WHEN l.holder = excluded.holder AND l.expires_at > clock_timestamp() THEN l.epoch ELSE l.epoch + 1 END \
    WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp() \
    RETURNING epoch";

/// Only whoever still has it may keep it.
const RENEW: &str = "\
    UPDATE order_service.leases SET expires_at = clock_timestamp() + $4::float8 * interval '1 second' \
    WHERE name = $1 AND holder = $2 AND epoch = $3 AND expires_at > clock_timestamp() \
    RETURNING epoch";

const RELEASE: &str = "\
    UPDATE order_service.leases SET expires_at = '-infinity' WHERE name = $1 AND holder = $2 AND epoch = $3";

/// A lease that is held.
pub struct Lease {
    database: Arc<Database>,
    name: String,
    holder: String,
    epoch: i64,
}

impl PostgresStore {
    /// Takes the lease `name` for `holder` (a name that no other instance has), for as long as `term`, unless another
    /// has it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn try_lease(
        &self,
        name: &str,
        holder: &str,
        term: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let database = Arc::clone(&self.shared.reads);
        let seconds = term.as_secs_f64();
        let parameters: [super::database::Parameter<'_>; 3] =
            [(&name, Type::TEXT), (&holder, Type::TEXT), (&seconds, Type::FLOAT8)];
        let rows = database.query(TAKE, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let epoch = row.try_get(0).map_err(|e| StoreError::Corrupt(format!("a lease: {e}")))?;
        Ok(Some(Lease { database, name: name.to_owned(), holder: holder.to_owned(), epoch }))
    }
}

impl Lease {
    /// Grows with each holder.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Keeps the lease for as long as `term` from now. `false` when it has been lost.
    ///
    /// # Errors
    /// See [`StoreError`]; whether the lease is still held is then unknown, and soon it is not.
    pub async fn renew(&self, term: Duration) -> Result<bool, StoreError> {
        let seconds = term.as_secs_f64();
        let rows = self
            .database
            .query(
                RENEW,
                &[
                    (&self.name, Type::TEXT),
                    (&self.holder, Type::TEXT),
                    (&self.epoch, Type::INT8),
                    (&seconds, Type::FLOAT8),
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// Gives the lease back, so that another need not wait for its end.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn release(self) -> Result<(), StoreError> {
        let parameters: [super::database::Parameter<'_>; 3] =
            [(&self.name, Type::TEXT), (&self.holder, Type::TEXT), (&self.epoch, Type::INT8)];
        self.database.query(RELEASE, &parameters).await.map(|_| ())
    }
}
