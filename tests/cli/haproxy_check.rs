//! A real HAProxy takes what is rendered.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use vch_lb::haproxy::Config;
use vch_lb::service::{Spec, head::Head};
use vch_lb::settings::{self, Settings, file::Assignments};

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

/// Any settings, accepted or not: the image's tag, which services and connections there are, how they are treated.
fn some_settings() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<String> {
        select(texts).prop_map(str::to_owned).boxed()
    }
    fn like(pattern: &'static str) -> BoxedStrategy<String> {
        string_regex(pattern).unwrap().boxed()
    }
    let health = prop_oneof![
        one_of(&["none", "tcp"]),
        like("http:/[a-zA-Z0-9/._~%?&=+:@!*;,()-]{0,40}(,[1-5][0-9]{2})?"),
    ];
    let stats = prop_oneof![one_of(&[""]), like("[1-9][0-9]{0,4}")];
    let arguments = one_of(&[
        "",
        "--memory 512m",
        "--label 'a=b c'",
        "--label \"it's=#1\"",
        "--label 'two\n\tlines'",
    ]);
    let values: Vec<(&'static str, BoxedStrategy<String>)> = vec![
        (
            "LB_IMG",
            one_of(&["haproxy:1.7", "haproxy:1.8", "haproxy:2.6"]),
        ),
        (
            "INSTANCE_CTR_PREFIX",
            like("[a-zA-Z0-9][a-zA-Z0-9_.-]{1,30}"),
        ),
        ("LB_PORT", like("[1-9][0-9]{0,3}")),
        ("INSTANCE_PORT", like("[1-9][0-9]{0,3}")),
        ("LB_ARGS", arguments),
        ("LB_MODE", one_of(&["http", "http", "tcp"])),
        (
            "LB_BALANCE",
            one_of(&["roundrobin", "static-rr", "leastconn", "first", "source"]),
        ),
        ("LB_MAXCONN", like("1000000|[1-9][0-9]{0,4}")),
        ("INSTANCE_MAXCONN", like("1000000|[1-9][0-9]{0,4}")),
        ("LB_TIMEOUT_CONNECT", like(TIMES)),
        ("LB_TIMEOUT_CLIENT", like(TIMES)),
        ("LB_TIMEOUT_SERVER", like(TIMES)),
        ("LB_TIMEOUT_TUNNEL", like(SOME_TIMES)),
        ("LB_TIMEOUT_QUEUE", like(SOME_TIMES)),
        ("LB_TIMEOUT_HTTP_REQUEST", like(SOME_TIMES)),
        ("LB_TIMEOUT_KEEP_ALIVE", like(SOME_TIMES)),
        ("HEALTH_CHECK", health.boxed()),
        (
            "HEALTH_HOST",
            like("|||[a-zA-Z0-9._\\[\\]][a-zA-Z0-9.:_\\[\\]-]{0,40}"),
        ),
        (
            "HEALTH_INTERVAL",
            like("2s|2s|2147483647|[1-9][0-9]{0,2}(ms|s|m)"),
        ),
        ("HEALTH_RISE", like("2|2|1000|[1-9][0-9]{0,2}")),
        ("HEALTH_FALL", like("3|3|1000|[1-9][0-9]{0,2}")),
        ("STICKY", one_of(&["none", "cookie", "source"])),
        ("FORWARDED_FOR", one_of(&["no", "yes"])),
        ("LB_LOG", one_of(&["syslog", "stdout"])),
        ("TLS_CERT", one_of(&["", "shop.pem"])),
        ("LB_REDIRECT_PORT", one_of(&["", "", "80", "9080"])),
        ("HSTS", one_of(&["", "", "0", "31536000"])),
        ("STATS_PORT", stats.boxed()),
    ];
    let (names, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    values.prop_map(move |texts| names.iter().copied().zip(texts).collect())
}

#[test]
fn whatever_shows_in_a_configuration_is_tried() {
    let tree = some_settings().new_tree(&mut TestRunner::deterministic());
    let tried = tree.unwrap().current();
    let travelling = settings::travelling().map(|setting| setting.name);
    let left_out: Vec<_> = travelling
        .filter(|name| !tried.contains_key(name))
        .collect();
    // By address or by name is the endpoint's affair, and templates of the admin's own are tried elsewhere.
    assert_eq!(left_out, ["SERVER_ADDRESS", "TEMPLATE"]);
}

/// The longest ones and a few beyond among them.
const TIMES: &str =
    "(2147483647|2147483s|35791m|596h|86400000m)|[1-9][0-9]{0,9}(|ms)|[1-9][0-9]{0,2}(s|m|h)";

/// The same, or nothing.
const SOME_TIMES: &str = "|||2147483647|[1-9][0-9]{0,2}(s|m|h)";

/// Every line says what the template has it say, with nothing of a value's own on a line of its own.
fn stays_in_its_lines(config: &str, servers: usize) {
    let first_words = "# global maxconn log stats defaults mode timeout option frontend bind default_backend backend \
        balance hash-type http-check cookie server http-request http-response http-after-response";
    let count = |word: &str| {
        let is_it = |line: &&str| line.split_whitespace().next() == Some(word);
        config.lines().filter(is_it).count()
    };
    for line in config.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        let known = first_words.split_whitespace().any(|word| word == first);
        assert!(known, "{line:?} in\n{config}");
    }
    assert_eq!(count("server"), servers, "{config}");
    assert_eq!(count("global"), 1, "{config}");
    let redirects = usize::from(config.contains("\thttp-request redirect "));
    assert_eq!(count("bind"), count("frontend") + redirects, "{config}");
    assert!(count("#") <= 1 && count("maxconn") == 1, "{config}");
}

#[test]
fn all_accepted_settings_together_are_a_configuration() {
    let Some(haproxy) = haproxy() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 40,
        max_global_rejects: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let tried = runner.run(&some_settings(), |given| {
        let flag = |name: &str| given.get(name).cloned();
        let settings = Settings::resolve(flag, |_| None, &Assignments::default());
        let Ok(spec) = Spec::from_settings(&settings) else {
            return Err(TestCaseError::reject("settings that contradict each other"));
        };
        let config = Config::by_name(&spec, &[1, 2, 7]).render().unwrap();
        stays_in_its_lines(&config, 3);
        assert_eq!(Head::read(&config).unwrap().tuning, spec.tuning, "{config}");
        check(&haproxy, folder.path(), &config);
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}
