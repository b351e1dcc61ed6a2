//! Where Kafka's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::cache::{Kept, keep};
use crate::command::output;

const VERSION: &str = "4.4.0";

/// Kafka and its benchmark of producers. Without an SLF4J binding, the server would log nothing.
///
/// Of the tools, nothing that they depend on: the benchmark needs no more than the server, and their web server and its
/// like would double the number of files.
const PROJECT: &str = r#"<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.4.0</version></dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>4.3.0</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.5</version></dependency>
  </dependencies>
</project>
"#;

const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The directory of Kafka's jars: the one that the environment variable `KAFKA_LIBS` names; else one that is fetched
/// once and kept (45 MB).
///
/// # Errors
///
/// When they cannot be fetched; the message says what to install.
pub fn jars() -> Result<PathBuf> {
    static KEPT: Kept = Kept::new();
    if let Some(directory) = env::var_os("KAFKA_LIBS") {
        let directory = PathBuf::from(directory);
        if !directory.is_dir() {
            bail!("KAFKA_LIBS={}: there is no such directory", directory.display());
        }
        return Ok(directory);
    }
    let package = keep(&KEPT, &format!("kafka-{VERSION}"), |directory| {
        fetch(directory).context(
            "Kafka could not be fetched. Install Maven and Java 17 or newer, or name the directory of Kafka's jars in \
             KAFKA_LIBS",
        )
    })?;
    Ok(within(&package))
}

fn fetch(directory: &Path) -> Result<()> {
    fs::create_dir(directory)?;
    let project = directory.join("pom.xml");
    fs::write(&project, PROJECT)?;
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", "--file"]).arg(project).args([COPY, "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", within(directory).display()));
    if let Some(home) = env::var_os("HOME") {
        // Java takes the home from the list of users, whatever the environment says.
        let mut options = env::var_os("MAVEN_OPTS").unwrap_or_default();
        options.push(" -Duser.home=");
        options.push(home);
        maven.env("MAVEN_OPTS", options);
    }
    output(&mut maven).map(drop)
}

fn within(package: &Path) -> PathBuf {
    package.join("libs")
}
