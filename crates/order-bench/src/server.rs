//! Servers as child processes that never outlive this one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::interrupt;
use crate::process::ProcessId;

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(120);
/// How much of a failed server's log is shown.
const LOG_TAIL_LINES: usize = 20;

/// A running server. Dropping it kills it, so it ends on every way out of a benchmark, panics included.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts `order-service serve` on a free port and waits until it says that it serves; `store` are the arguments that
    /// name its store, `log` takes its standard error.
    pub(crate) fn start_service(program: &Path, store: &[&str], log: PathBuf) -> Result<Self> {
        Self::start_service_in(&[], program, store, log)
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_service_in(
        environment: &[(&str, String)],
        program: &Path,
        store: &[&str],
        log: PathBuf,
    ) -> Result<Self> {
        if !program.exists() {
            bail!(
                "no {}: build it with `cargo build --release -p order-service`, or name it with --service",
                program.display()
            );
        }
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0"];
        arguments.extend(store);
        Self::start(environment, program, &arguments, log)
    }

    /// Starts `order-service replica` in the same way.
    pub(crate) fn start_replica(program: &Path, arguments: &[&str], log: PathBuf) -> Result<Self> {
        let mut all = vec!["replica", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        Self::start(&[], program, &all, log)
    }

    /// Starts the echo server, which is this program again.
    pub(crate) fn start_echo(log: PathBuf) -> Result<Self> {
        Self::start(&[], &std::env::current_exe()?, &["echo-server"], log)
    }

    /// Starts the server that streams a file to everybody, which is this program again.
    pub(crate) fn start_bare_stream(file: &Path, log: PathBuf) -> Result<Self> {
        let file = file.to_str().context("the scratch directory's name is UTF-8")?;
        Self::start(&[], &std::env::current_exe()?, &["bare-stream", file], log)
    }

    fn start(
        environment: &[(&str, String)],
        program: &Path,
        arguments: &[&str],
        log: PathBuf,
    ) -> Result<Self> {
        let log_file = File::options().append(true).create(true).open(&log).context("open a server's log")?;
        let mut command = child_command(program)?;
        // The defaults are measured, whatever this shell sets up for the service.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_the_services(name)) {
            command.env_remove(name);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let stdout = child.stdout.take();
        // From here on the child has its guard; the address is learnt under it.
        let mut server = Self { child, address: (Ipv4Addr::LOCALHOST, 0).into(), log };
        let port = stdout.context("standard output is piped").and_then(read_port);
        let port = port.map_err(|error| anyhow!("{error:#}\n{}", server.log_tail()))?;
        server.address.set_port(port);
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn process(&self) -> ProcessId {
        ProcessId(self.child.id())
    }

    /// Asks the server to stop (SIGTERM) and waits until it has, which must be with exit status 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("send SIGTERM")?;
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the server stopped with {status}\n{}", self.log_tail());
            }
            interrupt::pause(Duration::from_millis(5))?;
        }
        bail!("the server did not stop within {STOP_LIMIT:?} of SIGTERM\n{}", self.log_tail())
    }

    /// Ends the server with SIGKILL, the way a crash would, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "the server's log ends with:\n{}",
            lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a child that is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the service looks at this variable.
fn is_the_services(variable: &OsStr) -> bool {
    let name = variable.as_encoded_bytes();
    name.starts_with(b"ORDER_SERVICE_") || name.starts_with(b"OTEL_")
}

/// A command that runs `program` as a child that does not outlive this process.
pub(crate) fn child_command(program: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("child").arg(program).stdin(Stdio::null());
    Ok(command)
}

/// Turns this process into `program`, which the kernel kills when our parent dies: a guard's `Drop` does not run when the
/// benchmark itself is killed. (Setting it before `exec` in the parent's own code would take `unsafe`.)
pub(crate) fn become_child(program: &Path, arguments: &[String]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Err(Command::new(program).args(arguments).exec()).with_context(|| format!("run {}", program.display()))
}

/// Reads the port from the line `… listening on :PORT`.
fn read_port(stdout: ChildStdout) -> Result<u16> {
    let (sender, receiver) = mpsc::channel();
    // A thread, because a pipe cannot be read with a time limit. It goes on reading, so that the server never blocks on
    // a full pipe, and ends when the server does.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let line = match receiver.recv_timeout(START_LIMIT) {
        Ok(line) => line,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            bail!("the server did not say that it serves in {START_LIMIT:?}")
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the server ended before it served"),
    };
    line.rsplit_once(" listening on :")
        .and_then(|(_, port)| port.parse().ok())
        .with_context(|| format!("expected `… listening on :PORT`, the server printed {line:?}"))
}
