//! From what is there to the spec: deploys, resumes, repairs, scales and rolls out. Pure.
//!
//! The rules, in the order in which they apply:
//! 1. What is not ours is never touched; what can't be changed in place is refused.
//! 2. An instance is current if it was made from the wanted image and publishes the wanted port. Current ones stay, up
//!    to the wanted number, the lowest first; stopped ones are started. Missing ones get the lowest free numbers.
//! 3. Into a load balancer that serves, changes go by reload: new instances first, ready before they are sent to, the
//!    next batch on its way while the last one comes in; then, out of the configuration and drained, the others leave.
//!    All of the old ones stay until the last new one has proved itself, so that there is always a way back. With
//!    HEALTH_CHECK they are sent to until then, too.
//! 4. A load balancer that does not serve is made or completed, and started last.

use std::collections::BTreeSet;

use super::{Action, Plan, StepId};
use crate::error::{Failure, printable};
use crate::haproxy::Config;
use crate::haproxy::read::Found;
use crate::inventory::{Aim, Conflict, Container, Inventory, State};
use crate::settings::{
    EXTERNAL_NET, INSTANCE_ARGS, INSTANCE_CTR_PREFIX, INSTANCE_PORT, LB_ARGS, LB_CTR_NAME, LB_IMG,
    LB_PORT, SERVER_ADDRESS,
};
use crate::spec::names::{ImageRef, Number, Port};
use crate::spec::running;
use crate::spec::tuning::{ServerAddress, Tuning};
use crate::spec::{LABEL, Publish, Spec, exclusive};
use crate::text::{list, plural};

#[cfg(test)]
pub(crate) mod tests;

/// When images are pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pull {
    /// Before containers are made from them
    Always,
    /// Where the endpoint does not have them
    Missing,
    /// Never: the endpoint has them
    Never,
}

/// What the admin decides beyond the spec.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `None`: always for a service that is not there, else for images that are missing.
    pub pull: Option<Pull>,
    /// How many instances are replaced at a time.
    pub batch: usize,
    /// Old instances leave before their successors come.
    pub stop_first: bool,
    /// Replace every instance, whatever it was made from.
    pub replace_all: bool,
    /// Replace every instance that was not made from what the image's name means now, by ID.
    pub by_image_id: bool,
    /// Overwrite a configuration that was edited by hand.
    pub overwrite: bool,
    /// Replace a load balancer that can't be changed in place: a short outage.
    pub recreate_lb: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pull: None,
            batch: 1,
            stop_first: false,
            replace_all: false,
            by_image_id: false,
            overwrite: false,
            recreate_lb: false,
        }
    }
}

/// The plan that makes the endpoint match `spec`.
pub fn plan(spec: &Spec, inventory: &Inventory, options: Options) -> Result<Plan, Failure> {
    refuse_what_is_not_ours(spec, inventory)?;
    let fate = LbFate::new(spec, inventory, options)?;
    if fate.makes_one() && spec.args_from.is_some() {
        refuse_told_lb_args(spec)?;
    }
    let target = Target::new(spec, inventory, options)?;
    match in_the_way(spec, inventory) {
        Some(failure) if !target.make.is_empty() => return Err(failure),
        _ => {}
    }
    refuse_what_one_can_have(spec, inventory, options, &target)?;
    let mut plan = Plan::new(spec, inventory.lb_restarts());
    // The load balancer that is there knows better than its image's tag.
    if let Some(lb) = inventory.lb.as_ref().filter(|_| !fate.makes_one()) {
        plan.spec.lb_version = lb.haproxy;
    }
    let mut planner = Planner {
        plan,
        inventory,
        options,
        fate,
        target,
        stopped: BTreeSet::new(),
        relieved: Vec::new(),
    };
    planner.refuse_missing_images()?;
    if fate == LbFate::Reload {
        planner.by_reload();
    } else {
        planner.by_start();
    }
    planner.plan.reasons = planner.reasons();
    Ok(planner.plan)
}

/// A port or an address that is one container's alone can't be given to another that runs beside it.
fn refuse_what_one_can_have(
    spec: &Spec,
    inventory: &Inventory,
    options: Options,
    target: &Target,
) -> Result<(), Failure> {
    if target.make.is_empty() {
        return Ok(());
    }
    for argument in exclusive::among(&spec.instance_args) {
        let wanted = target.servers().len();
        if let Some(why) = argument.refusal(wanted) {
            return Err(Failure::failed(format!("{INSTANCE_ARGS}: {why}")));
        }
        let held = |number: &&Number| {
            exclusive::has(&inventory.instances[number], &argument, spec.instance_port)
        };
        let holders: Vec<String> = target
            .outdated
            .iter()
            .filter(held)
            .map(|number| spec.names.instance(*number))
            .collect();
        let beside = options.batch.min(target.make.len());
        if !options.stop_first && wanted + beside > argument.room && !holders.is_empty() {
            let what = format!(
                "{INSTANCE_ARGS}: `{}` can't be had by a new instance beside {}",
                argument.argument,
                list(&holders)
            );
            return Err(Failure::failed(what).hinted(
                "with --stop-first the old one leaves before its successor comes: a short outage",
            ));
        }
    }
    Ok(())
}

fn refuse_what_is_not_ours(spec: &Spec, inventory: &Inventory) -> Result<(), Failure> {
    let mut conflicts = inventory.conflicts.iter();
    if let Some(conflict) = conflicts.find(|conflict| conflict.name == spec.names.lb.as_str()) {
        return Err(not_ours(conflict, spec, inventory));
    }
    match &inventory.bridge {
        Some(bridge) if bridge.driver == "external" => Err(Failure::failed(format!(
            "`{}` is a container network of this VCH, not a network that instances can have for themselves",
            bridge.name
        ))
        .hinted(format!("choose another {INSTANCE_CTR_PREFIX}"))),
        _ => Ok(()),
    }
}

/// Why no instance can be made: its name may be somebody else's, or that of one that was taken off its network.
pub fn in_the_way(spec: &Spec, inventory: &Inventory) -> Option<Failure> {
    let in_the_way = |conflict: &&Conflict| {
        let number = spec.names.number_of(&conflict.name);
        number.is_some_and(|number| number as usize <= spec.count.get())
    };
    let conflict = inventory.conflicts.iter().find(in_the_way)?;
    Some(not_ours(conflict, spec, inventory))
}

fn not_ours(conflict: &Conflict, spec: &Spec, inventory: &Inventory) -> Failure {
    let is_lb = conflict.name == spec.names.lb.as_str();
    let setting = if is_lb {
        LB_CTR_NAME
    } else {
        INSTANCE_CTR_PREFIX
    };
    let what = format!(
        "a container called `{}` is there and does not belong to this service: it was made \
         from `{}`, and it is on {}, not on `{}`",
        conflict.name,
        conflict.image,
        match &conflict.networks[..] {
            [] => "no network".to_owned(),
            networks => list(networks),
        },
        spec.names.network()
    );
    let other = match conflict.other_prefix(&spec.names, spec.external_net.as_str()) {
        // Most likely it serves.
        Some(prefix) => format!(
            "if it is of the service with {INSTANCE_CTR_PREFIX}={prefix}, say so; else choose another {setting}"
        ),
        None => format!("choose another {setting}, or remove that container"),
    };
    let half_off = is_lb && conflict.networks == [spec.external_net.as_str()];
    let taken_off = conflict.networks.is_empty() || half_off;
    // A VCH connects none that has been started.
    let hint = if inventory.bridge.is_some() && taken_off && !inventory.is_vch() {
        let (network, name) = (spec.names.network(), &conflict.name);
        format!(
            "`docker network connect {network} {name}` puts it back, if it was taken off; else {other}"
        )
    } else {
        other
    };
    Failure::failed(what).hinted(hint)
}

/// A load balancer is made from what the admin's own settings say, not from what the endpoint told.
fn refuse_told_lb_args(spec: &Spec) -> Result<(), Failure> {
    let refused = spec.tuning.lb_args.local();
    if refused.is_empty() {
        return Ok(());
    }
    let what = format!(
        "the haproxy.cfg in `{}` asks for {} when a load balancer is made, which only your own settings may",
        spec.names.lb,
        list(&refused)
    );
    Err(Failure::failed(what).hinted(format!("`vch-lb up` with your {LB_ARGS} makes one")))
}

/// What becomes of the load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LbFate {
    /// It serves: changes go by reload.
    Reload,
    /// It is there, and only has to be completed and started.
    Start,
    Make,
    /// It is set aside, and another one takes its place.
    Replace,
}

impl LbFate {
    fn new(spec: &Spec, inventory: &Inventory, options: Options) -> Result<Self, Failure> {
        let Some(lb) = &inventory.lb else {
            return Ok(Self::Make);
        };
        match &lb.state {
            State::Other(state) if state == "paused" => return Err(paused(lb)),
            _ => {}
        }
        let odd = inventory.config.as_ref();
        let odd = odd.and_then(|found| found.odd.as_ref());
        if let Some(odd) = odd.filter(|odd| !odd.can_be_replaced()) {
            if options.recreate_lb || !inventory.has_served() {
                return Ok(Self::Replace);
            }
            let what = running::odd_config(&lb.name, odd);
            return Err(Failure::failed(what)
                .hinted("`vch-lb up --recreate-lb` replaces the load balancer: a short outage"));
        }
        let differences = differences(lb, spec, inventory);
        if !differences.is_empty() {
            // One that never served can be replaced without anybody noticing.
            if options.recreate_lb || !inventory.has_served() {
                return Ok(Self::Replace);
            }
            let what = format!(
                "a load balancer can't be changed in this: {}",
                differences.join("; ")
            );
            let hint =
                "set what it has, or replace it with `vch-lb up --recreate-lb`: a short outage";
            return Err(Failure::failed(what).hinted(hint));
        }
        let found = inventory.config.as_ref();
        if let Some(what) = found.and_then(|found| found.newer.as_ref()) {
            return Err(running::newer(lb, what));
        }
        if let Some(odd) = odd.filter(|_| inventory.has_served() && !options.overwrite) {
            let what = running::odd_config(&lb.name, odd);
            return Err(Failure::failed(what).hinted("--overwrite replaces it"));
        }
        // What lies in one that never served is a copy of ours, perhaps half of one.
        let edited = inventory.config.as_ref().is_some_and(Found::edited);
        if inventory.has_served() && edited && !options.overwrite {
            return Err(edited_by_hand(lb));
        }
        // The one to come may lie there already, where a run was stopped.
        let other_template =
            found.is_some_and(|found| found.other_template && found.template != spec.template);
        if inventory.has_served() && other_template && !options.overwrite {
            let what = running::other_template(&lb.name);
            return Err(Failure::failed(what).hinted(format!(
                "look at it with `docker cp {}:{}/{} -`; --overwrite replaces it",
                lb.name,
                crate::haproxy::CONFIG_DIR,
                crate::haproxy::TEMPLATE_NAME
            )));
        }
        Ok(if lb.running() {
            Self::Reload
        } else {
            Self::Start
        })
    }

    fn makes_one(self) -> bool {
        matches!(self, Self::Make | Self::Replace)
    }
}

/// How `lb` differs from `spec` in what it can't change.
pub fn differences(lb: &Container, spec: &Spec, inventory: &Inventory) -> Vec<String> {
    let mut differences = Vec::new();
    if !made_from(lb, &spec.lb_image, inventory) {
        differences.push(format!(
            "{LB_IMG} is `{}`, but `{}` was made from `{}`",
            spec.lb_image, lb.name, lb.image
        ));
    }
    if !lb.is_on(spec.external_net.as_str()) {
        let bridge = spec.names.network();
        let others: Vec<_> = lb.network_names().filter(|name| *name != bridge).collect();
        differences.push(format!(
            "{EXTERNAL_NET} is `{}`, but `{}` is on {}",
            spec.external_net,
            lb.name,
            list(&others)
        ));
    }
    let config = inventory.written_config();
    let lb_args = |tuning: &'_ Tuning| tuning.lb_args.words().to_vec();
    if let Some(config) = config.filter(|config| lb_args(&config.tuning) != lb_args(&spec.tuning)) {
        differences.push(format!(
            "{LB_ARGS} is `{}`, but `{}` was created with `{}`",
            spec.tuning.lb_args, lb.name, config.tuning.lb_args
        ));
    } else if let (Some(label), Some(before)) = (spec.lb_label(), lb.labels.get(LABEL))
        && label != *before
    {
        differences.push(format!(
            "what {LB_ARGS} bring in is not what `{}` was created with",
            lb.name
        ));
    }
    // One whose port was published goes on so, whatever the settings are that come without PUBLISH_LB.
    let is_published = |port: u16| lb.published.contains(&format!("{port}/tcp"));
    let was_published = config.is_some_and(|config| is_published(config.lb_port.get()));
    let ports = if was_published && spec.publish == Publish::Auto {
        ports_served(spec)
    } else {
        ports_to_publish(spec, inventory)
    };
    let unpublished: Vec<String> = ports
        .iter()
        .filter(|port| !is_published(**port))
        .map(u16::to_string)
        .collect();
    // One that publishes nothing at all was made on purpose so, or by the script: it may well be reachable.
    let must = spec.publish == Publish::Always || !lb.published.is_empty();
    if must && !unpublished.is_empty() {
        let ports = unpublished.join(" and ");
        differences.push(format!(
            "`{}` was created without publishing port {ports}",
            lb.name
        ));
    }
    differences
}

/// The ports that the load balancer is created with. A VCH's container network drops what was not published there.
fn ports_to_publish(spec: &Spec, inventory: &Inventory) -> Vec<u16> {
    let container_network = inventory
        .external
        .as_ref()
        .is_some_and(|network| network.driver == "external");
    let publishes = match spec.publish {
        Publish::Always => true,
        Publish::Never => false,
        Publish::Auto => inventory.is_vch() && container_network,
    };
    if publishes {
        ports_served(spec)
    } else {
        Vec::new()
    }
}

/// The ports on which the load balancer listens, but for those that LB_ARGS publish.
fn ports_served(spec: &Spec) -> Vec<u16> {
    let ports = [Some(spec.lb_port), spec.tuning.stats_port];
    let ports = ports.into_iter().flatten().map(Port::get);
    let by_args = |port: &u16| spec.tuning.lb_args.publishing(*port).is_some();
    ports.filter(|port| !by_args(port)).collect()
}

fn paused(container: &Container) -> Failure {
    Failure::failed(format!("`{}` is paused", container.name))
        .hinted(format!("docker unpause {}", container.name))
}

fn edited_by_hand(lb: &Container) -> Failure {
    Failure::failed(format!(
        "the haproxy.cfg in `{}` was edited by hand: it is not what vch-lb would have written",
        lb.name
    ))
    .hinted(format!(
        "look at it with `docker cp {}:{} -`; --overwrite replaces it",
        lb.name,
        crate::haproxy::CONFIG_PATH
    ))
}

/// Whether `container` was made from `image`: by name, or, where both IDs are known, by ID.
fn made_from(container: &Container, image: &ImageRef, inventory: &Inventory) -> bool {
    container.image == image.as_str() || has_id_of(container, image, inventory)
}

/// Whether `container` was made from what `image` means now.
fn has_id_of(container: &Container, image: &ImageRef, inventory: &Inventory) -> bool {
    inventory
        .images
        .get(image.as_str())
        .is_some_and(|id| *id == container.image_id)
}

/// What becomes of each instance.
struct Target {
    /// Stay as they are.
    keep: Vec<Number>,
    /// Stay, but have to be started.
    start: Vec<Number>,
    /// Are made.
    make: Vec<Number>,
    /// Leave because they were made from another image or publish another port.
    outdated: Vec<Number>,
    /// Leave because there are too many.
    surplus: Vec<Number>,
}

impl Target {
    fn new(spec: &Spec, inventory: &Inventory, options: Options) -> Result<Self, Failure> {
        let wanted = spec.count.get();
        let fresh = Fresh::new(spec, inventory);
        let (mut current, mut outdated) = (Vec::new(), Vec::new());
        for (&number, instance) in &inventory.instances {
            if is_current(instance, &fresh, spec, inventory, options)? {
                current.push(number);
            } else {
                outdated.push(number);
            }
        }
        let surplus = current.split_off(current.len().min(wanted));
        let make = free_numbers(spec, inventory)
            .take(wanted - current.len())
            .collect();
        let stopped = |number: &Number| inventory.instances[number].stopped();
        let (start, keep) = current.into_iter().partition(stopped);
        Ok(Self {
            keep,
            start,
            make,
            outdated,
            surplus,
        })
    }

    /// Those that the load balancer sends to in the end.
    fn servers(&self) -> Vec<Number> {
        sorted([&self.keep, &self.start, &self.make])
    }

    /// Those that are gone in the end.
    fn leaving(&self) -> Vec<Number> {
        sorted([&self.outdated, &self.surplus])
    }
}

/// Whether an instance can stay: it is what a new one would be.
fn is_current(
    instance: &Container,
    fresh: &Fresh<'_>,
    spec: &Spec,
    inventory: &Inventory,
    options: Options,
) -> Result<bool, Failure> {
    match &instance.state {
        State::Other(state) if state == "paused" => return Err(paused(instance)),
        State::Other(_) => return Ok(false),
        _ => {}
    }
    Ok(!options.replace_all
        && (!options.by_image_id || has_id_of(instance, &spec.image, inventory))
        && fresh.difference(instance).is_none())
}

/// In what an instance is not what a new one would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    Image,
    /// It does not publish INSTANCE_PORT.
    Port,
    /// INSTANCE_ARGS or INSTANCE_CMD.
    Arguments,
}

/// What a new instance would be: what the others are held against, here and in `status`.
pub struct Fresh<'a> {
    port: String,
    label: Option<String>,
    image: &'a str,
    /// What the image's name means, or meant when an instance was made from it.
    image_ids: BTreeSet<&'a str>,
}

impl<'a> Fresh<'a> {
    pub fn new(spec: &'a Spec, inventory: &'a Inventory) -> Self {
        let image = spec.image.as_str();
        let called_so = |instance: &&Container| instance.image == image;
        let instances = inventory.instances.values().filter(called_so);
        let ids = instances.map(|instance| &instance.image_id);
        Self {
            port: format!("{}/tcp", spec.instance_port),
            label: spec.label(),
            image,
            image_ids: ids
                .chain(inventory.images.get(image))
                .map(String::as_str)
                .collect(),
        }
    }

    /// In what `instance` is another one, if it is in anything.
    pub fn difference(&self, instance: &Container) -> Option<Difference> {
        let same_image =
            instance.image == self.image || self.image_ids.contains(instance.image_id.as_str());
        if !instance.published.contains(&self.port) {
            Some(Difference::Port)
        } else if !same_image {
            Some(Difference::Image)
        } else if instance.labels.get(LABEL) != self.label.as_ref() {
            Some(Difference::Arguments)
        } else {
            None
        }
    }
}

/// The numbers that no container has, the lowest first.
fn free_numbers(spec: &Spec, inventory: &Inventory) -> impl Iterator<Item = Number> {
    let conflicts = inventory.conflicts.iter();
    let others = conflicts.filter_map(|conflict| spec.names.number_of(&conflict.name));
    let taken: BTreeSet<Number> = inventory.instances.keys().copied().chain(others).collect();
    (1..).filter(move |number| !taken.contains(number))
}

fn sorted<const N: usize>(parts: [&Vec<Number>; N]) -> Vec<Number> {
    let mut all: Vec<Number> = parts.into_iter().flatten().copied().collect();
    all.sort_unstable();
    all
}

struct Planner<'a> {
    plan: Plan,
    inventory: &'a Inventory,
    options: Options,
    fate: LbFate,
    target: Target,
    /// Those that the plan stops before it comes to the end.
    stopped: BTreeSet<Number>,
    /// Those whose successors have been brought in, and that are sent to until those have passed HAProxy's checks.
    relieved: Vec<Number>,
}

/// Steps that others wait for.
#[derive(Debug, Default)]
struct Ready {
    pull: Option<StepId>,
    lb_pull: Option<StepId>,
    network: Option<StepId>,
}

/// Instances that come into the load balancer.
#[derive(Debug, Clone, Copy)]
struct BroughtIn {
    /// They are ready.
    gate: StepId,
    /// They are sent to, and have passed HAProxy's checks, if it does any.
    proved: StepId,
}

impl Planner<'_> {
    fn needs(ids: &[Option<StepId>]) -> Vec<StepId> {
        ids.iter().flatten().copied().collect()
    }

    fn refuse_missing_images(&self) -> Result<(), Failure> {
        let spec = &self.plan.spec;
        let makes_instances = !self.target.make.is_empty();
        for (needed, image) in [
            (makes_instances, &spec.image),
            (self.fate.makes_one(), &spec.lb_image),
        ] {
            let missing = !self.inventory.images.contains_key(image.as_str());
            if needed && missing && self.options.pull == Some(Pull::Never) {
                return Err(Failure::failed(format!(
                    "the endpoint does not have the image `{image}`"
                ))
                .hinted("--pull never was given; --pull missing fetches it"));
            }
        }
        Ok(())
    }

    /// Whether `image` is to be pulled before a container is made from it.
    fn pulls(&self, image: &ImageRef) -> bool {
        let there = self.inventory.images.contains_key(image.as_str())
            || self
                .inventory
                .instances
                .values()
                .chain(&self.inventory.lb)
                .any(|found| found.image == image.as_str());
        match self.options.pull {
            Some(Pull::Always) => true,
            Some(Pull::Missing) => !there,
            Some(Pull::Never) => false,
            None => !there || self.inventory.instances.is_empty(),
        }
    }

    fn prepare(&mut self) -> Ready {
        let image = self.plan.spec.image.clone();
        let lb_image = self.plan.spec.lb_image.clone();
        let pull_instances = !self.target.make.is_empty() && self.pulls(&image);
        let pull_lb = self.fate.makes_one() && self.pulls(&lb_image);
        let network_is_missing = self.inventory.bridge.is_none();
        Ready {
            pull: pull_instances.then(|| self.plan.add(Action::Pull(image), &[])),
            lb_pull: pull_lb.then(|| self.plan.add(Action::Pull(lb_image), &[])),
            network: network_is_missing.then(|| self.plan.add(Action::CreateNetwork, &[])),
        }
    }

    fn run(&mut self, numbers: &[Number], needs: &[StepId]) -> Vec<StepId> {
        numbers
            .iter()
            .map(|&number| self.plan.add(Action::Run(number), needs))
            .collect()
    }

    fn start(&mut self, needs: &[StepId]) -> Vec<StepId> {
        let numbers = self.target.start.clone();
        numbers
            .into_iter()
            .map(|number| self.plan.add(Action::Start(number), needs))
            .collect()
    }

    /// Rule 4.
    fn by_start(&mut self) {
        let ready = self.prepare();
        let mut up = self.start(&Self::needs(&[ready.network]));
        let make = self.target.make.clone();
        up.extend(self.run(&make, &Self::needs(&[ready.pull, ready.network])));
        let mut aside = self.inventory.lb_aside.is_some();
        if self.fate == LbFate::Replace {
            // Everything else first: from here to the new one's start nobody serves.
            let needs: Vec<StepId> = up.iter().copied().chain(ready.lb_pull).collect();
            let served = self.inventory.has_served();
            up = vec![if served {
                self.set_lb_aside(needs)
            } else {
                self.plan.add(Action::RemoveLb, &needs)
            }];
            aside |= served;
        }
        let start = self.complete_lb(&ready, up);
        let serves = self.plan.add(Action::AwaitService, &[start]);
        if aside {
            self.plan.add(Action::RemoveLbAside, &[serves]);
        }
        self.leave(self.target.leaving(), Some(serves));
    }

    /// What an earlier replacement left in its place is gone before anything stops.
    fn set_lb_aside(&mut self, mut needs: Vec<StepId>) -> StepId {
        if self.inventory.lb_aside.is_some() {
            needs = vec![self.plan.add(Action::RemoveLbAside, &needs)];
        }
        // One that the engine starts again and again would be back before its successor.
        let lb = self.inventory.lb.as_ref();
        if lb.is_some_and(|lb| !lb.stopped()) {
            needs = vec![self.plan.add(Action::StopLb, &needs)];
        }
        self.plan.add(Action::SetLbAside, &needs)
    }

    /// Creates, connects and fills the load balancer as far as needed, and starts it after `up`.
    fn complete_lb(&mut self, ready: &Ready, up: Vec<StepId>) -> StepId {
        let servers = self.target.servers();
        let bridge = self.plan.spec.names.network();
        let makes_one = self.fate.makes_one();
        let aside = (self.fate == LbFate::Replace).then(|| up[0]);
        let create = makes_one.then(|| {
            let needs = Self::needs(&[ready.lb_pull, aside]);
            let publish = ports_to_publish(&self.plan.spec, self.inventory);
            self.plan.add(Action::CreateLb { publish }, &needs)
        });
        let found = self.inventory.lb.as_ref().filter(|_| !makes_one);
        let connect = (!found.is_some_and(|lb| lb.is_on(&bridge))).then(|| {
            let needs = Self::needs(&[create, ready.network]);
            self.plan.add(Action::ConnectLb, &needs)
        });
        // One behind the other: a VCH takes one change to a container at a time.
        let files = (makes_one || self.files_differ())
            .then(|| self.copy_files(connect.or(create)))
            .flatten();
        let copy = (makes_one || !self.config_is(&servers)).then(|| {
            let mut needs = Self::needs(&[files.or(connect).or(create)]);
            if self.plan.spec.tuning.server_address == ServerAddress::Ip {
                // Addresses are known once the instances run.
                needs.extend(&up);
            }
            self.plan.add(Action::CopyConfig(servers), &needs)
        });
        let mut needs = up;
        needs.extend(Self::needs(&[create, connect, files, copy]));
        self.plan.add(Action::StartLb, &needs)
    }

    /// What lies beside haproxy.cfg, if there is anything.
    fn copy_files(&mut self, after: Option<StepId>) -> Option<StepId> {
        let spec = &self.plan.spec;
        let any = spec.cert.is_some() || spec.template.is_some();
        any.then(|| self.plan.add(Action::CopyFiles, &Self::needs(&[after])))
    }

    /// Whether the certificate or the admin's own template in the load balancer is another one.
    fn files_differ(&self) -> bool {
        let spec = &self.plan.spec;
        let found = self.inventory.config.as_ref();
        let cert = spec.cert.is_some()
            && found.and_then(|found| found.cert.as_ref()) != spec.cert.as_ref();
        let template = found.and_then(|found| found.template.as_ref());
        cert || (spec.template.is_some() && template != spec.template.as_ref())
    }

    /// Rule 3.
    fn by_reload(&mut self) {
        let ready = self.prepare();
        let files = self.files_differ().then(|| self.copy_files(None)).flatten();
        let needs = Self::needs(&[ready.pull, ready.network, files]);
        let mut in_lb = self.in_force();
        // What is only added or started again comes first, in one go.
        let at_once = self.all_at_once();
        let replacing = if at_once {
            self.target.make.len()
        } else {
            self.target.outdated.len().min(self.target.make.len())
        };
        let (added, successors) = {
            let split = self.target.make.len() - replacing;
            let (added, successors) = self.target.make.split_at(split);
            (added.to_vec(), successors.to_vec())
        };
        let batch = if at_once {
            successors.len()
        } else {
            self.options.batch
        };
        let mut last = self.add_instances(&added, &mut in_lb, &needs);
        let mut predecessors = self.target.outdated.clone();
        for batch in successors.chunks(batch.max(1)) {
            let leaves = if at_once { usize::MAX } else { batch.len() };
            let leaving: Vec<Number> = predecessors
                .drain(..leaves.min(predecessors.len()))
                .collect();
            last = Some(self.replace(batch, &leaving, &mut in_lb, &needs, last));
        }
        let mut last = last.map(|brought_in| brought_in.proved);
        let servers = self.target.servers();
        let differs = in_lb != servers.iter().copied().collect();
        // The file does not send to those that leave, but the one in force may: somebody was stopped between copy and reload.
        let may_be_sent_to = !self.target.leaving().is_empty();
        let outdated = files.is_some()
            || self.inventory.aim != Aim::Right
            || self.inventory.not_in_force
            || self.inventory.written_later
            || !self.config_is(&servers);
        if differs || (last.is_none() && (outdated || may_be_sent_to)) {
            let needs = Self::needs(&[last.or(files)]);
            let reload = self.plan.add(Action::Reload(servers.clone()), &needs);
            let watches = successors.is_empty() || self.target.leaving().is_empty();
            last = Some(if watches && self.check_is_new() {
                self.plan.add(Action::Watch(servers.clone()), &[reload])
            } else {
                reload
            });
        }
        if !self.target.leaving().is_empty() {
            if !successors.is_empty() {
                let needs = Self::needs(&[last]);
                last = Some(self.plan.add(Action::Watch(servers), &needs));
            }
            let drained = last.map(|last| self.plan.add(Action::Drain, &[last]));
            last = self.leave(self.target.leaving(), drained);
        }
        if self.inventory.lb_aside.is_some() {
            self.plan.add(Action::RemoveLbAside, &Self::needs(&[last]));
        }
    }

    /// Whether all are replaced by one reload: a configuration names one port for all instances, so that it can't send to
    /// old ones at the old port and to new ones at another.
    fn all_at_once(&self) -> bool {
        let config = self.inventory.written_config();
        let other_port =
            config.is_some_and(|config| config.instance_port != self.plan.spec.instance_port);
        other_port && !self.options.stop_first
    }

    /// Brings in what is new or started again, all at once.
    fn add_instances(
        &mut self,
        added: &[Number],
        in_lb: &mut BTreeSet<Number>,
        needs: &[StepId],
    ) -> Option<BroughtIn> {
        // Nobody has vouched yet for one that starts, or that is not sent to.
        let unproved = |number: &&Number| {
            self.inventory.instances[number].state == State::Starting || !in_lb.contains(number)
        };
        let unproved: Vec<Number> = self.target.keep.iter().filter(unproved).copied().collect();
        let fresh = sorted([&unproved, &self.target.start, &added.to_vec()]);
        if fresh.is_empty() {
            return None;
        }
        let mut up = self.start(needs);
        up.extend(self.run(added, needs));
        let gate = self.plan.add(Action::AwaitReady(fresh.clone()), &up);
        in_lb.extend(&fresh);
        in_lb.extend(&self.target.keep);
        let proved = self.bring_in(&fresh, in_lb, &[gate]);
        Some(BroughtIn { gate, proved })
    }

    /// Reloads, and lets the load balancer check those that are new to it.
    fn bring_in(&mut self, fresh: &[Number], in_lb: &BTreeSet<Number>, needs: &[StepId]) -> StepId {
        let servers = in_lb.iter().copied().collect();
        let reload = self.plan.add(Action::Reload(servers), needs);
        if !self.plan.spec.tuning.checks() {
            return reload;
        }
        let mut watched: BTreeSet<Number> = fresh.iter().copied().collect();
        if self.check_is_new() {
            // Those that leave need not pass what was made for their successors.
            watched.extend(self.target.keep.iter().filter(|kept| in_lb.contains(kept)));
        }
        let watched = watched.into_iter().collect();
        self.plan.add(Action::Watch(watched), &[reload])
    }

    /// Whether the load balancer checks, and did not in the same way before.
    fn check_is_new(&self) -> bool {
        let spec = &self.plan.spec;
        let found = self.inventory.config.as_ref();
        let config = self.inventory.written_config();
        let same = config.is_some_and(|config| config.tuning.health == spec.tuning.health)
            && found.and_then(|found| found.template.as_ref()) == spec.template.as_ref();
        spec.tuning.checks() && !same
    }

    /// One batch of a rollout: `fresh` come in, then `leaving` go out of the load balancer.
    fn replace(
        &mut self,
        fresh: &[Number],
        leaving: &[Number],
        in_lb: &mut BTreeSet<Number>,
        needs: &[StepId],
        last: Option<BroughtIn>,
    ) -> BroughtIn {
        let last_proved = last.map(|last| last.proved);
        // Nothing is as sure as those that serve: they go on until their successors have proved themselves.
        let relieves = !self.options.stop_first && !self.all_at_once();
        let leaving = if self.plan.spec.tuning.checks() && relieves {
            &std::mem::replace(&mut self.relieved, leaving.to_vec())
        } else {
            leaving
        };
        // The next ones come while the load balancer takes the last ones in: those have proved that their image starts.
        let mut up_needs: Vec<StepId> = needs.iter().copied().chain(last.map(|l| l.gate)).collect();
        let staying = || {
            in_lb
                .iter()
                .copied()
                .filter(|number| !leaving.contains(number))
        };
        if self.options.stop_first {
            let staying: Vec<Number> = staying().collect();
            up_needs.extend(last_proved);
            // Somebody has to answer: the last one stays in the configuration while it is being replaced.
            if !staying.is_empty() {
                let reload = self.plan.add(Action::Reload(staying), &up_needs);
                up_needs = vec![self.plan.add(Action::Drain, &[reload])];
            }
            up_needs = vec![self.plan.add(Action::Stop(leaving.to_vec()), &up_needs)];
            self.stopped.extend(leaving);
        }
        let up = self.run(fresh, &up_needs);
        let gate = self.plan.add(Action::AwaitReady(fresh.to_vec()), &up);
        *in_lb = staying().chain(fresh.iter().copied()).collect();
        let reload_needs: Vec<StepId> = last_proved.into_iter().chain([gate]).collect();
        let proved = self.bring_in(fresh, in_lb, &reload_needs);
        BroughtIn { gate, proved }
    }

    /// The result is the step after which they are gone.
    fn leave(&mut self, numbers: Vec<Number>, after: Option<StepId>) -> Option<StepId> {
        if numbers.is_empty() {
            return after;
        }
        let running: Vec<Number> = numbers
            .iter()
            .filter(|number| !self.stopped.contains(number))
            .copied()
            .collect();
        let stop = (!running.is_empty())
            .then(|| self.plan.add(Action::Stop(running), &Self::needs(&[after])));
        let needs = Self::needs(&[stop.or(after)]);
        Some(self.plan.add(Action::Remove(numbers), &needs))
    }

    /// The instances that the running configuration sends to and that run: a name that does not resolve is fatal to a
    /// reload.
    fn in_force(&self) -> BTreeSet<Number> {
        let config = self.inventory.written_config();
        let runs = |number: &Number| {
            let instance = self.inventory.instances.get(number);
            instance.is_some_and(Container::running)
        };
        config
            .map(Config::numbers)
            .unwrap_or_default()
            .into_iter()
            .filter(runs)
            .collect()
    }

    /// Whether the file in the load balancer is what sending to `servers` renders to.
    fn config_is(&self, servers: &[Number]) -> bool {
        let spec = &self.plan.spec;
        let bridge = spec.names.network();
        let address = |number: Number, name: &str| match spec.tuning.server_address {
            ServerAddress::Name => name.to_owned(),
            ServerAddress::Ip => {
                let instance = self.inventory.instances.get(&number);
                instance
                    .and_then(|instance| instance.address_on(&bridge))
                    .unwrap_or_default()
                    .to_owned()
            }
        };
        let rendered = Config::by_address(spec, servers, address).render().ok();
        self.inventory.config.as_ref().map(|found| &found.text) == rendered.as_ref()
    }

    fn reasons(&self) -> Vec<String> {
        let names = |numbers: &[Number]| list(&self.plan.spec.names.instances(numbers));
        let mut reasons = Vec::new();
        let spec = &self.plan.spec;
        if spec.auto_address && self.fate.makes_one() && self.inventory.is_vch() {
            reasons.push(format!(
                "{SERVER_ADDRESS}: ip, since a VCH mostly asks {EXTERNAL_NET}'s name server, which knows no instance"
            ));
        }
        if self.inventory.is_empty() {
            return reasons;
        }
        if !self.target.start.is_empty() {
            reasons.push(format!(
                "{}: to be started again",
                names(&self.target.start)
            ));
        }
        if !self.target.outdated.is_empty() {
            reasons.push(format!("{}: to be replaced", names(&self.target.outdated)));
            if self.options.stop_first && self.options.batch >= self.target.outdated.len() {
                reasons.push(
                    "all of them stop before the first successor starts: an outage".to_owned(),
                );
            }
        }
        if self.fate == LbFate::Replace {
            reasons.push(format!(
                "`{}`: to be replaced, a short outage",
                self.plan.spec.names.lb
            ));
        }
        reasons.extend(self.changed_settings());
        let found = self.inventory.config.as_ref();
        if !self.fate.makes_one() && found.is_some_and(Found::outdated) {
            reasons.push(format!(
                "the haproxy.cfg in `{}` is as another version of vch-lb wrote it: to be brought up to date",
                self.plan.spec.names.lb
            ));
        }
        let lb = &self.plan.spec.names.lb;
        if self.inventory.written_later {
            reasons.push(format!(
                "the haproxy.cfg in `{lb}`, or its certificate, is younger than what HAProxy runs: it loads that, to be sure"
            ));
        }
        match &self.inventory.aim {
            Aim::Right => {}
            Aim::Off(numbers) => reasons.push(format!(
                "{}: not where `{lb}` sends to any more",
                names(numbers)
            )),
            Aim::Unsure(numbers) => reasons.push(format!(
                "{}: started after `{lb}` resolved the name; it looks again, to be sure",
                names(numbers)
            )),
        }
        if !self.target.surplus.is_empty() {
            let wanted = plural(self.plan.spec.count.get(), "instance");
            reasons.push(format!(
                "{}: to leave ({wanted} asked for)",
                names(&self.target.surplus)
            ));
        }
        reasons
    }

    /// The settings in which the configuration that is there differs from the one to come: `LB_LOG: stdout → syslog`.
    fn changed_settings(&self) -> Vec<String> {
        let Some(before) = self.inventory.written_config() else {
            return Vec::new();
        };
        let spec = &self.plan.spec;
        let ports = [
            (LB_PORT, before.lb_port, spec.lb_port),
            (INSTANCE_PORT, before.instance_port, spec.instance_port),
        ];
        let ports = ports
            .into_iter()
            .filter(|(_, old, new)| old != new)
            .map(|(name, old, new)| format!("{name}: {old} → {new}"));
        let or_unset = |text: &str| match text {
            "" => "unset".to_owned(),
            _ => printable(text),
        };
        let travelling = before.tuning.changes(&spec.tuning);
        // What the load balancer is created with may be secret: that it is another one has to do.
        let travelling = travelling.map(|(name, old, new)| match name {
            LB_ARGS => format!("{name}: changed"),
            _ => format!("{name}: {} → {}", or_unset(old), or_unset(new)),
        });
        ports.chain(travelling).collect()
    }
}
