//! `--log`: what is logged. A word that was meant for a level is not taken for a part of the program, which would silence
//! all others.

use order_application::nearest::did_you_mean;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// What something is logged under: this service's crates and their brokers' clients.
const OWN_TARGETS: [&str; 7] =
    ["order_api", "order_application", "order_bus", "order_service", "order_store", "kafka", "async_nats"];
/// And what else it is made of.
const OTHER_TARGETS: [&str; 13] = [
    "axum",
    "deadpool.postgres",
    "h2",
    "hyper",
    "jiff",
    "librdkafka",
    "mio",
    "nkeys",
    "rdkafka",
    "rustls",
    "tokio",
    "tokio_postgres",
    "tonic",
];

/// Reads a level, or a list such as `info,order_store=debug`. Unless it says otherwise, a client that goes away is no news, and
/// what goes on inside a broker's client is told by its relay; what a database's driver says of an outage, the store tells once.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn log_filter(text: &str) -> Result<EnvFilter, String> {
    let directives: Vec<_> =
        text.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    if directives.is_empty() {
        return Err(format!(
            "must be one of {}, or a list such as info,order_store=debug",
            LEVELS.join(", ")
        ));
    }
    let faults: Vec<_> = directives.iter().filter_map(|directive| fault(directive)).collect();
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    let quiet = "hyper=error,async_nats=error,tokio_postgres=warn,deadpool.postgres=error";
    let filter = format!("{quiet},{}", directives.join(","));
    EnvFilter::try_new(filter).map_err(|error| error.to_string())
}

/// A directive is a level for everything, a part of the program, or such a part and its level.
fn fault(directive: &str) -> Option<String> {
    match directive.rsplit_once('=') {
        None if is_level(directive) || is_target(directive) => None,
        None => {
            let known = LEVELS.into_iter().chain(OWN_TARGETS).chain(OTHER_TARGETS);
            let (levels, targets) = (LEVELS.join(", "), OWN_TARGETS.join(", "));
            let meant = did_you_mean(directive, known);
            Some(format!(
                "{directive:?} is neither a level ({levels}) nor part of the program ({targets}){meant}"
            ))
        }
        Some((_, level)) if !is_level(level) => {
            let (levels, meant) = (LEVELS.join(", "), did_you_mean(level, LEVELS));
            Some(format!("{level:?} is not a level ({levels}){meant}"))
        }
        Some((target, _)) if is_target(target) => None,
        Some((target, _)) => {
            let meant = did_you_mean(target, OWN_TARGETS.into_iter().chain(OTHER_TARGETS));
            let targets = OWN_TARGETS.join(", ");
            Some(format!("{target:?} is not part of the program ({targets}){meant}"))
        }
    }
}

fn is_level(word: &str) -> bool {
    !word.is_empty() && word.parse::<LevelFilter>().is_ok()
}

/// Whether it is a crate, a module of one, or what is done inside (`order_api[request]`).
fn is_target(target: &str) -> bool {
    let name = target.split(['[', ':']).next().unwrap_or_default();
    name.is_empty() && target.starts_with('[') || OWN_TARGETS.contains(&name) || OTHER_TARGETS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_parts_of_the_program_are_read() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,order_store=debug",
            "info, order_store::sqlite=trace",
            "order_api",
            "hyper=debug,",
            "order_api[request]=debug",
            "[request]=trace",
        ] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_level_or_part_is_refused_with_what_was_meant() {
        for (text, told) in [
            ("trcae", r#""trcae" is neither a level (off, error, warn, info, debug, trace) nor part"#),
            ("trcae", "; did you mean trace?"),
            ("order_stor", "; did you mean order_store?"),
            (
                "info,order_store=debgu",
                r#""debgu" is not a level (off, error, warn, info, debug, trace); did you mean debug?"#,
            ),
            ("info,order_stor=debug", "; did you mean order_store?"),
            ("order_store=", r#""" is not a level"#),
            ("verbose", r#""verbose" is neither a level"#),
            (",", "must be one of off, error"),
        ] {
            let fault = log_filter(text).unwrap_err();
            assert!(fault.contains(told), "{text}: {fault}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let fault = log_filter("inof,order_bsu=debug").unwrap_err();
        assert!(fault.contains("did you mean info?") && fault.contains("did you mean order_bus?"), "{fault}");
    }
}
