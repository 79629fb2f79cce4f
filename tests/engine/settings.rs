//! Settings that a service in production needs, with real requests; and every two of them together, for each series of
//! HAProxy that the testbed has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use vch_lb::haproxy::Config;
use vch_lb::service::Spec;
use vch_lb::settings::{Settings, file::Assignments};

use crate::production::{HOST, certificate, curl};
use crate::service::{PATIENCE, Service};

/// A program that answers with the request's own head; speaks as a websocket where it is asked to, and says what it hears; and
/// sends an event at `/events`, and another one 8 s later.
const TELLER: &str = r#"
use IO::Socket::INET; $SIG{CHLD} = "IGNORE"; $SIG{TERM} = sub { exit };
my $listener = IO::Socket::INET->new(LocalPort => 80, Listen => 128, ReuseAddr => 1) or die;
while (1) {
    my $client = $listener->accept or next;
    next if fork;
    my $head = "";
    while (my $line = <$client>) { $head .= $line; last if $line =~ /^\r?\n$/ }
    $client->autoflush(1);
    if ($head =~ /^upgrade:/mi) {
        print $client "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        while (<$client>) { print $client $_ }
        exit;
    }
    my $type = $head =~ m{^GET /events} ? "text/event-stream" : "text/plain";
    print $client "HTTP/1.1 200 OK\r\nContent-Type: $type\r\nConnection: close\r\n\r\n";
    if ($type eq "text/plain") { print $client $head; exit }
    print $client "data: first\n\n"; sleep 8; print $client "data: late\n\n";
    exit;
}
"#;

/// Longer than the 5 s for which either side may be silent by default.
const IDLE: Duration = Duration::from_secs(8);

fn service(test: &str) -> Option<Service> {
    let mut service = Service::new(test)?;
    // No setting takes a line break.
    let command = shell_words::join(["perl", "-e", &TELLER.replace('\n', " ")]);
    service
        .set("LB_IMG", "haproxy:2.6")
        .set("INSTANCE_IMG", "echo")
        .set("INSTANCE_CMD", &command);
    Some(service)
}

/// A connection on which something was asked, and what came until `end`.
fn asked(service: &Service, path: &str, more: &str, end: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect((service.address(), service.port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n").unwrap();
    let answer = until(&mut stream, end);
    (stream, answer)
}

/// What comes until `end`, or until the connection is over.
fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        text.push(char::from(byte[0]));
    }
    text
}

fn websocket(service: &Service) -> TcpStream {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (stream, answer) = asked(service, "/", upgrade, "\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    stream
}

/// Whether somebody says again what was said.
fn echoes(stream: &mut TcpStream) -> bool {
    stream.write_all(b"there?\n").is_ok() && until(stream, "\n") == "there?\n"
}

#[test]
fn idle_websockets_and_events_live_as_long_as_the_settings_say() {
    let Some(mut service) = service("idle") else {
        return;
    };
    let up = ["up", "-n", "2"];
    service.tool(&up).succeeded();
    let idle = |service: &Service| {
        let mut socket = websocket(service);
        assert!(echoes(&mut socket));
        let (mut events, first) = asked(service, "/events", "", "data: first\n\n");
        assert!(first.ends_with("data: first\n\n"), "{first}");
        let started = Instant::now();
        let late = until(&mut events, "data: late\n\n");
        std::thread::sleep(IDLE.saturating_sub(started.elapsed()));
        (echoes(&mut socket), late.ends_with("data: late\n\n"))
    };
    // As the script does it.
    assert_eq!(idle(&service), (false, false));
    service.set("LB_TIMEOUT_TUNNEL", "1h");
    service.set("LB_TIMEOUT_SERVER", "1m");
    service.tool(&up).succeeded();
    assert_eq!(idle(&service), (true, true));
    // A reload leaves them to the former process.
    let mut socket = websocket(&service);
    service.tool(&["scale", "3"]).succeeded();
    assert!(echoes(&mut socket));
}

#[test]
fn clients_come_by_https_and_instances_believe_nobody_but_the_load_balancer() {
    let Some(mut service) = service("https") else {
        return;
    };
    certificate(&service, "shop", 0x1001);
    for (name, value) in [
        ("TLS_CERT", "shop.pem"),
        ("LB_PORT", "443"),
        ("LB_REDIRECT_PORT", "80"),
        ("HSTS", "31536000"),
        ("FORWARDED_FOR", "yes"),
        ("STICKY", "cookie"),
        ("HEALTH_CHECK", "http:/"),
        ("HEALTH_HOST", "checked.example.com"),
        ("HEALTH_INTERVAL", "500ms"),
    ] {
        service.set(name, value);
    }
    let ran = service.tool(&["up", "-n", "2"]);
    service.answers(ran.succeeded());
    let authority = service.path("ca.pem");
    let resolve = format!("{HOST}:443:{}", service.address());
    let tls = [
        "--cacert",
        authority.to_str().unwrap(),
        "--resolve",
        &resolve,
    ];
    let https = format!("https://{HOST}/");
    let forged = ["-H", "X-Forwarded-Proto: http", "-i", &https];
    let answer = curl(&[&tls[..], &forged].concat())
        .unwrap()
        .to_ascii_lowercase();
    let told = |name: &str| {
        let lines = answer.lines().filter(|line| line.starts_with(name));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told("x-forwarded-proto:"), ["x-forwarded-proto: https"]);
    assert_eq!(told("x-forwarded-for:").len(), 1, "{answer}");
    let cookie = told("set-cookie:").concat();
    assert!(
        cookie.contains("httponly") && cookie.contains("secure"),
        "{answer}"
    );
    assert_eq!(
        told("strict-transport-security:"),
        ["strict-transport-security: max-age=31536000"]
    );
    let version = [
        &tls[..],
        &["-o", "/dev/null", "-w", "%{http_version}", &https],
    ]
    .concat();
    assert_eq!(curl(&version).unwrap(), "2");

    let plain = format!("http://{HOST}/a?b=1");
    let resolve = format!("{HOST}:80:{}", service.address());
    let asks = ["--resolve", &resolve, "-o", "/dev/null", "-w"];
    let shown = "%{http_code} %{redirect_url}";
    let redirected = curl(&[&asks[..], &[shown, &plain]].concat()).unwrap();
    assert_eq!(redirected, format!("301 https://{HOST}/a?b=1"));
    // Elsewhere than at the usual port the client has to be told which.
    service.set("LB_PORT", "8443");
    let ran = service.tool(&["up", "-n", "2"]);
    service.answers(ran.succeeded());
    let redirected = curl(&[&asks[..], &[shown, &plain]].concat()).unwrap();
    assert_eq!(redirected, format!("301 https://{HOST}:8443/a?b=1"));
}

#[test]
fn a_sticky_client_of_a_dead_instance_gets_another_one() {
    let Some(mut service) = service("redispatch") else {
        return;
    };
    service.set("STICKY", "cookie").set("INSTANCE_CMD", "");
    service.set("INSTANCE_IMG", "httpd");
    service.tool(&["up", "-n", "2"]).succeeded();
    let url = format!("http://{}:{}/", service.address(), service.port());
    let jar = service.path("jar");
    let jar = jar.to_str().unwrap();
    let ask = || curl(&["-b", jar, "-c", jar, &url]).unwrap();
    let first = ask();
    let (mine, _) = first.trim_end().split_once(' ').unwrap();
    service.docker(&["kill", mine]);
    let second = ask();
    assert_ne!(second, first);
    // From now on it is that one's.
    let started = Instant::now();
    assert_eq!(ask(), second);
    assert!(started.elapsed() < Duration::from_secs(2));
}

/// Settings with values that meet each other in haproxy.cfg.
const VALUES: &[(&str, &[&str])] = &[
    ("LB_PORT", &["443", "8443"]),
    ("LB_MODE", &["http", "http", "tcp"]),
    ("LB_BALANCE", &["roundrobin", "leastconn"]),
    ("LB_TIMEOUT_TUNNEL", &["", "1h"]),
    ("LB_TIMEOUT_QUEUE", &["", "10s"]),
    ("LB_TIMEOUT_HTTP_REQUEST", &["", "10s"]),
    ("LB_TIMEOUT_KEEP_ALIVE", &["", "15s"]),
    (
        "HEALTH_CHECK",
        &["none", "tcp", "http:/h", "http:/h?a=b,204"],
    ),
    ("HEALTH_HOST", &["", "shop.example.com:8080", "[::1]"]),
    ("HEALTH_INTERVAL", &["2s", "500ms"]),
    ("HEALTH_RISE", &["2", "1"]),
    ("HEALTH_FALL", &["3", "1"]),
    ("STICKY", &["none", "cookie", "source"]),
    ("FORWARDED_FOR", &["no", "yes"]),
    ("LB_LOG", &["syslog", "stdout"]),
    ("TLS_CERT", &["shop.pem", ""]),
    ("LB_REDIRECT_PORT", &["", "80"]),
    ("HSTS", &["", "31536000"]),
    ("STATS_PORT", &["", "9000"]),
];

/// A value, by its setting's place among [`VALUES`].
type Value = (usize, &'static str);

/// Configurations in which any two values meet that may, for the image with this tag.
fn pairwise(tag: &str) -> Vec<String> {
    // Pseudorandom, and the same each time.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut met: BTreeSet<(Value, Value)> = BTreeSet::new();
    let mut configs = Vec::new();
    for _ in 0..20_000 {
        let chosen: Vec<&str> = VALUES
            .iter()
            .map(|(_, values)| values[random(values.len())])
            .collect();
        let pairs = (0..chosen.len())
            .flat_map(|one| (0..one).map(move |two| (one, two)))
            .map(|(one, two)| ((one, chosen[one]), (two, chosen[two])));
        let new: Vec<_> = pairs.filter(|pair| !met.contains(pair)).collect();
        if new.is_empty() {
            continue;
        }
        let image = format!("haproxy:{tag}");
        let given: BTreeMap<&str, &str> = VALUES
            .iter()
            .map(|(name, _)| *name)
            .zip(chosen.iter().copied())
            .chain([("LB_IMG", image.as_str()), ("SERVER_ADDRESS", "ip")])
            .collect();
        let flag = |name: &str| given.get(name).map(|text| (*text).to_owned());
        let settings = Settings::resolve(flag, |_| None, &Assignments::default());
        if let Ok(spec) = Spec::from_settings(&settings) {
            met.extend(new);
            let config = Config::by_address(&spec, &[1, 2], |_, _| "127.0.0.1".into());
            configs.push(config.render().unwrap());
        }
    }
    assert!(met.len() > 600, "{}", met.len());
    configs
}

/// HAProxy of `series` takes what is written for the versions `forms`.
fn is_taken(series: &str, forms: &[&str]) {
    let Some(service) = Service::new(&format!("pairs{}", series.replace('.', ""))) else {
        return;
    };
    let image = format!("haproxy:{series}");
    let pulled = service.endpoint.docker(&["pull", "-q", &image]);
    if !pulled.status.success() {
        let _ = writeln!(
            io::stderr(),
            "SKIPPED HAProxy {series}: the testbed has no {image} (scripts/testbed up --series)"
        );
        return;
    }
    certificate(&service, "tls", 0x1001);
    let folder = service.path("haproxy");
    fs::create_dir(&folder).unwrap();
    fs::copy(service.path("tls.pem"), folder.join("tls.pem")).unwrap();
    let mut count = 0;
    for form in forms {
        for (index, config) in pairwise(form).iter().enumerate() {
            fs::write(folder.join(format!("{form}-{index}.cfg")), config).unwrap();
            count += 1;
        }
    }
    let name = &service.lb;
    service.docker(&[
        "create", "--name", name, "--user", "root", &image, "sleep", "600",
    ]);
    let source = format!("{}/.", folder.display());
    service.docker(&["cp", &source, &format!("{name}:/usr/local/etc/haproxy")]);
    service.docker(&["start", name]);
    let script = "cd /usr/local/etc/haproxy; for f in *.cfg; do
        if said=$(haproxy -c -f $f 2>&1); then echo fine; else echo \"$f: $said\"; cat $f; fi; done";
    let said = service.docker(&["exec", name, "sh", "-c", script]);
    service.docker(&["rm", "-f", name]);
    let fine = said.lines().filter(|line| *line == "fine").count();
    assert_eq!(fine, count, "{said}");
}

/// HAProxy 2.6 still takes what is written for older ones, of which there are no packages.
#[test]
fn haproxy_2_6_takes_any_two_settings() {
    is_taken("2.6", &["1.7", "1.9", "2.0", "2.6", "lts"]);
}

#[test]
fn haproxy_2_2_takes_any_two_settings() {
    is_taken("2.2", &["2.2", "lts"]);
}

#[test]
fn haproxy_3_0_takes_any_two_settings() {
    is_taken("3.0", &["3.0", "lts"]);
}

#[test]
fn haproxy_3_2_takes_any_two_settings() {
    is_taken("3.2", &["3.2", "3.4", "lts"]);
}
