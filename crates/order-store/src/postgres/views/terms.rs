//! The terms that orders are found by, beside what the log says of them: those that are lost are added, and those that are too
//! much go.

use std::collections::{BTreeMap, HashSet};

use deadpool_postgres::Object;
use order_application::SearchTerm;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::folding::FoldedOrders;
use super::write::{BEGIN, LOCK_END, in_transaction};
use crate::postgres::columns::{column, parameters, term_columns};

/// Those of some orders between two keys. The index by key tells only about where rows are, so the ends spare looking at all.
const STORED: &str = "SELECT t.block, t.kind, t.value, t.key FROM order_service.order_terms t \
    WHERE t.key BETWEEN $2 AND $3 AND t.key = ANY($1)";

const ADD: &str = "INSERT INTO order_service.order_terms (block, kind, value, key) \
    SELECT t.key >> 20, t.kind, t.value, t.key FROM unnest($1, $2, $3) AS t(key, kind, value) ON CONFLICT DO NOTHING";

/// An append may have added the very term by now, so the order must still be the one that was looked at.
const DELETE: &str = "DELETE FROM order_service.order_terms t \
    USING unnest($1, $2, $3, $4, $5) AS x(block, kind, value, key, version) \
    WHERE t.block = x.block AND t.kind = x.kind AND t.value = x.value AND t.key = x.key \
      AND coalesce((SELECT e.version FROM order_service.events e WHERE e.order_key = x.key \
                        ORDER BY e.version DESC LIMIT 1), 0) = x.version \
    RETURNING 1";

/// What has to be done for the terms of some orders to be right.
#[derive(Debug, Default)]
pub(super) struct TermChanges {
    /// With the orders' keys.
    missing: Vec<(i64, SearchTerm)>,
    too_much: Vec<StoredTerm>,
}

/// A row, and the version of its order when it was read; 0: there is no such order.
#[derive(Debug)]
struct StoredTerm {
    block: i64,
    kind: String,
    value: String,
    key: i64,
    version: i64,
}

/// Compares the terms of orders with what a snapshot's events make of these.
pub(super) async fn compare(
    snapshot: &Object,
    keys: &[i64],
    folded: &FoldedOrders,
) -> Result<TermChanges, Error> {
    let (Some(first), Some(last)) = (keys.iter().min(), keys.iter().max()) else {
        return Ok(TermChanges::default());
    };
    let readable = folded.iter().filter_map(|(key, order)| Some((*key, order.terms()?)));
    let mut wanted: BTreeMap<i64, HashSet<SearchTerm>> =
        readable.map(|(key, terms)| (key, terms.into_iter().collect())).collect();
    let mut too_much = Vec::new();
    let parameters = [(&keys as _, Type::INT8_ARRAY), (first as _, Type::INT8), (last as _, Type::INT8)];
    for row in snapshot.query_typed(STORED, &parameters).await? {
        let mut stored = read(&row)?;
        match (folded.get(&stored.key), wanted.get_mut(&stored.key)) {
            (Some(order), Some(wanted)) => {
                stored.version = order.version().0.cast_signed();
                // A newer release may have kinds that this one does not know.
                if !stored.is_among(wanted) && SearchTerm::KINDS.contains(&&*stored.kind) {
                    too_much.push(stored);
                }
            }
            // Of an order that cannot be read, nobody knows what it has to have.
            (Some(_), None) => {}
            (None, _) => too_much.push(stored),
        }
    }
    let missing = wanted.into_iter().flat_map(|(key, terms)| terms.into_iter().map(move |term| (key, term)));
    Ok(TermChanges { missing: missing.collect(), too_much })
}

impl StoredTerm {
    /// Takes it out of the terms that its order has to have, if it is one of them and in its place.
    fn is_among(&self, wanted: &mut HashSet<SearchTerm>) -> bool {
        let found =
            wanted.iter().find(|term| term.kind() == self.kind && term.value() == self.value).cloned();
        self.block == self.key >> 20 && found.is_some_and(|term| wanted.remove(&term))
    }
}

fn read(row: &Row) -> Result<StoredTerm, Error> {
    Ok(StoredTerm {
        block: row.try_get(0)?,
        kind: row.try_get(1)?,
        value: row.try_get(2)?,
        key: row.try_get(3)?,
        version: 0,
    })
}

impl TermChanges {
    /// Makes the changes. Says whether all could be: some order may have gone on meanwhile.
    pub(super) async fn write(&self, connection: &Object) -> Result<bool, Error> {
        if !self.missing.is_empty() {
            let missing: Vec<_> = self.missing.iter().map(|(key, term)| (*key, term)).collect();
            let columns = term_columns(Type::INT8_ARRAY, &missing);
            in_transaction(connection, BEGIN, ADD, &parameters(&columns)).await?;
        }
        let terms = &self.too_much;
        if terms.is_empty() {
            return Ok(true);
        }
        let columns = [
            column(Type::INT8_ARRAY, terms, |term| term.block),
            column(Type::TEXT_ARRAY, terms, |term| &*term.kind),
            column(Type::TEXT_ARRAY, terms, |term| &*term.value),
            column(Type::INT8_ARRAY, terms, |term| term.key),
            column(Type::INT8_ARRAY, terms, |term| term.version),
        ];
        let begin = format!("{BEGIN}; {LOCK_END}");
        Ok(in_transaction(connection, &begin, DELETE, &parameters(&columns)).await? == terms.len())
    }
}
