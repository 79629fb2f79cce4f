//! Why a plan does what it does, for people.

use super::lb::LbFate;
use super::planner::Planner;
use crate::haproxy::read::Found;
use crate::inventory::Aim;
use crate::service::names::Number;
use crate::settings::{EXTERNAL_NET, LB_ARGS, SERVER_ADDRESS};
use crate::text::{list, plural};

impl Planner<'_> {
    pub(super) fn reasons(&self) -> Vec<String> {
        let names = |numbers: &[Number]| list(&self.spec.names().instances(numbers));
        let mut reasons = Vec::new();
        let spec = self.spec;
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
                self.spec.names().lb
            ));
        }
        let changed = self
            .inventory
            .written_config()
            .map(|config| config.changes(spec));
        let changed = changed.unwrap_or_default().into_iter();
        // What the load balancer is created with may be secret: that it is another one has to do.
        reasons.extend(changed.map(|(name, old, new)| match name {
            LB_ARGS => format!("{name}: changed"),
            _ => format!("{name}: {old} → {new}"),
        }));
        let found = self.inventory.config.as_ref();
        if !self.fate.makes_one() && found.is_some_and(Found::outdated) {
            reasons.push(format!(
                "the haproxy.cfg in `{}` is as another version of vch-lb wrote it: to be brought up to date",
                self.spec.names().lb
            ));
        }
        let lb = &self.spec.names().lb;
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
            let wanted = plural(self.spec.count.get(), "instance");
            reasons.push(format!(
                "{}: to leave ({wanted} asked for)",
                names(&self.target.surplus)
            ));
        }
        reasons
    }
}
