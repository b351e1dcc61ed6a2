//! What this build is.

/// The release.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What it was built from, if whoever built it said so: `cargo xtask dist` does.
pub(crate) const COMMIT: Option<&str> = option_env!("ORDER_SERVICE_COMMIT");

/// What it was built with that may be left out.
pub(crate) const FEATURES: &str = match (cfg!(feature = "kafka"), cfg!(feature = "kafka-tls")) {
    (_, true) => "kafka, kafka-tls",
    (true, false) => "kafka",
    (false, false) => "no optional features",
};

/// All of it: `0.2.0 (commit 1f3870be274f; kafka, kafka-tls)`.
pub(crate) fn description() -> String {
    match COMMIT {
        Some(commit) => format!("{VERSION} (commit {commit}; {FEATURES})"),
        None => format!("{VERSION} ({FEATURES})"),
    }
}
