//! The password of a PostgreSQL URL that has none: from where PostgreSQL's own programs take it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use order_store::PostgresAddress;

use crate::settings_file;

/// More than anybody has in such a file.
const MAX_BYTES: usize = 1024 * 1024;
/// What others than its owner may do to a file.
const RIGHTS_OF_OTHERS: u32 = 0o077;

/// The password of this user of this database: `PGPASSWORD`, or what the file says that `PGPASSFILE` names, or `~/.pgpass`.
///
/// # Errors
/// A file that cannot be read, or that others may read.
pub(crate) fn find_password(address: &PostgresAddress) -> anyhow::Result<Option<String>> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(password) = variable("PGPASSWORD") {
        return password.into_string().map(Some).map_err(|_| anyhow::anyhow!("PGPASSWORD is no UTF-8 text"));
    }
    let Some(file) = password_file(variable("PGPASSFILE"), variable("HOME")) else { return Ok(None) };
    let text = read(&file).with_context(|| format!("the password file {}", file.display()))?;
    Ok(password_in(&text, address))
}

/// The file that is to be looked at. One that is named has to be there.
fn password_file(named: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let usual = || home.map(|home| Path::new(&home).join(".pgpass")).filter(|file| file.exists());
    named.map(PathBuf::from).or_else(usual)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let rights = fs::metadata(path)?.permissions().mode();
    ensure!(rights & RIGHTS_OF_OTHERS == 0, "others may read it: chmod 600 {}", path.display());
    let bytes = settings_file::read(path, MAX_BYTES).map_err(anyhow::Error::msg)?;
    String::from_utf8(bytes).context("it is no UTF-8 text")
}

/// The password in the first line for one of the servers, each of which is `host:port:database:user:password`.
fn password_in(text: &str, address: &PostgresAddress) -> Option<String> {
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let found = address.servers.iter().find_map(|(host, port)| {
        let (port, PostgresAddress { database, user, .. }) = (port.to_string(), address);
        let asked = [host, &port, database, user];
        lines().find_map(|line| {
            let fields = fields(line);
            let is_it = fields.iter().zip(asked).all(|(field, asked)| field == "*" || field == asked);
            (fields.len() > asked.len() && is_it).then(|| fields[asked.len()].clone())
        })
    });
    found.filter(|password| !password.is_empty())
}

/// A line's fields. `\` takes its meaning from the `:` or `\` behind it. The password is the rest of the line.
fn fields(line: &str) -> Vec<String> {
    const FIELDS: usize = 5;
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let is_last = fields.len() == FIELDS;
        match character {
            ':' if !is_last => fields.push(String::new()),
            character => {
                let meant = if character == '\\' { characters.next().unwrap_or('\\') } else { character };
                fields.last_mut().map(|field| field.push(meant)).unwrap_or_default();
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(servers: &[(&str, u16)]) -> PostgresAddress {
        PostgresAddress {
            servers: servers.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect(),
            database: "orders".to_owned(),
            user: "shop".to_owned(),
            has_password: false,
        }
    }

    #[track_caller]
    fn assert_found(text: &str, servers: &[(&str, u16)], password: Option<&str>) {
        assert_eq!(password_in(text, &address(servers)).as_deref(), password, "{text:?}");
    }

    #[test]
    fn the_first_line_that_fits_in_all_four_fields_has_the_password() {
        const DB: &[(&str, u16)] = &[("db", 5432)];
        assert_found("db:5432:orders:shop:p", DB, Some("p"));
        assert_found(
            "# db:5432:orders:shop:no\ndb:5433:orders:shop:no\n*:*:*:shop:p\n*:*:*:*:no",
            DB,
            Some("p"),
        );
        for other in
            ["d:5432:orders:shop:p", "db:5433:orders:shop:p", "db:5432:o:shop:p", "db:5432:orders:s:p"]
        {
            assert_found(other, DB, None);
        }
        for no_password in ["", "db:5432:orders:shop", "db:5432:orders:shop:"] {
            assert_found(no_password, DB, None);
        }
    }

    #[test]
    fn colons_and_backslashes_are_written_with_a_backslash_before_them() {
        assert_found(r"fe80\:\:1:5432:orders:shop:a\:b\\c:d", &[("fe80::1", 5432)], Some(r"a:b\c:d"));
    }

    #[test]
    fn of_several_servers_the_first_that_has_a_line_counts() {
        let text = "db2:5432:orders:shop:second\ndb1:5432:orders:shop:first";
        assert_found(text, &[("db1", 5432), ("db2", 5432)], Some("first"));
        assert_found(text, &[("db0", 5432), ("db2", 5432)], Some("second"));
    }

    #[test]
    fn a_file_that_is_named_has_to_be_there_and_the_usual_one_does_not() {
        let named = Some(OsString::from("/nowhere/pgpass"));
        assert_eq!(password_file(named, None), Some(PathBuf::from("/nowhere/pgpass")));
        assert_eq!(password_file(None, Some(OsString::from("/nowhere"))), None);
    }
}
