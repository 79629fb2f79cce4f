//! The recording on top of the README, which `scripts/record` makes.

use std::collections::BTreeSet;
use std::fs;

use roxmltree::{Document, Node};

use super::blocks::{readme, root};
use super::readme::is_taken;

const PICTURE: &str = "scripts/demo.svg";

/// What a page that shows it has to load.
const LARGEST: usize = 200_000;

fn picture() -> String {
    fs::read_to_string(root().join(PICTURE)).unwrap()
}

/// Seconds until it begins again.
const LONGEST: f64 = 30.0;

/// What stands in each line of each frame.
fn lines(document: &Document) -> BTreeSet<String> {
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name("text"));
    texts.map(|node| line(&node)).collect()
}

/// The parts of a line have places of their own; between them is at least a blank.
fn line(text: &Node) -> String {
    let parts = text.descendants().filter(Node::is_text);
    let parts: Vec<&str> = parts.map(|part| part.text().unwrap()).collect();
    parts.join(" ")
}

#[test]
fn it_is_on_the_first_screen_and_neither_too_large_nor_too_long() {
    let above: Vec<String> = readme().lines().take(12).map(str::to_owned).collect();
    assert!(
        above.join(" ").contains(&format!("({PICTURE})")),
        "{above:?}"
    );
    let text = picture();
    assert!(text.len() < LARGEST);
    let seconds = text.split("animation:film ").nth(1).unwrap();
    let seconds: f64 = seconds.split('s').next().unwrap().parse().unwrap();
    assert!(seconds <= LONGEST, "{seconds}");
}

#[test]
fn an_img_shows_it() {
    let text = picture();
    let document = Document::parse(&text).unwrap();
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name();
        assert_eq!(name.namespace(), Some("http://www.w3.org/2000/svg"));
        // No script, nothing from elsewhere.
        let known = [
            "svg", "title", "style", "rect", "defs", "g", "use", "text", "tspan",
        ];
        assert!(known.contains(&name.name()), "{name:?}");
        if let Some(target) = node.attribute("href") {
            let id = target.strip_prefix('#').unwrap();
            let named = |node: &Node| node.attribute("id") == Some(id);
            assert!(document.descendants().any(|node| named(&node)), "{target}");
        }
    }
    assert!(!text.contains("url(") && !text.contains("@import"));
}

#[test]
fn its_commands_are_ones_that_the_program_takes() {
    let text = picture();
    let lines = lines(&Document::parse(&text).unwrap());
    let typed: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("$ "))
        .collect();
    // A frame may show a command while it is typed.
    let whole = |line: &&str| {
        !typed
            .iter()
            .any(|other| other.starts_with(*line) && other != line)
    };
    let commands: Vec<&str> = typed.iter().copied().filter(whole).collect();
    for command in &commands {
        is_taken(command);
    }
    let recorder = fs::read_to_string(root().join("scripts/record")).unwrap();
    let scenes = recorder.split("SCENES = [").nth(1).unwrap();
    let scenes = scenes.split(']').next().unwrap();
    let scenes: BTreeSet<&str> = scenes.split('"').skip(1).step_by(2).collect();
    assert_eq!(
        commands.iter().copied().collect::<BTreeSet<_>>(),
        scenes,
        "scripts/record makes it anew"
    );
    for subcommand in ["up", "status", "scale", "rollout"] {
        let start = format!("vch-lb {subcommand}");
        assert!(
            commands.iter().any(|line| line.starts_with(&start)),
            "{commands:?}"
        );
    }
}

#[test]
fn it_ends_well_and_tells_nothing_of_the_machine() {
    let text = picture();
    let lines = lines(&Document::parse(&text).unwrap());
    let receipt = |line: &String| line.starts_with("probe: ") && line.contains(" sent, 0 failed, ");
    assert!(lines.iter().any(receipt));
    for line in &lines {
        assert!(
            !line.contains("error") && !line.contains("warning"),
            "{line}"
        );
        assert!(
            !line.contains("/home") && !line.contains("/root") && !line.contains("/tmp"),
            "{line}"
        );
        if line.starts_with("Docker Engine ") {
            assert!(line.ends_with(" on vm"), "{line}");
        }
        let is_address = |word: &&str| {
            word.split('.')
                .filter(|part| part.parse::<u8>().is_ok())
                .count()
                == 4
        };
        for address in line.split([' ', ':']).filter(is_address) {
            assert!(address.starts_with("10."), "{line}");
        }
    }
}
