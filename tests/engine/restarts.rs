//! Restart policies: what the engine does by itself, after a restart of its own, too.

use std::env;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::service::{Service, wait_until};

/// A test that restarts the engine has it for itself.
const SWITCH: &str = "VCH_LB_ENGINE_RESTARTS";

fn restart_the_engine(service: &Service) {
    let testbed = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/testbed");
    let output = Command::new(testbed).arg("restart").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(service.endpoint.address()), "{said}");
}

#[test]
fn a_service_comes_back_after_a_restart_of_the_engine_though_it_was_reloaded() {
    if env::var_os(SWITCH).is_none_or(|value| value != "1") {
        let _ = writeln!(
            io::stderr(),
            "SKIPPED restarts: it restarts the engine, and is run alone, with {SWITCH}=1 (scripts/test)"
        );
        return;
    }
    for lb_image in ["haproxy:1.7", "haproxy:2.6"] {
        let Some(mut service) = Service::new("comes-back") else {
            return;
        };
        service
            .set("LB_IMG", lb_image)
            .set("LB_ARGS", "--restart unless-stopped")
            .set("INSTANCE_ARGS", "--restart unless-stopped");
        service.tool(&["up", "-n", "1"]).succeeded();
        service.tool(&["scale", "2"]).succeeded();
        // What was stopped and started again in undoing is started by hand, too.
        let broken = [
            "rollout",
            "--stop-first",
            "--instance-img",
            "httpd:broken",
            "--wait",
            "1s",
        ];
        service.tool(&broken).exited(1);
        restart_the_engine(&service);
        let instances = service.instances(1..=2);
        wait_until("the whole service is back", || {
            let names = service.docker(&["ps", "--format", "{{.Names}}"]);
            let runs = |name: &String| names.lines().any(|line| line == name);
            runs(&service.lb) && instances.iter().all(runs)
        });
        service.serves(&instances, "1");
    }
}

#[test]
fn a_load_balancer_with_a_policy_and_a_published_port_is_replaced_and_taken_down() {
    for policy in ["always", "unless-stopped", "on-failure"] {
        let Some(mut service) = Service::new(&format!("policy-{policy}")) else {
            return;
        };
        let args = format!("--restart {policy}");
        service
            .set("LB_PORT", "8317")
            .set("PUBLISH_LB", "always")
            .set("LB_ARGS", &args);
        service.tool(&["up", "-n", "1"]).succeeded();
        let starts = || {
            let format = "{{.Id}} {{.HostConfig.RestartPolicy.Name}} {{.State.Running}}";
            service.docker(&["inspect", "-f", format, &service.lb])
        };
        let before = starts();
        // One that can't start is undone: the old one is back, with its policy.
        let broken = [
            "up",
            "-n",
            "1",
            "--recreate-lb",
            "--wait",
            "2s",
            "--lb-img",
            "httpd:broken",
        ];
        service.tool(&broken).exited(1);
        assert_eq!(starts(), before);
        service.serves(&service.instances(1..=1), "1");
        let replace = ["up", "-n", "1", "--recreate-lb", "--lb-img", "haproxy:2.6"];
        service.tool(&replace).succeeded();
        let after = starts();
        assert_ne!(after, before);
        assert!(after.contains(&format!(" {policy} true")), "{after}");
        service.serves(&service.instances(1..=1), "1");
        let began = Instant::now();
        service.tool(&["down"]).succeeded();
        // Not a grace period of ten seconds.
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
    }
}
