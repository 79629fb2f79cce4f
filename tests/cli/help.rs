//! What the tool says about itself: help, suggestions, completions, manual pages.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::sandbox::{Flavor, Ran, Sandbox};

fn tool(arguments: &[&str]) -> Ran {
    let sandbox = Sandbox::new(Flavor::Engine);
    let ran = sandbox.tool_with(arguments, |command| command.env("COLUMNS", "80"));
    assert!(sandbox.calls().is_empty(), "\n{ran}");
    ran
}

#[test]
fn short_help_groups_its_options_and_stays_short() {
    let ran = tool(&["-h"]).success();
    let headings: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.ends_with(':') && !line.starts_with(' '))
        .collect();
    let expected = [
        "Commands:",
        "Options:",
        "Service:",
        "Load balancer:",
        "Docker:",
        "Output:",
        "Change:",
    ];
    assert_eq!(headings, expected, "\n{ran}");
    assert!(ran.stdout.lines().count() <= 60, "\n{ran}");
    assert!(!ran.stdout.contains("--lb-timeout-client"), "\n{ran}");
}

#[test]
fn long_help_names_every_setting_with_its_variable_and_default() {
    let ran = tool(&["--help"]).success();
    for setting in vch_lb::settings::TABLE {
        let ran = &ran;
        assert!(
            ran.stdout.contains(&format!("--{} <", setting.flag())),
            "{}\n{ran}",
            setting.name
        );
        assert!(
            ran.stdout.contains(&format!("[env: {}]", setting.name)),
            "{}\n{ran}",
            setting.name
        );
    }
    ran.stdout_has("[env: NUM_INSTANCES] [default: 3]")
        .stdout_has("Examples:");
}

#[test]
fn each_subcommand_has_an_example() {
    for subcommand in vch_lb::cli::command().get_subcommands() {
        let name = subcommand.get_name();
        let example = format!("vch-lb {name}");
        let ran = tool(&[name, "-h"]).success();
        let examples = ran.stdout.split("Example:").nth(1);
        assert!(
            examples.is_some_and(|text| text.contains(&example)),
            "\n{ran}"
        );
    }
}

#[test]
fn the_topics_of_help_print_their_tables() {
    let ran = tool(&["help", "exit-codes"]).success().stderr("");
    for (code, meaning) in vch_lb::error::exit::MEANINGS {
        assert!(
            ran.stdout.contains(&format!("{code:>3}  {meaning}\n")),
            "\n{ran}"
        );
    }
    tool(&["exit-codes"]).success().stdout(&ran.stdout);
    tool(&["help", "settings"]).success().stdout_has(
        "LB_PORT                  80           Port that the load balancer serves on\n",
    );
}

#[test]
fn help_lists_every_topic_and_explains_each() {
    let (short, long) = (tool(&["-h"]).success(), tool(&["help"]).success());
    let bash = tool(&["completions", "bash"]).success();
    for topic in vch_lb::help::TOPICS {
        let name = topic.name;
        for list in [&short, &long, &bash] {
            assert!(list.stdout.contains(name), "{name}: {list}");
        }
        assert!(long.stdout.contains(topic.summary), "{name}: {long}");
        tool(&["help", name])
            .success()
            .stderr("")
            .stdout_has(&topic.plain(100));
    }
}

#[test]
fn help_of_a_command_goes_on_and_of_a_name_that_is_a_topic_too_tells_both() {
    let long = tool(&["up", "--help"]).success();
    tool(&["help", "up"])
        .success()
        .stderr("")
        .stdout(&long.stdout);
    let short = tool(&["rollout", "-h"]).success();
    let both = tool(&["help", "rollout"]).success();
    assert!(both.stdout.starts_with(short.stdout.trim_end()), "{both}");
    both.stdout_has("Failure and interrupts\n");
}

#[test]
fn help_needs_nothing_that_is_right() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .tool_with(&["--settings", "nowhere", "help", "json"], |command| {
            command.env("LB_PORT", std::ffi::OsStr::from_bytes(b"\xff"))
        })
        .success()
        .stdout_has("vch-lb/up/1");
}

/// What a terminal of 24 rows shows of `vch-lb WORDS`, and what the command after it says.
#[cfg(unix)]
fn on_terminal(sandbox: &Sandbox, words: &str, variables: &[(&str, &str)]) -> Option<String> {
    let mut command = sandbox.on_terminal(90, &format!("$tool {words}; echo rc $?"))?;
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    Some(shown.replace("\r\n", "\n"))
}

/// A pager that notes what it was told, and shows the first line of the text alone.
#[cfg(unix)]
fn with_pager(name: &str) -> Sandbox {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new(Flavor::Engine);
    let path = sandbox.write(
        &format!("../bin/{name}"),
        "#!/bin/sh\nprintf '%s\\n' \"LESS=$LESS\" \"$@\" >told\nread -r line\necho \"paged: $line\"\nexit 3\n",
    );
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox
}

#[cfg(unix)]
#[test]
fn a_text_that_is_longer_than_the_terminal_goes_through_the_admins_pager() {
    let sandbox = with_pager("my-pager");
    let pager = ("PAGER", "my-pager '+/two words' $(id) ;");
    let Some(shown) = on_terminal(&sandbox, "help vch", &[pager]) else {
        return;
    };
    // It ended early, and not well: that is its own affair.
    assert_eq!(shown, "paged: On a VCH\nrc 0\n");
    assert_eq!(sandbox.read("told"), "LESS=FRX\n+/two words\n$(id)\n;\n");
    let shown = on_terminal(&sandbox, "help vch", &[pager, ("LESS", "M")]).unwrap();
    assert_eq!(shown, "paged: On a VCH\nrc 0\n");
    assert!(sandbox.read("told").starts_with("LESS=M\n"));
}

#[cfg(unix)]
#[test]
fn a_text_is_shown_as_it_is_where_it_fits_or_no_pager_is_wanted_or_there() {
    let sandbox = with_pager("my-pager");
    let whole = vch_lb::help::topic("vch").unwrap().plain(90);
    for (words, variables) in [
        ("help vch", [("PAGER", ""), ("TERM", "xterm")]),
        ("help vch", [("PAGER", "cat"), ("TERM", "xterm")]),
        ("help vch", [("PAGER", "no-such-pager"), ("TERM", "xterm")]),
        (
            "help vch >out; cat out",
            [("PAGER", "my-pager"), ("TERM", "xterm")],
        ),
        (
            "help exit-codes",
            [("PAGER", "my-pager"), ("TERM", "xterm")],
        ),
    ] {
        let Some(shown) = on_terminal(&sandbox, words, &variables) else {
            return;
        };
        assert!(shown.ends_with("rc 0\n"), "{words} {variables:?}: {shown}");
        assert!(!shown.contains("paged"), "{words} {variables:?}: {shown}");
        if words == "help vch" {
            assert_eq!(shown, format!("{whole}rc 0\n"), "{variables:?}");
        }
    }
}

#[test]
fn what_is_misspelt_gets_the_nearest() {
    tool(&["statu"]).code(2).stderr_has("'status'");
    tool(&["help", "rolout"]).code(2).stderr_has("'rollout'");
    tool(&["help", "templates"])
        .code(2)
        .stderr_has("'template'");
    tool(&["up", "--num-instance", "3"])
        .code(2)
        .stderr_has("'--num-instances'");
    tool(&["--dry-rum"]).code(2).stderr_has("'--dry-run'");
}

#[test]
fn a_setting_that_is_not_taken_is_refused_by_name() {
    for arguments in [
        ["scale", "4", "--num-instances=5"],
        ["--num-instances=5", "scale", "4"],
        ["scale", "--num-instances=5", "4"],
    ] {
        tool(&arguments)
            .code(2)
            .stderr_has("`vch-lb scale` takes NUM_INSTANCES from what is running")
            .stderr_has("hint: `vch-lb scale 5` changes it");
    }
    tool(&["scale", "4", "--lb-port=81"])
        .code(2)
        .stderr_has("hint: `vch-lb up` changes it");
    tool(&["scale", "-1"]).code(2).stderr_has("N is `-1`");
}

/// Runs a few lines in a shell that has read the completions; none if there is no such shell.
fn completing(shell: &str, lines: &str) -> Option<String> {
    let script = tool(&["completions", shell]).success().stderr("").stdout;
    let found = ["/usr/bin", "/bin"]
        .map(|folder| Path::new(folder).join(shell))
        .into_iter()
        .find(|path| path.exists());
    let Some(program) = found else {
        eprintln!("SKIPPED: there is no {shell} here");
        return None;
    };
    let sandbox = Sandbox::new(Flavor::Engine);
    let file = sandbox.write("completions", &script);
    let output = Command::new(program)
        .arg("-c")
        .arg(format!("source '{}'\n{lines}", file.display()))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", sandbox.path("home"))
        .current_dir(sandbox.path("work"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{shell}: {output:?}"
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn bash_completes_subcommands_their_flags_and_values() {
    let lines = "complete -p vch-lb | grep -q -- '-F _vch__lb'
        words() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _vch__lb vch-lb \"${!#}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; }
        words vch-lb sc; echo \"${COMPREPLY[@]}\"
        words vch-lb scale --lb; echo \"${COMPREPLY[@]}\"
        words vch-lb up --lb-balance s; echo \"${COMPREPLY[@]}\"";
    if let Some(text) = completing("bash", lines) {
        assert_eq!(text, "scale\n--lb-ctr-name\nstatic-rr source\n");
    }
}

#[test]
fn fish_completes_subcommands_their_flags_and_values() {
    let lines = "complete -C 'vch-lb sc'; complete -C 'vch-lb scale --lb'; complete -C 'vch-lb up --lb-mode '";
    if let Some(text) = completing("fish", lines) {
        let words: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        assert_eq!(words, ["scale", "--lb-ctr-name", "http", "tcp"]);
    }
}

#[test]
fn zsh_takes_its_completions() {
    let lines = "true";
    let prelude = "autoload -U compinit; compinit -u -D";
    let script = tool(&["completions", "zsh"]).success().stdout;
    assert!(script.starts_with("#compdef vch-lb"));
    if !Path::new("/usr/bin/zsh").exists() {
        eprintln!("SKIPPED: there is no zsh here");
        return;
    }
    let sandbox = Sandbox::new(Flavor::Engine);
    let file = sandbox.write("_vch-lb", &script);
    let ran = Command::new("/usr/bin/zsh")
        .args(["-f", "-c"])
        .arg(format!(
            "{prelude}; source '{}'; print $_comps[vch-lb]; {lines}",
            file.display()
        ))
        .env("HOME", sandbox.path("home"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "_vch-lb\n", "{ran:?}");
}

#[test]
fn other_shells_get_completions_too() {
    for shell in ["elvish", "powershell"] {
        tool(&["completions", shell])
            .success()
            .stdout_has("rollout");
    }
    tool(&["completions", "csh"]).code(2).stderr_has("bash");
}

#[test]
fn the_manual_page_tells_exit_codes_and_examples() {
    tool(&["man"])
        .success()
        .stderr("")
        .stdout_has(".TH vch-lb 1 ")
        .stdout_has("\\fBvch\\-lb\\fR [OPTIONS] [COMMAND]")
        .stdout_has(".SH EXAMPLES\n")
        .stdout_has(".SH \"EXIT STATUS\"\n")
        .stdout_has("docker or the endpoint can\\*(Aqt be used");
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox
        .tool(&["man", "--out", "share/man1"])
        .success()
        .stdout("")
        .stderr("");
    assert!(sandbox.read("share/man1/vch-lb.1").contains("EXIT STATUS"));
    for subcommand in vch_lb::cli::command().get_subcommands() {
        let name = format!("vch-lb-{}", subcommand.get_name());
        let page = sandbox.read(&format!("share/man1/{name}.1"));
        assert!(page.contains(&format!(".TH {name} 1 ")), "{page}");
    }
    for topic in vch_lb::help::TOPICS {
        let name = format!("vch-lb-{}", topic.name);
        let page = sandbox.read(&format!("share/man1/{name}.7"));
        assert!(page.contains(&format!(".TH {name} 7 ")), "{page}");
    }
    let Some(groff) = ["/usr/bin/groff"]
        .iter()
        .find(|path| Path::new(path).exists())
    else {
        eprintln!("SKIPPED: there is no groff here");
        return;
    };
    for entry in std::fs::read_dir(sandbox.path("work/share/man1")).unwrap() {
        let page = entry.unwrap().path();
        let output = Command::new(groff)
            .args(["-ww", "-k", "-man", "-Tutf8"])
            .arg(&page)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{}: {said}",
            page.display()
        );
    }
}

#[test]
fn a_folder_of_manual_pages_that_is_a_file_is_said() {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.write("file", "");
    sandbox
        .tool(&["man", "--out", "file"])
        .code(1)
        .stderr_has("`file` was not written");
}

#[test]
fn every_script_tells_its_usage_and_does_nothing_when_asked_for_it_or_misunderstood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "bench", "demo", "package", "portable", "record", "test", "testbed",
    ] {
        let run = |word: &str| {
            // Should it do anything all the same, it finds no cargo for it.
            let mut command = Command::new(root.join("scripts").join(name));
            command
                .arg(word)
                .current_dir("/")
                .env("PATH", "/usr/bin:/bin");
            command.stdin(Stdio::null()).output().unwrap()
        };
        for word in ["help", "-h", "--help"] {
            let told = run(word);
            let stdout = String::from_utf8_lossy(&told.stdout);
            assert_eq!(told.status.code(), Some(0), "{name} {word}");
            assert!(
                stdout.contains(&format!("scripts/{name}")),
                "{name} {word}: {stdout}"
            );
        }
        let bogus = run("--bogus");
        assert_eq!(bogus.status.code(), Some(2), "{name}");
        assert!(
            bogus.stdout.is_empty() && !bogus.stderr.is_empty(),
            "{name}"
        );
    }
}
