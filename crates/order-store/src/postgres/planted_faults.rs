//! What a later release may be like on PostgreSQL: see [`crate::planted_release`].

use std::borrow::Cow;

use super::schema::Migration;
use crate::planted_release::{Release, release};

/// The migration that this release does not have.
pub(super) fn migration() -> Option<Migration> {
    match release() {
        Release::This => None,
        Release::Newer => Some(Migration {
            sql: "ALTER TABLE order_service.orders ADD COLUMN planted text",
            oldest_compatible: 3,
        }),
        Release::Breaking => Some(Migration {
            sql: "ALTER FUNCTION order_service.append_v2 RENAME TO append_v3",
            oldest_compatible: 5,
        }),
    }
}

/// The functions that there have to be.
pub(super) fn functions(known: &[&'static str]) -> Vec<&'static str> {
    let is_breaking = matches!(release(), Release::Breaking);
    let renamed = |name: &&'static str| if is_breaking && *name == "append_v2" { "append_v3" } else { name };
    known.iter().map(renamed).collect()
}

/// What appends.
pub(super) fn append_function(statement: &'static str) -> Cow<'static, str> {
    match release() {
        Release::Breaking => statement.replace("append_v2", "append_v3").into(),
        Release::This | Release::Newer => statement.into(),
    }
}
