//! Checks of what the project depends on, with `cargo deny`: licences, bans, sources, and advisories as far as their database
//! can be had.

use std::process::{Command, Stdio};

/// What can be checked here, and what cannot.
pub(crate) struct Checks {
    pub(crate) commands: Vec<Command>,
    /// A line for each kind of check that this machine cannot do.
    pub(crate) left_out: Vec<String>,
}

/// Looks what can be checked; fetches the database of advisories. `cargo` makes a command of its arguments.
pub(crate) fn checks(cargo: &dyn Fn(&[&str]) -> Command) -> Checks {
    if !succeeds(cargo(&["deny", "--version"])) {
        let line = "LEFT OUT: the checks of dependencies, their licences, sources and known vulnerabilities. To have them \
                    run, install cargo-deny: `cargo install cargo-deny`";
        return Checks { commands: Vec::new(), left_out: vec![line.to_owned()] };
    }
    let own = cargo(&["deny", "check", "licenses", "bans", "sources"]);
    if !succeeds(cargo(&["deny", "fetch", "db"])) {
        let line = "LEFT OUT: known vulnerabilities of dependencies, since their database cannot be fetched: `cargo deny \
                    fetch db` says why";
        return Checks { commands: vec![own], left_out: vec![line.to_owned()] };
    }
    // What was fetched a moment ago is new enough.
    let advisories = cargo(&["deny", "--offline", "check", "advisories"]);
    Checks { commands: vec![own, advisories], left_out: Vec::new() }
}

fn succeeds(mut command: Command) -> bool {
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is checked, and what is left out, with a cargo that fails at some of its commands.
    fn with_cargo_that_fails_at(failing: &'static [&'static str]) -> (Vec<String>, Vec<String>) {
        let cargo = |arguments: &[&str]| {
            let mut command = Command::new(if failing.contains(&arguments[1]) { "false" } else { "true" });
            command.args(arguments);
            command
        };
        let Checks { commands, left_out } = checks(&cargo);
        let words = |command: &Command| {
            command.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        (commands.iter().map(words).collect(), left_out)
    }

    #[test]
    fn all_is_checked_where_the_database_can_be_had() {
        let (checked, left_out) = with_cargo_that_fails_at(&[]);
        let all = ["deny check licenses bans sources", "deny --offline check advisories"];
        assert_eq!((&checked[..], &left_out[..]), (&all.map(str::to_owned)[..], &[][..]));
    }

    #[test]
    fn what_cannot_be_checked_is_told() {
        let (checked, left_out) = with_cargo_that_fails_at(&["fetch"]);
        assert_eq!(checked, ["deny check licenses bans sources"]);
        assert!(left_out[0].starts_with("LEFT OUT: known vulnerabilities"), "{left_out:?}");

        let (checked, left_out) = with_cargo_that_fails_at(&["--version"]);
        assert_eq!((checked.len(), left_out.len()), (0, 1));
        assert!(left_out[0].contains("install cargo-deny"), "{left_out:?}");
    }
}
