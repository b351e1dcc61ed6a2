//! What a later release may be like, planted for tests: two builds on one database, or in turns on one file. A build without
//! the feature `planted-faults` has none of this, and one with it does nothing unless the environment names a release.
//!
//! `newer-release` has one more migration, which older releases may run with; it writes payments as a type that they do not
//! know, and shipments with a field that they do not know, and so makes other views. `breaking-release` has a migration that
//! they cannot run with.

use std::borrow::Cow;
use std::sync::LazyLock;

use order_application::{Append, PROJECTION_VERSION, RecordedEvent};

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

static RELEASE: LazyLock<Release> = LazyLock::new(|| match std::env::var(VARIABLE).as_deref() {
    Ok("newer-release") => Release::Newer,
    Ok("breaking-release") => Release::Breaking,
    Ok(_) | Err(_) => Release::This,
});

/// Which release this process is to be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    This,
    Newer,
    Breaking,
}

pub(crate) fn release() -> Release {
    *RELEASE
}

const KNOWN_TYPE: &str = "order.payment_authorized.v1";
const NEWER_TYPE: &str = "order.payment_authorized.v2";
const EXTENDED_TYPE: &str = "order.shipped.v1";
const NEWER_FIELD: &str = "{\"planted\":true,";

/// It understands an event more, so it makes other rows.
pub(crate) fn projection() -> u32 {
    match release() {
        Release::This => PROJECTION_VERSION,
        Release::Newer | Release::Breaking => PROJECTION_VERSION + 1,
    }
}

/// The migration of SQLite's log that this release does not have.
pub(crate) fn sqlite_migration() -> Option<crate::sqlite::LogMigration> {
    let (sql, oldest_compatible) = match release() {
        Release::This => return None,
        Release::Newer => ("ALTER TABLE log ADD COLUMN planted TEXT", 1),
        Release::Breaking => ("CREATE TABLE planted (id INTEGER PRIMARY KEY) STRICT", 5),
    };
    Some(crate::sqlite::LogMigration { sql, oldest_compatible })
}

/// The events as that release writes them.
pub(crate) fn write(mut append: Append) -> Append {
    if release() == Release::Newer {
        for event in &mut append.events {
            match &*event.event_type {
                KNOWN_TYPE => event.event_type = Cow::Borrowed(NEWER_TYPE),
                EXTENDED_TYPE => event.data = event.data.replacen('{', NEWER_FIELD, 1).into(),
                _ => {}
            }
        }
    }
    append
}

/// An event as that release understands it.
pub(crate) fn read(mut event: RecordedEvent) -> RecordedEvent {
    if release() == Release::Newer {
        if event.event_type == NEWER_TYPE {
            event.event_type = Cow::Borrowed(KNOWN_TYPE);
        }
        event.data = event.data.replacen(NEWER_FIELD, "{", 1).into();
    }
    event
}
