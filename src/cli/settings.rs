//! The settings of the table as flags.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use super::BASIC;
use crate::error::printable;
use crate::settings::{Setting, TABLE};

/// The settings of the table, each as a flag that overrides its environment variable.
#[derive(Debug, Clone, Default)]
pub struct SettingArgs(BTreeMap<&'static str, String>);

impl SettingArgs {
    /// What the flag of the setting called `name` said.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    pub(super) fn arg(setting: &'static Setting) -> Arg {
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
            .value_parser(AnyText(setting.choices))
            .hide_possible_values(true)
            .help(short)
            .long_help(format!(
                "{}\n[env: {}]{default}",
                setting.help, setting.name
            ))
            .help_heading(setting.group.heading())
            .hide_short_help(!BASIC.contains(&setting.name) && !setting.of_the_script)
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
        command.args(TABLE.iter().map(Self::arg))
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
        for setting in TABLE {
            // A subcommand knows only those that it takes.
            if let Ok(Some(value)) = matches.try_get_one::<String>(setting.name) {
                self.0.insert(setting.name, value.clone());
            }
        }
        Ok(())
    }
}

/// Takes whatever is given: what is wrong with it `service` tells, wherever it came from. The choices are for completions.
#[derive(Clone)]
struct AnyText(&'static [&'static str]);

impl TypedValueParser for AnyText {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        if let (Some(arg), None) = (arg, value.to_str()) {
            let given = printable(&value.to_string_lossy());
            let flag = arg.get_long().unwrap_or_default();
            let what = format!("{} is `{given}` (--{flag}): it is not UTF-8", arg.get_id());
            return Err(command.clone().error(ErrorKind::InvalidUtf8, what));
        }
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        if self.0.is_empty() {
            return None;
        }
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}
