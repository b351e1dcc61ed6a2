//! The walks of `docs/operations`, as a new operator goes them: every `sh` block of a page is run by a shell in an empty directory,
//! and has to print what the `text` block behind it says, in which `…` is anything. Blocks of other kinds, such as `bash` and
//! `console`, need what is not there in a test (root, systemd, a cluster): they are shown and not run.
//!
//! What serves (`order-service serve`, `tail`) stays until the page has `<!-- stop -->`. Addresses are those of this machine, with
//! ports of this test's own.

mod page;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use test_servers::free_port;

use self::page::{Step, matches, steps};
use crate::server::wait_until;

const BINARY: &str = env!("CARGO_BIN_EXE_order-service");
/// The ports that pages name.
const PORTS: [&str; 3] = ["8443", "8080", "9080"];
/// Goes before each block: the first command that fails ends it, and the walk.
const STRICT: &str = "set -euo pipefail";

/// A walk that is under way.
struct Walk {
    directory: TempDir,
    /// What serves, with the files of its standard output and error.
    serving: Vec<(Child, PathBuf)>,
    blocks: usize,
}

impl Drop for Walk {
    fn drop(&mut self) {
        for (child, _) in &mut self.serving {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Walk {
    fn begin() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), serving: Vec::new(), blocks: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A shell that is about to run a block, and the file for what it prints. The output of what serves is no part of that.
    fn shell(&mut self, block: &str, serves: bool) -> (Command, PathBuf) {
        self.blocks += 1;
        let said = self.path(&format!(".block-{}", self.blocks));
        let file = fs::File::create(&said).unwrap();
        let errors = self.path(&format!(".output-{}", self.blocks));
        let errors = if serves { fs::File::create(errors).unwrap() } else { file.try_clone().unwrap() };
        let mut shell = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ORDER_SERVICE_") {
                shell.env_remove(name);
            }
        }
        let beside = Path::new(BINARY).parent().unwrap().display();
        let path = std::env::var("PATH").unwrap();
        shell
            .args(["-c", &format!("{STRICT}\n{block}")])
            .current_dir(&self.directory)
            .env("PATH", format!("{beside}:{path}"))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors);
        (shell, said)
    }

    /// Runs a block to its end, or leaves it serving.
    #[track_caller]
    fn run(&mut self, block: &str) -> PathBuf {
        let serving = ["order-service serve", "order-service tail"];
        let serves = serving.iter().any(|words| block.contains(words));
        // The shell becomes it, so that its end is the shell's.
        let block = if serves { exec(block) } else { block.to_owned() };
        let (mut shell, said) = self.shell(&block, serves);
        if serves {
            self.serving.push((shell.spawn().unwrap(), said.clone()));
        } else {
            let status = shell.status().unwrap();
            assert!(status.success(), "{status}: {block}\n{}", fs::read_to_string(&said).unwrap());
        }
        said
    }

    /// Ctrl+C for all that serves, which has to end well.
    #[track_caller]
    fn stop(&mut self) {
        for (child, said) in self.serving.drain(..).rev() {
            end(child, &said);
        }
    }

    #[track_caller]
    fn go(&mut self, text: &str) {
        let mut said = None;
        let (mut ran, mut compared) = (0, 0);
        for step in steps(text) {
            match step {
                Step::Run(block) => {
                    said = Some(self.run(&block));
                    ran += 1;
                }
                Step::Prints(expected) => {
                    let file = said.as_ref().expect("something was run before");
                    let read = || fs::read_to_string(file).unwrap();
                    // What serves may not have said it yet.
                    let serves = self.serving.iter().any(|(_, said)| said == file);
                    if serves {
                        wait_until(&expected, || matches(&expected, &read()).then_some(()));
                    }
                    assert!(matches(&expected, &read()), "expected:\n{expected}\nsaid:\n{}", read());
                    compared += 1;
                }
                Step::Stop => self.stop(),
            }
        }
        assert!(ran >= 2 && compared >= 2, "{ran} blocks, {compared} compared");
        assert!(self.serving.is_empty(), "the page does not say that what serves is stopped");
    }
}

/// The block with `exec` before its command, behind the variables that are set for it.
fn exec(block: &str) -> String {
    let at = block.find("order-service").unwrap_or_default();
    let begin = block[..at].rfind(' ').map_or(0, |space| space + 1);
    format!("{}exec {}", &block[..begin], &block[begin..])
}

#[track_caller]
fn end(mut child: Child, said: &Path) {
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let status = wait_until("it has ended", || child.try_wait().unwrap());
    // `tail` ends as a program does that is interrupted.
    let well = status.success() || status.code().is_none() || status.code() == Some(143);
    assert!(well, "{status}: {}", fs::read_to_string(said).unwrap());
}

/// A page with this test's own ports.
fn page(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let mut text = fs::read_to_string(path).unwrap().replace("0.0.0.0:", "127.0.0.1:");
    // What the pages wait for is done by a clock: beside the sieges of this suite, which take all of the machine, it comes later.
    text = text.replace("sleep 3\n", "sleep 8\n");
    for named in PORTS {
        text = text.replace(&format!(":{named}"), &format!(":{}", free_port().unwrap()));
    }
    text
}

#[track_caller]
fn walk(path: &str) -> Walk {
    let mut walk = Walk::begin();
    walk.go(&page(path));
    walk
}

#[test]
fn a_first_start_with_keys_and_tls() {
    walk("docs/operations/first-start.md");
}

#[test]
fn watching() {
    let walk = walk("docs/operations/watching.md");
    if let Some(promtool) = promtool() {
        judge(&promtool, &["check", "config", "prometheus.yml"], walk.directory.path());
    }
}

#[test]
fn backup_and_restore() {
    walk("docs/operations/backup-and-restore.md");
}

#[test]
fn an_upgrade_and_the_way_back() {
    let mut walk = Walk::begin();
    for release in ["old", "new"] {
        let directory = walk.path("releases").join(release).join("bin");
        fs::create_dir_all(&directory).unwrap();
        symlink(BINARY, directory.join("order-service")).unwrap();
    }
    walk.go(&page("docs/operations/upgrading.md"));
}

#[test]
fn kubernetes_as_far_as_without_a_cluster() {
    walk("docs/operations/kubernetes.md");
}

/// The readme's: no key is asked for, and what is answered stands there, but for the time.
#[test]
fn the_readmes_first_commands_need_no_key() {
    let text = page("README.md");
    let (_, text) = text.split_once("\n## Run it\n").expect("it tells how to run it");
    let (text, _) = text.split_once("\nMore to look at while it runs:").expect("and what to look at then");
    let mut walk = Walk::begin();
    let (mut said, mut compared) = (PathBuf::new(), 0);
    // On the wire no newline ends the answers.
    let in_a_line = |text: &str| text.replace('\n', "");
    for step in steps(text) {
        match step {
            Step::Run(block) if block == "cargo run --release" => {
                let port = text.split("localhost:").nth(1).unwrap().split('/').next().unwrap();
                said = walk.run(&format!("order-service serve --listen :{port}"));
            }
            Step::Run(block) => said = walk.run(&block.replace("curl ", "curl --silent ")),
            Step::Prints(expected) => {
                let expected = in_a_line(&expected).replace("1764917328", "…");
                let read = || in_a_line(&fs::read_to_string(&said).unwrap());
                let is_said = || (!read().is_empty()).then_some(());
                wait_until("it says something", is_said);
                assert!(matches(&expected, &read()), "expected:\n{expected}\nsaid:\n{}", read());
                compared += 1;
            }
            Step::Stop => walk.stop(),
        }
    }
    assert_eq!(compared, 3);
    walk.stop();
}

/// As the first lines of compose.yaml have it, but for the containers.
#[test]
fn keys_are_made_as_the_compose_file_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose.yaml");
    let text = fs::read_to_string(file).unwrap();
    let commands = text.lines().filter_map(|line| line.strip_prefix("#   "));
    let commands: Vec<_> = commands.skip_while(|line| !line.starts_with("mkdir")).collect();
    let up = commands.iter().position(|line| line.starts_with("docker compose up")).expect("it is started");
    let docker = r#"docker() { [ "$1 $2 $3" = "run --rm order-service" ]; shift 3; order-service "$@"; }"#;
    let mut walk = Walk::begin();
    walk.run(&format!("{docker}\n{}", commands[..up].join("\n")));
    let port = free_port().unwrap().to_string();
    let said = walk
        .run(&format!("order-service serve --store memory: --access access/access.toml --listen :{port}"));
    wait_until("it serves", || fs::read_to_string(&said).unwrap().contains("listening").then_some(()));
    for (key, path) in [("prometheus", "metrics"), ("me", "orders")] {
        let ask = r#"curl --silent --fail --output /dev/null -H "Authorization: Bearer $(cat access/KEY.key)" localhost:PORT/PATH"#;
        walk.run(&ask.replace("KEY", key).replace("PORT", &port).replace("PATH", path));
    }
    walk.stop();
}

/// Prometheus's own judge (Debian's `prometheus` has it); `cargo xtask test` says that this is left out where there is none.
fn promtool() -> Option<PathBuf> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places).map(|place| place.join("promtool")).find(|program| program.is_file())
}

#[track_caller]
fn judge(promtool: &Path, words: &[&str], directory: &Path) {
    let output = Command::new(promtool).args(words).current_dir(directory).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
}

#[test]
fn rules_and_configurations_are_prometheuss() {
    let Some(promtool) = promtool() else { return };
    let directory = tempfile::tempdir().unwrap();
    let alerts = crate::print::printed(&["alerts"]);
    fs::write(directory.path().join("alerts.yaml"), &alerts).unwrap();
    judge(&promtool, &["check", "rules", "alerts.yaml"], directory.path());
    // The one of compose.yaml, with what it finds in its container.
    let composed =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/prometheus.yml"));
    let here = |path: &str| directory.path().join(path).display().to_string();
    let composed = composed.unwrap().replace("/etc/prometheus/alerts.yaml", &here("alerts.yaml"));
    fs::write(here("prometheus.key"), "key").unwrap();
    let composed = composed.replace("/run/secrets/prometheus.key", &here("prometheus.key"));
    fs::write(here("prometheus.yml"), composed).unwrap();
    judge(&promtool, &["check", "config", "prometheus.yml"], directory.path());
    // And it judges.
    fs::write(here("alerts.yaml"), alerts.replace("> 0.9 *", ">> 0.9 *")).unwrap();
    let output = Command::new(&promtool).args(["check", "rules", &here("alerts.yaml")]).output().unwrap();
    assert!(!output.status.success(), "it takes anything");
}
