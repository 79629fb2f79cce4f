//! What is there: the endpoint, the networks and the containers of one service. Pure: made from docker's answers.
//!
//! A container is ours if it is called LB_CTR_NAME or PREFIX-<number> and is on PREFIX-net. Never by label and never by
//! a remembered ID, so that what the bash script made is found too.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::docker::answer;
use crate::haproxy::channel::Standing;
use crate::haproxy::read::Found;
use crate::haproxy::versions::Version;
use crate::haproxy::{Config, Server};
use crate::moment::Moment;
use crate::service::names::{ImageRef, Names, NetworkName, Number};
use crate::service::tuning::ServerAddress;
use crate::service::{IMAGE_LABEL, KEPT_IMAGES, LABEL, Service};

/// How much is kept of what a health check says.
const HEALTH_LINES: usize = 5;
const HEALTH_WIDTH: usize = 200;

/// What the docker client talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub kind: Kind,
    /// The endpoint's own name for itself.
    pub name: String,
    pub version: String,
    /// The names of the networks, where `docker info` tells them: on a VCH.
    pub networks: Vec<String>,
    /// An engine without root has networks of its own, which nobody else on its machine gets to.
    pub rootless: bool,
    /// Podman, which speaks docker's API but for some things.
    pub podman: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Engine,
    Vch,
}

/// For people: `Docker Engine 20.10.24 on engine`, `VCH vch1 (VIC v1.5.8)`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, .. } = self;
        match self.kind {
            Kind::Engine => write!(f, "Docker Engine {version} on {name}"),
            Kind::Vch => write!(f, "VCH {name} (VIC {version})"),
        }
    }
}

impl Endpoint {
    /// A VCH says what it is where an engine names its storage driver.
    pub fn new(info: answer::Info) -> Self {
        const VIC: &str = "vSphere Integrated Containers";
        let vch = info.driver.starts_with(VIC) || info.id.starts_with(VIC);
        Self {
            kind: if vch { Kind::Vch } else { Kind::Engine },
            name: info.name,
            version: info.server_version,
            // A way to keep logs that nobody else has.
            podman: info.plugins.log.iter().any(|it| it == "k8s-file"),
            rootless: info.security_options.iter().any(|it| it == "name=rootless"),
            networks: if vch {
                info.plugins.network
            } else {
                Vec::new()
            },
        }
    }
}

impl Endpoint {
    /// The network that an engine has from the start. Podman tells of it as docker's, but its containers do not.
    pub fn own_network(&self) -> &'static str {
        if self.podman { "podman" } else { "bridge" }
    }
}

/// A container's state, in Docker's words and the ones that VIC lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Made, never started.
    Created,
    /// Being started (VIC).
    Starting,
    Running,
    Exited {
        code: i64,
    },
    /// `paused`, `restarting`, `dead`, `removing`, `Stopping`, …: as the endpoint says it.
    Other(String),
}

/// Docker's own health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The image has no check, or the endpoint does not run it.
    None,
    Starting,
    Healthy,
    Unhealthy,
}

/// A container, reduced to what decisions need. There may be ten thousand: what has one or two entries is a list, since a
/// map takes room for eleven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub state: State,
    /// `None`: never, as with [`Self::finished_at`].
    pub started_at: Option<Moment>,
    pub finished_at: Option<Moment>,
    pub oom_killed: bool,
    pub error: Box<str>,
    /// How often its restart policy has started it again.
    pub restarts: u64,
    pub health: Health,
    /// What that check said last, where it failed.
    pub health_said: Option<Box<str>>,
    /// Without `sha256:`, which a VCH leaves out.
    pub image_id: String,
    /// As it was named when the container was made; of an image that the tool keeps, as the admin knows it.
    pub image: String,
    /// The name of the tool's own that it was made by.
    pub kept_as: Option<Box<ImageRef>>,
    /// HAProxy's version: what the environment says, else the tag of an official image.
    pub haproxy: Option<Version>,
    pub labels: BTreeMap<String, String>,
    /// Its networks and its address on each; empty where it has none (yet).
    pub networks: Vec<(String, String)>,
    /// Ports of the container that were asked to be published, `80/tcp`.
    pub published: Vec<String>,
    /// Ports of the container and where they are published now.
    pub ports: Vec<(String, Vec<(String, u16)>)>,
    /// Ports that the image exposes.
    pub exposed: Vec<String>,
    /// Whether it was made with a `--restart` policy. Only an engine heeds it.
    pub restart_policy: bool,
    /// What it was made with, where our label does not tell that.
    pub made_with: Option<Box<MadeWith>>,
}

/// What a container was made with, as the endpoint tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeWith {
    pub host: answer::HostConfig,
    /// As `--restart` takes it; empty for none.
    pub restart: String,
    /// The names in its environment, those of its image, too.
    pub env: Vec<String>,
}

impl MadeWith {
    /// `None` of one whose label tells it.
    fn of(found: &mut answer::Container) -> Option<Box<Self>> {
        if found.labels.contains_key(LABEL) {
            return None;
        }
        let policy = &found.restart_policy;
        let restart = match (policy.name.as_str(), policy.maximum_retry_count) {
            ("" | "no", _) => String::new(),
            ("on-failure", times @ 1..) => format!("on-failure:{times}"),
            (name, _) => name.to_owned(),
        };
        Some(Box::new(Self {
            host: std::mem::take(&mut found.host_config),
            restart,
            env: std::mem::take(&mut found.env.names),
        }))
    }
}

/// Who starts the load balancer again when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// Nobody.
    Never,
    /// The engine, by its `--restart` policy.
    ByPolicy,
}

impl Container {
    pub fn new(mut found: answer::Container) -> Self {
        let made_with = MadeWith::of(&mut found);
        let state = state(&found.state);
        let (image, kept_as) = image_names(found.config_image, &found.labels);
        let addresses = found.networks.into_iter();
        let bindings = found.ports.into_iter();
        Self {
            name: found.name.trim_start_matches('/').to_owned(),
            state,
            started_at: Moment::parse(&found.state.started_at),
            finished_at: Moment::parse(&found.state.finished_at),
            oom_killed: found.state.oom_killed,
            error: found.state.error.into(),
            restarts: found.restart_count,
            health: health(found.state.health.as_ref()),
            health_said: found.state.health.as_ref().and_then(health_said),
            image_id: bare_id(&found.image).to_owned(),
            haproxy: found.env.haproxy_version.or_else(|| by_tag(&image)),
            image,
            kept_as,
            labels: found.labels,
            networks: addresses
                .map(|(name, end)| (name, address(end.unwrap_or_default())))
                .collect(),
            published: found
                .port_bindings
                .into_iter()
                .filter_map(|(port, bindings)| bindings.map(|_| port))
                .collect(),
            ports: bindings
                .map(|(port, hosts)| (port, host_ports(hosts)))
                .collect(),
            exposed: found.exposed_ports.into_keys().collect(),
            restart_policy: !matches!(found.restart_policy.name.as_str(), "" | "no"),
            made_with,
        }
    }

    pub fn running(&self) -> bool {
        self.state == State::Running
    }

    /// Never started, or ended. A paused one is neither stopped nor running.
    pub fn stopped(&self) -> bool {
        matches!(self.state, State::Created | State::Exited { .. })
    }

    /// Its address on `network`; `None` where it has none.
    pub fn address_on(&self, network: &str) -> Option<&str> {
        self.networks
            .iter()
            .find(|(name, address)| name == network && !address.is_empty())
            .map(|(_, address)| address.as_str())
    }

    pub fn is_on(&self, network: &str) -> bool {
        self.network_names().any(|name| name == network)
    }

    pub fn network_names(&self) -> impl Iterator<Item = &str> {
        self.networks.iter().map(|(name, _)| name.as_str())
    }

    /// Where its `port` (`80/tcp`) is published now.
    pub fn published_at(&self, port: &str) -> Option<(&str, u16)> {
        let (_, at) = self.ports.iter().find(|(name, _)| name == port)?;
        at.first().map(|(host, port)| (host.as_str(), *port))
    }
}

/// How the admin calls an image, and how the tool does where that is what the container was made by. Whoever makes a
/// container may label it: a name of somebody else's stays what it is.
fn image_names(
    made_by: String,
    labels: &BTreeMap<String, String>,
) -> (String, Option<Box<ImageRef>>) {
    let known_as = labels.get(IMAGE_LABEL);
    let known_as = known_as.filter(|_| made_by.starts_with(KEPT_IMAGES));
    match (known_as, ImageRef::parse(&made_by)) {
        (Some(known_as), Ok(made_by)) => (known_as.clone(), Some(Box::new(made_by))),
        _ => (made_by, None),
    }
}

/// On a network without IPv4 the IPv6 one.
fn address(end: answer::Endpoint) -> String {
    if end.ip_address.is_empty() {
        end.global_ipv6_address
    } else {
        end.ip_address
    }
}

/// An image's ID without `sha256:`, which only some answers have.
pub fn bare_id(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

fn state(found: &answer::State) -> State {
    match found.status.to_ascii_lowercase().as_str() {
        "created" => State::Created,
        "starting" => State::Starting,
        "running" => State::Running,
        "exited" | "stopped" => State::Exited {
            code: found.exit_code,
        },
        "" if found.running => State::Running,
        _ => State::Other(found.status.clone()),
    }
}

fn health(found: Option<&answer::Health>) -> Health {
    match found.map(|health| health.status.as_str()) {
        Some("starting") => Health::Starting,
        Some("healthy") => Health::Healthy,
        Some("unhealthy") => Health::Unhealthy,
        _ => Health::None,
    }
}

/// Of checks that fail, the last one's words: `docker` keeps 4 KiB of each, of which the beginning will do.
fn health_said(found: &answer::Health) -> Option<Box<str>> {
    let last = found.log.last().filter(|last| last.exit_code != 0)?;
    let lines = last.output.lines().map(str::trim_end);
    let lines: Vec<String> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.chars().take(HEALTH_WIDTH).collect())
        .take(HEALTH_LINES)
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n").into())
}

fn host_ports(bindings: Option<Vec<answer::PortBinding>>) -> Vec<(String, u16)> {
    let bindings = bindings.unwrap_or_default().into_iter();
    bindings
        .filter_map(|binding| Some((binding.host_ip, binding.host_port.parse().ok()?)))
        .collect()
}

/// A container that has one of our names and is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub name: String,
    /// The networks that it is on.
    pub networks: Vec<String>,
    pub image: String,
}

impl Conflict {
    /// The prefix of another service whose container it seems to be, by the network that it is on beside `external_net`.
    pub fn other_prefix(&self, names: &Names, external_net: &str) -> Option<&str> {
        let other = |network: &&String| **network != external_net && **network != names.network();
        let mut others = self.networks.iter().filter(other);
        let prefix = others.find_map(|network| network.strip_suffix("-net"))?;
        (!prefix.is_empty()).then_some(prefix)
    }
}

/// Whether the load balancer sends to where its instances are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// Nothing says otherwise.
    Right,
    /// These have another address than the one that it sends to.
    Off(Vec<Number>),
    /// These were started after HAProxy last resolved their names. Whether they have another address since, nothing tells.
    Unsure(Vec<Number>),
}

/// Everything on the endpoint that concerns one service.
#[derive(Debug, Clone)]
pub struct Inventory {
    pub endpoint: Endpoint,
    pub external: Option<answer::Network>,
    pub bridge: Option<answer::Network>,
    pub lb: Option<Container>,
    /// A load balancer that was being replaced when a run was killed.
    pub lb_aside: Option<Container>,
    pub instances: BTreeMap<Number, Container>,
    pub conflicts: Vec<Conflict>,
    /// Containers on PREFIX-net that are not ours, where they were asked for.
    pub strangers: Vec<String>,
    /// One of them that is what the load balancer would be, but for its name.
    pub other_lb: Option<String>,
    /// The file in the load balancer; `None` where there is no load balancer or no file.
    pub config: Option<Found>,
    /// Whether the load balancer sends to where its instances are.
    pub aim: Aim,
    /// HAProxy runs something else than the file in the load balancer says.
    pub not_in_force: bool,
    /// That file, or the certificate beside it, was put there after HAProxy had loaded what it runs: that may be another one.
    pub written_later: bool,
    /// What HAProxy makes of its servers, where it was asked.
    pub servers: BTreeMap<Number, Standing>,
    /// The digest of the certificate and key in the load balancer, where HAProxy was asked and there are any.
    pub cert: Option<String>,
    /// The IDs of all containers that have one of our names, ours or not, as they were listed.
    pub ids: HashMap<String, String>,
    /// IDs of images by the name that was asked for, without `sha256:`; only those that are there and were asked for.
    pub images: BTreeMap<String, String>,
    /// By the IDs of images, without `sha256:`, the names in the environment that they bring; only what is known.
    pub environments: BTreeMap<String, Vec<String>>,
}

impl Inventory {
    /// Sorts what was found into ours and not ours.
    pub fn new(
        service: &Service,
        endpoint: Endpoint,
        networks: Vec<answer::Network>,
        containers: impl IntoIterator<Item = Container>,
    ) -> Self {
        let Service {
            names,
            external_net,
        } = service;
        let bridge_name = names.network();
        let mut inventory = Self {
            endpoint,
            external: None,
            bridge: None,
            lb: None,
            lb_aside: None,
            instances: BTreeMap::new(),
            conflicts: Vec::new(),
            strangers: Vec::new(),
            other_lb: None,
            config: None,
            aim: Aim::Right,
            not_in_force: false,
            written_later: false,
            servers: BTreeMap::new(),
            cert: None,
            ids: HashMap::new(),
            images: BTreeMap::new(),
            environments: BTreeMap::new(),
        };
        for network in networks {
            if network.name == bridge_name {
                inventory.bridge = Some(network);
            } else {
                inventory.external = Some(network);
            }
        }
        let mut instances = Vec::new();
        for container in containers {
            let is_lb = container.name == names.lb.as_str();
            let number = names.number_of(&container.name);
            let half_made_lb = is_lb && half_made(&container, external_net);
            match (number, container.is_on(&bridge_name) || half_made_lb) {
                (Some(number), true) if !is_lb => {
                    instances.push((number, container));
                }
                (None, true) if is_lb => inventory.lb = Some(container),
                (None, true) if container.name == names.lb_aside() => {
                    inventory.lb_aside = Some(container);
                }
                (None, _) if !is_lb => {}
                _ => inventory.conflicts.push(Conflict {
                    networks: container.network_names().map(str::to_owned).collect(),
                    name: container.name,
                    image: container.image,
                }),
            }
        }
        // All at once: a map that is made so is packed.
        inventory.instances = instances.into_iter().collect();
        inventory
    }

    /// Whether a load balancer may be there under another name than LB_CTR_NAME: nothing of ours is in its place.
    pub fn may_have_other_lb(&self) -> bool {
        self.bridge.is_some() && self.lb.is_none() && self.lb_aside.is_none()
    }

    /// Looks for it among the `strangers` on PREFIX-net: a load balancer is on the external network, too.
    pub fn find_other_lb(&mut self, strangers: &[Container], external_net: &NetworkName) {
        let bridge = self.bridge.as_ref().map(|bridge| bridge.name.as_str());
        let Some(bridge) = bridge.filter(|_| self.may_have_other_lb()) else {
            return;
        };
        self.other_lb = strangers
            .iter()
            .filter(|stranger| stranger.is_on(bridge) && stranger.is_on(external_net.as_str()))
            .map(|stranger| stranger.name.clone())
            .min();
    }

    /// Nothing of the service is there.
    pub fn is_empty(&self) -> bool {
        self.bridge.is_none()
            && self.lb.is_none()
            && self.lb_aside.is_none()
            && self.instances.is_empty()
    }

    /// Nothing of the service is there but its network, on which others are.
    pub fn is_left_to_strangers(&self) -> bool {
        let nobody = self.lb.is_none() && self.lb_aside.is_none() && self.instances.is_empty();
        self.bridge.is_some() && nobody && !self.strangers.is_empty()
    }

    /// Whether the load balancer ever was started.
    pub fn has_served(&self) -> bool {
        let lb = self.lb.as_ref();
        lb.is_some_and(|lb| lb.state != State::Created)
    }

    /// Who starts the load balancer again when it ends. A VCH takes policies and does nothing about them.
    pub fn lb_restarts(&self) -> Restarts {
        let lb = self.lb.as_ref().filter(|_| !self.is_vch());
        if lb.is_some_and(|lb| lb.restart_policy) {
            Restarts::ByPolicy
        } else {
            Restarts::Never
        }
    }

    pub fn is_vch(&self) -> bool {
        self.endpoint.kind == Kind::Vch
    }

    /// Instances that were taken off PREFIX-net, and whether the load balancer's file names them: one that it does not name
    /// is told from somebody else's only by being on no network at all.
    pub fn astray(&self, names: &Names) -> Vec<(&Conflict, bool)> {
        let sent_to = self.written_config().map(Config::numbers);
        let sent_to = sent_to.unwrap_or_default();
        let instances = self.conflicts.iter().filter_map(|conflict| {
            let number = names.number_of(&conflict.name)?;
            Some((conflict, sent_to.contains(&number)))
        });
        instances
            .filter(|(conflict, sent_to)| *sent_to || conflict.networks.is_empty())
            .collect()
    }

    /// What the file in the load balancer says; `None` where there is none that can be read.
    pub fn written_config(&self) -> Option<&Config> {
        self.config.as_ref()?.config.as_ref()
    }

    /// Every container of the service, the load balancer first.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        let lbs = self.lb.iter().chain(&self.lb_aside);
        lbs.chain(self.instances.values())
    }
}

/// `config` with those of its servers that can be sent to: `there` are the instances as they are now.
pub fn as_far_as_there(config: &Config, there: &[Container], names: &Names) -> Config {
    let bridge = names.network();
    let by_name = there
        .iter()
        .map(|instance| (instance.name.as_str(), instance));
    let by_name: HashMap<&str, &Container> = by_name.collect();
    let servers = config.servers.iter().filter_map(|server| {
        let instance = by_name.get(names.instance(server.number).as_str())?;
        let address = match config.tuning.server_address {
            _ if instance.stopped() => return None,
            ServerAddress::Name => server.address.clone(),
            ServerAddress::Ip => instance.address_on(&bridge)?.to_owned(),
        };
        Some(Server {
            number: server.number,
            name: instance.name.clone(),
            address,
        })
    });
    Config {
        servers: servers.collect(),
        ..config.clone()
    }
}

fn by_tag(image: &str) -> Option<Version> {
    ImageRef::parse(image).ok()?.version_in_tag()
}

/// A load balancer as our `create` leaves it, killed before the `network connect`: on the external network alone, and
/// never started, so that it can't be anybody's service.
fn half_made(lb: &Container, external_net: &NetworkName) -> bool {
    lb.state == State::Created && lb.networks.len() == 1 && lb.is_on(external_net.as_str())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::service::Spec;
    use crate::service::tests::spec;

    /// A container as `docker inspect` would describe it.
    pub(crate) fn container(
        name: &str,
        state: State,
        networks: &[(&str, &str)],
        image: &str,
    ) -> Container {
        let networks = networks
            .iter()
            .map(|&(name, address)| (name.to_owned(), address.to_owned()))
            .collect();
        Container {
            name: name.to_owned(),
            state,
            started_at: None,
            finished_at: None,
            oom_killed: false,
            error: Box::default(),
            restarts: 0,
            health: Health::None,
            health_said: None,
            image_id: format!("id-of-{image}"),
            image: image.to_owned(),
            kept_as: None,
            haproxy: by_tag(image),
            labels: BTreeMap::new(),
            networks,
            published: vec!["80/tcp".to_owned()],
            ports: Vec::new(),
            exposed: Vec::new(),
            restart_policy: false,
            made_with: None,
        }
    }

    pub(crate) fn engine() -> Endpoint {
        Endpoint {
            kind: Kind::Engine,
            name: "engine".into(),
            version: "20.10.24".into(),
            networks: Vec::new(),
            rootless: false,
            podman: false,
        }
    }

    #[test]
    fn what_a_vch_lists_as_null_is_not_published() {
        let told = br#"{"Name":"/lb","PortBindings":{"80/tcp":[{"HostIp":"10.0.0.1","HostPort":""}],"8080/tcp":null},
            "Ports":{"80/tcp":[{"HostIp":"10.0.0.1","HostPort":""}],"8080/tcp":null}}"#;
        let container = Container::new(answer::json(told).unwrap());
        assert_eq!(container.published, ["80/tcp"]);
        assert_eq!(container.published_at("80/tcp"), None);
        assert_eq!(container.published_at("8080/tcp"), None);
    }

    fn sorted(containers: Vec<Container>) -> Inventory {
        let Spec { service, .. } = spec(&[]);
        Inventory::new(&service, engine(), Vec::new(), containers)
    }

    #[test]
    fn ours_is_what_has_our_name_and_is_on_our_network() {
        let running = || State::Running;
        let inventory = sorted(vec![
            container("web-1", running(), &[("web-net", "172.18.0.2")], "httpd"),
            container("web-2", running(), &[("bridge", "172.17.0.2")], "postgres"),
            container(
                "lb",
                running(),
                &[("routable", "10.0.0.2"), ("web-net", "172.18.0.3")],
                "haproxy:1.7",
            ),
            container("other", running(), &[("web-net", "172.18.0.9")], "httpd"),
        ]);
        assert_eq!(inventory.instances.keys().copied().collect::<Vec<_>>(), [1]);
        assert!(inventory.lb.is_some());
        let conflicts: Vec<_> = inventory
            .conflicts
            .iter()
            .map(|conflict| conflict.name.as_str())
            .collect();
        assert_eq!(conflicts, ["web-2"]);
    }

    #[test]
    fn a_load_balancer_that_was_only_just_created_is_ours() {
        let half = container("lb", State::Created, &[("routable", "")], "haproxy:1.7");
        assert!(sorted(vec![half.clone()]).lb.is_some());
        let started = Container {
            state: State::Exited { code: 0 },
            ..half.clone()
        };
        assert_eq!(sorted(vec![started]).conflicts.len(), 1);
        let elsewhere = container("lb", State::Created, &[("bridge", "")], "haproxy:1.7");
        assert_eq!(sorted(vec![elsewhere]).conflicts.len(), 1);
    }

    #[test]
    fn a_load_balancer_of_another_name_is_on_both_networks() {
        let Spec { service, .. } = spec(&[]);
        let on = |name: &str, networks: &[&str]| {
            let networks: Vec<_> = networks.iter().map(|net| (*net, "")).collect();
            container(name, State::Running, &networks, "haproxy:1.7")
        };
        let both = ["routable", "web-net"];
        let bridge = answer::Network {
            name: "web-net".into(),
            ..answer::Network::default()
        };
        for (what, ours, strangers, network, found) in [
            ("it is", None, vec![on("b", &both)], true, Some("b")),
            (
                "the first",
                None,
                vec![on("b", &both), on("a", &both)],
                true,
                Some("a"),
            ),
            (
                "beside other ones",
                None,
                vec![on("b", &["mon", "web-net", "routable"])],
                true,
                Some("b"),
            ),
            (
                "a stranger",
                None,
                vec![on("db", &["web-net"]), on("x", &["dmz", "web-net"])],
                true,
                None,
            ),
            (
                "ours is there",
                Some(on("lb", &both)),
                vec![on("b", &both)],
                true,
                None,
            ),
            (
                "ours was set aside",
                Some(on("lb-before", &both)),
                vec![on("b", &both)],
                true,
                None,
            ),
            (
                "`lb` is another service's",
                Some(on("lb", &["routable", "api-net"])),
                vec![on("b", &both)],
                true,
                Some("b"),
            ),
            ("no network", None, vec![on("b", &both)], false, None),
            ("it is gone", None, vec![], true, None),
        ] {
            let networks = network.then(|| bridge.clone()).into_iter().collect();
            let mut inventory = Inventory::new(&service, engine(), networks, ours);
            inventory.find_other_lb(&strangers, &service.external_net);
            assert_eq!(inventory.other_lb.as_deref(), found, "{what}");
        }
    }

    #[test]
    fn a_configuration_goes_back_to_those_that_are_there() {
        let on_bridge =
            |name: &str, state, address| container(name, state, &[("web-net", address)], "httpd");
        let exited = State::Exited { code: 1 };
        let there = [
            on_bridge("web-1", State::Running, "172.18.0.7"),
            on_bridge("web-2", exited, ""),
            on_bridge("web-3", State::Other("paused".into()), "172.18.0.3"),
        ];
        for (how, addresses) in [
            ("name", ["web-1", "web-3"]),
            ("ip", ["172.18.0.7", "172.18.0.3"]),
        ] {
            let spec = spec(&[("SERVER_ADDRESS", how)]);
            let before = Config::by_address(&spec, &[1, 2, 3, 4], |number, name| match how {
                "name" => name.to_owned(),
                _ => format!("172.18.0.{number}"),
            });
            let back = as_far_as_there(&before, &there, spec.names());
            let found: Vec<&str> = back.servers.iter().map(|server| &*server.address).collect();
            assert_eq!(found, addresses);
            assert_eq!(back.tuning, before.tuning);
        }
    }

    #[test]
    fn vic_states_are_understood() {
        let told = |status: &str, running| {
            state(&answer::State {
                status: status.into(),
                running,
                exit_code: 3,
                ..answer::State::default()
            })
        };
        assert_eq!(told("Starting", false), State::Starting);
        assert_eq!(told("Running", true), State::Running);
        assert_eq!(told("exited", false), State::Exited { code: 3 });
        assert_eq!(told("", true), State::Running);
        assert_eq!(told("Stopping", false), State::Other("Stopping".into()));
    }

    #[test]
    fn a_vch_is_recognised() {
        let vch = answer::Info {
            driver: "vSphere Integrated Containers v1.5.8-1-abc Backend Engine".into(),
            plugins: answer::Plugins {
                network: vec!["bridge".into(), "routable".into()],
                ..answer::Plugins::default()
            },
            ..answer::Info::default()
        };
        assert_eq!(Endpoint::new(vch).kind, Kind::Vch);
        let engine = answer::Info {
            driver: "overlay2".into(),
            ..answer::Info::default()
        };
        assert_eq!(Endpoint::new(engine).kind, Kind::Engine);
    }
}
