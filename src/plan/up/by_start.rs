//! A load balancer that does not serve is made or completed, and started last.

use super::lb::{LbFate, ports_to_publish};
use super::planner::{Planner, Ready};
use crate::plan::{Action, StepId};
use crate::service::tuning::ServerAddress;

impl Planner<'_> {
    /// Rule 4.
    pub(super) fn by_start(&mut self) {
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
        let bridge = self.spec.names().network();
        let makes_one = self.fate.makes_one();
        let aside = (self.fate == LbFate::Replace).then(|| up[0]);
        let create = makes_one.then(|| {
            let needs = Self::needs(&[ready.lb_pull, aside]);
            let publish = ports_to_publish(self.spec, self.inventory);
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
            if self.spec.tuning.server_address == ServerAddress::Ip {
                // Addresses are known once the instances run.
                needs.extend(&up);
            }
            self.plan.add(Action::CopyConfig(servers), &needs)
        });
        let mut needs = up;
        needs.extend(Self::needs(&[create, connect, files, copy]));
        self.plan.add(Action::StartLb, &needs)
    }
}
