//! A batch of appends as the arrays that `order_service.append_v2` takes.

use std::time::Duration;

use order_application::{Append, AppendError, Position, Version};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::checksum::Covered;
use crate::postgres::columns::{
    Column, column, event_columns, made_by, parameters, receipt_columns, term_columns, view_columns,
};
use crate::postgres::history::{History, Known, KnownEvent};
use crate::postgres::servers::Object;

const APPEND: &str = "SELECT went_back, first_positions, found_versions, keys_taken, waited_micros FROM order_service.append_v2(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, \
    $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)";

/// What the database says of one append: where its first event is, or why it was refused.
pub(super) type Outcome = Result<Position, AppendError>;

/// What the database says of a batch.
pub(super) enum Appended {
    /// What becomes of each append; and how long the lock on the log's end was somebody else's.
    Settled(Vec<Outcome>, Duration),
    /// None of them was looked at: some were decided on another history than the log has.
    OfAnotherHistory,
}

/// Adds a batch in one round trip and one transaction. No order may be in it twice.
pub(super) async fn append(
    connection: &Object,
    appends: &[&Append],
    history: &History,
) -> Result<Appended, Error> {
    // Asked with the connection in hand. What it leads to is of this history, or the function finds it out.
    let known = history.known();
    if appends.iter().any(|append| append.history != known.history) {
        return Ok(Appended::OfAnotherHistory);
    }
    let mut columns = columns(appends);
    columns.extend(known_event(known));
    // Complete only when the server is ready for the next statement, which is after the commit.
    #[cfg(not(feature = "planted-faults"))]
    let statement = APPEND;
    #[cfg(feature = "planted-faults")]
    let statement = &crate::postgres::planted_faults::append_function(APPEND);
    let row = connection.query_typed_one(statement, &parameters(&columns)).await?;
    if row.try_get(0)? {
        // What an old primary lacks is not lost.
        if !history.primaries().is_left(connection.timeline()) {
            history.went_back(known);
        }
        return Ok(Appended::OfAnotherHistory);
    }
    let first_positions: Vec<Option<i64>> = row.try_get(1)?;
    let found_versions: Vec<i64> = row.try_get(2)?;
    let keys_taken: Vec<bool> = row.try_get(3)?;
    let found = first_positions.into_iter().zip(found_versions).zip(keys_taken);
    let outcomes = found.map(|((position, version), key_taken)| match position {
        Some(position) => Ok(Position(position.cast_unsigned())),
        None if key_taken => Err(AppendError::KeyTaken),
        None => Err(AppendError::Conflict { current: Version(version.cast_unsigned()) }),
    });
    let outcomes: Vec<Outcome> = outcomes.collect();
    if let Some(newest) = newest(appends, &outcomes) {
        history.saw(known.history, newest);
    }
    let waited: i64 = row.try_get(4)?;
    Ok(Appended::Settled(outcomes, Duration::from_micros(waited.cast_unsigned())))
}

/// The newest event that is in the log because of these appends.
fn newest(appends: &[&Append], outcomes: &[Outcome]) -> Option<KnownEvent> {
    let last = |(append, outcome): (&&Append, &Outcome)| {
        let (first, event) = (outcome.as_ref().ok()?, append.events.last()?);
        Some(KnownEvent { position: Position(first.0 + append.events.len() as u64 - 1), id: event.id })
    };
    appends.iter().zip(outcomes).filter_map(last).max_by_key(|event| event.position)
}

/// The last parameters of `order_service.append_v2`.
fn known_event(known: Known) -> [Column<'static>; 2] {
    let (position, id) =
        known.event.map_or((0, None), |event| (event.position.0.cast_signed(), Some(event.id)));
    [(Box::new(position), Type::INT8), (Box::new(id), Type::UUID)]
}

/// The parameters of `order_service.append_v2` that the appends are.
fn columns<'a>(appends: &[&'a Append]) -> Vec<Column<'a>> {
    let numbers =
        appends.iter().zip(1_i32..).flat_map(|(append, number)| append.events.iter().map(move |_| number));
    let events: Vec<Covered<'a>> = appends.iter().flat_map(|append| checked(append)).collect();
    let mut columns = Vec::from(view_columns(appends.iter().map(|append| &append.view)));
    columns.extend([
        column(Type::INT8_ARRAY, appends, |append| append.expected_version.0.cast_signed()),
        column(Type::INT8_ARRAY, appends, |append| append.events.len() as i64),
        column(Type::UUID_ARRAY, appends, |append| {
            append.events.first().map(|event| event.id).unwrap_or_default()
        }),
        column(Type::INT4_ARRAY, numbers, |number| number),
    ]);
    columns.extend(event_columns(&events));
    let with_receipts =
        || appends.iter().zip(1_i32..).filter_map(|(append, n)| Some((n, append.receipt.as_ref()?)));
    columns.push(column(Type::INT4_ARRAY, with_receipts(), |(number, _)| number));
    columns.extend(receipt_columns(with_receipts().map(|(_, receipt)| receipt)));
    let terms: Vec<_> = appends
        .iter()
        .zip(1_i32..)
        .flat_map(|(append, number)| append.terms.iter().map(move |term| (number, term)))
        .collect();
    columns.extend(term_columns(Type::INT4_ARRAY, &terms));
    columns.push(made_by());
    columns
}

/// The events of an append as rows, of which nobody knows the position yet.
fn checked(append: &Append) -> impl Iterator<Item = Covered<'_>> {
    append.events.iter().zip(1..).map(|(event, number)| {
        let version = append.expected_version.plus(number);
        Covered { position: None, ..Covered::new(Position::START, &append.order_id, version, event) }
    })
}
