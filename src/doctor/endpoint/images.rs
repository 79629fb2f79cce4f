//! The two images: there, or to be had from a registry that the endpoint can read. Pure.

use super::There;
use crate::doctor::{Check, Wanted};
use crate::inventory::Inventory;
use crate::service::names::ImageRef;
use crate::settings::{INSTANCE_IMG, LB_IMG};
use crate::text::list;

pub(super) const ABOUT: &str = "images";

pub(super) fn checks(there: &There, wanted: &Wanted) -> Vec<Check> {
    let found = match &there.images {
        Ok(found) => found,
        Err(failure) => {
            let otherwise = "`docker image inspect` asks the same";
            return vec![Check::failed(ABOUT, failure, otherwise)];
        }
    };
    let both = [
        (wanted.image.as_ref(), INSTANCE_IMG),
        (wanted.lb_image.as_ref(), LB_IMG),
    ];
    // A service that is there already pulls only what is missing.
    let pulls_always = there.inventory().is_none_or(Inventory::is_empty);
    both.into_iter()
        .filter_map(|(image, setting)| Some((image?, setting)))
        .map(|(image, setting)| {
            let present = found.contains_key(image.as_str());
            image_check(there, image, setting, present, pulls_always)
        })
        .collect()
}

fn image_check(
    there: &There,
    image: &ImageRef,
    setting: &str,
    present: bool,
    pulls_always: bool,
) -> Check {
    let shown = format!("`{image}` ({setting})");
    if there.is_vch() && (!present || pulls_always) {
        let registry = registry(image.as_str());
        if let Some(check) = not_whitelisted(there, &shown, registry, present) {
            return check;
        }
        if registry.is_empty() {
            return unreadable(&shown, setting, present);
        }
    }
    let state = if present {
        "is on the endpoint"
    } else {
        "will be pulled"
    };
    Check::ok(ABOUT, format!("{shown} {state}"))
}

fn not_whitelisted(there: &There, shown: &str, registry: &str, present: bool) -> Option<Check> {
    let allowed = whitelist(there)?;
    if allowed.iter().any(|entry| lets_in(entry, registry)) {
        return None;
    }
    let host = if registry.is_empty() {
        "docker.io"
    } else {
        registry
    };
    let found = format!(
        "{shown} comes from {host}, which is not on the VCH's whitelist: {}",
        list(&allowed)
    );
    let remedy = "use an image from a registry on it, or ask the VCH's admin for `vic-machine configure --whitelist-registry`";
    let check = if present {
        Check::warning
    } else {
        Check::failure
    };
    Some(check(ABOUT, found, unless_pulled(present, remedy)))
}

fn unreadable(shown: &str, setting: &str, present: bool) -> Check {
    let state = if present {
        "is on the VCH, but can't be pulled anew:"
    } else {
        "is not on the VCH, and"
    };
    let found = format!(
        "{shown} {state} Docker Hub no longer serves what a VCH reads (schema 1 manifests)"
    );
    let remedy = format!(
        "push the image to a registry that still does, such as a Harbor that converts, and name it in {setting}"
    );
    Check::warning(ABOUT, found, unless_pulled(present, &remedy))
}

/// An image that is there saves the day, if it is not pulled.
fn unless_pulled(present: bool, remedy: &str) -> String {
    if present {
        format!("deploy with --pull missing; or {remedy}")
    } else {
        remedy.to_owned()
    }
}

/// The registry of an image's name; empty for Docker Hub.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => "",
            _ => first,
        },
        _ => "",
    }
}

/// The registries that a VCH in whitelist mode pulls from.
fn whitelist(there: &There) -> Option<Vec<&str>> {
    let mode = there.status("Registry Whitelist Mode")?;
    let listed = there.status("Whitelisted Registries").unwrap_or_default();
    mode.starts_with("enabled").then(|| {
        listed
            .split([',', ' ', '[', ']'])
            .filter(|entry| !entry.is_empty())
            .collect()
    })
}

/// Whether an entry of a whitelist, a host, a wildcard domain or a range, may mean a registry.
fn lets_in(entry: &str, registry: &str) -> bool {
    let entry = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let host = |text: &str| {
        text.split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let wanted = if registry.is_empty() {
        "docker.io".to_owned()
    } else {
        host(registry)
    };
    if let Some(domain) = entry.strip_prefix('*') {
        return wanted.ends_with(&host(domain));
    }
    // What is in a range of addresses can't be told without resolving names.
    entry.contains('/')
        || host(entry) == wanted
        || (registry.is_empty() && host(entry).ends_with(".docker.io"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{engine, running, vch, vch_with};
    use super::*;

    fn image_checks(there: &There, image: &str) -> String {
        let wanted = Wanted {
            image: Some(ImageRef::parse(image).unwrap()),
            ..Wanted::default()
        };
        let check = checks(there, &wanted).remove(0);
        format!("{}: {}", check.verdict.word(), check.found)
    }

    #[test]
    fn images_are_there_or_to_be_had() {
        assert_eq!(
            image_checks(&engine(), "httpd"),
            "ok: `httpd` (INSTANCE_IMG) will be pulled"
        );
        let mut vch = vch("v1.5.8-1-a");
        assert!(
            image_checks(&vch, "httpd")
                .starts_with("warning: `httpd` (INSTANCE_IMG) is not on the VCH, and")
        );
        assert!(image_checks(&vch, "docker.io/x/y:1").starts_with("warning"));
        assert!(image_checks(&vch, "harbor.example.com/x/y").starts_with("ok"));
        vch.images = Ok([("httpd".to_owned(), "id".to_owned())].into());
        assert!(
            image_checks(&vch, "httpd")
                .starts_with("warning: `httpd` (INSTANCE_IMG) is on the VCH, but")
        );
        let mut deployed = vch_with("v1.5.8-1-a", &[], vec![running("lb")]);
        deployed.images = vch.images.clone();
        assert!(image_checks(&deployed, "httpd").starts_with("ok"));
    }

    #[test]
    fn a_whitelist_lets_some_registries_in() {
        let status = [
            ("Registry Whitelist Mode", "enabled"),
            (
                "Whitelisted Registries",
                "[harbor.example.com:443 *.corp.example]",
            ),
        ];
        let there = vch_with("v1.5.8-1-a", &status, vec![]);
        assert!(image_checks(&there, "harbor.example.com/x").starts_with("ok"));
        assert!(image_checks(&there, "a.corp.example/x").starts_with("ok"));
        assert_eq!(
            image_checks(&there, "httpd"),
            "failure: `httpd` (INSTANCE_IMG) comes from docker.io, which is not on the VCH's whitelist: `harbor.example.com:443` and `*.corp.example`"
        );
        let open = [(
            "Registry Whitelist Mode",
            "disabled.  All registry access allowed.",
        )];
        assert!(whitelist(&vch_with("v1.5.8-1-a", &open, vec![])).is_none());
    }
}
