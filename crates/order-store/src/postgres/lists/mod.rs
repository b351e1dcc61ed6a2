//! Lists of orders, filtered and sorted. How one is found, [`ListPath`] says; what a page of it has, [`PageBuilder`].

mod lost_way;
mod statement;
#[cfg(all(test, feature = "full-tests"))]
mod tests;

use std::time::SystemTime;

use order_application::{
    ListQuery, OrderPage, PageBuilder, Position, SearchTerm, Sort, SortKey, StoreError, TimeRange,
};
use order_domain::Status;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::database::{Database, Parameter};
use super::row::{ORDER_COLUMNS, ORDER_KEY, ORDER_UPDATED_POSITION, bigint, read_order, system_time};
use super::statement_failure::unreadable;
use crate::list_path::{ListPath, Source};

pub(super) use lost_way::lost_way_to;

/// Rows of one statement, at most, unless a page has more.
const MAX_BATCH: usize = 2_000;
/// How many times as many rows come next, when those before were not enough for a page.
const GROWTH: usize = 4;

/// What statements say after the columns of an order: whether it has the further terms, and of how many orders it is one.
const HAS_TERMS_COLUMN: usize = ORDER_COLUMNS;
const FOUND_ORDERS_COLUMN: usize = ORDER_COLUMNS + 1;

/// A page of views, and the keys of rows that are not what was written.
pub(super) async fn list(
    database: &Database,
    query: &ListQuery,
) -> Result<(OrderPage, Vec<Position>), StoreError> {
    let source = match ListPath::of(query) {
        ListPath::InOrder(source) => source,
        ListPath::Sorted(source, otherwise) => {
            match ListReader::new(query, source, statement::sorted).page(database).await? {
                Some(page) => return Ok(page),
                None => otherwise,
            }
        }
    };
    match ListReader::new(query, source, statement::in_order).page(database).await? {
        Some(page) => Ok(page),
        None => unreachable!("invariant: orders are only counted to be sorted"),
    }
}

/// How many orders have a status, counted up to so many.
pub(super) async fn count(database: &Database, status: Status, at_most: usize) -> Result<usize, StoreError> {
    let at_most = bigint(at_most as u64);
    let parameters: [Parameter<'_>; 2] = [(&status.as_str(), Type::TEXT), (&at_most, Type::INT8)];
    let counted: i64 = database.query_value(statement::COUNT, &parameters).await?;
    Ok(usize::try_from(counted).unwrap_or_default())
}

/// The way to a page.
struct ListReader<'q> {
    query: &'q ListQuery,
    statement: String,
    values: Values<'q>,
    page: PageBuilder<'q>,
    damaged: Vec<Position>,
}

/// What becomes of some rows.
enum BatchOutcome {
    /// The page is done.
    Done,
    /// There may be more after this place.
    After(Position),
    /// The source has more orders than can be sorted.
    TooMany,
}

impl<'q> ListReader<'q> {
    fn new(
        query: &'q ListQuery,
        source: Source<'q>,
        statement: fn(Source<'_>, Sort, bool) -> String,
    ) -> Self {
        let (values, page) = (Values::of(query, source), PageBuilder::new(query));
        let statement = statement(source, query.sort, !values.kinds.is_empty());
        Self { query, statement, values, page, damaged: Vec::new() }
    }

    /// The page; `None`: there are too many orders to sort. It ends, since a page looks at a bounded number of rows.
    async fn page(mut self, database: &Database) -> Result<Option<(OrderPage, Vec<Position>)>, StoreError> {
        let mut after = self.query.after;
        // One more than is wanted tells whether there is a next page.
        let mut limit = self.query.limit.saturating_add(1);
        loop {
            let beyond = match after {
                Some(place) => bigint(place.0),
                None if self.query.sort.descending => i64::MAX,
                None => 0,
            };
            let rows = bigint(limit as u64);
            let rows = database.query(&self.statement, &self.values.parameters(&beyond, &rows)).await?;
            match self.take(&rows, limit)? {
                BatchOutcome::Done => return Ok(Some((self.page.finish(), self.damaged))),
                BatchOutcome::After(place) => after = Some(place),
                BatchOutcome::TooMany => return Ok(None),
            }
            limit = limit.saturating_mul(GROWTH).min(MAX_BATCH).max(limit);
        }
    }

    fn take(&mut self, rows: &[Row], limit: usize) -> Result<BatchOutcome, StoreError> {
        let mut last = None;
        for row in rows {
            let found = FoundRow::read(row).map_err(|error| unreadable(&error))?;
            if found.orders.is_some_and(statement::is_too_many) {
                return Ok(BatchOutcome::TooMany);
            }
            let Some((key, updated_position)) = found.positions else { break };
            let place = match self.query.sort.by {
                SortKey::Placed => key,
                SortKey::Updated => updated_position,
            };
            let more = if found.has_terms {
                let view = read_order(row, 0);
                if view.is_err() {
                    self.damaged.push(key);
                }
                self.page.add(place, view.ok().map(|stored| stored.view))
            } else {
                self.page.pass(place)
            };
            if more.is_break() {
                return Ok(BatchOutcome::Done);
            }
            last = Some(place);
        }
        Ok(last.filter(|_| rows.len() >= limit).map_or(BatchOutcome::Done, BatchOutcome::After))
    }
}

/// What a row tells beside the order's view.
struct FoundRow {
    /// Where the order begins, and where its last event is. `None`: the row is of no order.
    positions: Option<(Position, Position)>,
    has_terms: bool,
    /// Of how many it is one, where that is counted.
    orders: Option<i64>,
}

impl FoundRow {
    fn read(row: &Row) -> Result<Self, Error> {
        let position = |index| -> Result<Option<Position>, Error> {
            Ok(row.try_get::<_, Option<i64>>(index)?.map(|position| Position(position.cast_unsigned())))
        };
        let orders =
            if row.len() > FOUND_ORDERS_COLUMN { Some(row.try_get(FOUND_ORDERS_COLUMN)?) } else { None };
        Ok(Self {
            positions: position(ORDER_KEY)?.zip(position(ORDER_UPDATED_POSITION)?),
            has_terms: row.try_get(HAS_TERMS_COLUMN)?,
            orders,
        })
    }
}

/// What a filter looks for, as parameters of the statements.
struct Values<'q> {
    /// The source's term, if the source is one.
    kind: Option<&'static str>,
    value: Option<&'q str>,
    /// The terms that an order has to have besides.
    kinds: Vec<&'static str>,
    values: Vec<&'q str>,
    /// The times of a source that is the log.
    after: Option<SystemTime>,
    before: Option<SystemTime>,
    statuses: Vec<&'static str>,
}

impl<'q> Values<'q> {
    fn of(query: &'q ListQuery, source: Source<'q>) -> Self {
        let (term, times) = match source {
            Source::Term(term) => (Some(term), TimeRange::default()),
            Source::OnHold | Source::Statuses => (None, TimeRange::default()),
            Source::Log(_, times) => (None, times),
        };
        let further = || query.filter.terms.iter().filter(|further| Some(*further) != term);
        Self {
            kind: term.map(SearchTerm::kind),
            value: term.map(SearchTerm::value),
            kinds: further().map(SearchTerm::kind).collect(),
            values: further().map(SearchTerm::value).collect(),
            after: times.after.map(system_time),
            before: times.before.map(system_time),
            statuses: query.filter.statuses.iter().map(|status| status.as_str()).collect(),
        }
    }

    /// For rows beyond a place.
    fn parameters<'a>(&'a self, beyond: &'a i64, limit: &'a i64) -> [Parameter<'a>; 9] {
        [
            (beyond, Type::INT8),
            (limit, Type::INT8),
            (&self.kinds, Type::TEXT_ARRAY),
            (&self.values, Type::TEXT_ARRAY),
            (&self.after, Type::TIMESTAMPTZ),
            (&self.before, Type::TIMESTAMPTZ),
            (&self.kind, Type::TEXT),
            (&self.value, Type::TEXT),
            (&self.statuses, Type::TEXT_ARRAY),
        ]
    }
}
