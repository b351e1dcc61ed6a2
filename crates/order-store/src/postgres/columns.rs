//! Rows as the database takes many of them at once: an array for each column. Which value goes into which column is said
//! here; [`row`](super::row) reads them back.

use order_application::{OrderView, Receipt, SearchTerm};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::database::Parameter;
use super::projection;
use super::row::{system_time, view_checksum};
use crate::checksum::Covered;
use crate::receipt_row::ReceiptRow;
use crate::view_row::ViewRow;

/// The values of one column and their type.
pub(super) type Column<'a> = (Box<dyn ToSql + Sync + Send + 'a>, Type);

/// What `value` makes of each row.
pub(super) fn column<'a, R, V>(
    array: Type,
    rows: impl IntoIterator<Item = R>,
    value: impl FnMut(R) -> V,
) -> Column<'a>
where
    V: ToSql + Send + Sync + 'a,
{
    (Box::new(rows.into_iter().map(value).collect::<Vec<V>>()), array)
}

/// The projection that this release makes rows with.
pub(super) fn made_by() -> Column<'static> {
    (Box::new(projection()), Type::INT4)
}

/// Columns as the parameters of a statement, in their order.
pub(super) fn parameters<'a>(columns: &'a [Column<'_>]) -> Vec<Parameter<'a>> {
    columns.iter().map(|(values, array)| (&**values as _, array.clone())).collect()
}

/// The columns of `order_service.events`, from `version` on.
pub(super) fn event_columns<'a>(events: &[Covered<'a>]) -> [Column<'a>; 9] {
    let mut scratch = Vec::new();
    [
        column(Type::INT8_ARRAY, events, |event| event.version.0.cast_signed()),
        column(Type::UUID_ARRAY, events, |event| Uuid::from_bytes(*event.id)),
        column(Type::TEXT_ARRAY, events, |event| event.event_type),
        column(Type::TIMESTAMPTZ_ARRAY, events, |event| system_time(event.time)),
        column(Type::TEXT_ARRAY, events, |event| event.order_id),
        column(Type::TEXT_ARRAY, events, |event| event.data),
        column(Type::TEXT_ARRAY, events, |event| event.context),
        column(Type::TEXT_ARRAY, events, |event| event.source),
        column(Type::BYTEA_ARRAY, events, |event| event.checksum(&mut scratch)),
    ]
}

/// The columns of `order_service.orders`, from `order_id` on, but the projection and the position of the last event.
pub(super) fn view_columns<'a>(views: impl IntoIterator<Item = &'a OrderView>) -> [Column<'a>; 11] {
    let rows: Vec<ViewRow<'a>> = views.into_iter().map(ViewRow::of).collect();
    let mut scratch = Vec::new();
    [
        column(Type::TEXT_ARRAY, &rows, |row| row.order_id),
        column(Type::TEXT_ARRAY, &rows, |row| row.state),
        column(Type::INT8_ARRAY, &rows, |row| row.version.cast_signed()),
        column(Type::TEXT_ARRAY, &rows, |row| row.customer_id),
        column(Type::TEXT_ARRAY, &rows, |row| row.status),
        column(Type::INT8_ARRAY, &rows, |row| row.total_cents),
        column(Type::TIMESTAMPTZ_ARRAY, &rows, |row| row.placed_at.map(system_time)),
        column(Type::TIMESTAMPTZ_ARRAY, &rows, |row| row.updated_at.map(system_time)),
        column(Type::TIMESTAMPTZ_ARRAY, &rows, |row| row.due_at.map(system_time)),
        column(Type::BOOL_ARRAY, &rows, |row| row.on_hold),
        column(Type::BYTEA_ARRAY, &rows, |row| view_checksum(row, projection(), &mut scratch)),
    ]
}

/// What order each term is of, as its number or its key, and the columns of `order_service.order_terms` that tell the term.
pub(super) fn term_columns<'a, N>(array: Type, terms: &[(N, &'a SearchTerm)]) -> [Column<'a>; 3]
where
    N: ToSql + Copy + Send + Sync + 'a,
{
    [
        column(array, terms, |(order, _)| *order),
        column(Type::TEXT_ARRAY, terms, |(_, term)| term.kind()),
        column(Type::TEXT_ARRAY, terms, |(_, term)| term.value()),
    ]
}

/// The columns of `order_service.receipts`.
pub(super) fn receipt_columns<'a>(receipts: impl IntoIterator<Item = &'a Receipt>) -> [Column<'a>; 7] {
    let rows: Vec<ReceiptRow<'a>> = receipts.into_iter().map(ReceiptRow::of).collect();
    let mut scratch = Vec::new();
    [
        column(Type::BYTEA_ARRAY, &rows, |row| row.key),
        column(Type::BYTEA_ARRAY, &rows, |row| row.fingerprint),
        column(Type::TEXT_ARRAY, &rows, |row| row.order_id),
        column(Type::INT8_ARRAY, &rows, |row| row.version.cast_signed()),
        column(Type::TEXT_ARRAY, &rows, |row| row.answer),
        column(Type::TIMESTAMPTZ_ARRAY, &rows, |row| system_time(row.answered_at)),
        column(Type::BYTEA_ARRAY, &rows, |row| row.checksum(&mut scratch)),
    ]
}
