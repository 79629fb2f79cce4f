//! Files on the workstation and in the load balancer: haproxy.cfg, the certificate, the admin's own template.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::thread;

use super::config_file;
use super::run::{AGAIN_AFTER, COPIES, Run};
use super::schedule::Done;
use crate::docker::{CallError, archive};
use crate::error::Failure;
use crate::haproxy::read::{Found, Odd};
use crate::haproxy::versions::Version;
use crate::haproxy::{self, Config};
use crate::plan::{Action, Back};
use crate::service::names::Number;
use crate::service::tuning::ServerAddress;
use crate::{calls, inventory, look};

/// Renders haproxy.cfg for `servers` and HAProxy of `version`, and writes it on this workstation.
pub fn write_config(
    run: &Run<'_>,
    servers: &[Number],
    version: Option<Version>,
) -> Result<String, Failure> {
    let config = Config {
        version,
        ..config(run, servers)?
    };
    let text = config.render()?;
    write_text(run, &text)?;
    run.guard.writes(&text);
    Ok(text)
}

/// The configuration that sends to `servers`, at the addresses that they have now.
fn config(run: &Run<'_>, servers: &[Number]) -> Result<Config, Failure> {
    if run.spec.tuning.server_address == ServerAddress::Name {
        return Ok(Config::by_name(run.spec, servers));
    }
    let bridge = run.names().network();
    let found = look::containers(&run.docker, &run.names().instances(servers))?;
    let addresses: HashMap<&str, &str> = found
        .iter()
        .filter_map(|found| Some((found.name.as_str(), found.address_on(&bridge)?)))
        .collect();
    let names = run.names().instances(servers);
    if let Some(lost) = names
        .iter()
        .find(|name| !addresses.contains_key(name.as_str()))
    {
        return Err(Failure::failed(format!(
            "`{lost}` has no address on `{bridge}`"
        )));
    }
    let address = |_, name: &str| addresses.get(name).copied().unwrap_or_default().to_owned();
    Ok(Config::by_address(run.spec, servers, address))
}

/// HAProxy's version in the load balancer that was created: it is asked only where its image's tag does not tell.
pub fn version_of_new_lb(run: &Run<'_>) -> Result<Option<Version>, Failure> {
    if run.spec.lb_version.is_some() {
        return Ok(run.spec.lb_version);
    }
    let lb = look::container(&run.docker, run.names().lb.as_str())?;
    Ok(lb.and_then(|lb| lb.haproxy))
}

/// Writes `text` as the haproxy.cfg on this workstation. What an own template holds may be secret.
pub fn write_text(run: &Run<'_>, text: &str) -> Result<(), Failure> {
    let secret = run.spec.template.is_some();
    config_file::write(Path::new(&run.config_path), text, secret)
}

/// Copies the haproxy.cfg on this workstation, which holds `text`, into the load balancer: as the script does it, or so
/// that everybody may read it there, where not everybody may here.
pub fn copy_config(run: &Run<'_>, text: &str) -> Result<(), CallError> {
    let found = run.before.config.as_ref();
    // docker would write where a link leads to.
    let odd = found.is_some_and(|found| found.odd.is_some());
    let secret = run.spec.template.is_some();
    if !odd && config_file::is_for_everybody(Path::new(&run.config_path), secret) {
        let argv = calls::copy(run.names().lb.as_str(), &run.config_path);
        return run.change(&argv).map(drop);
    }
    let argv = calls::restore(run.names().lb.as_str());
    let archive = archive::pack(haproxy::CONFIG_NAME, text.as_bytes())
        .map_err(|why| run.docker.bad_answer(&argv, why))?;
    run.repeated(&argv, || {
        run.docker.change_with_stdin(&argv, archive.clone())
    })
    .map(drop)
}

/// Copies haproxy.cfg into a load balancer that does not run yet, and reads it back: whoever deploys another service from
/// the same directory at the same time writes the same file. Nor has anybody else started it by then, unless it `runs` by this
/// very file already.
pub fn copy_first_config(
    run: &Run<'_>,
    action: &Action,
    text: &str,
    mut runs: bool,
) -> Result<Done, Failure> {
    let lb = run.names().lb.as_str();
    for _ in 0..COPIES {
        copy_config(run, text).map_err(|error| run.not_done(action, &error))?;
        let (there, not_running) = thread::scope(|scope| {
            let there = scope.spawn(|| look::file_in(&run.docker, lb, haproxy::CONFIG_NAME));
            let not_running = run.others().not_running(lb);
            (look::join(there), not_running)
        });
        if !runs {
            not_running?;
        }
        match there {
            Ok(there) if there.as_deref() != Some(text.as_bytes()) => {
                run.ui.status(&format!(
                    "the haproxy.cfg in {lb} is not the one that was written: writing and copying it again"
                ));
                run.sleep(AGAIN_AFTER);
                run.check_interrupt()?;
                runs = run.others().none_started(text)?;
                write_text(run, text)?;
            }
            // Where it can't be read back, docker's word has to do.
            _ => {
                run.guard.arrived(text);
                return Ok(Done::ByUs);
            }
        }
    }
    let what =
        format!("the haproxy.cfg in the load balancer `{lb}` is not the one that was written");
    Err(Failure::failed(what).hinted(
        "if another service is deployed from this directory at the same time, --config-out gives each a file of its own",
    ))
}

/// Puts the certificate and the admin's own template beside haproxy.cfg.
pub fn copy_files(run: &Run<'_>, action: &Action) -> Result<Done, Failure> {
    for (name, content) in calls::files(run.spec) {
        put_file(run, name, content).map_err(|error| run.not_done(action, &error))?;
    }
    Ok(Done::ByUs)
}

/// A copy into a running container may arrive truncated on a VCH: it is read back.
pub fn put_file(run: &Run<'_>, name: &str, content: &[u8]) -> Result<(), CallError> {
    let lb = run.names().lb.as_str();
    let argv = calls::restore(lb);
    let archive = archive::pack(name, content).map_err(|why| run.docker.bad_answer(&argv, why))?;
    for _ in 0..COPIES {
        run.repeated(&argv, || {
            run.docker.change_with_stdin(&argv, archive.clone())
        })?;
        match look::file_in(&run.docker, lb, name) {
            Ok(there) if there.as_deref() != Some(content) => {
                run.ui.status(&format!(
                    "{name} did not arrive whole in {lb}: copying it again"
                ));
                run.sleep(AGAIN_AFTER);
            }
            // Where it can't be read back, docker's word has to do.
            _ => return Ok(()),
        }
    }
    Err(run
        .docker
        .bad_answer(&argv, format!("{name} does not arrive whole in `{lb}`")))
}

/// Writes `text` straight into the load balancer, past the local file.
pub fn put_config(run: &Run<'_>, text: &str) -> Result<(), Failure> {
    run.guard.writes(text);
    put_file(run, haproxy::CONFIG_NAME, text.as_bytes()).map_err(|error| {
        let lb = &run.names().lb;
        Failure::from_call(
            format!("the haproxy.cfg from before is not back in `{lb}`"),
            &error,
        )
    })?;
    run.guard.arrived(text);
    Ok(())
}

pub fn put_archive(run: &Run<'_>, archive: &[u8]) -> Result<(), Failure> {
    let lb = run.names().lb.as_str();
    let argv = calls::restore(lb);
    let put = || run.docker.change_with_stdin(&argv, archive.to_vec());
    run.repeated(&argv, put).map(drop).map_err(|error| {
        let what = format!("what lay in place of the haproxy.cfg in `{lb}` is not back");
        Failure::from_call(what, &error)
    })
}

/// Puts back what `found` tells of, where HAProxy runs nothing else.
pub fn put_found(run: &Run<'_>, found: &Found) -> Result<(), Failure> {
    match &found.odd {
        Some(odd) => put_odd(run, odd, Back::Stopped),
        None => put_config(run, &found.text),
    }
}

/// What lay in place of the file goes back where HAProxy does not run another one by now.
pub fn put_odd(run: &Run<'_>, odd: &Odd, back: Back) -> Result<(), Failure> {
    let runs_another = back != Back::Stopped && run.workers().may_run_another();
    match odd.archive().filter(|_| !runs_another) {
        Some(archive) => put_archive(run, archive),
        None => Err(Failure::failed(format!(
            "what lay in place of the haproxy.cfg in `{}` can't be put back",
            run.names().lb
        ))),
    }
}

/// Puts the file from before back after a reload that failed, unless somebody else's is there: the old worker serves on.
/// What others removed is not sent to again.
pub fn put_back(run: &Run<'_>, found: &Found) -> Result<(), Failure> {
    if run.guard.has_overwritten() || run.others().other_file().is_some() {
        return Ok(());
    }
    if found.odd.is_some() || has_all_servers(run, found) {
        return put_found(run, found);
    }
    put_config(run, &text_to_go_back_to(run, found)?)
}

/// Whether all that a file sends to are there, running or not.
pub fn has_all_servers(run: &Run<'_>, found: &Found) -> bool {
    let config = found.config.as_ref();
    let numbers = config.map(Config::numbers).unwrap_or_default();
    run.others().all_there(&run.names().instances(&numbers))
}

/// The file from before, sending to those of its servers that can be sent to now: HAProxy takes no name that does not
/// resolve, and one that was stopped and started again may have another address.
pub fn text_to_go_back_to(run: &Run<'_>, found: &Found) -> Result<String, Failure> {
    let Some(config) = found
        .config
        .as_ref()
        .filter(|_| !found.edited() && !found.other_template)
    else {
        return Ok(found.text.clone());
    };
    let names = run.names().instances(&config.numbers());
    let there = look::containers(&run.docker, &names)?;
    if there.is_empty() && !names.is_empty() {
        let lb = &run.names().lb;
        let what = format!(
            "the haproxy.cfg from before is not back in `{lb}`: none of the instances that it sends to is there"
        );
        return Err(Failure::failed(what));
    }
    let back = inventory::as_far_as_there(config, &there, run.names());
    let same = config.servers.iter().map(|server| &server.address);
    if back.servers.is_empty() || same.eq(back.servers.iter().map(|server| &server.address)) {
        return Ok(found.text.clone());
    }
    let kept: BTreeSet<Number> = back.numbers().into_iter().collect();
    for lost in config.numbers() {
        if !kept.contains(&lost) {
            run.ui.status(&format!(
                "`{}` does not run: the load balancer goes back to the others",
                run.names().instance(lost)
            ));
        }
    }
    Ok(back.render()?)
}
