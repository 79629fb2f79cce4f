//! The spec that is running: read off the containers and the configuration in the load balancer, so that `scale` and
//! `rollout` change one thing and leave the rest as it is. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::arguments::{Arguments, NotTaken};
use super::names::{Count, ImageRef, Names, NetworkName, Port};
use super::tuning::{AUTO, ServerAddress, Tuning};
use super::{LABEL, Publish, Service, Spec};
use crate::error::Failure;
use crate::haproxy::read::Odd;
use crate::haproxy::{CONFIG_NAME, Config};
use crate::inventory::{Container, Endpoint, Inventory};
use crate::message::{Message, vch_lb, vch_lb_with};
use crate::secrets::redact_text;
use crate::settings::{self, INSTANCE_ARGS, Kind, LB_CTR_NAME, Origin, Setting, Settings};
use crate::text::list;

/// The spec of the service in `inventory`. `service` is what the settings say; a load balancer on another network tells
/// better. `own` are the arguments that the settings give to instances.
pub fn spec(service: &Service, own: &Own, inventory: &Inventory) -> Result<Spec, Failure> {
    if !inventory.lb.as_ref().is_some_and(Container::running) {
        return Err(incomplete(&service.names, inventory));
    }
    let why = inventory.config.as_ref();
    let why = why.and_then(|found| found.broken.as_ref());
    if let Some((lb, why)) = inventory.lb.as_ref().zip(why) {
        return Err(Failure::failed(broken(&lb.name, why)).hinted(template_again()));
    }
    let found = inventory.config.as_ref();
    if let Some(lb) = inventory.lb.as_ref()
        && found.is_some_and(|found| found.other_template)
    {
        return Err(Failure::failed(other_template(&lb.name)).hinted(template_again()));
    }
    as_found(service, own, inventory)
}

/// What helps where the template in the load balancer can't be used.
fn template_again() -> Message {
    vch_lb_with("up", &["--overwrite"])
        + " with all settings, and the template for TEMPLATE, replaces it"
}

/// The arguments that the admin's own settings give to instances.
#[derive(Debug, Clone)]
pub struct Own {
    pub arguments: Arguments,
    /// The same with what they bring in, or why that can't be told.
    pub looked_up: Result<Arguments, String>,
}

/// What is to be told to `up` so that it makes of the service what it is, with as many instances as are wanted.
#[derive(Debug)]
pub struct AsItIs {
    pub flags: Vec<String>,
    /// What `up` then makes, or why that is not known.
    pub spec: Result<Spec, Failure>,
    /// Whether all of it is known but for the instances' arguments.
    pub but_for_args: bool,
}

/// `count` is how many are wanted, if the settings say so.
pub fn as_it_is(
    service: &Service,
    own: &Own,
    count: Option<Count>,
    inventory: &Inventory,
    settings: &Settings,
) -> AsItIs {
    let counted = |spec: Spec| Spec {
        count: count.unwrap_or(spec.count),
        ..spec
    };
    let failure = match as_found(service, own, inventory).map(counted) {
        Ok(spec) => {
            return AsItIs {
                flags: up_flags(&spec, settings),
                spec: Ok(spec),
                but_for_args: false,
            };
        }
        Err(failure) => failure,
    };
    let without_args = without_args(service, inventory).map(counted);
    let but_for_args = without_args.is_ok();
    let flags = match without_args {
        Err(_) => up_flags_by_containers(inventory, count, settings),
        Ok(mut spec) => {
            // What a label asks for, and only the admin may, is nothing to paste.
            spec.instance_args = own.arguments.clone();
            let mut flags = up_flags(&spec, settings);
            flags.extend(["--instance-args", "ARGS"].map(str::to_owned));
            flags
        }
    };
    AsItIs {
        flags,
        spec: Err(failure),
        but_for_args,
    }
}

/// The flags with which `up` brings the service of `spec` back to what it is, for somebody whose settings are `settings`.
/// What a flag said this time has to be said again.
pub fn up_flags(spec: &Spec, settings: &Settings) -> Vec<String> {
    let own = [
        (settings::INSTANCE_IMG, spec.image.to_string()),
        (settings::NUM_INSTANCES, spec.count.to_string()),
        (settings::INSTANCE_PORT, spec.instance_port.to_string()),
        (settings::LB_PORT, spec.lb_port.to_string()),
        (settings::EXTERNAL_NET, spec.external_net().to_string()),
        (settings::LB_IMG, spec.lb_image.to_string()),
        (
            settings::INSTANCE_ARGS,
            shell_words::join(spec.instance_args.words()),
        ),
        (
            settings::INSTANCE_CMD,
            shell_words::join(&spec.instance_cmd),
        ),
    ];
    let travelling = settings::travelling()
        .map(|setting| (setting.name, travelling(&spec.tuning, settings, setting)));
    flags(own.into_iter().chain(travelling), settings)
}

/// What `up` has to be told so that it at least keeps the image and the number of instances, where no load balancer tells
/// more. `count` is how many are wanted, if that is known.
pub fn up_flags_by_containers(
    inventory: &Inventory,
    count: Option<Count>,
    settings: &Settings,
) -> Vec<String> {
    let instances = inventory.instances.values();
    let images: BTreeSet<&str> = instances.map(|each| each.image.as_str()).collect();
    // One that is no image's name is nothing to paste.
    let is_name = |image: &&str| ImageRef::parse(image).is_ok();
    let image = images
        .first()
        .filter(|image| images.len() == 1 && is_name(image));
    let lb_image = inventory.lb.as_ref().map(|lb| lb.image.as_str());
    let lb_image = lb_image.filter(is_name).map(str::to_owned);
    let there = Some(inventory.instances.len()).filter(|there| *there > 0);
    let count = count.map(Count::get).or(there);
    let known = [
        (settings::INSTANCE_IMG, image.map(|&image| image.to_owned())),
        (
            settings::NUM_INSTANCES,
            count.map(|count| count.to_string()),
        ),
        (settings::LB_IMG, lb_image),
    ];
    let known = known
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    flags(known, settings)
}

/// Those of the settings that `settings` does not say, or only for this command.
fn flags<'n>(values: impl Iterator<Item = (&'n str, String)>, settings: &Settings) -> Vec<String> {
    let mut words = Vec::new();
    for (name, text) in values {
        let value = settings.get(name);
        // That goes by what is there.
        if name == settings::SERVER_ADDRESS && value.text == AUTO {
            continue;
        }
        let Setting {
            identifies, kind, ..
        } = value.setting;
        if value.text != text || (value.origin == Origin::Flag && !identifies) {
            // A suggestion is shown; `***` in it is refused by name.
            let shown = if *kind == Kind::Words {
                redact_text(&text)
            } else {
                text
            };
            words.extend([format!("--{}", value.setting.flag()), shown]);
        }
    }
    words
}

/// What `up` has to be told of a setting that travels. Of a file the load balancer tells only that there is one: which,
/// the settings may say.
fn travelling(found: &Tuning, settings: &Settings, setting: &Setting) -> String {
    let text = found.text(setting.name);
    let own = &settings.get(setting.name).text;
    let is_file = setting.kind == Kind::File && !text.is_empty();
    match own.as_str() {
        "" if is_file => "FILE",
        own if is_file => own,
        _ => text,
    }
    .to_owned()
}

/// The spec as it can be read off a load balancer, whether it runs or not.
pub fn as_found(service: &Service, own: &Own, inventory: &Inventory) -> Result<Spec, Failure> {
    let spec = without_args(service, inventory)?;
    let config = inventory.written_config();
    let Some(latest) = config.and_then(|config| latest(config, inventory)) else {
        return Ok(spec);
    };
    let (instance_args, instance_cmd) = extras(latest, spec.instance_port, own)?;
    Ok(Spec {
        instance_args,
        instance_cmd,
        args_from: Some(latest.name.clone()),
        ..spec
    })
}

/// What a service is to be again that it was before: what the history says of it, in place of what is `found`.
#[derive(Debug, Clone, Copy)]
pub struct Formerly<'a> {
    pub image: &'a str,
    /// The name of the tool's own by which that image is still there, where `image` means another one.
    pub kept: Option<&'a str>,
    pub instances: usize,
    pub instance_port: u16,
    pub lb_port: u16,
    pub lb_image: &'a str,
    pub label: Option<&'a str>,
    /// As in the line at the head of haproxy.cfg.
    pub settings: &'a str,
    /// Whether it had the template that is `found`.
    pub has_template: bool,
    /// Where all that stands, for people.
    pub from: &'a str,
}

/// The spec of a service as it was `formerly`. As with the label of a container, anybody may have written that: the same
/// is refused.
pub fn as_formerly(found: &Spec, formerly: &Formerly<'_>, own: &Own) -> Result<Spec, Failure> {
    let invalid = |why: String| Failure::failed(format!("{}: {why}", formerly.from));
    let port = |port: u16| Port::parse(&port.to_string()).map_err(invalid);
    let image = |name: &str| ImageRef::parse(name).map_err(invalid);
    let instance_port = port(formerly.instance_port)?;
    let lb_image = image(formerly.lb_image)?;
    let (instance_args, instance_cmd) = match formerly.label {
        Some(label) => told(label, formerly.from, instance_port, own)?,
        None => Default::default(),
    };
    Ok(Spec {
        image: image(formerly.image)?,
        kept: formerly.kept.map(image).transpose()?,
        count: Count::parse(&formerly.instances.to_string()).map_err(invalid)?,
        instance_port,
        lb_port: port(formerly.lb_port)?,
        lb_version: if lb_image == found.lb_image {
            found.lb_version
        } else {
            lb_image.version_in_tag()
        },
        lb_image,
        instance_args,
        instance_cmd,
        args_from: formerly.label.map(|_| formerly.from.to_owned()),
        tuning: Tuning::from_assignments(formerly.settings).map_err(invalid)?,
        template: found.template.clone().filter(|_| formerly.has_template),
        ..found.clone()
    })
}

/// The same but for arguments and command of the instances.
pub fn without_args(service: &Service, inventory: &Inventory) -> Result<Spec, Failure> {
    let Some(lb) = &inventory.lb else {
        return Err(incomplete(&service.names, inventory));
    };
    let config = config(lb, inventory)?;
    let image = image(config, inventory).ok_or_else(|| incomplete(&service.names, inventory))?;
    let invalid = |why: String| Failure::failed(why);
    Ok(Spec {
        service: Service {
            names: service.names.clone(),
            external_net: network(lb, service),
        },
        kept: kept(&image, inventory),
        image: ImageRef::parse(&image).map_err(invalid)?,
        count: Count::parse(&config.servers.len().to_string()).map_err(invalid)?,
        instance_port: config.instance_port,
        lb_port: config.lb_port,
        lb_image: ImageRef::parse(&lb.image).map_err(invalid)?,
        lb_version: lb.haproxy,
        instance_args: Arguments::default(),
        instance_cmd: Vec::new(),
        args_from: None,
        publish: Publish::Auto,
        tuning: config.tuning.clone(),
        auto_address: false,
        template: config.template.clone(),
        cert: None,
    })
}

/// What the load balancer's haproxy.cfg says, if it is one of ours or the script's.
fn config<'a>(lb: &Container, inventory: &'a Inventory) -> Result<&'a Config, Failure> {
    let found = inventory.config.as_ref();
    if let Some(what) = found.and_then(|found| found.newer.as_ref()) {
        return Err(newer(lb, what));
    }
    if let Some(odd) = found.and_then(|found| found.odd.as_ref()) {
        return Err(Failure::failed(format!(
            "{}: what is running can't be read off it",
            odd_config(&lb.name, odd)
        ))
        .hinted(vch_lb_with("up", &[replacing(odd)]) + " with all settings replaces it"));
    }
    found.and_then(|found| found.config.as_ref()).ok_or_else(|| {
        Failure::failed(format!(
            "the haproxy.cfg in `{}` is not one that vch-lb or the script wrote: what is running can't be read off it",
            lb.name
        ))
        .hinted(vch_lb_with("up", &["--overwrite"]) + " with all settings replaces it")
    })
}

/// Arguments and command of the instances beyond the script's: the one that was run last tells how the next is to be run.
fn extras(latest: &Container, port: Port, own: &Own) -> Result<(Arguments, Vec<String>), Failure> {
    match latest.labels.get(LABEL) {
        Some(label) => told(label, &latest.name, port, own),
        None => Ok(Default::default()),
    }
}

/// What the label of `name` tells: arguments and command.
fn told(
    label: &str,
    name: &str,
    port: Port,
    own: &Own,
) -> Result<(Arguments, Vec<String>), Failure> {
    let unreadable = |why: String| {
        Failure::failed(format!(
            "the label `{LABEL}` of `{name}` can't be read: {why}"
        ))
    };
    let (told, command) = Spec::from_label(label, port).map_err(unreadable)?;
    let arguments = told
        .taken(&own.arguments, &own.looked_up)
        .map_err(|why| not_taken(name, why))?;
    Ok((arguments, command))
}

/// Why the arguments of `name`'s label are not passed on to others.
fn not_taken(name: &str, why: NotTaken) -> Failure {
    match why {
        NotTaken::NotOwn(refused) => Failure::failed(format!(
            "the label `{LABEL}` of `{name}` asks for {}: only your own settings may ask for what reads this workstation's \
             files or environment, or is not known here, since anybody on the endpoint can write a label",
            list(&refused)
        ))
        .hinted(
            "if new instances are to have it, say so yourself: INSTANCE_ARGS in the environment or in a settings file; else "
                + vch_lb("up")
                + " with your own settings replaces that instance",
        ),
        NotTaken::Unusable(why) => Failure::usage(format!("{INSTANCE_ARGS}: {why}")),
        NotTaken::NotKnown(texts) => Failure::failed(format!(
            "what {} brought into `{name}` is not known: an older vch-lb made it",
            list(&texts)
        ))
        .hinted(
            vch_lb("up")
                + " with your settings replaces the instances, and keeps it from then on",
        ),
        NotTaken::Changed(texts) => Failure::failed(format!(
            "what {} brings in is not what `{name}` was made with",
            list(&texts)
        ))
        .hinted(vch_lb("up") + " with your settings rolls out the new values"),
    }
}

/// The image that most of the instances in the load balancer were made from.
fn image(config: &Config, inventory: &Inventory) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for number in config.numbers() {
        if let Some(instance) = inventory.instances.get(&number) {
            *counts.entry(&instance.image).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(image, _)| image.to_owned())
}

/// The name of the tool's own that instances of `image` were made by, where they were: further ones are made alike.
pub fn kept(image: &str, inventory: &Inventory) -> Option<ImageRef> {
    let instances = inventory.instances.values();
    let latest = instances
        .filter(|instance| instance.image == image)
        .max_by_key(|instance| instance.started_at)?;
    latest.kept_as.as_deref().cloned()
}

/// The latest instance in the load balancer.
fn latest<'a>(config: &Config, inventory: &'a Inventory) -> Option<&'a Container> {
    let numbers = config.numbers();
    let instances = numbers
        .iter()
        .filter_map(|number| inventory.instances.get(number));
    instances.max_by_key(|instance| instance.started_at)
}

/// The load balancer's other network, besides the instances'.
fn network(lb: &Container, service: &Service) -> NetworkName {
    let Service {
        names,
        external_net,
    } = service;
    if lb.is_on(external_net.as_str()) {
        return external_net.clone();
    }
    let bridge = names.network();
    let other = lb.network_names().find(|name| *name != bridge);
    other
        .and_then(|name| NetworkName::parse(name).ok())
        .unwrap_or_else(|| external_net.clone())
}

/// `spec` with SERVER_ADDRESS as this endpoint wants it, where that is left to it.
///
/// A load balancer that has served keeps what its file says. A new one, and one that is made anew (`fresh`), gets addresses
/// on a VCH: it asks the name server of the alphabetically first of its two networks first, and that of EXTERNAL_NET
/// knows no instance (seen with VIC 1.5.8). One that does not run there for lack of names gets them, too.
#[must_use]
pub fn with_server_address(mut spec: Spec, inventory: &Inventory, fresh: bool) -> Spec {
    if !spec.auto_address {
        return spec;
    }
    let found = inventory.config.as_ref();
    let found = found.filter(|found| inventory.has_served() && !fresh && !found.edited());
    let kept = found.and_then(|found| found.config.as_ref());
    let runs = inventory.lb.as_ref().is_some_and(Container::running);
    let how = match kept.map(|config| config.tuning.server_address) {
        Some(ServerAddress::Name) if inventory.is_vch() && !runs => ServerAddress::Ip,
        Some(kept) => kept,
        None if inventory.is_vch() => ServerAddress::Ip,
        None => ServerAddress::Name,
    };
    spec.tuning = spec.tuning.with_servers_by(how);
    spec
}

/// A load balancer that is there, but not under the name that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherLb {
    pub what: String,
    pub remedy: String,
}

/// That there is one, in words.
pub fn other_lb(service: &Service, settings: &Settings, inventory: &Inventory) -> Option<OtherLb> {
    let Service {
        names,
        external_net,
    } = service;
    let found = inventory.other_lb.as_ref()?;
    let bridge = names.network();
    let (lb, source) = (&names.lb, settings.get(LB_CTR_NAME).source());
    Some(OtherLb {
        what: format!(
            "`{found}` is on `{bridge}` and on `{external_net}`, as this service's load balancer would be, but \
             {LB_CTR_NAME} is `{lb}`"
        ),
        remedy: format!(
            "set {LB_CTR_NAME}={found} (`{lb}` came from {source}); if `{found}` is something else, take it off \
             `{bridge}` first"
        ),
    })
}

/// A load balancer whose file an older version can't be trusted to understand.
pub fn newer(lb: &Container, what: &str) -> Failure {
    Failure::failed(format!(
        "the haproxy.cfg in `{}` was written by a newer vch-lb ({what})",
        lb.name
    ))
    .hinted("use that version of vch-lb")
}

/// A load balancer that has something else in place of its file.
pub fn odd_config(lb: &str, odd: &Odd) -> String {
    format!("`{lb}` {}", odd.words(CONFIG_NAME))
}

/// The flag with which `up` puts a file there.
pub fn replacing(odd: &Odd) -> &'static str {
    if odd.can_be_replaced() {
        "--overwrite"
    } else {
        "--recreate-lb"
    }
}

/// A load balancer whose file can't be rendered again, and why not.
pub fn broken(lb: &str, why: &str) -> String {
    format!("the template that the haproxy.cfg in `{lb}` was rendered from can't be used: {why}")
}

/// A load balancer with another template than its file was rendered from.
pub fn other_template(lb: &str) -> String {
    format!(
        "the template in `{lb}` is not the one that its haproxy.cfg was rendered from: it was edited by hand, or a command \
         was stopped"
    )
}

/// Nothing of the service is there.
pub fn absent(names: &Names, endpoint: &Endpoint) -> Failure {
    Failure::failed(format!(
        "there is no service with instances `{}-N` behind `{}` on this endpoint, {endpoint}",
        names.prefix, names.lb
    ))
    .hinted(
        vch_lb("up")
            + " deploys it; INSTANCE_CTR_PREFIX and LB_CTR_NAME say which service is meant",
    )
}

fn incomplete(names: &Names, inventory: &Inventory) -> Failure {
    if inventory.is_empty() {
        return absent(names, &inventory.endpoint);
    }
    Failure::failed(format!("the service behind `{}` is not complete", names.lb))
        .hinted(vch_lb("up") + " completes it, " + vch_lb("status") + " shows what is missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::read::Found;
    use crate::inventory::tests::{container, engine};
    use crate::inventory::{Kind, State};
    use crate::service::tests::spec as wanted;

    fn inventory(images: &[&str], cfg: &str) -> Inventory {
        let Spec { service, .. } = wanted(&[]);
        let instance = |(index, image): (usize, &&str)| {
            container(
                &format!("web-{}", index + 1),
                State::Running,
                &[("web-net", "1")],
                image,
            )
        };
        let lb = container(
            "lb",
            State::Running,
            &[("dmz", "1"), ("web-net", "2")],
            "haproxy:2.6",
        );
        let all = images.iter().enumerate().map(instance).chain([lb]);
        let mut inventory = Inventory::new(&service, engine(), Vec::new(), all);
        inventory.config = Some(Found::new(
            cfg.to_owned(),
            Some("listen x\n".to_owned()),
            Some((2, 6)),
        ));
        inventory
    }

    fn running(inventory: &Inventory) -> Result<Spec, Failure> {
        let Spec { service, .. } = wanted(&[]);
        let own = Own {
            arguments: Arguments::default(),
            looked_up: Ok(Arguments::default()),
        };
        spec(&service, &own, inventory)
    }

    #[test]
    fn everything_is_read_off_what_runs() {
        let cfg = include_str!("../../tests/golden/default.cfg").replace(":80", ":8080");
        let found = running(&inventory(&["httpd:2", "httpd:2", "httpd:1"], &cfg)).unwrap();
        assert_eq!(found.image.as_str(), "httpd:2");
        assert_eq!(found.count.get(), 3);
        assert_eq!(
            (found.instance_port.get(), found.lb_port.get()),
            (8080, 8080)
        );
        assert_eq!(found.lb_image.as_str(), "haproxy:2.6");
        assert_eq!(found.external_net().as_str(), "dmz");
    }

    #[test]
    fn the_command_that_mends_a_service_keeps_what_it_is() {
        let cfg = include_str!("../../tests/golden/default.cfg");
        let cfg = format!("# vch-lb 1 LB_BALANCE=leastconn TLS_CERT=yes\n{cfg}");
        let found = running(&inventory(&["httpd:2", "httpd:2", "httpd:2"], &cfg)).unwrap();
        assert_eq!(
            up_flags(&found, &Settings::defaults()).join(" "),
            "--instance-img httpd:2 --external-net dmz --lb-img haproxy:2.6 --lb-balance leastconn --tls-cert FILE"
        );
        // A flag of `status` is none of the command that it suggests.
        let flag = |name: &str| match name {
            settings::NUM_INSTANCES => Some("3".to_owned()),
            settings::EXTERNAL_NET => Some("dmz".to_owned()),
            _ => None,
        };
        let given = Settings::resolve(flag, |_| None, &settings::file::Assignments::default());
        assert_eq!(
            up_flags(&found, &given).join(" "),
            "--instance-img httpd:2 --num-instances 3 --lb-img haproxy:2.6 --lb-balance leastconn --tls-cert FILE"
        );
    }

    #[test]
    fn the_command_that_mends_a_service_changes_no_setting_on_the_side() {
        let of_file = |lines: &str| {
            let file = settings::file::Assignments::parse("shop.conf", lines).unwrap();
            Settings::resolve(|_| None, |_| None, &file)
        };
        let same = "INSTANCE_IMG=httpd:2\nEXTERNAL_NET=dmz\nLB_IMG=haproxy:2.6\n";
        for (head, lines, flags) in [
            // A file that the settings name is the one.
            (
                "TLS_CERT=yes TEMPLATE=yes",
                "TLS_CERT=shop.pem\nTEMPLATE=shop.hbs\n",
                "",
            ),
            (
                "TLS_CERT=yes",
                "TEMPLATE=shop.hbs\n",
                "--tls-cert FILE --template ''",
            ),
            // What the service has not, though the settings say so.
            (
                "",
                "TLS_CERT=shop.pem\nSTATS_PORT=9000\n",
                "--tls-cert '' --stats-port ''",
            ),
            (
                "",
                "HEALTH_CHECK=tcp\nLB_ARGS='--ip 10.0.0.9'\n",
                "--lb-args '' --health-check none",
            ),
            (
                "HEALTH_CHECK=tcp",
                "HEALTH_CHECK=http:/\n",
                "--health-check tcp",
            ),
            ("HEALTH_CHECK=tcp", "HEALTH_CHECK=tcp\n", ""),
        ] {
            let cfg = include_str!("../../tests/golden/default.cfg");
            let cfg = format!("# vch-lb 1 {head}\n{cfg}");
            let found = running(&inventory(&["httpd:2", "httpd:2", "httpd:2"], &cfg)).unwrap();
            let words = up_flags(&found, &of_file(&format!("{same}{lines}")));
            assert_eq!(shell_words::join(words), flags, "{head}: {lines}");
        }
    }

    #[test]
    fn a_vch_gets_addresses_unless_somebody_said_otherwise_or_names_work() {
        let script = include_str!("../../tests/golden/default.cfg");
        let by_ip = format!(
            "# vch-lb 1 SERVER_ADDRESS=ip\n{}",
            script.replace("web-", "10.0.0.")
        );
        let stopped = State::Exited { code: 1 };
        for (given, kind, file, lb, fresh, expected) in [
            ("auto", Kind::Engine, None, None, false, "name"),
            ("auto", Kind::Vch, None, None, false, "ip"),
            ("name", Kind::Vch, None, None, false, "name"),
            ("ip", Kind::Engine, None, None, false, "ip"),
            // What serves goes on as it is.
            (
                "auto",
                Kind::Vch,
                Some(script),
                Some(&State::Running),
                false,
                "name",
            ),
            (
                "auto",
                Kind::Engine,
                Some(&by_ip),
                Some(&State::Running),
                false,
                "ip",
            ),
            (
                "name",
                Kind::Engine,
                Some(&by_ip),
                Some(&State::Running),
                false,
                "name",
            ),
            (
                "ip",
                Kind::Vch,
                Some(script),
                Some(&State::Running),
                false,
                "ip",
            ),
            // Made anew.
            (
                "auto",
                Kind::Vch,
                Some(script),
                Some(&State::Running),
                true,
                "ip",
            ),
            // It may have ended for lack of names.
            ("auto", Kind::Vch, Some(script), Some(&stopped), false, "ip"),
            (
                "auto",
                Kind::Engine,
                Some(script),
                Some(&stopped),
                false,
                "name",
            ),
            // Half made, by an older version.
            (
                "auto",
                Kind::Vch,
                Some(script),
                Some(&State::Created),
                false,
                "ip",
            ),
        ] {
            let spec = wanted(&[("SERVER_ADDRESS", given)]);
            let mut there = inventory(&["httpd"], file.unwrap_or_default());
            there.endpoint.kind = kind;
            if let Some(state) = lb {
                there.lb.as_mut().unwrap().state = state.clone();
            } else {
                (there.lb, there.config) = (None, None);
            }
            let decided = with_server_address(spec, &there, fresh).tuning;
            let what = format!("{given} {kind:?} {lb:?} {fresh}");
            assert_eq!(decided.text(settings::SERVER_ADDRESS), expected, "{what}");
            let line = decided.assignments();
            assert_eq!(
                line.contains("SERVER_ADDRESS=ip"),
                expected == "ip",
                "{what}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_off_is_said() {
        let strange = running(&inventory(&["httpd"], "listen x")).unwrap_err();
        assert!(
            strange
                .what
                .contains("is not one that vch-lb or the script wrote")
        );
        let Spec { service, .. } = wanted(&[]);
        let empty = Inventory::new(&service, engine(), Vec::new(), Vec::new());
        assert!(
            running(&empty)
                .unwrap_err()
                .what
                .contains("there is no service")
        );
    }
}
