//! Which docker calls an action consists of: the one place that ties the words of a plan to docker's. Pure.
//!
//! What is listed here is what `--dry-run` shows and what is run.

use crate::docker::argv::{self, Argv};
use crate::haproxy;
use crate::inventory::Restarts;
use crate::plan::{Action, Back, Subject};
use crate::service::names::{Names, Number};
use crate::service::{Service, Spec};

/// How long containers get to end by themselves, in seconds.
pub const GRACE: u64 = 10;

/// How many containers one `stop` or `rm` gets: docker's client works on them side by side, and argument lists have an
/// end.
const PORTION: usize = 500;

/// The calls of `action` that change something on the endpoint, in their order. `config` is the local haproxy.cfg.
///
/// What is made is made as the spec says: without one, no call makes anything.
pub fn changing(action: &Action, subject: &Subject, restarts: Restarts, config: &str) -> Vec<Argv> {
    let Service {
        names,
        external_net,
    } = subject.service();
    let made = |call: &dyn Fn(&Spec) -> Argv| subject.spec().map(call).into_iter().collect();
    let lb = names.lb.as_str();
    match action {
        Action::Pull(image) => vec![argv::pull(image.as_str())],
        Action::CreateNetwork => vec![argv::network_create(&names.network())],
        Action::Run(number) => made(&|spec| {
            argv::run(argv::Run {
                name: &names.instance(*number),
                port: spec.instance_port.get(),
                network: &names.network(),
                args: spec.instance_args.words(),
                label: spec.label(),
                image: spec.kept.as_ref().unwrap_or(&spec.image).as_str(),
                known_as: spec.kept.as_ref().map(|_| spec.image.as_str()),
                command: &spec.instance_cmd,
            })
        }),
        Action::Start(number) => vec![argv::start(&[names.instance(*number)])],
        Action::CreateLb { publish } => made(&|spec| {
            argv::create(argv::Create {
                name: lb,
                network: external_net.as_str(),
                publish,
                args: spec.tuning.lb_args.words(),
                label: spec.lb_label(),
                image: spec.lb_image.as_str(),
            })
        }),
        Action::ConnectLb => vec![argv::network_connect(&names.network(), lb)],
        Action::CopyConfig(_) => vec![copy(lb, config)],
        Action::CopyFiles => file_names(subject).iter().map(|_| restore(lb)).collect(),
        Action::StartLb => vec![argv::start(&[lb.to_owned()])],
        Action::Reload(_) => vec![copy(lb, config), check(lb), reload(lb, restarts)],
        Action::RestoreConfig(Back::Stopped) => vec![restore(lb)],
        Action::RestoreConfig(_) => vec![restore(lb), reload(lb, restarts)],
        Action::Stop(numbers) => portions(names, numbers, |names| argv::stop(GRACE, names)),
        Action::Remove(numbers) => portions(names, numbers, argv::rm_force),
        Action::StopLb => vec![stop_lb(lb, restarts)],
        Action::SetLbAside => vec![argv::rename(lb, &names.lb_aside())],
        Action::TakeLbBack => vec![argv::rename(&names.lb_aside(), lb)],
        Action::RemoveLbAside => vec![argv::rm_force(&[names.lb_aside()])],
        Action::RemoveLb => vec![argv::rm_force(&[lb.to_owned()])],
        Action::RemoveNetwork => vec![argv::network_rm(&names.network())],
        Action::AwaitService | Action::AwaitReady(_) | Action::Watch(_) | Action::Drain => {
            Vec::new()
        }
    }
}

/// Copies the local haproxy.cfg into the load balancer.
pub fn copy(lb: &str, config: &str) -> Argv {
    argv::cp_in(config, lb, haproxy::CONFIG_PATH)
}

/// Unpacks a haproxy.cfg from stdin in the load balancer.
pub fn restore(lb: &str) -> Argv {
    argv::cp_stdin(lb, haproxy::CONFIG_DIR)
}

/// Removes a file from beside haproxy.cfg: as root, who owns that folder also where HAProxy runs as somebody else.
pub fn remove_file(lb: &str, name: &str) -> Argv {
    argv::exec_as_root(
        lb,
        &["rm", "-f", &format!("{}/{name}", haproxy::CONFIG_DIR)],
    )
}

/// Asks HAProxy itself, in the load balancer: it finds unresolvable names too. From 2.9 on it says that all is well with
/// `-V` only.
pub fn check(lb: &str) -> Argv {
    argv::exec(lb, &["haproxy", "-c", "-V", "-f", haproxy::CONFIG_PATH])
}

/// HUP reloads every official image from 1.6 on; the exit code says nothing about the outcome.
///
/// `docker kill` marks a container as stopped by hand, whatever the signal: `--restart unless-stopped` then does not bring
/// it back (moby#41302). A signal from inside leaves no mark; a shell has its own `kill`, and few images another one.
pub fn reload(lb: &str, restarts: Restarts) -> Argv {
    match restarts {
        Restarts::Never => argv::kill("HUP", lb),
        Restarts::ByPolicy => argv::exec(lb, &["sh", "-c", "kill -HUP 1"]),
    }
}

/// SIGTERM, whatever the image's stop signal is: HAProxy 1.7's wrapper ignores SIGUSR1 and would burn the whole grace
/// period. A policy takes that for an accident, and the engine starts the container again: then `stop`, which it heeds.
/// It sends SIGUSR1, whereupon HAProxy takes nothing new and ends what goes on; for a second, since nobody serves.
fn stop_lb(lb: &str, restarts: Restarts) -> Argv {
    match restarts {
        Restarts::Never => argv::kill("TERM", lb),
        Restarts::ByPolicy => argv::stop(1, &[lb.to_owned()]),
    }
}

/// The files that lie beside haproxy.cfg in the load balancer: name there, and content.
pub fn files(spec: &Spec) -> Vec<(&'static str, &[u8])> {
    let template = spec
        .template
        .as_deref()
        .map(|text| (haproxy::TEMPLATE_NAME, text.as_bytes()));
    let cert = spec.cert.as_deref().map(|pem| (haproxy::CERT_NAME, pem));
    template.into_iter().chain(cert).collect()
}

fn file_names(subject: &Subject) -> Vec<&'static str> {
    let files = subject.spec().map(files).unwrap_or_default();
    files.into_iter().map(|(name, _)| name).collect()
}

fn portions(names: &Names, numbers: &[Number], call: impl Fn(&[String]) -> Argv) -> Vec<Argv> {
    numbers
        .chunks(PORTION)
        .map(|portion| call(&names.instances(portion)))
        .collect()
}

/// What an action does, for people: `run web-1`.
pub fn label(action: &Action, subject: &Subject) -> String {
    let names = &subject.service().names;
    let lb = &names.lb;
    let some = |verb: &str, numbers: &[Number]| match numbers {
        [one] => format!("{verb} {}", names.instance(*one)),
        many => format!("{verb} {} instances", many.len()),
    };
    match action {
        Action::Pull(image) => format!("pull {image}"),
        Action::CreateNetwork => format!("create network {}", names.network()),
        Action::Run(number) => format!("run {}", names.instance(*number)),
        Action::Start(number) => format!("start {}", names.instance(*number)),
        Action::CreateLb { .. } => format!("create {lb}"),
        Action::ConnectLb => format!("connect {lb} to {}", names.network()),
        Action::CopyConfig(_) => format!("copy haproxy.cfg to {lb}"),
        Action::CopyFiles => format!(
            "copy {} to {lb}",
            crate::text::list_plain(&file_names(subject))
        ),
        Action::StartLb => format!("start {lb}"),
        Action::AwaitService => format!("wait for {lb}"),
        Action::AwaitReady(numbers) => some("wait for", numbers),
        Action::Reload(servers) => format!(
            "reload {lb} with {}",
            crate::text::plural(servers.len(), "server")
        ),
        Action::Watch(numbers) => some("watch", numbers),
        Action::Drain => format!("drain {lb}"),
        Action::Stop(numbers) => some("stop", numbers),
        Action::Remove(numbers) => some("remove", numbers),
        Action::StopLb => format!("stop {lb}"),
        Action::SetLbAside => format!("set {lb} aside"),
        Action::TakeLbBack => format!("take {lb} back"),
        Action::RemoveLbAside => format!("remove {}", names.lb_aside()),
        Action::RemoveLb => format!("remove {lb}"),
        Action::RemoveNetwork => format!("remove network {}", names.network()),
        Action::RestoreConfig(_) => format!("restore haproxy.cfg in {lb}"),
    }
}

/// What did not happen when an action failed: a lowercase sentence without a period.
pub fn not_done(action: &Action, subject: &Subject) -> String {
    let names = &subject.service().names;
    let lb = &names.lb;
    let some = |numbers: &[Number]| match numbers {
        [one] => format!("`{}` was", names.instance(*one)),
        many => format!("{} instances were", many.len()),
    };
    match action {
        Action::Pull(image) => format!("the image `{image}` was not pulled"),
        Action::CreateNetwork => format!("the network `{}` was not created", names.network()),
        Action::Run(number) => format!("`{}` was not started", names.instance(*number)),
        Action::Start(number) => format!("`{}` was not started again", names.instance(*number)),
        Action::CreateLb { .. } => format!("the load balancer `{lb}` was not created"),
        Action::ConnectLb => format!(
            "the load balancer `{lb}` was not connected to `{}`",
            names.network()
        ),
        Action::CopyConfig(_) => {
            format!("haproxy.cfg was not copied into the load balancer `{lb}`")
        }
        Action::CopyFiles => {
            format!(
                "{} not copied into the load balancer `{lb}`",
                crate::text::list(&file_names(subject))
            )
        }
        Action::StartLb => format!("the load balancer `{lb}` was not started"),
        Action::AwaitService => format!("the load balancer `{lb}` does not serve"),
        Action::AwaitReady(numbers) | Action::Watch(numbers) => {
            format!("{} not ready", some(numbers))
        }
        Action::Reload(_) => format!("the load balancer `{lb}` was not reloaded"),
        Action::Drain => format!("the load balancer `{lb}` was not drained"),
        Action::Stop(numbers) => format!("{} not stopped", some(numbers)),
        Action::Remove(numbers) => format!("{} not removed", some(numbers)),
        Action::StopLb => format!("the load balancer `{lb}` was not stopped"),
        Action::SetLbAside => format!("the load balancer `{lb}` was not set aside"),
        Action::TakeLbBack => format!("the load balancer `{lb}` did not get its name back"),
        Action::RemoveLbAside => format!(
            "the old load balancer `{}` was not removed",
            names.lb_aside()
        ),
        Action::RemoveLb => format!("the load balancer `{lb}` was not removed"),
        Action::RemoveNetwork => format!("the network `{}` was not removed", names.network()),
        Action::RestoreConfig(_) => {
            format!("the haproxy.cfg from before is not back in `{lb}`")
        }
    }
}
