//! How Kafka's programs are run.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use super::jars::jars;

/// For a program that starts soon and stays small: it shares two processors with the tests.
pub(super) const SMALL: &[&str] = &["-XX:TieredStopAtLevel=1", "-Xms64m", "-Xmx256m", "-Xss512k"];

/// For one that is measured.
pub(super) const MEASURED: &[&str] = &["-Xms1g", "-Xmx1g"];

/// Warnings only, and no files outside the program's directory.
const ALWAYS: &[&str] = &["-XX:+UseSerialGC", "-XX:-UsePerfData", "-Dlog4j2.level=WARN"];

/// `java`, and the words that run `class` of Kafka.
pub(super) fn java(flags: &[&str], class: &str) -> Result<(PathBuf, Vec<OsString>)> {
    let home = env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let program = home.map_or_else(|| "java".into(), |home| PathBuf::from(home).join("bin/java"));
    let mut words: Vec<OsString> = ALWAYS.iter().chain(flags).map(Into::into).collect();
    words.extend(["-cp".into(), jars()?.join("*").into(), class.into()]);
    Ok((program, words))
}
