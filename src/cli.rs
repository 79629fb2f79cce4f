//! The command line, as clap declares it; the doc comments are the help. The rest of the program never sees clap.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand,
};

use crate::docker::argv::Range;
use crate::plan::up::Pull;
use crate::settings::{self, Setting};
use crate::ui::{self, Format};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Puts N instances of a container image behind HAProxy on whatever endpoint your docker client points at
///
/// Without a subcommand: `vch-lb up`.
#[derive(Debug, Parser)]
#[command(name = "vch-lb", version, styles = STYLES, max_term_width = 100)]
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
    /// would be taken for granted and ignored.
    pub fn from_words<I>(words: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator,
        I::Item: Into<std::ffi::OsString> + Clone,
    {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        if let Some(subcommand) = matches.subcommand_name() {
            let ups = UpArgs::augment_args(Command::new("up"));
            let misplaced = ups.get_arguments().find(|arg| {
                matches.value_source(arg.get_id().as_str())
                    == Some(clap::parser::ValueSource::CommandLine)
            });
            if let Some(flag) = misplaced.and_then(|arg| arg.get_long()) {
                let complaint =
                    format!("--{flag} belongs behind the subcommand: vch-lb {subcommand} --{flag}");
                return Err(command.error(clap::error::ErrorKind::ArgumentConflict, complaint));
            }
        }
        Self::from_arg_matches(&matches)
    }
}

#[derive(Debug, Subcommand)]
pub enum Subcommands {
    /// Make the endpoint match the settings: deploy, resume, repair, scale, roll out
    Up(UpArgs),
    /// Give the running service another number of instances
    Scale(ScaleArgs),
    /// Replace every instance, start-first in batches, and go back on failure
    Rollout(RolloutArgs),
    /// Show the service as it is; exits with 3 if it is degraded or not deployed
    Status(StatusArgs),
    /// Show the logs of all containers, each line behind its container's name
    Logs(LogsArgs),
    /// Remove the load balancer, the instances and their network
    Down(DownArgs),
    /// Show every setting's value, and where it came from
    Settings,
    /// Print the haproxy.cfg for the settings, touching nothing
    Render,
    /// Check client, endpoint, networks, names and images; exits with 1 if something would fail
    Doctor(DoctorArgs),
}

/// What every command that changes something takes.
#[derive(Debug, Clone, Args)]
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
    #[arg(long, value_name = "FILE", default_value = "haproxy.cfg")]
    pub config_out: String,

    /// Replace a haproxy.cfg that was edited by hand
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct ProbeArgs {
    /// Send requests through the load balancer meanwhile, and end with a receipt
    #[arg(long)]
    pub probe: bool,
}

/// How instances are replaced.
#[derive(Debug, Clone, Args)]
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
    #[arg(value_name = "N", allow_hyphen_values = true)]
    pub count: String,

    /// When the image is pulled [default: missing]
    #[arg(long, value_name = "WHEN")]
    pub pull: Option<Pull>,

    #[command(flatten)]
    pub probe: ProbeArgs,

    #[command(flatten)]
    pub change: ChangeArgs,
}

#[derive(Debug, Clone, Args)]
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
    /// A file of NAME=value lines, or an edited copy of the script that vch-lb replaces
    #[arg(long, global = true, value_name = "FILE")]
    pub settings: Option<String>,
}

/// Which docker client, and how it reaches the endpoint.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Docker")]
pub struct DockerArgs {
    /// The docker client: a name on PATH, or a path
    #[arg(long, global = true, value_name = "PATH", default_value = "docker")]
    pub docker: String,

    /// The endpoint, as docker's own -H [env: DOCKER_HOST, read by docker]
    #[arg(short = 'H', long, global = true, value_name = "HOST", value_parser = no_option)]
    pub host: Option<String>,

    /// The docker context to use
    #[arg(long, global = true, value_name = "NAME", value_parser = no_option, conflicts_with = "host")]
    pub context: Option<String>,

    /// How long one docker call may take: a VCH may need 3 minutes to start a container
    #[arg(long, global = true, value_name = "TIME", default_value = "300s", value_parser = duration)]
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

    /// Show each docker call
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
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
        let mut help = format!("{} [env: {}]", setting.help, setting.name);
        if !setting.default.is_empty() {
            help = format!("{help} [default: {}]", setting.default);
        }
        let arg = Arg::new(setting.name)
            .long(setting.flag())
            .value_name(setting.value)
            .help(help)
            .help_heading(setting.group.heading())
            .action(ArgAction::Set)
            // A value such as `-x` is refused by its own rules, with a message that names the setting.
            .allow_hyphen_values(true)
            .global(true);
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
            if let Some(value) = matches.get_one::<String>(setting.name) {
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
        Cli::command().debug_assert();
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
    }
}
