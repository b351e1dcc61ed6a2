//! A batch of appends as the arrays that `order_service.append_v1` takes.

use std::time::Duration;

use deadpool_postgres::Object;
use order_application::{Append, AppendError, Position, Version};
use tokio_postgres::Error;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::database::Parameter;
use super::projection;
use super::row::PgTime;
use super::view_columns::ViewColumns;
use crate::checksum::{Checked, Checksum};

const APPEND: &str = "SELECT first_positions, found_versions, waited_micros FROM order_service.append_v1(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)";

/// What the database says of one append: where its first event is, or which version it found instead.
pub(super) type Outcome = Result<Position, AppendError>;

/// What the database says of a batch.
pub(super) struct Appended {
    /// For each append.
    pub(super) outcomes: Vec<Outcome>,
    /// How long the head was somebody else's.
    pub(super) waited: Duration,
}

/// Adds a batch in one round trip and one transaction. No order may be in it twice.
pub(super) async fn append(connection: &Object, appends: &[&Append]) -> Result<Appended, Error> {
    let columns = Columns::of(appends);
    let views = columns.views.parameters();
    let rest: [Parameter<'_>; 15] = [
        (&columns.expected_versions, Type::INT8_ARRAY),
        (&columns.event_counts, Type::INT8_ARRAY),
        (&columns.first_event_ids, Type::UUID_ARRAY),
        (&columns.event_appends, Type::INT4_ARRAY),
        (&columns.event_offsets, Type::INT8_ARRAY),
        (&columns.event_ids, Type::UUID_ARRAY),
        (&columns.event_types, Type::TEXT_ARRAY),
        (&columns.event_times, Type::TIMESTAMPTZ_ARRAY),
        (&columns.event_order_ids, Type::TEXT_ARRAY),
        (&columns.event_versions, Type::INT8_ARRAY),
        (&columns.event_data, Type::TEXT_ARRAY),
        (&columns.event_contexts, Type::TEXT_ARRAY),
        (&columns.event_sources, Type::TEXT_ARRAY),
        (&columns.event_checksums, Type::BYTEA_ARRAY),
        (&projection(), Type::INT4),
    ];
    let parameters: Vec<_> = views.into_iter().chain(rest).collect();
    // Complete only when the server is ready for the next statement, which is after the commit.
    #[cfg(not(feature = "planted-faults"))]
    let statement = APPEND;
    #[cfg(feature = "planted-faults")]
    let statement = &super::planted_faults::append_function(APPEND);
    let row = connection.query_typed_one(statement, &parameters).await?;
    let first_positions: Vec<Option<i64>> = row.try_get(0)?;
    let found_versions: Vec<i64> = row.try_get(1)?;
    let outcomes = first_positions.into_iter().zip(found_versions).map(|(position, found)| match position {
        Some(position) => Ok(Position(position.cast_unsigned())),
        None => Err(AppendError::Conflict { current: Version(found.cast_unsigned()) }),
    });
    let waited: i64 = row.try_get(2)?;
    Ok(Appended { outcomes: outcomes.collect(), waited: Duration::from_micros(waited.cast_unsigned()) })
}

/// The parameters of `order_service.append_v1`, under the names that they have there.
#[derive(Default)]
struct Columns<'a> {
    views: ViewColumns<'a>,
    expected_versions: Vec<i64>,
    event_counts: Vec<i64>,
    first_event_ids: Vec<Uuid>,
    event_appends: Vec<i32>,
    event_offsets: Vec<i64>,
    event_ids: Vec<Uuid>,
    event_types: Vec<&'a str>,
    event_times: Vec<PgTime>,
    event_order_ids: Vec<&'a str>,
    event_versions: Vec<i64>,
    event_data: Vec<&'a str>,
    event_contexts: Vec<&'a str>,
    event_sources: Vec<Option<&'a str>>,
    event_checksums: Vec<Checksum>,
}

impl<'a> Columns<'a> {
    fn of(appends: &[&'a Append]) -> Self {
        let mut columns = Self::default();
        let mut scratch = Vec::new();
        for (append, number) in appends.iter().zip(1..) {
            columns.add(append, number, &mut scratch);
        }
        columns
    }

    fn add(&mut self, append: &'a Append, number: i32, scratch: &mut Vec<u8>) {
        let Append { order_id, expected_version, events, view, deadline: _ } = append;
        self.views.add(view);
        self.expected_versions.push(expected_version.0.cast_signed());
        self.event_counts.push(events.len() as i64);
        self.first_event_ids.push(events.first().map(|event| event.id).unwrap_or_default());
        for (event, offset) in events.iter().zip(0..) {
            let version = expected_version.plus(offset + 1);
            let checked = Checked {
                position: None,
                version,
                time: event.time,
                id: event.id.as_bytes(),
                order_id: order_id.as_str(),
                event_type: &event.event_type,
                data: &event.data,
                context: event.context.as_json(),
                source: event.source.as_deref(),
            };
            self.event_appends.push(number);
            self.event_offsets.push(offset.cast_signed());
            self.event_ids.push(event.id);
            self.event_types.push(&event.event_type);
            self.event_times.push(PgTime(event.time));
            self.event_order_ids.push(order_id.as_str());
            self.event_versions.push(version.0.cast_signed());
            self.event_data.push(&event.data);
            self.event_contexts.push(event.context.as_json());
            self.event_sources.push(event.source.as_deref());
            self.event_checksums.push(checked.checksum(scratch));
        }
    }
}
