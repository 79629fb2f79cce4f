//! Several networks called PREFIX-net: an engine before 25 makes them where two `network create` meet, such as one that a
//! killed run left on its way and that of the next run. Until one is left, no call by that name does anything.

use std::collections::BTreeSet;

use crate::docker::argv;
use crate::docker::{CallError, Docker, answer};
use crate::text::plural;
use crate::ui::Ui;

/// Removes those of the networks called `name` that no container is on and that may be ours, all but one. Whatever happens to that, whoever was
/// told that `name` is ambiguous asks again, and is told so again where it was in vain.
pub fn settle(docker: &Docker, ui: &Ui, name: &str) {
    let Ok(networks) = networks_called(docker, name) else {
        return;
    };
    let surplus = surplus(&networks);
    if surplus.is_empty() {
        return;
    }
    ui.status(&format!(
        "there are {} called `{name}`: removing {} that nobody is on",
        plural(networks.len(), "network"),
        surplus.len()
    ));
    for id in surplus {
        // One that somebody is on by now stays: docker refuses.
        let _ = docker.change(&argv::network_rm(id));
    }
}

/// One of several networks of the same name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Namesake {
    id: String,
    /// The containers on it, the stopped ones too: they start on no other.
    containers: BTreeSet<String>,
    /// Somebody made it with more than its name.
    foreign: bool,
}

fn networks_called(docker: &Docker, name: &str) -> Result<Vec<Namesake>, CallError> {
    let listed = docker.query(&argv::network_ls_ids(name))?.text();
    let ids = listed.lines().filter_map(|line| {
        let (id, found) = line.split_once('/')?;
        // It becomes a word of a call: no option.
        let is_id = id.chars().all(|c| c.is_ascii_alphanumeric());
        (is_id && found == name).then_some(id)
    });
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let argv = argv::network_inspect(&ids);
    let found: Vec<answer::Network> =
        answer::json(&docker.query(&argv)?.stdout).map_err(|why| docker.bad_answer(&argv, why))?;
    let is_plain = |id: &str| found.iter().any(|found| found.id == id && found.is_plain());
    ids.into_iter()
        .map(|id| {
            let argv = argv::ps_on_network(id);
            let names = answer::names(&docker.query(&argv)?.stdout)
                .map_err(|why| docker.bad_answer(&argv, why))?;
            Ok(Namesake {
                id: id.to_owned(),
                containers: names.into_iter().collect(),
                foreign: !is_plain(id),
            })
        })
        .collect()
}

/// The IDs of those that can go. The one that stays is the same for everyone who decides at the same time.
fn surplus(networks: &[Namesake]) -> Vec<&str> {
    let (used, unused): (Vec<_>, Vec<_>) = networks
        .iter()
        .partition(|network| network.foreign || !network.containers.is_empty());
    let spared = unused.iter().min().filter(|_| used.is_empty());
    unused
        .iter()
        .filter(|network| Some(*network) != spared)
        .map(|network| network.id.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stays_and_none_goes_that_somebody_is_on() {
        for (networks, goes) in [
            (vec![], vec![]),
            (vec![("a", "")], vec![]),
            (vec![("b", ""), ("a", ""), ("c", "")], vec!["b", "c"]),
            (vec![("a", ""), ("b", "web-1")], vec!["a"]),
            (vec![("a", "web-1"), ("b", "web-2")], vec![]),
            (vec![("a", ""), ("b", ""), ("foreign", "")], vec!["a", "b"]),
            (
                vec![("a", "web-1"), ("b", ""), ("c", "web-1 web-2")],
                vec!["b"],
            ),
        ] {
            let networks: Vec<Namesake> = networks
                .into_iter()
                .map(|(id, containers)| Namesake {
                    id: id.to_owned(),
                    containers: containers.split_whitespace().map(str::to_owned).collect(),
                    foreign: id.starts_with('f'),
                })
                .collect();
            assert_eq!(surplus(&networks), goes, "{networks:?}");
        }
    }
}
