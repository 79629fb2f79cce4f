//! What the README says of the program is what the program does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use vch_lb::cli::Cli;
use vch_lb::error::exit;
use vch_lb::settings::file::Assignments;
use vch_lb::settings::{self, Settings};
use vch_lb::spec::Spec;

/// The longest line of text; tables and what was printed may be wider.
const WIDTH: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

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

/// The lines of fenced blocks in a language.
fn fenced<'a>(readme: &'a str, language: &str) -> Vec<&'a str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == format!("```{language}");
        } else if inside {
            lines.push(line);
        }
    }
    lines
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

fn table_of_settings() -> String {
    let mut table = "| name | flag | default | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for setting in settings::TABLE {
        let mut flag = format!("`--{}`", setting.flag());
        if let Some(short) = setting.short {
            write!(flag, ", `-{short}`").unwrap();
        }
        let default = match setting.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let (name, help) = (setting.name, setting.help);
        writeln!(table, "| `{name}` | {flag} | {default} | {help} |").unwrap();
    }
    table
}

#[test]
fn the_table_of_settings_is_the_programs() {
    let readme = readme();
    let found = block(&readme, "settings");
    let expected = table_of_settings();
    if std::env::var_os("VCH_LB_WRITE_README").is_some() {
        let old = format!("<!-- settings -->\n{found}");
        let new = format!("<!-- settings -->\n{expected}");
        fs::write(root().join("README.md"), readme.replacen(&old, &new, 1)).unwrap();
        return;
    }
    assert_eq!(
        found, expected,
        "VCH_LB_WRITE_README=1 cargo test --test cli readme writes it anew"
    );
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
        let all = table_of_settings();
        let same = all.lines().any(|line| line.starts_with(row));
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
    let readme = readme();
    let told: BTreeSet<String> = first_column(block(&readme, "model")).into_iter().collect();
    assert_eq!(told, fields.collect());
}

/// The template in the README, as a file to be named.
fn template() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = fenced(&readme(), "handlebars").join("\n") + "\n";
    fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn the_template_is_one_that_can_be_recognised_again() {
    let file = template();
    let path = file.path().to_str().unwrap();
    let sandbox = super::sandbox::Sandbox::new(super::sandbox::Flavor::Vch);
    let rendered = sandbox
        .tool(&["render", "--template", path, "--lb-img", "haproxy:2.6"])
        .success();
    assert!(rendered.stdout.contains("server server3 web-3:80"));
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let readme = readme();
    let lines = fenced(&readme, "console").into_iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("$ ")).collect();
    let ours = lines.iter().filter(|line| line.starts_with("vch-lb"));
    assert!(ours.clone().count() > 15);
    for line in ours {
        let line = line.split(" > ").next().unwrap_or(line);
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
}

#[test]
fn the_settings_file_is_one_that_the_program_takes() {
    let readme = readme();
    let (_, file) = readme.split_once("```sh\n# service.conf\n").unwrap();
    let (file, _) = file.split_once("```").unwrap();
    let file = Assignments::parse("service.conf", file).unwrap();
    let settings = Settings::resolve(|_| None, |_| None, &file);
    assert_eq!(settings.get(settings::LB_IMG).text, "haproxy:2.6");
    assert!(Spec::from_settings(&settings).is_ok());
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let readme = readme();
    let rows = block(&readme, "exit codes").lines().skip(2);
    let told = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    let told: Vec<u8> = told.map(|code| code.trim().parse().unwrap()).collect();
    let codes = [
        exit::DONE,
        exit::FAILED,
        exit::USAGE,
        exit::NOT_AS_DESIRED,
        exit::UNUSABLE,
    ];
    assert_eq!(told[..5], codes);
    assert_eq!(told[5..], [1, 2, 15].map(|signal| 128 + signal));
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
    let readme = readme();
    let lines = block(&readme, "schemas").lines();
    let told = lines.filter_map(|line| line.split_once(": ").map(|(name, _)| name));
    let told = told.filter(|name| name.starts_with("vch-lb/"));
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), schemas);
}

#[test]
fn the_tree_of_the_source_is_complete() {
    let readme = readme();
    let (_, tree) = readme.split_once("```text\nsrc\n").unwrap();
    let (tree, _) = tree.split_once("```").unwrap();
    let told = tree.lines().filter_map(|line| {
        let name = line.strip_prefix("├── ").or(line.strip_prefix("└── "))?;
        name.split_ascii_whitespace().next().map(str::to_owned)
    });
    let told: BTreeSet<String> = told.collect();
    let mut there: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // Told with its folder.
    there.remove("doctor.rs");
    assert_eq!(told, there);
}

#[test]
fn links_lead_somewhere_and_lines_are_not_too_long() {
    let readme = readme();
    let slug = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let headings = readme.lines().filter(|line| line.starts_with("##"));
    let anchors: BTreeSet<String> = headings
        .map(|line| slug(line.trim_start_matches(['#', ' '])))
        .collect();
    for link in readme.split("](").skip(1) {
        let target = link.split(')').next().unwrap();
        match target.strip_prefix('#') {
            Some(anchor) => assert!(anchors.contains(anchor), "{target}"),
            None if target.starts_with("https://") => {}
            None => assert!(root().join(target).exists(), "{target}"),
        }
    }
    let mut fence = false;
    for line in readme.lines() {
        fence ^= line.starts_with("```");
        let free = fence || line.starts_with('|');
        assert!(free || line.chars().count() <= WIDTH, "too long: {line}");
    }
}
