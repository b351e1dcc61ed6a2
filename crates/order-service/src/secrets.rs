//! Passwords in what is said: whatever somebody took for an option, or put where none belongs, is not repeated with them.

const HIDDEN: &str = "***";

/// A text without keys, without the passwords of the URLs in it, and of what looks like one without its scheme (`user:password@host`).
/// Rather too much of a line is hidden than too little.
pub(crate) fn without_passwords(text: &str) -> String {
    let lines: Vec<_> =
        text.split('\n').map(|line| hide_keys(&hide_parameters(&hide_in_line(line)))).collect();
    lines.join("\n")
}

/// Hides what stands before the `@` of each URL.
fn hide_in_line(line: &str) -> String {
    let mut pieces = line.split("://");
    let mut shown = hide_in_words(pieces.next().unwrap_or_default());
    let mut scheme = last_word(&shown).to_owned();
    for piece in pieces {
        shown.push_str("://");
        shown.push_str(&hide_in_url(&scheme, piece));
        last_word(piece).clone_into(&mut scheme);
    }
    shown
}

/// `after` is what comes after `://`, up to the next URL of the line.
fn hide_in_url(scheme: &str, after: &str) -> String {
    let word = after.split(is_between_words).next().unwrap_or_default();
    let user_end = after.find([':', '@', '/', '?', '\'', '"', ' ']).unwrap_or(after.len());
    let (user, rest) = after.split_at(user_end);
    if rest.starts_with('@') && scheme.ends_with("nats") {
        // Without a password it is a token.
        return format!("{HIDDEN}{rest}");
    }
    let Some(password) = rest.strip_prefix(':') else { return after.to_owned() };
    let port_end = password.find(|c: char| !c.is_ascii_digit()).unwrap_or(password.len());
    if port_end > 0 && !password[port_end..].starts_with('@') && !word.contains('@') {
        return after.to_owned();
    }
    // It may have any character in it when whoever gave it did not know better.
    let hidden_end = password.rfind('@').unwrap_or(word.len() - user.len() - 1);
    format!("{user}:{HIDDEN}{}", &password[hidden_end..])
}

/// Hides what stands between `:` and `@` in any word.
fn hide_in_words(text: &str) -> String {
    let hide = |word: &str| match word
        .rsplit_once('@')
        .and_then(|(user, host)| Some((user.split_once(':')?.0, host)))
    {
        Some((user, host)) => format!("{user}:{HIDDEN}@{host}"),
        None => word.to_owned(),
    };
    text.split_inclusive(is_between_words)
        .map(|piece| {
            let word = piece.trim_end_matches(is_between_words);
            hide(word) + &piece[word.len()..]
        })
        .collect()
}

/// Hides the values of `password=…` and `sslpassword=…`.
fn hide_parameters(line: &str) -> String {
    let mut pieces = line.split("password=");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c == '&' || is_between_words(c)).unwrap_or(piece.len());
        shown.push_str(&format!("password={HIDDEN}{}", &piece[end..]));
    }
    shown
}

/// Hides the secrets of keys (`ok_ID_SECRET`), all of what follows on the id.
fn hide_keys(line: &str) -> String {
    let mut pieces = line.split("ok_");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(piece.len());
        let (word, rest) = piece.split_at(end);
        let hidden = word.split_once('_').map(|(id, _)| format!("{id}_{HIDDEN}"));
        shown.push_str(&format!("ok_{}{rest}", hidden.as_deref().unwrap_or(word)));
    }
    shown
}

fn last_word(text: &str) -> &str {
    text.rsplit(is_between_words).next().unwrap_or_default()
}

fn is_between_words(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\'' | '"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        for (text, shown) in [
            (
                "unrecognized subcommand 'postgres://u:SECRET@h/d'",
                "unrecognized subcommand 'postgres://u:***@h/d'",
            ),
            (
                "'--storepostgres://u:SECRET@h'\n\ntip: 'postgres://u:SECRET@h'",
                "'--storepostgres://u:***@h'\n\ntip: 'postgres://u:***@h'",
            ),
            ("postgres://u:SE@CR ET'@h:5432/d", "postgres://u:***@h:5432/d"),
            ("postgres://u:12345@h", "postgres://u:***@h"),
            ("postgres://u:SECRET is no URL", "postgres://u:*** is no URL"),
            ("'u:SECRET@h/d' and 'postgres:/u:SECRET@h'", "'u:***@h/d' and 'postgres:***@h'"),
            (
                "postgres://h/d?user=u&password=SECRET&sslmode=require",
                "postgres://h/d?user=u&password=***&sslmode=require",
            ),
            ("nats://SECRET@h:4222 nats://u:SECRET@h", "nats://***@h:4222 nats://u:***@h"),
            (
                "from postgres://u:SECRET@h/d to kafka://u:SECRET@h",
                "from postgres://u:***@h/d to kafka://u:***@h",
            ),
            (
                "'ok_3f9a1c2e_SECRET': No such file; ok_1_SECRET_SECRET,",
                "'ok_3f9a1c2e_***': No such file; ok_1_***,",
            ),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn what_is_no_password_is_shown() {
        for text in [
            "store: a store is memory:, sqlite:FILE or postgres://USER@HOST/DATABASE",
            "cannot reach nats://h:4222: refused; ask admin@example.com",
            "postgres://u@h1:1,h2:2/db at 14:57",
            "data/orders.db: is no store",
            "all is ok_ in book_keeper",
        ] {
            assert_eq!(without_passwords(text), text);
        }
    }
}
