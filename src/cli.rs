//! The command line, as clap declares it; the doc comments are the help. The rest of the program never sees clap.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand,
    ValueHint,
};

use crate::docker::argv::Range;
use crate::error::{self, Failure};
use crate::plan::up::Pull;
use crate::settings::{self, Setting};
use crate::ui::{self, Format};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// What `-h` shows of the settings and of what belongs to `up`; `--help` shows everything.
const BASIC: [&str; 4] = [settings::LB_IMG, "dry_run", "pull", "probe"];

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
    after_help = "[…] is a default. Settings are read from the environment too: LB_PORT=81 vch-lb\n\
        More: vch-lb --help, vch-lb help COMMAND, ... help settings, ... help exit-codes",
    after_long_help = "Examples:\n  \
        INSTANCE_IMG=httpd:2.4 vch-lb       deploy, or make what runs match\n  \
        vch-lb -n 5 --external-net public   the same with flags\n  \
        vch-lb --dry-run > deploy.sh        what would be done, as a script\n  \
        vch-lb status\n\n\
        More: vch-lb help COMMAND, vch-lb help settings, vch-lb help exit-codes"
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
        let mut command = command().subcommands(topics());
        let matches = command
            .try_get_matches_from_mut(&words)
            .map_err(|error| explain(error, &words))?;
        let Some((subcommand, below)) = matches.subcommand() else {
            return Self::from_arg_matches(&matches);
        };
        if topics().iter().any(|topic| topic.get_name() == subcommand) {
            let help = ["vch-lb", "help", subcommand];
            return Err(command
                .try_get_matches_from_mut(help)
                .err()
                .unwrap_or_else(|| command.error(ErrorKind::InvalidSubcommand, subcommand)));
        }
        if let Some(complaint) = misplaced(subcommand, &matches) {
            return Err(command.error(ErrorKind::ArgumentConflict, complaint));
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
            let taken = settings::TABLE
                .iter()
                .filter(|setting| takes(&name, setting));
            let subcommand = subcommand.args(taken.map(SettingArgs::arg));
            if about_itself(&name) {
                // Its own copies keep the global ones out of sight.
                subcommand.args(beside.get_arguments().map(|arg| arg.clone().hide(true)))
            } else {
                subcommand
            }
        });
    }
    command
}

/// Whether a subcommand is about `vch-lb` alone, and not about any service.
fn about_itself(subcommand: &str) -> bool {
    ["completions", "man"].contains(&subcommand)
}

/// Whether a subcommand takes a setting, and not what is running in its place.
fn takes(subcommand: &str, setting: &Setting) -> bool {
    let identity = settings::IDENTITY.contains(&setting.name);
    match subcommand {
        "scale" | "logs" | "down" => identity,
        "rollout" => identity || setting.name == settings::INSTANCE_IMG,
        "status" => identity || setting.name == settings::NUM_INSTANCES,
        other => !about_itself(other),
    }
}

/// What `vch-lb help` explains beside the subcommands.
fn topics() -> [Command; 1] {
    [("exit-codes", error::exit::table())].map(|(name, text)| {
        Command::new(name)
            .hide(true)
            // The template, other than the description, keeps its lines as they are.
            .help_template(text)
    })
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
    settings::TABLE
        .iter()
        .find(|setting| given(setting.name) && !takes(subcommand, setting))
        .map(|setting| not_taken(subcommand, setting))
}

fn not_taken(subcommand: &str, setting: &Setting) -> String {
    let flag = setting.flag();
    if about_itself(subcommand) {
        return format!("`vch-lb {subcommand}` has no use for --{flag}");
    }
    format!(
        "`vch-lb {subcommand}` takes {} from what is running: --{flag} can't be given\n\n  \
         hint: `vch-lb up` changes it",
        setting.name
    )
}

/// A setting that is unknown to the subcommand, but not to us, deserves more than `unexpected argument`.
fn explain(error: clap::Error, words: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = argument.split('=').next().unwrap_or(argument);
    let named = |setting: &&Setting| {
        flag == format!("--{}", setting.flag())
            || setting
                .short
                .is_some_and(|short| flag == format!("-{short}"))
    };
    let Some(setting) = settings::TABLE.iter().find(named) else {
        return error;
    };
    let command = command();
    let subcommand = command.get_subcommands().find(|subcommand| {
        let name = subcommand.get_name();
        words.iter().any(|word| word == name) && !takes(name, setting)
    });
    match subcommand {
        Some(subcommand) if error.kind() == ErrorKind::UnknownArgument => {
            let complaint = not_taken(subcommand.get_name(), setting);
            command.clone().error(ErrorKind::UnknownArgument, complaint)
        }
        _ => error,
    }
}

/// What clap complains about, as a failure like any other: what is wrong, and as a hint how it is done.
pub fn complaint(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let what = paragraphs.next().unwrap_or_default();
    let failure = Failure::usage(what.strip_prefix("error: ").unwrap_or(what));
    let hints: Vec<&str> = paragraphs
        .filter(|more| !more.is_empty() && !more.starts_with("For more information"))
        .map(|more| {
            let labels = ["hint: ", "tip: "];
            let bare = labels.iter().find_map(|label| more.strip_prefix(label));
            bare.unwrap_or(more)
        })
        .collect();
    if hints.is_empty() {
        failure
    } else {
        failure.hinted(hints.join("\n"))
    }
}

/// Whether a command line that can't be parsed asks for JSON all the same.
pub fn asks_for_json(words: &[OsString]) -> bool {
    let words = words.iter().map(|word| word.to_string_lossy());
    let words: Vec<_> = words.take_while(|word| word != "--").collect();
    words.iter().any(|word| word == "--format=json")
        || words.windows(2).any(|pair| pair == ["--format", "json"])
}

#[derive(Debug, Subcommand)]
pub enum Subcommands {
    /// Make the endpoint match the settings
    ///
    /// Deploys what is missing, goes on with a half-made service, starts what stopped, scales, and rolls out another image.
    #[command(after_help = "Example:\n  INSTANCE_IMG=httpd:2.4 vch-lb up -n 5")]
    Up(UpArgs),
    /// Give the running service another number of instances
    #[command(after_help = "Example:\n  vch-lb scale 5 --probe")]
    Scale(ScaleArgs),
    /// Replace every instance, in batches; go back on failure
    #[command(after_help = "Example:\n  vch-lb rollout --instance-img httpd:2.4.59 --batch 2")]
    Rollout(RolloutArgs),
    /// Show the service as it is
    ///
    /// Exits with 3 if it is degraded or not deployed.
    #[command(after_help = "Example:\n  vch-lb status --watch=5s")]
    Status(StatusArgs),
    /// Show the logs of all containers, each line behind a name
    #[command(after_help = "Example:\n  vch-lb logs --follow --tail 20 lb web-1")]
    Logs(LogsArgs),
    /// Remove the load balancer, the instances and their network
    #[command(after_help = "Example:\n  vch-lb down --dry-run")]
    Down(DownArgs),
    /// Show every setting's value, and where it came from
    #[command(after_help = "Example:\n  vch-lb settings --settings deploy.sh")]
    #[command(after_long_help = settings::table())]
    Settings,
    /// Print the haproxy.cfg for the settings, touching nothing
    #[command(after_help = "Example:\n  vch-lb render --lb-port 8080 > haproxy.cfg")]
    Render,
    /// Check client, endpoint, networks, names and images
    ///
    /// Exits with 1 if a deployment would fail, with 4 if docker or the endpoint can't be used.
    #[command(after_help = "Example:\n  vch-lb doctor --external-net routable")]
    Doctor(DoctorArgs),
    /// Print the completions of a shell
    #[command(after_help = "Example:\n  source <(vch-lb completions bash)")]
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all subcommands
    #[command(after_help = "Example:\n  vch-lb man --out /usr/local/share/man/man1")]
    Man(ManArgs),
}

#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write one page for the whole and one for each subcommand into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// What every command that changes something takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Change")]
pub struct ChangeArgs {
    /// Print a bash script of what would be done instead of doing it
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: exit with 3 if there is something to do
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,

    /// Leave a failed command's work for inspection instead of undoing it
    #[arg(long)]
    pub keep: bool,

    /// How many docker calls go side by side
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,

    /// How long the service may take to answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub wait: Duration,

    /// How long an instance has to run to be ready where nothing else tells
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub settle: Duration,

    /// How long old connections may take to end before their instance is stopped
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub drain: Duration,

    /// Where haproxy.cfg is written on this workstation
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, default_value = "haproxy.cfg")]
    pub config_out: String,

    /// Replace a haproxy.cfg that was edited by hand
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Change")]
pub struct ProbeArgs {
    /// Send requests through the load balancer meanwhile, and end with a receipt
    #[arg(long)]
    pub probe: bool,
}

/// How instances are replaced.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Change")]
pub struct StrategyArgs {
    /// How many instances are replaced at a time
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,

    /// Stop old instances before their successors start: for instances that can't overlap
    #[arg(long)]
    pub stop_first: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ScaleArgs {
    /// How many instances, 1 to 10000
    #[arg(value_name = "N", allow_negative_numbers = true)]
    pub count: String,

    /// When the image is pulled [default: missing]
    #[arg(long, value_name = "WHEN", help_heading = "Change")]
    pub pull: Option<Pull>,

    #[command(flatten)]
    pub probe: ProbeArgs,

    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Change")]
pub struct RolloutArgs {
    /// When the image is pulled [default: always]
    #[arg(long, value_name = "WHEN")]
    pub pull: Option<Pull>,

    /// Replace instances even if they run this very image
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub strategy: StrategyArgs,

    #[command(flatten)]
    pub probe: ProbeArgs,

    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Look again every TIME, until Ctrl-C
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = duration)]
    pub watch: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Only these containers
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Go on with lines as they come
    #[arg(short, long)]
    pub follow: bool,

    /// How many lines of each container's past, or `all`
    #[arg(long, value_name = "N", default_value = "100", value_parser = tail)]
    pub tail: String,

    /// Only lines since a time (RFC 3339), or a span such as 10m
    #[arg(long, value_name = "TIME", value_parser = no_option)]
    pub since: Option<String>,

    /// With the endpoint's time in front of each line
    #[arg(short, long)]
    pub timestamps: bool,
}

impl LogsArgs {
    pub fn range(&self) -> Range {
        Range {
            tail: Some(self.tail.clone()),
            since: self.since.clone(),
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct DownArgs {
    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Where haproxy.cfg would be written on this workstation
    #[arg(long, value_name = "FILE", default_value = "haproxy.cfg")]
    pub config_out: String,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Change")]
pub struct UpArgs {
    /// When images are pulled [default: always for a new service, else missing]
    #[arg(long, value_name = "WHEN")]
    pub pull: Option<Pull>,

    /// Replace a load balancer whose image or network changed: a short outage
    #[arg(long)]
    pub recreate_lb: bool,

    #[command(flatten)]
    pub strategy: StrategyArgs,

    #[command(flatten)]
    pub probe: ProbeArgs,

    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub struct SettingsFileArgs {
    /// A file of NAME=value lines
    ///
    /// An edited copy of the script that vch-lb replaces will do, too.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub settings: Option<String>,
}

/// Which docker client, and how it reaches the endpoint.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Docker")]
pub struct DockerArgs {
    /// The docker client: a name on PATH, or a path
    #[arg(long, global = true, value_name = "PATH", hide_short_help = true, value_hint = ValueHint::CommandName, default_value = "docker")]
    pub docker: String,

    /// The endpoint, as docker's own -H [env: DOCKER_HOST, read by docker]
    #[arg(short = 'H', long, global = true, value_name = "HOST", value_parser = no_option)]
    pub host: Option<String>,

    /// The docker context to use
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true, value_parser = no_option, conflicts_with = "host")]
    pub context: Option<String>,

    /// How long one docker call may take: a VCH may need 3 minutes to start a container
    #[arg(long, global = true, value_name = "TIME", hide_short_help = true, default_value = "300s", value_parser = duration)]
    pub timeout: Duration,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How answers and errors are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// No progress; warnings and errors stay
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Show each docker call; a long one that is repeated is shortened
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        hide_short_help = true,
        default_value = "auto"
    )]
    pub color: Color,
}

impl OutputArgs {
    pub fn ui_options(&self) -> ui::Options {
        ui::Options {
            format: self.format,
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR or TERM=dumb say otherwise
    Auto,
    Always,
    Never,
}

impl Color {
    /// Decides for both streams.
    pub fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// The settings of the table, each as a flag that overrides its environment variable.
#[derive(Debug, Clone, Default)]
pub struct SettingArgs(BTreeMap<&'static str, String>);

impl SettingArgs {
    /// What the flag of the setting called `name` said.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn arg(setting: &'static Setting) -> Arg {
        let bracketed = |text: String| match setting.default {
            "" => String::new(),
            _ => text,
        };
        // One line each in `-h`: what comes first says enough.
        let short = setting.help.split(';').next().unwrap_or_default();
        let short = format!("{short}{}", bracketed(format!(" [{}]", setting.default)));
        let default = bracketed(format!(" [default: {}]", setting.default));
        let hint = if setting.value == "FILE" {
            ValueHint::FilePath
        } else {
            ValueHint::Unknown
        };
        let arg = Arg::new(setting.name)
            .long(setting.flag())
            .value_name(setting.value)
            .value_hint(hint)
            .help(short)
            .long_help(format!(
                "{}\n[env: {}]{default}",
                setting.help, setting.name
            ))
            .help_heading(setting.group.heading())
            .hide_short_help(
                !BASIC.contains(&setting.name) && !settings::SCRIPT.contains(&setting.name),
            )
            .action(ArgAction::Set)
            // A value such as `-x` is refused by its own rules, with a message that names the setting.
            .allow_hyphen_values(true);
        match setting.short {
            Some(short) => arg.short(short),
            None => arg,
        }
    }
}

impl Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        command.args(settings::TABLE.iter().map(Self::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in settings::TABLE {
            // A subcommand knows only those that it takes.
            if let Ok(Some(value)) = matches.try_get_one::<String>(setting.name) {
                self.0.insert(setting.name, value.clone());
            }
        }
        Ok(())
    }
}

/// `90`, `90s`, `2m 30s`: a number without a unit is in seconds.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(u64::from(seconds)));
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= Duration::from_secs(86_400) => Ok(duration),
        Ok(_) => Err("at most a day".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn tail(text: &str) -> Result<String, String> {
    if text == "all" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())) {
        Ok(text.to_owned())
    } else {
        Err("a number of lines, or `all`".into())
    }
}

/// A value that docker can't take for another option.
fn no_option(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        return Err("it is empty or begins with a dash".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().subcommands(topics()).debug_assert();
    }

    #[test]
    fn durations_take_plain_seconds_and_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m 30s"), Ok(Duration::from_secs(150)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "-1", "1 fortnight", "2days"] {
            assert!(duration(text).is_err(), "{text}");
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
        let error = Cli::from_words(["vch-lb", "man", "-n", "5"]).unwrap_err();
        assert!(error.to_string().contains("has no use for"), "{error}");
        assert!(Cli::from_words(["vch-lb", "rollout", "--instance-img", "httpd:2"]).is_ok());
    }

    #[test]
    fn a_complaint_of_claps_is_a_failure_with_a_hint() {
        let complaint = |line: &[&str]| complaint(&Cli::from_words(line).unwrap_err());
        let unknown = complaint(&["vch-lb", "up", "--nope"]);
        assert_eq!(unknown.what, "unexpected argument '--nope' found");
        let hint = unknown.hint.unwrap();
        assert!(hint.starts_with("Usage: vch-lb up"), "{hint}");
        let ours = complaint(&["vch-lb", "scale", "5", "--lb-port=81"]);
        assert!(ours.what.ends_with("--lb-port can't be given"), "{ours:?}");
        let hint = ours.hint.unwrap();
        assert!(hint.starts_with("`vch-lb up` changes it"), "{hint}");
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
