//! The command line: how it is parsed, and what is said where clap alone would not help.
//!
//! What each subcommand takes is declared in `args`, the flags of the settings are made from their table in `settings`.
//! Of clap, the rest of the program knows how the names of a choice are derived, and no more.

mod args;
mod settings;

use std::ffi::OsString;

use clap::builder::PossibleValue;
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};

use crate::docker::words::quote;
use crate::error::Failure;
use crate::help::{self, TOPICS};
use crate::settings::{INSTANCE_IMG, LB_IMG, NUM_INSTANCES, Setting, TABLE};

pub use args::{
    ChangeArgs, CompletionsArgs, DockerArgs, DoctorArgs, DownArgs, DryRun, HelpArgs, LogsArgs,
    ManArgs, OutputArgs, ProbeArgs, RollbackArgs, RolloutArgs, ScaleArgs, SettingsFileArgs,
    StatusArgs, Subcommands, UpArgs,
};
pub use settings::SettingArgs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// What `-h` shows of the settings and of what belongs to `up`; `--help` shows everything.
const BASIC: [&str; 4] = [LB_IMG, "dry_run", "pull", "probe"];

/// What `down` takes as every change does, without a use for it: its help leaves them out.
const IDLE_IN_DOWN: [&str; 6] = ["keep", "wait", "settle", "drain", "config_out", "overwrite"];

/// What people call the number of instances elsewhere.
const COUNT_ALIASES: [&str; 6] = [
    "--n",
    "--num",
    "--number",
    "--count",
    "--instances",
    "--replicas",
];

const EXAMPLES: &str = "Examples:\n  \
    INSTANCE_IMG=httpd:2.4 vch-lb       deploy, or make what runs match\n  \
    vch-lb -n 5 --external-net public   the same with flags\n  \
    vch-lb --dry-run > deploy.sh        what would be done, as a script\n  \
    vch-lb status";

/// Where `-h` sends those who want to know more.
fn more() -> String {
    let topics: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    format!(
        "[…] is a default. Settings are read from the environment too: LB_PORT=81 vch-lb\n\
         More: vch-lb --help, vch-lb help COMMAND, vch-lb help TOPIC: {}",
        topics.join(", ")
    )
}

/// Puts N instances of a container image behind HAProxy on whatever endpoint your docker client points at
///
/// Without a subcommand: `vch-lb up`. Every setting is a flag, an environment variable and a line of the settings file;
/// a flag wins over the environment, that over the file, and that over the default.
#[derive(Debug, Parser)]
#[command(
    name = "vch-lb",
    version,
    styles = STYLES,
    max_term_width = 100,
    // `help` explains topics, too.
    disable_help_subcommand = true,
    after_help = more(),
    after_long_help = format!("{EXAMPLES}\n\nTopics of vch-lb help:\n{}", help::list())
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Subcommands>,

    #[command(flatten)]
    pub settings: SettingArgs,

    #[command(flatten)]
    pub settings_file: SettingsFileArgs,

    #[command(flatten)]
    pub up: UpArgs,

    #[command(flatten)]
    pub docker: DockerArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

impl Cli {
    /// Parses a command line. What belongs to `up` may stand without a subcommand, but not in front of one: there it
    /// would be taken for granted and ignored. Settings may stand on either side, if the subcommand takes them.
    pub fn from_words<I>(words: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator,
        I::Item: Into<OsString> + Clone,
    {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let matches = match command().try_get_matches_from_mut(&words) {
            Ok(matches) => matches,
            Err(error) => {
                return match topic_in_place_of_a_command(&error) {
                    Some(topic) => Self::from_words(["vch-lb", "help", topic]),
                    None => Err(explain(error, &words)),
                };
            }
        };
        let Some((subcommand, below)) = matches.subcommand() else {
            return Self::from_arg_matches(&matches);
        };
        if let Some(complaint) = misplaced(subcommand, &matches) {
            return Err(error_of(subcommand, ErrorKind::ArgumentConflict, complaint));
        }
        let mut cli = Self::from_arg_matches(&matches)?;
        cli.settings.update_from_arg_matches(below)?;
        Ok(cli)
    }
}

/// The whole command line, as it is parsed, documented and completed.
pub fn command() -> Command {
    let mut command = Cli::command();
    let ups = UpArgs::augment_args(Command::new("up"));
    for arg in ups.get_arguments() {
        let advanced = !BASIC.contains(&arg.get_id().as_str());
        command = command.mut_arg(arg.get_id(), |arg| arg.hide_short_help(advanced));
    }
    let beside = SettingsFileArgs::augment_args(DockerArgs::augment_args(Command::new("beside")));
    let names: Vec<String> = command
        .get_subcommands()
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(&name, |subcommand| {
            let taken = TABLE.iter().filter(|setting| takes(&name, setting));
            let subcommand = subcommand.args(taken.map(SettingArgs::arg));
            if about_itself(&name) {
                // Its own copies keep the global ones out of sight.
                subcommand.args(beside.get_arguments().map(|arg| arg.clone().hide(true)))
            } else {
                subcommand
            }
        });
    }
    let explained = explained(&command);
    command
        .mut_subcommand("down", |down| {
            IDLE_IN_DOWN
                .iter()
                .fold(down, |down, id| down.mut_arg(id, |arg| arg.hide(true)))
        })
        .mut_subcommand("help", |help| {
            help.mut_arg("name", |name| name.value_parser(explained))
        })
}

/// What `help` explains: the subcommands, and the topics of other names.
fn explained(command: &Command) -> Vec<PossibleValue> {
    let subcommands = command.get_subcommands().map(|subcommand| {
        let about = subcommand.get_about().map(ToString::to_string);
        PossibleValue::new(subcommand.get_name().to_owned()).help(about.unwrap_or_default())
    });
    let others = TOPICS
        .iter()
        .filter(|topic| command.find_subcommand(topic.name).is_none())
        .map(|topic| PossibleValue::new(topic.name).help(topic.summary));
    subcommands.chain(others).collect()
}

/// What there is to say of a subcommand, or of the whole, in short or at length; none if there is no such subcommand.
pub fn help_of(subcommand: Option<&str>, in_short: bool) -> Option<String> {
    let mut command = command();
    command.build();
    let command = match subcommand {
        Some(name) => command.find_subcommand_mut(name)?,
        None => &mut command,
    };
    let help = if in_short {
        command.render_help()
    } else {
        command.render_long_help()
    };
    Some(help.ansi().to_string())
}

/// The topic that somebody named as if it were a command.
fn topic_in_place_of_a_command(error: &clap::Error) -> Option<&'static str> {
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(name)) => help::topic(name).map(|topic| topic.name),
        _ => None,
    }
}

/// An error of the subcommand called `name`, with its usage.
fn error_of(name: &str, kind: ErrorKind, complaint: String) -> clap::Error {
    let mut command = command();
    command.build();
    match command.find_subcommand_mut(name) {
        Some(subcommand) => subcommand.error(kind, complaint),
        None => command.error(kind, complaint),
    }
}

/// Whether a subcommand is about `vch-lb` alone, and not about any service.
fn about_itself(subcommand: &str) -> bool {
    ["completions", "man", "help"].contains(&subcommand)
}

/// Whether a subcommand takes a setting, and not what is running in its place.
fn takes(subcommand: &str, setting: &Setting) -> bool {
    let identity = setting.identifies;
    match subcommand {
        "scale" | "rollback" | "history" | "logs" | "down" => identity,
        "rollout" => identity || setting.name == INSTANCE_IMG,
        "status" => identity || setting.name == NUM_INSTANCES,
        other => !about_itself(other),
    }
}

/// A complaint about what stands in front of a subcommand that does not take it from there.
fn misplaced(subcommand: &str, matches: &ArgMatches) -> Option<String> {
    let given = |id: &str| matches!(matches.value_source(id), Some(ValueSource::CommandLine));
    let ups = UpArgs::augment_args(Command::new("up"));
    let flag = ups
        .get_arguments()
        .filter(|arg| given(arg.get_id().as_str()))
        .find_map(Arg::get_long);
    if let Some(flag) = flag {
        return Some(format!(
            "--{flag} belongs behind the subcommand: vch-lb {subcommand} --{flag}"
        ));
    }
    TABLE
        .iter()
        .find(|setting| given(setting.name) && !takes(subcommand, setting))
        .map(|setting| {
            let value = matches.get_one::<String>(setting.name);
            not_taken(subcommand, setting, value.map(String::as_str))
        })
}

fn not_taken(subcommand: &str, setting: &Setting, value: Option<&str>) -> String {
    let flag = setting.flag();
    if about_itself(subcommand) {
        return format!("`vch-lb {subcommand}` has no use for --{flag}");
    }
    if subcommand == "logs" && setting.name == NUM_INSTANCES {
        let lines = value.unwrap_or("N");
        return format!(
            "`vch-lb logs` takes no -n\n\n  hint: `vch-lb logs --tail {lines}` shows the last lines of each"
        );
    }
    let other = if setting.name == NUM_INSTANCES {
        format!("scale {}", value.unwrap_or("N"))
    } else {
        "up".to_owned()
    };
    format!(
        "`vch-lb {subcommand}` takes {} from what is running: --{flag} can't be given\n\n  \
         hint: `vch-lb {other}` changes it",
        setting.name
    )
}

/// What a setting's flag says among `words`: `-n 3`, `-n3`, `--num-instances 3`, `--num-instances=3`.
fn value_among<'a>(setting: &Setting, words: &'a [OsString]) -> Option<&'a str> {
    let long = format!("--{}", setting.flag());
    let short = setting.short.map(|short| format!("-{short}"));
    let mut words = words.iter().map(|word| word.to_str().unwrap_or_default());
    while let Some(word) = words.next() {
        if word == long || Some(word) == short.as_deref() {
            return words.next();
        }
        let attached = word
            .strip_prefix(long.as_str())
            .and_then(|rest| rest.strip_prefix('='));
        let attached = attached.or_else(|| {
            let rest = word.strip_prefix(short.as_deref()?)?;
            Some(rest.strip_prefix('=').unwrap_or(rest))
        });
        if attached.is_some() {
            return attached;
        }
    }
    None
}

/// A setting that is unknown to the subcommand, but not to us, deserves more than `unexpected argument`.
fn explain(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = argument.split('=').next().unwrap_or(argument);
    let rolls_out = words.iter().any(|word| word == "rollout");
    if error.kind() == ErrorKind::UnknownArgument && rolls_out && !flag.starts_with('-') {
        let image = quote(&[argument.as_str()]);
        let complaint = format!(
            "unexpected argument '{argument}' found\n\n  hint: `vch-lb rollout --instance-img {image}` names the image"
        );
        return error_of("rollout", ErrorKind::UnknownArgument, complaint);
    }
    let named = |setting: &&Setting| {
        flag == format!("--{}", setting.flag())
            || setting
                .short
                .is_some_and(|short| flag == format!("-{short}"))
    };
    let Some(setting) = TABLE.iter().find(named) else {
        if error.kind() == ErrorKind::UnknownArgument && COUNT_ALIASES.contains(&flag) {
            suggest_count(&mut error, words);
        }
        return error;
    };
    let command = command();
    let subcommand = command.get_subcommands().find(|subcommand| {
        let name = subcommand.get_name();
        words.iter().any(|word| word == name) && !takes(name, setting)
    });
    match subcommand {
        Some(subcommand) if error.kind() == ErrorKind::UnknownArgument => {
            let value = value_among(setting, words);
            let complaint = not_taken(subcommand.get_name(), setting, value);
            error_of(subcommand.get_name(), ErrorKind::UnknownArgument, complaint)
        }
        _ => error,
    }
}

/// The number of instances in place of whatever is spelt alike.
fn suggest_count(error: &mut clap::Error, words: &[OsString]) {
    let takes_no_count = |subcommand: &Command| {
        let name = subcommand.get_name();
        let takes = TABLE
            .iter()
            .any(|setting| setting.name == NUM_INSTANCES && takes(name, setting));
        !takes && words.iter().any(|word| word == name)
    };
    if !command().get_subcommands().any(takes_no_count) {
        let flag = ContextValue::String("--num-instances".to_owned());
        error.insert(ContextKind::SuggestedArg, flag);
    }
}

/// What clap complains about, as a failure like any other: what is wrong, and as a hint how it is done.
pub fn complaint(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let what = paragraphs.next().unwrap_or_default();
    let failure = Failure::usage(what.strip_prefix("error: ").unwrap_or(what));
    let hints = paragraphs
        .filter(|more| !more.is_empty() && !more.starts_with("For more information"))
        .map(|more| {
            let labels = ["hint: ", "tip: "];
            let bare = labels.iter().find_map(|label| more.strip_prefix(label));
            bare.unwrap_or(more)
        });
    hints.fold(failure, Failure::hinted)
}

/// Whether a command line that can't be parsed asks for JSON all the same.
pub fn asks_for_json(words: &[OsString]) -> bool {
    let words = words.iter().map(|word| word.to_string_lossy());
    let words: Vec<_> = words.take_while(|word| word != "--").collect();
    words.iter().any(|word| word == "--format=json")
        || words.windows(2).any(|pair| pair == ["--format", "json"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn status_takes_a_time_to_look_again_in_either_form() {
        for (line, seconds) in [
            (&["vch-lb", "status", "--watch=5s"][..], 5),
            (&["vch-lb", "status", "--watch", "5s"], 5),
            (&["vch-lb", "status", "--watch", "-q"], 2),
        ] {
            let cli = Cli::from_words(line).unwrap();
            let Some(Subcommands::Status(args)) = cli.command else {
                panic!("{line:?}");
            };
            assert_eq!(
                args.watch.map(|time| time.as_secs()),
                Some(seconds),
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_belongs_to_up_is_not_ignored_in_front_of_a_subcommand() {
        assert!(
            Cli::from_words(["vch-lb", "--dry-run"])
                .unwrap()
                .up
                .change
                .dry_run
                .is_some()
        );
        let error = Cli::from_words(["vch-lb", "--dry-run", "up"]).unwrap_err();
        assert!(error.to_string().contains("vch-lb up --dry-run"), "{error}");
    }

    #[test]
    fn settings_are_taken_before_and_after_the_subcommand() {
        for line in [
            ["vch-lb", "--lb-port", "81", "up"],
            ["vch-lb", "up", "--lb-port", "81"],
        ] {
            let cli = Cli::from_words(line).unwrap();
            assert_eq!(cli.settings.get(settings::LB_PORT), Some("81".to_owned()));
        }
        let cli = Cli::from_words(["vch-lb", "-n", "4", "up", "-n5"]).unwrap();
        assert_eq!(
            cli.settings.get(settings::NUM_INSTANCES).as_deref(),
            Some("5")
        );
    }

    #[test]
    fn a_setting_that_a_subcommand_finds_in_what_runs_is_refused_wherever_it_stands() {
        for line in [
            ["vch-lb", "--lb-port=81", "scale", "5"],
            ["vch-lb", "scale", "5", "--lb-port=81"],
            ["vch-lb", "scale", "--lb-port=81", "5"],
        ] {
            let error = Cli::from_words(line).unwrap_err().to_string();
            let expected =
                "`vch-lb scale` takes LB_PORT from what is running: --lb-port can't be given";
            assert!(error.contains(expected), "{line:?}: {error}");
        }
        let error = Cli::from_words(["vch-lb", "scale", "-n", "5"]).unwrap_err();
        assert!(error.to_string().contains("takes NUM_INSTANCES"), "{error}");
        for line in [
            &["vch-lb", "scale", "-n", "5"][..],
            &["vch-lb", "scale", "-n5"],
            &["vch-lb", "-n", "5", "scale", "3"],
            &["vch-lb", "scale", "3", "--num-instances=5"],
            &["vch-lb", "rollout", "--num-instances", "5"],
        ] {
            let error = Cli::from_words(line).unwrap_err().to_string();
            assert!(
                error.contains("hint: `vch-lb scale 5` changes it"),
                "{line:?}: {error}"
            );
        }
        let error = Cli::from_words(["vch-lb", "man", "-n", "5"]).unwrap_err();
        assert!(error.to_string().contains("has no use for"), "{error}");
        assert!(Cli::from_words(["vch-lb", "rollout", "--instance-img", "httpd:2"]).is_ok());
    }

    #[test]
    fn what_is_meant_by_a_word_of_other_tools_is_told() {
        for (line, hint) in [
            (
                &["vch-lb", "logs", "-n", "3"][..],
                "hint: `vch-lb logs --tail 3` shows the last lines of each",
            ),
            (
                &["vch-lb", "rollout", "httpd:2"],
                "hint: `vch-lb rollout --instance-img httpd:2` names the image",
            ),
        ] {
            let error = Cli::from_words(line).unwrap_err().to_string();
            assert!(error.contains(hint), "{line:?}: {error}");
        }
    }

    #[test]
    fn a_complaint_of_claps_is_a_failure_with_a_hint() {
        let complaint = |line: &[&str]| complaint(&Cli::from_words(line).unwrap_err());
        let unknown = complaint(&["vch-lb", "up", "--nope"]);
        assert_eq!(unknown.what, "unexpected argument '--nope' found");
        let hint = unknown.hints[0].to_string();
        assert!(hint.starts_with("Usage: vch-lb up"), "{hint}");
        let ours = complaint(&["vch-lb", "scale", "5", "--lb-port=81"]);
        assert!(ours.what.ends_with("--lb-port can't be given"), "{ours:?}");
        let hint = ours.hints[0].to_string();
        assert!(hint.starts_with("`vch-lb up` changes it"), "{hint}");
    }

    #[test]
    fn a_refused_setting_comes_with_the_usage_of_its_subcommand() {
        for line in [["vch-lb", "scale", "-n5"], ["vch-lb", "-n5", "scale"]] {
            let error = Cli::from_words(line).unwrap_err().to_string();
            assert!(error.contains("Usage: vch-lb scale"), "{error}");
        }
    }

    #[test]
    fn the_number_of_instances_is_suggested_by_its_other_names() {
        for line in [
            &["vch-lb", "--n", "3"][..],
            &["vch-lb", "up", "--instances", "3"],
            &["vch-lb", "up", "--replicas=3"],
        ] {
            let error = Cli::from_words(line).unwrap_err().to_string();
            assert!(error.contains("'--num-instances'"), "{line:?}: {error}");
        }
        let error = Cli::from_words(["vch-lb", "logs", "--n", "3"]).unwrap_err();
        assert!(!error.to_string().contains("--num-instances"), "{error}");
    }

    #[test]
    fn help_of_down_shows_only_what_down_uses() {
        let mut command = command();
        let help = command
            .find_subcommand_mut("down")
            .unwrap()
            .render_long_help()
            .to_string();
        for idle in IDLE_IN_DOWN {
            let flag = format!("--{}", idle.replace('_', "-"));
            assert!(!help.contains(&flag), "{flag}");
        }
        assert!(
            help.contains("--dry-run") && help.contains("--jobs"),
            "{help}"
        );
    }

    #[test]
    fn json_is_asked_for_by_a_command_line_with_mistakes_too() {
        let asks = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            asks_for_json(&words)
        };
        assert!(asks("vch-lb --format json nope"));
        assert!(asks("vch-lb nope --format=json"));
        assert!(!asks("vch-lb --format text json"));
        assert!(!asks("vch-lb logs -- --format json"));
    }

    #[test]
    fn help_of_a_subcommand_shows_only_the_settings_that_it_takes() {
        let shown = |name: &str| {
            let mut command = command();
            let subcommand = command.find_subcommand_mut(name).unwrap();
            let taken = subcommand.get_arguments().filter_map(Arg::get_long);
            let known: Vec<String> = settings::TABLE.iter().map(Setting::flag).collect();
            taken
                .filter(|flag| known.iter().any(|known| known == flag))
                .count()
        };
        assert_eq!(shown("up"), settings::TABLE.len());
        assert_eq!(["scale", "rollout", "down", "man"].map(shown), [3, 4, 3, 0]);
    }
}
