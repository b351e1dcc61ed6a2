//! Rows of lists, by the indexes that lead to them.

use std::ops::RangeInclusive;

use order_application::{ListQuery, OrderFilter, OrderView, Position, SearchTerm, SortKey, TimeRange};
use order_domain::Status;
use rusqlite::{Connection, Params, Row, params};

use crate::list_path::Source;
use crate::sqlite::log::row::MAX_POSITION;
use crate::sqlite::views::overlay::OrderKey;
use crate::sqlite::views::schema::{UPDATED_POSITION, order_columns, read_order};
use crate::sqlite::views::{ViewsError, reading, terms, zones};

/// Orders that are found in another order than they are wanted in are brought into it by sorting, if there are no more than
/// so many. Each costs a look-up.
const MAX_SORTED: usize = 2_000;

/// An order, as a list finds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundOrder {
    pub(crate) key: OrderKey,
    pub(crate) updated_position: Position,
    pub(crate) view: OrderView,
    /// Those of the filter's terms that it is certain to be known by.
    pub(crate) terms: Vec<SearchTerm>,
}

impl FoundOrder {
    /// Reads a row of [`order_columns`].
    pub(super) fn read(row: &Row<'_>, key: OrderKey, scratch: &mut Vec<u8>) -> Result<Self, ViewsError> {
        let view = read_order(row, key, scratch)?;
        Ok(Self { key, updated_position: Position(row.get(UPDATED_POSITION)?), view, terms: Vec::new() })
    }

    /// Where it is in the order of a list.
    pub(crate) fn place(&self, by: SortKey) -> Position {
        match by {
            SortKey::Placed => Position(self.key),
            SortKey::Updated => self.updated_position,
        }
    }
}

/// A statement for orders in a range, upwards and downwards.
macro_rules! orders_between {
    ($condition:literal, $by:literal) => {
        [
            concat!(
                "SELECT ",
                order_columns!(),
                " FROM orders AS o WHERE ",
                $condition,
                " ORDER BY ",
                $by,
                " LIMIT ?3"
            ),
            concat!(
                "SELECT ",
                order_columns!(),
                " FROM orders AS o WHERE ",
                $condition,
                " ORDER BY ",
                $by,
                " DESC LIMIT ?3"
            ),
        ]
    };
}

const BY_KEY: [&str; 2] = orders_between!("o.key BETWEEN ?1 AND ?2", "o.key");
const ON_HOLD: [&str; 2] = orders_between!("o.on_hold AND o.key BETWEEN ?1 AND ?2", "o.key");
const BY_STATUS: [&str; 2] = orders_between!("o.status = ?4 AND o.key BETWEEN ?1 AND ?2", "o.key");
const BY_UPDATE: [&str; 2] = orders_between!("o.updated_position BETWEEN ?1 AND ?2", "o.updated_position");
const COUNT_BY_STATUS: &str = "SELECT count(*) FROM (SELECT 1 FROM orders WHERE status = ?1 LIMIT ?2)";
const DUE_AT: &str = "SELECT 1 FROM orders AS o INDEXED BY orders_due WHERE o.due_at = ?1 AND o.key = ?2";
const LAST_KEY: &str = "SELECT coalesce(max(key), 0) FROM orders";
const LAST_UPDATE: &str = "SELECT coalesce(max(updated_position), 0) FROM orders";
const AT_KEY: &str = concat!("SELECT ", order_columns!(), " FROM orders AS o WHERE o.key = ?1");

/// How many orders of a file have a status, counted up to so many.
pub(crate) fn count(views: &Connection, status: Status, at_most: usize) -> Result<usize, ViewsError> {
    let mut count = views.prepare_cached(COUNT_BY_STATUS)?;
    Ok(count.query_row(params![status.as_str(), at_most], |row| row.get(0))?)
}

/// Finds orders in a file of views.
pub(crate) struct Finder<'v, 'f> {
    views: &'v Connection,
    filter: &'f OrderFilter,
    descending: bool,
}

impl<'v, 'f> Finder<'v, 'f> {
    pub(crate) fn new(views: &'v Connection, query: &'f ListQuery) -> Self {
        Self { views, filter: &query.filter, descending: query.sort.descending }
    }

    /// The first orders that a source has in a range of its places.
    pub(crate) fn find(
        &self,
        source: Source<'_>,
        places: &RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<FoundOrder>, ViewsError> {
        let (first, last) = (places.start(), places.end());
        match source {
            // They know where the orders should end, too.
            Source::Log(SortKey::Placed, times) if times.is_everything() => match self.descending {
                false => reading::list(self.views, Position(first - 1), limit),
                true => reading::list_down(self.views, Position(*last), limit),
            },
            _ if places.is_empty() => Ok(Vec::new()),
            Source::Term(term) => {
                let keys = terms::keys(self.views, term, places, self.descending, limit)?;
                let found = |key| Ok(FoundOrder { terms: vec![term.clone()], ..self.at(key)? });
                keys.into_iter().map(found).collect()
            }
            Source::OnHold => self.read(&ON_HOLD, params![first, last, limit]),
            Source::Statuses => {
                let mut orders = Vec::new();
                for status in &self.filter.statuses {
                    orders.extend(self.read(&BY_STATUS, params![first, last, limit, status.as_str()])?);
                }
                orders.sort_unstable_by_key(|order| order.key);
                if self.descending {
                    orders.reverse();
                }
                orders.truncate(limit);
                Ok(orders)
            }
            Source::Log(SortKey::Placed, times) => self.in_zones(&BY_KEY, places, times, limit),
            Source::Log(SortKey::Updated, times) => self.in_zones(&BY_UPDATE, places, times, limit),
        }
    }

    /// All orders of a source, if they are few enough to be sorted for each page.
    pub(crate) fn few(&self, source: Source<'_>) -> Result<Option<Vec<FoundOrder>>, ViewsError> {
        let everything = 1..=self.end(source)?;
        if self.has_too_many(source, &everything)? {
            return Ok(None);
        }
        let orders = self.find(source, &everything, MAX_SORTED + 1)?;
        Ok((orders.len() <= MAX_SORTED).then_some(orders))
    }

    /// Whether an index alone tells that a source has too many, without a look at their rows.
    fn has_too_many(&self, source: Source<'_>, keys: &RangeInclusive<OrderKey>) -> Result<bool, ViewsError> {
        let most = MAX_SORTED + 1;
        let found = match source {
            Source::Term(term) => terms::keys(self.views, term, keys, false, most)?.len(),
            Source::Statuses => {
                let mut found = 0;
                for status in &self.filter.statuses {
                    found += count(self.views, *status, most)?;
                }
                found
            }
            Source::OnHold | Source::Log(..) => 0,
        };
        Ok(found > MAX_SORTED)
    }

    /// The last place that the file has in the order of a source. Of orders that are placed, the indexes know before the rows
    /// are there, so this is where the rows end.
    pub(crate) fn end(&self, source: Source<'_>) -> Result<u64, ViewsError> {
        let end = match source.order() {
            SortKey::Placed => LAST_KEY,
            SortKey::Updated => LAST_UPDATE,
        };
        Ok(self.views.prepare_cached(end)?.query_row((), |row| row.get(0))?)
    }

    /// Whether an order is known by all terms of the filter.
    pub(crate) fn has_terms(&self, order: &FoundOrder) -> Result<bool, ViewsError> {
        for term in self.filter.terms.iter().filter(|term| !order.terms.contains(term)) {
            if !terms::has(self.views, order.key, term)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first orders in a range of places, past zones without any of the times.
    fn in_zones(
        &self,
        statements: &[&str; 2],
        places: &RangeInclusive<u64>,
        times: TimeRange,
        limit: usize,
    ) -> Result<Vec<FoundOrder>, ViewsError> {
        if times.is_everything() {
            return self.read(statements, params![places.start(), places.end(), limit]);
        }
        let mut orders = Vec::new();
        let mut left = places.clone();
        while orders.len() < limit
            && !left.is_empty()
            && let Some(zone) = zones::next(self.views, &left, times, self.descending)?
        {
            let more = params![zone.start(), zone.end(), limit - orders.len()];
            orders.extend(self.read(statements, more)?);
            left = match self.descending {
                false => zone.end() + 1..=*left.end(),
                true => *left.start()..=zone.start() - 1,
            };
        }
        Ok(orders)
    }

    fn read(&self, statements: &[&str; 2], parameters: impl Params) -> Result<Vec<FoundOrder>, ViewsError> {
        let mut statement = self.views.prepare_cached(statements[usize::from(self.descending)])?;
        let mut rows = statement.query(parameters)?;
        let mut orders = Vec::new();
        let mut scratch = Vec::new();
        while let Some(row) = rows.next()? {
            orders.push(FoundOrder::read(row, row.get(0)?, &mut scratch)?);
        }
        Ok(orders)
    }

    /// The order that an index leads to.
    fn at(&self, key: OrderKey) -> Result<FoundOrder, ViewsError> {
        let mut statement = self.views.prepare_cached(AT_KEY)?;
        let mut rows = statement.query([key])?;
        let Some(row) = rows.next()? else {
            let what = format!("an index has the key {key}, and there is no view with it");
            return Err(ViewsError::Damaged(what));
        };
        FoundOrder::read(row, key, &mut Vec::new())
    }
}

/// What does not lead to an order that should, for whoever checks a file: the indexes of lists have no checksums, and what is
/// missing there is merely not found. `None`: everything does.
pub(crate) fn lost_way_to(
    views: &Connection,
    key: OrderKey,
    terms: &[SearchTerm],
) -> Result<Option<String>, ViewsError> {
    let everything = OrderFilter::default();
    let finder = Finder { views, filter: &everything, descending: false };
    let order = finder.at(key)?;
    let is_found = |found: Vec<FoundOrder>| found.iter().any(|found| found.key == key);
    let place = order.updated_position.0;
    if !is_found(finder.read(&BY_UPDATE, params![place, place, 1])?) {
        return Ok(Some(format!("the index of last events does not have it at position {place}")));
    }
    let OrderView::Readable(summary) = &order.view else { return Ok(None) };
    if !is_found(finder.read(&BY_STATUS, params![key, key, 1, summary.status.as_str()])?) {
        return Ok(Some(format!("the index of statuses does not have it as {}", summary.status.as_str())));
    }
    if summary.on_hold && !is_found(finder.read(&ON_HOLD, params![key, key, 1])?) {
        return Ok(Some("the index of orders on hold does not have it".to_owned()));
    }
    if let Some(due_at) = summary.due_at
        && !views.prepare_cached(DUE_AT)?.exists(params![due_at.as_micros(), key])?
    {
        return Ok(Some("the index of orders that are due does not have it".to_owned()));
    }
    for (position, time) in [(key, summary.placed_at), (place, summary.updated_at)] {
        if !zones::covers(views, position, time)? {
            return Ok(Some(format!("the times around position {position} do not include its own")));
        }
    }
    for term in terms {
        if !terms::has(views, key, term)? {
            let (kind, value) = (term.kind(), term.value());
            return Ok(Some(format!("the index of terms does not have it for the {kind} {value:?}")));
        }
    }
    Ok(None)
}

/// The places of the file that come after a place of a list, up to its end; none if the range is empty.
pub(crate) fn places_after(query: &ListQuery, end: u64) -> RangeInclusive<u64> {
    let after = query.after.map(|after| after.min(MAX_POSITION).0);
    match (after, query.sort.descending) {
        (None, _) => 1..=end,
        (Some(after), false) => after + 1..=end,
        (Some(after), true) => 1..=after.saturating_sub(1).min(end),
    }
}

#[cfg(test)]
mod tests {
    use order_application::{Unreadable, UnreadableOrder, Version};
    use order_domain::{CustomerId, OrderId};
    use uuid::Uuid;

    use super::*;
    use crate::sqlite::views::schema::SCHEMA;
    use crate::sqlite::views::{PutOrder, Views};

    /// What SQLite does for a statement, in its own words.
    fn plan(statement: &str) -> String {
        let views = Connection::open_in_memory().unwrap();
        views.execute_batch(SCHEMA).unwrap();
        let mut plan = views.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let mut parameters = plan.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = parameters.next().unwrap() {
            steps.push(row.get::<_, String>("detail").unwrap());
        }
        steps.join("; ")
    }

    /// Each index is there for these statements, which come in its order: nothing is sorted, and no more is read than is
    /// answered with.
    #[test]
    fn every_list_is_found_by_its_index_and_comes_in_its_order() {
        let through = [
            (BY_KEY, "SEARCH o USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (ON_HOLD, "SEARCH o USING INDEX orders_on_hold (key>? AND key<?)"),
            (BY_STATUS, "SEARCH o USING INDEX orders_by_status (status=? AND key>? AND key<?)"),
            (BY_UPDATE, "SEARCH o USING INDEX orders_by_update (updated_position>? AND updated_position<?)"),
            (
                terms::KEYS,
                "SEARCH order_terms USING PRIMARY KEY (block=? AND kind=? AND value=? AND key>? AND key<?)",
            ),
            (zones::NEXT, "SEARCH log_times USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ];
        for (statements, expected) in through {
            for statement in statements {
                assert_eq!(plan(statement), expected, "{statement}");
            }
        }
        assert_eq!(plan(AT_KEY), "SEARCH o USING INTEGER PRIMARY KEY (rowid=?)");
        assert_eq!(
            plan(terms::HAS),
            "SEARCH order_terms USING PRIMARY KEY (block=? AND kind=? AND value=? AND key=?)"
        );
        assert_eq!(plan(LAST_KEY), "SEARCH orders");
        assert_eq!(plan(LAST_UPDATE), "SEARCH orders USING COVERING INDEX orders_by_update");
        let counted = plan(COUNT_BY_STATUS);
        assert!(counted.contains("USING COVERING INDEX orders_by_status (status=?)"), "{counted}");
    }

    /// As a batch leaves the file between two of its commits: terms of all of its orders, the rows of some.
    #[test]
    fn an_order_whose_terms_come_before_its_row_is_not_looked_for_yet() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("orders.db");
        let mut views = Views::create(&log, 1, Uuid::nil(), 7).unwrap();
        let customer = SearchTerm::Customer(CustomerId::new("c").unwrap());
        let entries = [3, 20, 90].map(|key| terms::TermEntry::of(key, &customer));
        views.insert_terms(entries.to_vec()).unwrap();
        let view = |id: &str| {
            let order_id = OrderId::new(id).unwrap();
            OrderView::Unreadable(UnreadableOrder { order_id, version: Version(1), why: Unreadable::Newer })
        };
        let (first, second) = (view("a"), view("b"));
        // The first has changed after the third was placed.
        let rows = [(3, &first, 91), (20, &second, 20)].map(|(key, view, updated)| PutOrder {
            key,
            view,
            updated_position: Position(updated),
            previous: None,
        });
        views.put_orders(rows.into_iter()).unwrap();
        let query = ListQuery { limit: 10, ..ListQuery::default() };
        let finder = Finder::new(&views.connection, &query);
        let source = Source::Term(&customer);
        let found = finder.find(source, &(1..=finder.end(source).unwrap()), 10).unwrap();
        assert_eq!(found.iter().map(|order| order.key).collect::<Vec<_>>(), [3, 20]);
        assert_eq!(finder.few(source).unwrap().unwrap(), found);
    }
}
