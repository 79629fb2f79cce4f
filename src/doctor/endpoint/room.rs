//! Memory and the like, where the endpoint tells. Pure.

use super::There;
use crate::docker::answer::Info;
use crate::doctor::{Check, Wanted};
use crate::inventory::Container;
use crate::text::plural;

/// What a container VM gets unless `--memory` says otherwise.
const VM_MEMORY: f64 = 2.0 * 1_073_741_824.0;

pub(super) const ABOUT: &str = "room";

pub(super) fn checks(there: &There, wanted: &Wanted) -> Vec<Check> {
    if there.is_vch() {
        vch(there, wanted)
    } else {
        engine(&there.info).into_iter().collect()
    }
}

fn engine(info: &Info) -> Option<Check> {
    if info.mem_total == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let memory = gib(info.mem_total as f64);
    let cpus = usize::try_from(info.ncpu).unwrap_or_default();
    let found = format!(
        "{} and {memory} of memory in all; an engine does not tell what is free",
        plural(cpus, "CPU")
    );
    Some(Check::ok(ABOUT, found))
}

/// Something that a VCH may have a limit for.
struct Quota<'a> {
    limit: &'a str,
    used: Option<&'a str>,
}

fn vch(there: &There, wanted: &Wanted) -> Vec<Check> {
    let quota = |what: &str| {
        let limit = there.status(&format!("VCH {what} limit"))?;
        let used = there.status(&format!("VCH {what} usage"));
        Some(Quota { limit, used })
    };
    let told: Vec<String> = ["CPU", "memory", "storage"]
        .into_iter()
        .filter_map(|what| {
            let Quota { limit, used } = quota(what)?;
            Some(match used {
                Some(used) => format!("{what} {used} of {limit}"),
                None => format!("{what} {limit}"),
            })
        })
        .collect();
    if told.is_empty() {
        return vec![Check::ok(ABOUT, "the VCH does not tell its limits")];
    }
    let memory = quota("memory").and_then(|quota| memory(there, wanted, &quota));
    let storage = quota("storage").and_then(|quota| storage(&quota));
    let short: Vec<Check> = memory.into_iter().chain(storage).collect();
    if short.is_empty() {
        return vec![Check::ok(ABOUT, format!("in use: {}", told.join(", ")))];
    }
    short
}

fn storage(quota: &Quota<'_>) -> Option<Check> {
    let limit = bytes(quota.limit).filter(|limit| *limit > 0.0)?;
    let used = bytes(quota.used?).filter(|used| *used >= 0.9 * limit)?;
    let found = format!("{} of {} of storage are used", gib(used), gib(limit));
    let remedy = "remove images and containers that are not needed, or ask the VCH's admin for a higher quota";
    Some(Check::warning(ABOUT, found, remedy))
}

/// Whether what is still missing fits into a VCH's memory.
fn memory(there: &There, wanted: &Wanted, quota: &Quota<'_>) -> Option<Check> {
    let limit = bytes(quota.limit).filter(|limit| *limit > 0.0)?;
    let used = quota.used.and_then(bytes).unwrap_or(0.0);
    let (running, lb) = there.inventory().map_or((0, false), |inventory| {
        let instances = inventory.instances.values();
        let running = instances.filter(|instance| instance.running()).count();
        (
            running,
            inventory.lb.as_ref().is_some_and(Container::running),
        )
    });
    let missing = wanted.count?.get().saturating_sub(running);
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let instances = missing as f64 * vm_memory(&wanted.instance_args);
    let needed = instances + if lb { 0.0 } else { vm_memory(&wanted.lb_args) };
    let left = (limit - used).max(0.0);
    (needed > left).then(|| {
        let found = format!(
            "{} to come take {}, but of {} only {} is left",
            plural(missing + usize::from(!lb), "container"),
            gib(needed),
            gib(limit),
            gib(left),
        );
        let remedy = "lower NUM_INSTANCES, give each less than the usual 2g with `--memory` in INSTANCE_ARGS (512m at least), or ask the VCH's admin for a higher limit";
        Check::warning(ABOUT, found, remedy)
    })
}

/// What a container VM gets: `--memory`, but 512 MiB at least.
fn vm_memory(args: &[String]) -> f64 {
    let mut given = None;
    for (at, word) in args.iter().enumerate() {
        let inline = word
            .strip_prefix("--memory=")
            .or_else(|| word.strip_prefix("-m").filter(|rest| !rest.is_empty()))
            .map(|rest| rest.trim_start_matches('='));
        let next = matches!(word.as_str(), "--memory" | "-m").then(|| args.get(at + 1));
        given = inline.or(next.flatten().map(String::as_str)).or(given);
    }
    given
        .and_then(bytes)
        .map_or(VM_MEMORY, |given| given.max(VM_MEMORY / 4.0))
}

/// `94.6 GiB`, `512m` → bytes; all units are taken for powers of 1024, as docker takes them.
fn bytes(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * 1024_f64.powi(power))
}

fn gib(bytes: f64) -> String {
    let gib = bytes / 1_073_741_824.0;
    if gib < 10.0 && gib.fract() != 0.0 {
        format!("{gib:.1} GiB")
    } else {
        format!("{gib:.0} GiB")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{running, seen, vch, vch_with};
    use super::*;

    #[test]
    fn memory_is_counted_for_what_is_still_missing() {
        let with = |used: &str, containers| {
            let status = [
                ("VCH memory limit", "16.0 GiB"),
                ("VCH memory usage", used),
                ("VCH storage usage", "1 GiB"),
            ];
            seen(vch_with("v1.5.8-1-a", &status, containers), ABOUT)
        };
        assert_eq!(
            with("8 GiB", vec![]),
            ["ok: in use: memory 8 GiB of 16.0 GiB"]
        );
        assert_eq!(
            with("12 GiB", vec![]),
            ["warning: 4 containers to come take 8 GiB, but of 16 GiB only 4 GiB is left"]
        );
        let there = vec![running("lb"), running("web-1"), running("web-2")];
        assert!(with("12 GiB", there)[0].starts_with("ok"));
        let quota = [
            ("VCH storage limit", "10 GiB"),
            ("VCH storage usage", "9.5GiB"),
        ];
        assert_eq!(
            seen(vch_with("v1.5.8-1-a", &quota, vec![]), ABOUT),
            ["warning: 9.5 GiB of 10 GiB of storage are used"]
        );
        assert_eq!(
            seen(vch("v1.5.8-1-a"), ABOUT),
            ["ok: the VCH does not tell its limits"]
        );
    }

    #[test]
    fn memory_that_is_asked_for_counts() {
        let gib = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            vm_memory(&words) / 1_073_741_824.0
        };
        for (args, expected) in [
            ("", 2.0),
            ("--env A=1", 2.0),
            ("--memory 1g", 1.0),
            ("--memory=4GB", 4.0),
            ("-m 1g", 1.0),
            ("-m3g", 3.0),
            ("-m 64m", 0.5),
            ("--memory", 2.0),
        ] {
            assert!(
                (gib(args) - expected).abs() < 0.001,
                "{args}: {}",
                gib(args)
            );
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, gib) in [("94.6 GiB", 94.6), ("512MiB", 0.5), ("1 TiB", 1024.0)] {
            let found = bytes(text).unwrap() / 1_073_741_824.0;
            assert!((found - gib).abs() < 0.001, "{text}: {found}");
        }
        assert_eq!(bytes("2 KB"), Some(2048.0));
        for odd in ["", "lots", "7 parsecs", ". GiB"] {
            assert_eq!(bytes(odd), None, "{odd}");
        }
    }
}
