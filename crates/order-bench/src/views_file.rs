//! The files of a SQLite store's views, from outside: to damage them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::Connection;

/// An order's key is the position of its first event, so the first one is always there.
const DAMAGE: &str = "UPDATE orders SET total_cents = total_cents + 1 WHERE key = 1 RETURNING order_id";

/// One of the files `orders.views.N.db`.
pub(crate) struct ViewsFile {
    path: PathBuf,
    number: u64,
}

impl ViewsFile {
    /// The one with the highest number.
    pub(crate) fn newest(data_dir: &Path) -> Result<Self> {
        let mut newest: Option<Self> = None;
        for entry in fs::read_dir(data_dir).with_context(|| format!("list {}", data_dir.display()))? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(number);
            if let Some(number) =
                number.filter(|number| newest.as_ref().is_none_or(|file| file.number < *number))
            {
                newest = Some(Self { path, number });
            }
        }
        newest.with_context(|| format!("no views in {}", data_dir.display()))
    }

    /// Counted on whenever views are rebuilt.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Changes the row of the order that was placed first, behind the back of its checksum, and says which order that
    /// is. No server may have the file open.
    pub(crate) fn damage_first_order(&self) -> Result<String> {
        let open = || Connection::open(&self.path)?.query_row(DAMAGE, [], |row| row.get(0));
        open().with_context(|| format!("damage {}", self.path.display()))
    }
}

/// `orders.views.7.db` → 7
fn number(name: &str) -> Option<u64> {
    name.strip_prefix("orders.views.")?.strip_suffix(".db")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_views_have_the_highest_number_not_the_last_name() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ViewsFile::newest(dir.path()).is_err());
        for name in ["orders.db", "orders.views.9.db", "orders.views.10.db", "orders.views.10.db-wal"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(ViewsFile::newest(dir.path()).unwrap().number(), 10);
    }

    #[test]
    fn damage_is_one_changed_figure_of_the_first_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders.views.1.db");
        let views = Connection::open(&path).unwrap();
        views
            .execute_batch(
                "CREATE TABLE orders (key INTEGER PRIMARY KEY, order_id TEXT, total_cents INTEGER);
                 INSERT INTO orders VALUES (1, 'ord-1', 3000), (2, 'ord-2', 3000);",
            )
            .unwrap();
        assert_eq!(ViewsFile::newest(dir.path()).unwrap().damage_first_order().unwrap(), "ord-1");
        let totals: String =
            views.query_row("SELECT group_concat(total_cents) FROM orders", [], |row| row.get(0)).unwrap();
        assert_eq!(totals, "3001,3000");
    }
}
