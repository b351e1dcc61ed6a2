//! The variables of the environment that options are taken from.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory};
use order_application::nearest::nearest;

use crate::cli::Arguments;

const PREFIX: &str = "ORDER_SERVICE_";
/// What tests plant in builds that are made for them.
const PLANTED_FAULT: &str = "PLANTED_FAULT";

/// The variable of an option.
pub(super) fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.to_uppercase())
}

/// Each option has its variable; what a command is given without a name has none. A variable that is empty is as good as none.
/// Help does not show what it is: it may be a secret.
pub(super) fn with_variable(option: Arg) -> Arg {
    let variable = variable(option.get_id().as_str());
    if option.is_positional() || std::env::var_os(&variable).is_some_and(|value| value.is_empty()) {
        option
    } else {
        option.env(variable).hide_env_values(true)
    }
}

/// The options of all commands, which may be given in the environment and in a file.
pub(super) fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let given = command.get_subcommands().chain([command]).flat_map(Command::get_arguments);
    given.filter(|option| !option.is_positional())
}

/// A line for each variable that looks as if it were for this program, and that no option of any command has.
pub(crate) fn unknown_variables() -> Vec<String> {
    let command = Arguments::command();
    let known: Vec<_> = options(&command).map(|option| variable(option.get_id().as_str())).collect();
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let mut unknown: Vec<_> =
        std::env::vars_os().filter_map(|given| told_if_unknown(given, &known)).collect();
    unknown.sort_unstable();
    unknown
}

fn told_if_unknown((name, value): (OsString, OsString), known: &[&str]) -> Option<String> {
    let name = name.to_string_lossy();
    // Other letters make it another variable, which nobody reads.
    let upper = name.to_uppercase();
    let rest = upper.strip_prefix(PREFIX)?;
    let is_planted = cfg!(feature = "full-tests") && rest == PLANTED_FAULT;
    if value.is_empty() || known.contains(&&*name) || is_of_kubernetes(&upper) || is_planted {
        return None;
    }
    // The beginning, which all have, makes none of them nearer.
    let known = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
    let meant = nearest(rest, known).map(|meant| format!("; did you mean {PREFIX}{meant}?"));
    let meant = meant.unwrap_or_default();
    Some(format!("{name} is set, and no option has this name{meant}"))
}

/// Kubernetes tells every container where each service is, under the service's name, and this one's may be `order-service`.
fn is_of_kubernetes(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST") || name.ends_with("_PORT") || name.contains("_PORT_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_no_option_has_is_told_with_the_one_that_was_meant_and_without_its_value() {
        let told = |name: &str, value: &str| {
            told_if_unknown((name.into(), value.into()), &["ORDER_SERVICE_LISTEN", "ORDER_SERVICE_LOG"])
        };
        assert_eq!(
            told("ORDER_SERVICE_LISTENN", "SECRET").as_deref(),
            Some(
                "ORDER_SERVICE_LISTENN is set, and no option has this name; did you mean ORDER_SERVICE_LISTEN?"
            )
        );
        assert_eq!(
            told("ORDER_SERVICE_LX", "y").as_deref(),
            Some("ORDER_SERVICE_LX is set, and no option has this name")
        );
        assert_eq!(
            told("ORDER_SERVICE_COLOUR", "red").as_deref(),
            Some("ORDER_SERVICE_COLOUR is set, and no option has this name")
        );
        assert_eq!(
            told("order_service_listen", "y").as_deref(),
            Some(
                "order_service_listen is set, and no option has this name; did you mean ORDER_SERVICE_LISTEN?"
            )
        );
        for known in ["ORDER_SERVICE_LISTEN", "ORDER_SERVICES", "PATH"] {
            assert_eq!(told(known, "x"), None);
        }
        assert_eq!(told("ORDER_SERVICE_LISTENN", ""), None, "an empty one counts as not given");
    }

    #[test]
    fn every_option_has_one_name_wherever_it_is_given() {
        let command = Arguments::command();
        for option in options(&command) {
            let Some(long) = option.get_long() else { continue };
            assert_eq!(option.get_id().as_str(), long.replace('-', "_"), "--{long}");
        }
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_this_name_is_no_mistake() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_HTTP",
            "PORT",
            "PORT_8080_TCP",
            "PORT_8080_TCP_ADDR",
            "METRICS_SERVICE_HOST",
        ] {
            assert_eq!(told_if_unknown((format!("{PREFIX}{name}").into(), "x".into()), &[]), None, "{name}");
        }
    }
}
