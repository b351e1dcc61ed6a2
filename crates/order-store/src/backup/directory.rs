//! The directory of a backup: whose it is, who has it, and how files come into it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use uuid::Uuid;

use super::BackupDirError;
use super::manifest::{Manifest, PartFile};
use super::part::is_part_name;
use crate::checksum::Checksum;

const MANIFEST: &str = "manifest.json";
const LOCK: &str = "backup.lock";
/// What the name of a file ends with that is not whole.
const UNFINISHED: &str = ".tmp";
/// Nobody but the owner reads orders.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Bytes that are written before they are waited for: more at once would hold up a server that syncs the same disk.
const BYTES_PER_SYNC: usize = 8 * 1024 * 1024;

/// A directory that nobody else changes.
pub(super) struct BackupDir {
    path: PathBuf,
    _lock: Option<File>,
}

impl BackupDir {
    /// Opens a directory to write to it, and makes it if it is not there. Answers with its manifest; a new one is that of
    /// this log, and says from now on whose directory it is.
    pub(super) fn open_to_write(path: &Path, log_id: Uuid) -> Result<(Self, Manifest), BackupDirError> {
        let failed = BackupDirError::io(path);
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(&failed)?;
            sync_directory(path.parent().unwrap_or(path)).map_err(&failed)?;
        }
        let has_manifest = path.join(MANIFEST).exists();
        if !has_manifest {
            check_empty(path)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(FILE_MODE);
        let lock = options.custom_flags(no_links()).open(path.join(LOCK)).map_err(&failed)?;
        held(lock.try_lock(), path)?;
        let dir = Self { path: path.to_owned(), _lock: Some(lock) };
        // Another process may have made it before it gave the lock back.
        let manifest = match dir.manifest() {
            Ok(manifest) => manifest,
            Err(BackupDirError::NotABackup(_)) => Manifest::new(log_id),
            Err(error) => return Err(error),
        };
        if !has_manifest {
            dir.write_manifest(&manifest)?;
        }
        Ok((dir, manifest))
    }

    /// Opens a directory that has a backup, to read it. Several may.
    pub(super) fn open_to_read(path: &Path) -> Result<(Self, Manifest), BackupDirError> {
        // Where it cannot be had, as in a copy without it, nobody makes a backup.
        let lock = Some(path.join(LOCK)).filter(|lock| lock.is_file()).and_then(|lock| File::open(lock).ok());
        if let Some(lock) = &lock {
            held(lock.try_lock_shared(), path)?;
        }
        let dir = Self { path: path.to_owned(), _lock: lock };
        let manifest = dir.manifest()?;
        Ok((dir, manifest))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn manifest(&self) -> Result<Manifest, BackupDirError> {
        let path = self.path.join(MANIFEST);
        match read_file(&path) {
            Ok(text) => Manifest::parse(&text, &path),
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.is_dir() => {
                Err(BackupDirError::NotABackup(self.path.clone()))
            }
            Err(error) => Err(BackupDirError::io(&path)(error)),
        }
    }

    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<(), BackupDirError> {
        let failed = BackupDirError::io(&self.path);
        let text = manifest.to_text().map_err(|error| failed(error.into()))?;
        self.write(MANIFEST, text.as_bytes())
    }

    /// Puts a part there, durably, and answers with what is to be known of it.
    pub(super) fn write_part(&self, name: String, content: &[u8]) -> Result<PartFile, BackupDirError> {
        self.write(&name, content)?;
        let checksum = Checksum::of(content).to_string();
        Ok(PartFile { name, bytes: content.len() as u64, checksum })
    }

    /// The whole content of a part that is what was written.
    pub(super) fn read_part(&self, part: &PartFile) -> Result<Vec<u8>, BackupDirError> {
        self.check_length(part)?;
        let path = self.path.join(&part.name);
        let content = read_file(&path).map_err(BackupDirError::io(&path))?;
        if Checksum::of(&content).to_string() != part.checksum {
            return Err(BackupDirError::damaged(&path, "its checksum does not match"));
        }
        Ok(content)
    }

    /// That a part is there and as long as it was: little beside reading it.
    pub(super) fn check_length(&self, part: &PartFile) -> Result<(), BackupDirError> {
        let path = self.path.join(&part.name);
        if !is_part_name(&part.name) {
            return Err(BackupDirError::damaged(&path, "no part has such a name"));
        }
        match fs::metadata(&path) {
            Ok(file) if file.len() == part.bytes => Ok(()),
            Ok(file) => {
                let what = format!("it has {} bytes, and {} were written", file.len(), part.bytes);
                Err(BackupDirError::damaged(&path, what))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(BackupDirError::damaged(&path, "it is missing"))
            }
            Err(error) => Err(BackupDirError::io(&path)(error)),
        }
    }

    /// Removes parts that the manifest does not name, and files that are not whole: what was left by runs that were cut
    /// short, and receipts of an earlier one.
    pub(super) fn remove_leftovers(&self, manifest: &Manifest) -> Result<(), BackupDirError> {
        for name in file_names(&self.path)? {
            let is_named = manifest.files().any(|part| part.name == name);
            if is_ours(&name) && (name.ends_with(UNFINISHED) || is_part_name(&name) && !is_named) {
                let path = self.path.join(&name);
                fs::remove_file(&path).map_err(BackupDirError::io(&path))?;
            }
        }
        Ok(())
    }

    /// A file has its name only once it is whole and on the disk.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), BackupDirError> {
        let (path, unfinished) = (self.path.join(name), self.path.join(format!("{name}{UNFINISHED}")));
        let written = write_durably(&unfinished, content);
        let renamed = written.and_then(|()| fs::rename(&unfinished, &path));
        renamed.and_then(|()| sync_directory(&self.path)).map_err(|error| {
            // It would take the space that others need.
            let _ = fs::remove_file(&unfinished);
            BackupDirError::io(&path)(error)
        })
    }
}

/// Writes a new file. One that a run has left is no longer there then, nor is a link, which would lead elsewhere.
fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(path)?;
    for piece in content.chunks(BYTES_PER_SYNC) {
        file.write_all(piece)?;
        file.sync_data()?;
    }
    file.sync_all()
}

/// What is in a file. Nobody waits for a pipe.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    fs::read(path)
}

/// For files that are opened whether or not they are there: a link would lead elsewhere.
fn no_links() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

/// Makes the names in it durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// A directory without a manifest is taken for a backup's only if nobody has put anything there.
fn check_empty(path: &Path) -> Result<(), BackupDirError> {
    let begun = |name: &str| name == LOCK || *name == format!("{MANIFEST}{UNFINISHED}");
    match file_names(path)?.into_iter().find(|name| !begun(name)) {
        Some(file) => Err(BackupDirError::Foreign { path: path.to_owned(), file }),
        None => Ok(()),
    }
}

fn file_names(path: &Path) -> Result<Vec<String>, BackupDirError> {
    let names = fs::read_dir(path).and_then(|entries| {
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    });
    names.map_err(BackupDirError::io(path))
}

fn is_ours(name: &str) -> bool {
    let whole = name.strip_suffix(UNFINISHED).unwrap_or(name);
    whole == MANIFEST || is_part_name(whole)
}

fn held(lock: Result<(), TryLockError>, path: &Path) -> Result<(), BackupDirError> {
    lock.map_err(|error| match error {
        TryLockError::WouldBlock => BackupDirError::InUse(path.to_owned()),
        TryLockError::Error(cause) => BackupDirError::io(path)(cause),
    })
}
