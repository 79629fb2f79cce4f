//! Commands of this tool that are suggested to the admin, so that they mean the same service when typed into the same
//! shell. Pure.
//!
//! Before a message is shown, what the admin had to give to mean this service is put into its commands here: the settings
//! file, the flags that say which service, and the endpoint.

use crate::docker::words::{hide_password, quote};
use crate::message::{Command, Message};
use crate::secrets::redact;
use crate::settings::{Origin, Settings, TABLE};

const TOOL: &str = "vch-lb";

/// What the commands that are suggested have to repeat: flags and their values.
#[derive(Debug, Clone, Default)]
pub struct Suggest {
    /// For every command.
    all: Vec<(String, String)>,
    /// For `up` besides: it takes what is not given from the defaults, and would change that.
    up: Vec<(String, String)>,
}

impl Suggest {
    /// Of what the command line said: the settings file, docker's host and its context.
    pub fn new(
        settings: &Settings,
        file: Option<&str>,
        host: Option<&str>,
        context: Option<&str>,
    ) -> Self {
        let host = host.map(hide_password);
        let given = [
            ("host", host.as_deref()),
            ("context", context),
            ("settings", file),
        ];
        let given = given
            .into_iter()
            .filter_map(|(flag, value)| Some((format!("--{flag}"), value?.to_owned())));
        // What the environment or the file says, they will say again.
        let identity = settings
            .iter()
            .filter(|value| value.setting.identifies && value.origin == Origin::Flag)
            .map(|value| (format!("--{}", value.setting.flag()), value.text.clone()));
        Self {
            all: given.chain(identity).collect(),
            up: Vec::new(),
        }
    }

    /// The same for suggestions of the command `up` itself: it means what its own flags said.
    #[must_use]
    pub fn with_flags_of_up(self, settings: &Settings) -> Self {
        Self {
            up: said_by_flags(settings),
            ..self
        }
    }

    /// `vch-lb SUBCOMMAND`, what has to be repeated, and `more`, which may say some of that otherwise.
    pub fn command(&self, subcommand: &str, more: &[&str]) -> String {
        typed(subcommand, self.all.iter(), more)
    }

    /// `message` with all of its commands made complete.
    pub fn complete(&self, message: &Message) -> String {
        message.text(|Command { subcommand, more }| {
            let ups = self.up.iter().filter(|_| *subcommand == "up");
            let more: Vec<&str> = more.iter().map(String::as_str).collect();
            typed(subcommand, self.all.iter().chain(ups), &more)
        })
    }
}

/// `vch-lb SUBCOMMAND`, those of `repeated` that `more` does not say otherwise, and `more`.
fn typed<'a>(
    subcommand: &str,
    repeated: impl Iterator<Item = &'a (String, String)>,
    more: &[&str],
) -> String {
    let mut words = vec![TOOL, subcommand];
    let repeated = repeated.filter(|(flag, _)| !more.contains(&flag.as_str()));
    words.extend(repeated.flat_map(|(flag, value)| [flag.as_str(), value]));
    words.extend(more);
    quote(&words)
}

/// What flags said beside which service is meant; values of environment variables are hidden.
fn said_by_flags(settings: &Settings) -> Vec<(String, String)> {
    let values = TABLE.iter().map(|setting| settings.get(setting.name));
    values
        .filter(|value| value.origin == Origin::Flag && !value.setting.identifies)
        .map(|value| {
            let flag = format!("--{}", value.setting.flag());
            (flag, without_secrets(&value.text))
        })
        .collect()
}

/// Arguments for docker, with what nobody needs to see hidden.
fn without_secrets(text: &str) -> String {
    match shell_words::split(text) {
        Ok(words) if words.len() > 1 => shell_words::join(redact(&words)),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{vch_lb, vch_lb_with};
    use crate::settings::file::Assignments;
    use crate::settings::{
        EXTERNAL_NET, INSTANCE_ARGS, INSTANCE_CTR_PREFIX, LB_CTR_NAME, LB_PORT, PUBLISH_LB,
    };

    fn settings() -> Settings {
        let flag = |name: &str| match name {
            INSTANCE_CTR_PREFIX => Some("api".to_owned()),
            EXTERNAL_NET => Some("d m z".to_owned()),
            LB_PORT => Some("81".to_owned()),
            _ => None,
        };
        let environment = |name: &str| (name == LB_CTR_NAME).then(|| "api-lb".to_owned());
        Settings::resolve(flag, environment, &Assignments::default())
    }

    #[test]
    fn a_command_repeats_what_says_which_service_is_meant() {
        let defaults = Settings::defaults();
        let plain = Suggest::new(&defaults, None, None, None);
        assert_eq!(plain.command("scale", &["4"]), "vch-lb scale 4");
        let file = Suggest::new(&defaults, Some("my svc.conf"), Some("tcp://vch:2376"), None);
        assert_eq!(
            file.command("up", &["--overwrite"]),
            "vch-lb up --host tcp://vch:2376 --settings 'my svc.conf' --overwrite"
        );
        let flags = Suggest::new(&settings(), None, None, Some("vch"));
        assert_eq!(
            flags.command("logs", &[]),
            "vch-lb logs --context vch --instance-ctr-prefix api --external-net 'd m z'"
        );
        assert_eq!(
            flags.command("up", &["--external-net", "dmz"]),
            "vch-lb up --context vch --instance-ctr-prefix api --external-net dmz"
        );
    }

    #[test]
    fn what_flags_said_is_said_again_and_no_secret_with_it() {
        let flag = |name: &str| match name {
            LB_PORT => Some("81".to_owned()),
            INSTANCE_ARGS => Some("--env PASSWORD=x --memory 64m".to_owned()),
            EXTERNAL_NET => Some("dmz".to_owned()),
            PUBLISH_LB => Some("never".to_owned()),
            _ => None,
        };
        let settings = Settings::resolve(flag, |_| None, &Assignments::default());
        let said = said_by_flags(&settings);
        let said: Vec<_> = said
            .iter()
            .map(|(flag, value)| (&**flag, &**value))
            .collect();
        assert_eq!(
            said,
            [
                ("--instance-args", "--env 'PASSWORD=***' --memory 64m"),
                ("--lb-port", "81"),
                ("--publish-lb", "never"),
            ]
        );
    }

    #[test]
    fn what_up_was_told_is_told_to_the_up_that_it_suggests() {
        let flag = |name: &str| match name {
            LB_PORT => Some("81".to_owned()),
            PUBLISH_LB => Some("always".to_owned()),
            INSTANCE_ARGS => Some("--env TOKEN=s3cret".to_owned()),
            _ => None,
        };
        let settings = Settings::resolve(flag, |_| None, &Assignments::default());
        let again = Suggest::new(&settings, Some("s.conf"), None, None).with_flags_of_up(&settings);
        let up = vch_lb_with("up", &["--recreate-lb", "--lb-port", "82"]);
        let message = "set it, or " + up + "; " + vch_lb("status") + " says more";
        let complete = again.complete(&message);
        assert!(
            complete
                .starts_with("set it, or `vch-lb up --settings s.conf --instance-args '--env '"),
            "{complete}"
        );
        assert!(!complete.contains("s3cret"), "{complete}");
        assert!(
            complete.ends_with(
                " --publish-lb always --recreate-lb --lb-port 82`; `vch-lb status --settings s.conf` says more"
            ),
            "{complete}"
        );
    }

    #[test]
    fn commands_in_a_text_are_made_complete() {
        let again = Suggest::new(&Settings::defaults(), Some("svc.conf"), None, None);
        let overwrite = || vch_lb_with("up", &["--overwrite"]);
        for (message, complete) in [
            (
                "running " + vch_lb("down") + " again goes on from here",
                "running `vch-lb down --settings svc.conf` again goes on from here",
            ),
            (
                overwrite() + " replaces it; " + vch_lb("status") + " shows it",
                "`vch-lb up --settings svc.conf --overwrite` replaces it; `vch-lb status --settings svc.conf` shows it",
            ),
            (
                vch_lb_with("up", &["--settings", "other.conf"]),
                "`vch-lb up --settings other.conf`",
            ),
            ("run `docker logs`".into(), "run `docker logs`"),
        ] {
            assert_eq!(again.complete(&message), complete);
            let plain = Suggest::default().complete(&message);
            assert_eq!(plain, message.to_string());
        }
    }
}
