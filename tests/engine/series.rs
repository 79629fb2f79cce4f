//! Reloads with each series of HAProxy that the testbed has: what a reload logs, how a refused one ends, and who HAProxy
//! runs as differ from series to series.

use std::fs;
use std::io::{self, Write as _};

use crate::production::{Load, certificate, curl_tls, served_serial};
use crate::service::Service;

/// An address that no container has: HAProxy finds the file good, and the bind refused.
const ELSEWHERE: &str = "\nfrontend elsewhere\n\tbind 10.99.99.99:81\n\tmode http\n";

/// Grows and gets another certificate under load, and loses nothing; what HAProxy refuses when it binds is undone, and so is a
/// version that does not work.
fn reloads(series: &str) {
    let Some(mut service) = Service::new(&format!("s{}", series.replace('.', ""))) else {
        return;
    };
    let image = format!("haproxy:{series}");
    if !service
        .endpoint
        .docker(&["pull", "-q", &image])
        .status
        .success()
    {
        // Past the capture of the test runner.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED HAProxy {series}: the testbed has no {image} (scripts/testbed up --series)"
        );
        return;
    }
    certificate(&service, "first", 0x1001);
    certificate(&service, "second", 0x1002);
    service.set("LB_IMG", &image).set("LB_PORT", "443");
    service.set("TLS_CERT", "first.pem");
    let ran = service.tool(&["up", "-n", "2"]);
    service.answers(ran.succeeded());
    let (address, port) = (service.address(), service.port());
    let authority = service.path("ca.pem");
    let load = Load::start(3, {
        let address = address.clone();
        move || curl_tls(&address, port, &authority)
    });
    load.meets(&service.instances(1..=2));
    assert_eq!(served_serial(&address, port), "1001");

    let ran = service.tool(&["scale", "3"]);
    service.answers(ran.succeeded());
    load.meets(&service.instances(1..=3));
    service.set("TLS_CERT", "second.pem");
    let before = service.containers();
    let ran = service.tool(&["up", "-n", "3"]);
    service.answers(ran.succeeded());
    // Whoever connects from now on meets the new one: exit 0 says so.
    assert_eq!(served_serial(&address, port), "1002");
    load.goes_on(9);
    assert_eq!(load.end().failures, Vec::<String>::new(), "{series}");

    // A HAProxy that is refused an address takes no connections while it tries again, some two seconds.
    let template = include_str!("../../templates/haproxy.cfg.hbs").to_owned() + ELSEWHERE;
    fs::write(service.path("elsewhere.hbs"), template).unwrap();
    let ran = service.tool(&["up", "-n", "3", "--template", "elsewhere.hbs"]);
    ran.exited(1)
        .says("10.99.99.99:81")
        .says("what was done has been undone");
    assert_eq!(service.containers(), before, "reloads are enough");
    assert_eq!(served_serial(&address, port), "1002");
    // The file that was put back is younger than what HAProxy runs: it is loaded once, to be sure.
    service.tool(&["up", "-n", "3"]).succeeded();
    service.is_up_to_date(&["up", "-n", "3"]);

    // What does not work takes nobody's place, and what is replaced for its check alone is taken back.
    let failing = ["rollout", "--instance-img", "httpd:failing", "--wait", "2s"];
    let before = service.containers();
    let ran = service.tool(&failing);
    ran.exited(1)
        .answers_nothing()
        .says("answers 503 to GET /, where instances answered below 500 before");
    assert_eq!(service.containers(), before);
    service.set("HEALTH_CHECK", "http:/");
    service.tool(&["up", "-n", "3"]).succeeded();
    let ran = service.tool(&failing);
    ran.exited(1)
        .answers_nothing()
        .says("where HEALTH_CHECK wants 2xx or 3xx");
    assert_eq!(service.containers(), before);
    service.is_up_to_date(&["up", "-n", "3"]);
}

#[test]
fn haproxy_2_2_reloads_and_loses_no_request() {
    reloads("2.2");
}

#[test]
fn haproxy_2_6_reloads_and_loses_no_request() {
    reloads("2.6");
}

#[test]
fn haproxy_3_0_reloads_and_loses_no_request() {
    reloads("3.0");
}

#[test]
fn haproxy_3_2_reloads_and_loses_no_request() {
    reloads("3.2");
}
