//! How a service stands: a row for each container, and every drift in words with the command that mends it. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::calls;
use crate::docker::argv::{self, Argv};
use crate::error::Failure;
use crate::haproxy::Config;
use crate::haproxy::channel::Standing;
use crate::haproxy::read::Found;
use crate::inventory::{Aim, Conflict, Container, Health, Inventory, State};
use crate::moment::Moment;
use crate::place::Place;
use crate::plan::up::{self as planner, Difference, Fresh};
use crate::service::names::Number;
use crate::service::running::{self, AsItIs, OtherLb};
use crate::service::siblings;
use crate::service::{LABEL, Service};
use crate::suggest::Suggest;
use crate::text::{list, plural, seconds};

/// A container that was started again and has run for so long stays: docker, too, begins its pauses between two starts anew
/// by then.
const LASTS: Duration = Duration::from_secs(60);

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub what: String,
    /// Line by line, where there is more to say.
    pub lines: Vec<String>,
    /// The command that mends it.
    pub mend: String,
}

/// Something to know that is no drift: it can't be told, or it concerns the next command alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub what: String,
    /// What `mend` is for, in words.
    #[serde(skip)]
    pub way: &'static str,
    /// The command that makes sure, or whatever else the way is.
    pub mend: String,
}

impl Note {
    /// What is not this service's, and how it goes.
    fn rest(what: String, mend: String) -> Self {
        let way = "to remove it";
        Self { what, way, mend }
    }

    /// What can't be told.
    pub fn unsure(what: String, mend: String) -> Self {
        let way = "to be sure";
        Self { what, way, mend }
    }
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: String,
    /// `ready`, `starting`, `unhealthy`, `created`, `exited (3)`, or the endpoint's own word.
    pub state: String,
    pub image: String,
    /// On the external network for the load balancer, on PREFIX-net for an instance.
    pub address: Option<String>,
    /// `HOST:PORT` where the endpoint publishes its port.
    pub published: Option<String>,
    /// When it was started, in RFC 3339, by the endpoint's clock.
    pub started_at: Option<Moment>,
    /// Whether the load balancer sends to it; `null` for the load balancer itself.
    pub in_lb: Option<bool>,
    /// What HAProxy itself makes of it, where it was asked.
    pub haproxy: Option<Standing>,
}

/// How the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Complete, everything runs, and the service was seen to work.
    Healthy,
    /// Complete, and everything runs; whether the service answers was not shown.
    Running,
    /// Something is there, and something is missing or wrong.
    Degraded,
    NotDeployed,
}

/// A service as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    pub verdict: Verdict,
    /// Of the way in that is for clients.
    pub address: Option<String>,
    pub port: Option<u16>,
    pub ways_in: Vec<Place>,
    pub containers: Vec<Row>,
    pub drift: Vec<Drift>,
    /// None of it is a drift.
    pub notes: Vec<Note>,
}

/// How commands that mend something are put.
pub struct Mends<'a> {
    pub suggest: &'a Suggest,
    /// How `up` makes of the service what it is.
    pub it: AsItIs,
    /// A load balancer of another name: nothing else can be told before it is known which one is meant.
    pub other_lb: Option<OtherLb>,
    /// When it was looked: how long a container has been running.
    pub now: SystemTime,
    /// The digest of the file that TLS_CERT names, where there is one.
    pub cert: Option<String>,
    /// A call of docker's as a shell takes it.
    pub docker: &'a dyn Fn(&Argv) -> String,
}

impl Mends<'_> {
    fn up(&self) -> String {
        self.up_with(&[])
    }

    fn up_with(&self, more: &[&str]) -> String {
        let flags = self.it.flags.iter().map(String::as_str);
        let words: Vec<&str> = flags.chain(more.iter().copied()).collect();
        self.suggest.command("up", &words)
    }

    /// What a failure says is to be done, or `up`.
    fn of(&self, failure: &Failure) -> String {
        let hint = failure.hints.first();
        hint.map_or_else(|| self.up(), |hint| self.suggest.complete(hint))
    }

    /// One after the other.
    fn docker(&self, calls: &[Argv]) -> String {
        let calls: Vec<String> = calls.iter().map(self.docker).collect();
        calls.join(" && ")
    }
}

/// Reads `inventory`. `wanted` is the number of instances that the settings ask for, if they were given one.
pub fn status(
    service: &Service,
    wanted: Option<usize>,
    mends: &Mends<'_>,
    inventory: &Inventory,
    ways_in: Vec<Place>,
) -> Status {
    let config = inventory.written_config();
    let (mut drift, mut notes) = (Vec::new(), Vec::new());
    let mut reader = Reader {
        service,
        inventory,
        config,
        mends,
        drift: &mut drift,
        notes: &mut notes,
    };
    if let Some(OtherLb { what, remedy }) = &mends.other_lb {
        reader.note(what.clone(), remedy.clone());
    } else if inventory.is_left_to_strangers() {
        reader.left_network();
    } else if !inventory.is_empty() {
        reader.lb();
        reader.instances(wanted);
        reader.what_up_would_change();
        reader.next_command();
    } else if let Some(conflict) = reader.conflict(service.names.lb.as_str()) {
        reader.not_our_lb(conflict);
    }
    let nothing = inventory.is_empty() || (inventory.is_left_to_strangers() && drift.is_empty());
    let verdict = match (nothing, drift.is_empty()) {
        (true, _) => Verdict::NotDeployed,
        (false, true) => Verdict::Healthy,
        (false, false) => Verdict::Degraded,
    };
    let place = ways_in.first();
    Status {
        verdict,
        address: place.map(|place| place.address.clone()),
        port: place
            .map(|place| place.port)
            .or(config.map(|config| config.lb_port.get())),
        ways_in,
        containers: rows(service, inventory, config),
        drift,
        notes,
    }
}

struct Reader<'a> {
    service: &'a Service,
    inventory: &'a Inventory,
    config: Option<&'a Config>,
    mends: &'a Mends<'a>,
    drift: &'a mut Vec<Drift>,
    notes: &'a mut Vec<Note>,
}

impl<'a> Reader<'a> {
    /// Of the service only its network is there, since others are on it.
    fn left_network(&mut self) {
        let strangers = &self.inventory.strangers;
        let verb = if strangers.len() == 1 { "is" } else { "are" };
        let what = format!(
            "only the network `{}` is there: {} {verb} on it",
            self.service.names.network(),
            list(strangers)
        );
        let down = self.mends.suggest.command("down", &[]);
        let mend = format!("`{down}`, once nobody is on it");
        self.notes.push(Note::rest(what, mend));
    }

    fn note(&mut self, what: String, mend: String) {
        self.drift.push(Drift {
            what,
            lines: Vec::new(),
            mend,
        });
    }

    fn note_up(&mut self, what: String) {
        self.note(what, self.mends.up());
    }

    fn lb(&mut self) {
        let name = self.service.names.lb.clone();
        let Some(lb) = &self.inventory.lb else {
            if let Some(conflict) = self.conflict(name.as_str()) {
                self.not_our_lb(conflict);
                return;
            }
            self.note_up(format!("there is no load balancer `{name}`"));
            if let Some(drift) = self.drift.last_mut() {
                let gone = "its settings went with it: give those again that are not the defaults";
                drift.lines.push(gone.to_owned());
            }
            return;
        };
        if !lb.running() {
            let how = crate::autopsy::standing(lb);
            let what = format!("the load balancer `{name}` {how}");
            let found = self.inventory.config.as_ref();
            match found.filter(|found| self.inventory.has_served() || found.newer.is_some()) {
                // That decides what starts it again.
                Some(found) if found.edited() || found.broken.is_some() || found.other_template => {
                    self.config(found);
                    let mend = self.drift.last().map(|drift| drift.mend.clone());
                    self.note(what, mend.unwrap_or_else(|| self.start(lb)));
                }
                _ => self.note(what, self.start(lb)),
            }
            return;
        }
        match &self.inventory.config {
            None => self.note_up(format!("`{name}` has no haproxy.cfg")),
            Some(found) => self.config(found),
        }
        if !lb.is_on(self.service.external_net.as_str()) {
            self.not_for_clients(lb);
        }
        if self.inventory.not_in_force {
            self.note_up(format!("the haproxy.cfg in `{name}` is not in force: HAProxy runs with other servers or another statistics page"));
        }
        if self.inventory.written_later {
            let what = format!(
                "the haproxy.cfg in `{name}`, or its certificate, was put there after HAProxy loaded what it runs; whether that is \
                 the same cannot be told"
            );
            self.notes.push(Note::unsure(what, self.mends.up()));
        }
        let by_tls = self.config.filter(|config| config.tuning.tls);
        let certs = by_tls.and(self.mends.cert.as_ref().zip(self.inventory.cert.as_ref()));
        if certs.is_some_and(|(wanted, lies)| wanted != lies) {
            self.note_up(format!(
                "certificate and key in `{name}` are not those of TLS_CERT"
            ));
        }
        self.aim();
        if lb.health == Health::Unhealthy {
            let what = format!("`{name}` is unhealthy, by its own health check");
            self.note(what, self.mends.suggest.command("logs", &[name.as_str()]));
        }
        self.restarts(lb);
        if let Some(aside) = &self.inventory.lb_aside {
            self.note_up(format!(
                "`{}` is left over from replacing `{name}`",
                aside.name
            ));
        }
    }

    fn aim(&mut self) {
        let (lb, names) = (&self.service.names.lb, &self.service.names);
        let list = |numbers: &[Number]| list(&names.instances(numbers));
        match &self.inventory.aim {
            Aim::Right => {}
            Aim::Off(numbers) => {
                let are = if numbers.len() == 1 { "is" } else { "are" };
                let what = format!("{} {are} not where `{lb}` sends to any more", list(numbers));
                self.note_up(what);
            }
            Aim::Unsure(numbers) => {
                let were = if numbers.len() == 1 { "was" } else { "were" };
                let what = format!(
                    "{} {were} started after `{lb}` last resolved the name; whether the address is the same cannot be told",
                    list(numbers)
                );
                self.notes.push(Note::unsure(what, self.mends.up()));
            }
        }
    }

    fn config(&mut self, found: &Found) {
        let name = self.service.names.lb.clone();
        if let Some(odd) = &found.odd {
            let what = running::odd_config(name.as_str(), odd);
            self.note(what, self.mends.up_with(&[running::replacing(odd)]));
        } else if let Some(what) = &found.newer {
            let what =
                format!("the haproxy.cfg in `{name}` was written by a newer vch-lb ({what})");
            self.note(what, "use that version of vch-lb".to_owned());
        } else if let Some(why) = &found.broken {
            let what = running::broken(name.as_str(), why);
            self.note(what, self.mends.up_with(&["--overwrite"]));
        } else if found.other_template {
            let what = running::other_template(name.as_str());
            self.note(what, self.mends.up_with(&["--overwrite"]));
        } else if found.edited() {
            let what = format!("the haproxy.cfg in `{name}` was edited by hand");
            self.note(what, self.mends.up_with(&["--overwrite"]));
            if let Some(drift) = self.drift.last_mut() {
                drift.lines = found.differences();
            }
        }
    }

    fn instances(&mut self, wanted: Option<usize>) {
        let sent_to = self.config.map(Config::numbers).unwrap_or_default();
        let lb = &self.service.names.lb;
        for number in &sent_to {
            let instance = self.service.names.instance(*number);
            let is_there = self.inventory.instances.contains_key(number);
            if !is_there && self.conflict(&instance).is_none() {
                let what = format!("`{lb}` sends to `{instance}`, which is not there");
                self.note_up(what);
            }
        }
        for (conflict, sent_to) in self.inventory.astray(&self.service.names) {
            self.off_the_network(conflict, sent_to);
        }
        for (number, instance) in &self.inventory.instances {
            self.instance(instance, sent_to.contains(number));
        }
        self.servers();
        self.images();
        self.unlike_new_ones();
        let there = if self.config.is_some() {
            sent_to.len()
        } else {
            self.inventory.instances.len()
        };
        // Which number there is can't be told as long as the load balancer's name is somebody else's.
        let wanted = wanted.filter(|_| self.conflict(self.service.names.lb.as_str()).is_none());
        if let Some(wanted) = wanted.filter(|wanted| *wanted != there) {
            let instances = plural(there, "instance");
            let what = format!("{instances}, but NUM_INSTANCES is {wanted}");
            self.note(what, self.right_number(wanted));
        }
    }

    /// Where `up` is run for something else in any case, it brings the number along.
    fn right_number(&self, wanted: usize) -> String {
        let up = self.mends.up();
        let other = self.drift.iter().find(|drift| drift.mend.starts_with(&up));
        match other {
            Some(drift) => drift.mend.clone(),
            None => self.mends.suggest.command("scale", &[&wanted.to_string()]),
        }
    }

    fn instance(&mut self, instance: &Container, sent: bool) {
        let Container { name, health, .. } = instance;
        match (&instance.state, sent) {
            (State::Running, true) if *health == Health::Unhealthy => {
                let what = format!("`{name}` is unhealthy, by its own health check");
                self.note(what, self.mends.suggest.command("rollout", &["--force"]));
            }
            (State::Running, true) if *health == Health::Starting => {
                let what = format!("`{name}` is not healthy yet, by its own health check");
                self.note(what, self.mends.suggest.command("logs", &[name]));
            }
            (State::Running, false) if self.config.is_some() => {
                let lb = &self.service.names.lb;
                let what = format!("`{name}` runs, but `{lb}` does not send to it");
                self.note_up(what);
            }
            (State::Running, _) => self.restarts(instance),
            _ => {
                let how = crate::autopsy::standing(instance);
                self.note(format!("`{name}` {how}"), self.start(instance));
            }
        }
    }

    /// One that its restart policy starts again and again is seen as running now and then.
    fn restarts(&mut self, container: &Container) {
        let Container { name, restarts, .. } = container;
        let started = container.started_at.map(SystemTime::from);
        let age = started.and_then(|at| self.mends.now.duration_since(at).ok());
        if let Some(age) = age.filter(|age| *restarts > 0 && *age < LASTS) {
            let times = plural(usize::try_from(*restarts).unwrap_or(usize::MAX), "time");
            let what = format!(
                "`{name}` ended and was started again {times}, last {} ago",
                seconds(age)
            );
            self.note(what, self.mends.suggest.command("logs", &[name]));
        }
    }

    fn images(&mut self) {
        let instances = self.inventory.instances.values();
        let images: BTreeSet<&str> = instances.clone().map(|each| each.image.as_str()).collect();
        let ids: BTreeSet<&str> = instances.map(|each| each.image_id.as_str()).collect();
        let images: Vec<&str> = images.into_iter().collect();
        if ids.len() < 2 {
            return;
        }
        if let [image] = images[..] {
            let what = format!("the instances were made from different versions of `{image}`");
            self.note(what, self.mends.suggest.command("rollout", &[]));
        } else if !images.is_empty() {
            let what = format!(
                "the instances were made from different images: {}",
                list(&images)
            );
            let mend = ["--instance-img", "IMAGE"];
            self.note(what, self.mends.suggest.command("rollout", &mend));
        }
    }

    /// Instances that `up` would replace for what they were made with.
    fn unlike_new_ones(&mut self) {
        let Ok(spec) = &self.mends.it.spec else {
            return;
        };
        let fresh = Fresh::new(spec, self.inventory);
        let differ = |difference| {
            let instances = self.inventory.instances.values();
            let differ = instances.filter(|it| fresh.difference(it) == Some(difference));
            differ.map(|it| it.name.as_str()).collect::<Vec<_>>()
        };
        let (port, args) = (differ(Difference::Port), differ(Difference::Arguments));
        if !port.is_empty() {
            let (these, port) = (list(&port), spec.instance_port);
            self.note_up(format!("{these}: made without `-p {port}`, INSTANCE_PORT"));
        }
        if !args.is_empty() {
            let these = list(&args);
            self.note_up(match &spec.args_from {
                Some(latest) if !args.contains(&latest.as_str()) => format!(
                    "{these}: made with other arguments (INSTANCE_ARGS, INSTANCE_CMD) than the latest instance, `{latest}`"
                ),
                _ => format!("{these}: the label `{LABEL}` is not as this vch-lb writes it"),
            });
        }
    }

    /// Whatever has not been told by now, and `up` would do or refuse.
    fn what_up_would_change(&mut self) {
        let found = self.inventory.config.as_ref();
        if found.is_some_and(Found::outdated) {
            let name = &self.service.names.lb;
            self.notes.push(Note {
                what: format!(
                    "the haproxy.cfg in `{name}` is as another version of vch-lb wrote it"
                ),
                way: "the next change brings it up to date, or",
                mend: self.mends.up(),
            });
            return;
        }
        let it = &self.mends.it;
        if let (Ok(spec), Some(lb)) = (&it.spec, &self.inventory.lb)
            && self.inventory.has_served()
            && lb.is_on(spec.external_net().as_str())
        {
            let differences = planner::differences(lb, spec, self.inventory);
            if !differences.is_empty() {
                let what = differences.join("; ");
                self.note(what, self.mends.up_with(&["--recreate-lb"]));
            }
        }
        let planned = match &it.spec {
            Ok(spec) => planner::plan(spec, self.inventory, planner::Options::default()),
            // Said beside the drifts.
            Err(_) if it.but_for_args => return,
            Err(failure) => Err(failure.clone()),
        };
        if !self.drift.is_empty() || !self.notes.is_empty() {
            // That somebody else's container is in the way of what mends it, nothing else tells.
            if let (Ok(spec), Err(_)) = (&it.spec, planned)
                && self.inventory.astray(&self.service.names).is_empty()
                && let Some(failure) = planner::in_the_way(spec, self.inventory)
            {
                self.refusal(failure);
            }
            return;
        }
        match planned {
            Ok(plan) if plan.is_empty() => {}
            Ok(plan) => {
                let labels = plan
                    .actions()
                    .map(|action| calls::label(action, &plan.subject))
                    .collect();
                let why: Vec<String> = if plan.reasons.is_empty() {
                    labels
                } else {
                    plan.reasons
                };
                self.note_up(why.join("; "));
            }
            Err(failure) => self.refusal(failure),
        }
    }

    fn refusal(&mut self, failure: Failure) {
        let mend = self.mends.of(&failure);
        self.note(failure.what, mend);
    }

    /// What `scale` and `rollout` would refuse or lose, though the service is well.
    fn next_command(&mut self) {
        let it = &self.mends.it;
        if let Ok(spec) = &it.spec
            && let Some(lacking) = siblings::lacking(spec, self.inventory)
        {
            let flags = lacking.flags(spec, it.flags.clone());
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            self.notes.push(Note {
                what: format!(
                    "{}, which no label tells: new instances would not be",
                    lacking.told()
                ),
                way: "to replace all by instances with it",
                mend: self.mends.suggest.command("up", &flags),
            });
        }
        if let Err(failure) = &it.spec
            && it.but_for_args
        {
            self.notes.push(Note {
                what: format!(
                    "`scale` and `rollout` would refuse what the label `{LABEL}` of the latest instance asks for"
                ),
                way: "before the next one",
                mend: self.mends.of(failure),
            });
        }
    }

    fn conflict(&self, name: &str) -> Option<&'a Conflict> {
        let mut conflicts = self.inventory.conflicts.iter();
        conflicts.find(|conflict| conflict.name == name)
    }

    /// What makes a container run again that is there.
    fn start(&self, container: &Container) -> String {
        match &container.state {
            State::Other(state) if state == "paused" => {
                self.mends.docker(&[argv::unpause(&container.name)])
            }
            _ => self.mends.up(),
        }
    }

    /// A container that is called LB_CTR_NAME. One that is where ours would be was taken off the instances' network.
    fn not_our_lb(&mut self, conflict: &Conflict) {
        let Conflict { name, image, .. } = conflict;
        let external = self.service.external_net.as_str();
        if self.inventory.bridge.is_some() && conflict.networks == [external] {
            let bridge = self.service.names.network();
            let what =
                format!("`{name}`, made from `{image}`, is on `{external}`, but not on `{bridge}`");
            self.note(what, self.put_back(name, false));
        } else {
            let what = format!("a container called `{name}` is there and is not this service's");
            let mend = ["--lb-ctr-name", "NAME"];
            self.note(what, self.mends.suggest.command("up", &mend));
        }
    }

    /// A load balancer that EXTERNAL_NET's clients don't reach.
    fn not_for_clients(&mut self, lb: &Container) {
        let (name, external) = (&lb.name, self.service.external_net.as_str());
        let bridge = self.service.names.network();
        let others: Vec<&str> = lb.network_names().filter(|name| *name != bridge).collect();
        match others[..] {
            [] => {
                let what =
                    format!("`{name}` is not on `{external}`: it was taken off that network");
                let mend = if self.inventory.is_vch() {
                    self.mends.up_with(&["--recreate-lb"])
                } else {
                    self.mends.docker(&[argv::network_connect(external, name)])
                };
                self.note(what, mend);
            }
            [other, ..] => {
                let what = format!(
                    "`{name}` is on {}, not on `{external}` (EXTERNAL_NET)",
                    list(&others)
                );
                self.note(what, format!("set EXTERNAL_NET to `{other}`, where it is"));
            }
        }
    }

    /// An instance that is there, but where the load balancer can't reach it.
    fn off_the_network(&mut self, conflict: &Conflict, sent_to: bool) {
        let Conflict { name, networks, .. } = conflict;
        let bridge = self.service.names.network();
        if networks.is_empty() {
            let what = format!("`{name}` is not on `{bridge}`: it was taken off its network");
            self.note(what, self.put_back(name, sent_to));
            return;
        }
        let lb = &self.service.names.lb;
        let what = format!(
            "`{lb}` sends to `{name}`, which is on {}, not on `{bridge}`",
            list(networks)
        );
        let up = self.mends.up();
        self.note(
            what,
            format!("connect `{name}` to `{bridge}`, or remove it, then {up}"),
        );
    }

    /// What puts a container back on the instances' network. A VCH connects none that runs.
    fn put_back(&self, name: &str, sent_to: bool) -> String {
        let mends = self.mends;
        if self.inventory.is_vch() {
            let remove = mends.docker(&[argv::rm_force(&[name.to_owned()])]);
            return format!("{remove} && {}", mends.up());
        }
        let mut calls = vec![argv::network_connect(&self.service.names.network(), name)];
        // Its address may be another one now, and the load balancer asks only when it reads its file.
        if sent_to && self.inventory.lb.as_ref().is_some_and(Container::running) {
            calls.push(calls::reload(
                self.service.names.lb.as_str(),
                self.inventory.lb_restarts(),
            ));
        }
        mends.docker(&calls)
    }
}

fn rows(service: &Service, inventory: &Inventory, config: Option<&Config>) -> Vec<Row> {
    let bridge = service.names.network();
    let sent_to = config.map(Config::numbers).unwrap_or_default();
    let lb = inventory
        .lb
        .iter()
        .map(|lb| row(lb, service.external_net.as_str(), None, None));
    let sends = |number: &Number| Some(sent_to.contains(number));
    let instances = inventory.instances.iter().map(|(number, instance)| {
        let standing = inventory.servers.get(number);
        row(instance, &bridge, sends(number), standing.cloned())
    });
    lb.chain(instances).collect()
}

fn row(
    container: &Container,
    network: &str,
    in_lb: Option<bool>,
    haproxy: Option<Standing>,
) -> Row {
    let started_at = container.started_at.filter(|_| container.running());
    Row {
        name: container.name.clone(),
        state: word(container),
        image: container.image.clone(),
        address: container.address_on(network).map(str::to_owned),
        published: published(container),
        started_at,
        in_lb,
        haproxy,
    }
}

fn word(container: &Container) -> String {
    match (&container.state, container.health) {
        (State::Running, Health::Healthy | Health::None) => "ready".into(),
        (State::Starting, _) | (State::Running, Health::Starting) => "starting".into(),
        (State::Running, Health::Unhealthy) => "unhealthy".into(),
        (State::Created, _) => "created".into(),
        (State::Exited { code }, _) => format!("exited ({code})"),
        (State::Other(state), _) => state.to_lowercase(),
    }
}

fn published(container: &Container) -> Option<String> {
    let (host, port) = container.ports.iter().flat_map(|(_, at)| at).next()?;
    let anywhere = matches!(host.as_str(), "" | "0.0.0.0" | "::");
    Some(if anywhere {
        port.to_string()
    } else {
        format!("{host}:{port}")
    })
}

pub mod servers;

#[cfg(test)]
mod agreement;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::answer::Network;
    use crate::inventory::tests::{container, engine};
    use crate::inventory::{Endpoint, Kind};
    use crate::place::ways_in;
    use crate::service::Spec;
    use crate::service::arguments::Arguments;
    use crate::service::running::Own;
    use crate::service::tests::spec;

    fn inventory(states: &[State], numbers: &[Number]) -> Inventory {
        let spec = spec(&[]);
        let instances = states.iter().enumerate().map(|(index, state)| {
            container(
                &format!("web-{}", index + 1),
                state.clone(),
                &[("web-net", "172.18.0.2")],
                "httpd",
            )
        });
        let lb = container(
            "lb",
            State::Running,
            &[("routable", "10.0.0.2"), ("web-net", "172.18.0.9")],
            "haproxy:1.7",
        );
        let bridge = Network {
            name: "web-net".into(),
            ..Network::default()
        };
        let mut inventory =
            Inventory::new(&spec.service, engine(), vec![bridge], instances.chain([lb]));
        inventory.config = Some(Found::new(
            Config::by_name(&spec, numbers).render().unwrap(),
            None,
            Some((1, 7)),
        ));
        inventory
    }

    fn own() -> Own {
        Own {
            arguments: Arguments::default(),
            looked_up: Ok(Arguments::default()),
        }
    }

    fn read(inventory: &Inventory, wanted: Option<usize>) -> Status {
        let Spec { service, .. } = spec(&[]);
        let mends = Mends {
            suggest: &Suggest::default(),
            it: AsItIs {
                flags: Vec::new(),
                spec: running::as_found(&service, &own(), inventory),
                but_for_args: false,
            },
            other_lb: None,
            cert: None,
            now: humantime::parse_rfc3339("2026-01-02T03:04:45Z").unwrap(),
            docker: &|call| format!("docker {call}"),
        };
        let port = inventory.written_config().map(|config| config.lb_port);
        let lb = inventory.lb.as_ref().zip(port);
        let ways_in = lb.map_or_else(Vec::new, |(lb, port)| {
            ways_in(
                lb,
                service.external_net.as_str(),
                port,
                Kind::Engine,
                || None,
            )
        });
        status(&service, wanted, &mends, inventory, ways_in)
    }

    fn drift(inventory: &Inventory, wanted: Option<usize>) -> Vec<String> {
        read(inventory, wanted)
            .drift
            .into_iter()
            .map(|drift| drift.what)
            .collect()
    }

    #[test]
    fn a_complete_service_is_healthy() {
        let status = read(
            &inventory(&[State::Running, State::Running], &[1, 2]),
            Some(2),
        );
        assert_eq!(status.verdict, Verdict::Healthy);
        assert_eq!(
            (status.address.as_deref(), status.port),
            (Some("10.0.0.2"), Some(80))
        );
        assert_eq!(status.containers.len(), 3);
        assert_eq!(status.containers[1].in_lb, Some(true));
    }

    #[test]
    fn every_drift_is_told() {
        let exited = State::Exited { code: 3 };
        for (inventory, wanted, told) in [
            (
                inventory(&[State::Running, exited], &[1, 2]),
                None,
                "`web-2` exited with code 3",
            ),
            (
                inventory(&[State::Running], &[1, 2]),
                None,
                "`lb` sends to `web-2`, which is not there",
            ),
            (
                inventory(&[State::Running, State::Running], &[1]),
                None,
                "`web-2` runs, but `lb` does not send to it",
            ),
            (
                inventory(&[State::Running], &[1]),
                Some(3),
                "1 instance, but NUM_INSTANCES is 3",
            ),
            (
                Inventory {
                    lb: None,
                    config: None,
                    ..inventory(&[State::Running], &[1])
                },
                None,
                "there is no load balancer `lb`",
            ),
            (
                Inventory {
                    config: None,
                    ..inventory(&[State::Running], &[1])
                },
                None,
                "`lb` has no haproxy.cfg",
            ),
            (
                Inventory {
                    not_in_force: true,
                    ..inventory(&[State::Running], &[1])
                },
                None,
                "the haproxy.cfg in `lb` is not in force: HAProxy runs with other servers or another statistics page",
            ),
            (
                Inventory {
                    aim: Aim::Off(vec![1]),
                    ..inventory(&[State::Running], &[1])
                },
                None,
                "`web-1` is not where `lb` sends to any more",
            ),
        ] {
            assert_eq!(drift(&inventory, wanted), [told]);
            assert_eq!(read(&inventory, wanted).verdict, Verdict::Degraded);
        }
    }

    #[test]
    fn what_docker_calls_unwell_and_what_keeps_ending_is_told() {
        let two = || inventory(&[State::Running, State::Running], &[1, 2]);
        let web = |health, restarts, started_at: &str| {
            let mut inventory = two();
            let instance = inventory.instances.get_mut(&2).unwrap();
            (instance.health, instance.restarts) = (health, restarts);
            instance.started_at = Moment::parse(started_at);
            inventory
        };
        let lb = |health, restarts, started_at: &str| {
            let mut inventory = two();
            let lb = inventory.lb.as_mut().unwrap();
            (lb.health, lb.restarts) = (health, restarts);
            lb.started_at = Moment::parse(started_at);
            inventory
        };
        let (just, long_ago) = ("2026-01-02T03:04:42.5Z", "2026-01-02T03:01:00Z");
        for (inventory, what) in [
            (
                web(Health::Unhealthy, 0, long_ago),
                Some("`web-2` is unhealthy, by its own health check"),
            ),
            (
                web(Health::Starting, 0, just),
                Some("`web-2` is not healthy yet, by its own health check"),
            ),
            (
                web(Health::None, 7, just),
                Some("`web-2` ended and was started again 7 times, last 2.5 s ago"),
            ),
            (web(Health::None, 7, long_ago), None),
            (web(Health::None, 0, just), None),
            (
                lb(Health::Unhealthy, 0, long_ago),
                Some("`lb` is unhealthy, by its own health check"),
            ),
            (
                lb(Health::None, 1, just),
                Some("`lb` ended and was started again 1 time, last 2.5 s ago"),
            ),
            (lb(Health::None, 1, long_ago), None),
        ] {
            let told: Vec<String> = drift(&inventory, None);
            let expected: Vec<String> = what.into_iter().map(str::to_owned).collect();
            assert_eq!(told, expected);
        }
    }

    fn told(inventory: &Inventory, wanted: Option<usize>) -> Vec<(String, String)> {
        let drift = read(inventory, wanted).drift.into_iter();
        drift.map(|drift| (drift.what, drift.mend)).collect()
    }

    fn conflict(name: &str, networks: &[&str]) -> Conflict {
        Conflict {
            name: name.into(),
            networks: networks.iter().map(|&name| name.into()).collect(),
            image: "haproxy:1.7".into(),
        }
    }

    #[test]
    fn what_up_would_refuse_is_mended_by_docker() {
        let paused = || State::Other("paused".into());
        let two = || inventory(&[State::Running, State::Running], &[1, 2]);
        let paused_lb = || {
            let mut inventory = two();
            inventory.lb.as_mut().unwrap().state = paused();
            inventory
        };
        let off = |networks: &[&str]| {
            let mut inventory = two();
            inventory.instances.remove(&1);
            inventory.conflicts = vec![conflict("web-1", networks)];
            inventory
        };
        let lb_off = |networks: &[&str]| Inventory {
            lb: None,
            config: None,
            conflicts: vec![conflict("lb", networks)],
            ..two()
        };
        let vch = |inventory: Inventory| Inventory {
            endpoint: Endpoint {
                kind: Kind::Vch,
                ..engine()
            },
            ..inventory
        };
        let taken_off = "`web-1` is not on `web-net`: it was taken off its network";
        let lb_taken_off = "`lb`, made from `haproxy:1.7`, is on `routable`, but not on `web-net`";
        for (inventory, what, mend) in [
            (
                inventory(&[paused(), State::Running], &[1, 2]),
                "`web-1` is `paused`",
                "docker unpause web-1",
            ),
            (
                paused_lb(),
                "the load balancer `lb` is `paused`",
                "docker unpause lb",
            ),
            (
                off(&[]),
                taken_off,
                "docker network connect web-net web-1 && docker kill -s HUP lb",
            ),
            (
                vch(off(&[])),
                taken_off,
                "docker rm -f -v web-1 && vch-lb up",
            ),
            (
                off(&["bridge"]),
                "`lb` sends to `web-1`, which is on `bridge`, not on `web-net`",
                "connect `web-1` to `web-net`, or remove it, then vch-lb up",
            ),
            (
                lb_off(&["routable"]),
                lb_taken_off,
                "docker network connect web-net lb",
            ),
            (
                vch(lb_off(&["routable"])),
                lb_taken_off,
                "docker rm -f -v lb && vch-lb up",
            ),
            (
                lb_off(&["routable", "api-net"]),
                "a container called `lb` is there and is not this service's",
                "vch-lb up --lb-ctr-name NAME",
            ),
        ] {
            let expected = [(what.to_owned(), mend.to_owned())];
            assert_eq!(told(&inventory, None), expected);
        }
        assert_eq!(told(&lb_off(&["routable"]), Some(5)).len(), 1);
        let off_and_lb_gone = Inventory {
            lb: None,
            config: None,
            ..off(&[])
        };
        assert_eq!(
            told(&off_and_lb_gone, None)[1],
            (
                taken_off.to_owned(),
                "docker network connect web-net web-1".to_owned()
            )
        );
    }

    #[test]
    fn different_images_are_told() {
        let mut mixed = inventory(&[State::Running, State::Running], &[1, 2]);
        mixed.instances.get_mut(&2).unwrap().image_id = "another".into();
        assert_eq!(
            drift(&mixed, None),
            ["the instances were made from different versions of `httpd`"]
        );
        mixed.instances.get_mut(&2).unwrap().image = "httpd:2".into();
        assert_eq!(
            drift(&mixed, None),
            ["the instances were made from different images: `httpd` and `httpd:2`"]
        );
    }

    #[test]
    fn nothing_is_not_deployed() {
        let Spec { service, .. } = spec(&[]);
        let nothing = Inventory::new(&service, engine(), Vec::new(), Vec::new());
        let status = read(&nothing, Some(3));
        assert_eq!(
            (status.verdict, status.drift.len()),
            (Verdict::NotDeployed, 0)
        );
    }
}
