//! What does not lead to an order in a list with a filter: a term that is lost, or times of the log that do not have its own.

use order_application::{SearchTerm, StoreError};
use order_domain::OrderId;
use tokio_postgres::types::Type;

use crate::postgres::database::{Database, Parameter};
use crate::postgres::statement_failure::unreadable;

const LOST: &str = "\
    WITH o AS (\
        SELECT b.position AS key FROM order_service.events b WHERE b.order_id = $1 AND b.version = 1 LIMIT 1\
    ) \
    SELECT 'its ' || w.kind || ' ' || w.value FROM o CROSS JOIN unnest($2, $3) AS w(kind, value) \
    WHERE NOT EXISTS (SELECT FROM order_service.order_terms t \
        WHERE order_service.term_block_v1(t.key) = order_service.term_block_v1(o.key) \
            AND order_service.term_hash_v1(t.value) = order_service.term_hash_v1(w.value) \
            AND t.kind = w.kind AND t.value = w.value AND t.key = o.key) \
    UNION ALL \
    SELECT 'the time of its version ' || e.version FROM o JOIN order_service.events e ON e.order_key = o.key \
    WHERE NOT EXISTS (SELECT FROM order_service.log_times l \
        WHERE l.zone = order_service.log_zone_v1(e.position) AND e.time BETWEEN l.earliest AND l.latest) \
    LIMIT 1";

/// `terms` are those that the order should be found by.
pub(in crate::postgres) async fn lost_way_to(
    database: &Database,
    order_id: &OrderId,
    terms: &[SearchTerm],
) -> Result<Option<String>, StoreError> {
    let kinds: Vec<&str> = terms.iter().map(SearchTerm::kind).collect();
    let values: Vec<&str> = terms.iter().map(SearchTerm::value).collect();
    let parameters: [Parameter<'_>; 3] =
        [(&order_id.as_str(), Type::TEXT), (&kinds, Type::TEXT_ARRAY), (&values, Type::TEXT_ARRAY)];
    let rows = database.query(LOST, &parameters).await?;
    rows.first().map(|row| row.try_get(0)).transpose().map_err(|error| unreadable(&error))
}
