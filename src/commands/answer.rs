//! The answer of every command that leaves a service behind: where it is, and how the change went.

use serde_json::json;

use super::Context;
use super::change::Change;
use crate::change::transaction::Report;
use crate::docker::Docker;
use crate::entrance::Entrance;
use crate::error::{Failure, exit};
use crate::http::Reply;
use crate::inventory::{Container, Inventory};
use crate::judge::{self, Quality};
use crate::look;
use crate::message::{Message, vch_lb, vch_lb_with};
use crate::place::{Place, Via};
use crate::plan::Plan;
use crate::reach::{self, Reach};
use crate::service::{Publish, Spec};
use crate::status::servers;
use crate::text::{plural, seconds};

/// What is said where nothing proved that the service works.
const NOT_SHOWN: &str = "it was not shown that the service answers";

/// What is said of a reply that shows nothing.
fn not_shown(reply: Reply) -> String {
    if reply == Reply::Open {
        format!("{NOT_SHOWN}: a load balancer takes connections before it has an instance for them")
    } else {
        NOT_SHOWN.to_owned()
    }
}

/// Executes `plan` and answers; the result is the exit code.
pub(super) fn carry_out(change: &Change<'_>, spec: &Spec, plan: &Plan) -> Result<u8, Failure> {
    let report = change.execute(plan)?;
    // What was asked for is done by now: whatever can't be told is no failure of it.
    let reach = reach_after(change, spec, &report);
    say(change.context, spec, reach.as_ref(), Some(&report));
    Ok(exit::DONE)
}

/// Says that everything is as wanted, and answers; warns where the service itself does not.
pub(super) fn nothing_to_do(
    context: &Context<'_>,
    docker: &Docker,
    spec: &Spec,
    inventory: &Inventory,
    said: &str,
) -> Result<u8, Failure> {
    context.ui.status(said);
    let left_out = inventory.written_config().into_iter();
    for (_, _, what) in left_out.flat_map(|config| servers::left_out(inventory, config)) {
        context.ui.warn(&what);
    }
    let found = ways_in(docker, spec, inventory, inventory.lb.as_ref());
    if found.is_empty() {
        return Err(Failure::failed(no_address(spec)));
    }
    say(
        context,
        spec,
        Some(&ask(context, docker, spec, inventory, found)),
        None,
    );
    Ok(exit::DONE)
}

/// The ways in to the load balancer, first the one that is for its clients.
fn ways_in(
    docker: &Docker,
    spec: &Spec,
    inventory: &Inventory,
    lb: Option<&Container>,
) -> Vec<Place> {
    let entrance = Entrance::new(docker, inventory, spec.external_net());
    lb.map_or_else(Vec::new, |lb| entrance.ways_in(lb, spec.lb_port))
}

fn no_address(spec: &Spec) -> String {
    format!(
        "the load balancer `{}` runs, but has no address on `{}`",
        spec.names().lb,
        spec.external_net()
    )
}

/// Asks the service, and warns where it does not work. Not being reachable from here is no sign of anything.
fn ask(
    context: &Context<'_>,
    docker: &Docker,
    spec: &Spec,
    inventory: &Inventory,
    ways_in: Vec<Place>,
) -> Reach {
    let speaks = spec.tuning.lb_speaks();
    let heard = ways_in.first().map(|place| {
        let entrance = Entrance::new(docker, inventory, spec.external_net());
        entrance.ask(spec.names().lb.as_str(), spec.lb_port, place, speaks)
    });
    let reach = Reach::new(ways_in, heard);
    match (
        judge::quality(reach.reply, speaks),
        reach.why,
        reach.place(),
    ) {
        (Quality::Works, ..) => {}
        (Quality::Untold, Some(why), Some(place)) => {
            let said = format!("{}: {}", reach::untold(place), why.words());
            context.ui.warn(&said);
        }
        (Quality::Open | Quality::Untold, ..) => context.ui.status(&not_shown(reach.reply)),
        (Quality::Fails | Quality::Nobody, ..) => {
            warn(context, &reach::fails(&spec.names().lb, reach.reply));
        }
    }
    reach
}

fn warn(context: &Context<'_>, what: &str) {
    let more = vch_lb("status") + " and " + vch_lb("logs") + " say more";
    context.warn(&(Message::from(format!("{what}: ")) + more));
}

/// Where the service is after an executed plan; warns where it does not answer, or is nowhere.
fn reach_after(change: &Change<'_>, spec: &Spec, report: &Report) -> Option<Reach> {
    let Change {
        context, before, ..
    } = change;
    if let Some(reach) = report.reach.clone() {
        match (
            judge::quality(reach.reply, spec.tuning.lb_speaks()),
            reach.place(),
        ) {
            (Quality::Works | Quality::Open, _) | (Quality::Untold, None) => {}
            (Quality::Untold, Some(place)) => {
                context.warn(&match reach.why {
                    Some(why) => format!("{}: {}", reach::untold(place), why.words()).into(),
                    None => why_no_answer(spec, before, place),
                });
            }
            (Quality::Fails | Quality::Nobody, _) => {
                warn(context, &reach::fails(&spec.names().lb, reach.reply));
            }
        }
        return Some(reach);
    }
    let docker = change.docker.uninterruptible();
    let now = look::container(&docker, spec.names().lb.as_str());
    let found = ways_in(&docker, spec, before, now.ok().flatten().as_ref());
    if found.is_empty() {
        warn(context, &no_address(spec));
        return None;
    }
    Some(ask(context, &docker, spec, before, found))
}

/// The last lines of the script that this tool replaces: the answer of every command that leaves a service behind.
fn say(context: &Context<'_>, spec: &Spec, reach: Option<&Reach>, report: Option<&Report>) {
    let place = reach.and_then(Reach::place);
    if context.ui.json() {
        let steps: Vec<_> = report
            .iter()
            .flat_map(|report| &report.steps)
            .map(|(label, took)| json!({ "step": label, "seconds": took.as_secs_f64() }))
            .collect();
        context.ui.answer_json(&json!({
            "schema": "vch-lb/up/1",
            "changed": report.is_some(),
            "address": place.map(|place| &place.address),
            "port": place.map_or(spec.lb_port.get(), |place| place.port),
            "ways_in": reach.map_or(&[][..], |reach| &reach.ways_in),
            "answered": reach.is_some_and(Reach::answered),
            "http_status": reach.and_then(|reach| reach.reply.status()),
            "seconds": report.map(|report| report.took.as_secs_f64()),
            "steps": steps,
            "probe": report.and_then(|report| report.receipt.as_ref()),
        }));
        return;
    }
    if let Some(report) = report {
        let instances = plural(spec.count.get(), "instance");
        let took = seconds(report.took);
        let shown = match reach {
            Some(reach) if !reach.answered() => format!("; {}", not_shown(reach.reply)),
            _ => String::new(),
        };
        context.ui.status(&format!(
            "done in {took}: {instances} behind `{}`{shown}",
            spec.names().lb
        ));
    }
    if let Some(receipt) = report.and_then(|report| report.receipt.as_ref()) {
        context.ui.answer(&receipt.text());
    }
    if let Some(Place { address, port, .. }) = place {
        context.ui.answer(&format!(
            "\nService is available at\n{address}\non port {port}\n"
        ));
    }
}

/// Why a load balancer that runs may not answer, as far as that can be told from here.
fn why_no_answer(spec: &Spec, inventory: &Inventory, place: &Place) -> Message {
    let port = spec.lb_port;
    let net = spec.external_net();
    let unpublished = inventory.is_vch()
        && match &inventory.lb {
            Some(lb) => !lb.published.contains(&format!("{port}/tcp")),
            None => spec.publish == Publish::Never,
        };
    if unpublished {
        let what = format!(
            "{place} does not answer from here: a VCH's container network drops every port that was not \
             published, and `{}` publishes none; ",
            spec.names().lb
        );
        let up = vch_lb_with("up", &["--recreate-lb"]);
        return Message::from(what) + up + " with PUBLISH_LB=auto opens it";
    }
    if inventory.is_vch() {
        return format!(
            "{place} does not answer from here: there may be no route from this workstation to `{net}`, or its \
             firewall lets nobody in (the VCH's administrator decides that with --container-network-firewall)"
        )
        .into();
    }
    if place.via == Via::Host {
        return format!(
            "{place} does not answer from here: a firewall may keep this workstation from the port that the endpoint's \
             host publishes"
        )
        .into();
    }
    let bridge = inventory
        .external
        .as_ref()
        .filter(|net| net.driver == "bridge");
    let no_route = format!(
        "{place} does not answer from here: there may be no route from this workstation to `{net}`"
    );
    if bridge.is_none() {
        return no_route.into();
    }
    let by_host = vch_lb_with("up", &["--recreate-lb", "--publish-lb", "always"]);
    Message::from(no_route) + ": " + by_host + " lets clients in by the endpoint's host"
}
