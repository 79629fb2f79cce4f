//! What becomes of the load balancer, and what it can't change.

use super::options::Options;
use super::target::{made_from, paused};
use crate::error::Failure;
use crate::haproxy::read::Found;
use crate::inventory::{Container, Inventory, State};
use crate::message::vch_lb_with;
use crate::service::names::Port;
use crate::service::running;
use crate::service::tuning::Tuning;
use crate::service::{LABEL, Publish, Spec};
use crate::settings::{EXTERNAL_NET, LB_ARGS, LB_IMG};
use crate::text::list;

/// What becomes of the load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LbFate {
    /// It serves: changes go by reload.
    Reload,
    /// It is there, and only has to be completed and started.
    Start,
    Make,
    /// It is set aside, and another one takes its place.
    Replace,
}

impl LbFate {
    pub(super) fn new(
        spec: &Spec,
        inventory: &Inventory,
        options: Options,
    ) -> Result<Self, Failure> {
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
            return Err(Failure::failed(what).hinted(
                vch_lb_with("up", &["--recreate-lb"])
                    + " replaces the load balancer: a short outage",
            ));
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
            let hint = "set what it has, or replace it with "
                + vch_lb_with("up", &["--recreate-lb"])
                + ": a short outage";
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

    pub(super) fn makes_one(self) -> bool {
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
    if !lb.is_on(spec.external_net().as_str()) {
        let bridge = spec.names().network();
        let others: Vec<_> = lb.network_names().filter(|name| *name != bridge).collect();
        differences.push(format!(
            "{EXTERNAL_NET} is `{}`, but `{}` is on {}",
            spec.external_net(),
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
pub(super) fn ports_to_publish(spec: &Spec, inventory: &Inventory) -> Vec<u16> {
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
    let further = spec.tuning.further_ports().map(|(port, _)| port);
    let ports = [spec.lb_port].into_iter().chain(further).map(Port::get);
    let by_args = |port: &u16| spec.tuning.lb_args.publishing(*port).is_some();
    ports.filter(|port| !by_args(port)).collect()
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
