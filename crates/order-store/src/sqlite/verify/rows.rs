//! Every row of the log, past what cannot be read.

use order_application::Position;
use rusqlite::{Connection, OptionalExtension, Row};
use twox_hash::XxHash3_64;

use crate::sqlite::log::entries::order_id;
use crate::sqlite::log::{end, row};
use crate::verify::{LogRow, Part};

const ROWS: &str = concat!("SELECT ", row::columns!(), " FROM events WHERE position >= ?1 ORDER BY position");
const ROW: &str = concat!("SELECT ", row::columns!(), " FROM events WHERE position = ?1");

/// Positions that are tried one by one where pages cannot be read; after that, fewer and fewer of them.
const TRIED_ONE_BY_ONE: u64 = 4_096;

/// The rows of a log.
pub(super) struct LogRows<'a> {
    log: &'a Connection,
    pub(super) end: Position,
}

/// Takes rows, and keeps what it needs to read them.
struct Visitor<'v> {
    part: Part,
    /// How far it has come, by rows that are what was written, or that follow on the one before: no other's position is
    /// trusted.
    after: Position,
    scratch: Vec<u8>,
    visit: &'v mut dyn FnMut(LogRow),
}

impl<'a> LogRows<'a> {
    /// `known`: how far the log goes at least, as somebody else knows. It counts where the log itself cannot tell.
    pub(super) fn of(log: &'a Connection, known: Option<Position>) -> Self {
        Self { log, end: end(log).unwrap_or(known.unwrap_or_default()) }
    }

    /// Visits every row of a part of the orders in its order, and the runs of positions in between that cannot be read.
    pub(super) fn visit(&self, part: Part, visit: &mut dyn FnMut(LogRow)) {
        let mut visitor = Visitor { part, after: Position::START, scratch: Vec::new(), visit };
        while let Err(error) = visitor.take_all(self.log) {
            let first = visitor.after.plus(1);
            let next = self.next_readable(first);
            let last = next.map_or(self.end.max(first), |next| Position(next.0 - 1));
            // One that can be read by itself and not in its turn is met again: so nothing is lost, and it comes to an end.
            if last >= first {
                (visitor.visit)(LogRow::Unreadable { first, last, why: error.to_string() });
            } else if visitor.take_one(self.log, first).is_err() {
                return;
            }
            visitor.after = last.max(first);
            if next.is_none() {
                return;
            }
        }
    }

    /// Visits the runs of positions that a look-up does not find, whatever is met on the way through all rows.
    pub(super) fn visit_unfindable(&self, visit: &mut dyn FnMut(Position, Position)) {
        let mut first = 1;
        while first <= self.end.0 {
            let found = (first..=self.end.0).find(|position| self.has(Position(*position)));
            let next = found.unwrap_or(self.end.0 + 1);
            if next > first {
                visit(Position(first), Position(next - 1));
            }
            first = next + 1;
        }
    }

    /// The first position from one on that has a row.
    fn next_readable(&self, first: Position) -> Option<Position> {
        let mut position = first;
        let mut tried = 0;
        while position <= self.end {
            if self.has(position) {
                return Some(position);
            }
            tried += 1;
            position = position.plus(1 + u64::saturating_sub(tried, TRIED_ONE_BY_ONE) / 64);
        }
        None
    }

    fn has(&self, position: Position) -> bool {
        let read = || self.log.prepare_cached(ROW)?.query_row([position.0], |_| Ok(())).optional();
        read().is_ok_and(|row: Option<()>| row.is_some())
    }
}

impl Visitor<'_> {
    fn take_all(&mut self, log: &Connection) -> rusqlite::Result<()> {
        let mut statement = log.prepare_cached(ROWS)?;
        let mut rows = statement.query([self.after.0 + 1])?;
        while let Some(row) = rows.next()? {
            self.take(row);
        }
        Ok(())
    }

    fn take_one(&mut self, log: &Connection, position: Position) -> rusqlite::Result<()> {
        log.prepare_cached(ROW)?.query_row([position.0], |row| {
            self.take(row);
            Ok(())
        })
    }

    fn take(&mut self, row: &Row<'_>) {
        let position = row.get(0).ok().map(Position);
        if !self.is_of_part(row) {
            if position == Some(self.after.plus(1)) {
                self.after = self.after.plus(1);
            }
            return;
        }
        (self.visit)(match row::read(row, &mut self.scratch) {
            Ok(event) => {
                self.after = event.position.max(self.after);
                LogRow::Event { event, order_key: None }
            }
            Err(error) => LogRow::Damaged { position, order_id: order_id(row, row::ORDER_ID), error },
        });
    }

    fn is_of_part(&self, row: &Row<'_>) -> bool {
        let order_id = row.get_ref(row::ORDER_ID).ok().and_then(|id| id.as_bytes().ok());
        is_of_part(order_id.unwrap_or_default(), self.part)
    }
}

/// Whether an order is of a part.
pub(super) fn is_of_part(order_id: &[u8], part: Part) -> bool {
    XxHash3_64::oneshot(order_id) % part.of == part.number
}
