//! How well the load balancer's image reloads. Pure.

use super::There;
use crate::doctor::{Check, Wanted};
use crate::haproxy::versions;
use crate::service::names::ImageRef;

pub(super) const ABOUT: &str = "reloads";

pub(super) fn check(there: &There, wanted: &Wanted, image: &ImageRef) -> Check {
    let Some(version) = image.version_in_tag() else {
        return Check::ok(ABOUT, format!("the tag of `{image}` does not tell HAProxy's version")).noted(
            "a tag that begins with it lets 1.8 to 2.5 hand their connections over at a reload; later ones do so by themselves",
        );
    };
    let (major, minor) = version;
    if version < versions::RELOADS {
        let found = format!(
            "HAProxy {major}.{minor} can't be reloaded: `vch-lb scale` and `vch-lb rollout` will fail"
        );
        return Check::warning(ABOUT, found, "set LB_IMG to haproxy:1.8 or later");
    }
    if version < versions::HANDS_OVER {
        let found = format!(
            "HAProxy {major}.{minor} resets about 0.3 connections at each reload under heavy load"
        );
        let remedy = "set LB_IMG to haproxy:1.8 or later, which lose none";
        return Check::warning(ABOUT, found, remedy);
    }
    let check = Check::ok(
        ABOUT,
        format!("HAProxy {major}.{minor} reloads without losing a connection"),
    );
    let low = wanted.lb_port.is_some_and(|port| port.get() < 1024);
    if there.is_vch() && low && version >= versions::RUNS_UNPRIVILEGED {
        return check.noted(
            "from 2.4 on its image does not run as root; should it be refused a port below 1024 on a VCH, take a higher LB_PORT or an older image",
        );
    }
    check
}

#[cfg(test)]
mod tests {
    use super::super::tests::vch;
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn old_haproxys_reload_badly() {
        for (image, verdict) in [
            ("haproxy:1.5", Verdict::Warning),
            ("haproxy:1.7", Verdict::Warning),
            ("haproxy:1.8", Verdict::Ok),
            ("haproxy:2.6-alpine", Verdict::Ok),
            ("haproxy", Verdict::Ok),
            ("team/lb:1.4", Verdict::Ok),
        ] {
            let image = ImageRef::parse(image).unwrap();
            let check = check(&vch("v1.5.8-1-a"), &Wanted::default(), &image);
            assert_eq!(check.verdict, verdict, "{image}");
        }
    }
}
