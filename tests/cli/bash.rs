//! Scripts as settings files, beside a real bash: a setting has the value that bash gives it, or the file is refused.

use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::sample::select;

use vch_lb::settings::file::Assignments;

const SETTINGS: [&str; 3] = ["LB_PORT", "NUM_INSTANCES", "LB_CTR_NAME"];

fn name() -> impl Strategy<Value = &'static str> {
    select(vec!["LB_PORT", "NUM_INSTANCES", "LB_CTR_NAME", "x", "y"])
}

fn value() -> impl Strategy<Value = &'static str> {
    select(vec![
        "81",
        "a",
        "'b c'",
        "\"d e\"",
        "\"$x\"",
        "$x",
        "${x}",
        "${y:-7}",
        "${LB_PORT:-9}",
        "\"${LB_PORT-9}\"",
        "$LB_PORT",
        "$(echo 8)",
        "`echo 8`",
        "$((1+2))",
        "a\\ b",
        "",
        "~/x",
        "{a,b}",
        "*",
        "a#b",
        "'#'",
        "\\$x",
        "\"\\$x\"",
        "$'x'",
        "${x:=4}",
        "${x:+4}",
        "(1 2)",
        "$1",
        "\"it's\"",
        "'a'\"b\"c",
        "$((x++))",
        "<(echo)",
        "!x",
        "\"a\nb\"",
        "a$",
        "${x:-${y:-q}}",
        "\"${z:-q r}\"",
        "$RANDOM",
        "a:~",
        "\"\\\n\"",
    ])
}

fn assignment() -> impl Strategy<Value = String> {
    let operator = select(vec!["=", "=", "=", "=", "+=", "[0]=", "= ", " ="]);
    (name(), operator, value())
        .prop_map(|(name, operator, value)| format!("{name}{operator}{value}"))
}

fn simple() -> impl Strategy<Value = String> {
    let builtins = select(vec![
        "export",
        "readonly",
        "declare",
        "typeset",
        "declare -i",
        "declare -x",
        "export -n",
        "local",
        "command export",
        "\\export",
        "declare -u",
        "declare --",
        "unset",
        "read",
        "printf -v",
        "let",
    ]);
    let others = select(vec![
        "true",
        ":",
        "f",
        "set -u",
        "IFS=:",
        "exit 0",
        "trap 'x=9' EXIT",
        "[[ a =~ (a|b) ]]",
        "case a in a) :;; esac",
        "# LB_PORT=5",
        "echo \"LB_PORT=3\"",
        "echo LB_PORT=3",
        "echo a # LB_PORT=5",
        "((x++))",
        "((LB_PORT==4))",
        "cat <<E\nLB_PORT=4\nE",
        "cat <<'E'\nLB_PORT='\nE",
        "cat <<-E\n\tLB_PORT=4\n\tE",
        "echo \"\nLB_PORT=4\n\"",
        "for LB_PORT in 1; do :; done",
        "x=$(\nLB_PORT=4\n)",
        ": ${x:=3}",
        "echo ${LB_PORT:=3}",
    ]);
    prop_oneof![
        6 => assignment(),
        1 => (assignment(), assignment()).prop_map(|(a, b)| format!("{a} {b}")),
        2 => (builtins, assignment()).prop_map(|(builtin, it)| format!("{builtin} {it}")),
        1 => (name(), value()).prop_map(|(name, value)| format!(": ${{{name}:={value}}}")),
        1 => assignment().prop_map(|it| format!("{it} true")),
        4 => others.prop_map(str::to_owned),
    ]
}

fn statement() -> impl Strategy<Value = String> {
    let within = select(vec![
        "if true; then\n@\nfi",
        "if false; then @\nelse @\nfi",
        "for i in 1 2; do @\ndone",
        "{ @\n}",
        "( @\n)",
        "f() {\n@\n}",
        "case x in\nx) @\n;;\nesac",
        "true && @",
        "@ || true",
        "@ | cat",
        "! @",
        "@ > /dev/null",
        "@ # x=1",
        "x=$(\n@\n)",
        "echo \"\n@\n\"",
        "cat <<E\n@\nE",
        "@ ; @",
    ]);
    prop_oneof![
        3 => simple(),
        1 => (within, simple()).prop_map(|(within, it)| within.replace('@', &it)),
    ]
}

/// What bash has in the variables at the end of `script`; `None` where it does not get there.
fn bash(script: &str) -> Option<Vec<Option<String>>> {
    let asked = SETTINGS.map(|name| format!("printf '\\037%s' \"${{{name}-unset}}\""));
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c"])
        .arg(format!("{script}\n{}; printf '\\037end'", asked.join("; ")))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let parts: Vec<&str> = text.split('\u{1f}').skip(1).collect();
    let (values, end) = parts.split_at_checked(SETTINGS.len())?;
    end.first().filter(|end| end.starts_with("end"))?;
    let values = values
        .iter()
        .map(|text| Some(text.to_string()).filter(|text| text != "unset"));
    Some(values.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_setting_has_the_value_that_bash_gives_it(statements in prop::collection::vec(statement(), 1..4)) {
        let script = format!("#!/bin/bash\n{}\n", statements.join("\n"));
        let Ok(read) = Assignments::parse("script.sh", &script) else {
            return Ok(());
        };
        let Some(values) = bash(&script) else {
            return Ok(());
        };
        for (name, value) in SETTINGS.iter().zip(values) {
            let read = read.get(name).map(|(text, _)| text.to_owned());
            prop_assert_eq!(read, value, "{} in\n{}", name, script);
        }
    }
}
