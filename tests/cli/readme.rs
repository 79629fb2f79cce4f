//! What the README and the topics of `vch-lb help` say of the program is what the program does. Their console blocks are
//! executed on a real engine, by `tests/engine/readme.rs`; here are those that can't be.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use vch_lb::cli::Cli;
use vch_lb::error::exit;
use vch_lb::help;
use vch_lb::service::Spec;
use vch_lb::settings::file::Assignments;
use vch_lb::settings::{self, Setting, Settings};

use super::blocks::{Block, Document, Shown, all_blocks, documents, readme, root, topic};
use super::sandbox::{FLAVORS, Flavor, Sandbox};

/// The longest line of text; tables and what was printed may be wider.
const WIDTH: usize = 120;

/// What stands between `<!-- name -->` and `<!-- /name -->`.
pub(crate) fn block<'a>(readme: &'a str, name: &str) -> &'a str {
    let begin = format!("<!-- {name} -->\n");
    let (_, rest) = readme
        .split_once(&begin)
        .unwrap_or_else(|| panic!("there is no {begin}"));
    rest.split_once(&format!("<!-- /{name} -->")).unwrap().0
}

/// The texts in backquotes of the first column of a table.
fn first_column(table: &str) -> Vec<String> {
    let rows = table.lines().skip(2);
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// The block whose first command this is.
fn block_of(first: &str) -> Block {
    let mut all = all_blocks().into_iter();
    all.find(|block| {
        let commands = block.commands();
        commands
            .first()
            .is_some_and(|shown| shown.command.text == first)
    })
    .unwrap_or_else(|| panic!("no block begins with: {first}"))
}

/// The files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// A setting as a row of a table: its name, its flags, its default.
fn row_of(setting: &Setting) -> String {
    let mut flag = format!("`--{}`", setting.flag());
    if let Some(short) = setting.short {
        write!(flag, ", `-{short}`").unwrap();
    }
    let default = match setting.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    format!("| `{}` | {flag} | {default} |", setting.name)
}

#[test]
fn the_topic_has_every_setting_with_its_default_and_its_help() {
    let printed = help::topic("settings").unwrap().plain(400);
    for setting in settings::TABLE {
        let default = match setting.default {
            "" => "unset",
            default => default,
        };
        let row = [setting.name, default, setting.help].join(" ");
        let told = printed.lines().any(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            words.join(" ") == row
        });
        assert!(told, "no row {row} in {printed}");
    }
}

#[test]
fn the_readme_has_every_setting_once() {
    let readme = readme();
    let mut told: Vec<&str> = block(&readme, "settings")
        .lines()
        .skip(2)
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .collect();
    let mut settings: Vec<&str> = settings::TABLE.iter().map(|setting| setting.name).collect();
    told.sort_unstable();
    settings.sort_unstable();
    assert_eq!(told, settings);
}

#[test]
fn the_readme_is_read_in_ten_minutes() {
    let lines = readme().lines().count();
    assert!(
        lines <= 450,
        "{lines} lines: the rest belongs into a topic of `vch-lb help`"
    );
}

#[test]
fn the_readme_names_every_topic_and_the_folder_holds_no_other() {
    let readme = readme();
    let mut files = BTreeSet::new();
    for listed in help::TOPICS {
        let Document { path, .. } = topic(listed.name);
        assert!(readme.contains(&format!("({path})")), "{path}");
        files.insert(root().join(path));
    }
    let there: BTreeSet<PathBuf> = files_below(&root().join("templates/help"))
        .into_iter()
        .collect();
    assert_eq!(files, there);
}

#[test]
fn the_seven_variables_of_the_script_have_their_defaults() {
    let readme = readme();
    let table = readme
        .split_once("| variable | flag | default |\n")
        .unwrap()
        .1;
    let rows: Vec<&str> = table
        .lines()
        .skip(1)
        .take_while(|row| !row.is_empty())
        .collect();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let same = settings::TABLE.iter().any(|setting| row_of(setting) == row);
        assert!(same, "{row}");
    }
}

#[test]
fn every_variable_of_a_template_is_told() {
    let source = fs::read_to_string(root().join("src/haproxy/mod.rs")).unwrap();
    let model = source.split_once("struct Model<'a> {\n").unwrap().1;
    let model = model.split_once("\n}").unwrap().0;
    let fields = model.lines().filter_map(|line| {
        let (name, _) = line.trim_start().split_once(": ")?;
        (!name.starts_with('/')).then(|| name.to_owned())
    });
    let topic = topic("template").text;
    let told: BTreeSet<String> = first_column(block(&topic, "model")).into_iter().collect();
    assert_eq!(told, fields.collect());
}

/// The template in the topic, as a file to be named.
fn template() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let template = all_blocks()
        .into_iter()
        .find(|block| block.language == "handlebars");
    fs::write(file.path(), template.unwrap().text()).unwrap();
    file
}

#[test]
fn the_template_is_one_that_can_be_recognised_again() {
    let file = template();
    let path = file.path().to_str().unwrap();
    let sandbox = Sandbox::new(Flavor::Vch);
    let rendered = sandbox
        .tool(&["render", "--template", path, "--lb-img", "haproxy:2.6"])
        .success();
    assert!(rendered.stdout.contains("server server3 web-3:80"));
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let mut ours = 0;
    for shown in all_blocks().iter().flat_map(Block::commands) {
        let line = shown.command.text.as_str();
        if line.starts_with("vch-lb") {
            ours += 1;
            is_taken(line.split(" > ").next().unwrap_or(line));
        }
    }
    assert!(ours > 15, "{ours}");
}

/// A command line that the program parses, with settings that it accepts.
#[track_caller]
pub(crate) fn is_taken(line: &str) {
    let cli = Cli::from_words(shell_words::split(line).unwrap())
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let given = Settings::resolve(
        |name| cli.settings.get(name),
        |_| None,
        &Assignments::default(),
    );
    if let Err(failure) = Spec::from_settings(&given) {
        panic!("{line}: {failure}");
    }
}

#[test]
fn the_block_about_a_vch_works_on_one() {
    let sandbox = Sandbox::new(Flavor::Vch);
    let public = json!({"subnet": sandbox.address("127.50.0.0/24")});
    sandbox.config(json!({"networks": {"public": public}}));
    symlink(env!("CARGO_BIN_EXE_vch-lb"), sandbox.path("bin/vch-lb")).unwrap();
    fs::create_dir(sandbox.path("home/vch1")).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::write(sandbox.path("home/vch1").join(file), "").unwrap();
    }
    let _served = sandbox.serve();
    let block = block_of(
        "export DOCKER_HOST=vch1.example.com:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=~/vch1",
    );
    let commands = block.commands();
    let typed: Vec<&str> = commands
        .iter()
        .map(|shown| shown.command.text.as_str())
        .collect();
    let output = Command::new("/bin/bash")
        .args(["-euc", &typed.join("\n")])
        .env_clear()
        .env("PATH", sandbox.path("bin"))
        .env("HOME", sandbox.path("home"))
        .env("FAKE_DOCKER_DIR", sandbox.path("docker"))
        .current_dir(sandbox.path("work"))
        .output()
        .unwrap();
    let ran = sandbox.ran(typed.join("; "), &output).success();
    for said in [
        "`tcp://vch1.example.com:2376` (DOCKER_HOST)",
        "`public`",
        "on port 80",
    ] {
        assert!(ran.stdout.contains(said), "{ran}");
    }
    let calls = sandbox.changing_calls();
    let begins = |start: &str| calls.iter().any(|call| call.starts_with(start));
    assert!(
        begins("docker run -d -p 80 --name web-1 --net web-net --memory 512m "),
        "{calls:?}"
    );
    assert!(
        begins("docker create --name lb --net public -p 80:80 "),
        "{calls:?}"
    );
}

#[test]
fn the_block_about_a_registry_pulls_from_it() {
    let block = block_of("docker login registry.example.com");
    let commands = block.commands();
    let [_, up] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    let words = shell_words::split(&up.command.text).unwrap();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for flavor in FLAVORS {
        let sandbox = Sandbox::new(flavor);
        let _served = sandbox.serve();
        sandbox.quick(words[1], &words[2..]).success();
        let calls = sandbox.changing_calls();
        let pull = "docker pull registry.example.com/shop/web:1.4".to_owned();
        assert!(calls.contains(&pull), "{calls:?}");
    }
}

#[test]
fn what_builds_and_tests_is_there_and_knows_its_flags() {
    let all: Vec<Shown> = all_blocks().iter().flat_map(Block::commands).collect();
    for script in ["scripts/demo", "scripts/package", "scripts/test"] {
        let mut shown = all.iter().map(|shown| shown.command.text.as_str());
        let path = shown.find(|text| *text == script).unwrap();
        let mode = fs::metadata(root().join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{path}");
    }
    let install = "cargo install --locked --path .";
    block_of(install);
    let help = Command::new(env!("CARGO")).args(["install", "-h"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for flag in install.split(' ').filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!(" {flag} ")), "no {flag} in {help}");
    }
}

#[test]
fn the_settings_file_is_one_that_the_program_takes() {
    let topic = topic("settings").text;
    let (_, file) = topic.split_once("```sh\n# service.conf\n").unwrap();
    let (file, _) = file.split_once("```").unwrap();
    let file = Assignments::parse("service.conf", file).unwrap();
    let settings = Settings::resolve(|_| None, |_| None, &file);
    assert_eq!(settings.get(settings::LB_IMG).text, "haproxy:2.6");
    assert!(Spec::from_settings(&settings).is_ok());
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let printed = help::topic("exit-codes").unwrap().plain(100);
    let (_, rows) = printed.split_once("  code  meaning\n").unwrap();
    let rows: Vec<(u8, &str)> = rows
        .lines()
        .map_while(|row| row.trim_start().split_once("  "))
        .map(|(code, meaning)| (code.parse().unwrap(), meaning))
        .collect();
    let told: Vec<u8> = rows.iter().map(|(code, _)| *code).collect();
    let codes = [
        exit::DONE,
        exit::FAILED,
        exit::USAGE,
        exit::NOT_AS_DESIRED,
        exit::UNUSABLE,
    ];
    assert_eq!(told[..5], codes);
    assert_eq!(told[5..], [1, 2, 15].map(|signal| 128 + signal));
    assert_eq!(rows, exit::MEANINGS);
}

#[test]
fn every_schema_is_told() {
    let mut schemas = BTreeSet::new();
    for file in files_below(&root().join("src")) {
        let source = fs::read_to_string(file).unwrap();
        let quoted = source.split('"').map(str::to_owned);
        schemas.extend(quoted.filter(|text| text.starts_with("vch-lb/") && text.ends_with("/1")));
    }
    assert!(schemas.len() >= 8, "{schemas:?}");
    let topic = topic("json").text;
    let lines = block(&topic, "schemas").lines();
    let told = lines.filter_map(|line| line.split_once(": ").map(|(name, _)| name));
    let told = told.filter(|name| name.starts_with("vch-lb/"));
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), schemas);
}

/// What the program says of itself on top of `src/lib.rs`.
fn about_the_source() -> String {
    let source = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n")
}

#[test]
fn the_tree_of_the_source_is_complete() {
    let about = about_the_source();
    let (_, tree) = about.split_once("```text\nsrc\n").unwrap();
    let (tree, _) = tree.split_once("```").unwrap();
    let told = tree.lines().filter_map(|line| {
        let name = line.strip_prefix("├── ").or(line.strip_prefix("└── "))?;
        name.split_ascii_whitespace().next().map(str::to_owned)
    });
    let told: BTreeSet<String> = told.collect();
    let there: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(told, there);
}

#[test]
fn what_somebody_is_sent_to_in_the_source_is_there() {
    let about = about_the_source();
    let paths = about.split('`').skip(1).step_by(2);
    let paths = paths.filter(|text| {
        ["src/", "tests/", "templates/"]
            .iter()
            .any(|top| text.starts_with(top))
    });
    let mut count = 0;
    for path in paths {
        count += 1;
        assert!(root().join(path).exists(), "{path}");
    }
    assert!(count > 15, "{count}");
}

#[test]
fn links_lead_somewhere_and_lines_are_not_too_long() {
    for Document { path, text } in documents() {
        let folder = root().join(&path);
        let folder = folder.parent().unwrap();
        let slug = |heading: &str| heading.to_lowercase().replace(' ', "-");
        let headings = text.lines().filter(|line| line.starts_with("##"));
        let anchors: BTreeSet<String> = headings
            .map(|line| slug(line.trim_start_matches(['#', ' '])))
            .collect();
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            match target.strip_prefix('#') {
                Some(anchor) => assert!(anchors.contains(anchor), "{path}: {target}"),
                None if target.starts_with("https://") => {}
                None => assert!(folder.join(target).exists(), "{path}: {target}"),
            }
        }
        let mut fence = false;
        for line in text.lines() {
            fence ^= line.starts_with("```");
            let free = fence || line.starts_with('|');
            let long = !free && line.chars().count() > WIDTH;
            assert!(!long, "too long in {path}: {line}");
        }
    }
}
