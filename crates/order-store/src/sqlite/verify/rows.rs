//! Every row of the log, past what cannot be read.

use order_application::Position;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::sqlite::log::{end, row};

const ROWS: &str = concat!("SELECT ", row::columns!(), " FROM events WHERE position >= ?1 ORDER BY position");
const ROW: &str = concat!("SELECT ", row::columns!(), " FROM events WHERE position = ?1");

/// Positions that are tried one by one where pages cannot be read; after that, fewer and fewer of them.
const TRIED_ONE_BY_ONE: u64 = 4_096;

/// The rows of a log.
pub(super) struct LogRows<'a> {
    log: &'a Connection,
    end: Position,
}

/// Positions in a row that cannot be read.
pub(super) struct UnreadableRows {
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) why: String,
}

impl<'a> LogRows<'a> {
    /// `known`: how far the log goes at least, as somebody else knows. It counts where the log itself cannot tell.
    pub(super) fn of(log: &'a Connection, known: Option<Position>) -> Self {
        Self { log, end: end(log).unwrap_or(known.unwrap_or_default()) }
    }

    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// Visits every row in its order, and the runs of positions in between that cannot be read. The visitor says whether the
    /// row is what was written: a position is only trusted if it is.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(Result<&Row<'_>, UnreadableRows>) -> bool) {
        let mut after = Position::START;
        while let Err(error) = self.visit_from(&mut after, visit) {
            let first = after.plus(1);
            let next = self.next_readable(first);
            let last = next.map_or(self.end.max(first), |next| Position(next.0 - 1));
            // One that can be read by itself and not in its turn is met again: so nothing is lost, and it comes to an end.
            if last >= first {
                visit(Err(UnreadableRows { first, last, why: error.to_string() }));
            } else if self.visit_one(first, visit).is_err() {
                return;
            }
            after = last.max(first);
            if next.is_none() {
                return;
            }
        }
    }

    fn visit_from(
        &self,
        after: &mut Position,
        visit: &mut dyn FnMut(Result<&Row<'_>, UnreadableRows>) -> bool,
    ) -> rusqlite::Result<()> {
        let mut statement = self.log.prepare_cached(ROWS)?;
        let mut rows = statement.query([after.0 + 1])?;
        while let Some(row) = rows.next()? {
            if visit(Ok(row))
                && let Ok(position) = row.get(0)
            {
                *after = Position(position).max(*after);
            }
        }
        Ok(())
    }

    fn visit_one(
        &self,
        position: Position,
        visit: &mut dyn FnMut(Result<&Row<'_>, UnreadableRows>) -> bool,
    ) -> rusqlite::Result<()> {
        let mut statement = self.log.prepare_cached(ROW)?;
        let mut rows = statement.query([position.0])?;
        if let Some(row) = rows.next()? {
            visit(Ok(row));
        }
        Ok(())
    }

    /// Visits the runs of positions that a look-up does not find, whatever is met on the way through all rows.
    pub(super) fn visit_unfindable(&self, visit: &mut dyn FnMut(Position, Position)) {
        let mut run: Option<(Position, Position)> = None;
        for position in (1..=self.end.0).map(Position) {
            run = match run {
                Some((first, last)) if self.has(position) => {
                    visit(first, last);
                    None
                }
                None if self.has(position) => None,
                Some((first, _)) => Some((first, position)),
                None => Some((position, position)),
            };
        }
        if let Some((first, last)) = run {
            visit(first, last);
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
