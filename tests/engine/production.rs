//! What a service in production asks for beyond the script: TLS, stickiness, TCP, statistics, health checks, other
//! settings while it serves, a template of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::service::{PATIENCE, Service, wait_until};
use crate::traffic;

const CONFIG: &str = "/usr/local/etc/haproxy/haproxy.cfg";
/// What the certificates are for.
pub(crate) const HOST: &str = "shop.example.com";

/// A service behind a HAProxy that reloads without losing a connection.
fn service(test: &str) -> Option<Service> {
    let mut service = Service::new(test)?;
    service.set("LB_IMG", "haproxy:2.6");
    Some(service)
}

/// What the load balancer reads at its next start.
fn config(service: &Service) -> String {
    let copy = service.path("copied.cfg");
    let source = format!("{}:{CONFIG}", service.lb);
    service.docker(&["cp", &source, copy.to_str().unwrap()]);
    service.read("copied.cfg")
}

/// A program's stdout if it succeeds, else what it said.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {said}", output.status))
    }
}

/// `curl` on a connection of its own, which is an error unless the status is a good one.
pub(crate) fn curl(arguments: &[&str]) -> Result<String, String> {
    run(Command::new("curl")
        .args(["-q", "-sS", "--fail", "--noproxy", "*", "--max-time", "20"])
        .args(arguments))
}

/// An answer over TLS, whose certificate has to be good.
pub(crate) fn curl_tls(address: &str, port: u16, authority: &Path) -> Result<String, String> {
    let resolve = format!("{HOST}:{port}:{address}");
    let authority = authority.to_str().unwrap();
    let url = format!("https://{HOST}:{port}/");
    curl(&["--cacert", authority, "--resolve", &resolve, &url])
}

/// What a load's requests came to so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    bodies: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

impl Tally {
    pub(crate) fn answers(&self) -> usize {
        self.bodies.values().sum()
    }
}

/// A small steady load: each of its threads asks again and again, until it is stopped or everything takes too long.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(
        threads: usize,
        ask: impl Fn() -> Result<String, String> + Clone + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let deadline = Instant::now() + 3 * PATIENCE;
        let threads = (0..threads)
            .map(|_| {
                let (stop, tally, ask) = (Arc::clone(&stop), Arc::clone(&tally), ask.clone());
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) && Instant::now() < deadline {
                        let answer = ask();
                        {
                            let mut tally = tally.lock().unwrap();
                            match answer {
                                Ok(body) => *tally.bodies.entry(body).or_default() += 1,
                                Err(why) => tally.failures.push(why),
                            }
                        }
                        thread::sleep(Duration::from_millis(20));
                    }
                })
            })
            .collect();
        Self {
            stop,
            tally,
            threads,
        }
    }

    /// Plain requests, each on a connection of its own.
    pub(crate) fn http(threads: usize, service: &Service) -> Self {
        let (address, port) = (service.address(), service.port());
        Self::start(threads, move || match traffic::get(&address, port) {
            Ok((200, body)) => Ok(body),
            other => Err(format!("{other:?}")),
        })
    }

    fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Waits for some more answers.
    pub(crate) fn goes_on(&self, more: usize) {
        let wanted = self.tally().answers() + more;
        wait_until("the load is answered", || self.tally().answers() >= wanted);
    }

    /// Waits until each of these instances has answered.
    pub(crate) fn meets(&self, instances: &[String]) {
        wait_until("every instance answers", || {
            let tally = self.tally();
            let served = |name: &String| {
                let begin = format!("{name} ");
                tally.bodies.keys().any(|body| body.starts_with(&begin))
            };
            instances.iter().all(served)
        });
    }

    pub(crate) fn end(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A certificate for [`HOST`] and its key in `NAME.pem`, signed by the authority in `ca.pem`.
pub(crate) fn certificate(service: &Service, name: &str, serial: u32) {
    service.bash(&format!(
        "set -euo pipefail
        new=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
        [[ -e ca.pem ]] || openssl req -x509 \"${{new[@]}}\" -keyout ca.key -out ca.pem -subj /CN=authority -days 2
        openssl req \"${{new[@]}}\" -keyout {name}.key -out {name}.csr -subj /CN={HOST}
        openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial {serial} -days 2 \
            -extfile <(echo subjectAltName=DNS:{HOST}) -out {name}.crt
        cat {name}.crt {name}.key >{name}.pem"
    ));
}

/// The serial number of the certificate that is served, in hexadecimal.
pub(crate) fn served_serial(address: &str, port: u16) -> String {
    let script = format!(
        "timeout 20 openssl s_client -connect {address}:{port} -servername {HOST} 2>&1 </dev/null |
        openssl x509 -noout -serial"
    );
    let said = run(Command::new("bash").args(["-c", &script])).unwrap_or_else(|error| error);
    said.trim().trim_start_matches("serial=").to_owned()
}

#[test]
fn a_client_that_keeps_its_cookie_stays_with_its_instance() {
    let Some(mut service) = service("sticky") else {
        return;
    };
    service.set("STICKY", "cookie");
    service.tool(&["up", "-n", "3"]).succeeded();
    // Without cookies: all of them.
    service.serves(&service.instances(1..=3), "1");
    let url = format!("http://{}:{}/", service.address(), service.port());
    for client in ["one", "two"] {
        let jar = service.path(client);
        let jar = jar.to_str().unwrap();
        let bodies: BTreeSet<String> = (0..9)
            .map(|_| curl(&["-b", jar, "-c", jar, &url]).unwrap())
            .collect();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        assert!(service.read(client).contains("VCHLB"), "no cookie was set");
    }
}

#[test]
fn any_protocol_on_tcp_is_balanced() {
    let Some(mut service) = service("tcp") else {
        return;
    };
    service
        .set("LB_MODE", "tcp")
        .set("INSTANCE_IMG", "echo")
        .set("INSTANCE_PORT", "7")
        .set("LB_PORT", "7");
    let ran = service.tool(&["up", "-n", "3"]);
    service.answers(ran.succeeded());
    let address = format!("{}:7", service.address()).parse().unwrap();
    let talk = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut who, mut back) = (String::new(), String::new());
        reader.read_line(&mut who)?;
        stream.write_all(b"anybody there?\n")?;
        reader.read_line(&mut back)?;
        assert_eq!(back, "anybody there?\n", "{who}");
        Ok(who)
    };
    let wanted: BTreeSet<String> = service
        .instances(1..=3)
        .into_iter()
        .map(|name| format!("{name} echo:1\n"))
        .collect();
    let mut got = BTreeSet::new();
    wait_until("every instance answers", || {
        got.insert(talk().unwrap());
        got == wanted
    });
    service.is_up_to_date(&["up", "-n", "3"]);
}

#[test]
fn statistics_are_a_page_and_metrics() {
    let Some(mut service) = service("stats") else {
        return;
    };
    service.set("STATS_PORT", "9000");
    service.tool(&["up", "-n", "2"]).succeeded();
    service.serves(&service.instances(1..=2), "1");
    let url = format!("http://{}:9000", service.address());
    let page = curl(&["-i", &format!("{url}/")]).unwrap();
    let head = page.to_ascii_lowercase();
    assert!(head.contains("content-type: text/html"), "{page}");
    assert!(head.contains("<html"), "{page}");
    for name in ["servers", "server1", "server2"] {
        assert!(page.contains(name), "no {name}: {page}");
    }
    let metrics = curl(&[&format!("{url}/metrics")]).unwrap();
    for wanted in ["haproxy_process_", "haproxy_server_", "proxy=\"servers\""] {
        assert!(metrics.contains(wanted), "no {wanted}: {metrics}");
    }
}

#[test]
fn a_dead_instance_costs_the_requests_in_flight_at_most() {
    const THREADS: usize = 3;
    let Some(mut service) = service("dies") else {
        return;
    };
    service.set("HEALTH_CHECK", "http:/");
    service.tool(&["up", "-n", "3"]).succeeded();
    service.serves(&service.instances(1..=3), "1");
    let load = Load::http(THREADS, &service);
    load.goes_on(30);
    service.docker(&["kill", &service.instance(2)]);
    // Rounds enough for each thread to have met the dead one more than once.
    load.goes_on(120);
    service.serves(&[service.instance(1), service.instance(3)], "1");

    let ran = service.tool(&["up", "-n", "3"]);
    service.answers(ran.succeeded());
    let names: Vec<String> = service
        .containers()
        .into_iter()
        .filter(|(name, what)| *name != service.lb && what.contains(" running "))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    service.serves(&names, "1");
    load.goes_on(30);
    let tally = load.end();
    assert!(tally.failures.len() <= THREADS, "{tally:?}");
}

#[test]
fn instances_that_fail_the_check_replace_nobody_and_lose_no_request() {
    let Some(mut service) = service("sick") else {
        return;
    };
    service.set("HEALTH_CHECK", "http:/marker");
    let ran = service.tool(&["up", "-n", "2", "--wait", "6s"]);
    ran.exited(1)
        .says("fail the check of")
        .says("is DOWN, reason: Layer7 wrong status, code: 404");
    service.is_gone();

    service.set("HEALTH_CHECK", "none");
    service.tool(&["up", "-n", "2"]).succeeded();
    let marker = "/usr/local/apache2/htdocs/marker";
    for instance in service.instances(1..=2) {
        service.docker(&["exec", &instance, "touch", marker]);
    }
    service.set("HEALTH_CHECK", "http:/marker");
    service.tool(&["up", "-n", "2"]).succeeded();
    let before = service.containers();
    let load = Load::http(3, &service);
    load.goes_on(10);
    // New instances don't have that page.
    for change in [
        &["rollout", "--force"][..],
        &["rollout", "--force", "--batch", "2"],
        &["scale", "3"],
    ] {
        let ran = service.tool(&[change, &["--wait", "6s"]].concat());
        ran.exited(1).says("what was done has been undone");
        assert_eq!(service.containers(), before, "{change:?}");
        load.goes_on(10);
    }
    let tally = load.end();
    assert_eq!(tally.failures, Vec::<String>::new());
    service.serves(&service.instances(1..=2), "1");
    service.set("HEALTH_CHECK", "http:/");
    service.tool(&["up", "-n", "2"]).succeeded();
    service.tool(&["rollout", "--force"]).succeeded();
    service.serves(&service.instances(3..=4), "1");
}

#[test]
fn other_settings_of_the_load_balancer_lose_no_request() {
    let Some(mut service) = service("tuned") else {
        return;
    };
    service.tool(&["up", "-n", "2"]).succeeded();
    service.serves(&service.instances(1..=2), "1");
    let before = service.containers();
    let load = Load::http(3, &service);
    load.goes_on(10);
    for (name, value, line) in [
        (
            "HEALTH_CHECK",
            "http:/,200",
            "\thttp-check expect status 200\n",
        ),
        ("LB_BALANCE", "leastconn", "\tbalance leastconn\n"),
        ("LB_MAXCONN", "300", "\tmaxconn 300\n"),
        ("HEALTH_CHECK", "tcp", " check\n"),
    ] {
        service.set(name, value);
        let ran = service.tool(&["up", "-n", "2"]);
        service.answers(ran.succeeded());
        let config = config(&service);
        assert!(config.contains(line), "no {line:?}: {config}");
        load.goes_on(10);
    }
    let tally = load.end();
    assert_eq!(tally.failures, Vec::<String>::new());
    service.serves(&service.instances(1..=2), "1");
    assert_eq!(service.containers(), before, "reloads are enough");
    service.is_up_to_date(&["up", "-n", "2"]);
}

const OWN: &str = "\
global
\tmaxconn {{lb_maxconn}}
{{#if hand_over}}
\tstats socket /tmp/haproxy.sock mode 600 level operator expose-fd listeners
{{/if}}
defaults
\tmode {{mode}}
\ttimeout connect {{timeout_connect}}
\ttimeout client {{timeout_client}}
\ttimeout server {{timeout_server}}
frontend http-in
\tbind *:{{lb_port}}
\thttp-response set-header X-Rendered-By own-template
\tdefault_backend servers
backend servers
{{#each servers}}
\tserver server{{number}} {{address}}:{{../instance_port}} maxconn {{../instance_maxconn}} check inter 1s
{{/each}}
";

#[test]
fn an_own_template_travels_with_the_service() {
    let Some(service) = service("template") else {
        return;
    };
    std::fs::write(service.path("own.hbs"), OWN).unwrap();
    let ran = service.tool(&["up", "-n", "2", "--template", "own.hbs"]);
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=2), "1");
    let url = format!("http://{}:{}/", service.address(), service.port());
    let is_own = |servers: usize| {
        let answer = curl(&["-i", &url]).unwrap().to_ascii_lowercase();
        assert!(answer.contains("x-rendered-by: own-template"), "{answer}");
        let config = config(&service);
        assert!(config.contains("X-Rendered-By own-template"), "{config}");
        let lines = config
            .lines()
            .filter(|line| line.starts_with("\tserver ") && line.ends_with(" check inter 1s"));
        assert_eq!(lines.count(), servers, "{config}");
    };
    is_own(2);

    // Another workstation: no file of the first one is there.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::remove_file(service.path("own.hbs")).unwrap();
    let load = Load::http(2, &service);
    for count in [4, 1] {
        let ran = service.tool_with(&["scale", &count.to_string()], |command| {
            command
                .current_dir(elsewhere.path())
                .env("HOME", elsewhere.path())
        });
        service.answers(ran.succeeded());
        service.serves(&service.instances(1..=count), "1");
        is_own(count);
    }
    assert_eq!(load.end().failures, Vec::<String>::new());
}
