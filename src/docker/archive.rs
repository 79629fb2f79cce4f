//! The tar archives that `docker cp` speaks: one file out of one, one file into one. Pure.

use std::io::Read;

use tar::EntryType;

/// What lies at a path, by the archive that `docker cp CONTAINER:PATH -` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    File(Vec<u8>),
    Directory,
    Link,
    /// A pipe, a device.
    Special,
}

/// Reads the first entry: the path itself. Behind a directory comes what is in it.
pub fn unpack(archive: &[u8]) -> Result<Entry, String> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive
        .entries()
        .map_err(|error| format!("not a tar archive: {error}"))?;
    let Some(entry) = entries.next() else {
        return Err("a tar archive without a file".into());
    };
    let mut entry = entry.map_err(|error| format!("not a tar archive: {error}"))?;
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => {}
        EntryType::Directory => return Ok(Entry::Directory),
        EntryType::Symlink | EntryType::Link => return Ok(Entry::Link),
        _ => return Ok(Entry::Special),
    }
    let mut content = Vec::new();
    entry
        .read_to_end(&mut content)
        .map_err(|error| format!("a truncated tar archive: {error}"))?;
    if content.len() as u64 != entry.size() {
        return Err("a truncated tar archive".into());
    }
    Ok(Entry::File(content))
}

/// An archive for `docker cp - CONTAINER:DIRECTORY`, holding one file that everyone may read: newer HAProxy images
/// don't run as root.
pub fn pack(name: &str, content: &[u8]) -> Result<Vec<u8>, String> {
    packed(name, content, 0o644)
}

/// The same with a file that only root may read there: HAProxy has no business with it.
pub fn pack_secret(name: &str, content: &[u8]) -> Result<Vec<u8>, String> {
    packed(name, content, 0o600)
}

fn packed(name: &str, content: &[u8], mode: u32) -> Result<Vec<u8>, String> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    // Left out, these are no numbers, and not every reader takes that for 0.
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_data(&mut header, name, content)
        .and_then(|()| builder.into_inner())
        .map_err(|error| format!("no tar archive of `{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_in_and_comes_out() {
        let archive = pack("haproxy.cfg", b"abc").unwrap();
        assert_eq!(unpack(&archive).unwrap(), Entry::File(b"abc".to_vec()));
        assert!(unpack(&archive[..513]).is_err());
    }

    #[test]
    fn what_is_no_file_is_told_by_its_first_entry() {
        for (kind, entry) in [
            (EntryType::Directory, Entry::Directory),
            (EntryType::Symlink, Entry::Link),
            (EntryType::Fifo, Entry::Special),
            (EntryType::Char, Entry::Special),
        ] {
            let mut builder = tar::Builder::new(Vec::new());
            let mut add = |kind, name: &str, content: &[u8]| {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(kind);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, content).unwrap();
            };
            add(kind, "haproxy.cfg", b"");
            add(EntryType::Regular, "haproxy.cfg/in", b"abc");
            assert_eq!(unpack(&builder.into_inner().unwrap()).unwrap(), entry);
        }
    }

    #[test]
    fn what_is_no_archive_is_said() {
        assert!(unpack(b"garbage").is_err());
        assert!(unpack(b"").is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = unpack(&bytes);
        }
    }
}
