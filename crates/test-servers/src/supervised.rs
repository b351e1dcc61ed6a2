//! A server under a supervisor, which ends it and removes its directory when the test process ends.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::process::{is_alive, kill, send, stop_family};
use crate::user::{ServerUser, settle};
use crate::wait::holds_within;

/// `sh`, because it is everywhere: a program of our own would have to be built and found.
const SUPERVISOR: &str = include_str!("supervise.sh");

const LOG_TAIL_BYTES: u64 = 8 * 1024;

/// A server and its directory. Dropped, both are gone.
#[derive(Debug)]
pub(crate) struct Supervised {
    supervisor: Child,
    /// Nobody else holds this end of the pipe: the standard library opens it to be closed in other programs.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    directory: PathBuf,
    server: Option<Pid>,
    frozen: Vec<Pid>,
}

/// A directory for one server, which may write into it.
pub(crate) fn private_directory(kind: &str, user: ServerUser) -> Result<TempDir> {
    let directory = tempfile::Builder::new().prefix(&format!("test-{kind}-")).tempdir()?;
    user.own(directory.path())?;
    Ok(directory)
}

impl Supervised {
    /// Puts a directory under a supervisor that will run `command`; [`start`](Self::start) lets it.
    /// `end` is the signal's name, without `SIG`, that ends the server at once.
    pub(crate) fn new(directory: TempDir, end: &str, command: Vec<OsString>) -> Result<Self> {
        let mut sh = Command::new("sh");
        sh.args(["-c", SUPERVISOR, "supervise"]).arg(directory.path()).arg(end).args(command);
        settle(&mut sh, directory.path());
        // Ctrl+C at the terminal is for the test process; the supervisor outlives it to clean up.
        sh.process_group(0);
        // Not our standard error: whoever reads that to its end would wait for the servers.
        sh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut supervisor = sh.spawn().context("run `sh`, which supervises servers")?;
        let (Some(orders), Some(answers)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
            bail!("the supervisor has no pipes");
        };
        Ok(Self {
            supervisor,
            orders: Some(orders),
            answers: BufReader::new(answers),
            directory: directory.keep(),
            server: None,
            frozen: Vec::new(),
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The server's first process, unless it was ended by one of the methods here.
    pub(crate) fn process(&self) -> Option<u32> {
        u32::try_from(self.server?.as_raw_nonzero().get()).ok()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.server.is_some_and(is_alive)
    }

    /// Runs a program that prepares the server to its end.
    pub(crate) fn run(&mut self, words: &[OsString]) -> Result<()> {
        let mut order = b"run".to_vec();
        for word in words {
            order.push(b' ');
            order.extend(quoted(word.as_bytes()));
        }
        let status = self.order(&order)?;
        if status.trim() != "0" {
            let output = fs::read(self.directory.join("output")).unwrap_or_default();
            bail!("{}: {}", words.join(OsStr::new(" ")).display(), String::from_utf8_lossy(&output).trim());
        }
        Ok(())
    }

    /// Starts the server; it need not be ready yet.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.is_running() {
            bail!("the server is running already");
        }
        self.reap()?;
        let answer = self.order(b"start")?;
        let process = answer.trim().parse().ok().and_then(Pid::from_raw);
        self.server = Some(process.with_context(|| format!("the supervisor answered {answer:?}"))?);
        Ok(())
    }

    /// Asks the server to end by a signal, and waits until it has.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<()> {
        self.thaw()?;
        send(self.running()?, signal)?;
        self.reap()
    }

    /// The same, but after some time it is ended without a word.
    pub(crate) fn end_within(&mut self, limit: Duration, signal: Signal) -> Result<()> {
        self.thaw()?;
        let server = self.running()?;
        send(server, signal)?;
        if holds_within(limit, || Ok(!is_alive(server)))? { self.reap() } else { self.kill() }
    }

    /// Ends all the server's processes without a word.
    pub(crate) fn kill(&mut self) -> Result<()> {
        kill(&stop_family(self.running()?)?)?;
        self.frozen.clear();
        self.reap()
    }

    /// Stops all the server's processes; they stay as they are.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        self.frozen = stop_family(self.running()?)?;
        Ok(())
    }

    /// Lets go on what [`freeze`](Self::freeze) stopped.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        self.frozen.drain(..).try_for_each(|process| send(process, Signal::CONT))
    }

    pub(crate) fn is_frozen(&self) -> bool {
        !self.frozen.is_empty()
    }

    /// The end of what the server has written to its standard output and error.
    pub(crate) fn log_tail(&self) -> String {
        let read = || {
            let mut file = File::open(self.directory.join("log"))?;
            let bytes = file.metadata()?.len();
            file.seek(SeekFrom::Start(bytes.saturating_sub(LOG_TAIL_BYTES)))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            std::io::Result::Ok(tail)
        };
        read().map_or_else(|_| String::new(), |tail| String::from_utf8_lossy(&tail).into_owned())
    }

    fn running(&self) -> Result<Pid> {
        self.server.filter(|&process| is_alive(process)).context("the server is not running")
    }

    /// Waits for the server's end; only its parent, the supervisor, can.
    fn reap(&mut self) -> Result<()> {
        if self.server.is_some() {
            self.order(b"reap")?;
            self.server = None;
        }
        Ok(())
    }

    /// An order is a line, and so is its answer.
    fn order(&mut self, order: &[u8]) -> Result<String> {
        let orders = self.orders.as_mut().context("the supervisor is still told what to do")?;
        orders.write_all(&[order, b"\n"].concat()).context("tell the supervisor")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("hear the supervisor")?;
        if answer.is_empty() {
            bail!("the supervisor has gone");
        }
        Ok(answer)
    }
}

/// A word as the shell reads it.
fn quoted(word: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = word.split(|&byte| byte == b'\'').collect();
    [b"'", parts.join(&br"'\''"[..]).as_slice(), b"'"].concat()
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the supervisor gets along by itself.
        let _ = self.thaw();
        drop(self.orders.take());
        let _ = self.supervisor.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_reads_a_quoted_word_as_it_was() {
        let word = r"it's $HOME
; `no`  two";
        let order = [b"printf %s ".to_vec(), quoted(word.as_bytes())].concat();
        let output = Command::new("sh").arg("-c").arg(OsStr::from_bytes(&order)).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
    }
}
