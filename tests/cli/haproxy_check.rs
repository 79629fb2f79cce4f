//! A real HAProxy takes what is rendered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sandbox::{Flavor, Sandbox};

/// The real thing, if this machine has it.
fn haproxy() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    let found = which::which_in("haproxy", Some(path), ".").ok();
    if found.is_none() {
        eprintln!(
            "SKIPPED: no haproxy on this machine, so no configuration was checked by a real one"
        );
    }
    found
}

/// HAProxy resolves the names of servers, which exist on an endpoint only: an address stands in for each.
fn resolvable(config: &str) -> String {
    let lines = config.lines().map(|line| {
        let mut words: Vec<&str> = line.split(' ').collect();
        let is_server = words[0] == "\tserver";
        let address;
        if let (true, Some(server)) = (is_server, words.get_mut(2)) {
            address = format!("127.0.0.1:{}", server.rsplit(':').next().unwrap());
            *server = &address;
            return words.join(" ") + "\n";
        }
        line.to_owned() + "\n"
    });
    lines.collect()
}

#[track_caller]
fn check(haproxy: &Path, folder: &Path, config: &str) {
    let file = folder.join("checked.cfg");
    let certificate = folder.join("tls.pem");
    fs::write(&certificate, include_str!("../fixtures/localhost.pem")).unwrap();
    let config = config.replace(
        "/usr/local/etc/haproxy/tls.pem",
        &certificate.to_string_lossy(),
    );
    fs::write(&file, resolvable(&config)).unwrap();
    let output = Command::new(haproxy)
        .arg("-c")
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("[ALERT]"),
        "{said}\n{config}"
    );
}

#[test]
fn every_golden_file_is_a_configuration() {
    let Some(haproxy) = haproxy() else { return };
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut checked = 0;
    for entry in fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "cfg") {
            check(&haproxy, folder.path(), &fs::read_to_string(path).unwrap());
            checked += 1;
        }
    }
    assert!(checked >= 3);
}

#[test]
fn every_rendered_file_is_a_configuration() {
    let Some(haproxy) = haproxy() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(Flavor::Engine);
    for arguments in [
        vec![],
        vec!["-n", "1"],
        vec!["-n", "500"],
        vec!["--lb-port", "65535", "--instance-port", "1"],
        vec!["--lb-img", "haproxy:1.8"],
        vec!["--lb-img", "haproxy:2.6-alpine", "-n", "7"],
        vec!["--instance-ctr-prefix", "9W_e.b-", "--lb-port", "8443"],
    ] {
        let config = sandbox
            .tool(&[&["render"], &arguments[..]].concat())
            .success();
        check(&haproxy, folder.path(), &config.stdout);
    }
}

#[test]
fn a_broken_file_is_found_out() {
    let Some(haproxy) = haproxy() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.cfg");
    fs::write(&file, "global\n\tmaxcon 256\n").unwrap();
    let status = Command::new(haproxy)
        .arg("-c")
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    assert!(!status.status.success());
}
