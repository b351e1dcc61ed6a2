//! The terms that orders are found by, beside what the log says of them: those that are lost are added, and those that are too
//! much go.

use std::collections::{BTreeMap, HashSet};

use order_application::SearchTerm;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::folding::FoldedOrders;
use super::write::{BEGIN, LOCK_END, in_transaction};
use crate::postgres::columns::{column, parameters, term_columns};
use crate::postgres::servers::Object;

/// Those of some orders between two keys. The index by key tells only about where rows are, so the ends spare looking at all.
const STORED: &str = "SELECT t.kind, t.value, t.key, count(*) FROM order_service.order_terms t \
    WHERE t.key BETWEEN $2 AND $3 AND t.key = ANY($1) GROUP BY t.kind, t.value, t.key";

/// Rows of the index that a term is among. Once the values are the same, so are the hashes; but the index has only those.
macro_rules! is_the_term {
    () => {
        "order_service.term_block_v1(t.key) = order_service.term_block_v1(x.key) \
         AND order_service.term_hash_v1(t.value) = order_service.term_hash_v1(x.value) \
         AND t.kind = x.kind AND t.value = x.value AND t.key = x.key"
    };
}

/// Another repair may have added the very term by now.
const ADD: &str = concat!(
    "INSERT INTO order_service.order_terms (key, kind, value) \
     SELECT x.key, x.kind, x.value FROM unnest($1, $2, $3) AS x(key, kind, value) \
     WHERE NOT EXISTS (SELECT FROM order_service.order_terms t WHERE ",
    is_the_term!(),
    ")"
);

/// An append may have added the very term by now, so the order must still be the one that was looked at.
const DELETE: &str = concat!(
    "DELETE FROM order_service.order_terms t USING unnest($1, $2, $3, $4) AS x(kind, value, key, version) WHERE ",
    is_the_term!(),
    " AND coalesce((SELECT e.version FROM order_service.events e WHERE e.order_key = x.key \
                        ORDER BY e.version DESC LIMIT 1), 0) = x.version \
      RETURNING 1"
);

/// What has to be done for the terms of some orders to be right.
#[derive(Debug, Default)]
pub(super) struct TermChanges {
    /// With the orders' keys.
    missing: Vec<(i64, SearchTerm)>,
    too_much: Vec<StoredTerm>,
}

/// A term, the rows that it has, and the version of its order when it was read; 0: there is no such order.
#[derive(Debug)]
struct StoredTerm {
    kind: String,
    value: String,
    key: i64,
    rows: i64,
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
    /// Takes it out of the terms that its order has to have, if it is one of them. One that is there twice goes, and is added anew.
    fn is_among(&self, wanted: &mut HashSet<SearchTerm>) -> bool {
        let found =
            wanted.iter().find(|term| term.kind() == self.kind && term.value() == self.value).cloned();
        self.rows == 1 && found.is_some_and(|term| wanted.remove(&term))
    }
}

fn read(row: &Row) -> Result<StoredTerm, Error> {
    Ok(StoredTerm {
        kind: row.try_get(0)?,
        value: row.try_get(1)?,
        key: row.try_get(2)?,
        rows: row.try_get(3)?,
        version: 0,
    })
}

impl TermChanges {
    /// Makes the changes. Says whether all could be: some order may have gone on meanwhile.
    pub(super) async fn write(&self, connection: &Object) -> Result<bool, Error> {
        let begin = format!("{BEGIN}; {LOCK_END}");
        let (terms, rows) = (&self.too_much, self.too_much.iter().map(|term| term.rows).sum::<i64>());
        let mut deleted = 0;
        if !terms.is_empty() {
            let columns = [
                column(Type::TEXT_ARRAY, terms, |term| &*term.kind),
                column(Type::TEXT_ARRAY, terms, |term| &*term.value),
                column(Type::INT8_ARRAY, terms, |term| term.key),
                column(Type::INT8_ARRAY, terms, |term| term.version),
            ];
            deleted = in_transaction(connection, &begin, DELETE, &parameters(&columns)).await? as i64;
        }
        if !self.missing.is_empty() {
            let missing: Vec<_> = self.missing.iter().map(|(key, term)| (*key, term)).collect();
            let columns = term_columns(Type::INT8_ARRAY, &missing);
            in_transaction(connection, &begin, ADD, &parameters(&columns)).await?;
        }
        Ok(deleted == rows)
    }
}
