//! A plan in the making, and the steps that both ways to a service begin with.

use std::collections::BTreeSet;

use super::lb::LbFate;
use super::options::{Options, Pull};
use super::target::Target;
use crate::error::Failure;
use crate::haproxy::Config;
use crate::inventory::Inventory;
use crate::plan::{Action, Plan, StepId};
use crate::service::Spec;
use crate::service::names::{ImageRef, Number};
use crate::service::tuning::ServerAddress;

pub(super) struct Planner<'a> {
    pub(super) spec: &'a Spec,
    pub(super) plan: Plan,
    pub(super) inventory: &'a Inventory,
    pub(super) options: Options,
    pub(super) fate: LbFate,
    pub(super) target: Target,
    /// Those that the plan stops before it comes to the end.
    pub(super) stopped: BTreeSet<Number>,
    /// Those whose successors have been brought in, and that are sent to until those have passed HAProxy's checks.
    pub(super) relieved: Vec<Number>,
}

/// Steps that others wait for.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) pull: Option<StepId>,
    pub(super) lb_pull: Option<StepId>,
    pub(super) network: Option<StepId>,
}

impl Planner<'_> {
    pub(super) fn needs(ids: &[Option<StepId>]) -> Vec<StepId> {
        ids.iter().flatten().copied().collect()
    }

    pub(super) fn refuse_missing_images(&self) -> Result<(), Failure> {
        let spec = self.spec;
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

    pub(super) fn prepare(&mut self) -> Ready {
        let image = self.spec.image.clone();
        let lb_image = self.spec.lb_image.clone();
        let pull_instances = !self.target.make.is_empty() && self.pulls(&image);
        let pull_lb = self.fate.makes_one() && self.pulls(&lb_image);
        let network_is_missing = self.inventory.bridge.is_none();
        Ready {
            pull: pull_instances.then(|| self.plan.add(Action::Pull(image), &[])),
            lb_pull: pull_lb.then(|| self.plan.add(Action::Pull(lb_image), &[])),
            network: network_is_missing.then(|| self.plan.add(Action::CreateNetwork, &[])),
        }
    }

    pub(super) fn run(&mut self, numbers: &[Number], needs: &[StepId]) -> Vec<StepId> {
        numbers
            .iter()
            .map(|&number| self.plan.add(Action::Run(number), needs))
            .collect()
    }

    pub(super) fn start(&mut self, needs: &[StepId]) -> Vec<StepId> {
        let numbers = self.target.start.clone();
        numbers
            .into_iter()
            .map(|number| self.plan.add(Action::Start(number), needs))
            .collect()
    }

    /// What lies beside haproxy.cfg, if there is anything.
    pub(super) fn copy_files(&mut self, after: Option<StepId>) -> Option<StepId> {
        let spec = self.spec;
        let any = spec.cert.is_some() || spec.template.is_some();
        any.then(|| self.plan.add(Action::CopyFiles, &Self::needs(&[after])))
    }

    /// Whether the certificate or the admin's own template in the load balancer is another one.
    pub(super) fn files_differ(&self) -> bool {
        let spec = self.spec;
        let found = self.inventory.config.as_ref();
        let cert = spec.cert.is_some()
            && found.and_then(|found| found.cert.as_ref()) != spec.cert.as_ref();
        let template = found.and_then(|found| found.template.as_ref());
        cert || (spec.template.is_some() && template != spec.template.as_ref())
    }

    /// The result is the step after which they are gone.
    pub(super) fn leave(&mut self, numbers: Vec<Number>, after: Option<StepId>) -> Option<StepId> {
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

    /// Whether the file in the load balancer is what sending to `servers` renders to.
    pub(super) fn config_is(&self, servers: &[Number]) -> bool {
        let spec = self.spec;
        let bridge = spec.names().network();
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
}
