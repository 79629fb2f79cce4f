//! haproxy.cfg on this workstation: checked before anything is changed, written whole or not at all.
//!
//! Where the admin's symbolic link leads is found out once, before the check. What lies there is exchanged for the new file,
//! never written into: a link that somebody puts there meanwhile is replaced, not followed.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};

use crate::error::Failure;
use crate::haproxy::read::is_ours;
use crate::text;

/// How many symbolic links are followed, as Linux does.
const LINKS: usize = 40;

/// Finds out whether the file can be written, without touching one that is there. One that is not ours is replaced only
/// if `overwrite` says so.
pub fn check(path: &Path, overwrite: bool) -> Result<(), Failure> {
    let refusal = |why: String| {
        Failure::usage(format!(
            "`{}` (--config-out) can't be written: {why}",
            path.display()
        ))
    };
    let target = target(path).map_err(|error| refusal(format!("{error:#}")))?;
    temporary(&target).map(drop).map_err(|error| {
        refusal(format!("{error:#}"))
            .hinted("name a file elsewhere with --config-out, or change to a directory of yours")
    })?;
    if !overwrite && is_foreign(&target) {
        return Err(Failure::failed(format!(
            "`{}` is there already, and is no haproxy.cfg of vch-lb's or the script's",
            path.display()
        ))
        .hinted("--config-out PATH writes elsewhere, --overwrite replaces it"));
    }
    Ok(())
}

/// Whether something is lost if the file is replaced. Of one that can't be read, nobody knows.
pub fn is_foreign(path: &Path) -> bool {
    match fs::read(path) {
        Err(error) => error.kind() != ErrorKind::NotFound,
        Ok(bytes) if bytes.is_empty() => false,
        Ok(bytes) => !str::from_utf8(&bytes).is_ok_and(is_ours),
    }
}

/// Exchanges the file at `path`, which is behind links already, for one that holds `text`. One that is there keeps its mode.
/// A new one is for everybody, as the load balancer may not run as root, unless it holds what only its owner should see.
pub fn write(path: &Path, text: &str, secret: bool) -> Result<(), Failure> {
    let result = (|| {
        let found = fs::symlink_metadata(path).ok();
        if let Some(found) = &found {
            ensure!(
                found.is_file() || found.is_symlink(),
                "it is no regular file"
            );
        }
        let mut file = temporary(path)?;
        file.write_all(text.as_bytes())
            .map_err(|error| told(&error))?;
        let before = found.filter(fs::Metadata::is_file);
        set_mode(file.as_file(), before.as_ref(), secret).map_err(|error| told(&error))?;
        file.persist(path).map_err(|error| told(&error.error))?;
        anyhow::Ok(())
    })();
    Ok(result.with_context(|| format!("`{}` was not written", path.display()))?)
}

/// The file itself, where `path` is a symbolic link: docker copies a link as a link.
pub fn behind_links(path: &str) -> String {
    let target = target(Path::new(path));
    target.map_or_else(
        |_| path.to_owned(),
        |target| target.to_string_lossy().into_owned(),
    )
}

/// Where a symbolic link leads, even to a file that is not there yet: the link itself stays. A device, say, is never
/// replaced by a file.
fn target(path: &Path) -> anyhow::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        ensure!(!target.is_dir(), "it is a directory");
        ensure!(target.file_name().is_some(), "it names no file");
        let Ok(found) = fs::symlink_metadata(&target) else {
            return Ok(target);
        };
        if !found.is_symlink() {
            ensure!(found.is_file(), "it is no regular file");
            return Ok(target);
        }
        let next = fs::read_link(&target).map_err(|error| told(&error))?;
        target = target.parent().unwrap_or(Path::new("")).join(next);
    }
    bail!("it is a symbolic link that leads nowhere");
}

/// What went wrong, but not with which temporary file: the admin named another.
fn told(error: &io::Error) -> anyhow::Error {
    anyhow!(text::reason(error))
}

fn temporary(target: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let directory = target
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(".haproxy.cfg.")
        .tempfile_in(directory)
        .map_err(|error| told(&error))
}

#[cfg(unix)]
fn set_mode(file: &fs::File, before: Option<&fs::Metadata>, secret: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let new = if secret { 0o600 } else { 0o644 };
    let mode = before.map_or(new, |before| before.permissions().mode() & 0o777);
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same shape as where there are modes"
)]
fn set_mode(_file: &fs::File, _before: Option<&fs::Metadata>, _secret: bool) -> io::Result<()> {
    Ok(())
}

/// Whether everybody may read the file, or will once it is written: docker copies the mode along, and the load balancer may
/// not run as root.
pub fn is_for_everybody(path: &Path, secret: bool) -> bool {
    fs::metadata(path).map_or(!secret, |found| everybody_reads(&found))
}

#[cfg(unix)]
fn everybody_reads(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn everybody_reads(_found: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_touches_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("haproxy.cfg");
        check(&path, false).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::write(&path, "# vch-lb 1").unwrap();
        check(&path, false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# vch-lb 1");
    }

    #[test]
    fn a_file_of_somebody_elses_is_replaced_only_if_asked_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("haproxy.cfg");
        for foreign in [&b"listen shop\n"[..], b"\xff\xfe"] {
            fs::write(&path, foreign).unwrap();
            let failure = check(&path, false).unwrap_err();
            assert!(failure.what.contains("is there already"), "{failure:?}");
            assert!(failure.hints[0].to_string().contains("--overwrite"));
            check(&path, true).unwrap();
        }
        fs::write(&path, "").unwrap();
        check(&path, false).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_found_before() {
        let directory = tempfile::tempdir().unwrap();
        assert!(
            check(directory.path(), false)
                .unwrap_err()
                .what
                .contains("is a directory")
        );
        let nowhere = directory.path().join("no/such/haproxy.cfg");
        let what = check(&nowhere, false).unwrap_err().what;
        assert!(
            !what.contains(".haproxy.cfg.") && !what.contains("os error"),
            "{what}"
        );
        assert!(
            check(&nowhere, false)
                .unwrap_err()
                .what
                .contains("can't be written")
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_replaced_whole_and_readable_by_all() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("haproxy.cfg");
        write(&path, "one", false).unwrap();
        write(&path, "two", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real.cfg");
        let link = directory.path().join("haproxy.cfg");
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let behind = behind_links(link.to_str().unwrap());
        write(Path::new(&behind), "new", false).unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(
            fs::symlink_metadata(&link)
                .unwrap()
                .file_type()
                .is_symlink()
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_was_put_there_after_the_check_is_not_followed() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("haproxy.cfg");
        check(&path, false).unwrap();
        let foreign = directory.path().join("foreign");
        fs::write(&foreign, "mine").unwrap();
        fs::set_permissions(&foreign, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&foreign, &path).unwrap();
        write(&path, "ours", false).unwrap();
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "mine");
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&foreign), mode(&path)), (0o600, 0o644));
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_keeps_its_mode_and_a_secret_one_is_for_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = directory.path().join("haproxy.cfg");
        write(&path, "one", true).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(!is_for_everybody(&path, false));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, "two", false).unwrap();
        assert_eq!(mode(&path), 0o640);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, "three", true).unwrap();
        assert!(is_for_everybody(&path, true));
    }
}
