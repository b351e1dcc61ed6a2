//! What is in the schema `order_service`: whether that is the service's own and whole, whether anything comes between what is
//! written to its tables and what is read from them, and whether this user may do all that serving takes. Asked of the
//! catalog alone, which takes no rights.

use std::collections::HashMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::servers::Object;
use super::{PostgresFault, refused};

/// A table, what is read and written there, and what serving does to it.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    rights: &'static [&'static str],
}

const TABLES: [Table; 8] = [
    Table { name: "migrations", columns: &["version", "oldest_compatible"], rights: &["SELECT"] },
    Table {
        name: "log",
        columns: &["identity", "state", "copied_from", "projection", "outdated_from", "older_repairs"],
        rights: &["SELECT", "UPDATE"],
    },
    Table {
        name: "events",
        columns: &[
            "position",
            "order_key",
            "version",
            "id",
            "type",
            "time",
            "order_id",
            "data",
            "context",
            "source",
            "checksum",
        ],
        rights: &["SELECT", "INSERT"],
    },
    Table {
        name: "orders",
        columns: &[
            "key",
            "order_id",
            "state",
            "version",
            "customer_id",
            "status",
            "total_cents",
            "placed_at",
            "updated_at",
            "due_at",
            "on_hold",
            "checksum",
            "projection",
            "updated_position",
        ],
        rights: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    Table {
        name: "order_terms",
        columns: &["kind", "value", "key"],
        rights: &["SELECT", "INSERT", "DELETE"],
    },
    Table {
        name: "log_times",
        columns: &["zone", "earliest", "latest"],
        rights: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    Table {
        name: "receipts",
        columns: &["key", "fingerprint", "order_id", "version", "answer", "answered_at", "checksum"],
        // To lock those that are deleted takes the right to change them.
        rights: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    Table {
        name: "checkpoints",
        columns: &["name", "holder", "epoch", "beat", "position", "evidence"],
        rights: &["SELECT", "INSERT", "UPDATE"],
    },
];

/// Those without which a row may be there twice, or a statement that serves goes through a whole table.
const INDEXES: [&str; 14] = [
    "log_pkey",
    "events_pkey",
    "events_order_key_version_key",
    "order_beginnings",
    "orders_pkey",
    "orders_due",
    "orders_by_status",
    "orders_by_update",
    "orders_on_hold",
    "order_terms_by_hash",
    "log_times_pkey",
    "receipts_pkey",
    "receipts_by_age",
    "checkpoints_pkey",
];

const FUNCTIONS: [&str; 10] = [
    "append_v2",
    "lock_log_end_v1",
    "look_up_v1",
    "write_views_v1",
    "expect_projection_v1",
    "views_followed_v1",
    "term_block_v1",
    "term_hash_v1",
    "log_zone_v1",
    "zone_start_v1",
];

const COLUMNS: &str = "\
    SELECT c.relname::text, coalesce(array_agg(a.attname::text) FILTER (WHERE a.attname IS NOT NULL), '{}') \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        WHERE n.nspname = 'order_service' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') GROUP BY c.relname ORDER BY 1";

/// Of some names those that no index has that is complete.
const MISSING_INDEXES: &str = "\
    SELECT a.name FROM unnest($1) WITH ORDINALITY AS a(name, n) WHERE NOT EXISTS (\
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
            WHERE n.nspname = 'order_service' AND c.relname = a.name AND i.indisvalid) ORDER BY a.n";

const MISSING_FUNCTIONS: &str = "\
    SELECT a.name FROM unnest($1) WITH ORDINALITY AS a(name, n) WHERE NOT EXISTS (\
        SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname = 'order_service' AND p.proname = a.name) ORDER BY a.n";

/// Each with the statement that removes it. What is derived of the log may have triggers: it is held against that. A table's
/// owner is not kept from any row.
const INTERFERENCE: &str = "\
    SELECT format('trigger %I on order_service.%I', t.tgname, c.relname), \
            format('DROP TRIGGER %I ON order_service.%I', t.tgname, c.relname) \
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = 'order_service' AND NOT t.tgisinternal AND t.tgenabled <> 'D' \
            AND c.relname IN ('events', 'receipts', 'checkpoints', 'log') \
    UNION ALL SELECT format('rule %I on order_service.%I', r.rulename, c.relname), \
            format('DROP RULE %I ON order_service.%I', r.rulename, c.relname) \
        FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = 'order_service' AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D' AND c.relname = ANY($1) \
    UNION ALL SELECT format('row-level security on order_service.%I', c.relname), \
            format('ALTER TABLE order_service.%I DISABLE ROW LEVEL SECURITY', c.relname) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = 'order_service' AND c.relname = ANY($1) AND row_security_active(c.oid)";

/// Rights on tables that this user does not have: one entry in each array for each right.
const MISSING_RIGHTS: &str = "\
    SELECT format('GRANT %s ON order_service.%I TO %I', string_agg(a.right_name, ', ' ORDER BY a.n), a.name, current_user) \
        FROM unnest($1, $2) WITH ORDINALITY AS a(name, right_name, n) \
        JOIN pg_catalog.pg_class c ON c.relname = a.name \
        JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace AND s.nspname = 'order_service' \
        WHERE NOT has_table_privilege(c.oid, a.right_name) GROUP BY a.name ORDER BY min(a.n)";

const MISSING_CALLS: &str = "\
    SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, current_user) \
        FROM unnest($1) WITH ORDINALITY AS a(name, n) \
        JOIN pg_catalog.pg_proc p ON p.proname = a.name \
        JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace AND s.nspname = 'order_service' \
        WHERE NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY a.n";

const TEMPLATE: &str =
    "SELECT datname::text FROM pg_catalog.pg_database WHERE datname = current_database() AND datistemplate";

/// The tables and views of the schema, each with its columns.
pub(super) struct Objects(HashMap<String, Vec<String>>);

impl Objects {
    pub(super) async fn look(connection: &Object) -> Result<Self, PostgresFault> {
        let rows = connection.query_typed(COLUMNS, &[]).await.map_err(refused("show its tables"))?;
        let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        let read = rows.iter().map(read).collect::<Result<_, Error>>();
        read.map(Self).map_err(refused("show its tables"))
    }

    /// A schema of that name may be somebody else's: then it has no table that is one of the service's.
    pub(super) fn refuse_foreign(&self) -> Result<(), PostgresFault> {
        if self.0.is_empty() || TABLES.iter().any(|table| self.lacks_of(table).is_empty()) {
            return Ok(());
        }
        let mut tables: Vec<_> = self.0.keys().cloned().collect();
        tables.sort_unstable();
        Err(PostgresFault::ForeignSchema(tables))
    }

    /// Whether there is a table other than that of migrations.
    pub(super) fn has_tables(&self) -> bool {
        self.0.keys().any(|table| table != "migrations")
    }

    /// Refuses a schema that lacks tables or columns.
    pub(super) fn refuse_incomplete(&self) -> Result<(), PostgresFault> {
        let lacking: Vec<_> = TABLES.iter().flat_map(|table| self.lacks_of(table)).collect();
        if lacking.is_empty() { Ok(()) } else { Err(PostgresFault::NotWhole(lacks(&lacking))) }
    }

    fn lacks_of(&self, table: &Table) -> Vec<String> {
        let Some(found) = self.0.get(table.name) else {
            return vec![format!("order_service.{}", table.name)];
        };
        let has = |column: &&&str| found.iter().any(|found| found == **column);
        let lacking = table.columns.iter().filter(|column| !has(column));
        lacking.map(|column| format!("order_service.{}.{column}", table.name)).collect()
    }
}

/// What a database lacks.
fn lacks(names: &[String]) -> String {
    format!("it lacks {}", names.join(", "))
}

/// From a template every new database would have the shop in it, under the same identity.
pub(super) async fn refuse_template(connection: &Object) -> Result<(), PostgresFault> {
    let template = connection.query_typed_opt(TEMPLATE, &[]).await.map_err(refused("show its name"))?;
    let Some(row) = template else { return Ok(()) };
    Err(PostgresFault::Template(row.try_get(0).map_err(refused("show its name"))?))
}

/// For whoever serves: that all is there, that nothing comes between, and that this user may use it.
pub(super) async fn check(connection: &Object) -> Result<(), PostgresFault> {
    Objects::look(connection).await?.refuse_incomplete()?;
    let missing = missing(connection).await.map_err(refused("show its tables"))?;
    if !missing.is_empty() {
        return Err(PostgresFault::NotWhole(lacks(&missing)));
    }
    let found = interference(connection).await.map_err(refused("show its tables"))?;
    if !found.is_empty() {
        let (what, statements) = found.into_iter().unzip();
        return Err(PostgresFault::Interference { what, statements });
    }
    let grants = missing_grants(connection).await.map_err(refused("show its rights"))?;
    if grants.is_empty() { Ok(()) } else { Err(PostgresFault::MissingRights(grants)) }
}

/// What is wrong beside what the tables hold.
pub(super) async fn faults(connection: &Object) -> Result<Vec<String>, Error> {
    let missing = missing(connection).await?.into_iter().map(|missing| format!("{missing} is missing"));
    let found = interference(connection).await?;
    let found =
        found.into_iter().map(|(what, statement)| format!("{what} is in the way; `{statement}` removes it"));
    Ok(missing.chain(found).collect())
}

/// Indexes and functions that are not there, as after a restore that failed in its last part.
async fn missing(connection: &Object) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for (statement, what, names) in
        [(MISSING_INDEXES, "the index", INDEXES.to_vec()), (MISSING_FUNCTIONS, "the function", functions())]
    {
        for row in connection.query_typed(statement, &[(&names, Type::TEXT_ARRAY)]).await? {
            missing.push(format!("{what} order_service.{}", row.try_get::<_, &str>(0)?));
        }
    }
    Ok(missing)
}

/// What comes between, and how to remove it.
async fn interference(connection: &Object) -> Result<Vec<(String, String)>, Error> {
    let tables = TABLES.map(|table| table.name);
    let rows = connection.query_typed(INTERFERENCE, &[(&tables.as_slice(), Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

async fn missing_grants(connection: &Object) -> Result<Vec<String>, Error> {
    let rights = TABLES.iter().flat_map(|table| table.rights.iter().map(|right| (table.name, *right)));
    let (tables, rights): (Vec<_>, Vec<_>) = rights.unzip();
    let parameters = [(&tables as _, Type::TEXT_ARRAY), (&rights as _, Type::TEXT_ARRAY)];
    let mut rows = connection.query_typed(MISSING_RIGHTS, &parameters).await?;
    rows.extend(connection.query_typed(MISSING_CALLS, &[(&functions(), Type::TEXT_ARRAY)]).await?);
    rows.iter().map(|row| row.try_get(0)).collect()
}

fn functions() -> Vec<&'static str> {
    #[cfg(feature = "planted-faults")]
    let planted = super::planted_faults::functions(&FUNCTIONS);
    #[cfg(not(feature = "planted-faults"))]
    let planted = FUNCTIONS.to_vec();
    planted
}
