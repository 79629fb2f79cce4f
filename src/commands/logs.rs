//! `vch-lb logs`: the logs of all containers merged, each line behind its container's name.

use std::sync::mpsc;
use std::thread;

use super::Context;
use crate::cli::LogsArgs;
use crate::docker::Docker;
use crate::docker::argv;
use crate::error::{Failure, exit, printable};
use crate::haproxy::log;
use crate::inventory::Inventory;
use crate::look::{self, Detail, Wanted};
use crate::ui::{LogLine, list};

pub(super) fn logs(context: &Context<'_>, args: &LogsArgs) -> Result<u8, Failure> {
    let docker = context.docker()?;
    context.listen()?;
    let spec = context.identity_as_spec()?;
    let wanted = Wanted {
        detail: Detail::Containers,
        ..Wanted::service(&spec.names, &spec.external_net)
    };
    let names = chosen(&look::look(&docker, wanted)?, &args.names)?;
    if names.is_empty() {
        return Err(Failure::failed(format!(
            "there is no service `{}` on this endpoint",
            spec.names.prefix
        )));
    }
    if args.follow {
        follow(context, &docker, args, &names)?;
        // Ctrl-C is how following ends: it needs no words.
        return Ok(context.interrupt.exit_code().unwrap_or(exit::DONE));
    }
    merged(context, &docker, args, &names)?;
    Ok(exit::DONE)
}

/// The containers whose logs are wanted: those that were named, or all.
fn chosen(inventory: &Inventory, named: &[String]) -> Result<Vec<String>, Failure> {
    let all: Vec<String> = inventory
        .lb
        .iter()
        .chain(inventory.instances.values())
        .map(|container| container.name.clone())
        .collect();
    match named.iter().find(|name| !all.contains(name)) {
        Some(stranger) => Err(Failure::failed(format!(
            "`{stranger}` is no container of this service"
        ))
        .hinted(format!("there are {}", list(&all)))),
        None if named.is_empty() => Ok(all),
        None => Ok(named.to_vec()),
    }
}

/// What is there, in the order of the endpoint's clock.
fn merged(
    context: &Context<'_>,
    docker: &Docker,
    args: &LogsArgs,
    names: &[String],
) -> Result<(), Failure> {
    let mut all = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let argv = argv::logs(name, &args.range(), true, false);
        let answer = docker.query(&argv).map_err(|error| {
            Failure::from_call(format!("the log of `{name}` could not be read"), &error)
        })?;
        all.extend(
            log::lines(&answer.text(), &answer.stderr)
                .into_iter()
                .map(|line| (line, index)),
        );
    }
    all.sort_by(|(a, _), (b, _)| a.time.cmp(&b.time));
    let width = width(names);
    for (line, index) in all {
        let text = if args.timestamps {
            format!("{} {}", line.time, line.text)
        } else {
            line.text
        };
        if !context.ui.log_line(&LogLine {
            name: &names[index],
            index,
            width,
            text: &printable(&text),
        }) {
            break;
        }
    }
    Ok(())
}

/// Lines as they come, until the containers end, the reader goes away, or Ctrl-C.
fn follow(
    context: &Context<'_>,
    docker: &Docker,
    args: &LogsArgs,
    names: &[String],
) -> Result<(), Failure> {
    let width = width(names);
    let (sender, lines) = mpsc::channel::<(usize, String)>();
    thread::scope(|scope| {
        let mut followers = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let argv = argv::logs(name, &args.range(), args.timestamps, true);
            let sender = sender.clone();
            followers.push(scope.spawn(move || {
                // Once nobody reads any more, the call is ended.
                docker.stream(&argv, |line| sender.send((index, line)).is_ok())
            }));
        }
        drop(sender);
        for (index, text) in &lines {
            let line = LogLine {
                name: &names[index],
                index,
                width,
                text: &printable(&text),
            };
            if !context.ui.log_line(&line) {
                break;
            }
        }
        // Followers find the channel closed at their next line, or at once where the interrupt tells them.
        drop(lines);
        context.interrupt.stop_reading();
        for (follower, name) in followers.into_iter().zip(names) {
            if let Ok(Err(error)) = follower.join() {
                return Err(Failure::from_call(
                    format!("the log of `{name}` could not be followed"),
                    &error,
                ));
            }
        }
        Ok(())
    })
}

fn width(names: &[String]) -> usize {
    names.iter().map(String::len).max().unwrap_or(0)
}
