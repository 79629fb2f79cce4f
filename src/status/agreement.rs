//! For whatever is there: what `status` calls drift is what `up` with the running settings would change, and the command
//! that it names ends it.

use proptest::prelude::*;

use super::*;
use crate::docker::answer::Network;
use crate::inventory::Kind;
use crate::inventory::tests::{container, engine};
use crate::plan::up::tests::apply;
use crate::plan::up::{Options, plan};
use crate::service::arguments::Arguments;
use crate::service::names::Count;
use crate::service::running::Own;
use crate::service::tests::{settings, spec};
use crate::service::{LABEL, Spec};
use crate::settings::{Settings, TABLE};

/// The images that are there, and what they mean by now.
const IMAGES: [&str; 3] = ["httpd", "httpd:2", "httpd:2.4"];
const FORMER: &str = include_str!("../../tests/golden/former/1/hand-over.cfg");

fn own() -> Own {
    Own {
        arguments: Arguments::default(),
        looked_up: Ok(Arguments::default()),
    }
}

fn states() -> impl Strategy<Value = State> {
    prop_oneof![
        20 => Just(State::Running),
        2 => Just(State::Exited { code: 1 }),
        1 => Just(State::Created),
        1 => Just(State::Starting),
        1 => Just(State::Other("paused".into())),
        1 => Just(State::Other("dead".into())),
    ]
}

prop_compose! {
    fn instances()(found in prop::collection::btree_map(
        1..6_u32,
        (
            states(),
            0..IMAGES.len(),
            prop::bool::weighted(0.8),
            prop_oneof![6 => Just(None), 2 => Just(Some("1 --memory 64m --")), 1 => Just(Some("1  --memory '64m' --"))],
            prop::bool::weighted(0.9),
            0..8_u8,
            0..60_u8,
        ),
        0..5,
    )) -> Vec<Container> {
        found.into_iter().map(|(number, (state, image, new, label, published, place, second))| {
            let networks: &[(&str, &str)] = match place {
                0 => &[],
                1 => &[("bridge", "172.17.0.9")],
                _ => &[("web-net", "172.18.0.2")],
            };
            let mut made = container(&format!("web-{number}"), state, networks, IMAGES[image]);
            made.image_id = if new { "new" } else { "old" }.into();
            made.labels.extend(label.map(|label| (LABEL.to_owned(), label.to_owned())));
            made.started_at = Moment::parse(&format!("2026-01-02T03:00:{second:02}Z"));
            if !published {
                made.published = vec!["8080/tcp".into()];
            }
            made
        }).collect()
    }
}

prop_compose! {
    fn load_balancers()(
        kind in 0..12_u8,
        published in any::<bool>(),
        tuning in prop_oneof![
            Just(None),
            Just(Some(("LB_BALANCE", "leastconn"))),
            Just(Some(("INSTANCE_PORT", "8080"))),
            Just(Some(("STATS_PORT", "9000"))),
        ],
    ) -> (Option<Container>, Vec<(&'static str, &'static str)>) {
        let both = [("routable", "10.0.0.2"), ("web-net", "172.18.0.9")];
        let lb = |state, networks: &[(&str, &str)]| Some(container("lb", state, networks, "haproxy:2.6"));
        let mut lb = match kind {
            0 => None,
            1 => lb(State::Created, &both),
            2 => lb(State::Exited { code: 0 }, &both),
            3 => lb(State::Other("paused".into()), &both),
            4 => lb(State::Running, &both[1..]),
            5 => lb(State::Running, &[("dmz", "10.1.0.2"), ("web-net", "172.18.0.9")]),
            6 => lb(State::Running, &both[..1]),
            _ => lb(State::Running, &both),
        };
        if let Some(lb) = lb.as_mut().filter(|_| !published) {
            lb.published = Vec::new();
        }
        let given: Vec<_> = tuning.into_iter().chain([("LB_IMG", "haproxy:2.6")]).collect();
        (lb, given)
    }
}

/// A load balancer's file, of which `file` tells what happened to it.
fn file(given: &[(&str, &str)], servers: &[Number], file: u8) -> Option<Found> {
    let text = Config::by_name(&spec(given), servers).render().unwrap();
    let found = |text: String| Some(Found::new(text, None, Some((2, 6))));
    match file {
        0 => None,
        1 => found(text + "# mine\n"),
        2 => found(FORMER.to_owned()),
        3 => Some(Found::odd(crate::haproxy::read::Odd::Directory)),
        4 => found("# vch-lb 9 X=y\n".to_owned()),
        _ => found(text),
    }
}

prop_compose! {
    fn inventories()(
        instances in instances(),
        (lb, given) in load_balancers(),
        what in 0..16_u8,
        servers in prop::option::weighted(0.3, prop::collection::btree_set(1..7_u32, 0..6)),
        aside in prop::bool::weighted(0.1),
        vch in prop::bool::weighted(0.2),
        aim in 0..8_u8,
        not_in_force in prop::bool::weighted(0.1),
        written_later in prop::bool::weighted(0.1),
        known in prop::option::of(any::<bool>()),
    ) -> Inventory {
        let spec = spec(&[]);
        let network = |name: &str| Network { name: name.into(), driver: "bridge".into(), ..Network::default() };
        let networks = vec![network("web-net"), network("routable")];
        let mut endpoint = engine();
        if vch {
            endpoint.kind = Kind::Vch;
        }
        let aside = aside.then(|| container("lb-before", State::Exited { code: 0 }, &[("web-net", "")], "haproxy:2.6"));
        let containers = instances.into_iter().chain(lb).chain(aside);
        let mut inventory = Inventory::new(&spec.service, endpoint, networks, containers);
        // Most often it sends to those that are there.
        let servers = servers.unwrap_or_else(|| inventory.instances.keys().copied().collect());
        let servers: Vec<Number> = servers.into_iter().collect();
        inventory.config = file(&given, &servers, what).filter(|_| inventory.lb.is_some());
        let serves = inventory.lb.as_ref().is_some_and(Container::running) && inventory.written_config().is_some();
        let first = inventory.instances.keys().next().copied();
        if let Some(first) = first.filter(|_| serves) {
            inventory.aim = match aim {
                0 => Aim::Off(vec![first]),
                1 => Aim::Unsure(vec![first]),
                _ => Aim::Right,
            };
        }
        inventory.not_in_force = not_in_force && serves;
        inventory.written_later = written_later && serves && !not_in_force;
        inventory.images = IMAGES
            .iter()
            .filter_map(|image| Some(((*image).to_owned(), if known? { "new" } else { "old" }.to_owned())))
            .collect();
        inventory
    }
}

/// What is said of `inventory`, and what `up` has to be told.
fn told(inventory: &Inventory, wanted: Option<usize>) -> (Status, AsItIs) {
    let Spec { service, .. } = spec(&[]);
    let it = || {
        let count = wanted.map(|wanted| Count::parse(&wanted.to_string()).unwrap());
        let defaults = Settings::defaults();
        running::as_it_is(&service, &own(), count, inventory, &defaults)
    };
    let mends = Mends {
        suggest: &Suggest::default(),
        it: it(),
        other_lb: None,
        cert: None,
        now: humantime::parse_rfc3339("2026-01-02T04:04:45Z").unwrap(),
        docker: &|call| format!("docker {call}"),
    };
    let status = status(&service, wanted, &mends, inventory, Vec::new());
    (status, it())
}

/// The settings that a suggested command gives by its flags.
fn given(words: &[String]) -> Vec<(&'static str, String)> {
    let mut given = Vec::new();
    for (word, value) in words.iter().zip(words.iter().skip(1)) {
        let flag = word.strip_prefix("--");
        let setting = flag.and_then(|flag| TABLE.iter().find(|setting| setting.flag() == flag));
        given.extend(setting.map(|setting| (setting.name, value.clone())));
    }
    given
}

/// What `command` makes of `before`; `None` where it is nothing that can be followed here, and what `up` refuses in words.
fn followed(command: &str, before: &Inventory) -> Option<Result<(bool, Inventory), String>> {
    let words = shell_words::split(command).ok()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut options = Options {
        overwrite: words.contains(&"--overwrite"),
        recreate_lb: words.contains(&"--recreate-lb"),
        ..Options::default()
    };
    let mut before = before.clone();
    let spec = match words[..] {
        ["docker", "unpause", name] => {
            let containers = before.instances.values_mut().chain(&mut before.lb);
            for container in containers.filter(|container| container.name == name) {
                container.state = State::Running;
            }
            return Some(Ok((true, before)));
        }
        ["vch-lb", "up", ..] => {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let given = given(&words);
            let given: Vec<_> = given
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let spec = Spec::from_settings(&settings(&given)).ok()?;
            running::with_server_address(spec, &before, options.recreate_lb)
        }
        ["vch-lb", command @ ("scale" | "rollout"), ..] => {
            let defaults = spec(&[]);
            let found = running::spec(&defaults.service, &own(), &before);
            let found = match found {
                Ok(found) => found,
                Err(failure) => return Some(Err(failure.what)),
            };
            if command == "scale" {
                let count = Count::parse(words[2]).unwrap();
                Spec { count, ..found }
            } else {
                options.by_image_id = true;
                options.replace_all = words.contains(&"--force");
                before
                    .images
                    .entry(found.image.to_string())
                    .or_insert_with(|| "new".into());
                found
            }
        }
        _ => return None,
    };
    Some(match plan(&spec, &before, options) {
        Err(failure) => Err(failure.what),
        Ok(plan) if plan.is_empty() => Ok((false, before)),
        Ok(plan) => Ok((true, apply(&plan, &before))),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_status_calls_drift_is_what_up_would_change(
        inventory in inventories(),
        wanted in prop::option::weighted(0.3, 1..5_usize),
    ) {
        let (status, it) = told(&inventory, wanted);
        if inventory.is_empty() {
            return Ok(());
        }
        // What is not told, `up` does not change.
        if status.drift.is_empty() && status.notes.is_empty() {
            let spec = it.spec.as_ref().expect("it can be read off");
            let plan = plan(spec, &inventory, Options::default());
            let plan = plan.map_err(|failure| TestCaseError::fail(failure.what))?;
            prop_assert!(plan.is_empty(), "{:?}", plan.steps);
        }
        // What is told is mended by what it names: nothing of it is told once more.
        for drift in &status.drift {
            let Some(result) = followed(&drift.mend, &inventory) else {
                continue;
            };
            match result {
                // Something else has to be mended before, which is told, too.
                Err(refused) => {
                    let theirs = it.spec.is_err() && refused.contains("does not belong to this service");
                    prop_assert!(theirs || status.drift.len() > 1, "{drift:?}: {refused}");
                }
                Ok((changes, after)) => {
                    prop_assert!(changes, "`{}` does nothing: {}", drift.mend, drift.what);
                    let again: Vec<Drift> = told(&after, wanted).0.drift;
                    let same = again.iter().find(|again| again.what == drift.what);
                    prop_assert!(same.is_none(), "`{}` leaves {}", drift.mend, drift.what);
                }
            }
        }
    }
}
