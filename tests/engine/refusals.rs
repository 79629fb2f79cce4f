//! What can't be done: said in words that help, and nothing is left behind.

use crate::service::{Service, wait_until};

#[test]
fn an_image_that_is_not_there_fails_and_everything_is_undone() {
    let Some(service) = Service::new("absent") else {
        return;
    };
    let ran = service.tool(&["up", "--instance-img", "httpd:absent"]);
    ran.exited(1).answers_nothing();
    ran.says("error: the image `httpd:absent` was not pulled\n  docker pull httpd:absent\n  | ")
        .says("\nhint: ");
    service.is_gone();
}

#[test]
fn instances_that_exit_at_once_fail_the_deployment_with_their_last_words() {
    let Some(service) = Service::new("broken") else {
        return;
    };
    let ran = service.tool(&["up", "-n", "2", "--instance-img", "httpd:broken"]);
    ran.exited(1).answers_nothing();
    ran.says("exited with code 3")
        .says("this image fails on purpose")
        .says("what was done has been undone");
    service.is_gone();
}

#[test]
fn what_failed_is_kept_if_asked_for_and_mended_by_another_run() {
    let Some(service) = Service::new("kept") else {
        return;
    };
    let ran = service.tool(&["up", "-n", "2", "--instance-img", "httpd:broken", "--keep"]);
    ran.exited(1)
        .says("kept for inspection (--keep)")
        .says(&format!("docker rm -f -v {}", service.lb));
    assert_eq!(service.containers().len(), 3);
    // It may take its time to find out that it can't resolve the names of the instances.
    wait_until("the load balancer ends", || {
        service.containers()[&service.lb].contains("exited")
    });
    let ran = service.tool(&["up", "-n", "2"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(3..=4), "1");
    assert_eq!(service.containers().len(), 3);
}

#[test]
fn instances_that_listen_elsewhere_fail_the_deployment_with_their_port() {
    let Some(service) = Service::new("elsewhere") else {
        return;
    };
    let ran = service.tool(&[
        "up",
        "-n",
        "2",
        "--instance-img",
        "httpd:sick",
        "--wait",
        "8s",
    ]);
    ran.exited(1).answers_nothing();
    ran.says("answers, but none of its instances does on port 80")
        .says("exposes `8080/tcp`");
    service.is_gone();
}

#[test]
fn an_external_network_that_is_not_there_is_refused_with_those_that_are() {
    let Some(service) = Service::new("net") else {
        return;
    };
    let ran = service.tool(&["up", "--external-net", "nowhere"]);
    ran.exited(1).answers_nothing();
    ran.says("there is no network `nowhere` (EXTERNAL_NET)")
        .says("`routable`")
        .says("`routable-dmz.v2`");
    service.is_gone();
}

#[test]
fn containers_of_somebody_else_are_not_touched() {
    let Some(service) = Service::new("foreign") else {
        return;
    };
    service.docker(&["pull", "httpd"]);
    for name in [service.instance(2), service.lb.clone()] {
        service.docker(&["create", "--name", &name, "httpd"]);
        let before = service.containers();
        let ran = service.tool(&["up"]);
        ran.exited(1).answers_nothing();
        ran.says(&format!(
            "a container called `{name}` is there and does not belong to this service"
        ))
        .says("`bridge`");
        assert_eq!(service.containers(), before);
        assert_eq!(service.networks(), 0);
        service.docker(&["rm", &name]);
    }
}

#[test]
fn a_configuration_that_was_edited_by_hand_is_not_overwritten_unasked() {
    let Some(service) = Service::new("edited") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let edit =
        "sed -i 's/50000ms/60000ms/; /^backend/i # by hand' /usr/local/etc/haproxy/haproxy.cfg";
    service.docker(&["exec", &service.lb, "bash", "-c", edit]);
    let before = service.containers();
    let ran = service.tool(&["up", "-n", "3"]);
    ran.exited(1).says("was edited by hand").says("--overwrite");
    assert_eq!(service.containers(), before);
    let ran = service.tool(&["up", "-n", "3", "--overwrite"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=3), "1");
    service.is_up_to_date(&["up", "-n", "3"]);
}

#[test]
fn what_is_no_file_in_the_place_of_haproxy_cfg_is_told_and_replaced() {
    let Some(service) = Service::new("odd") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    let file = "/usr/local/etc/haproxy/haproxy.cfg";
    let precious = "/usr/local/etc/haproxy/precious";
    for (made_by, words, flag) in [
        ("ln -s precious", "a symbolic link", "--overwrite"),
        ("mkfifo", "a pipe or a device", "--overwrite"),
        ("truncate -s 17M", "more than 16 MiB", "--overwrite"),
        ("mkdir", "a directory", "--recreate-lb"),
    ] {
        service.docker(&["exec", &service.lb, "rm", "-f", file]);
        service.bash(&format!(
            "rm -rf odd && mkdir odd && cd odd && echo mine > precious && {made_by} haproxy.cfg && tar cf - * | docker cp - {}:{}",
            service.lb,
            file.rsplit_once('/').unwrap().0
        ));
        let what = format!("`{}` has {words} where its haproxy.cfg belongs", service.lb);
        let status = service.tool(&["status"]);
        status.exited(3);
        assert!(status.stdout.contains(&what), "{status:?}");
        let before = service.containers();
        for command in [&["up", "-n", "2"][..], &["scale", "3"], &["rollout"]] {
            service.tool(command).exited(1).says(&what).says(flag);
        }
        assert_eq!(service.containers(), before);
        let ran = service.tool(&["up", "-n", "2", flag]);
        service.answers(ran.succeeded());
        service.serves(&service.instances(1..=2), "1");
        service.is_up_to_date(&["up", "-n", "2"]);
        if flag == "--overwrite" {
            let read = service.docker(&[
                "exec",
                &service.lb,
                "bash",
                "-c",
                &format!("echo $(<{precious})"),
            ]);
            assert_eq!(read.trim(), "mine");
        }
    }
}
