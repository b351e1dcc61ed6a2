//! Views of many orders as arrays, one for each column.

use order_application::OrderView;
use tokio_postgres::types::Type;

use super::database::Parameter;
use super::projection;
use super::row::{PgTime, view_checksum};
use crate::checksum::Checksum;
use crate::view_row::ViewRow;

/// The columns of `order_service.orders` but the key and the projection, which is this release's.
#[derive(Default)]
pub(super) struct ViewColumns<'a> {
    order_ids: Vec<&'a str>,
    states: Vec<&'a str>,
    versions: Vec<i64>,
    customer_ids: Vec<Option<&'a str>>,
    statuses: Vec<Option<&'a str>>,
    totals: Vec<Option<i64>>,
    placed_ats: Vec<Option<PgTime>>,
    updated_ats: Vec<Option<PgTime>>,
    checksums: Vec<Checksum>,
    scratch: Vec<u8>,
}

impl<'a> ViewColumns<'a> {
    pub(super) fn of(views: impl IntoIterator<Item = &'a OrderView>) -> Self {
        let mut columns = Self::default();
        for view in views {
            columns.add(view);
        }
        columns
    }

    pub(super) fn add(&mut self, view: &'a OrderView) {
        let row = ViewRow::of(view);
        self.order_ids.push(row.order_id);
        self.states.push(row.state);
        self.versions.push(row.version.cast_signed());
        self.customer_ids.push(row.customer_id);
        self.statuses.push(row.status);
        self.totals.push(row.total_cents);
        self.placed_ats.push(row.placed_at.map(PgTime));
        self.updated_ats.push(row.updated_at.map(PgTime));
        self.checksums.push(view_checksum(&row, projection(), &mut self.scratch));
    }

    /// The arrays as parameters, in the order of the columns.
    pub(super) fn parameters(&self) -> [Parameter<'_>; 9] {
        [
            (&self.order_ids, Type::TEXT_ARRAY),
            (&self.states, Type::TEXT_ARRAY),
            (&self.versions, Type::INT8_ARRAY),
            (&self.customer_ids, Type::TEXT_ARRAY),
            (&self.statuses, Type::TEXT_ARRAY),
            (&self.totals, Type::INT8_ARRAY),
            (&self.placed_ats, Type::TIMESTAMPTZ_ARRAY),
            (&self.updated_ats, Type::TIMESTAMPTZ_ARRAY),
            (&self.checksums, Type::BYTEA_ARRAY),
        ]
    }
}
