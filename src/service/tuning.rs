//! How the load balancer treats requests: everything about its haproxy.cfg that can't be derived from anything else. Pure.
//!
//! These settings travel in the comment line at the head of the haproxy.cfg (`head`), so that whoever finds the load balancer
//! can render the same file again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::arguments::Arguments;
use super::names::Port;
use super::reader::{Complaint, Reader};
use super::time;
use crate::http::Speaks;
use crate::settings::{self, Kind};

/// How long the settings may be: HAProxy refuses lines beyond 2,048 characters, comments too.
const LINE_LIMIT: usize = 1800;
/// In milliseconds: HAProxy's timers have no room for more, and it refuses the file.
const LONGEST_TIME: u64 = 2_147_483_647;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Http,
    Tcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerAddress {
    Name,
    Ip,
}

/// SERVER_ADDRESS where the endpoint decides.
pub const AUTO: &str = "auto";

/// What first checks may take beyond their intervals.
const SPARE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    None,
    Tcp,
    /// `GET path`; any 2xx or 3xx counts if no status is named.
    Http {
        path: String,
        status: Option<u16>,
        /// `None`: the request names no host.
        host: Option<String>,
    },
}

/// How often HAProxy checks, and how often a check has to say something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checking {
    /// In HAProxy's notation.
    pub interval: String,
    pub rise: u16,
    pub fall: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sticky {
    None,
    Cookie,
    Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The script's target: nobody listens there.
    Syslog,
    Stdout,
}

/// The settings of one load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    pub lb_args: Arguments,
    pub server_address: ServerAddress,
    pub mode: Mode,
    /// `None`: HAProxy's own default, round robin.
    pub balance: Option<&'static str>,
    pub lb_maxconn: u32,
    pub instance_maxconn: u32,
    pub timeout_connect: String,
    pub timeout_client: String,
    pub timeout_server: String,
    pub timeout_tunnel: Option<String>,
    pub timeout_queue: Option<String>,
    pub timeout_http_request: Option<String>,
    pub timeout_keep_alive: Option<String>,
    pub health: HealthCheck,
    pub checking: Checking,
    pub sticky: Sticky,
    pub forwarded_for: bool,
    pub log: Log,
    pub tls: bool,
    /// Where clients without TLS are told to come by https.
    pub redirect_port: Option<Port>,
    /// The `max-age` of Strict-Transport-Security, in seconds.
    pub hsts: Option<u32>,
    pub stats_port: Option<Port>,
    /// Whether a template of the admin's renders the file.
    pub template: bool,
    /// What was given and is not the default, as it travels.
    given: BTreeMap<&'static str, String>,
}

impl Default for Tuning {
    fn default() -> Self {
        let default = |name: &str| {
            settings::setting(name)
                .map_or("", |setting| setting.default)
                .to_owned()
        };
        Self::new(default).unwrap_or_else(|_| unreachable!("the defaults of the table are valid"))
    }
}

impl Tuning {
    /// From the texts of the settings, by name.
    pub fn new(text: impl Fn(&str) -> String) -> Result<Self, Vec<Complaint>> {
        let mut read = Reader::new(&text);
        let tuning = Self::read(&mut read);
        read.finish(tuning)
    }

    /// What `read` makes of the settings; `None` where something is wrong with them.
    pub fn read(read: &mut Reader<'_>) -> Option<Self> {
        let lb_port: Option<u16> = read.text(settings::LB_PORT).parse().ok();
        let lb_args = read.value(settings::LB_ARGS, |text| Arguments::parse(text, None));
        let server_address = read.value(settings::SERVER_ADDRESS, |text| {
            one_of(
                text,
                &[
                    // Until it is known what the endpoint is.
                    (AUTO, ServerAddress::Name),
                    ("name", ServerAddress::Name),
                    ("ip", ServerAddress::Ip),
                ],
            )
        });
        let mode = read.value(settings::LB_MODE, |text| {
            one_of(text, &[("http", Mode::Http), ("tcp", Mode::Tcp)])
        });
        let balance = read.value(settings::LB_BALANCE, balance);
        let lb_maxconn = read.value(settings::LB_MAXCONN, connections);
        let instance_maxconn = read.value(settings::INSTANCE_MAXCONN, connections);
        let timeout_connect = read.value(settings::LB_TIMEOUT_CONNECT, time);
        let timeout_client = read.value(settings::LB_TIMEOUT_CLIENT, time);
        let timeout_server = read.value(settings::LB_TIMEOUT_SERVER, time);
        let timeout_tunnel = read.value(settings::LB_TIMEOUT_TUNNEL, given_time);
        let timeout_queue = read.value(settings::LB_TIMEOUT_QUEUE, given_time);
        let timeout_http_request = read.value(settings::LB_TIMEOUT_HTTP_REQUEST, given_time);
        let timeout_keep_alive = read.value(settings::LB_TIMEOUT_KEEP_ALIVE, given_time);
        let health = read.value(settings::HEALTH_CHECK, health_check);
        let host = read.value(settings::HEALTH_HOST, |text| match text {
            "" => Ok(None),
            _ => health_host(text).map(Some),
        });
        let interval = read.value(settings::HEALTH_INTERVAL, time);
        let rise = read.value(settings::HEALTH_RISE, in_a_row);
        let fall = read.value(settings::HEALTH_FALL, in_a_row);
        let sticky = read.value(settings::STICKY, |text| {
            one_of(
                text,
                &[
                    ("none", Sticky::None),
                    ("cookie", Sticky::Cookie),
                    ("source", Sticky::Source),
                ],
            )
        });
        let forwarded_for = read.value(settings::FORWARDED_FOR, yes_or_no);
        let log = read.value(settings::LB_LOG, |text| {
            one_of(text, &[("syslog", Log::Syslog), ("stdout", Log::Stdout)])
        });
        let redirect_port = read.value(settings::LB_REDIRECT_PORT, given_port);
        let hsts = read.value(settings::HSTS, max_age);
        let stats_port = read.value(settings::STATS_PORT, given_port);
        let tuning = Self {
            lb_args: lb_args?,
            server_address: server_address?,
            mode: mode?,
            balance: balance?,
            lb_maxconn: lb_maxconn?,
            instance_maxconn: instance_maxconn?,
            timeout_connect: timeout_connect?,
            timeout_client: timeout_client?,
            timeout_server: timeout_server?,
            timeout_tunnel: timeout_tunnel?,
            timeout_queue: timeout_queue?,
            timeout_http_request: timeout_http_request?,
            timeout_keep_alive: timeout_keep_alive?,
            health: with_host(health?, host?),
            checking: Checking {
                interval: interval?,
                rise: rise?,
                fall: fall?,
            },
            sticky: sticky?,
            forwarded_for: forwarded_for?,
            log: log?,
            tls: !read.text(settings::TLS_CERT).is_empty(),
            redirect_port: redirect_port?,
            hsts: hsts?,
            stats_port: stats_port?,
            template: !read.text(settings::TEMPLATE).is_empty(),
            given: given(read),
        };
        fits_together(read, &tuning, lb_port).then_some(tuning)
    }

    /// The text of the setting called `name`, the default's too; `yes` where a file is named.
    pub fn text(&self, name: &str) -> &str {
        let unsaid = || settings::unsaid(name).unwrap_or_default();
        self.given.get(name).map_or_else(unsaid, String::as_str)
    }

    /// These settings with another SERVER_ADDRESS.
    #[must_use]
    pub fn with_servers_by(mut self, how: ServerAddress) -> Self {
        self.server_address = how;
        match how {
            ServerAddress::Name => self.given.remove(settings::SERVER_ADDRESS),
            ServerAddress::Ip => self.given.insert(settings::SERVER_ADDRESS, "ip".to_owned()),
        };
        self
    }

    /// What becomes of each setting that `new` has otherwise: its name, its text now and then.
    pub fn changes<'a>(
        &'a self,
        new: &'a Self,
    ) -> impl Iterator<Item = (&'static str, &'a str, &'a str)> {
        settings::travelling()
            .map(|setting| setting.name)
            .map(|name| (name, self.text(name), new.text(name)))
            .filter(|(_, old, new)| old != new)
    }

    /// The ports on which the load balancer listens beside LB_PORT, each with its setting.
    pub fn further_ports(&self) -> impl Iterator<Item = (Port, &'static str)> {
        let ports = [
            (self.redirect_port, settings::LB_REDIRECT_PORT),
            (self.stats_port, settings::STATS_PORT),
        ];
        ports
            .into_iter()
            .filter_map(|(port, setting)| Some((port?, setting)))
    }

    /// Whether HAProxy checks the instances.
    pub fn checks(&self) -> bool {
        self.health != HealthCheck::None
    }

    /// How long the first checks take after a start or a reload: HAProxy begins that of every server within the interval,
    /// spread, and gives each as long.
    pub fn first_checks(&self) -> Duration {
        let interval = milliseconds(&self.checking.interval).unwrap_or_default();
        2 * Duration::from_millis(interval) + SPARE
    }

    /// How long new instances are watched once they are sent to, if `settle` is how long they have to stay up: until HAProxy
    /// has checked them, too, where it does.
    pub fn watch(&self, settle: Duration) -> Duration {
        if self.checks() {
            settle.max(self.first_checks())
        } else {
            settle
        }
    }

    /// What the load balancer speaks on LB_PORT.
    pub fn lb_speaks(&self) -> Speaks {
        match self.mode {
            Mode::Http if self.tls => Speaks::Https,
            Mode::Http => Speaks::Http,
            Mode::Tcp => Speaks::Tcp,
        }
    }

    /// What instances speak.
    pub fn instances_speak(&self) -> Speaks {
        match self.mode {
            Mode::Http => Speaks::Http,
            Mode::Tcp => Speaks::Tcp,
        }
    }

    /// The settings that are not the defaults, as words of a shell: `HEALTH_CHECK=http:/ STATS_PORT=9000`.
    pub fn assignments(&self) -> String {
        let words: Vec<String> = self
            .given
            .iter()
            .map(|(name, text)| format!("{name}={}", shell_words::quote(text)))
            .collect();
        words.join(" ")
    }

    /// Whether all settings are the defaults.
    pub fn is_default(&self) -> bool {
        self.given.is_empty()
    }

    /// From what [`Self::assignments`] made; the error says in words what can't be used.
    pub fn from_assignments(assignments: &str) -> Result<Self, String> {
        let words = shell_words::split(assignments).map_err(|_| "a quote is not closed")?;
        let mut given = BTreeMap::new();
        for word in &words {
            let (name, text) = word
                .split_once('=')
                .ok_or_else(|| format!("`{word}` is no setting"))?;
            let known = settings::travelling()
                .find(|known| known.name == name)
                .ok_or_else(|| format!("there is no setting `{name}`"))?;
            given.insert(known.name, text.to_owned());
        }
        let text = |name: &str| {
            let unsaid = || settings::unsaid(name).unwrap_or_default();
            given
                .get(name)
                .map_or_else(unsaid, String::as_str)
                .to_owned()
        };
        Self::new(text).map_err(|complaints| {
            let complaints = complaints.into_iter();
            let complaints = complaints.map(|Complaint { name, why }| format!("{name}: {why}"));
            complaints.collect::<Vec<_>>().join("; ")
        })
    }
}

/// What travels. Files travel beside it: here is only said that there is one.
fn given(read: &Reader<'_>) -> BTreeMap<&'static str, String> {
    let mut given = BTreeMap::new();
    for setting in settings::travelling() {
        let text = read.text(setting.name);
        let decided_later = setting.name == settings::SERVER_ADDRESS && text == AUTO;
        if setting.travels != Some(text.as_str()) && !decided_later {
            let is_file = setting.kind == Kind::File;
            given.insert(setting.name, if is_file { "yes".to_owned() } else { text });
        }
    }
    given
}

/// A contradiction: whether it is one, the setting that is to be changed, and why.
type Contradiction = (bool, &'static str, &'static str);

/// Whether no settings that are fine by themselves contradict each other.
fn fits_together(read: &mut Reader<'_>, tuning: &Tuning, lb_port: Option<u16>) -> bool {
    let too_long = (
        tuning.assignments().len() > LINE_LIMIT,
        settings::LB_ARGS,
        "the settings of the load balancer are too long to travel in its haproxy.cfg",
    );
    let all = not_for_tcp(tuning)
        .into_iter()
        .chain(about_checks(tuning))
        .chain(about_ports(tuning, lb_port))
        .chain([too_long]);
    let mut none = true;
    for (_, name, why) in all.filter(|(wrong, ..)| *wrong) {
        none = false;
        read.complain(name, why);
    }
    none
}

/// What is HTTP's alone.
fn not_for_tcp(tuning: &Tuning) -> [Contradiction; 6] {
    let with_tcp = |given: bool| given && tuning.mode == Mode::Tcp;
    [
        (
            with_tcp(tuning.sticky == Sticky::Cookie),
            settings::STICKY,
            "cookies are HTTP's, but LB_MODE is `tcp`; STICKY=source works there",
        ),
        (
            with_tcp(tuning.forwarded_for),
            settings::FORWARDED_FOR,
            "X-Forwarded-For is HTTP's, but LB_MODE is `tcp`",
        ),
        (
            with_tcp(tuning.timeout_http_request.is_some()),
            settings::LB_TIMEOUT_HTTP_REQUEST,
            "requests are HTTP's, but LB_MODE is `tcp`",
        ),
        (
            with_tcp(tuning.timeout_keep_alive.is_some()),
            settings::LB_TIMEOUT_KEEP_ALIVE,
            "requests are HTTP's, but LB_MODE is `tcp`; LB_TIMEOUT_TUNNEL works there",
        ),
        (
            with_tcp(tuning.redirect_port.is_some()),
            settings::LB_REDIRECT_PORT,
            "redirects are HTTP's, but LB_MODE is `tcp`",
        ),
        (
            with_tcp(tuning.hsts.is_some()),
            settings::HSTS,
            "headers are HTTP's, but LB_MODE is `tcp`",
        ),
    ]
}

/// What needs checks, or a way to balance.
fn about_checks(tuning: &Tuning) -> [Contradiction; 5] {
    const NO_CHECK: &str = "HEALTH_CHECK is `none`, so nothing is checked";
    let is_given = |name: &str| tuning.given.contains_key(name);
    let unchecked = |name: &'static str| (!tuning.checks() && is_given(name), name, NO_CHECK);
    let by_http = matches!(tuning.health, HealthCheck::Http { .. });
    [
        (
            !by_http && is_given(settings::HEALTH_HOST),
            settings::HEALTH_HOST,
            "HEALTH_CHECK is no `http:/path`, and asks for no host",
        ),
        unchecked(settings::HEALTH_INTERVAL),
        unchecked(settings::HEALTH_RISE),
        unchecked(settings::HEALTH_FALL),
        (
            tuning.sticky == Sticky::Source && tuning.balance.is_some(),
            settings::STICKY,
            "LB_BALANCE is given too, but `source` is a way to balance itself",
        ),
    ]
}

/// What needs TLS, or a port of its own.
fn about_ports(tuning: &Tuning, lb_port: Option<u16>) -> [Contradiction; 5] {
    let is_lb_port = |port: Option<Port>| port.is_some_and(|port| Some(port.get()) == lb_port);
    [
        (
            !tuning.tls && tuning.redirect_port.is_some(),
            settings::LB_REDIRECT_PORT,
            "there is no https to send clients to: TLS_CERT is not given",
        ),
        (
            !tuning.tls && tuning.hsts.is_some(),
            settings::HSTS,
            "there is no https to insist on: TLS_CERT is not given",
        ),
        (
            is_lb_port(tuning.redirect_port),
            settings::LB_REDIRECT_PORT,
            "LB_PORT is the same",
        ),
        (
            is_lb_port(tuning.stats_port),
            settings::STATS_PORT,
            "LB_PORT is the same",
        ),
        (
            tuning.stats_port.is_some() && tuning.stats_port == tuning.redirect_port,
            settings::STATS_PORT,
            "LB_REDIRECT_PORT is the same",
        ),
    ]
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            format!("it is one of {}", words.join(", "))
        })
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    one_of(text, &[("no", false), ("yes", true)])
}

fn balance(text: &str) -> Result<Option<&'static str>, String> {
    one_of(
        text,
        &[
            ("roundrobin", None),
            ("static-rr", Some("static-rr")),
            ("leastconn", Some("leastconn")),
            ("first", Some("first")),
            ("source", Some("source")),
        ],
    )
}

fn connections(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(count @ 1..=1_000_000) if digits => Ok(count),
        _ => Err("a number of connections is a whole number from 1 to 1000000".into()),
    }
}

/// The milliseconds of HAProxy's own notation: with it, a number alone is in milliseconds.
fn milliseconds(text: &str) -> Result<u64, String> {
    let alone = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if alone {
        Ok(text.parse().unwrap_or(u64::MAX))
    } else {
        time::milliseconds(text)
    }
}

/// A time that HAProxy can wait for, in its own notation.
fn time(text: &str) -> Result<String, String> {
    match milliseconds(text)? {
        0 => Err("HAProxy waits for 1ms at least".into()),
        1..=LONGEST_TIME => Ok(text.to_owned()),
        _ => Err("HAProxy can wait for 2147483647ms at most, which is 596h".into()),
    }
}

/// The same where it may be left unsaid.
fn given_time(text: &str) -> Result<Option<String>, String> {
    match text {
        "" => Ok(None),
        _ => time(text).map(Some),
    }
}

fn given_port(text: &str) -> Result<Option<Port>, String> {
    match text {
        "" => Ok(None),
        _ => Port::parse(text).map(Some),
    }
}

fn max_age(text: &str) -> Result<Option<u32>, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        _ if text.is_empty() => Ok(None),
        Ok(seconds) if digits => Ok(Some(seconds)),
        _ => Err(
            "it is a whole number of seconds; a year is 31536000, and 0 lets browsers forget it"
                .into(),
        ),
    }
}

/// `none`, `tcp`, `http:/path`, `http:/path,STATUS`.
fn health_check(text: &str) -> Result<HealthCheck, String> {
    match text {
        "none" => return Ok(HealthCheck::None),
        "tcp" => return Ok(HealthCheck::Tcp),
        _ => {}
    }
    let rest = text.strip_prefix("http:").ok_or_else(|| {
        let forms = "it is none, tcp, http:/path or http:/path,STATUS";
        if text.starts_with('/') {
            format!("{forms}: write http:{text}")
        } else {
            forms.to_owned()
        }
    })?;
    let (path, status) = match rest.rsplit_once(',') {
        Some((path, status)) => (path, Some(status)),
        None => (rest, None),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/._~-%?&=+:@!*;,()".contains(c);
    if !path.starts_with('/') || path.len() > 512 || !path.chars().all(allowed) {
        return Err("the path begins with `/` and holds only what a URL may hold, without blanks, quotes and `#`".into());
    }
    let status = match status.map(str::parse) {
        None => None,
        Some(Ok(status @ 100..=599)) => Some(status),
        Some(_) => return Err("what follows the comma is an HTTP status such as 200".into()),
    };
    Ok(HealthCheck::Http {
        path: path.to_owned(),
        status,
        host: None,
    })
}

fn with_host(mut check: HealthCheck, named: Option<String>) -> HealthCheck {
    if let HealthCheck::Http { host, .. } = &mut check {
        *host = named;
    }
    check
}

/// What a Host header may hold: a name or an address, and a port.
fn health_host(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if text.len() > 255 || text.starts_with('-') || !text.chars().all(allowed) {
        return Err(
            "a host is a name or an address, and a port if need be: shop.example.com".into(),
        );
    }
    Ok(text.to_owned())
}

fn in_a_row(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(count @ 1..=1000) if digits => Ok(count),
        _ => Err("a number of checks is a whole number from 1 to 1000".into()),
    }
}

/// What to write in place of a HEALTH_CHECK that is a whole URL, such as one copied from a browser. Not refused in a
/// haproxy.cfg that is there: an earlier vch-lb took its host for a part of the path.
pub fn check_without_host(text: &str) -> Option<String> {
    let rest = text.split_once("://").map(|(_, rest)| rest)?;
    let path = rest.find('/').map_or("/", |start| &rest[start..]);
    Some(format!("http:{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning(given: &[(&str, &str)]) -> Result<Tuning, Vec<Complaint>> {
        Tuning::new(|name| {
            let given = given
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, text)| *text);
            given
                .unwrap_or_else(|| settings::setting(name).unwrap().default)
                .to_owned()
        })
    }

    fn complaint(given: &[(&str, &str)]) -> Complaint {
        tuning(given).unwrap_err().remove(0)
    }

    #[test]
    fn what_is_given_travels_and_comes_back() {
        let given = tuning(&[
            ("HEALTH_CHECK", "http:/health?a=b,200"),
            ("LB_BALANCE", "leastconn"),
            ("LB_ARGS", "--ip 10.0.0.9 --label 'a=b c'"),
            ("TLS_CERT", "/some/where.pem"),
            ("STATS_PORT", "9000"),
        ])
        .unwrap();
        let travels = given.assignments();
        assert_eq!(
            travels,
            r"HEALTH_CHECK='http:/health?a=b,200' LB_ARGS='--ip 10.0.0.9 --label '\''a=b c'\''' LB_BALANCE=leastconn STATS_PORT=9000 TLS_CERT=yes"
        );
        let back = Tuning::from_assignments(&travels).unwrap();
        assert_eq!(back.assignments(), travels);
        assert_eq!(back.health, given.health);
        assert!(back.tls && !back.is_default());
        assert_eq!(Tuning::from_assignments(""), Ok(Tuning::default()));
        assert!(Tuning::default().is_default());
    }

    #[test]
    fn a_check_that_is_a_url_is_told_its_path() {
        for (given, write) in [
            ("http://x/health", Some("http:/health")),
            ("http://web-1:8080/a?b=c,200", Some("http:/a?b=c,200")),
            ("https://x", Some("http:/")),
            ("http:///health", Some("http:/health")),
            ("http:/health", None),
            ("tcp", None),
        ] {
            assert_eq!(check_without_host(given).as_deref(), write, "{given}");
        }
        let why = complaint(&[("HEALTH_CHECK", "/health")]).why;
        assert!(why.ends_with("write http:/health"), "{why}");
        // One that an earlier version deployed.
        assert!(Tuning::from_assignments("HEALTH_CHECK=http://x/health").is_ok());
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for (name, values) in [
            ("LB_MODE", &["", "HTTP", "http ", "udp"][..]),
            ("LB_BALANCE", &["uri", "round robin", "leastconn\n"]),
            ("LB_MAXCONN", &["0", "-1", "+5", "many", "1000001", ""]),
            (
                "LB_TIMEOUT_CLIENT",
                &["", "s", "5 s", "0", "1d", "99999999999", "5s\n"],
            ),
            ("LB_TIMEOUT_TUNNEL", &["0", "1d", "5s\n"]),
            ("LB_TIMEOUT_QUEUE", &["-1s"]),
            ("LB_TIMEOUT_HTTP_REQUEST", &["soon"]),
            ("LB_TIMEOUT_KEEP_ALIVE", &["597h"]),
            (
                "HEALTH_CHECK",
                &[
                    "http",
                    "http:",
                    "http:x",
                    "/health",
                    "https:/health",
                    "HTTP:/health",
                    "http:/a b",
                    "http:/#",
                    "http:/'",
                    "http:/,",
                    "http:/,99",
                    "http:/\n",
                ],
            ),
            (
                "HEALTH_HOST",
                &["a b", "a\nb", "a\\r", "http://x", "-x", "x#", "'x'", "$x"],
            ),
            ("HEALTH_INTERVAL", &["", "0", "2 s"]),
            ("HEALTH_RISE", &["", "0", "1001", "+2"]),
            ("HEALTH_FALL", &["many", "-1"]),
            ("STICKY", &["yes", ""]),
            ("FORWARDED_FOR", &["maybe"]),
            ("STATS_PORT", &["0", "x"]),
            ("LB_REDIRECT_PORT", &["0", "http"]),
            ("HSTS", &["1y", "-1", "+1", "4294967296", "yes"]),
            ("SERVER_ADDRESS", &["dns"]),
            ("LB_LOG", &["stderr"]),
            ("LB_ARGS", &["--name x", "-p", "image"]),
        ] {
            for value in values {
                assert_eq!(complaint(&[(name, value)]).name, name, "{value}");
            }
        }
    }

    #[test]
    fn times_reach_as_far_as_those_of_haproxy() {
        for longest in ["2147483647", "2147483647ms", "2147483s", "35791m", "596h"] {
            let given = tuning(&[("LB_TIMEOUT_CLIENT", longest)]).unwrap();
            assert_eq!(given.timeout_client, longest);
        }
        for beyond in [
            "2147483648",
            "99999999999999999999",
            "2147483648ms",
            "2147484s",
            "35792m",
            "597h",
            "4294967295h",
        ] {
            let why = complaint(&[("LB_TIMEOUT_CLIENT", beyond)]).why;
            assert!(why.contains("2147483647ms at most"), "{beyond}: {why}");
        }
    }

    #[test]
    fn contradictions_name_both_settings() {
        for (given, name, other) in [
            (
                &[("LB_MODE", "tcp"), ("STICKY", "cookie")][..],
                "STICKY",
                "LB_MODE",
            ),
            (
                &[("LB_MODE", "tcp"), ("FORWARDED_FOR", "yes")],
                "FORWARDED_FOR",
                "LB_MODE",
            ),
            (
                &[("LB_BALANCE", "first"), ("STICKY", "source")],
                "STICKY",
                "LB_BALANCE",
            ),
            (&[("STATS_PORT", "80")], "STATS_PORT", "LB_PORT"),
            (
                &[("LB_REDIRECT_PORT", "8080")],
                "LB_REDIRECT_PORT",
                "TLS_CERT",
            ),
            (&[("HSTS", "60")], "HSTS", "TLS_CERT"),
            (
                &[("TLS_CERT", "x.pem"), ("LB_REDIRECT_PORT", "80")],
                "LB_REDIRECT_PORT",
                "LB_PORT",
            ),
            (
                &[
                    ("TLS_CERT", "x.pem"),
                    ("LB_REDIRECT_PORT", "81"),
                    ("STATS_PORT", "81"),
                ],
                "STATS_PORT",
                "LB_REDIRECT_PORT",
            ),
            (
                &[("TLS_CERT", "x.pem"), ("HSTS", "60"), ("LB_MODE", "tcp")],
                "HSTS",
                "LB_MODE",
            ),
            (
                &[("HEALTH_CHECK", "tcp"), ("HEALTH_HOST", "x")],
                "HEALTH_HOST",
                "HEALTH_CHECK",
            ),
            (
                &[("HEALTH_INTERVAL", "1s")],
                "HEALTH_INTERVAL",
                "HEALTH_CHECK",
            ),
            (&[("HEALTH_RISE", "1")], "HEALTH_RISE", "HEALTH_CHECK"),
            (&[("HEALTH_FALL", "1")], "HEALTH_FALL", "HEALTH_CHECK"),
            (
                &[("LB_MODE", "tcp"), ("LB_TIMEOUT_HTTP_REQUEST", "5s")],
                "LB_TIMEOUT_HTTP_REQUEST",
                "LB_MODE",
            ),
            (
                &[("LB_MODE", "tcp"), ("LB_TIMEOUT_KEEP_ALIVE", "5s")],
                "LB_TIMEOUT_KEEP_ALIVE",
                "LB_TIMEOUT_TUNNEL",
            ),
        ] {
            let complaint = complaint(given);
            assert_eq!(complaint.name, name);
            assert!(complaint.why.contains(other), "{}", complaint.why);
        }
    }

    #[test]
    fn first_checks_end_with_their_intervals() {
        for (interval, milliseconds) in [
            ("2s", 4500),
            ("500ms", 1500),
            ("1000", 2500),
            ("1m", 120_500),
        ] {
            let given = tuning(&[("HEALTH_CHECK", "tcp"), ("HEALTH_INTERVAL", interval)]).unwrap();
            assert_eq!(
                given.first_checks(),
                Duration::from_millis(milliseconds),
                "{interval}"
            );
        }
    }

    #[test]
    fn new_instances_are_watched_for_the_longer_of_settling_and_first_checks() {
        let seconds = Duration::from_secs;
        let checked = tuning(&[("HEALTH_CHECK", "tcp")]).unwrap();
        assert_eq!(checked.watch(seconds(1)), checked.first_checks());
        assert_eq!(checked.watch(seconds(9)), seconds(9));
        let unchecked = tuning(&[]).unwrap();
        assert_eq!(unchecked.watch(seconds(1)), seconds(1));
    }

    proptest::proptest! {
        #[test]
        fn nothing_accepted_breaks_out_of_its_line(name in proptest::sample::select(settings::travelling().map(|setting| setting.name).collect::<Vec<_>>()), text: String) {
            if let Ok(tuning) = tuning(&[(name, &text)]) {
                let one_line = |text: &str| text.chars().all(|c| !c.is_control());
                let fields = [&tuning.timeout_connect, &tuning.timeout_client, &tuning.timeout_server];
                let given = [
                    &tuning.timeout_tunnel,
                    &tuning.timeout_queue,
                    &tuning.timeout_http_request,
                    &tuning.timeout_keep_alive,
                ];
                let mut fields = fields.into_iter().chain(given.into_iter().flatten());
                assert!(fields.all(|field| one_line(field)));
                if let HealthCheck::Http { path, .. } = &tuning.health {
                    assert!(path.chars().all(|c| c.is_ascii_graphic() && !"#'\"\\$".contains(c)));
                }
                assert!(one_line(&tuning.assignments()));
            }
        }

        #[test]
        fn arbitrary_assignments_never_panic(text: String) {
            let _ = Tuning::from_assignments(&text);
        }
    }
}
