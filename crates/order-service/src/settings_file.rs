//! Files that are read again and again while the service runs. One that does not answer, as on a server that is away, or a
//! pipe that nobody writes to, must not hold up anything else.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::OFlags;

/// For one look at a file.
const PATIENCE: Duration = Duration::from_secs(3);

/// A file that is looked at more than once.
#[derive(Debug, Clone)]
pub(crate) struct SettingsFile {
    path: PathBuf,
    max_bytes: usize,
    /// A look has begun and not ended. There is never more than one: each takes a thread.
    is_being_read: Arc<AtomicBool>,
}

/// The same file, however far each has come.
impl PartialEq for SettingsFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.max_bytes) == (&other.path, other.max_bytes)
    }
}

impl Eq for SettingsFile {}

impl SettingsFile {
    /// One that has at most so many bytes.
    pub(crate) fn new(path: PathBuf, max_bytes: usize) -> Self {
        Self { path, max_bytes, is_being_read: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it. Nobody waits longer than three seconds.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub(crate) async fn read(&self) -> Result<Vec<u8>, String> {
        if self.is_being_read.swap(true, Ordering::AcqRel) {
            return Err("it is still being read: whatever it is on does not answer".to_owned());
        }
        let Self { path, max_bytes, is_being_read } = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let found = read(&path, max_bytes);
            is_being_read.store(false, Ordering::Release);
            found
        });
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(found) => found.unwrap_or_else(|error| Err(error.to_string())),
            Err(_) => Err(format!("it could not be read within {} s", PATIENCE.as_secs())),
        }
    }
}

/// Looks at a file, or at several. What they see counts once two have seen the same: a file that is being written is not taken
/// half.
pub(crate) struct Looks<T> {
    last: T,
    counts: T,
}

impl<T: Clone + PartialEq> Looks<T> {
    /// What was seen first counts.
    pub(crate) fn after(first: T) -> Self {
        Self { counts: first.clone(), last: first }
    }

    /// What counts from now on, if that is something else than before.
    pub(crate) fn other(&mut self, seen: T) -> Option<&T> {
        let is_other = seen == self.last && seen != self.counts;
        self.last = seen;
        if is_other {
            self.counts.clone_from(&self.last);
        }
        is_other.then_some(&self.counts)
    }
}

/// What is in a file that has at most so many bytes.
///
/// # Errors
/// What keeps it from being read, or that it is something else than a file.
pub(crate) fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, String> {
    let fault = |error: std::io::Error| error.to_string();
    // Whoever opens a pipe waits for somebody to write to it, unless they say that they do not want to.
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(without_waiting).open(path).map_err(fault)?;
    let metadata = file.metadata().map_err(fault)?;
    if !metadata.is_file() {
        return Err(format!(
            "it is {}, and no file",
            if metadata.is_dir() { "a directory" } else { "a pipe or device" }
        ));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() > max_bytes { Err(format!("it is longer than {max_bytes} bytes")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn made_pipe(directory: &Path) -> PathBuf {
        let path = directory.join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        path
    }

    #[test]
    fn only_files_are_read_and_no_more_of_them_than_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "four").unwrap();
        assert_eq!(read(&file, 4), Ok(b"four".to_vec()));
        assert_eq!(read(&file, 3), Err("it is longer than 3 bytes".to_owned()));
        assert_eq!(read(directory.path(), 4), Err("it is a directory, and no file".to_owned()));
        assert_eq!(
            read(&made_pipe(directory.path()), 4),
            Err("it is a pipe or device, and no file".to_owned())
        );
    }

    #[test]
    fn what_is_seen_counts_once_it_was_seen_twice() {
        let seen = |text: &str| Ok(text.to_owned());
        let mut looks = Looks::after(seen("a"));
        for (text, counts) in
            [("a", None), ("b", None), ("bc", None), ("bcd", None), ("bcd", Some("bcd")), ("bcd", None)]
        {
            assert_eq!(looks.other(seen(text)), counts.map(seen).as_ref(), "{text}");
        }
        assert_eq!(looks.other(Err("away".to_owned())), None);
        assert_eq!(looks.other(seen("bcd")), None, "it was away for a moment");
    }

    #[tokio::test]
    async fn a_look_that_does_not_end_is_given_up_and_none_begins_beside_it() {
        let file = SettingsFile::new("/nowhere".into(), 1);
        file.is_being_read.store(true, Ordering::Release);
        let began = Instant::now();
        let fault = file.read().await.unwrap_err();
        assert!(fault.starts_with("it is still being read"), "{fault}");
        file.is_being_read.store(false, Ordering::Release);
        assert!(file.read().await.unwrap_err().contains("No such file"));
        assert!(file.read().await.unwrap_err().contains("No such file"), "a look that has ended lets go");
        assert!(began.elapsed() < PATIENCE);
    }
}
