//! What was measured on.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// The facts about a machine that its figures depend on.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// The type of the file system that the data is on.
    pub(crate) filesystem: String,
}

impl Machine {
    /// This machine, and the file system of this directory; `unknown` where the kernel does not say.
    pub(crate) fn of(dir: &Path) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let or_unknown = |found: Option<&str>| found.unwrap_or("unknown").to_owned();
        let memory_kib = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|total| total.strip_suffix(" kB")?.parse().ok())
            .unwrap_or(0.0);
        Self {
            cpu: or_unknown(field(&read("/proc/cpuinfo"), "model name")),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_kib / 1024.0 / 1024.0,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: or_unknown(filesystem_of(&read("/proc/self/mountinfo"), dir)),
        }
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

/// The type of the mount with the longest path above `dir`: the fifth field is where it is mounted, the first one behind
/// the lone hyphen its type (proc_pid_mountinfo(5)).
fn filesystem_of<'a>(mountinfo: &'a str, dir: &Path) -> Option<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let mounted_at = mount.split(' ').nth(4)?;
            dir.starts_with(mounted_at).then_some((mounted_at.len(), filesystem.split(' ').next()?))
        })
        .max_by_key(|(path_bytes, _)| *path_bytes)
        .map(|(_, filesystem)| filesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_names_the_file_system() {
        let mountinfo = "21 1 0:1 / / rw - ext4 /dev/a rw\n22 21 0:2 / /data rw,noatime shared:1 - xfs /dev/b rw\n\
                         23 21 0:3 / /database rw - tmpfs none rw\n";
        assert_eq!(filesystem_of(mountinfo, Path::new("/data/x")), Some("xfs"));
        assert_eq!(filesystem_of(mountinfo, Path::new("/home")), Some("ext4"));
    }
}
