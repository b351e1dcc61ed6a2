//! `--store`: which store, and where.

use std::path::{Path, PathBuf};

use order_application::nearest::{did_you_mean, nearest};
use order_store::{PostgresOptions, StoreLocation};

use crate::cli::Failure;
use crate::password_file::find_password;

/// A store by its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// `memory:`
    Memory,
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `postgres://…`
    Postgres {
        /// With its password.
        url: String,
        options: PostgresOptions,
    },
}

impl StoreUrl {
    /// Where it is, for what is done without opening it to serve.
    ///
    /// # Errors
    /// When it is in memory: then `so` is the case.
    pub(crate) fn location(&self, so: &str) -> Result<StoreLocation, Failure> {
        match self {
            Self::Memory => Err(Failure::usage(format!("memory: is gone at exit, so {so}"))),
            Self::Sqlite(path) => Ok(StoreLocation::Sqlite(path.clone())),
            Self::Postgres { url, .. } => Ok(StoreLocation::Postgres(url.clone())),
        }
    }
}

impl std::str::FromStr for StoreUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("sqlite", _)) => Err("sqlite: needs a file, such as sqlite:data/orders.db".to_owned()),
            Some(("postgres" | "postgresql", _)) => {
                Ok(Self::Postgres { url: with_its_password(url)?, options: PostgresOptions::DEFAULT })
            }
            scheme => {
                let scheme = scheme.map(|(scheme, _)| scheme);
                let meant =
                    scheme.map_or_else(|| bare_word_meant(url), |scheme| did_you_mean(scheme, SCHEMES));
                Err(format!("a store is memory:, sqlite:FILE or postgres://USER@HOST/DATABASE{meant}"))
            }
        }
    }
}

const SCHEMES: [&str; 4] = ["memory", "sqlite", "postgres", "postgresql"];

/// What is meant without a colon: a scheme, or a file that is named without saying what it is.
fn bare_word_meant(text: &str) -> String {
    let is_file = Path::new(text).extension().is_some_and(|extension| extension == "db");
    match nearest(text, SCHEMES) {
        _ if is_file => format!("; did you mean sqlite:{text}?"),
        Some("memory") => "; did you mean memory:?".to_owned(),
        Some("sqlite") => "; did you mean sqlite:FILE?".to_owned(),
        Some(_) => "; did you mean postgres://USER@HOST/DATABASE?".to_owned(),
        None => String::new(),
    }
}

/// A PostgreSQL URL, checked, and with the password that it does not tell itself.
fn with_its_password(url: &str) -> Result<String, String> {
    let address = order_store::postgres_address(url)?;
    if address.has_password {
        return Ok(url.to_owned());
    }
    let password = find_password(&address).map_err(|error| format!("{error:#}"))?;
    Ok(password.map_or_else(|| url.to_owned(), |password| order_store::with_password(url, &password)))
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres { url, .. } => f.write_str(&order_store::without_password(url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_with_a_slip_is_refused_with_what_was_meant() {
        let fault = |url: &str| url.parse::<StoreUrl>().unwrap_err();
        let stores = "a store is memory:, sqlite:FILE or postgres://USER@HOST/DATABASE";
        for (url, meant) in [
            ("postgre://shop:secret@db/orders", "; did you mean postgres?"),
            ("sqllite:orders.db", "; did you mean sqlite?"),
            ("data/orders.db", "; did you mean sqlite:data/orders.db?"),
            ("memory", "; did you mean memory:?"),
            ("Memory", "; did you mean memory:?"),
            ("sqlite", "; did you mean sqlite:FILE?"),
            ("postgresql", "; did you mean postgres://USER@HOST/DATABASE?"),
            ("orders", ""),
            ("http://db/orders", ""),
        ] {
            assert_eq!(fault(url), format!("{stores}{meant}"), "{url}");
        }
    }
}
