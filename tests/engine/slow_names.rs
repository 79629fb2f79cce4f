//! A configuration whose names take long to resolve: HAProxy loads longer than it is waited for, and hears no signal meanwhile.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::production::Load;
use crate::service::Service;

/// Names that nobody but the name server below knows.
const OTHERS: &str = "backend others\n\tserver-template a 1 slow-a.example.test:81 init-addr libc,none\n\tserver-template b 1 \
                      slow-b.example.test:81 init-addr libc,none\n\tserver-template c 1 slow-c.example.test:81 init-addr \
                      libc,none\n";

/// HAProxy asks when it is started, when the file of a change is checked, and when it loads that. Each of the answers to this
/// question comes late.
const LATE: u32 = 3;
const LATENESS: Duration = Duration::from_secs(3);

/// Takes every name for 10.99.99.99, and is late when a name is asked for the third time. It ends with the tests.
fn name_server(address: Ipv4Addr) {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    thread::spawn(move || {
        let mut asked: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let query = packet[..length].to_vec();
            // Name, type and class of the one question.
            let Some(end) = query.iter().skip(12).position(|byte| *byte == 0) else {
                continue;
            };
            let Some(question) = query.get(12..12 + end + 5).map(<[u8]>::to_vec) else {
                continue;
            };
            let times = asked.entry(question.clone()).or_default();
            *times += 1;
            let late = *times == LATE;
            let is_a = question[end + 1..end + 3] == [0, 1];
            let mut reply = query[..2].to_vec();
            reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            reply.extend(&question);
            if is_a {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 99, 99, 99]);
            }
            let socket = socket.try_clone().unwrap();
            thread::spawn(move || {
                if late {
                    thread::sleep(LATENESS);
                }
                let _ = socket.send_to(&reply, from);
            });
        }
    });
}

#[test]
fn what_haproxy_loads_for_longer_than_wait_is_taken_back_once_it_has_loaded() {
    let Some(mut service) = Service::new("slow") else {
        return;
    };
    // The testbed's own machine, as its engine sees it.
    let engine: Ipv4Addr = service.endpoint.address().parse().unwrap();
    let [a, b, c, _] = engine.octets();
    let host = Ipv4Addr::new(a, b, c, 1);
    name_server(host);
    let template = include_str!("../../templates/haproxy.cfg.hbs");
    let template = template.replace(
        "frontend http-in\n",
        &(OTHERS.to_owned() + "frontend http-in\n"),
    );
    fs::write(service.path("slow.hbs"), template).unwrap();
    service
        .set("LB_IMG", "haproxy:2.6")
        .set("LB_ARGS", &format!("--dns {host}"))
        .set("TEMPLATE", "slow.hbs");
    let ran = service.tool(&["up", "-n", "1"]);
    service.answers(ran.succeeded());
    let before = service.containers();
    let load = Load::http(2, &service);
    let ran = service.tool(&["scale", "2", "--wait", "2s"]);
    ran.exited(1)
        .says("is still loading the new haproxy.cfg after 2.0 s")
        .says("hears nothing while it loads: waiting for it")
        .says("what was done has been undone");
    assert_eq!(load.end().failures, Vec::<String>::new());
    assert_eq!(service.containers(), before);
    // What HAProxy runs is the file that was put back, and not what it loaded meanwhile.
    service.serves(&service.instances([1]), "1");
    service.is_up_to_date(&["up", "-n", "1"]);
}
