//! Looking: the read-only calls that every command begins with, and what they add up to.
//!
//! Three calls side by side on an endpoint where nothing is; two or three more where there is something.

use std::collections::{BTreeMap, HashSet};
use std::thread;
use std::time::Duration;

use crate::ask;
use crate::docker::answer::{self, ListedContainer, json, json_lines};
use crate::docker::archive::{self, Entry};
use crate::docker::argv::{self, Argv, Range};
use crate::docker::cause::Cause;
use crate::docker::{Answer, CallError, Docker};
use crate::error::{Failure, Kind};
use crate::haproxy::channel::{self, Look, Question};
use crate::haproxy::read::{Found, Odd};
use crate::haproxy::{self, Config};
use crate::haproxy::{log, reloaded};
use crate::host_ports::{self, Taken};
use crate::inventory::{Aim, Container, Endpoint, Inventory, bare_id};
use crate::message::vch_lb_with;
use crate::moment::Moment;
use crate::service::Service;
use crate::service::head::Head;
use crate::service::names::{Names, Number};
use crate::service::tuning::{ServerAddress, Tuning};

/// How many names one `inspect` gets: far below the limits of command lines (Windows: 32,767 characters), and few enough
/// that the answers on their way, SIDE_BY_SIDE of them, don't weigh more than what is made of them.
const PORTION: usize = 50;
/// How many portions are asked for at a time.
const SIDE_BY_SIDE: usize = 4;

/// How often a file is asked for whose archive comes empty, and after which pause.
const EXPORTS: u32 = 4;
const EXPORT_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub service: &'a Service,
    /// Images whose IDs are needed, if they are there.
    pub images: &'a [&'a str],
    pub detail: Detail,
    /// Whether the other containers on PREFIX-net are needed too.
    pub strangers: bool,
    /// Whether a load balancer under another name is to be found where there is none of this name.
    pub other_lb: bool,
}

/// How far to look into the load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Not at all.
    Containers,
    /// Its configuration, and whether that is in force.
    Config,
    /// Its certificate, too.
    ConfigAndCert,
}

impl<'a> Wanted<'a> {
    /// The service with its configuration, for whoever decides nothing about images or certificates.
    pub fn of(service: &'a Service) -> Self {
        Self {
            service,
            images: &[],
            detail: Detail::Config,
            strangers: false,
            other_lb: false,
        }
    }
}

/// Everything on the endpoint that concerns the service.
pub fn look(docker: &Docker, wanted: Wanted<'_>) -> Result<Inventory, Failure> {
    look_beside(docker, wanted, &|_| {})
}

/// Like [`look`]; `beside` is done beside the looks into the load balancer, if there is one that may be the service's.
pub fn look_beside(
    docker: &Docker,
    wanted: Wanted<'_>,
    beside: &(dyn Fn(&Endpoint) + Sync),
) -> Result<Inventory, Failure> {
    look_with(docker, wanted, || endpoint(docker), beside)
}

/// Like [`look`], for whoever may know already what the endpoint says of itself.
pub fn look_with(
    docker: &Docker,
    wanted: Wanted<'_>,
    endpoint: impl FnOnce() -> Result<Endpoint, Failure>,
    beside: &(dyn Fn(&Endpoint) + Sync),
) -> Result<Inventory, Failure> {
    let Service {
        names: ours,
        external_net,
    } = wanted.service;
    let bridge = ours.network();
    let networks = [external_net.as_str(), &bridge];
    let (endpoint, networks, names, images) = thread::scope(|scope| {
        let networks = scope.spawn(|| networks_called(docker, &networks));
        let names = scope.spawn(|| listed(docker, ours));
        let images = scope.spawn(|| images_called(docker, wanted.images));
        let endpoint = endpoint();
        (endpoint, join(networks), join(names), join(images))
    });
    // The endpoint's own failure says more than those of the calls beside it.
    let endpoint = endpoint?;
    let listed = names?;
    let names: Vec<String> = listed.iter().map(|it| it.name.clone()).collect();
    let networks = networks?;
    let has_lb = names.iter().any(|name| name == ours.lb.as_str());
    let look_into_lb = wanted.detail != Detail::Containers && has_lb;
    let look_for_strangers =
        wanted.strangers && networks.iter().any(|network| network.name == bridge);
    let (containers, files, on_bridge) = thread::scope(|scope| {
        if has_lb {
            scope.spawn(|| beside(&endpoint));
        }
        let cert = wanted.detail == Detail::ConfigAndCert;
        let files =
            look_into_lb.then(|| scope.spawn(move || lb_files(docker, ours.lb.as_str(), cert)));
        let on_bridge = look_for_strangers
            .then(|| scope.spawn(|| container_names(docker, &argv::ps_on_network(&bridge))));
        let containers = containers(docker, &names);
        let files = files.map_or(Ok(None), join);
        (containers, files, on_bridge.map_or(Ok(Vec::new()), join))
    });
    let mut inventory = Inventory::new(wanted.service, endpoint, networks, containers?);
    inventory.ids = listed.into_iter().map(|it| (it.name, it.id)).collect();
    inventory.strangers = strangers(on_bridge?, &inventory);
    // What has one of our names there and could not be inspected is being removed by somebody else.
    let ids = &inventory.ids;
    inventory.strangers.retain(|name| !ids.contains_key(name));
    if wanted.other_lb && inventory.may_have_other_lb() {
        find_other_lb(docker, wanted, &mut inventory)?;
    }
    if let (Some(lb), Some(files)) = (&inventory.lb, files?) {
        inventory.config = Some(found(lb, files));
    }
    inventory.images = images?;
    if look_into_lb {
        inventory.aim = aim(docker, &inventory)?;
        if let Some((config, look)) = in_force(docker, &inventory)? {
            let runs_another = reloaded::runs_another(&config, &look);
            inventory.not_in_force = runs_another;
            inventory.written_later = reloaded::written_later(&look) && !runs_another;
            inventory.servers = reloaded::servers(&look);
            inventory.cert = look.cert;
        }
    }
    Ok(inventory)
}

/// What the thread came to; its panic is ours.
pub fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    handle
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What the client talks to. The first call of all: it finds out whether anybody is there.
pub fn endpoint(docker: &Docker) -> Result<Endpoint, Failure> {
    info(docker).map(Endpoint::new)
}

/// All that the endpoint says of itself.
pub fn info(docker: &Docker) -> Result<answer::Info, Failure> {
    let argv = argv::info();
    let unusable = |error: &CallError| {
        let what = if error.cause().is_some_and(Cause::endpoint_unreachable) {
            "the endpoint can't be reached"
        } else {
            "the endpoint did not say what it is"
        };
        let mut failure = Failure::from_call(what, error);
        if failure.kind == Kind::Failed {
            failure.kind = Kind::Unusable;
        }
        failure
    };
    let answer = docker.query(&argv).map_err(|error| unusable(&error))?;
    let info: answer::Info = json(&answer.stdout)
        .map_err(|why| unusable(&docker.bad_answer(&argv, with_stderr(why, &answer))))?;
    if info.podman_host.is_some() && info.server_version.is_empty() {
        let what = format!(
            "`{}` is Podman's own client, which answers in another way than docker's",
            docker.program()
        );
        let hint = "use docker's client, and let DOCKER_HOST name Podman's socket, such as \
                    unix:///run/user/1000/podman/podman.sock (`systemctl --user start podman.socket`)";
        return Err(Failure::new(Kind::Unusable, what).hinted(hint));
    }
    // docker 20.10's client exits with 0 when there is no server, and says so in its answer.
    if !info.server_errors.is_empty() {
        return Err(unusable(
            &docker.no_server(&argv, &info.server_errors.join("\n")),
        ));
    }
    Ok(info)
}

fn with_stderr(why: String, answer: &Answer) -> String {
    match answer.stderr.trim() {
        "" => why,
        stderr => format!("{why}\n{stderr}"),
    }
}

/// Those of `networks` that exist.
pub fn networks_called(
    docker: &Docker,
    networks: &[&str],
) -> Result<Vec<answer::Network>, Failure> {
    let argv = argv::network_inspect(networks);
    let stdout =
        found_ones(docker.query(&argv)).map_err(|error| not_read("the networks", &error))?;
    json(&stdout).map_err(|why| not_read("the networks", &docker.bad_answer(&argv, why)))
}

/// The containers that have one of our names, ours or not.
pub fn listed(docker: &Docker, names: &Names) -> Result<Vec<ListedContainer>, Failure> {
    let argv = argv::ps(&names.pattern());
    let answer = docker
        .query(&argv)
        .map_err(|error| not_read("the containers", &error))?;
    let mut listed = answer::listed_containers(&answer.stdout)
        .map_err(|why| not_read("the containers", &docker.bad_answer(&argv, why)))?;
    listed.retain(|container| names.may_be_ours(&container.name));
    Ok(listed)
}

fn container_names(docker: &Docker, argv: &Argv) -> Result<Vec<String>, Failure> {
    let answer = docker
        .query(argv)
        .map_err(|error| not_read("the containers", &error))?;
    answer::names(&answer.stdout)
        .map_err(|why| not_read("the containers", &docker.bad_answer(argv, why)))
}

/// Those of the containers on PREFIX-net that are not the service's.
fn strangers(mut on_bridge: Vec<String>, inventory: &Inventory) -> Vec<String> {
    let containers = inventory.containers();
    let ours: HashSet<&str> = containers.map(|ours| ours.name.as_str()).collect();
    on_bridge.retain(|name| !ours.contains(name.as_str()));
    on_bridge
}

/// Looks at the others on PREFIX-net: only where the load balancer is missing.
fn find_other_lb(
    docker: &Docker,
    wanted: Wanted<'_>,
    inventory: &mut Inventory,
) -> Result<(), Failure> {
    let others = if wanted.strangers {
        inventory.strangers.clone()
    } else {
        let on_bridge = argv::ps_on_network(&wanted.service.names.network());
        strangers(container_names(docker, &on_bridge)?, inventory)
    };
    inventory.strangers.clone_from(&others);
    let others = containers(docker, &others)?;
    inventory.find_other_lb(&others, &wanted.service.external_net);
    Ok(())
}

/// Those of `names` that exist, in no particular order.
pub fn containers(docker: &Docker, names: &[String]) -> Result<Vec<Container>, Failure> {
    let portions: Vec<&[String]> = names.chunks(PORTION).collect();
    let mut found = Vec::with_capacity(names.len());
    for portions in portions.chunks(SIDE_BY_SIDE) {
        let answers: Vec<_> = thread::scope(|scope| {
            let calls: Vec<_> = portions
                .iter()
                .map(|portion| scope.spawn(|| docker.query(&argv::inspect(portion))))
                .collect();
            calls.into_iter().map(join).collect()
        });
        for (portion, answer) in portions.iter().zip(answers) {
            found.extend(inspected(docker, portion, answer)?);
        }
    }
    Ok(found)
}

/// What the answer about one portion of them says. Read on the caller's thread: what is kept of it would tear the memory
/// of those that only fetched it to pieces.
fn inspected(
    docker: &Docker,
    names: &[String],
    answer: Result<Answer, CallError>,
) -> Result<impl Iterator<Item = Container> + use<>, Failure> {
    let all_are_there = answer.is_ok();
    let stdout = found_ones(answer).map_err(|error| not_read("the containers", &error))?;
    let bad_answer = |why| {
        not_read(
            "the containers",
            &docker.bad_answer(&argv::inspect(names), why),
        )
    };
    let containers: Vec<answer::Container> = json_lines(&stdout).map_err(bad_answer)?;
    if all_are_there && containers.len() < names.len() {
        let told = format!(
            "docker succeeded, but told of {} of {} containers only",
            containers.len(),
            names.len()
        );
        return Err(bad_answer(told));
    }
    Ok(containers.into_iter().map(Container::new))
}

/// The container called `name`, if it exists.
pub fn container(docker: &Docker, name: &str) -> Result<Option<Container>, Failure> {
    Ok(containers(docker, &[name.to_owned()])?.pop())
}

/// The IDs of those of `images` that are there.
pub fn images_called(
    docker: &Docker,
    images: &[&str],
) -> Result<BTreeMap<String, String>, Failure> {
    // One call an image: an answer does not say which of several names it is about.
    let ids: Vec<_> = thread::scope(|scope| {
        let calls: Vec<_> = images
            .iter()
            .map(|image| scope.spawn(move || image_beside(docker, image, None)))
            .collect();
        calls.into_iter().map(join).collect()
    });
    let mut found = BTreeMap::new();
    for (image, id) in images.iter().zip(ids) {
        if let Some(id) = id?.id {
            found.insert((*image).to_owned(), id);
        }
    }
    Ok(found)
}

/// What one call tells of an image, and of another beside it.
pub struct LookedUp {
    /// The ID of the image, if it is there.
    pub id: Option<String>,
    /// By ID the names in the environments that they bring.
    pub environments: BTreeMap<String, Vec<String>>,
}

/// What there is to know of `image`, and of the one with the ID `other`.
pub fn image_beside(
    docker: &Docker,
    image: &str,
    other: Option<&str>,
) -> Result<LookedUp, Failure> {
    let images: Vec<&str> = [image].into_iter().chain(other).collect();
    let argv = argv::image_inspect(&images);
    let stdout = found_ones(docker.query(&argv)).map_err(|error| not_read("the images", &error))?;
    let answers: Vec<answer::Image> = json_lines(&stdout)
        .map_err(|why| not_read("the images", &docker.bad_answer(&argv, why)))?;
    let id = |answer: &answer::Image| bare_id(&answer.id).to_owned();
    // Were both one image, there would be two answers.
    let is_other = |id: &String| answers.len() < images.len() && other == Some(id.as_str());
    let found = answers.first().map(id).filter(|id| !is_other(id));
    let environments = answers
        .iter()
        .filter_map(|answer| Some((id(answer), answer.env.as_ref()?.names.clone())));
    Ok(LookedUp {
        id: found,
        environments: environments.collect(),
    })
}

/// What lies in the load balancer.
enum LbFiles {
    Odd(Odd),
    Files {
        config: String,
        template: Option<Lies>,
        cert: Option<Vec<u8>>,
    },
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lies {
    File(Vec<u8>),
    Odd(Odd),
}

impl Lies {
    fn file(self) -> Option<Vec<u8>> {
        match self {
            Self::File(bytes) => Some(bytes),
            Self::Odd(_) => None,
        }
    }
}

fn found(lb: &Container, files: LbFiles) -> Found {
    let (config, template, cert) = match files {
        LbFiles::Odd(odd) => return Found::odd(odd),
        LbFiles::Files {
            config,
            template,
            cert,
        } => (config, template, cert),
    };
    let (template, odd) = match template {
        Some(Lies::Odd(odd)) => (None, Some(odd)),
        Some(Lies::File(text)) => (Some(String::from_utf8_lossy(&text).into_owned()), None),
        None => (None, None),
    };
    let mut found = Found::new(config, template, lb.haproxy);
    if let Some(odd) = odd {
        found.broken = Some(format!(
            "`{}` {}",
            lb.name,
            odd.words(haproxy::TEMPLATE_NAME)
        ));
    }
    found.cert = cert;
    found
}

/// The load balancer's haproxy.cfg and what belongs to it; `None` where it has none.
fn lb_files(docker: &Docker, lb: &str, with_cert: bool) -> Result<Option<LbFiles>, Failure> {
    let config = match lies_in(docker, lb, haproxy::CONFIG_NAME)? {
        None => return Ok(None),
        Some(Lies::Odd(odd)) => return Ok(Some(LbFiles::Odd(odd))),
        Some(Lies::File(config)) => String::from_utf8_lossy(&config).into_owned(),
    };
    let tuning = Head::read(&config).map_or_else(|_| Tuning::default(), |head| head.tuning);
    let template = if tuning.template {
        lies_in(docker, lb, haproxy::TEMPLATE_NAME)?
    } else {
        None
    };
    let cert = if tuning.tls && with_cert {
        file_in(docker, lb, haproxy::CERT_NAME)?
    } else {
        None
    };
    Ok(Some(LbFiles::Files {
        config,
        template,
        cert,
    }))
}

/// A file beside the load balancer's haproxy.cfg, or that itself; `None` where there is none.
pub fn file_in(docker: &Docker, lb: &str, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(lies_in(docker, lb, name)?.and_then(Lies::file))
}

/// The same, where anything else in its place, or one that is too large to be read, is a failure.
pub fn plain_file_in(docker: &Docker, lb: &str, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    match lies_in(docker, lb, name)? {
        None => Ok(None),
        Some(Lies::File(bytes)) => Ok(Some(bytes)),
        Some(Lies::Odd(_)) => Err(Failure::failed(format!(
            "what lies in `{lb}` as {name} is no file that can be read"
        ))
        .hinted(
            vch_lb_with("up", &["--recreate-lb"])
                + " makes a load balancer without it: a short outage",
        )),
    }
}

/// The file at `path` in the load balancer; `None` where there is none.
pub fn file_at(docker: &Docker, lb: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(lies_at(docker, lb, path)?.and_then(Lies::file))
}

fn lies_in(docker: &Docker, lb: &str, name: &str) -> Result<Option<Lies>, Failure> {
    lies_at(docker, lb, &format!("{}/{name}", haproxy::CONFIG_DIR))
}

/// What lies at `path` in the load balancer; `None` where nothing does.
fn lies_at(docker: &Docker, lb: &str, path: &str) -> Result<Option<Lies>, Failure> {
    let argv = argv::cp_out(lb, path);
    let name = path.rsplit('/').next().unwrap_or(path);
    let what = format!("the {name} in `{lb}`");
    let mut attempts = 0;
    let answer = loop {
        attempts += 1;
        match docker.query(&argv) {
            // A VCH's export may die on its way, and docker succeed: that says nothing about the file.
            Ok(answer) if answer.stdout.is_empty() && attempts < EXPORTS => {
                docker.pause(EXPORT_AGAIN_AFTER);
            }
            Ok(answer) if answer.stdout.is_empty() => {
                let why = with_stderr(
                    "docker succeeded, but the archive is empty".to_owned(),
                    &answer,
                );
                return Err(not_read(&what, &docker.bad_answer(&argv, why)));
            }
            Ok(answer) => break answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.cause().is_some_and(Cause::is_missing_path) => return Ok(None),
            Err(error) if error.printed_too_much() => return Ok(Some(Lies::Odd(Odd::TooLarge))),
            Err(error) => return Err(not_read(&what, &error)),
        }
    };
    let entry = archive::unpack(&answer.stdout)
        .map_err(|why| not_read(&what, &docker.bad_answer(&argv, why)))?;
    Ok(Some(match entry {
        Entry::File(bytes) => Lies::File(bytes),
        Entry::Directory => Lies::Odd(Odd::Directory),
        Entry::Link => Lies::Odd(Odd::Link(answer.stdout)),
        Entry::Special => Lies::Odd(Odd::Special(answer.stdout)),
    }))
}

/// The file in the load balancer, and what HAProxy itself, asked where that names the runtime socket, runs and makes of its
/// servers. It may be something else, or the file younger: somebody was stopped between the copy and the reload. One exec,
/// beside nothing else.
fn in_force(docker: &Docker, inventory: &Inventory) -> Result<Option<(Config, Look)>, Failure> {
    let lb = inventory.lb.as_ref().filter(|lb| lb.running());
    let found = inventory.config.as_ref().filter(|found| !found.edited());
    let asked = lb
        .zip(found)
        .filter(|(_, found)| channel::is_named_in(&found.text));
    let Some((lb, found)) = asked else {
        return Ok(None);
    };
    let look = match ask::haproxy(docker, &lb.name, Question::What, &[]) {
        Ok(look) => look,
        Err(error) if error.concerns_every_call() => {
            return Err(not_read("what HAProxy runs", &error));
        }
        Err(_) => None,
    };
    Ok(found.config.clone().zip(look))
}

/// Whether the load balancer sends to where its instances are. Addresses stand in its file. Names it resolves when it reads
/// that: its log, which is asked only where there is reason to, tells whether it did so since they were started.
fn aim(docker: &Docker, inventory: &Inventory) -> Result<Aim, Failure> {
    let lb = inventory.lb.as_ref().filter(|lb| lb.running());
    let Some((lb, config)) = lb.zip(inventory.written_config()) else {
        return Ok(Aim::Right);
    };
    let moved = moved(config, inventory);
    if !moved.is_empty() {
        return Ok(Aim::Off(moved));
    }
    if config.tuning.server_address == ServerAddress::Ip {
        return Ok(Aim::Right);
    }
    let started_later = |number: &Number| {
        let instance = inventory.instances.get(number);
        let instance = instance.filter(|instance| instance.running())?;
        instance
            .started_at
            .filter(|at| Some(*at) > lb.started_at)
            .map(|at| (at, *number))
    };
    let mut later: Vec<(Moment, Number)> =
        config.numbers().iter().filter_map(started_later).collect();
    let Some(&(latest, _)) = later.iter().max() else {
        return Ok(Aim::Right);
    };
    match read_last(docker, &lb.name, latest) {
        Ok(Reads::Before(last)) => {
            later.retain(|(at, _)| *at > last);
            Ok(Aim::Unsure(
                later.into_iter().map(|(_, number)| number).collect(),
            ))
        }
        Err(error) if error.concerns_every_call() => {
            Err(not_read("the load balancer's log", &error))
        }
        // A log that can't be read tells nothing either: some of docker's drivers keep none.
        Ok(Reads::Untold | Reads::Since) | Err(_) => Ok(Aim::Right),
    }
}

/// What HAProxy's log tells of when it last read its file.
enum Reads {
    /// It does not tell of that, as 1.8: nothing is known, and nothing is claimed.
    Untold,
    /// Since the time in question.
    Since,
    /// Last at this time, before the one in question.
    Before(Moment),
}

fn read_last(docker: &Docker, lb: &str, time: Moment) -> Result<Reads, CallError> {
    if told(docker, lb, Some(time), |_| false)? {
        return Ok(Reads::Since);
    }
    let mut last = None;
    told(docker, lb, None, |at| {
        last = Some(at);
        true
    })?;
    Ok(last.map_or(Reads::Untold, Reads::Before))
}

/// Whether the log tells of a start or a reload, since `time` if that is given. It is read on after one at which `go_on`
/// says so.
fn told(
    docker: &Docker,
    lb: &str,
    time: Option<Moment>,
    mut go_on: impl FnMut(Moment) -> bool,
) -> Result<bool, CallError> {
    let argv = argv::logs(lb, &Range::since(time), true, false);
    let mut told = false;
    docker.query_lines(&argv, |piece| {
        // A VCH knows full seconds only: it returns a little more than was asked for.
        let line = log::line(&piece.text)
            .filter(|line| time.is_none_or(|time| line.time >= time))
            .filter(|line| log::reload_seen(&line.text));
        let at = line.map(|line| line.time);
        told |= at.is_some();
        at.is_none_or(&mut go_on)
    })?;
    Ok(told)
}

/// Those instances that are sent to by address and have another one now.
fn moved(config: &Config, inventory: &Inventory) -> Vec<Number> {
    let bridge = inventory.bridge.as_ref();
    let bridge = bridge.map_or("", |network| network.name.as_str());
    let by_ip = config.tuning.server_address == ServerAddress::Ip;
    let servers = config.servers.iter().filter(|_| by_ip);
    let moved = servers.filter(|server| {
        let instance = inventory.instances.get(&server.number);
        let address = instance.and_then(|instance| instance.address_on(bridge));
        address.is_some_and(|address| address != server.address)
    });
    moved.map(|server| server.number).collect()
}

/// Of several things asked for, docker prints those that it found and fails because of the rest.
fn found_ones(result: Result<Answer, CallError>) -> Result<Vec<u8>, CallError> {
    match result {
        Ok(answer) => Ok(answer.stdout),
        Err(error) if error.is_not_found() => Ok(error.stdout),
        Err(error) => Err(error),
    }
}

fn not_read(what: &str, error: &CallError) -> Failure {
    Failure::from_call(format!("{what} could not be read"), error)
}

/// All networks, with their drivers.
pub fn listed_networks(docker: &Docker) -> Result<Vec<answer::ListedNetwork>, Failure> {
    let answer = docker
        .query(&argv::network_ls_drivers())
        .map_err(|error| not_read("the networks", &error))?;
    Ok(answer::listed_networks(&answer.stdout))
}

/// The ports of the endpoint's host that running containers publish.
pub fn published_ports(docker: &Docker) -> Result<Vec<Taken>, Failure> {
    let answer = docker
        .query(&argv::ps_ports())
        .map_err(|error| not_read("the published ports", &error))?;
    Ok(host_ports::taken(&answer.stdout))
}

/// The names of the networks that exist, for an admin who named one that doesn't.
pub fn network_names(docker: &Docker) -> Vec<String> {
    // Only an embellishment of an error: without an answer the error stands alone.
    let answer = docker.query(&argv::network_ls()).ok();
    let names = answer.and_then(|answer| answer::names(&answer.stdout).ok());
    let mut names = names.unwrap_or_default();
    // A load balancer on one of these could not be connected to the instances' network.
    names.retain(|name| name != "host" && name != "none");
    names
}
