//! The load balancer's files as they were before this run.

use super::run::Run;
use super::schedule::Done;
use super::{files, reload};
use crate::error::Failure;
use crate::haproxy;
use crate::haproxy::read::Found;
use crate::plan::Back;
use crate::service::tuning::ServerAddress;
use crate::{calls, look};

/// Puts the file from before back into the load balancer.
pub fn restore_config(run: &Run<'_>, back: Back) -> Result<Done, Failure> {
    let Some(found) = &run.before.config else {
        return Ok(Done::ByUs);
    };
    if run.guard.has_overwritten() {
        run.ui.status(&format!(
            "the haproxy.cfg in {} took the place of somebody else's, which nobody has read: it is left as it is",
            run.names().lb
        ));
        return Ok(Done::ByUs);
    }
    if run.others().other_file().is_some() {
        run.ui.status(&format!(
            "the haproxy.cfg in {} is somebody else's: it is left as it is",
            run.names().lb
        ));
        return Ok(Done::ByUs);
    }
    let template = found
        .template
        .as_deref()
        .map(|text| (haproxy::TEMPLATE_NAME, text.as_bytes()));
    let cert = found.cert.as_deref().map(|pem| (haproxy::CERT_NAME, pem));
    for (name, content) in template.into_iter().chain(cert) {
        files::put_file(run, name, content).map_err(|error| {
            Failure::from_call(format!("the {name} from before is not back"), &error)
        })?;
    }
    for (name, _) in calls::files(run.spec) {
        let config = found.config.as_ref();
        let was_there = match name {
            haproxy::TEMPLATE_NAME => found.template.is_some(),
            _ => config.is_none_or(|config| config.tuning.tls),
        };
        if !was_there {
            take_away(run, name)?;
        }
    }
    if let Some(odd) = &found.odd {
        files::put_odd(run, odd, back)?;
    } else if back == Back::Stopped {
        files::put_config(run, &found.text)?;
    } else {
        let text = files::text_to_go_back_to(run, found)?;
        reload::back_to(run, &text)?;
        if text != found.text {
            leave_as_found(run, found);
        }
    }
    Ok(Done::ByUs)
}

/// A file that this run put beside haproxy.cfg goes again. Where it can't be removed it is emptied: nothing names it.
fn take_away(run: &Run<'_>, name: &str) -> Result<(), Failure> {
    let lb = run.names().lb.as_str();
    let removed = run.docker.change(&calls::remove_file(lb, name)).is_ok();
    if removed && matches!(look::file_in(&run.docker, lb, name), Ok(None)) {
        return Ok(());
    }
    files::put_file(run, name, b"").map_err(|error| {
        Failure::from_call(format!("the {name} in `{lb}` is not taken away"), &error)
    })
}

/// The load balancer runs without those that don't, but how many the service is to have is read off its file. Not so
/// with addresses: those from before may be wrong by now.
fn leave_as_found(run: &Run<'_>, found: &Found) {
    let by_ip = found
        .config
        .as_ref()
        .is_some_and(|config| config.tuning.server_address == ServerAddress::Ip);
    if by_ip || !files::has_all_servers(run, found) {
        return;
    }
    if let Err(failure) = files::put_config(run, &found.text) {
        run.ui.warn(&failure.what);
    }
}
