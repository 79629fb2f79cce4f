//! What becomes of each instance.

use std::collections::BTreeSet;

use super::options::Options;
use crate::error::Failure;
use crate::inventory::{Container, Inventory, State};
use crate::service::names::{ImageRef, Number};
use crate::service::{LABEL, Spec};

/// What becomes of each instance.
pub(super) struct Target {
    /// Stay as they are.
    pub(super) keep: Vec<Number>,
    /// Stay, but have to be started.
    pub(super) start: Vec<Number>,
    /// Are made.
    pub(super) make: Vec<Number>,
    /// Leave because they were made from another image or publish another port.
    pub(super) outdated: Vec<Number>,
    /// Leave because there are too many.
    pub(super) surplus: Vec<Number>,
}

impl Target {
    pub(super) fn new(
        spec: &Spec,
        inventory: &Inventory,
        options: Options,
    ) -> Result<Self, Failure> {
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
    pub(super) fn servers(&self) -> Vec<Number> {
        sorted([&self.keep, &self.start, &self.make])
    }

    /// Those that are gone in the end.
    pub(super) fn leaving(&self) -> Vec<Number> {
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

pub(super) fn paused(container: &Container) -> Failure {
    Failure::failed(format!("`{}` is paused", container.name))
        .hinted(format!("docker unpause {}", container.name))
}

/// Whether `container` was made from `image`: by name, or, where both IDs are known, by ID.
pub(super) fn made_from(container: &Container, image: &ImageRef, inventory: &Inventory) -> bool {
    container.image == image.as_str() || has_id_of(container, image, inventory)
}

/// Whether `container` was made from what `image` means now.
fn has_id_of(container: &Container, image: &ImageRef, inventory: &Inventory) -> bool {
    inventory
        .images
        .get(image.as_str())
        .is_some_and(|id| *id == container.image_id)
}

/// The numbers that no container has, the lowest first.
fn free_numbers(spec: &Spec, inventory: &Inventory) -> impl Iterator<Item = Number> {
    let conflicts = inventory.conflicts.iter();
    let others = conflicts.filter_map(|conflict| spec.names().number_of(&conflict.name));
    let taken: BTreeSet<Number> = inventory.instances.keys().copied().chain(others).collect();
    (1..).filter(move |number| !taken.contains(number))
}

pub(super) fn sorted<const N: usize>(parts: [&Vec<Number>; N]) -> Vec<Number> {
    let mut all: Vec<Number> = parts.into_iter().flatten().copied().collect();
    all.sort_unstable();
    all
}
