//! Further arguments for `docker run` and `docker create`: split as a shell splits words, passed as they are, refused
//! where they would break the plan, or where the endpoint says what only the admin's own settings may. Pure.
//!
//! Which flag is what is said in `docker_flags`.

use std::fmt;

use super::brought::{self, Source, Workstation};
use super::docker_flags::{Class, FLAGS, Flag, flag};
use crate::secrets::{join, redact, redact_text};
use crate::settings::nearest;

/// Checked arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    words: Vec<String>,
    /// A digest of what each of [`Arguments::sources`] brings in, in their order; empty before that was looked up.
    digests: Vec<String>,
}

impl Arguments {
    /// Splits and checks `text`; `port` is the container's port that vch-lb publishes itself.
    pub fn parse(text: &str, port: Option<u16>) -> Result<Self, String> {
        let words = split(text)?;
        check(&words, port)?;
        Ok(Self {
            words,
            digests: Vec::new(),
        })
    }

    pub fn words(&self) -> &[String] {
        &self.words
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// A digest of what each of [`Arguments::sources`] brings in.
    pub fn digests(&self) -> &[String] {
        &self.digests
    }

    /// These arguments with what they bring in from this workstation. The error names the argument.
    pub fn looked_up(self, prefix: &str, workstation: Workstation<'_>) -> Result<Self, String> {
        let digests: Result<Vec<String>, String> = self
            .sources()
            .map(|(text, source)| {
                brought::digest(&source, prefix, workstation)
                    .map_err(|why| format!("`{text}`: {why}"))
            })
            .collect();
        let digests = digests?;
        Ok(Self { digests, ..self })
    }

    /// What docker's client reads on this workstation for them, each behind the option as it was given.
    fn sources(&self) -> impl Iterator<Item = (String, Source)> {
        self.options()
            .filter_map(|given| Some((given.text(), given.source()?)))
    }

    /// Whether docker is to keep no log of the container.
    pub fn without_log(&self) -> bool {
        // Of several, docker takes the last.
        self.values_of(&["--log-driver"]).last() == Some(&"none")
    }

    /// The value of `-p` that publishes the container's TCP port `port`, if there is one.
    pub fn publishing(&self, port: u16) -> Option<&str> {
        let mut values = self.values_of(&["-p", "--publish"]).into_iter();
        values.find(|value| publishes(value, port))
    }

    /// The values that are given to any of `options`, in their order.
    pub fn values_of(&self, options: &[&str]) -> Vec<&str> {
        let given = self.options();
        given
            .filter(|given| options.contains(&given.option))
            .filter_map(|given| given.value)
            .collect()
    }

    /// Those that count only if the admin's own settings say them, as they were given: docker would read this workstation
    /// for them, or nobody knows what they do.
    pub fn local(&self) -> Vec<String> {
        self.options()
            .filter(|given| given.is_local())
            .map(Given::text)
            .collect()
    }

    /// Those that give the container more of the endpoint than a container has, as they were given.
    pub fn powers(&self) -> Vec<String> {
        self.options()
            .filter(|given| given.is_power())
            .map(Given::text)
            .collect()
    }

    /// The digest of what the option brings in that was given as `text`.
    fn digest_of(&self, text: &str) -> Option<&String> {
        let mut sources = self.sources().zip(&self.digests);
        sources
            .find(|((given, _), _)| given == text)
            .map(|(_, digest)| digest)
    }

    /// Whether these hold the option that was given as `text`.
    pub fn holds(&self, text: &str) -> bool {
        self.options().any(|given| given.text() == text)
    }

    /// Each option as it was written, and its value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.options().map(|given| (given.option, given.value))
    }

    /// Whether the word behind `option` is its value, as far as that is known here.
    pub fn takes_next(option: &str) -> bool {
        let (name, inline) = split_option(option);
        inline.is_none() && flag(name).is_some_and(|flag| flag.takes_value)
    }

    fn options(&self) -> impl Iterator<Item = Given<'_>> {
        let mut words = self.words.iter();
        std::iter::from_fn(move || Given::next(&mut words).ok().flatten())
    }
}

/// Arguments that the endpoint told: anybody who uses it can have written them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told(Arguments);

impl Told {
    /// Each option as it was written, and its value: to compare, not to pass on.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.pairs()
    }
}

/// Why arguments that the endpoint told are not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// Only the admin's own settings may say these, and they don't.
    NotOwn(Vec<String>),
    /// The admin's own can't be used: a clause.
    Unusable(String),
    /// What these brought in is not known.
    NotKnown(Vec<String>),
    /// What these bring in has changed.
    Changed(Vec<String>),
}

impl Told {
    /// Splits and checks `text`, as [`Arguments::parse`] does. `digests` are of what each of its sources brought in, if that
    /// was told.
    pub fn parse(text: &str, digests: Vec<String>, port: Option<u16>) -> Result<Self, String> {
        let arguments = Arguments::parse(text, port)?;
        if !digests.is_empty() && digests.len() != arguments.sources().count() {
            return Err("its digests don't fit its arguments".into());
        }
        Ok(Self(Arguments {
            digests,
            ..arguments
        }))
    }

    /// The arguments, to be passed on; `own` are the admin's, and `own_looked_up` the same with what they bring in.
    pub fn taken(
        self,
        own: &Arguments,
        own_looked_up: &Result<Arguments, String>,
    ) -> Result<Arguments, NotTaken> {
        let Self(told) = self;
        let mut not_own = told.local();
        not_own.retain(|text| !own.holds(text));
        if !not_own.is_empty() {
            return Err(NotTaken::NotOwn(not_own));
        }
        let texts: Vec<String> = told.sources().map(|(text, _)| text).collect();
        if texts.is_empty() {
            return Ok(told);
        }
        let now = own_looked_up
            .as_ref()
            .map_err(|why| NotTaken::Unusable(why.clone()))?;
        if told.digests.is_empty() {
            return Err(NotTaken::NotKnown(texts));
        }
        let changed = texts.into_iter().zip(&told.digests);
        let changed = changed.filter(|(text, before)| now.digest_of(text) != Some(before));
        let changed: Vec<String> = changed.map(|(text, _)| text).collect();
        if changed.is_empty() {
            Ok(told)
        } else {
            Err(NotTaken::Changed(changed))
        }
    }
}

/// As they are shown: quoted for a shell, and without secrets.
impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&redact(&self.words)))
    }
}

/// Words as a shell splits them.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    // They travel in a comment line of haproxy.cfg, or in a label.
    if text.chars().any(char::is_control) {
        return Err(
            "it holds a line break or another control character; a value of several lines goes in with `--env NAME` \
             alone, which takes it from the environment"
                .into(),
        );
    }
    shell_words::split(text).map_err(|_| "a quote is not closed".to_owned())
}

/// One option, as it was given.
#[derive(Debug, Clone, Copy)]
struct Given<'a> {
    option: &'a str,
    value: Option<&'a str>,
    /// `None`: not one that is known.
    flag: Option<&'static Flag>,
}

impl<'a> Given<'a> {
    /// The next option of `words`, with its value; `None` at their end.
    fn next(words: &mut std::slice::Iter<'a, String>) -> Result<Option<Self>, String> {
        let Some(word) = words.next() else {
            return Ok(None);
        };
        if !word.starts_with('-') || word == "-" || word == "--" {
            return Err(format!(
                "`{}` would be taken for the image: only options are passed on",
                redact_text(word)
            ));
        }
        let (option, inline) = split_option(word);
        let flag = flag(option);
        let value = match (flag, inline) {
            (_, Some(value)) => Some(value),
            (
                Some(Flag {
                    class: Class::Refused(_),
                    ..
                }),
                None,
            ) => None,
            (Some(flag), None) if flag.takes_value => {
                let next = words.next();
                Some(
                    next.ok_or_else(|| format!("`{option}` needs a value"))?
                        .as_str(),
                )
            }
            (Some(_), None) => None,
            // Its value could be taken for the image.
            (None, None) => {
                return Err(match nearest(option, FLAGS.iter().map(|flag| flag.name)) {
                    Some(known) => format!(
                        "`{option}` is not known here; did you mean `{known}`? Another one is given as {option}=VALUE"
                    ),
                    None => format!("`{option}` is not known here: give it as {option}=VALUE"),
                });
            }
        };
        Ok(Some(Self {
            option,
            value,
            flag,
        }))
    }

    /// For people, and to compare: `--env A`, however it was written.
    fn text(self) -> String {
        let option = self.flag.map_or(self.option, |flag| flag.name);
        match self.value {
            Some(value) if self.flag.is_some_and(|flag| flag.takes_value) => {
                format!("{option} {value}")
            }
            Some(value) => format!("{option}={value}"),
            None => option.to_owned(),
        }
    }

    fn is_local(self) -> bool {
        let value = self.value.unwrap_or_default();
        match self.flag.map(|flag| flag.class) {
            None | Some(Class::Reads | Class::LocalTrust) => true,
            Some(Class::Env) => !value.contains('='),
            Some(Class::SecurityOpt) => !is_known_to_engine(value),
            Some(Class::Volume) => value.starts_with('.'),
            Some(Class::Mount) => mount_source_is_local(value),
            Some(Class::Plain | Class::Power | Class::Refused(_)) => false,
        }
    }

    /// What docker's client reads for it, where that can be told apart from what it was before.
    fn source(self) -> Option<Source> {
        let value = self.value?.to_owned();
        let flag = self.flag?;
        if !self.is_local() {
            return None;
        }
        match flag.name {
            "--env" => Some(Source::Variable(value)),
            "--env-file" => Some(Source::EnvFile(value)),
            "--label-file" => Some(Source::LabelFile(value)),
            "--security-opt" => {
                let (kind, path) = value.split_once(['=', ':'])?;
                (kind == "seccomp").then(|| Source::Seccomp(path.to_owned()))
            }
            _ => None,
        }
    }

    fn is_power(self) -> bool {
        let classes = [
            Class::Power,
            Class::SecurityOpt,
            Class::Volume,
            Class::Mount,
        ];
        self.flag.is_some_and(|flag| classes.contains(&flag.class))
    }
}

/// Whether a `--security-opt` is passed on as it is: for `seccomp=FILE` docker's client reads a file. The old way to write
/// it has a colon.
fn is_known_to_engine(value: &str) -> bool {
    let (kind, rest) = value.split_once(['=', ':']).unwrap_or((value, ""));
    match kind {
        "seccomp" => matches!(rest, "unconfined" | "builtin"),
        "apparmor" | "label" | "no-new-privileges" | "systempaths" | "writable-cgroups" => true,
        _ => false,
    }
}

/// Whether docker's client would complete the source of a `--mount` by the current directory. It reads the value as CSV: one
/// with quotes may be anything.
fn mount_source_is_local(value: &str) -> bool {
    let is_local = |field: &str| {
        let (key, source) = field.split_once('=').unwrap_or((field, ""));
        let key = key.trim().to_ascii_lowercase();
        matches!(key.as_str(), "source" | "src") && source.trim().starts_with('.')
    };
    value.contains('"') || value.split(',').any(is_local)
}

fn check(words: &[String], port: Option<u16>) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(given) = Given::next(&mut words)? {
        let Given { option, value, .. } = given;
        if let Some(Class::Refused(why)) = given.flag.map(|flag| flag.class) {
            return Err(format!("`{option}` can't be given: {why}"));
        }
        let publishes = |value: &&str| port.is_some_and(|port| publishes(value, port));
        if let Some(value) = value.filter(publishes)
            && given.flag.is_some_and(|flag| flag.name == "--publish")
        {
            return Err(format!(
                "`{option} {value}` can't be given: vch-lb publishes that port itself"
            ));
        }
    }
    Ok(())
}

/// As docker's client does it: `--env=A=1` → (`--env`, `A=1`); `-p80` → (`-p`, `80`); `-it` → (`-i`, …); `-w=` → (`-w`, `=`).
fn split_option(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return word
            .split_once('=')
            .map_or((word, None), |(option, value)| (option, Some(value)));
    }
    let end = word
        .char_indices()
        .nth(2)
        .map_or(word.len(), |(index, _)| index);
    let (option, rest) = word.split_at(end);
    // With nothing behind it, the sign is the value: another reading would take the next option for one.
    let value = match rest.strip_prefix('=') {
        Some("") | None => rest,
        Some(value) => value,
    };
    (option, (!value.is_empty()).then_some(value))
}

/// Whether a `-p` value is about the container's `port`: `80`, `8080:80`, `1.2.3.4:8080:80/tcp`.
fn publishes(value: &str, port: u16) -> bool {
    let container = value.rsplit(':').next().unwrap_or(value);
    let (number, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    protocol == "tcp" && number.parse() == Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_a_shell_splits_them() {
        let given = r#"--env "GREETING=hello world" -e A=1 --memory=512m -v data:/data --read-only -p 9000 -u0"#;
        let arguments = Arguments::parse(given, Some(80)).unwrap();
        assert_eq!(arguments.words()[1], "GREETING=hello world");
        assert_eq!(arguments.words().len(), 11);
        assert!(Arguments::parse("", Some(80)).unwrap().is_empty());
        assert!(Arguments::parse("--some-new-option=x", None).is_ok());
    }

    #[test]
    fn what_would_break_the_plan_is_refused_with_the_reason() {
        for (given, why) in [
            ("--name x", "names are given"),
            ("--name=x", "names are given"),
            ("--net other", "networks are given"),
            ("--rm", "removes itself"),
            ("-d", "in the background"),
            ("-it", "no stdin"),
            ("-p 80", "publishes that port itself"),
            ("-p80", "publishes that port itself"),
            ("--publish=8080:80/tcp", "publishes that port itself"),
            ("evil/image", "taken for the image"),
            ("--env A=1 evil/image", "taken for the image"),
            ("-- evil", "taken for the image"),
            ("-p 8443:80", "publishes that port itself"),
            ("--some-new-option x", "give it as --some-new-option=VALUE"),
            ("--memroy 1g", "did you mean `--memory`?"),
            ("--env", "needs a value"),
            ("--env 'A", "a quote is not closed"),
        ] {
            let refusal = Arguments::parse(given, Some(80)).unwrap_err();
            assert!(refusal.contains(why), "{given}: {refusal}");
        }
        assert!(Arguments::parse("-p 80/udp -p 81 -p 8443:443", Some(80)).is_ok());
    }

    #[test]
    fn that_no_log_is_kept_is_seen() {
        for (given, without) in [
            ("", false),
            ("--log-driver none", true),
            ("--read-only --log-driver=none -e A=1", true),
            ("--log-driver none --log-driver json-file", false),
            ("--log-driver json-file --log-opt max-size=10m", false),
            ("--env --log-driver=none", false),
            ("--label none", false),
        ] {
            let arguments = Arguments::parse(given, None).unwrap();
            assert_eq!(arguments.without_log(), without, "{given}");
        }
    }

    #[test]
    fn what_reads_this_workstation_is_taken_from_no_label() {
        let own = Arguments::parse("--env OWN -v ./own:/data", None).unwrap();
        for (given, refused) in [
            ("--env A=1 -eB=2 --env=C= --memory 1g --label x=y", vec![]),
            ("--env-file /root/x.env", vec!["--env-file /root/x.env"]),
            ("--env-file=x.env --env A=1", vec!["--env-file x.env"]),
            ("--label-file x", vec!["--label-file x"]),
            (
                "--env AWS_SECRET -eHOME",
                vec!["--env AWS_SECRET", "--env HOME"],
            ),
            ("-e=HOME", vec!["--env HOME"]),
            // Here docker takes `=` for the value.
            ("-w= --env-file=x", vec!["--env-file x"]),
            ("--use-api-socket", vec!["--use-api-socket"]),
            ("--use-api-socket=true", vec!["--use-api-socket=true"]),
            (
                "--security-opt seccomp=/root/.docker/config.json",
                vec!["--security-opt seccomp=/root/.docker/config.json"],
            ),
            ("--security-opt seccomp:x", vec!["--security-opt seccomp:x"]),
            ("--security-opt new=x", vec!["--security-opt new=x"]),
            (
                "--security-opt seccomp=unconfined --security-opt no-new-privileges --security-opt apparmor=x \
                 --security-opt label:disable",
                vec![],
            ),
            ("--volume .:/x -v data:/y -v /etc:/z", vec!["--volume .:/x"]),
            (
                "--mount type=bind,SRC=./x,dst=/y",
                vec!["--mount type=bind,SRC=./x,dst=/y"],
            ),
            (
                "--mount 'type=bind,\"src=./x\",dst=/y'",
                vec!["--mount type=bind,\"src=./x\",dst=/y"],
            ),
            ("--mount type=bind,src=/etc,dst=/y", vec![]),
            ("--disable-content-trust", vec!["--disable-content-trust"]),
            ("--some-new-option=x", vec!["--some-new-option=x"]),
            // The admin says the same.
            (
                "--env=OWN --volume ./own:/data --env OTHER",
                vec!["--env OTHER"],
            ),
        ] {
            let told = Told::parse(given, Vec::new(), Some(80)).unwrap();
            match told.clone().taken(&own, &Ok(own.clone())) {
                Ok(taken) => assert!(refused.is_empty() && taken == told.0, "{given}"),
                Err(NotTaken::NotOwn(not_taken)) => assert_eq!(not_taken, refused, "{given}"),
                Err(other) => panic!("{given}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_the_admins_own_bring_in_has_to_be_what_was_brought_in() {
        let workstation = |content: &'static str| Workstation {
            file: Box::leak(Box::new(move |_: &str| Ok(content.as_bytes().to_vec()))),
            variable: &|name| (name == "SET").then(|| "x".into()),
        };
        let own = |text: &str, content| {
            let own = Arguments::parse(text, None).unwrap();
            (own.clone(), own.looked_up("web", workstation(content)))
        };
        let told =
            |text: &str, digests: &[String]| Told::parse(text, digests.to_vec(), None).unwrap();
        let text = "--env-file app.env --env A=1 -eSET";
        let (same, looked_up) = own(text, "A=1");
        let digests = looked_up.as_ref().unwrap().digests().to_vec();
        assert_eq!(digests.len(), 2);
        let taken = told(text, &digests).taken(&same, &looked_up).unwrap();
        assert_eq!(Ok(taken), looked_up);
        // The other way round, and with more, they are the admin's as well.
        let (more, more_looked_up) = own("--env SET --env-file=app.env --memory 1g", "A=1");
        assert!(told(text, &digests).taken(&more, &more_looked_up).is_ok());
        let (edited, edited_looked_up) = own(text, "A=2");
        assert_eq!(
            told(text, &digests).taken(&edited, &edited_looked_up),
            Err(NotTaken::Changed(vec!["--env-file app.env".into()]))
        );
        assert_eq!(
            told("-eSET", &[]).taken(&same, &looked_up),
            Err(NotTaken::NotKnown(vec!["--env SET".into()]))
        );
        let (unset, unset_looked_up) = own("--env UNSET --env SET", "");
        let why = "`--env UNSET`: UNSET is not set in the environment".to_owned();
        assert_eq!(unset_looked_up, Err(why.clone()));
        assert_eq!(
            told("-eSET", &digests[..1]).taken(&unset, &unset_looked_up),
            Err(NotTaken::Unusable(why))
        );
        assert!(Told::parse(text, digests[..1].to_vec(), None).is_err());
    }

    #[test]
    fn powers_are_seen() {
        let given =
            "--privileged --env A=1 -v data:/data --cap-add=SYS_ADMIN --memory 1g --pid host";
        assert_eq!(
            Arguments::parse(given, None).unwrap().powers(),
            [
                "--privileged",
                "--volume data:/data",
                "--cap-add SYS_ADMIN",
                "--pid host"
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_holds_options_only(text: String) {
            if let Ok(arguments) = Arguments::parse(&text, Some(80)) {
                assert!(arguments.words().first().is_none_or(|first| first.starts_with('-')));
            }
        }
    }
}
