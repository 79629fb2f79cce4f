//! The load balancer's configuration: values to the text of haproxy.cfg, and back.
//!
//! Pure. With nothing but the script's variables the text is the script's, byte for byte. Every other text begins with the
//! line of `service::head`, by which any later vch-lb knows it. What HAProxy says about a configuration (its log,
//! `haproxy -c`) is read in `log`.

pub mod channel;
mod former;
pub mod log;
pub mod read;
pub mod reloaded;
mod template;
pub mod versions;

use anyhow::anyhow;
use handlebars::{RenderError, RenderErrorReason};
use serde::Serialize;

use crate::secrets::redact_text;
use crate::service::Spec;
use crate::service::head;
use crate::service::names::{Number, Port};
use crate::service::tuning::{self, Checking, HealthCheck, Mode, ServerAddress, Sticky, Tuning};
use crate::settings::{INSTANCE_PORT, LB_ARGS, LB_PORT, nearest};
use crate::text::printable;
use versions::Version;

/// Where every official image looks for it.
pub const CONFIG_PATH: &str = "/usr/local/etc/haproxy/haproxy.cfg";
/// The directory of [`CONFIG_PATH`].
pub const CONFIG_DIR: &str = "/usr/local/etc/haproxy";
/// The last part of [`CONFIG_PATH`].
pub const CONFIG_NAME: &str = "haproxy.cfg";
/// Where the admin's own template travels, beside the file that it renders.
pub const TEMPLATE_NAME: &str = "haproxy.cfg.hbs";
/// Where the certificate and its key lie, beside the file that names them.
pub const CERT_NAME: &str = "tls.pem";

/// Where the wrapper of 1.7's images has HAProxy write its process ID, once everything is bound.
pub const PID_FILE: &str = "/run/haproxy.pid";

const TEMPLATE: &str = include_str!("../../templates/haproxy.cfg.hbs");

/// One `server` line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The instance's: the line is called `serverN`.
    pub number: Number,
    /// The container's name on the bridge network.
    pub name: String,
    /// That name again, or its address, as SERVER_ADDRESS says.
    pub address: String,
}

/// What a haproxy.cfg of ours says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub lb_port: Port,
    pub instance_port: Port,
    /// HAProxy's version, where it is known.
    pub version: Option<Version>,
    pub tuning: Tuning,
    /// The admin's own template; `None`: the built-in one.
    pub template: Option<String>,
    /// By number, ascending.
    pub servers: Vec<Server>,
}

/// What a template gets: the documented model.
#[derive(Debug, Serialize)]
struct Model<'a> {
    /// The line at the head of the file, or nothing. It is put there in any case: own templates that begin with it remain
    /// valid.
    settings: Option<String>,
    lb_port: u16,
    instance_port: u16,
    lb_maxconn: u32,
    instance_maxconn: u32,
    /// `http` or `tcp`.
    mode: &'static str,
    timeout_connect: &'a str,
    timeout_client: &'a str,
    timeout_server: &'a str,
    timeout_tunnel: Option<&'a str>,
    timeout_queue: Option<&'a str>,
    timeout_http_request: Option<&'a str>,
    timeout_keep_alive: Option<&'a str>,
    /// The access log goes to stdout, not to syslog.
    log_stdout: bool,
    /// HAProxy can be asked at its runtime socket: wherever the text is not the script's.
    socket: bool,
    /// A reload has to be told to hand its listening sockets over (HAProxy 1.8 to 2.5 lose connections otherwise; 1.7
    /// can't, later ones do it by themselves).
    hand_over: bool,
    forwarded_for: bool,
    /// `http` or `https`, where instances are told.
    forwarded_proto: Option<&'static str>,
    /// A server whose name does not resolve is left out, instead of ending HAProxy.
    init_addr: bool,
    /// A balance algorithm other than the default of this HAProxy.
    balance: Option<&'static str>,
    /// Stickiness by cookie.
    cookie: bool,
    /// Stickiness by the client's address.
    source: bool,
    /// A request whose instance refuses it is sent to another one.
    redispatch: bool,
    /// Servers are checked.
    check: bool,
    check_path: Option<&'a str>,
    check_status: Option<u16>,
    /// The host that checks ask for.
    check_host: Option<&'a str>,
    /// It is told by a line of its own; an older HAProxy takes it as a part of the request.
    check_host_line: bool,
    /// How often is checked, and how many checks in a row count, where that is not HAProxy's default.
    check_interval: Option<&'a str>,
    check_rise: Option<u16>,
    check_fall: Option<u16>,
    /// The path of certificate and key in the load balancer.
    tls: Option<String>,
    /// What `bind` has to say so that no TLS older than 1.2 is spoken.
    tls_floor: Option<&'static str>,
    /// HTTP/2 is offered.
    http_2: bool,
    redirect_port: Option<u16>,
    /// What `redirect` has to say so that clients without TLS come by https.
    redirect: Option<String>,
    hsts: Option<u32>,
    /// HSTS is told in all responses, HAProxy's own too.
    hsts_always: bool,
    stats_port: Option<u16>,
    prometheus: bool,
    servers: &'a [Server],
}

impl Config {
    /// The configuration that `spec` asks for, sending to `servers`.
    pub fn new(spec: &Spec, servers: Vec<Server>) -> Self {
        Self {
            lb_port: spec.lb_port,
            instance_port: spec.instance_port,
            version: spec.lb_version,
            tuning: spec.tuning.clone(),
            template: spec.template.clone(),
            servers,
        }
    }

    /// The configuration that sends to the instances with these numbers by name.
    pub fn by_name(spec: &Spec, numbers: &[Number]) -> Self {
        Self::by_address(spec, numbers, |_, name| name.to_owned())
    }

    /// The configuration that sends to the instances with these numbers, each at the address that `address` says for its
    /// number and name.
    pub fn by_address(
        spec: &Spec,
        numbers: &[Number],
        address: impl Fn(Number, &str) -> String,
    ) -> Self {
        let server = |&number: &Number| {
            let name = spec.names().instance(number);
            Server {
                number,
                address: address(number, &name),
                name,
            }
        };
        Self::new(spec, numbers.iter().map(server).collect())
    }

    /// The text of haproxy.cfg. The error says where in the template something is wrong.
    pub fn render(&self) -> anyhow::Result<String> {
        let text = fill_in(self, TEMPLATE, &self.model()).map_err(|error| match error {
            template::Error::Limit(what) => anyhow!(what),
            template::Error::Handlebars(error) => anyhow!(self.explain(&error)),
        })?;
        if self.is_the_scripts() {
            return Ok(text);
        }
        // An own template need not care how its settings travel.
        let template = self.template.as_deref();
        Ok(head::put(&self.tuning, template, head::without(&text)))
    }

    /// Whether the text is what the script would have written, byte for byte: then it has no line at its head.
    pub fn is_the_scripts(&self) -> bool {
        let as_then = self.version.is_some_and(|this| this < versions::HANDS_OVER);
        self.template.is_none() && self.tuning.is_default() && as_then
    }

    /// Whether HAProxy is known to be of `version` or later.
    fn since(&self, version: Version) -> bool {
        self.version.is_some_and(|this| this >= version)
    }

    /// Whether HAProxy is known to be older than `version`.
    fn before(&self, version: Version) -> bool {
        self.version.is_some_and(|this| this < version)
    }

    /// What the `balance` line says, where one is needed: without it HAProxy balances in its own way, which changed.
    fn balance(&self) -> Option<&'static str> {
        let by_source = self.tuning.sticky == Sticky::Source;
        let has_to_be_told = !by_source && !self.before(versions::BALANCES_BY_RANDOM);
        self.tuning
            .balance
            .or_else(|| has_to_be_told.then_some("roundrobin"))
    }

    /// Whether server lines say that one whose name does not resolve is left out. One dead name would keep HAProxy from
    /// starting again, and so take the whole service down with an instance.
    fn leaves_out_names(&self) -> bool {
        self.tuning.server_address == ServerAddress::Name
            && !self.before(versions::STARTS_WITHOUT_A_NAME)
            && !self.is_the_scripts()
    }

    /// What `bind` has to say so that no TLS older than 1.2 is spoken, where that is not HAProxy's own default.
    fn tls_floor(&self) -> Option<&'static str> {
        let needs = self.tuning.tls && !self.since(versions::WANTS_TLS_1_2);
        needs.then_some(if self.since(versions::NAMES_OLDEST_TLS) {
            "ssl-min-ver TLSv1.2"
        } else {
            "no-sslv3 no-tlsv10 no-tlsv11"
        })
    }

    /// How clients of `port` are sent to LB_PORT by https. Where both are the usual ones, the host is theirs as it is; else
    /// the port that it names, or does not, has to be exchanged.
    fn redirect(&self, port: Port) -> String {
        match (port.get(), self.lb_port.get()) {
            (80, 443) => "scheme https".to_owned(),
            (_, 443) => "prefix https://%[req.hdr(host),field(1,:)]".to_owned(),
            (_, https) => format!("prefix https://%[req.hdr(host),field(1,:)]:{https}"),
        }
    }

    /// What is wrong with the template, in one sentence.
    fn explain(&self, error: &RenderError) -> String {
        let at = |line: Option<usize>, column: Option<usize>| match (line, column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: "),
            _ => String::new(),
        };
        let place = at(error.line_no, error.column_no);
        match error.reason() {
            RenderErrorReason::TemplateError(error) => {
                let (line, column) = error.pos().unzip();
                let why = error.reason().to_string();
                format!(
                    "{}{}",
                    at(line, column),
                    why.lines().next().unwrap_or_default()
                )
            }
            RenderErrorReason::MissingVariable(Some(name)) => {
                let known = self.variables();
                let near = nearest(name, known.iter().map(String::as_str));
                // The service's own are one level further out in a loop.
                let near = near.map(|near| {
                    let out = if near == name { "../" } else { "" };
                    format!("; did you mean `{out}{near}`?")
                });
                let near = near.unwrap_or_default();
                format!("{place}there is no variable `{name}`{near}")
            }
            RenderErrorReason::HelperNotFound(name) => {
                format!("{place}there is no helper `{name}`")
            }
            other => format!("{place}{other}"),
        }
    }

    /// The settings in which `spec` asks for another configuration, each as it is here and there, for people. What the load
    /// balancer was made with is shown without its secrets.
    pub fn changes(&self, spec: &Spec) -> Vec<(&'static str, String, String)> {
        let ports = [
            (LB_PORT, self.lb_port, spec.lb_port),
            (INSTANCE_PORT, self.instance_port, spec.instance_port),
        ];
        let ports = ports
            .into_iter()
            .filter(|(_, old, new)| old != new)
            .map(|(name, old, new)| (name, old.to_string(), new.to_string()));
        let shown = |name: &str, text: &str| match (name, text) {
            (_, "") => "unset".to_owned(),
            (LB_ARGS, _) => printable(&redact_text(text)),
            _ => printable(text),
        };
        let travelling = self.tuning.changes(&spec.tuning);
        let travelling =
            travelling.map(|(name, old, new)| (name, shown(name, old), shown(name, new)));
        ports.chain(travelling).collect()
    }

    /// The names that a template may use, of the servers' too.
    fn variables(&self) -> Vec<String> {
        let server = Server {
            number: 1,
            name: String::new(),
            address: String::new(),
        };
        let objects = [
            serde_json::to_value(self.model()).unwrap_or_default(),
            serde_json::to_value(server).unwrap_or_default(),
        ];
        let names = objects.iter().filter_map(|object| object.as_object());
        names.flat_map(|object| object.keys().cloned()).collect()
    }

    fn model(&self) -> Model<'_> {
        let tuning = &self.tuning;
        let (check_path, check_status, check_host) = match &tuning.health {
            HealthCheck::Http { path, status, host } => {
                (Some(path.as_str()), *status, host.as_deref())
            }
            HealthCheck::None | HealthCheck::Tcp => (None, None, None),
        };
        let Checking {
            interval,
            rise,
            fall,
        } = &tuning.checking;
        let usual = Tuning::default().checking;
        Model {
            settings: (!self.is_the_scripts()).then(|| head::unsigned(tuning)),
            lb_port: self.lb_port.get(),
            instance_port: self.instance_port.get(),
            lb_maxconn: tuning.lb_maxconn,
            instance_maxconn: tuning.instance_maxconn,
            mode: match tuning.mode {
                Mode::Http => "http",
                Mode::Tcp => "tcp",
            },
            timeout_connect: &tuning.timeout_connect,
            timeout_client: &tuning.timeout_client,
            timeout_server: &tuning.timeout_server,
            timeout_tunnel: tuning.timeout_tunnel.as_deref(),
            timeout_queue: tuning.timeout_queue.as_deref(),
            timeout_http_request: tuning.timeout_http_request.as_deref(),
            timeout_keep_alive: tuning.timeout_keep_alive.as_deref(),
            log_stdout: tuning.log == tuning::Log::Stdout,
            socket: !self.is_the_scripts(),
            hand_over: self.since(versions::HANDS_OVER),
            forwarded_for: tuning.forwarded_for,
            forwarded_proto: tuning.forwarded_for.then_some(if tuning.tls {
                "https"
            } else {
                "http"
            }),
            init_addr: self.leaves_out_names(),
            balance: self.balance(),
            cookie: tuning.sticky == Sticky::Cookie,
            source: tuning.sticky == Sticky::Source,
            redispatch: tuning.checks() || tuning.sticky != Sticky::None,
            check: tuning.checks(),
            check_path,
            check_status,
            check_host,
            check_host_line: !self.before(versions::CHECKS_WITH_HEADERS),
            check_interval: (*interval != usual.interval).then_some(interval),
            check_rise: (*rise != usual.rise).then_some(*rise),
            check_fall: (*fall != usual.fall).then_some(*fall),
            tls: tuning.tls.then(|| format!("{CONFIG_DIR}/{CERT_NAME}")),
            tls_floor: self.tls_floor(),
            http_2: tuning.tls && tuning.mode == Mode::Http && self.since(versions::OFFERS_HTTP_2),
            redirect_port: tuning.redirect_port.map(Port::get),
            redirect: tuning.redirect_port.map(|port| self.redirect(port)),
            hsts: tuning.hsts,
            hsts_always: self.since(versions::SETS_HEADERS_AFTERWARDS),
            stats_port: tuning.stats_port.map(Port::get),
            prometheus: self.since(versions::HAS_EXPORTER),
            servers: &self.servers,
        }
    }

    pub fn numbers(&self) -> Vec<Number> {
        self.servers.iter().map(|server| server.number).collect()
    }
}

/// The template of `config`, or that of `built_in` vch-lb, with the values of `model`.
fn fill_in(
    config: &Config,
    built_in: &'static str,
    model: &Model<'_>,
) -> Result<String, template::Error> {
    match &config.template {
        Some(own) => template::fill_in(own, model, config.servers.len()),
        None => template::fill_in_own(built_in, model),
    }
}

/// Whether a haproxy.cfg, whoever wrote it, sends to `address`, a name or an IP address.
pub fn sends_to(config: &str, address: &str) -> bool {
    config.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_server = words.next() == Some("server");
        let port = words.nth(1).and_then(|it| it.strip_prefix(address));
        is_server && port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::spec;

    #[test]
    fn whom_a_foreign_file_sends_to_stands_in_its_server_lines() {
        let config = "backend a\n  server one web-1:80 maxconn 9\n\tserver two 10.0.0.12\n# server web-3 web-3:80\n";
        let sent_to = |address: &str| sends_to(config, address);
        assert!(sent_to("web-1") && sent_to("10.0.0.12"));
        for other in ["web", "one", "10.0.0.1", "web-3"] {
            assert!(!sent_to(other), "{other}");
        }
    }

    fn rendered(given: &[(&str, &str)], numbers: &[Number]) -> String {
        Config::by_name(&spec(given), numbers).render().unwrap()
    }

    #[test]
    fn the_defaults_render_the_file_of_the_script() {
        assert_eq!(
            rendered(&[], &[1, 2, 3]),
            include_str!("../../tests/golden/default.cfg")
        );
    }

    #[test]
    fn every_variable_of_the_script_arrives_in_its_place() {
        let given = [("INSTANCE_PORT", "8080"), ("LB_PORT", "443")];
        assert_eq!(
            rendered(&given, &[1, 7]),
            include_str!("../../tests/golden/ports.cfg")
        );
    }

    #[test]
    fn from_1_8_on_a_reload_hands_its_sockets_over() {
        let given = [("LB_IMG", "haproxy:2.6")];
        assert_eq!(
            rendered(&given, &[1]),
            include_str!("../../tests/golden/hand-over.cfg")
        );
    }

    #[test]
    fn a_haproxy_of_unknown_version_gets_what_all_understand() {
        for image in ["team/lb:1.4", "haproxy:lts", "haproxy"] {
            assert_eq!(
                rendered(&[("LB_IMG", image)], &[1]),
                include_str!("../../tests/golden/unknown-version.cfg"),
                "{image}"
            );
        }
    }

    /// A line, settings, and the versions that get the line with them, and that do not.
    type Rendered<'a> = (
        &'a str,
        &'a [(&'a str, &'a str)],
        &'a [&'a str],
        &'a [&'a str],
    );

    #[track_caller]
    fn assert_rendered(rows: &[Rendered<'_>]) {
        for (line, more, with, without) in rows {
            let has = |version: &str| {
                let image = format!("haproxy:{version}");
                let given = [&[("LB_IMG", image.as_str())], *more].concat();
                rendered(&given, &[1]).contains(line)
            };
            for version in *with {
                assert!(has(version), "{version}: {line}");
            }
            for version in *without {
                assert!(!has(version), "{version}: {line}");
            }
        }
    }

    #[test]
    fn each_version_gets_what_it_understands() {
        let checked = &[("HEALTH_CHECK", "tcp")][..];
        let often = &[
            ("HEALTH_CHECK", "tcp"),
            ("HEALTH_INTERVAL", "500ms"),
            ("HEALTH_RISE", "1"),
            ("HEALTH_FALL", "2"),
        ][..];
        assert_rendered(&[
            ("\tstats socket ", checked, &["1.5", "1.7", "3.4"], &[]),
            ("\tstats socket ", &[], &["1.8", "3.4"], &["1.5", "1.7"]),
            (" expose-fd listeners\n", checked, &["1.8", "3.4"], &["1.7"]),
            (
                " init-addr libc,none",
                checked,
                &["1.7", "3.4"],
                &["1.5", "1.6"],
            ),
            (" init-addr libc,none", &[], &["1.8", "3.4"], &["1.7"]),
            (
                " init-addr ",
                &[("SERVER_ADDRESS", "ip")],
                &[],
                &["1.7", "2.6", "3.4"],
            ),
            (
                "\tbalance roundrobin\n",
                checked,
                &["3.3", "3.4", "lts"],
                &["1.7", "2.6", "3.2"],
            ),
            (
                "\tbalance roundrobin\n",
                &[("STICKY", "source")],
                &[],
                &["3.4", "lts"],
            ),
            (
                "\ttimeout tunnel 1h\n",
                &[("LB_TIMEOUT_TUNNEL", "1h")],
                &["1.7", "2.6", "3.4", "lts"],
                &[],
            ),
            (
                " check inter 500ms rise 1 fall 2\n",
                often,
                &["1.7", "3.4"],
                &[],
            ),
            (" check\n", checked, &["1.7", "3.4"], &[]),
            (
                "\tbalance leastconn\n",
                &[("LB_BALANCE", "leastconn")],
                &["2.6", "3.4"],
                &[],
            ),
        ]);
    }

    #[test]
    fn each_version_is_told_of_tls_headers_and_hosts_in_its_way() {
        let by_host = &[("HEALTH_CHECK", "http:/h"), ("HEALTH_HOST", "shop")][..];
        let tls = &[("TLS_CERT", "x.pem")][..];
        let hsts = &[("TLS_CERT", "x.pem"), ("HSTS", "60")][..];
        assert_rendered(&[
            (
                " ssl crt /usr/local/etc/haproxy/tls.pem no-sslv3 no-tlsv10 no-tlsv11\n",
                tls,
                &["1.7", "lts"],
                &["1.8", "2.0", "2.2", "2.6", "3.4"],
            ),
            (
                "/tls.pem ssl-min-ver TLSv1.2\n",
                tls,
                &["1.8", "2.0"],
                &["1.7", "2.2", "2.6", "3.4", "lts"],
            ),
            ("/tls.pem\n", tls, &["2.2"], &["1.7", "2.0", "2.6", "lts"]),
            (
                "/tls.pem alpn h2,http/1.1\n",
                tls,
                &["2.4", "2.6", "3.4"],
                &["1.7", "2.0", "2.2", "lts"],
            ),
            (
                "\thttp-response set-header Strict-Transport-Security max-age=60 if { ssl_fc }\n",
                hsts,
                &["1.7", "2.0", "lts"],
                &["2.2", "3.4"],
            ),
            (
                "\thttp-after-response set-header Strict-Transport-Security max-age=60 if { ssl_fc }\n",
                hsts,
                &["2.2", "3.4"],
                &["1.7", "2.0", "lts"],
            ),
            (
                "\toption httpchk GET /h HTTP/1.1\\r\\nHost:\\ shop\n",
                by_host,
                &["1.7", "1.8", "2.0"],
                &["2.2", "2.6", "3.4", "lts"],
            ),
            (
                "\toption httpchk GET /h HTTP/1.1\n\thttp-check send hdr Host shop\n",
                by_host,
                &["2.2", "2.6", "3.4", "lts"],
                &["1.7", "1.8", "2.0"],
            ),
        ]);
    }

    #[test]
    fn a_backend_balances_in_one_way() {
        for image in ["haproxy:2.6", "haproxy:3.4", "haproxy"] {
            for way in [
                ("STICKY", "source"),
                ("LB_BALANCE", "first"),
                ("LB_MODE", "tcp"),
            ] {
                let text = rendered(&[("LB_IMG", image), way], &[1]);
                assert!(text.matches("\tbalance ").count() <= 1, "{text}");
            }
        }
    }

    #[test]
    fn everything_at_once_arrives_in_its_place() {
        let given = [
            ("LB_IMG", "haproxy:2.6"),
            ("LB_BALANCE", "leastconn"),
            ("LB_MAXCONN", "1000"),
            ("INSTANCE_MAXCONN", "50"),
            ("LB_TIMEOUT_CONNECT", "2s"),
            ("LB_TIMEOUT_CLIENT", "1m"),
            ("LB_TIMEOUT_SERVER", "1m"),
            ("HEALTH_CHECK", "http:/health,200"),
            ("STICKY", "cookie"),
            ("FORWARDED_FOR", "yes"),
            ("LB_LOG", "stdout"),
            ("TLS_CERT", "/some/cert.pem"),
            ("STATS_PORT", "9000"),
        ];
        assert_eq!(
            rendered(&given, &[1, 2]),
            include_str!("../../tests/golden/everything.cfg")
        );
        let given = [
            ("LB_MODE", "tcp"),
            ("HEALTH_CHECK", "tcp"),
            ("STICKY", "source"),
        ];
        assert_eq!(
            rendered(&given, &[1, 2]),
            include_str!("../../tests/golden/tcp.cfg")
        );
    }

    #[test]
    fn instances_are_told_how_clients_came_and_cookies_go_no_other_way() {
        let plain = [("FORWARDED_FOR", "yes"), ("STICKY", "cookie")];
        let text = rendered(&plain, &[1]);
        let under_tls = [&plain[..], &[("TLS_CERT", "x.pem")]].concat();
        let text_under_tls = rendered(&under_tls, &[1]);
        for (line, text) in [
            ("\thttp-request set-header X-Forwarded-Proto http\n", &text),
            ("\tcookie VCHLB insert indirect nocache httponly\n", &text),
            (
                "\thttp-request set-header X-Forwarded-Proto https\n",
                &text_under_tls,
            ),
            (
                "\tcookie VCHLB insert indirect nocache httponly secure\n",
                &text_under_tls,
            ),
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn clients_without_tls_are_sent_to_the_port_that_has_it() {
        for (port, from, to) in [
            ("443", "80", "scheme https"),
            ("443", "8080", "prefix https://%[req.hdr(host),field(1,:)]"),
            (
                "8443",
                "80",
                "prefix https://%[req.hdr(host),field(1,:)]:8443",
            ),
        ] {
            let given = [
                ("TLS_CERT", "x.pem"),
                ("LB_PORT", port),
                ("LB_REDIRECT_PORT", from),
            ];
            let text = rendered(&given, &[1]);
            let lines = format!(
                "\tbind *:{from}\n\thttp-request redirect {to} code 301 unless {{ ssl_fc }}\n"
            );
            assert!(text.contains(&lines), "{text}");
        }
    }

    #[test]
    fn a_request_of_a_sticky_client_goes_elsewhere_where_its_instance_is_gone() {
        for (given, expected) in [
            (("STICKY", "cookie"), true),
            (("STICKY", "source"), true),
            (("HEALTH_CHECK", "tcp"), true),
            (("LB_BALANCE", "leastconn"), false),
        ] {
            let text = rendered(&[given], &[1]);
            let redispatches = text.contains("\toption redispatch 1\n");
            assert_eq!(redispatches, expected, "{given:?}");
        }
    }

    #[test]
    fn a_service_in_production_is_rendered_for_each_version() {
        for (version, text) in [
            ("1.7", include_str!("../../tests/golden/production-1.7.cfg")),
            ("1.8", include_str!("../../tests/golden/production-1.8.cfg")),
            ("2.0", include_str!("../../tests/golden/production-2.0.cfg")),
            ("2.6", include_str!("../../tests/golden/production-2.6.cfg")),
            ("3.4", include_str!("../../tests/golden/production-3.4.cfg")),
        ] {
            let image = format!("haproxy:{version}");
            let given = [
                ("LB_IMG", image.as_str()),
                ("LB_PORT", "443"),
                ("TLS_CERT", "/some/cert.pem"),
                ("LB_REDIRECT_PORT", "80"),
                ("HSTS", "31536000"),
                ("FORWARDED_FOR", "yes"),
                ("STICKY", "cookie"),
                ("HEALTH_CHECK", "http:/health"),
                ("HEALTH_HOST", "shop.example.com"),
                ("HEALTH_INTERVAL", "1s"),
                ("HEALTH_RISE", "1"),
                ("HEALTH_FALL", "2"),
                ("LB_TIMEOUT_TUNNEL", "1h"),
                ("LB_TIMEOUT_QUEUE", "10s"),
                ("LB_TIMEOUT_HTTP_REQUEST", "10s"),
                ("LB_TIMEOUT_KEEP_ALIVE", "15s"),
                ("STATS_PORT", "9000"),
            ];
            assert_eq!(rendered(&given, &[1, 2]), text, "{version}");
        }
    }

    #[test]
    fn an_own_template_gets_the_model_and_its_settings_travel() {
        let mut own = spec(&[("TEMPLATE", "own.hbs")]);
        own.template = Some("listen x\n\tbind *:{{lb_port}}\n{{#each servers}}\tserver server{{number}} {{address}}:{{../instance_port}}\n{{/each}}".into());
        let text = Config::by_name(&own, &[1, 2]).render().unwrap();
        assert_eq!(
            text,
            "# vch-lb 2 sum=f66dbd26fda922d7 template=764ca27bae3190e2 TEMPLATE=yes\nlisten x\n\tbind *:80\n\tserver server1 web-1:80\n\tserver server2 web-2:80\n"
        );
    }

    #[test]
    fn an_own_template_may_put_the_line_itself() {
        let body = "listen x\n\tbind *:{{lb_port}}\n";
        let texts = [
            body.to_owned(),
            format!("{{{{settings}}}}\n{body}"),
            format!("{{{{#if settings}}}}\n{{{{settings}}}}\n{{{{/if}}}}\n{body}"),
        ]
        .map(|template| {
            let mut own = spec(&[("TEMPLATE", "own.hbs")]);
            own.template = Some(template);
            // The line tells them apart by their digest.
            let text = Config::by_name(&own, &[1]).render().unwrap();
            head::without(&text).to_owned()
        });
        let rendered = "listen x\n\tbind *:80\n";
        assert!(texts.iter().all(|text| text == rendered), "{texts:?}");
    }

    #[test]
    fn the_last_line_of_an_own_template_gets_its_end() {
        let mut own = spec(&[("TEMPLATE", "own.hbs")]);
        own.template = Some("listen x\n\tbind *:{{lb_port}}".into());
        let text = Config::by_name(&own, &[1]).render().unwrap();
        assert!(text.ends_with("\tbind *:80\n"), "{text}");
    }

    #[test]
    fn a_broken_template_is_told_with_its_line() {
        let mut own = spec(&[("TEMPLATE", "own.hbs")]);
        for template in ["global\n{{#if}}\n{{/if}}", "global\n{{nothing}}\n"] {
            own.template = Some(template.into());
            let error = format!("{:#}", Config::by_name(&own, &[1]).render().unwrap_err());
            assert!(error.contains("line 2") || error.contains("2:"), "{error}");
        }
    }
}
