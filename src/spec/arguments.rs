//! Further arguments for `docker run` and `docker create`: split as a shell splits words, passed as they are, refused
//! where they would break the plan. Pure.

use std::fmt;

/// Options of `docker run` and `docker create` that take no value. Others do, as `--option value` or `--option=value`.
const SWITCHES: &[&str] = &[
    "--init",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--privileged",
    "--read-only",
    "--use-api-socket",
];

/// Options that take a value, as their next word may be. One that is missing here has to be given as `--option=value`:
/// else its value could be taken for the image.
const OPTIONS: &[&str] = &[
    "--add-host",
    "--annotation",
    "--blkio-weight",
    "--cap-add",
    "--cap-drop",
    "--cgroup-parent",
    "--cgroupns",
    "--cpu-period",
    "--cpu-quota",
    "--cpu-shares",
    "--cpus",
    "--cpuset-cpus",
    "--cpuset-mems",
    "--device",
    "--dns",
    "--dns-option",
    "--dns-search",
    "--domainname",
    "--entrypoint",
    "--env",
    "--env-file",
    "--expose",
    "--gpus",
    "--group-add",
    "--health-cmd",
    "--health-interval",
    "--health-retries",
    "--health-start-period",
    "--health-timeout",
    "--hostname",
    "--ip",
    "--ip6",
    "--ipc",
    "--isolation",
    "--label",
    "--label-file",
    "--link",
    "--log-driver",
    "--log-opt",
    "--mac-address",
    "--memory",
    "--memory-reservation",
    "--memory-swap",
    "--memory-swappiness",
    "--mount",
    "--network-alias",
    "--oom-score-adj",
    "--pid",
    "--pids-limit",
    "--platform",
    "--publish",
    "--pull",
    "--restart",
    "--runtime",
    "--security-opt",
    "--shm-size",
    "--stop-signal",
    "--stop-timeout",
    "--storage-opt",
    "--sysctl",
    "--tmpfs",
    "--ulimit",
    "--user",
    "--userns",
    "--uts",
    "--volume",
    "--volume-driver",
    "--volumes-from",
    "--workdir",
    "-c",
    "-e",
    "-h",
    "-l",
    "-m",
    "-p",
    "-u",
    "-v",
    "-w",
];

/// Options that would break the plan, and why.
const REFUSED: &[(&str, &str)] = &[
    ("--name", "names are given by vch-lb"),
    ("--net", "networks are given by vch-lb"),
    ("--network", "networks are given by vch-lb"),
    (
        "--rm",
        "a container that removes itself can't be resumed or explained",
    ),
    ("-d", "containers run in the background already"),
    ("--detach", "containers run in the background already"),
    ("--detach-keys", "nobody is attached"),
    ("-a", "nobody is attached"),
    ("--attach", "nobody is attached"),
    ("-i", "there is no stdin for it to read"),
    ("--interactive", "there is no stdin for it to read"),
    ("-t", "there is no terminal"),
    ("--tty", "there is no terminal"),
    ("--cidfile", "vch-lb keeps no files"),
    ("-P", "ports are published by vch-lb"),
    ("--publish-all", "ports are published by vch-lb"),
    ("--sig-proxy", "nobody is attached"),
    ("--quiet", "vch-lb reads what docker prints"),
    ("-q", "vch-lb reads what docker prints"),
    ("--help", "it would start nothing"),
];

/// Checked arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Splits and checks `text`; `port` is the container's port that vch-lb publishes itself.
    pub fn parse(text: &str, port: Option<u16>) -> Result<Self, String> {
        let words = split(text)?;
        check(&words, port)?;
        Ok(Self(words))
    }

    pub fn words(&self) -> &[String] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether docker is to keep no log of the container.
    pub fn without_log(&self) -> bool {
        let mut words = self.0.iter().peekable();
        let mut driver = None;
        while let Some(word) = words.next() {
            let (option, inline) = split_option(word);
            let takes_next = inline.is_none() && OPTIONS.contains(&option);
            let value = inline.or_else(|| words.next_if(|_| takes_next).map(String::as_str));
            if option == "--log-driver" {
                driver = value;
            }
        }
        // Of several, docker takes the last.
        driver == Some("none")
    }
}

/// Quoted for a shell.
impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shell_words::join(&self.0))
    }
}

/// Words as a shell splits them.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    // They travel in a comment line of haproxy.cfg, or in a label.
    if text.chars().any(char::is_control) {
        return Err("it holds a control character".into());
    }
    shell_words::split(text).map_err(|_| "a quote is not closed".to_owned())
}

fn check(words: &[String], port: Option<u16>) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word == "-" || word == "--" {
            return Err(format!(
                "`{word}` would be taken for the image: only options are passed on"
            ));
        }
        let (option, inline) = split_option(word);
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == option) {
            return Err(format!("`{option}` can't be given: {why}"));
        }
        if SWITCHES.contains(&option) {
            continue;
        }
        let value = match inline {
            Some(value) => value,
            None if OPTIONS.contains(&option) => words
                .next()
                .ok_or_else(|| format!("`{option}` needs a value"))?
                .as_str(),
            None => {
                return Err(format!(
                    "`{option}` is not known here: give it as {option}=VALUE"
                ));
            }
        };
        if matches!(option, "-p" | "--publish") && port.is_some_and(|port| publishes(value, port)) {
            return Err(format!(
                "`{option} {value}` can't be given: vch-lb publishes that port itself"
            ));
        }
    }
    Ok(())
}

/// `--env=A=1` → (`--env`, `A=1`); `-p80` → (`-p`, `80`); `-it` → (`-i`, …).
fn split_option(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return word
            .split_once('=')
            .map_or((word, None), |(option, value)| (option, Some(value)));
    }
    let end = word
        .char_indices()
        .nth(2)
        .map_or(word.len(), |(index, _)| index);
    let (option, rest) = word.split_at(end);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    (option, (!rest.is_empty()).then_some(rest))
}

/// Whether a `-p` value is about the container's `port`: `80`, `8080:80`, `1.2.3.4:8080:80/tcp`.
fn publishes(value: &str, port: u16) -> bool {
    let container = value.rsplit(':').next().unwrap_or(value);
    let (number, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    protocol == "tcp" && number.parse() == Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_a_shell_splits_them() {
        let given = r#"--env "GREETING=hello world" -e A=1 --memory=512m -v data:/data --read-only -p 9000 -u0"#;
        let arguments = Arguments::parse(given, Some(80)).unwrap();
        assert_eq!(arguments.words()[1], "GREETING=hello world");
        assert_eq!(arguments.words().len(), 11);
        assert!(Arguments::parse("", Some(80)).unwrap().is_empty());
        assert!(Arguments::parse("--some-new-option=x", None).is_ok());
    }

    #[test]
    fn what_would_break_the_plan_is_refused_with_the_reason() {
        for (given, why) in [
            ("--name x", "names are given"),
            ("--name=x", "names are given"),
            ("--net other", "networks are given"),
            ("--rm", "removes itself"),
            ("-d", "in the background"),
            ("-it", "no stdin"),
            ("-p 80", "publishes that port itself"),
            ("-p80", "publishes that port itself"),
            ("--publish=8080:80/tcp", "publishes that port itself"),
            ("evil/image", "taken for the image"),
            ("--env A=1 evil/image", "taken for the image"),
            ("-- evil", "taken for the image"),
            ("--some-new-option x", "give it as --some-new-option=VALUE"),
            ("--env", "needs a value"),
            ("--env 'A", "a quote is not closed"),
        ] {
            let refusal = Arguments::parse(given, Some(80)).unwrap_err();
            assert!(refusal.contains(why), "{given}: {refusal}");
        }
        assert!(Arguments::parse("-p 80/udp -p 81 -p 8443:443", Some(80)).is_ok());
    }

    #[test]
    fn that_no_log_is_kept_is_seen() {
        for (given, without) in [
            ("", false),
            ("--log-driver none", true),
            ("--read-only --log-driver=none -e A=1", true),
            ("--log-driver none --log-driver json-file", false),
            ("--log-driver json-file --log-opt max-size=10m", false),
            ("--env --log-driver=none", false),
            ("--label none", false),
        ] {
            let arguments = Arguments::parse(given, None).unwrap();
            assert_eq!(arguments.without_log(), without, "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_holds_options_only(text: String) {
            if let Ok(arguments) = Arguments::parse(&text, Some(80)) {
                assert!(arguments.words().first().is_none_or(|first| first.starts_with('-')));
            }
        }
    }
}
