//! What is seen while a plan is executed: on a terminal, and where there is none.

use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::json;

use crate::sandbox::{Flavor, Sandbox};

/// A running service, and an endpoint that is slow enough for its steps to be seen.
fn slow() -> Sandbox {
    let sandbox = Sandbox::new(Flavor::Engine);
    sandbox.config(json!({
        "client": "28.2.2",
        "images": {"haproxy:1.7": {"exposed": [80]}},
    }));
    sandbox.script_has_run(2);
    sandbox.config(json!({"delays_ms": {"rm": 400, "network": 300}}));
    sandbox
}

#[test]
fn without_a_terminal_each_step_is_one_line_with_its_time() {
    let ran = slow().tool(&["down", "--jobs", "1"]).success().stdout("");
    let labels: Vec<&str> = ran
        .stderr
        .lines()
        .map(|line| line.split(" (").next().unwrap())
        .collect();
    assert_eq!(
        labels,
        [
            "stop lb",
            "remove lb",
            "stop 2 instances",
            "remove 2 instances",
            "remove network web-net"
        ],
        "\n{ran}"
    );
    assert!(ran.stderr.lines().all(|line| line.ends_with(" s)")));
    ran.stderr_lacks("\u{1b}");
}

#[test]
fn quiet_shows_no_step() {
    slow().tool(&["down", "--quiet"]).success().stderr("");
}

/// What a terminal of so many columns received from `vch-lb WORDS`, whose stdout goes to a file.
fn on_terminal(sandbox: &Sandbox, columns: usize, words: &str, term: &str) -> Option<String> {
    let mut command = sandbox.on_terminal(columns, &format!("$tool {words} >stdout"))?;
    let output = command.env("TERM", term).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// What the terminal showed, from the first piece of what it received to the last.
fn screens(seen: &str, columns: usize) -> Vec<String> {
    let mut terminal = vt100::Parser::new(24, u16::try_from(columns).unwrap(), 0);
    let pieces = seen.as_bytes().chunks(16).map(|piece| {
        terminal.process(piece);
        terminal.screen().contents()
    });
    pieces.collect()
}

#[test]
fn a_terminal_sees_running_steps_and_a_bar_and_keeps_the_finished() {
    for (columns, count) in [(80, " 3/5 steps, "), (30, " 3/5, ")] {
        let sandbox = slow();
        let Some(seen) = on_terminal(&sandbox, columns, "down --jobs 1", "xterm") else {
            return;
        };
        assert_eq!(sandbox.read("stdout"), "");
        assert!(seen.contains("\u{1b}[36m"), "{seen:?}");
        let screens = screens(&seen, columns);
        let bar = |screen: &&String| screen.contains(count) && screen.contains('━');
        let with_bar = screens.iter().filter(bar).find(|screen| {
            let mut lines = screen.lines();
            lines.any(|line| line.contains(" remove 2 instances (0."))
                && screen.starts_with("stop lb (0.")
        });
        assert!(with_bar.is_some(), "{seen:?}");
        let last: Vec<&str> = screens.last().unwrap().trim_end().lines().collect();
        let labels: Vec<&str> = last
            .iter()
            .map(|line| line.split(" (").next().unwrap())
            .collect();
        let expected = [
            "stop lb",
            "remove lb",
            "stop 2 instances",
            "remove 2 instances",
            "remove network web-net",
        ];
        assert_eq!(labels, expected, "{last:#?}");
    }
}

/// What a terminal shows while an endpoint with nothing on it gets a service.
fn pulling(columns: usize) -> Option<Vec<String>> {
    let sandbox = Sandbox::new(Flavor::Engine);
    let _lb = sandbox.serve();
    sandbox.config(json!({
        "client": "28.2.2",
        "images": {"haproxy:1.7": {"layers": 3, "exposed": [80]}},
        "delays_ms": {"pull_line": 300},
    }));
    let seen = on_terminal(&sandbox, columns, "up -n 1", "xterm")?;
    Some(screens(&seen, columns))
}

#[test]
fn a_pull_shows_how_many_layers_are_there() {
    for (columns, begun, some) in [
        (
            80,
            " pull haproxy:1.7 (0 of 3 layers, ",
            " pull haproxy:1.7 (2 of 3 layers, ",
        ),
        (30, " pull ha..xy:1.7 (0/3, ", " pull ha..xy:1.7 (2/3, "),
    ] {
        let Some(screens) = pulling(columns) else {
            return;
        };
        let place = |text: &str| {
            let shows = |screen: &String| screen.contains(text);
            screens.iter().position(shows)
        };
        let last = screens.last().unwrap();
        assert!(place(begun).is_some(), "{last}");
        assert!(place(some) > place(begun), "{last}");
        // What is done is one line with its time, as everywhere.
        assert!(last.contains("pull haproxy:1.7 ("), "{last}");
        assert!(!last.contains("/3") && !last.contains("layers"), "{last}");
    }
}

#[test]
fn progress_can_be_without_colour() {
    let sandbox = slow();
    let Some(seen) = on_terminal(&sandbox, 80, "--color never down", "xterm") else {
        return;
    };
    assert!(
        seen.contains("━") && !seen.contains("\u{1b}[36m"),
        "{seen:?}"
    );
    assert!(!seen.contains("\u{1b}[2m"), "{seen:?}");
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let sandbox = slow();
    let Some(seen) = on_terminal(&sandbox, 80, "down", "dumb") else {
        return;
    };
    assert!(!seen.contains('\u{1b}') && !seen.contains('━'), "{seen:?}");
    assert!(seen.contains("remove lb ("), "{seen:?}");
}

/// What the terminal echoes of it must not push a line up that is being drawn: it would stay.
#[test]
fn nothing_that_was_running_stays_on_the_terminal_after_ctrl_c() {
    let sandbox = slow();
    sandbox.config(json!({"delays_ms": {"run": 700}}));
    // The shell has the same terminal, and waits for the end.
    let shell = "trap : INT; $tool scale 4 --jobs 2 >stdout; echo $? >code; mv code ended";
    let Some(mut command) = sandbox.on_terminal(80, shell) else {
        return;
    };
    let mut script = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut seen = script.stdout.take().unwrap();
    let received = std::thread::spawn(move || {
        let mut received = Vec::new();
        seen.read_to_end(&mut received).map(|_| received)
    });
    sandbox.wait_for_call("run -d -p 80 --name web-3");
    let mut keys = script.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    keys.flush().unwrap();
    let ended = sandbox.path("work").join("ended");
    sandbox.wait_until("the end", || ended.exists().then_some(()));
    drop(keys);
    script.wait().unwrap();
    let received = received.join().unwrap().unwrap();
    let received = String::from_utf8(received).unwrap();
    assert_eq!(sandbox.read("ended").trim(), "130", "{received:?}");
    assert!(received.contains("^C"), "{received:?}");
    let last = screens(&received, 80).pop().unwrap();
    let spins = |line: &&str| !line.is_ascii() || line.contains("steps");
    assert_eq!(last.lines().find(spins), None, "{last}");
    let begun = |line: &&str| line.trim_start_matches("^C").starts_with("run web-3 (");
    assert!(last.lines().filter(begun).count() <= 1, "{last}");
}
