//! The access file: TOML, with a table for each key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use order_api::{AllowanceOf, Scope, Scopes};
use order_application::nearest::nearest;
use order_application::rfc3339;
use order_domain::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::allowance::{Allowance, Rate};
use super::bearer::Bearer;
use super::key::{self, HASH_PREFIX, Key, MAX_ID_CHARS, MAX_NAME_CHARS, SecretHash};
use super::members::{Faults, Members, tables, text, texts};
use super::rules::{Rules, STRANGER_RATE};
use super::{issuers, name};

/// Reads the rules. Paths in it begin at a directory.
///
/// # Errors
/// Every fault, each with its line. A text without any key or issuer is one: a file that was cut, or not written yet.
pub(super) fn read(text: &str, directory: &Path) -> Result<Rules, Vec<String>> {
    let mut faults = Faults::of(text);
    // A file that was cut may still be TOML, as `per_second = 1000` is that was cut to `10`.
    if !text.ends_with('\n') {
        faults.at(text.len(), "the file ends in the middle of a line");
        return Err(faults.told());
    }
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            faults.at(error.span().map_or(0, |span| span.start), error.message());
            return Err(faults.told());
        }
    };
    let rules = rules(table.get_ref(), directory, &mut faults);
    if faults.are_none() { Ok(rules) } else { Err(faults.told()) }
}

fn rules<'t>(table: &'t DeTable<'t>, directory: &Path, faults: &mut Faults<'_>) -> Rules {
    let mut members = Members::of(table, 0);
    let keys = members.optional("keys", faults, |value, faults| Ok(keys(&tables(value)?, faults)));
    let issuers = members
        .optional("issuers", faults, |value, faults| Ok(issuers::read(&tables(value)?, directory, faults)));
    let stranger_rate = members.optional("strangers", faults, |value, faults| {
        let table = value.get_ref().as_table().ok_or("must be a table, headed [strangers]")?;
        let mut members = Members::of(table, value.span().start);
        let rate = members.required("rate", faults, rate);
        members.finish(faults);
        Ok(rate)
    });
    members.finish(faults);
    let (keys, issuers) = (keys.unwrap_or_default(), issuers.unwrap_or_default());
    if keys.is_empty() && issuers.is_empty() && faults.are_none() {
        faults.at(0, "there is no key in it (order-service keys create makes one)");
    }
    Rules::new(keys, issuers, stranger_rate.flatten().unwrap_or(STRANGER_RATE))
}

fn keys<'t>(tables: &[(usize, &'t DeTable<'t>)], faults: &mut Faults<'_>) -> HashMap<String, Key> {
    let mut keys = HashMap::new();
    for (place, table) in tables {
        let Some((id, key)) = key(Members::of(table, *place), faults) else { continue };
        if keys.values().any(|other: &Key| other.hash == key.hash) {
            faults.at(*place, format_args!("the key {id} has the hash of another"));
        }
        match keys.entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(key);
            }
            Entry::Occupied(other) => faults.at(*place, format_args!("there are two keys {}", other.key())),
        }
    }
    keys
}

fn key(mut members: Members<'_>, faults: &mut Faults<'_>) -> Option<(String, Key)> {
    let id = members.required("id", faults, |value, _| id(text(value)?));
    let name = members.required("name", faults, |value, _| name(text(value)?));
    let hash = members.required("hash", faults, |value, _| {
        let must = || format!("must be {HASH_PREFIX} and 64 hexadecimal digits");
        SecretHash::read(text(value)?).ok_or_else(must)
    });
    let scopes = members.required("scopes", faults, scopes);
    let expires = members.optional("expires", faults, |value, _| time(value));
    let rate = members.optional("rate", faults, rate);
    members.finish(faults);
    let (id, name) = (id?, name?);
    let caller = key::caller(&id, &name, scopes?, expires);
    let allowance = rate.map(|rate| Arc::new(Allowance::new(AllowanceOf::Caller, rate)));
    Some((id, Key { hash: hash?, bearer: Bearer { caller, allowance, signature: None } }))
}

fn id(text: &str) -> Result<String, String> {
    let must = || format!("must be 1 to {MAX_ID_CHARS} letters and digits");
    key::is_id(text).then(|| text.to_owned()).ok_or_else(must)
}

/// Names stand in events and in the output.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let must = |_| {
        format!(
            "must be 1 to {MAX_NAME_CHARS} characters, something visible among them, without control characters or white space \
             at its ends"
        )
    };
    name::check(text, MAX_NAME_CHARS).map(|()| text.to_owned()).map_err(must)
}

pub(crate) fn scope(word: &str) -> Result<Scope, String> {
    let names = Scope::ALL.map(Scope::as_str);
    let unknown = || match nearest(word, names) {
        Some(meant) => format!("there is no scope {word}; did you mean {meant}?"),
        None => format!("there is no scope {word}; there are {}", names.join(", ")),
    };
    Scope::from_name(word).ok_or_else(unknown)
}

fn scopes<'t>(value: &'t Spanned<DeValue<'t>>, faults: &mut Faults<'_>) -> Result<Scopes, String> {
    let known = texts(value)?.into_iter().filter_map(|(place, word)| {
        scope(word).map_err(|unknown| faults.at(place, format_args!("scopes: {unknown}"))).ok()
    });
    Ok(known.collect())
}

fn time(value: &Spanned<DeValue<'_>>) -> Result<Timestamp, String> {
    let time = value.get_ref().as_datetime().and_then(|time| rfc3339::parse_strict(&time.to_string()));
    time.ok_or_else(|| {
        "must be a time with an offset, without quotes, such as 2027-01-01T00:00:00Z".to_owned()
    })
}

pub(super) fn rate<'t>(value: &'t Spanned<DeValue<'t>>, faults: &mut Faults<'_>) -> Result<Rate, String> {
    let must = "must be a table such as { per_second = 100, burst = 200 }";
    let table = value.get_ref().as_table().ok_or(must)?;
    let mut members = Members::of(table, value.span().start);
    let per_second = members.required("per_second", faults, |value, _| number(value));
    let burst = members.optional("burst", faults, |value, _| number(value));
    members.finish(faults);
    // What is missing is noted already.
    let per_second = per_second.unwrap_or(NonZeroU32::MIN);
    Ok(Rate { per_second, burst: burst.unwrap_or(per_second) })
}

fn number(value: &Spanned<DeValue<'_>>) -> Result<NonZeroU32, String> {
    let number = value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok());
    number.ok_or_else(|| "must be a whole number from 1 to 4294967295".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rules, Vec<String>> {
        super::read(text, Path::new("/etc/shop"))
    }

    const HASH: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn key_with(lines: &str) -> String {
        format!(
            "[[keys]]\nid = 'a1'\nname = 'checkout'\nhash = '{HASH}'\nscopes = ['place', 'read']\n{lines}"
        )
    }

    #[track_caller]
    fn has_faults(text: &str, faults: &[&str]) {
        assert_eq!(read(text).err().unwrap_or_default(), faults, "{text}");
    }

    #[test]
    fn a_key_is_read_with_all_that_it_may_have() {
        let lines = "expires = 2030-01-01T01:00:00+01:00\nrate = { per_second = 5, burst = 9 }\n";
        let rules = good(&key_with(lines));
        let Bearer { caller, allowance, .. } = &rules.keys["a1"].bearer;
        assert_eq!((&*caller.name, &*caller.credential), ("checkout", "the key a1"));
        assert_eq!(caller.scopes, [Scope::Read, Scope::Place].into_iter().collect());
        assert_eq!(caller.expires, rfc3339::parse_strict("2030-01-01T00:00:00Z"));
        assert!(allowance.is_some());
        assert_eq!(rules.stranger_rate, STRANGER_RATE);
        let rules = good(&format!("{}[strangers]\nrate = {{ per_second = 1 }}\n", key_with("")));
        assert_eq!(
            (rules.stranger_rate.per_second, rules.stranger_rate.burst),
            (NonZeroU32::MIN, NonZeroU32::MIN)
        );
    }

    #[track_caller]
    fn good(text: &str) -> Rules {
        read(text).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_the_word_that_was_meant() {
        has_faults(
            "[[key]]\nid = 'a'\n\n[stranger]\n",
            &[
                "line 1: key: there is no such entry; did you mean keys?",
                "line 4: stranger: there is no such entry; did you mean strangers?",
            ],
        );
        let text = format!(
            "[[keys]]\nid = 'a b'\nname = ''\nhash = 'abc'\nscopes = ['raed', 'everything']\nexpires = '2030-01-01'\n\
             rate = {{ per_secnd = 3, burst = 0 }}\n[[keys]]\nid = 'a1'\nname = 'x'\nhash = '{HASH}'\n"
        );
        has_faults(
            &text,
            &[
                "line 2: id: must be 1 to 32 letters and digits",
                "line 3: name: must be 1 to 64 characters, something visible among them, without control characters or white space at its ends",
                "line 4: hash: must be sha256: and 64 hexadecimal digits",
                "line 5: scopes: there is no scope everything; there are read, place, pay, fulfil, returns, cancel, refund, events, operate",
                "line 5: scopes: there is no scope raed; did you mean read?",
                "line 6: expires: must be a time with an offset, without quotes, such as 2027-01-01T00:00:00Z",
                "line 7: burst: must be a whole number from 1 to 4294967295",
                "line 7: per_secnd: there is no such entry; did you mean per_second?",
                "line 7: per_second is missing",
                "line 8: scopes is missing",
            ],
        );
    }

    #[test]
    fn an_empty_file_and_one_that_was_cut_are_bad_wherever_they_were_cut() {
        has_faults("\n", &["line 1: there is no key in it (order-service keys create makes one)"]);
        let whole = key_with("expires = 2030-01-01T00:00:00Z\nrate = { per_second = 5, burst = 9 }\n");
        assert!(read(&whole).is_ok());
        let without_what_may_be_left_out = key_with("").len();
        for cut in 0..whole.len() {
            let is_whole_key = cut >= without_what_may_be_left_out && whole[..cut].ends_with('\n');
            assert_eq!(read(&whole[..cut]).is_ok(), is_whole_key, "{}", &whole[..cut]);
        }
    }

    #[test]
    fn two_keys_are_not_one() {
        let twice = format!("{}{}", key_with(""), key_with(""));
        has_faults(&twice, &["line 6: the key a1 has the hash of another", "line 6: there are two keys a1"]);
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let faults = read("[[keys]]\nid = a1\n").err().unwrap_or_default();
        assert!(faults[0].starts_with("line 2: "), "{faults:?}");
    }
}
