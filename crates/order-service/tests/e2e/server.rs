//! The binary as a child process that never outlives its test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::http::{Answer, Client};

const BINARY: &str = env!("CARGO_BIN_EXE_order-service");
/// Nothing that a test waits for takes this long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that tells nobody when it changes.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Looks again and again, with a bound.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// The program, about to be started.
pub(crate) struct Program {
    command: Command,
    log: NamedTempFile,
    /// Where standard error goes instead.
    errors: Option<Stdio>,
}

/// How a program ended that was not meant to serve.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Program {
    pub(crate) fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::started_by(&[], arguments)
    }

    /// Serves a data directory on a free port.
    pub(crate) fn serving(directory: &Path) -> Self {
        Self::serve().argument("--data-dir", directory)
    }

    /// Serves on a free port.
    pub(crate) fn serve() -> Self {
        Self::new(["serve", "--listen", "127.0.0.1:0"])
    }

    /// The program with words before it, such as those of `strace`.
    pub(crate) fn started_by<A: AsRef<OsStr>>(
        prefix: &[&str],
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut words = prefix.iter().copied().chain([BINARY]);
        let mut command = Command::new(words.next().unwrap_or(BINARY));
        command.args(words).args(arguments);
        // What is set where the tests run is no business of theirs.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        Self { command, log: NamedTempFile::new().unwrap(), errors: None }
    }

    pub(crate) fn argument(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    /// An argument that has no name.
    pub(crate) fn operand(mut self, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(value);
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Standard error goes there, and not to where [`Server::log`] finds it.
    pub(crate) fn with_errors_to(mut self, errors: impl Into<Stdio>) -> Self {
        self.errors = Some(errors.into());
        self
    }

    pub(crate) fn in_directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Starts it and waits until it serves.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        self.try_start().unwrap_or_else(|log| panic!("it does not serve:\n{log}"))
    }

    /// The same, or the log of one that ends before it serves.
    pub(crate) fn try_start(self) -> Result<Server, String> {
        let mut server = self.spawn();
        server.serves()?;
        Ok(server)
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Ended {
        let mut server = self.spawn();
        let status = server.wait();
        let lines = server.log().lines().map(str::to_owned).collect();
        Ended { status: status.code(), stdout: server.stdout.iter().collect(), stderr: lines }
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(mut self) -> Server {
        let errors = self.errors.unwrap_or_else(|| self.log.reopen().unwrap().into());
        let command = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("the program can be started");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (line, stdout) = mpsc::channel();
        // Ends with the child's standard output.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|text| line.send(text)));
        Server { child, port: 0, stdout, log: self.log }
    }
}

/// `OTEL_…` says where traces go, `PGPASSWORD` and `PGPASSFILE` how the program comes into a database.
fn is_ours(variable: &OsStr) -> bool {
    [&b"ORDER_SERVICE_"[..], b"OTEL_", b"PGPASS"]
        .iter()
        .any(|ours| variable.as_encoded_bytes().starts_with(ours))
}

/// A server that is killed when dropped, panics included.
pub(crate) struct Server {
    child: Child,
    port: u16,
    stdout: Receiver<String>,
    log: NamedTempFile,
}

impl Server {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it serves; the log of one that ends before.
    pub(crate) fn serves(&mut self) -> Result<(), String> {
        let line = self.stdout.recv_timeout(PATIENCE).map_err(|_| self.log())?;
        let port = line.strip_prefix("order-service listening on :").and_then(|port| port.parse().ok());
        self.port = port.unwrap_or_else(|| panic!("not the line that scripts wait for: {line:?}"));
        Ok(())
    }

    /// A line on standard output that it has written since.
    pub(crate) fn said(&self) -> Option<String> {
        self.stdout.try_recv().ok()
    }

    /// For other threads, while this server is alive.
    pub(crate) fn process(&self) -> Process {
        Process(Pid::from_child(&self.child))
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port).expect("the server takes connections")
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().get(path).unwrap()
    }

    /// The same without the answer's date, to be compared with another.
    #[track_caller]
    pub(crate) fn get_undated(&self, path: &str) -> Answer {
        let mut answer = self.get(path);
        answer.headers.retain(|(name, _)| name != "date");
        answer
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.connect().post(path, body).unwrap()
    }

    /// Everything on standard error so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_until("the program has ended", || self.ended())
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `kill -9`
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.assert_no_panic();
    }

    /// SIGTERM, which must end it with exit status 0.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.assert_no_panic();
    }

    #[track_caller]
    pub(crate) fn assert_no_panic(&self) {
        let log = self.log();
        assert!(!log.contains("panic"), "{log}");
    }
}

/// A server's process. Its number is not given to another before its [`Server`] has waited for it.
#[derive(Clone, Copy)]
pub(crate) struct Process(Pid);

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_raw_nonzero().fmt(f)
    }
}

impl Process {
    /// `kill -9`
    pub(crate) fn kill(self) {
        kill_process(self.0, Signal::KILL).expect("the process runs");
    }

    /// The process may have ended, and its server not have waited for it.
    pub(crate) fn signal_if_there(self, signal: Signal) {
        let _ = kill_process(self.0, signal);
    }

    /// How many descriptors it has open: files, and a socket for each connection.
    pub(crate) fn descriptors(self) -> usize {
        std::fs::read_dir(format!("/proc/{self}/fd")).expect("the process runs").count()
    }

    /// Whether the system may give it memory in huge pages. `None`: it does not tell.
    pub(crate) fn may_have_huge_pages(self) -> Option<bool> {
        let status = std::fs::read_to_string(format!("/proc/{self}/status")).expect("the process runs");
        status.lines().find_map(|line| Some(line.strip_prefix("THP_enabled:")?.trim() == "1"))
    }

    /// The most memory that it has had at once.
    pub(crate) fn peak_resident_kib(self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{self}/status")).expect("the process runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        peak.and_then(|kib| kib.trim().parse().ok()).expect("the system tells")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
