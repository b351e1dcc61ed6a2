//! PostgreSQL as either side of a copy: see [`crate::copy()`].

mod rows;
mod served;
mod source;
mod target;

pub(crate) use source::PostgresSource;
pub(crate) use target::PostgresTarget;

use std::time::Duration;

/// Nobody waits for a single page, so it may take its time.
const PAGE_DEADLINE: Duration = Duration::from_secs(60);
