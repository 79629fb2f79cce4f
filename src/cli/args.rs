//! The subcommands and what each takes, as clap declares them; the doc comments are the help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use crate::docker::argv::Range;
use crate::plan::up::Pull;
use crate::service::time;
use crate::ui::{self, Format};

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
    /// Go back to what the service was
    ///
    /// Without --to: to the newest state of the history that differs from what runs.
    #[command(after_help = "Example:\n  vch-lb rollback --probe")]
    Rollback(RollbackArgs),
    /// Show what was done to the service, and where one can go back to
    #[command(after_help = "Example:\n  vch-lb history --format json")]
    History,
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
    #[command(after_long_help = "vch-lb help settings explains them.")]
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
    /// Print the manual page, or write all that there are
    #[command(after_help = "Example:\n  vch-lb man --out pages && man pages/vch-lb-haproxy.7")]
    Man(ManArgs),
    /// Explain a command or a topic
    #[command(after_help = "Example:\n  vch-lb help haproxy")]
    Help(HelpArgs),
}

#[derive(Debug, Clone, Args)]
pub struct HelpArgs {
    /// A command or a topic
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Write one page for the whole, and one for each subcommand and topic, into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// What `--dry-run` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DryRun {
    /// A bash script that does it
    Script,
    /// What changes, what that costs and how long it takes
    Plan,
}

/// What every command that changes something takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Change")]
pub struct ChangeArgs {
    /// Print a bash script of what would be done; =plan: a plan to read
    #[arg(
        long,
        value_name = "FORM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "script",
        hide_possible_values = true
    )]
    pub dry_run: Option<DryRun>,

    /// Do it only if what is there, and what is to be done, have the fingerprint that --dry-run=plan showed
    #[arg(long = "if", value_name = "FINGERPRINT", conflicts_with = "dry_run")]
    pub only_if: Option<String>,

    /// Show the plan, and ask before doing it
    #[arg(long, conflicts_with = "dry_run")]
    pub confirm: bool,

    /// With --dry-run: exit with 3 if there is something to do
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,

    /// Leave a failed command's work for inspection instead of undoing it
    #[arg(long)]
    pub keep: bool,

    /// How long to wait for another command that is changing this service
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub lock_wait: Duration,

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

    /// Replace a haproxy.cfg that was edited by hand, and one on this workstation that vch-lb did not write
    #[arg(long)]
    pub overwrite: bool,
}

impl ChangeArgs {
    /// Whether it is done only if the plan is what the admin has seen, or agrees to.
    pub fn agrees_first(&self) -> bool {
        self.only_if.is_some() || self.confirm
    }
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Change")]
pub struct ProbeArgs {
    /// Send requests through the load balancer meanwhile, and end with a receipt
    #[arg(long)]
    pub probe: bool,

    /// How many requests of --probe may fail once the last reload is in force; with more the command fails and goes back
    #[arg(long, value_name = "N", default_value = "0", requires = "probe")]
    pub max_failed: usize,
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
#[command(next_help_heading = "Change")]
pub struct RollbackArgs {
    /// The entry of the history to go back to
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,

    /// Replace a load balancer that had another image or network: a short outage
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
pub struct StatusArgs {
    /// Look again every TIME, until Ctrl-C
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "2s", value_parser = duration)]
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
    /// Answers and errors as text or json
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub format: Format,

    /// No progress; warnings and errors stay
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Show each docker call, a repeated long one shortened
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

/// At most a day.
fn duration(text: &str) -> Result<Duration, String> {
    match time::milliseconds(text)? {
        milliseconds @ 0..=86_400_000 => Ok(Duration::from_millis(milliseconds)),
        _ => Err("at most a day, 24h".into()),
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
    fn durations_are_told_by_a_unit_and_end_with_the_day() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("25h"), Err("at most a day, 24h".into()));
        let complaint = duration("5").unwrap_err();
        assert!(complaint.contains("units ms, s, m, h"), "{complaint}");
    }
}
