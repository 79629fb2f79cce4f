//! The tar archives that `docker cp` speaks: one file out of one, one file into one. Pure.

use std::io::Read;

/// The content of the only file in the archive that `docker cp CONTAINER:PATH -` writes.
pub fn unpack(archive: &[u8]) -> Result<Vec<u8>, String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive
        .entries()
        .map_err(|error| format!("not a tar archive: {error}"))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| format!("not a tar archive: {error}"))?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry
                .read_to_end(&mut content)
                .map_err(|error| format!("a truncated tar archive: {error}"))?;
            if content.len() as u64 != entry.size() {
                return Err("a truncated tar archive".into());
            }
            return Ok(content);
        }
    }
    Err("a tar archive without a file".into())
}

/// An archive for `docker cp - CONTAINER:DIRECTORY`, holding one file that everyone may read: newer HAProxy images
/// don't run as root.
pub fn pack(name: &str, content: &[u8]) -> Result<Vec<u8>, String> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
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
        assert_eq!(unpack(&archive).unwrap(), b"abc");
        assert!(unpack(&archive[..513]).is_err());
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
