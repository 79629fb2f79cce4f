//! What is wanted: the settings given meaning. All validation of settings happens here, before anything is tried. Pure.

pub mod arguments;
pub mod brought;
pub mod certificate;
pub mod docker_flags;
pub mod edits;
pub mod exclusive;
pub mod files;
pub mod head;
pub mod names;
pub mod reader;
pub mod running;
pub mod siblings;
pub mod time;
pub mod tuning;

use arguments::{Arguments, Told};
use brought::Workstation;
use names::{ContainerName, Count, ImageRef, Names, NetworkName, Port, Prefix};
use reader::{Complaint, Reader};
use tuning::{Log, Tuning};

use crate::error::Failure;
use crate::haproxy::versions::{self, Version};
use crate::secrets;
use crate::settings::{self, Settings};

/// Which service is meant: all that tells it from others on its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub names: Names,
    /// The network of its clients.
    pub external_net: NetworkName,
}

/// A service, as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub service: Service,
    pub image: ImageRef,
    /// The name of the tool's own by which the image is still there, where `image` has come to mean another one.
    pub kept: Option<ImageRef>,
    pub count: Count,
    pub instance_port: Port,
    pub lb_port: Port,
    pub lb_image: ImageRef,
    /// HAProxy's version, as far as the image's tag or its environment tells it.
    pub lb_version: Option<Version>,
    /// Further arguments for `docker run` of each instance.
    pub instance_args: Arguments,
    /// What instances run in place of their image's command.
    pub instance_cmd: Vec<String>,
    /// The container whose label told `instance_args`, where the spec was read off what runs. `None`: the admin's own
    /// settings tell them.
    pub args_from: Option<String>,
    pub publish: Publish,
    pub tuning: Tuning,
    /// Whether the endpoint decides about SERVER_ADDRESS.
    pub auto_address: bool,
    /// The text of TEMPLATE; `None`: the built-in one.
    pub template: Option<String>,
    /// The content of TLS_CERT, where it is to be put into the load balancer.
    pub cert: Option<Vec<u8>>,
}

/// The words of a label, arguments, `--` and command, without what comes before them.
pub fn words_of_label(label: &str) -> &str {
    let (version, rest) = label.split_once(' ').unwrap_or((label, ""));
    match version.parse() {
        Ok(DIGESTS_VERSION) => rest.split_once(' ').map_or("", |(_, words)| words),
        _ => rest,
    }
}

/// Whether the load balancer's ports are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// Where nothing could reach it otherwise: on a VCH whose external network is a container network.
    Auto,
    Always,
    Never,
}

impl Publish {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("it is one of auto, always, never".into()),
        }
    }
}

/// The label on an instance that carries what it was run with beyond the script's arguments.
pub const LABEL: &str = "vch-lb";
/// The label on an instance that was made from an image by a name of the tool's own: the name that the admin knows it by.
pub const IMAGE_LABEL: &str = "vch-lb.image";
/// What all names begin with by which the tool keeps images.
pub const KEPT_IMAGES: &str = "vch-lb/";
/// The version of the label; it changes when an older vch-lb would misread it.
const LABEL_VERSION: u32 = 1;
/// The version of a label that tells, before the arguments, what they brought in: a digest each, with commas.
const DIGESTS_VERSION: u32 = 2;

impl Spec {
    pub fn names(&self) -> &Names {
        &self.service.names
    }

    pub fn external_net(&self) -> &NetworkName {
        &self.service.external_net
    }

    /// The label's value; `None` where the script's arguments say it all.
    pub fn label(&self) -> Option<String> {
        if self.instance_args.is_empty() && self.instance_cmd.is_empty() {
            return None;
        }
        let words = self.instance_args.words().iter().map(String::as_str);
        let words: Vec<&str> = words
            .chain(["--"])
            .chain(self.instance_cmd.iter().map(String::as_str))
            .collect();
        let words = shell_words::join(words);
        let digests = self.instance_args.digests();
        Some(if digests.is_empty() {
            format!("{LABEL_VERSION} {words}")
        } else {
            format!("{DIGESTS_VERSION} {} {words}", digests.join(","))
        })
    }

    /// The load balancer's label: what its arguments brought in, where they brought in anything. The arguments themselves
    /// travel in its haproxy.cfg.
    pub fn lb_label(&self) -> Option<String> {
        let digests = self.tuning.lb_args.digests();
        (!digests.is_empty()).then(|| format!("{DIGESTS_VERSION} {}", digests.join(",")))
    }

    /// Arguments and command, read back from a label.
    pub fn from_label(label: &str, port: Port) -> Result<(Told, Vec<String>), String> {
        let (version, rest) = label.split_once(' ').unwrap_or((label, ""));
        let (digests, words) = match version.parse() {
            Ok(LABEL_VERSION) => ("", rest),
            Ok(DIGESTS_VERSION) => rest.split_once(' ').ok_or("it has no arguments")?,
            Ok(newer) if newer > DIGESTS_VERSION => {
                return Err(format!(
                    "it was written by a newer vch-lb (version {newer})"
                ));
            }
            _ => return Err("it has no version".into()),
        };
        let digests = digests.split(',').filter(|digest| !digest.is_empty());
        let digests = digests.map(str::to_owned).collect();
        let words = arguments::split(words)?;
        let end = words
            .iter()
            .position(|word| word == "--")
            .ok_or("it has no `--`")?;
        let arguments = shell_words::join(&words[..end]);
        let told = Told::parse(&arguments, digests, Some(port.get()))?;
        Ok((told, words[end + 1..].to_vec()))
    }

    /// The spec with what its arguments bring in from this workstation, so that it can be compared; refused by name where
    /// that is not there.
    pub fn looked_up(
        mut self,
        settings: &Settings,
        workstation: Workstation<'_>,
    ) -> Result<Self, Failure> {
        let look_up = |name: &str, arguments: Arguments| {
            let source = settings.get(name).source();
            arguments
                .looked_up(self.service.names.prefix.as_str(), workstation)
                .map_err(|why| Failure::usage(format!("{name} ({source}): {why}")))
        };
        self.instance_args = look_up(settings::INSTANCE_ARGS, self.instance_args.clone())?;
        self.tuning.lb_args = look_up(settings::LB_ARGS, self.tuning.lb_args.clone())?;
        Ok(self)
    }

    /// Checks every setting; the failure names each that can't be used, its value and where it came from.
    pub fn from_settings(settings: &Settings) -> Result<Self, Failure> {
        let text = |name: &str| settings.get(name).text.clone();
        let mut read = Reader::new(&text);
        let names = names(&mut read);
        let image = read.value(settings::INSTANCE_IMG, ImageRef::parse);
        let count = read.value(settings::NUM_INSTANCES, Count::parse);
        let instance_port = read.value(settings::INSTANCE_PORT, Port::parse);
        let lb_port = read.value(settings::LB_PORT, Port::parse);
        let lb_image = read.value(settings::LB_IMG, ImageRef::parse);
        let external_net = read.value(settings::EXTERNAL_NET, NetworkName::parse);
        let port = instance_port.map(Port::get);
        let instance_args =
            read.value(settings::INSTANCE_ARGS, |text| Arguments::parse(text, port));
        if let (Some(arguments), Some(count)) = (&instance_args, count) {
            check_exclusive(&mut read, arguments, count);
        }
        let instance_cmd = read.value(settings::INSTANCE_CMD, arguments::split);
        refuse_masked(&mut read);
        let publish = read.value(settings::PUBLISH_LB, Publish::parse);
        let tuning = tuning(&mut read, lb_image.as_ref());
        let service = service(&mut read, names, external_net, count);
        let lb_version = lb_image.as_ref().and_then(ImageRef::version_in_tag);
        let spec = (|| {
            Some(Self {
                service: service?,
                image: image?,
                kept: None,
                count: count?,
                instance_port: instance_port?,
                lb_port: lb_port?,
                lb_image: lb_image?,
                lb_version,
                instance_args: instance_args?,
                instance_cmd: instance_cmd?,
                args_from: None,
                publish: publish?,
                tuning: tuning?,
                auto_address: settings.get(settings::SERVER_ADDRESS).text == tuning::AUTO,
                template: None,
                cert: None,
            })
        })();
        finish(read, settings, spec)
    }
}

impl Service {
    /// Checks the settings that tell a service from others, for commands that need no more.
    pub fn from_settings(settings: &Settings) -> Result<Self, Failure> {
        let text = |name: &str| settings.get(name).text.clone();
        let mut read = Reader::new(&text);
        let names = names(&mut read);
        let external_net = read.value(settings::EXTERNAL_NET, NetworkName::parse);
        let service = service(&mut read, names, external_net, None);
        finish(read, settings, service)
    }
}

fn names(read: &mut Reader<'_>) -> Option<Names> {
    let prefix = read.value(settings::INSTANCE_CTR_PREFIX, Prefix::parse);
    let lb = read.value(settings::LB_CTR_NAME, ContainerName::parse);
    let (prefix, lb) = prefix.zip(lb)?;
    Some(Names { prefix, lb })
}

/// What was read separately, taken together; names that are fine by themselves may still meet each other.
fn service(
    read: &mut Reader<'_>,
    names: Option<Names>,
    external_net: Option<NetworkName>,
    count: Option<Count>,
) -> Option<Service> {
    if let Some(names) = &names {
        check_names(read, names, count, external_net.as_ref());
    }
    let (names, external_net) = names.zip(external_net)?;
    Some(Service {
        names,
        external_net,
    })
}

/// `value`, which `read` made of `settings`; the failure names each setting that can't be used, its value and where it came
/// from.
fn finish<T>(read: Reader<'_>, settings: &Settings, value: Option<T>) -> Result<T, Failure> {
    read.finish(value).map_err(|complaints| {
        let complaints = complaints.into_iter();
        let complaints =
            complaints.map(|Complaint { name, why }| settings.get(name).complaint(why));
        Failure::usage(complaints.collect::<Vec<_>>().join("\n       "))
    })
}

/// How the load balancer treats requests, as settings say it.
fn tuning(read: &mut Reader<'_>, lb_image: Option<&ImageRef>) -> Option<Tuning> {
    let check = read.text(settings::HEALTH_CHECK);
    if let Some(write) = tuning::check_without_host(&check) {
        let why = format!(
            "HAProxy asks each instance at its own address, so it names no host: write {write}"
        );
        read.complain(settings::HEALTH_CHECK, why);
        return None;
    }
    let tuning = Tuning::read(read)?;
    let version = lb_image.and_then(ImageRef::version_in_tag);
    if tuning.log == Log::Stdout
        && version.is_some_and(|version| version < versions::LOGS_TO_STDOUT)
    {
        let image = read.text(settings::LB_IMG);
        let why = format!("HAProxy can log to stdout from 1.9 on, but LB_IMG is `{image}`");
        read.complain(settings::LB_LOG, why);
    }
    // Not in `Tuning`: a load balancer that was created so has to remain one that can be looked at and replaced.
    if tuning.lb_args.without_log() {
        let why = "vch-lb reads in the load balancer's log whether a reload took effect, and `--log-driver none` keeps none";
        read.complain(settings::LB_ARGS, why);
    }
    check_publishing(read, &tuning);
    Some(tuning)
}

/// A port can't be published twice: by LB_ARGS at an address of the admin's choice, and by PUBLISH_LB.
fn check_publishing(read: &mut Reader<'_>, tuning: &Tuning) {
    if Publish::parse(&read.text(settings::PUBLISH_LB)) != Ok(Publish::Always) {
        return;
    }
    let lb_port = Port::parse(&read.text(settings::LB_PORT)).ok();
    let further = tuning.further_ports().map(|(port, _)| port);
    let value = lb_port
        .into_iter()
        .chain(further)
        .find_map(|port| tuning.lb_args.publishing(port.get()));
    if let Some(value) = value {
        let why = format!(
            "`-p {value}` can't be given: vch-lb publishes that port itself (PUBLISH_LB is `always`)"
        );
        read.complain(settings::LB_ARGS, why);
    }
}

fn check_names(
    read: &mut Reader<'_>,
    names: &Names,
    count: Option<Count>,
    external: Option<&NetworkName>,
) {
    if let Some(Err(why)) = count.map(|count| names.fits(count.get())) {
        read.complain(settings::INSTANCE_CTR_PREFIX, why);
    }
    if names.number_of(names.lb.as_str()).is_some() {
        let (name, prefix) = (settings::INSTANCE_CTR_PREFIX, &names.prefix);
        let why = format!("with {name} `{prefix}` this is an instance's name");
        read.complain(settings::LB_CTR_NAME, why);
    }
    if external.is_some_and(|external| external.as_str() == names.network()) {
        let why = "this is the name of the instances' own network";
        read.complain(settings::EXTERNAL_NET, why);
    }
}

/// Words that were shown without their secrets are not the words.
fn refuse_masked(read: &mut Reader<'_>) {
    for setting in settings::words() {
        let words = shell_words::split(&read.text(setting.name));
        if words.is_ok_and(|words| secrets::is_masked(&words)) {
            let why = "`***` stands for a value that was not shown: write the value itself";
            read.complain(setting.name, why);
        }
    }
}

/// What one container can have is not for several.
fn check_exclusive(read: &mut Reader<'_>, arguments: &Arguments, count: Count) {
    for argument in exclusive::among(arguments) {
        if let Some(why) = argument.refusal(count.get()) {
            read.complain(settings::INSTANCE_ARGS, why);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn settings(given: &[(&str, &str)]) -> Settings {
        let given = |name: &str| {
            given
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::resolve(given, |_| None, &settings::file::Assignments::default())
    }

    /// The script's defaults with a few settings changed.
    pub(crate) fn spec(given: &[(&str, &str)]) -> Spec {
        Spec::from_settings(&settings(given)).expect("valid settings")
    }

    fn refusal(given: &[(&str, &str)]) -> String {
        Spec::from_settings(&settings(given))
            .expect_err("a refusal")
            .what
    }

    #[test]
    fn the_defaults_are_accepted() {
        let spec = spec(&[]);
        assert_eq!(spec.names().instance(1), "web-1");
        assert_eq!(spec.names().network(), "web-net");
        assert_eq!(spec.count.get(), 3);
    }

    #[test]
    fn what_completions_offer_is_accepted() {
        for setting in settings::TABLE {
            for choice in setting.choices {
                spec(&[(setting.name, choice), (settings::LB_IMG, "haproxy:2.6")]);
            }
        }
    }

    #[test]
    fn a_refusal_names_setting_value_and_source() {
        assert_eq!(
            refusal(&[("LB_PORT", "80x")]),
            "LB_PORT is `80x` (--lb-port): a port is a whole number from 1 to 65535"
        );
        let all = refusal(&[
            ("LB_PORT", "0"),
            ("INSTANCE_IMG", "-x"),
            ("NUM_INSTANCES", "0"),
        ]);
        assert_eq!(all.lines().count(), 3, "{all}");
    }

    #[test]
    fn names_that_meet_each_other_are_refused() {
        assert!(refusal(&[("LB_CTR_NAME", "web-7")]).contains("an instance's name"));
        assert!(refusal(&[("EXTERNAL_NET", "web-net")]).contains("own network"));
        let prefix = "w".repeat(59);
        assert!(
            refusal(&[("INSTANCE_CTR_PREFIX", &prefix), ("NUM_INSTANCES", "10000")])
                .contains("DNS")
        );
        spec(&[("INSTANCE_CTR_PREFIX", &prefix)]);
    }

    #[test]
    fn the_label_carries_arguments_and_command() {
        let given = spec(&[
            ("INSTANCE_ARGS", "--env 'A=1 2' -u0"),
            ("INSTANCE_CMD", "httpd -X 'a b'"),
        ]);
        let label = given.label().unwrap();
        assert_eq!(label, "1 --env 'A=1 2' -u0 -- httpd -X 'a b'");
        let (arguments, command) = Spec::from_label(&label, given.instance_port).unwrap();
        let none = Arguments::default();
        let arguments = arguments.taken(&none, &Ok(none.clone())).unwrap();
        assert_eq!(
            (arguments, command),
            (given.instance_args, given.instance_cmd)
        );
        assert_eq!(spec(&[]).label(), None);
        assert!(
            Spec::from_label("3 x", spec(&[]).instance_port)
                .unwrap_err()
                .contains("newer")
        );
        for broken in ["2", "2 x", "2 x --", "2 x,y -eA --", "2 x -eA -eB -- x"] {
            assert!(
                Spec::from_label(broken, spec(&[]).instance_port).is_err(),
                "{broken}"
            );
        }
        assert!(Spec::from_label("1 --rm -- x", spec(&[]).instance_port).is_err());
        for nobodys in ["", "x", "0 --", "-1 --", "1"] {
            let why = Spec::from_label(nobodys, spec(&[]).instance_port).unwrap_err();
            assert!(why.starts_with("it has no "), "{nobodys}: {why}");
        }
    }

    #[test]
    fn what_is_secret_is_in_no_complaint_and_the_mask_is_no_value() {
        for given in [
            "-e A=secret x",
            "-e 'A=secret",
            "--rm -e A=secret",
            "-p 80 -eA=secret",
        ] {
            let refusal = refusal(&[("INSTANCE_ARGS", given)]);
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        for name in ["INSTANCE_ARGS", "LB_ARGS"] {
            let refusal = refusal(&[(name, "-m 64m -e A=***")]);
            assert!(refusal.ends_with("write the value itself"), "{refusal}");
        }
    }

    #[test]
    fn a_health_check_names_no_host() {
        assert_eq!(
            refusal(&[("HEALTH_CHECK", "http://x/health")]),
            "HEALTH_CHECK is `http://x/health` (--health-check): HAProxy asks each instance at its own address, so it \
             names no host: write http:/health"
        );
    }

    #[test]
    fn what_one_container_can_have_is_refused_for_several() {
        let refusal = refusal(&[("INSTANCE_ARGS", "-m 64m -p 9090:9090")]);
        assert!(
            refusal.starts_with(
                "INSTANCE_ARGS is `-m 64m -p 9090:9090` (--instance-args): `-p 9090:9090` gives the port 9090 of the \
                 endpoint to one instance, and there are to be 3"
            ),
            "{refusal}"
        );
        spec(&[("INSTANCE_ARGS", "-p 9090:9090"), ("NUM_INSTANCES", "1")]);
        spec(&[("INSTANCE_ARGS", "-p 9090-9092:9090")]);
    }

    #[test]
    fn a_log_on_stdout_needs_a_load_balancer_that_can() {
        let refusal = refusal(&[("LB_LOG", "stdout")]);
        assert!(
            refusal.contains("LB_LOG") && refusal.contains("LB_IMG"),
            "{refusal}"
        );
        spec(&[("LB_LOG", "stdout"), ("LB_IMG", "haproxy:2.6")]);
        spec(&[("LB_LOG", "stdout"), ("LB_IMG", "haproxy:lts")]);
    }

    #[test]
    fn the_load_balancer_has_to_keep_a_log() {
        let refusal = refusal(&[("LB_ARGS", "--log-driver none")]);
        assert!(
            refusal.starts_with("LB_ARGS is `--log-driver none` (--lb-args): "),
            "{refusal}"
        );
        spec(&[
            ("LB_ARGS", "--log-driver json-file"),
            ("INSTANCE_ARGS", "--log-driver none"),
        ]);
    }

    #[test]
    fn a_port_is_published_once() {
        for args in ["-p 80:80", "--publish=192.0.2.1:8080:80", "-p 8404"] {
            let given = [("LB_ARGS", args), ("STATS_PORT", "8404")];
            for publish in ["auto", "never"] {
                spec(&[&given[..], &[("PUBLISH_LB", publish)]].concat());
            }
            let refusal = refusal(&[&given[..], &[("PUBLISH_LB", "always")]].concat());
            assert!(
                refusal.contains("vch-lb publishes that port itself"),
                "{refusal}"
            );
        }
        spec(&[("LB_ARGS", "-p 8443:443"), ("PUBLISH_LB", "always")]);
    }

    #[test]
    fn which_service_is_meant_asks_for_names_only() {
        let given = settings(&[("NUM_INSTANCES", "many"), ("LB_PORT", "x")]);
        assert!(Service::from_settings(&given).is_ok());
        assert!(Service::from_settings(&settings(&[("LB_CTR_NAME", "-")])).is_err());
    }
}
