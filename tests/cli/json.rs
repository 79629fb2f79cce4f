//! What `--format json` prints, held against the description in `vch-lb help json`: the only one there is. A key that is missing, is
//! not told, or is of another type fails here; so does a description of what no document ever showed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};
use vch_lb::receipt::{Phase, PhaseTally, Receipt, Tally};

use super::blocks;
use super::readme;
use super::sandbox::{Call, Flavor, Ran, Sandbox};
use super::scene::{on_both, quickly};

/// The type of a value, as the topic tells it.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    String,
    Number,
    Boolean,
    /// One of these.
    Words(Vec<String>),
    Nullable(Box<Shape>),
    List(Box<Shape>),
    Object(BTreeMap<String, Shape>),
    /// An object whose keys are names: all values are alike.
    ByName(Box<Shape>),
}

/// Reads a type from its notation.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn whole(text: &'a str) -> Shape {
        let mut reader = Self { rest: text };
        let shape = reader.shape();
        assert_eq!(reader.rest.trim(), "", "behind the type in {text:?}");
        shape
    }

    fn take(&mut self, token: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        assert!(!word.is_empty(), "no word in {:?}", self.rest);
        self.rest = rest;
        word
    }

    fn shape(&mut self) -> Shape {
        let mut shape = if self.take('[') {
            let inner = self.shape();
            assert!(self.take(']'), "{:?}", self.rest);
            Shape::List(Box::new(inner))
        } else if self.take('{') {
            self.object()
        } else {
            self.words()
        };
        if self.take('?') {
            shape = Shape::Nullable(Box::new(shape));
        }
        shape
    }

    fn object(&mut self) -> Shape {
        let mut keys = BTreeMap::new();
        loop {
            let key = self.word();
            assert!(self.take(':'), "{:?}", self.rest);
            let shape = self.shape();
            if key == "NAME" {
                assert!(self.take('}') && keys.is_empty());
                return Shape::ByName(Box::new(shape));
            }
            keys.insert(key.to_owned(), shape);
            if self.take('}') {
                return Shape::Object(keys);
            }
            assert!(self.take(','), "{:?}", self.rest);
        }
    }

    fn words(&mut self) -> Shape {
        let mut words = vec![self.word().to_owned()];
        while self.take('|') {
            words.push(self.word().to_owned());
        }
        match words[0].as_str() {
            "string" => Shape::String,
            "number" => Shape::Number,
            "boolean" => Shape::Boolean,
            _ => Shape::Words(words),
        }
    }
}

/// What the topic tells of each schema. A line that is further in goes on with the one before.
fn told() -> BTreeMap<String, Shape> {
    let mut schemas = BTreeMap::new();
    let mut schema = "";
    let topic = blocks::topic("json").text;
    let block = readme::block(&topic, "schemas").replace("\n      ", " ");
    for line in block.lines().filter(|line| !line.starts_with("```")) {
        if let Some(key) = line.strip_prefix("  ") {
            let (key, shape) = key.split_once(": ").unwrap();
            let Some(Shape::Object(keys)) = schemas.get_mut(schema) else {
                panic!("a key of no schema: {line}");
            };
            keys.insert(key.to_owned(), Reader::whole(shape));
        } else if !line.is_empty() {
            schema = line.split(':').next().unwrap();
            let only = ("schema".to_owned(), Shape::Words(vec![schema.to_owned()]));
            schemas.insert(schema.to_owned(), Shape::Object([only].into()));
        }
    }
    schemas
}

/// What values showed: which kinds of them there were at which place.
type Seen = BTreeSet<(String, String)>;

impl Shape {
    /// Complains about `value` where it is not of this shape.
    fn check(&self, place: &str, value: &Value, seen: &mut Seen, complaints: &mut Vec<String>) {
        let mut saw = |kind: &str| seen.insert((place.to_owned(), kind.to_owned()));
        match (self, value) {
            (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_)) => {}
            (Self::Words(words), Value::String(word)) if words.contains(word) => {
                saw(word);
            }
            (Self::Nullable(_), Value::Null) => {
                saw("null");
            }
            (Self::Nullable(inner), value) => {
                saw("a value");
                inner.check(place, value, seen, complaints);
            }
            (Self::List(inner), Value::Array(values)) => {
                if !values.is_empty() {
                    saw("an item");
                }
                for value in values {
                    inner.check(&format!("{place}[]"), value, seen, complaints);
                }
            }
            (Self::ByName(inner), Value::Object(values)) => {
                for value in values.values() {
                    inner.check(&format!("{place}.NAME"), value, seen, complaints);
                }
            }
            (Self::Object(keys), Value::Object(values)) => {
                for key in values.keys().filter(|key| !keys.contains_key(*key)) {
                    complaints.push(format!("{place}.{key} is not told"));
                }
                for (key, shape) in keys {
                    let place = format!("{place}.{key}");
                    match values.get(key) {
                        Some(value) => shape.check(&place, value, seen, complaints),
                        None => complaints.push(format!("{place} is missing")),
                    }
                }
            }
            _ => complaints.push(format!("{place} is {value}, told is {self:?}")),
        }
    }

    /// All that a description says there can be.
    fn kinds(&self, place: &str, all: &mut Seen) {
        let mut add = |kind: &str| all.insert((place.to_owned(), kind.to_owned()));
        match self {
            Self::String | Self::Number | Self::Boolean => {}
            Self::Words(words) => {
                for word in words {
                    add(word);
                }
            }
            Self::Nullable(inner) => {
                add("null");
                add("a value");
                inner.kinds(place, all);
            }
            Self::List(inner) => {
                add("an item");
                inner.kinds(&format!("{place}[]"), all);
            }
            Self::ByName(inner) => inner.kinds(&format!("{place}.NAME"), all),
            Self::Object(keys) => {
                for (key, shape) in keys {
                    shape.kinds(&format!("{place}.{key}"), all);
                }
            }
        }
    }
}

/// Holds documents against the topic.
#[derive(Default)]
struct Judge {
    told: BTreeMap<String, Shape>,
    seen: Mutex<Seen>,
}

impl Judge {
    fn new() -> Self {
        Self {
            told: told(),
            ..Self::default()
        }
    }

    #[track_caller]
    fn check(&self, schema: &str, document: &Value) {
        assert_eq!(document["schema"], schema, "{document:#}");
        let shape = self.told.get(schema);
        let shape = shape.unwrap_or_else(|| panic!("the topic does not tell of {schema}"));
        let mut complaints = Vec::new();
        let mut seen = self.seen.lock().unwrap();
        shape.check(schema, document, &mut seen, &mut complaints);
        assert!(complaints.is_empty(), "{complaints:#?}\n{document:#}");
    }

    /// The only document on stdout.
    #[track_caller]
    fn answer(&self, schema: &str, ran: &Ran) -> Value {
        let document = ran.json();
        self.check(schema, &document);
        document
    }

    /// The error on stderr, behind progress and warnings: it begins with a line `{`, and nothing comes after it.
    #[track_caller]
    fn error(&self, ran: Ran, code: i32) -> Value {
        let ran = ran.code(code).stdout("");
        let from = ran.stderr.find("{\n").unwrap_or_else(|| panic!("{ran}"));
        let document: Value = serde_json::from_str(&ran.stderr[from..])
            .unwrap_or_else(|error| panic!("{error}\n{ran}"));
        self.check("vch-lb/error/1", &document);
        assert_eq!(document["exit_code"], code, "{ran}");
        document
    }
}

fn json_of(sandbox: &Sandbox, words: &[&str]) -> Ran {
    sandbox.tool(&[words, &["--format", "json"]].concat())
}

fn quick_json(sandbox: &Sandbox, command: &str, more: &[&str]) -> Ran {
    sandbox.quick(command, &[more, &["--format", "json"]].concat())
}

/// The phases of a change that does not fail.
const CHANGING: [Phase; 5] = [
    Phase::Starting,
    Phase::Reloading,
    Phase::Watching,
    Phase::Draining,
    Phase::Stopping,
];

/// A receipt with all of `phases`: which ones the requests of a short change meet is chance.
fn nothing_got_through(phases: &[Phase]) -> Value {
    let tally = Tally {
        sent: 1,
        failed: 1,
        median_ms: None,
        p99_ms: None,
    };
    let phase = |&phase: &Phase| PhaseTally {
        phase,
        tally: tally.clone(),
    };
    json!(Receipt {
        total: tally.clone(),
        phases: phases.iter().map(phase).collect(),
    })
}

/// A service that nothing is known of but that it runs, and that one of its instances was started again.
fn silence(judge: &Judge, flavor: Flavor) {
    let sandbox = Sandbox::new(flavor);
    sandbox.script_has_run(1);
    let _lb = sandbox.listen_silent("127.50.0.2", 80);
    sandbox.docker(&["restart", "web-1"]).success();
    let status = json_of(&sandbox, &["status"]).success();
    let mut status = judge.answer("vch-lb/status/1", &status);
    // None of today's notes has more to say, line by line.
    if let Some(lines) = status.pointer_mut("/notes/0/lines") {
        *lines = json!(["more"]);
    }
    judge.check("vch-lb/status/1", &status);
}

/// A service's life: what `--dry-run`, `up`, `scale`, `rollout`, `status`, `logs` and `down` answer.
fn life(judge: &Judge, flavor: Flavor) {
    let sandbox = Sandbox::new(flavor);
    let _lb = sandbox.serve();
    let status = |code| {
        judge.answer(
            "vch-lb/status/1",
            &json_of(&sandbox, &["status"]).code(code),
        )
    };
    status(3);
    judge.answer("vch-lb/plan/1", &quick_json(&sandbox, "up", &["--dry-run"]));
    judge.answer("vch-lb/up/1", &quick_json(&sandbox, "up", &[]).success());
    let again = judge.answer("vch-lb/up/1", &quick_json(&sandbox, "up", &[]).success());
    assert_eq!(again["changed"], false);
    status(0);
    let scaled = quick_json(&sandbox, "scale", &["2", "--probe"]).success();
    let mut scaled = judge.answer("vch-lb/up/1", &scaled);
    scaled["probe"] = nothing_got_through(&CHANGING);
    judge.check("vch-lb/up/1", &scaled);
    sandbox.config(json!({"address_delay_inspects": 1000}));
    let nowhere = quick_json(&sandbox, "scale", &["3"]).success();
    let nowhere = judge.answer("vch-lb/up/1", &nowhere);
    assert_eq!(
        (&nowhere["address"], &nowhere["answered"]),
        (&json!(null), &json!(false))
    );
    sandbox.config(json!({"address_delay_inspects": 0}));
    let rollout = ["--instance-img", "httpd:2"];
    let dry = [&rollout[..], &["--dry-run"]].concat();
    judge.answer("vch-lb/plan/1", &quick_json(&sandbox, "rollout", &dry));
    let more = ["--lb-maxconn", "1000", "--dry-run=plan"];
    judge.answer("vch-lb/plan/1", &quick_json(&sandbox, "up", &more));
    let down = json_of(&sandbox, &["down", "--dry-run"]);
    judge.answer("vch-lb/plan/1", &down.success());
    let rolled = quick_json(&sandbox, "rollout", &rollout).success();
    judge.answer("vch-lb/up/1", &rolled);
    for line in json_of(&sandbox, &["logs"]).success().stdout.lines() {
        judge.check("vch-lb/log/1", &serde_json::from_str(line).unwrap());
    }

    // Edited by hand, one instance that never started, and a neighbour on the network.
    let edited = sandbox.path("edited.cfg");
    let text = sandbox.file_in("lb", super::scene::CONFIG).unwrap();
    std::fs::write(&edited, text.replace("maxconn 256", "maxconn 9")).unwrap();
    let to = format!("lb:{}", super::scene::CONFIG);
    sandbox
        .docker(&["cp", edited.to_str().unwrap(), &to])
        .success();
    let create = [
        "create",
        "--name",
        "web-9",
        "--net",
        "web-net",
        "httpd:other",
    ];
    sandbox.docker(&create).success();
    sandbox
        .docker(&["run", "-d", "--name", "other", "--net", "web-net", "httpd"])
        .success();
    status(3);
    judge.answer(
        "vch-lb/plan/1",
        &quick_json(&sandbox, "up", &["--dry-run", "--overwrite"]),
    );
    judge.answer(
        "vch-lb/down/1",
        &quick_json(&sandbox, "down", &[]).success(),
    );
    sandbox.docker(&["rm", "-f", "-v", "other"]).success();
    judge.answer(
        "vch-lb/down/1",
        &quick_json(&sandbox, "down", &[]).success(),
    );
}

/// A load balancer with two ways in.
fn published(judge: &Judge) {
    let sandbox = Sandbox::new(Flavor::Engine);
    let endpoint = format!("tcp://{}:2376", sandbox.address("127.50.0.9"));
    let _host = sandbox.listen("127.50.0.9", 80, 200);
    let json = |words: &[&str]| {
        let words = [words, &["--format", "json"]].concat();
        sandbox.tool_with(&words, |command| command.env("DOCKER_HOST", &endpoint))
    };
    let up = super::scene::quickly("up", &["-n", "1", "--publish-lb", "always"]);
    judge.answer("vch-lb/up/1", &json(&up).success());
    judge.answer("vch-lb/status/1", &json(&["status"]).success());
    // Behind a tunnel somebody answers, and nobody knows who.
    sandbox.config(json!({"sockets": "elsewhere"}));
    let status = judge.answer("vch-lb/status/1", &json(&["status"]).success());
    assert_eq!(status["answers"], Value::Null);
}

/// What needs no service.
fn beside(judge: &Judge, flavor: Flavor) {
    let sandbox = Sandbox::new(flavor);
    let render = json_of(&sandbox, &["render"]).success();
    judge.answer("vch-lb/render/1", &render);
    let settings = json_of(&sandbox, &["settings"]).success();
    judge.answer("vch-lb/settings/1", &settings);
    let doctor = |more: &[&str]| {
        let ran = json_of(&sandbox, &[&["doctor"], more].concat());
        let code = ran.code;
        let document = judge.answer("vch-lb/doctor/1", &ran);
        assert_eq!(document["exit_code"].as_i64(), code.map(i64::from));
    };
    doctor(&[]);
    doctor(&[
        "-n",
        "9999",
        "--external-net",
        "nope",
        "--lb-img",
        "haproxy:1.5",
    ]);
    {
        // By name, and started again: nothing tells whether the address is the same.
        let sandbox = Sandbox::new(flavor);
        let _lb = sandbox.serve();
        sandbox.script_has_run(1);
        if flavor == Flavor::Engine {
            sandbox.docker(&["restart", "web-1"]).success();
        }
        judge.answer("vch-lb/status/1", &json_of(&sandbox, &["status"]).success());
    }
    let words = "Cannot connect to the Docker daemon at tcp://x. Is the docker daemon running?";
    sandbox.config(json!({"unreachable": words}));
    doctor(&[]);
    let failed = json_of(&sandbox, &["status"]);
    let failed = judge.error(failed, 4);
    assert!(failed["docker"].is_string());
    let failed = json_of(&sandbox, &["up", "--docker", "/nowhere/docker"]);
    judge.error(failed, 4);
}

/// Errors that docker has no part in.
fn mistakes(judge: &Judge, flavor: Flavor) {
    let sandbox = Sandbox::new(flavor);
    for words in [
        &["up", "--nope"][..],
        &["nope"],
        &["scale"],
        &["scale", "5", "--lb-port=81"],
        &["up", "--jobs", "many"],
        &["--dry-run", "up"],
        &["up", "--lb-port", "many"],
        &["up", "--settings", "nowhere"],
    ] {
        let error = judge.error(json_of(&sandbox, words), 2);
        assert!(!error["error"].as_str().unwrap().starts_with("error"));
    }
    judge.error(sandbox.tool(&["--format=json", "status", "--nope"]), 2);
    judge.error(json_of(&sandbox, &["logs"]), 1);
}

/// Changes that fail, and what stands then.
fn failures(judge: &Judge, flavor: Flavor) {
    let sandbox = Sandbox::new(flavor);
    let dies = json!({"exits": 1, "logs": ["no such file"]});
    sandbox.config(json!({"images": {"httpd": dies}}));
    let failed = judge.error(quick_json(&sandbox, "up", &["-n", "1"]), 1);
    assert!(failed["logs"][0]["lines"][0].is_string(), "{failed:#}");
    let rule = json!({"when": ["rm"], "stderr": "Error response from daemon: no\n", "exit": 1});
    sandbox.rule(rule);
    let failed = judge.error(quick_json(&sandbox, "up", &["-n", "1"]), 1);
    assert!(failed["standing"][0]["remove"].is_string(), "{failed:#}");

    let sandbox = Sandbox::new(flavor);
    let lb = sandbox.serve();
    sandbox.script_has_run(1);
    let rule = json!({"when": ["run", "web-2"], "hang": "go", "stderr": "no\n", "exit": 125});
    sandbox.rule(rule);
    let words = quickly("scale", &["2", "--probe", "--format", "json"]);
    let tool = sandbox.start(&words);
    sandbox.wait_for_call("run -d -p 80 --name web-2");
    let enough = lb.served() + 10;
    sandbox.wait_until("requests", || (lb.served() >= enough).then_some(()));
    sandbox.release("go");
    let mut failed = judge.error(tool.finish(), 1);
    assert!(
        failed["probe"]["total"]["median_ms"].is_number(),
        "{failed:#}"
    );
    failed["probe"] = nothing_got_through(&[&CHANGING[..], &[Phase::Undoing]].concat());
    judge.check("vch-lb/error/1", &failed);
    let told = || {
        let ran = json_of(&sandbox, &["history"]).success();
        judge.answer("vch-lb/history/1", &ran)
    };
    // One that failed first is all that there is: nothing was there to go back to.
    sandbox.no_rules();
    assert_eq!(told()["entries"][1]["outcome"], "undone");
    quick_json(&sandbox, "scale", &["2"]).success();
    judge.answer(
        "vch-lb/up/1",
        &quick_json(&sandbox, "rollback", &[]).success(),
    );
    sandbox.rule(json!({"when": ["run", "web-3"], "stderr": "no\n", "exit": 125}));
    judge.error(quick_json(&sandbox, "scale", &["3", "--keep"]), 1);
    let mut history = told();
    let outcomes: Vec<&Value> = history["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["outcome"])
        .collect();
    assert_eq!(outcomes, ["found", "undone", "done", "done", "failed"]);
    history["entries"][1]["receipt"] =
        nothing_got_through(&[&CHANGING[..], &[Phase::Undoing]].concat());
    judge.check("vch-lb/history/1", &history);

    // What HAProxy makes of its servers.
    let sandbox = Sandbox::new(flavor);
    let _lb = sandbox.serve();
    let checked = ["--lb-img", "haproxy:2.6", "--health-check", "tcp"];
    quick_json(&sandbox, "up", &checked).success();
    judge.answer("vch-lb/status/1", &json_of(&sandbox, &["status"]).success());
    quick_json(
        &sandbox,
        "up",
        &["--lb-img", "haproxy:2.6", "--lb-balance", "leastconn"],
    )
    .success();
    judge.answer("vch-lb/status/1", &json_of(&sandbox, &["status"]).success());

    // What the load balancer may send to is not to be removed.
    let sandbox = Sandbox::new(flavor);
    let _lb = sandbox.serve();
    sandbox.script_has_run(1);
    for when in [["stop", "web-1"], ["-", "lb:*"]] {
        sandbox.rule(json!({"when": when, "nth": 0, "exit": 1, "stderr": "no such luck"}));
    }
    let failed = quick_json(&sandbox, "rollout", &["--instance-img", "httpd:2"]);
    let failed = judge.error(failed, 1);
    assert!(failed["standing"][0]["remove"].is_null(), "{failed:#}");
}

/// Interrupted, once and twice.
fn interrupted(judge: &Judge, flavor: Flavor) {
    for twice in [false, true] {
        let sandbox = Sandbox::new(flavor);
        sandbox.rule(json!({"when": ["run", "web-1"], "hang": "go"}));
        let mut tool = sandbox.start(&["up", "--format", "json", "--jobs", "1"]);
        sandbox.wait_for_call("run -d -p 80 --name web-1");
        tool.interrupt(2);
        if twice {
            tool.insist(2);
        } else {
            sandbox.release("go");
        }
        let error = judge.error(tool.finish(), 130);
        let standing = error["standing"].as_array().unwrap();
        assert_eq!(standing.is_empty(), !twice, "{error:#}");
        sandbox.release("go");
        sandbox.wait_until("the end of all calls", || {
            let calls = sandbox.calls();
            calls.iter().all(Call::has_ended).then_some(())
        });
    }
}

#[test]
fn every_document_is_as_the_topic_tells() {
    let judge = Judge::new();
    on_both(|flavor| {
        life(&judge, flavor);
        silence(&judge, flavor);
        beside(&judge, flavor);
        if flavor == Flavor::Engine {
            published(&judge);
        }
        mistakes(&judge, flavor);
        failures(&judge, flavor);
        interrupted(&judge, flavor);
    });
    let mut told = Seen::new();
    for (schema, shape) in &judge.told {
        shape.kinds(schema, &mut told);
    }
    let seen = judge.seen.lock().unwrap();
    let never: Vec<_> = told.difference(&seen).collect();
    assert!(never.is_empty(), "told, but never seen: {never:#?}");
}

#[test]
fn a_shape_finds_what_is_not_as_told() {
    let shape = Reader::whole("{a: string, b: [number]?, c: x | y, d: {NAME: {e: boolean}}}");
    let complaints = |value: Value| {
        let mut complaints = Vec::new();
        shape.check("", &value, &mut Seen::new(), &mut complaints);
        complaints.len()
    };
    let good = json!({"a": "", "b": null, "c": "x", "d": {"k": {"e": true}}});
    assert_eq!(complaints(good.clone()), 0);
    for (key, value) in [
        ("a", json!(null)),
        ("a", json!(1)),
        ("b", json!(["1"])),
        ("c", json!("z")),
        ("d", json!({"k": {}})),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert_eq!(complaints(bad.clone()), 1, "{bad}");
    }
    assert_eq!(complaints(json!({})), 4);
}
