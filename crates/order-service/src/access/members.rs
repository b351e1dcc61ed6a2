//! Reads TOML, and says of each fault in which line it is.

use std::fmt::Display;

use order_application::nearest::did_you_mean;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a text, each fault with its line.
pub(super) struct Faults<'t> {
    text: &'t str,
    told: Vec<(usize, String)>,
}

impl<'t> Faults<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, told: Vec::new() }
    }

    /// Notes one at a place, in bytes.
    pub(super) fn at(&mut self, place: usize, what: impl Display) {
        let before = self.text.get(..place).unwrap_or(self.text);
        self.told.push((before.matches('\n').count() + 1, what.to_string()));
    }

    /// All of them, in the order of their lines.
    pub(super) fn told(mut self) -> Vec<String> {
        self.told.sort();
        self.told.into_iter().map(|(line, what)| format!("line {line}: {what}")).collect()
    }

    pub(super) fn are_none(&self) -> bool {
        self.told.is_empty()
    }
}

/// A table, until each of its members has been asked for.
pub(super) struct Members<'t> {
    table: &'t DeTable<'t>,
    place: usize,
    known: Vec<&'static str>,
}

impl<'t> Members<'t> {
    /// The members of a table that begins at a place.
    pub(super) fn of(table: &'t DeTable<'t>, place: usize) -> Self {
        Self { table, place, known: Vec::new() }
    }

    /// A member that may be left out. `read` says what it must be where it is not.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults<'_>,
        read: impl FnOnce(&'t Spanned<DeValue<'t>>, &mut Faults<'_>) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(name);
        let value = self.table.get(name)?;
        match read(value, faults) {
            Ok(value) => Some(value),
            Err(must) => {
                faults.at(value.span().start, format_args!("{name}: {must}"));
                None
            }
        }
    }

    /// A member that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults<'_>,
        read: impl FnOnce(&'t Spanned<DeValue<'t>>, &mut Faults<'_>) -> Result<T, String>,
    ) -> Option<T> {
        if !self.table.contains_key(name) {
            faults.at(self.place, format_args!("{name} is missing"));
        }
        self.optional(name, faults, read)
    }

    /// What nobody asked for is unknown. Call it last.
    pub(super) fn finish(self, faults: &mut Faults<'_>) {
        for name in self.table.keys().filter(|name| !self.known.contains(&name.get_ref().as_ref())) {
            let meant = did_you_mean(name.get_ref(), self.known.iter().copied());
            faults.at(name.span().start, format_args!("{}: there is no such entry{meant}", name.get_ref()));
        }
    }
}

/// A text.
pub(super) fn text<'t>(value: &'t Spanned<DeValue<'t>>) -> Result<&'t str, String> {
    value.get_ref().as_str().ok_or_else(|| "must be a text in quotes".to_owned())
}

/// The tables of `[[name]]`, each with its place.
pub(super) fn tables<'t>(value: &'t Spanned<DeValue<'t>>) -> Result<Vec<(usize, &'t DeTable<'t>)>, String> {
    let tables = value.get_ref().as_array().map(|list| {
        list.iter().map(|one| Some((one.span().start, one.get_ref().as_table()?))).collect::<Option<Vec<_>>>()
    });
    tables.flatten().ok_or_else(|| "must be tables, each headed by its name in double brackets".to_owned())
}

/// A list of texts, each with its place.
pub(super) fn texts<'t>(value: &'t Spanned<DeValue<'t>>) -> Result<Vec<(usize, &'t str)>, String> {
    let texts = value.get_ref().as_array().map(|list| {
        list.iter().map(|one| Some((one.span().start, one.get_ref().as_str()?))).collect::<Option<Vec<_>>>()
    });
    texts.flatten().filter(|list| !list.is_empty()).ok_or_else(|| "must be a list of texts".to_owned())
}
