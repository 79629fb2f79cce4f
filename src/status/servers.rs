//! Instances that run and that HAProxy sends nothing to: by its check, or since it was told so. Pure.

use super::Reader;
use crate::calls;
use crate::haproxy::Config;
use crate::haproxy::channel::Standing;
use crate::inventory::{Aim, Container, Health, Inventory};
use crate::service::names::Number;
use crate::settings::HEALTH_CHECK;

/// Those of them that nothing else is known to be wrong with, and why, in words.
pub fn left_out<'a>(
    inventory: &'a Inventory,
    config: &'a Config,
) -> impl Iterator<Item = (&'a Container, &'a Standing, String)> {
    let off: &[Number] = match &inventory.aim {
        Aim::Right => &[],
        Aim::Off(numbers) | Aim::Unsure(numbers) => numbers,
    };
    let numbers = config.numbers().into_iter();
    numbers.filter_map(move |number| {
        let instance = inventory.instances.get(&number)?;
        let well = instance.running() && matches!(instance.health, Health::None | Health::Healthy);
        let standing = inventory.servers.get(&number)?;
        let told = well && !off.contains(&number) && (standing.is_down() || standing.is_out());
        told.then(|| (instance, standing, words(&instance.name, standing, config)))
    })
}

fn words(name: &str, standing: &Standing, config: &Config) -> String {
    let Standing { status, check } = standing;
    if !standing.is_down() {
        return format!("HAProxy sends nothing to `{name}`: it says `{status}`");
    }
    let tuning = &config.tuning;
    let fails = if tuning.checks() {
        format!("{HEALTH_CHECK}={}", tuning.text(HEALTH_CHECK))
    } else {
        "its check".to_owned()
    };
    let check = check
        .as_deref()
        .map_or(String::new(), |check| format!(" ({check})"));
    format!("HAProxy sends nothing to `{name}`, which fails {fails}{check}")
}

impl Reader<'_> {
    /// What HAProxy sends nothing to is no part of the service.
    pub(super) fn servers(&mut self) {
        let Some(config) = self.config else {
            return;
        };
        for (instance, standing, what) in left_out(self.inventory, config) {
            let mend = if standing.is_down() {
                self.mends.suggest.command("logs", &[&instance.name])
            } else {
                let restarts = self.inventory.lb_restarts();
                let reload = calls::reload(self.service.names.lb.as_str(), restarts);
                self.mends.docker(&[reload])
            };
            self.note(what, mend);
        }
    }
}
