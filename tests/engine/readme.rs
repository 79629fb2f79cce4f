//! The console blocks of the README, and then of the topics of `vch-lb help`, are executed in their order, in one shell, and
//! print what they show. Readers of a topic have not exported what the README did: there the shell begins anew.
//!
//! What another run prints differently is taken out of both texts first: see [`VARIES`] and [`in_any_order`]. A line of
//! `…` stands for any lines. A block without any output is only executed. Commands succeed, unless what is shown says
//! otherwise: see [`exit_code`].

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::blocks::{Line, Shown, all_blocks, blocks, documents, root};
use crate::endpoint::Endpoint;
use crate::service::Service;

/// What differs from run to run, and what is compared in its place.
const VARIES: [(&str, &str); 15] = [
    // How long something took, or since when it runs.
    (r"\b\d+ min \d+ s\b|\b\d+(\.\d+)? (s|ms)\b", "TIME"),
    // How many requests the probe came to send; how many of them failed is compared.
    (r"\b\d+ sent\b", "N sent"),
    // When something was done, and by whom.
    (r"\b\d{4}-\d\d-\d\dT[\d:]+Z", "WHEN"),
    (r"\b[\w.-]+@[\w.-]+", "WHO"),
    // Addresses, and ports of the range that docker publishes on.
    (r"\b\d+\.\d+\.\d+\.\d+\b", "ADDRESS"),
    (r"\b(3[2-9]|[45]\d|6[0-5])\d{3}\b", "PORT"),
    // Where docker is, and of which version.
    (r"`/\S*/docker`", "`DOCKER`"),
    (r"version \S+ and speaks API \S+", "version VERSION"),
    (r"Docker Engine \S+ on `?[^`\s]+`?", "Docker Engine VERSION"),
    (r"fingerprint: [0-9a-f]{16}", "fingerprint: DIGITS"),
    // What other programs write into their logs.
    (r"\[\d+/\w+/\d+:[\d:]+ \+\d+\]", "[DATE]"),
    (r"worker \(\d+\)", "worker (N)"),
    (r"(HTTP/1\.1. 200) \d+$", "$1 SIZE"),
    // Who answers first.
    (r"^curl http.*", "curl: an instance answers"),
    // Columns are as wide as the names in them, and the names are this test's own.
    (r" {2,}", " "),
];

/// Blocks that are not executed here, by their first command, and why. `tests/cli/readme.rs` checks as much as it can.
const ELSEWHERE: [(&str, &str); 5] = [
    ("scripts/test", "it runs this test"),
    (
        "cargo install --locked --path .",
        "a release build takes minutes; so does that of scripts/package, below it",
    ),
    (
        "docker login registry.example.com",
        "it needs somebody's registry",
    ),
    (
        "export DOCKER_HOST=vch1.example.com:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=~/vch1",
        "it needs a VCH",
    ),
    (
        "vch-lb up --external-net bridge --publish-lb always",
        "the service of the blocks before is on another network; a_published_service_is_at_the_host deploys one so",
    ),
];

const OLD_SCRIPT: &str = "vch-lb --settings old-script.sh";

#[test]
fn every_block_does_what_it_shows() {
    let (Some(service), Some(shop)) = (Service::new("readme"), Service::new("readme-shop")) else {
        return;
    };
    let session = Session::new(&service, &shop);
    let mut elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(first, _)| *first).collect();
    let mut complaints = String::new();
    for (number, document) in documents().iter().enumerate() {
        if number == 1 {
            session.begins_anew();
        }
        for block in blocks(document) {
            let commands = block.commands();
            let Some(first) = commands.first().map(|shown| shown.command.text.as_str()) else {
                continue;
            };
            if ELSEWHERE.iter().any(|(listed, _)| *listed == first) {
                elsewhere.remove(first);
                continue;
            }
            let compared = commands.iter().any(|shown| !shown.output.is_empty());
            for shown in &commands {
                if let Err(complaint) = session.executed(shown, compared) {
                    writeln!(complaints, "{complaint}\n").unwrap();
                }
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
    assert!(elsewhere.is_empty(), "listed, but not there: {elsewhere:?}");
}

/// The reader's shell: what is exported stays so for the commands after.
struct Session<'a> {
    service: &'a Service,
    shop: &'a Service,
}

impl<'a> Session<'a> {
    /// The shell in its folder, with the files that the texts speak of.
    fn new(service: &'a Service, shop: &'a Service) -> Self {
        fs::create_dir(service.path("bin")).unwrap();
        let tool = Path::new(env!("CARGO_BIN_EXE_vch-lb"));
        symlink(tool, service.path("bin/vch-lb")).unwrap();
        symlink(root().join("scripts"), service.path("scripts")).unwrap();
        let blocks = all_blocks();
        let mut written = blocks.iter().filter_map(|block| match block.file_name() {
            None if block.language == "handlebars" => Some(("own.hbs", block)),
            name => Some((name?, block)),
        });
        written
            .try_for_each(|(name, block)| fs::write(service.path(name), block.text()))
            .unwrap();
        let certificate = include_str!("../fixtures/localhost.pem");
        fs::write(service.path("shop.pem"), certificate).unwrap();
        let script = format!(
            "#!/bin/bash\nINSTANCE_IMG=httpd\nNUM_INSTANCES=2\nLB_PORT=8080\nINSTANCE_CTR_PREFIX={}\n\
             LB_CTR_NAME={}\ndocker pull $INSTANCE_IMG\n",
            shop.prefix, shop.lb
        );
        fs::write(service.path("old-script.sh"), script).unwrap();
        let session = Self { service, shop };
        session.is_on_its_testbed();
        session
    }

    /// What `scripts/demo` starts has to be the testbed that is there already.
    fn is_on_its_testbed(&self) {
        let (code, said) = self.run("scripts/testbed status");
        assert_eq!(
            code,
            Some(0),
            "VCH_LB_TESTBED_NAME has to name the testbed in use:\n{said}"
        );
    }

    /// Forgets what was exported.
    fn begins_anew(&self) {
        fs::remove_file(self.service.path("exported")).unwrap();
    }

    /// Executes a command, and compares what it prints.
    fn executed(&self, shown: &Shown, compared: bool) -> Result<(), String> {
        let typed = self.with_own_names(&shown.command.text);
        let (code, printed) = self.run(&typed);
        let printed = self.with_readmes_names(&printed);
        let result = if code != Some(exit_code(&shown.output)) {
            Err(format!("{}: exit code {code:?}", shown.command.place))
        } else if compared {
            compare(&shown.output, &printed)
        } else {
            Ok(())
        };
        let command = &shown.command.text;
        result.map_err(|complaint| format!("{complaint}\n--- $ {command} printed\n{printed}---"))
    }

    /// Runs a command to its end: its exit code, and what came on stdout and stderr, in that order.
    fn run(&self, typed: &str) -> (Option<i32>, String) {
        let service = self.service;
        let script = format!(
            "[ ! -e exported ] || . ./exported\n{typed}\nrc=$?\nexport -p >exported\nexit $rc\n"
        );
        fs::write(service.path("typed.sh"), script).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let mut bash = self.bash();
        bash.arg("typed.sh")
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let mut child = bash.spawn().unwrap();
        // It holds the writer, without whose end there is none to what is read.
        drop(bash);
        let mut printed = Vec::new();
        reader.read_to_end(&mut printed).unwrap();
        let code = child.wait().unwrap().code();
        (code, String::from_utf8_lossy(&printed).into_owned())
    }

    /// A shell in the service's folder, for a few minutes at most.
    fn bash(&self) -> Command {
        let Service {
            endpoint,
            prefix,
            lb,
            ..
        } = self.service;
        let folder = self.service.path("");
        let mut bash = endpoint.command(Path::new("timeout"), &folder);
        let path = std::env::var("PATH").unwrap_or_default();
        bash.args(["300", "bash"])
            .env("PATH", format!("{}:{path}", folder.join("bin").display()))
            .env("VCH_LB", env!("CARGO_BIN_EXE_vch-lb"))
            .env("INSTANCE_CTR_PREFIX", prefix)
            .env("LB_CTR_NAME", lb)
            .envs(testbed(endpoint))
            .current_dir(folder);
        bash
    }

    fn with_own_names(&self, command: &str) -> String {
        if command.starts_with(OLD_SCRIPT) {
            // The file has names of its own, which the environment's would win over.
            return format!("env -u INSTANCE_CTR_PREFIX -u LB_CTR_NAME {command}");
        }
        let words = command.split(' ').map(|word| match word {
            "lb" => self.service.lb.clone(),
            _ => match word.strip_prefix("web-") {
                Some(number) => format!("{}-{number}", self.service.prefix),
                None => word.to_owned(),
            },
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn with_readmes_names(&self, printed: &str) -> String {
        printed
            .replace(&self.shop.prefix, "shop")
            .replace(&self.service.lb, "lb")
            .replace(&self.service.prefix, "web")
    }
}

/// The settings of scripts/testbed that made this endpoint.
fn testbed(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
    let folder = endpoint.certs.parent().unwrap().display().to_string();
    let octets: Vec<&str> = endpoint.address().split('.').take(2).collect();
    let mut settings = vec![
        ("VCH_LB_TESTBED_DIR", folder),
        ("VCH_LB_TESTBED_NET", octets.join(".")),
    ];
    let name = std::env::var("VCH_LB_TESTBED_NAME");
    settings.extend(name.map(|name| ("VCH_LB_TESTBED_NAME", name)));
    settings
}

/// What a command exits with that prints this.
fn exit_code(output: &[Line]) -> i32 {
    if output.iter().any(|line| line.text.starts_with("error: ")) {
        1
    } else if output.iter().any(|line| line.text.contains(": degraded ")) {
        3
    } else {
        0
    }
}

/// Lines without what varies, in an order that every run has.
fn normal<'a>(lines: impl Iterator<Item = (String, &'a str)>) -> Vec<Line> {
    let varies = VARIES.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name));
    let lines = lines.map(|(place, text)| Line {
        place,
        text: varies
            .iter()
            .fold(text.to_owned(), |text, (pattern, name)| {
                pattern.replace_all(&text, *name).into_owned()
            }),
    });
    in_any_order(lines.collect())
}

/// Steps that go side by side end in any order: those of a new service, instances that are started together, and what goes
/// once the load balancer has ended.
fn in_any_order(mut lines: Vec<Line>) -> Vec<Line> {
    let is_step = |line: &Line| line.text.ends_with("(TIME)");
    for steps in lines.chunk_by_mut(|one, other| is_step(one) && is_step(other)) {
        let side_by_side = ["create network", "stop lb"];
        if steps.iter().any(|step| {
            side_by_side
                .iter()
                .any(|begin| step.text.starts_with(begin))
        }) {
            steps.sort_by(|one, other| one.text.cmp(&other.text));
        }
        let is_run = |line: &Line| line.text.starts_with("run ");
        for started in steps.chunk_by_mut(|one, other| is_run(one) && is_run(other)) {
            started.sort_by(|one, other| one.text.cmp(&other.text));
        }
    }
    lines
}

/// Whether this was printed, and if not, which line says otherwise.
fn compare(shown: &[Line], printed: &str) -> Result<(), String> {
    let shown = normal(
        shown
            .iter()
            .map(|line| (line.place.clone(), line.text.as_str())),
    );
    let printed = normal(printed.lines().map(|line| (String::new(), line)));
    let mut left = printed.as_slice();
    for (part, lines) in shown.split(|line| line.text == "…").enumerate() {
        // Behind a `…` a part may begin anywhere; the last one has to be at the end.
        let starts = if part == 0 { 0..=0 } else { 0..=left.len() };
        let agreeing = |start: &usize| agree(lines, &left[*start..]);
        let start = starts.max_by_key(|start| (agreeing(start), usize::MAX - start));
        let start = start.unwrap_or_default();
        let count = agreeing(&start);
        if let Some(line) = lines.get(count) {
            let instead = left.get(start + count).map(|line| line.text.as_str());
            return Err(differs(line, instead));
        }
        left = &left[start + count..];
    }
    let last = shown.last();
    match (left.first(), last) {
        (Some(more), Some(last)) if last.text != "…" => Err(format!(
            "{}: more is printed below it: {}",
            last.place, more.text
        )),
        (Some(more), None) => Err(format!(
            "nothing is shown, but this is printed: {}",
            more.text
        )),
        _ => Ok(()),
    }
}

/// How many lines two texts begin with alike.
fn agree(shown: &[Line], printed: &[Line]) -> usize {
    let pairs = shown.iter().zip(printed);
    pairs
        .take_while(|(shown, printed)| shown.text == printed.text)
        .count()
}

fn differs(line: &Line, instead: Option<&str>) -> String {
    format!(
        "{} shows:  {}\nbut this is printed: {}",
        line.place,
        line.text,
        instead.unwrap_or("nothing more")
    )
}

#[test]
fn what_differs_is_told_by_its_line() {
    let lines = |text: &str| -> Vec<Line> {
        let lines = (10usize..).zip(text.lines());
        lines
            .map(|(number, text)| Line {
                place: format!("README.md:{number}"),
                text: text.to_owned(),
            })
            .collect()
    };
    let shown = "run web-1 (1.0 s)\nrun web-2 (1.2 s)\n…\ndone in 3 s\n\n10.0.0.1";
    let says = |printed: &str| compare(&lines(shown), printed);
    let same =
        "run web-2 (0.2 s)\nrun web-1 (1 min 2 s)\ndrain lb (2 ms)\ndone in 4.1 s\n\n10.9.8.7";
    assert_eq!(says(same), Ok(()));
    let cases = [
        (
            "run web-1 (1 s)",
            "README.md:11 shows:  run web-2 (TIME)\nbut this is printed: nothing more",
        ),
        (
            "run web-1 (1 s)\nrun web-3 (1 s)",
            "README.md:11 shows:  run web-2 (TIME)\nbut this is printed: run web-3 (TIME)",
        ),
        (
            "run web-1 (1 s)\nrun web-2 (1 s)\ndone in 1 s\nup",
            "README.md:14 shows:  \nbut this is printed: up",
        ),
    ];
    for (printed, complaint) in cases {
        assert_eq!(says(printed), Err(complaint.to_owned()));
    }
    let more = says(&format!("{same}\nbye")).unwrap_err();
    assert_eq!(more, "README.md:15: more is printed below it: bye");
}
