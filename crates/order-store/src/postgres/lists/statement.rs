//! The statements that find the orders of lists. All take the same parameters, of which each uses some.
//!
//! Where rows come in the order of an index, a statement says so in a way that leaves the planner no other: what it knows of
//! how many orders have a status, say, may be old, and a wrong guess would be a look at all orders.

use order_application::{MAX_EXAMINED, Sort, SortKey};

use crate::list_path::Source;
use crate::postgres::row::order_columns;

/// Whether the order has the further terms of the filter.
const HAS_FURTHER_TERMS: &str = "\
    (SELECT coalesce(bool_and(EXISTS (SELECT FROM order_service.order_terms t \
        WHERE order_service.term_block_v1(t.key) = order_service.term_block_v1(o.key) \
            AND order_service.term_hash_v1(t.value) = order_service.term_hash_v1(w.value) \
            AND t.kind = w.kind AND t.value = w.value AND t.key = o.key)), true) \
    FROM unnest($3, $4) AS w(kind, value))";

/// The block of the log's end.
const LAST_BLOCK: &str =
    "(SELECT order_service.term_block_v1(coalesce(max(e.position), 0)) FROM order_service.events e)";

/// Rows of one block that have the source's term.
const TERMS_OF_BLOCK: &str = "order_service.order_terms t \
    WHERE order_service.term_block_v1(t.key) = b.block \
        AND order_service.term_hash_v1(t.value) = order_service.term_hash_v1($8) AND t.kind = $7 AND t.value = $8";

/// Orders with their places in a zone of the log.
fn orders_of_zone(place: &str) -> String {
    format!(
        "order_service.orders o \
            WHERE {place} >= order_service.zone_start_v1(z.zone) AND {place} < order_service.zone_start_v1(z.zone + 1)"
    )
}

/// Whether a zone of the log has to do with the times that are wanted.
const ZONE_OVERLAPS_TIMES: &str =
    "z.latest > coalesce($5, '-infinity') AND z.earliest < coalesce($6, 'infinity')";

/// Orders that are found and sorted, at most; one more tells that there are too many.
const MAX_SORTED: usize = MAX_EXAMINED;

/// The direction of a list, as SQL has it.
#[derive(Clone, Copy)]
struct Direction {
    place: &'static str,
    order: &'static str,
    beyond: &'static str,
}

impl Direction {
    fn of(sort: Sort) -> Self {
        let place = place(sort.by);
        match sort.descending {
            false => Self { place, order: "ASC", beyond: ">" },
            true => Self { place, order: "DESC", beyond: "<" },
        }
    }
}

/// The column with the place of an order.
fn place(by: SortKey) -> &'static str {
    match by {
        SortKey::Placed => "o.key",
        SortKey::Updated => "o.updated_position",
    }
}

/// Rows of a source whose order is that of the list.
pub(super) fn in_order(source: Source<'_>, sort: Sort, has_further_terms: bool) -> String {
    let Direction { place, order, beyond } = Direction::of(sort);
    let from = match source {
        Source::Term(_) => term(sort.descending),
        Source::OnHold => format!(
            "order_service.orders o WHERE o.on_hold AND o.key {beyond} $1 ORDER BY o.key {order} LIMIT $2"
        ),
        Source::Statuses => statuses(sort.descending),
        Source::Log(_, times) if times.is_everything() => {
            format!("order_service.orders o WHERE {place} {beyond} $1 ORDER BY {place} {order} LIMIT $2")
        }
        Source::Log(..) => format!(
            "order_service.log_times z CROSS JOIN LATERAL (\
                SELECT * FROM {} AND {place} {beyond} $1 ORDER BY {place} {order} LIMIT $2\
            ) o WHERE z.zone {beyond}= order_service.log_zone_v1($1) AND {ZONE_OVERLAPS_TIMES} \
            ORDER BY z.zone {order}, {place} {order} LIMIT $2",
            orders_of_zone(place)
        ),
    };
    format!("SELECT {} FROM {from}", columns(has_further_terms))
}

/// What is read of each order.
fn columns(has_further_terms: bool) -> String {
    // To look at no terms at all takes time, too, for each row.
    let has_terms = if has_further_terms { HAS_FURTHER_TERMS } else { "true" };
    format!(concat!(order_columns!(), ", {}"), has_terms)
}

/// One block after the other, in the order of the numbers that they are given.
fn term(descending: bool) -> String {
    let Direction { order, beyond, .. } = Direction::of(Sort { by: SortKey::Placed, descending });
    let blocks = match descending {
        false => format!("order_service.term_block_v1($1), {LAST_BLOCK}"),
        true => format!("least(order_service.term_block_v1($1), {LAST_BLOCK}), 0, -1"),
    };
    format!(
        "generate_series({blocks}) WITH ORDINALITY AS b(block, number) CROSS JOIN LATERAL (\
            SELECT t.key FROM {TERMS_OF_BLOCK} AND t.key {beyond} $1 ORDER BY t.key {order} LIMIT $2\
        ) f CROSS JOIN LATERAL (SELECT * FROM order_service.orders o WHERE o.key = f.key OFFSET 0) o \
        ORDER BY b.number, f.key {order} LIMIT $2"
    )
}

/// The first of each status, of which the first of all are taken. Ordered by the status, too, they can only come from the
/// index by status.
fn statuses(descending: bool) -> String {
    let Direction { order, beyond, .. } = Direction::of(Sort { by: SortKey::Placed, descending });
    let within = if descending { ">=" } else { "<=" };
    format!(
        "unnest($9) AS s(status) CROSS JOIN LATERAL (\
            SELECT * FROM order_service.orders o \
            WHERE (o.status, o.key) {beyond} (s.status, $1) AND o.status {within} s.status \
            ORDER BY o.status {order}, o.key {order} LIMIT $2\
        ) o ORDER BY o.key {order} LIMIT $2"
    )
}

/// How many orders have a status, up to a limit. In the order of the index by status, so that nothing else is looked at.
pub(super) const COUNT: &str = "\
    SELECT count(*) FROM (SELECT FROM order_service.orders o WHERE (o.status, o.key) > ($1, 0) AND o.status <= $1 \
        ORDER BY o.status, o.key LIMIT $2) c";

/// Rows of a source, sorted, each after how many there are in all. If those are too many, or none, one row says only that.
pub(super) fn sorted(source: Source<'_>, sort: Sort, has_further_terms: bool) -> String {
    let Direction { place, order, beyond } = Direction::of(sort);
    let (keys, columns) = (keys(source), columns(has_further_terms));
    format!(
        "WITH found AS MATERIALIZED ({keys}), counted AS MATERIALIZED (SELECT count(*) AS orders FROM found) \
        SELECT {columns}, c.orders FROM counted c LEFT JOIN LATERAL (\
            SELECT o.* FROM found f \
                CROSS JOIN LATERAL (SELECT * FROM order_service.orders o WHERE o.key = f.key OFFSET 0) o \
            WHERE c.orders <= {MAX_SORTED} AND {place} {beyond} $1 ORDER BY {place} {order} LIMIT $2\
        ) o ON true ORDER BY {place} {order}"
    )
}

/// Whether a source with so many orders has too many to be sorted.
pub(super) fn is_too_many(orders: i64) -> bool {
    orders > MAX_SORTED as i64
}

fn keys(source: Source<'_>) -> String {
    let limit = MAX_SORTED + 1;
    match source {
        Source::Term(_) => format!(
            "SELECT f.key FROM generate_series(0, {LAST_BLOCK}) AS b(block) CROSS JOIN LATERAL (\
                SELECT t.key FROM {TERMS_OF_BLOCK} LIMIT {limit}\
            ) f LIMIT {limit}"
        ),
        Source::OnHold => {
            format!("SELECT o.key FROM order_service.orders o WHERE o.on_hold ORDER BY o.key LIMIT {limit}")
        }
        Source::Statuses => format!(
            "SELECT f.key FROM unnest($9) AS s(status) CROSS JOIN LATERAL (\
                SELECT o.key FROM order_service.orders o WHERE (o.status, o.key) > (s.status, 0) AND o.status <= s.status \
                ORDER BY o.status, o.key LIMIT {limit}\
            ) f LIMIT {limit}"
        ),
        Source::Log(by, _) => {
            let place = place(by);
            format!(
                "SELECT f.key FROM order_service.log_times z CROSS JOIN LATERAL (\
                    SELECT o.key FROM {} ORDER BY {place} LIMIT {limit}\
                ) f WHERE {ZONE_OVERLAPS_TIMES} LIMIT {limit}",
                orders_of_zone(place)
            )
        }
    }
}
