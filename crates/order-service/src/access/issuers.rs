//! Issuers of tokens in the access file.

use std::path::Path;

use axum::http::Uri;
use jsonwebtoken::Algorithm;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{name, rate};
use super::members::{Faults, Members, text, texts};
use super::token::{ALGORITHMS, Issuer, IssuerEntry, Source};

/// Reads them. Paths begin at a directory.
pub(super) fn read<'t>(
    tables: &[(usize, &'t DeTable<'t>)],
    directory: &Path,
    faults: &mut Faults<'_>,
) -> Vec<Issuer> {
    let mut issuers = Vec::<Issuer>::new();
    for (place, table) in tables {
        let Some(entry) = issuer(Members::of(table, *place), directory, faults) else { continue };
        for other in &issuers {
            let (name, prefix) = (&entry.name, &entry.actor_prefix);
            if other.name == *name {
                faults.at(*place, format_args!("there are two issuers {name}"));
            } else if other.actor_prefix.starts_with(prefix) || prefix.starts_with(&other.actor_prefix) {
                let other = &other.name;
                faults.at(
                    *place,
                    format_args!(
                        "events would not tell subjects of {name} from those of {other}: each needs an actor_prefix, and none may \
                         begin with another's"
                    ),
                );
            }
        }
        issuers.push(Issuer::new(entry));
    }
    issuers
}

fn issuer(mut members: Members<'_>, directory: &Path, faults: &mut Faults<'_>) -> Option<IssuerEntry> {
    let issuer = members.required("issuer", faults, |value, _| some_text(value));
    let audience = members.required("audience", faults, |value, _| some_text(value));
    let algorithms = members.required("algorithms", faults, algorithms);
    let source = members.required("jwks", faults, |value, _| source(text(value)?, directory));
    let scopes_claim = members.optional("scopes_claim", faults, |value, _| some_text(value));
    let actor_prefix = members.optional("actor_prefix", faults, |value, _| name(text(value)?));
    let rate = members.optional("rate", faults, rate);
    members.finish(faults);
    Some(IssuerEntry {
        name: issuer?,
        audience: audience?,
        algorithms: algorithms?,
        scopes_claim: scopes_claim.unwrap_or_else(|| "scope".to_owned()),
        source: source?,
        actor_prefix: actor_prefix.unwrap_or_default(),
        rate,
    })
}

fn some_text(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn algorithms<'t>(
    value: &'t Spanned<DeValue<'t>>,
    faults: &mut Faults<'_>,
) -> Result<Vec<Algorithm>, String> {
    let names: Vec<_> = ALGORITHMS.iter().map(|(algorithm, _)| format!("{algorithm:?}")).collect();
    let known = texts(value)?.into_iter().filter_map(|(place, word)| {
        let position = names.iter().position(|name| name == word);
        if position.is_none() {
            let names = names.join(", ");
            faults.at(place, format_args!("algorithms: {word} is not taken; there are {names}"));
        }
        position.map(|position| ALGORITHMS[position].0)
    });
    Ok(known.collect())
}

/// Keys that come over a line where others could change them are nobody's.
fn source(text: &str, directory: &Path) -> Result<Source, String> {
    if !text.contains("://") {
        return Ok(Source::file(directory.join(text)));
    }
    let must = || "must be a URL that begins with https:// (http:// on this machine), or a file".to_owned();
    let url: Uri = text.parse().map_err(|_| must())?;
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must have no user name or password in it, which are sent to nobody".to_owned());
    }
    let is_here = ["127.0.0.1", "localhost", "[::1]"].map(Some).contains(&url.host());
    match url.scheme_str() {
        Some("https") => Ok(Source::Url(url)),
        Some("http") if is_here => Ok(Source::Url(url)),
        Some(_) | None => Err(must()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::file;
    use crate::access::rules::Rules;

    fn read(text: &str) -> Result<Rules, Vec<String>> {
        file::read(text, Path::new("/etc/shop"))
    }

    #[track_caller]
    fn good(text: &str) -> Rules {
        read(text).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    #[track_caller]
    fn has_faults(text: &str, faults: &[&str]) {
        assert_eq!(read(text).err().unwrap_or_default(), faults, "{text}");
    }

    #[test]
    fn an_issuer_is_read_with_all_that_it_may_have() {
        let least =
            "[[issuers]]\nissuer = 'https://i'\naudience = 'orders'\nalgorithms = ['ES256', 'RS256']\n";
        let url = |jwks: &str| format!("{least}jwks = '{jwks}'\n");
        let rules =
            good(&format!("{}scopes_claim = 'scp'\nrate = {{ per_second = 2 }}\n", url("https://i/keys")));
        let Issuer { name, audience, algorithms, scopes_claim, keys, .. } = &rules.issuers[0];
        assert_eq!([name, audience, scopes_claim], ["https://i", "orders", "scp"]);
        assert_eq!(algorithms, &[Algorithm::ES256, Algorithm::RS256]);
        assert_eq!(keys.source, Source::Url(Uri::from_static("https://i/keys")));
        let rules = good(&url("keys.json"));
        assert_eq!(rules.issuers[0].keys.source, Source::file("/etc/shop/keys.json".into()));
        good(&url("http://127.0.0.1:8000/keys"));
        let must =
            "line 5: jwks: must be a URL that begins with https:// (http:// on this machine), or a file";
        for wrong in ["http://login.example.com/keys", "ftp://i/keys", "https://"] {
            has_faults(&url(wrong), &[must]);
        }
        let all = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA";
        for secret in ["https://us3r@i/keys", "http://us3r:PW@127.0.0.1/keys?api_key=Q"] {
            let fault = "line 5: jwks: must have no user name or password in it, which are sent to nobody";
            has_faults(&url(secret), &[fault]);
        }
        let fault = |word| format!("line 4: algorithms: {word} is not taken; there are {all}");
        has_faults(
            &url("https://i/keys").replace("ES256", "none").replace("RS256", "HS256"),
            &[&fault("HS256"), &fault("none")],
        );
    }

    #[test]
    fn two_issuers_are_not_one() {
        let one = "[[issuers]]\nissuer = 'i'\naudience = 'a'\nalgorithms = ['ES256']\njwks = 'keys.json'\n";
        has_faults(&format!("{one}{one}"), &["line 6: there are two issuers i"]);
    }

    #[test]
    fn subjects_of_two_issuers_are_told_apart_in_events() {
        let issuer = |name: &str, prefix: &str| {
            format!(
                "[[issuers]]\nissuer = '{name}'\naudience = 'a'\nalgorithms = ['ES256']\njwks = 'keys.json'\n{prefix}\n"
            )
        };
        let fault = "line 7: events would not tell subjects of j from those of i: each needs an actor_prefix, and none may begin \
                     with another's";
        for (prefix, other) in [
            ("", ""),
            ("actor_prefix = 'i:'", ""),
            ("", "actor_prefix = 'j:'"),
            ("actor_prefix = 'i'", "actor_prefix = 'i:'"),
            ("actor_prefix = 'i:'", "actor_prefix = 'i:'"),
        ] {
            has_faults(&format!("{}{}", issuer("i", prefix), issuer("j", other)), &[fault]);
        }
        let rules =
            good(&format!("{}{}", issuer("i", "actor_prefix = 'i:'"), issuer("j", "actor_prefix = 'j:'")));
        assert_eq!(rules.issuers[1].actor_prefix, "j:");
        has_faults(
            &issuer("i", "actor_prefix = ' '"),
            &[
                "line 6: actor_prefix: must be 1 to 64 characters, something visible among them, without control characters or \
               white space at its ends",
            ],
        );
    }
}
