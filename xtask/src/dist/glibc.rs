//! Which C library a binary needs. Each symbol that it takes from glibc has the version that brought it, and the names of these
//! versions (`GLIBC_2.34`) stand in the binary.

const PREFIX: &[u8] = b"GLIBC_";

/// The newest version that is named, which is the oldest that it runs on.
pub(super) fn needed(binary: &[u8]) -> Option<String> {
    let at = |window: &[u8]| window == PREFIX;
    let starts = binary.windows(PREFIX.len()).enumerate().filter(|(_, window)| at(window));
    let newest = starts.filter_map(|(start, _)| version(&binary[start + PREFIX.len()..])).max()?;
    Some(newest.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
}

/// The numbers at the beginning, up to the byte that ends each name.
fn version(bytes: &[u8]) -> Option<Vec<u32>> {
    let name = bytes.split(|byte| *byte == 0).next()?;
    let name = str::from_utf8(name).ok().filter(|name| name.len() < 12)?;
    name.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_newest_of_all_that_are_named() {
        let named = b"\x7fELF\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.4\0GLIBC_PRIVATE\0GLIBC_2.99 is no name\0";
        assert_eq!(needed(named).as_deref(), Some("2.34"));
        assert_eq!(needed(b"\x7fELF, static"), None);
    }

    #[test]
    fn this_test_itself_needs_one() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needed = needed(&this).unwrap();
        let (major, minor) = needed.split_once('.').unwrap();
        assert_eq!(major, "2", "{needed}");
        assert!(minor.parse::<u32>().unwrap() >= 14, "{needed}");
    }
}
