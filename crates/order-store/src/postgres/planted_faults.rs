//! What a later release may be like, planted for tests: two builds on one database. A build without the feature
//! `planted-faults` has none of this, and one with it does nothing unless the environment names a release.
//!
//! `newer-release` has one more migration, which older releases may run with; it writes payments as a type that they do not
//! know, and shipments with a field that they do not know. `breaking-release` has a migration that takes a function away.

use std::borrow::Cow;
use std::sync::LazyLock;

use order_application::{Append, PROJECTION_VERSION, RecordedEvent};

use super::schema::Migration;

/// Names the fault to plant.
const VARIABLE: &str = "ORDER_SERVICE_PLANTED_FAULT";

static RELEASE: LazyLock<Release> = LazyLock::new(|| match std::env::var(VARIABLE).as_deref() {
    Ok("newer-release") => Release::Newer,
    Ok("breaking-release") => Release::Breaking,
    Ok(_) | Err(_) => Release::This,
});

enum Release {
    This,
    Newer,
    Breaking,
}

const KNOWN_TYPE: &str = "order.payment_authorized.v1";
const NEWER_TYPE: &str = "order.payment_authorized.v2";
const EXTENDED_TYPE: &str = "order.shipped.v1";
const NEWER_FIELD: &str = "{\"planted\":true,";

/// The migration that this release does not have.
pub(super) fn migration() -> Option<Migration> {
    match *RELEASE {
        Release::This => None,
        Release::Newer => Some(Migration {
            sql: "ALTER TABLE order_service.orders ADD COLUMN planted text",
            oldest_compatible: 3,
        }),
        Release::Breaking => Some(Migration {
            sql: "ALTER FUNCTION order_service.append_v1 RENAME TO append_v2",
            oldest_compatible: 4,
        }),
    }
}

/// It understands an event more, so it makes other rows.
pub(super) fn projection() -> i32 {
    let added = match *RELEASE {
        Release::This => 0,
        Release::Newer | Release::Breaking => 1,
    };
    PROJECTION_VERSION.cast_signed() + added
}

/// What appends.
pub(super) fn append_function(statement: &'static str) -> Cow<'static, str> {
    match *RELEASE {
        Release::Breaking => statement.replace("append_v1", "append_v2").into(),
        Release::This | Release::Newer => statement.into(),
    }
}

/// The events as that release writes them.
pub(super) fn write(mut append: Append) -> Append {
    if matches!(*RELEASE, Release::Newer) {
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
pub(super) fn read(mut event: RecordedEvent) -> RecordedEvent {
    if matches!(*RELEASE, Release::Newer) {
        if event.event_type == NEWER_TYPE {
            event.event_type = Cow::Borrowed(KNOWN_TYPE);
        }
        event.data = event.data.replacen(NEWER_FIELD, "{", 1).into();
    }
    event
}
