use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::change::schedule::simulate;
use crate::docker::answer::Network;
use crate::haproxy::Config;
use crate::haproxy::read::Found;
use crate::inventory::tests::{container, engine};
use crate::inventory::{Aim, Container, State};
use crate::plan::Action;
use crate::service::LABEL;
use crate::service::names::{ImageRef, Number};
use crate::service::tests::spec;

fn wanted(count: usize) -> Spec {
    spec(&[("NUM_INSTANCES", &count.to_string())])
}

/// Whether HAProxy checks the instances.
fn wanted_checked(count: usize, checks: bool) -> Spec {
    let check = if checks { "http:/health" } else { "none" };
    spec(&[
        ("NUM_INSTANCES", &count.to_string()),
        ("HEALTH_CHECK", check),
    ])
}

fn nothing(spec: &Spec) -> Inventory {
    Inventory::new(&spec.service, engine(), Vec::new(), Vec::new())
}

fn bridge() -> Network {
    Network {
        name: "web-net".into(),
        driver: "bridge".into(),
        ..Network::default()
    }
}

fn instance(number: Number, state: State, image: &str) -> Container {
    let name = format!("web-{number}");
    container(&name, state, &[("web-net", "172.18.0.2")], image)
}

fn config(spec: &Spec, servers: &[Number]) -> Found {
    let text = Config::by_name(spec, servers).render().unwrap();
    Found::new(text, None, spec.lb_version)
}

/// The endpoint as it is once an action was done, as far as plans look at it; panics where it would hurt the service.
fn act(action: &Action, spec: &Spec, inventory: &mut Inventory) {
    let image = |image: &ImageRef| (image.to_string(), format!("id-of-{image}"));
    match action {
        Action::Pull(pulled) => {
            let (name, id) = image(pulled);
            inventory.images.insert(name, id);
        }
        Action::CreateNetwork => {
            assert!(inventory.bridge.is_none(), "it is there");
            inventory.bridge = Some(bridge());
        }
        Action::Run(number) => {
            assert!(inventory.bridge.is_some(), "its network is missing");
            let mut made = instance(*number, State::Running, spec.image.as_str());
            made.published = vec![format!("{}/tcp", spec.instance_port)];
            let label = spec.label().map(|label| (LABEL.to_owned(), label));
            made.labels = label.into_iter().collect();
            if let Some(id) = inventory.images.get(spec.image.as_str()) {
                made.image_id.clone_from(id);
            }
            let before = inventory.instances.insert(*number, made);
            assert!(before.is_none(), "the name is taken");
        }
        Action::Start(number) => {
            inventory.instances.get_mut(number).unwrap().state = State::Running;
        }
        Action::CreateLb { publish } => {
            assert!(inventory.lb.is_none(), "the name is taken");
            let networks = [(spec.external_net().as_str(), "")];
            let mut made = container("lb", State::Created, &networks, spec.lb_image.as_str());
            made.published = publish.iter().map(|port| format!("{port}/tcp")).collect();
            inventory.lb = Some(made);
            inventory.config = None;
        }
        Action::ConnectLb => {
            let lb = inventory.lb.as_mut().unwrap();
            assert_eq!(lb.state, State::Created, "a VCH would not connect it");
            lb.networks.push(("web-net".into(), "172.18.0.9".into()));
        }
        Action::CopyConfig(servers) => {
            assert!(!inventory.lb.as_ref().unwrap().running());
            inventory.config = Some(config(spec, servers));
        }
        Action::StartLb => {
            let lb = inventory.lb.as_mut().unwrap();
            assert!(lb.is_on("web-net"), "it would find no instance");
            lb.state = State::Running;
            inventory.aim = Aim::Right;
            all_resolve(inventory);
        }
        Action::Reload(servers) => {
            assert!(inventory.lb.as_ref().unwrap().running());
            inventory.config = Some(config(spec, servers));
            inventory.aim = Aim::Right;
            inventory.not_in_force = false;
            inventory.written_later = false;
            all_resolve(inventory);
        }
        Action::AwaitService | Action::AwaitReady(_) => {
            for instance in inventory.instances.values_mut() {
                if instance.state == State::Starting {
                    instance.state = State::Running;
                }
            }
        }
        Action::Stop(numbers) => {
            for number in numbers {
                inventory.instances.get_mut(number).unwrap().state = State::Exited { code: 0 };
            }
        }
        Action::Remove(numbers) => {
            for number in numbers {
                let removed = inventory.instances.remove(number).unwrap();
                assert!(!removed.running(), "it is stopped first");
            }
        }
        Action::StopLb => {
            inventory.lb.as_mut().unwrap().state = State::Exited { code: 0 };
        }
        Action::SetLbAside => {
            assert!(inventory.lb_aside.is_none(), "the name is taken");
            inventory.lb_aside = inventory.lb.take();
        }
        Action::RemoveLb => {
            let removed = inventory.lb.take().unwrap();
            assert_eq!(removed.state, State::Created, "it has served");
        }
        Action::RemoveLbAside => inventory.lb_aside = None,
        Action::Watch(_) | Action::Drain => {}
        other => panic!("{other:?} is nothing that makes an endpoint match"),
    }
}

fn in_config(inventory: &Inventory) -> Vec<Number> {
    inventory
        .written_config()
        .map(Config::numbers)
        .unwrap_or_default()
}

/// HAProxy neither starts nor reloads with a name that does not resolve.
fn all_resolve(inventory: &Inventory) {
    for number in in_config(inventory) {
        let instance = inventory.instances.get(&number);
        let resolves =
            instance.is_some_and(|found| matches!(found.state, State::Running | State::Starting));
        assert!(resolves, "web-{number} does not resolve");
    }
}

pub(crate) fn apply(plan: &Plan, before: &Inventory) -> Inventory {
    let mut inventory = before.clone();
    for action in plan.actions() {
        act(action, plan.spec().unwrap(), &mut inventory);
    }
    inventory
}

fn actions(spec: &Spec, inventory: &Inventory) -> Vec<Action> {
    let plan = plan(spec, inventory, Options::default()).unwrap();
    plan.actions().cloned().collect()
}

fn complete(spec: &Spec) -> Inventory {
    let plan = plan(spec, &nothing(spec), Options::default()).unwrap();
    apply(&plan, &nothing(spec))
}

#[test]
fn from_nothing_to_everything_in_the_scripts_order() {
    let spec = wanted(2);
    assert_eq!(
        actions(&spec, &nothing(&spec)),
        [
            Action::Pull(spec.image.clone()),
            Action::Pull(spec.lb_image.clone()),
            Action::CreateNetwork,
            Action::Run(1),
            Action::Run(2),
            Action::CreateLb {
                publish: Vec::new(),
            },
            Action::ConnectLb,
            Action::CopyConfig(vec![1, 2]),
            Action::StartLb,
            Action::AwaitService,
        ]
    );
    assert_eq!(actions(&spec, &complete(&spec)), []);
}

#[test]
fn from_each_state_with_the_least_that_helps() {
    use Action::{
        AwaitReady, AwaitService, CopyConfig, Drain, Reload, Remove, Run, Start, StartLb, Stop,
        Watch,
    };
    let two = wanted(2);
    let exited = State::Exited { code: 1 };
    let change = |damage: &dyn Fn(&mut Inventory)| {
        let mut inventory = complete(&two);
        damage(&mut inventory);
        inventory
    };
    let stopped = change(&|inventory| {
        inventory.instances.get_mut(&2).unwrap().state = exited.clone();
    });
    let removed = change(&|inventory| drop(inventory.instances.remove(&1)));
    let lb_stopped = change(&|inventory| {
        inventory.lb.as_mut().unwrap().state = exited.clone();
    });
    let lb_empty = change(&|inventory| {
        inventory.lb.as_mut().unwrap().state = exited.clone();
        inventory.config = None;
    });
    let stale = change(&|inventory| inventory.aim = Aim::Off(vec![1]));
    let outdated = change(&|inventory| {
        let old = instance(1, State::Running, "httpd:old");
        inventory.instances.insert(1, old);
    });
    let complete = complete(&two);
    for (what, spec, inventory, expected) in [
        (
            "an instance stopped",
            &two,
            &stopped,
            vec![Start(2), AwaitReady(vec![2]), Reload(vec![1, 2])],
        ),
        (
            "an instance is gone",
            &two,
            &removed,
            vec![Run(1), AwaitReady(vec![1]), Reload(vec![1, 2])],
        ),
        (
            "the load balancer stopped",
            &two,
            &lb_stopped,
            vec![StartLb, AwaitService],
        ),
        (
            "the load balancer lost its file",
            &two,
            &lb_empty,
            vec![CopyConfig(vec![1, 2]), StartLb, AwaitService],
        ),
        (
            "an instance started behind its back",
            &two,
            &stale,
            vec![Reload(vec![1, 2])],
        ),
        (
            "more",
            &wanted(3),
            &complete,
            vec![Run(3), AwaitReady(vec![3]), Reload(vec![1, 2, 3])],
        ),
        (
            "fewer",
            &wanted(1),
            &complete,
            vec![Reload(vec![1]), Drain, Stop(vec![2]), Remove(vec![2])],
        ),
        (
            "another image",
            &two,
            &outdated,
            vec![
                Run(3),
                AwaitReady(vec![3]),
                Reload(vec![2, 3]),
                Watch(vec![2, 3]),
                Drain,
                Stop(vec![1]),
                Remove(vec![1]),
            ],
        ),
    ] {
        let planned = actions(spec, inventory);
        let planned: Vec<Action> = planned
            .into_iter()
            .filter(|action| !matches!(action, Action::Pull(_)))
            .collect();
        assert_eq!(planned, expected, "{what}");
    }
}

#[test]
fn where_haproxy_checks_nobody_leaves_before_the_successors_have_passed() {
    use Action::{AwaitReady, Drain, Reload, Remove, Run, Stop, Watch};
    let two = wanted_checked(2, true);
    let complete = complete(&two);
    let rollout = Options {
        replace_all: true,
        ..Options::default()
    };
    let stop_first = Options {
        stop_first: true,
        ..rollout
    };
    for (what, spec, inventory, options, expected) in [
        (
            "one by one",
            &two,
            &complete,
            rollout,
            vec![
                Run(3),
                AwaitReady(vec![3]),
                Reload(vec![1, 2, 3]),
                Watch(vec![3]),
                Run(4),
                AwaitReady(vec![4]),
                Reload(vec![2, 3, 4]),
                Watch(vec![4]),
                Reload(vec![3, 4]),
                Watch(vec![3, 4]),
                Drain,
                Stop(vec![1, 2]),
                Remove(vec![1, 2]),
            ],
        ),
        (
            "those that leave first do",
            &two,
            &complete,
            Options {
                batch: 2,
                ..stop_first
            },
            vec![
                Stop(vec![1, 2]),
                Run(3),
                Run(4),
                AwaitReady(vec![3, 4]),
                Reload(vec![3, 4]),
                Watch(vec![3, 4]),
                Watch(vec![3, 4]),
                Drain,
                Remove(vec![1, 2]),
            ],
        ),
    ] {
        let plan = plan(spec, inventory, options).unwrap();
        let planned: Vec<Action> = plan.actions().cloned().collect();
        assert_eq!(planned, expected, "{what}");
    }
}

#[test]
fn what_is_new_to_haproxys_checks_is_watched() {
    use Action::{AwaitReady, Drain, Reload, Remove, Run, Stop, Watch};
    let two = wanted_checked(2, true);
    let (unchecked, complete) = (complete(&wanted(2)), complete(&two));
    let rollout = Options {
        replace_all: true,
        batch: 2,
        ..Options::default()
    };
    for (what, spec, inventory, options, expected) in [
        (
            "more",
            &wanted_checked(3, true),
            &complete,
            Options::default(),
            vec![
                Run(3),
                AwaitReady(vec![3]),
                Reload(vec![1, 2, 3]),
                Watch(vec![3]),
            ],
        ),
        (
            "fewer",
            &wanted_checked(1, true),
            &complete,
            Options::default(),
            vec![Reload(vec![1]), Drain, Stop(vec![2]), Remove(vec![2])],
        ),
        (
            "a check that is new",
            &two,
            &unchecked,
            Options::default(),
            vec![Reload(vec![1, 2]), Watch(vec![1, 2])],
        ),
        (
            "a check that is new, for one more",
            &wanted_checked(3, true),
            &unchecked,
            Options::default(),
            vec![
                Run(3),
                AwaitReady(vec![3]),
                Reload(vec![1, 2, 3]),
                Watch(vec![1, 2, 3]),
            ],
        ),
        (
            "a check that is new, and made for other instances",
            &two,
            &unchecked,
            rollout,
            vec![
                Run(3),
                Run(4),
                AwaitReady(vec![3, 4]),
                Reload(vec![1, 2, 3, 4]),
                Watch(vec![3, 4]),
                Reload(vec![3, 4]),
                Watch(vec![3, 4]),
                Drain,
                Stop(vec![1, 2]),
                Remove(vec![1, 2]),
            ],
        ),
    ] {
        let plan = plan(spec, inventory, options).unwrap();
        let planned: Vec<Action> = plan.actions().cloned().collect();
        assert_eq!(planned, expected, "{what}");
    }
}

#[test]
fn side_by_side_it_takes_as_long_as_the_longest_way() {
    let spec = wanted(8);
    let plan = plan(&spec, &nothing(&spec), Options::default()).unwrap();
    let second = |action: &Action| Duration::from_secs(u64::from(!action.waits()));
    // 2 pulls, the network, 8 instances, create, connect, copy, start.
    assert_eq!(simulate(&plan, 1, second), Duration::from_secs(15));
    // The longest way: pull, create, connect, copy, start.
    assert_eq!(simulate(&plan, 64, second), Duration::from_secs(5));
    // Four at a time: the instances fill all places twice, then the load balancer is made.
    assert_eq!(simulate(&plan, 4, second), Duration::from_secs(6));
}

/// How many steps follow on each other at `jobs`, waiting not counted.
fn depth(spec: &Spec, inventory: &Inventory, options: Options, jobs: usize) -> u64 {
    let plan = plan(spec, inventory, options).unwrap();
    let second = |action: &Action| Duration::from_secs(u64::from(!action.waits()));
    simulate(&plan, jobs, second).as_secs()
}

#[test]
fn scaling_takes_as_many_steps_as_one_instance_does() {
    let options = Options::default();
    let two = complete(&wanted(2));
    // Three run; the reload.
    assert_eq!(depth(&wanted(5), &two, options, 1), 4);
    assert_eq!(depth(&wanted(5), &two, options, 64), 2);
    // The reload, stop, remove.
    let five = complete(&wanted(5));
    assert_eq!(depth(&wanted(2), &five, options, 1), 3);
    assert_eq!(depth(&wanted(2), &five, options, 64), 3);
}

#[test]
fn in_a_rollout_the_next_batch_starts_while_the_last_one_comes_in() {
    let options = Options {
        replace_all: true,
        ..Options::default()
    };
    let four = complete(&wanted(4));
    // Four times run and reload; stop, remove.
    assert_eq!(depth(&wanted(4), &four, options, 1), 10);
    // Run, three times a reload beside the next run, the last reload; stop, remove.
    assert_eq!(depth(&wanted(4), &four, options, 2), 7);
    let by_two = Options {
        batch: 2,
        ..options
    };
    assert_eq!(depth(&wanted(4), &four, by_two, 64), 5);
    // Those that leave first make their successors wait.
    let stop_first = Options {
        stop_first: true,
        ..options
    };
    let alone = depth(&wanted(4), &four, stop_first, 1);
    assert_eq!(depth(&wanted(4), &four, stop_first, 64), alone);
}

#[test]
fn a_published_port_can_not_be_moved_away_from_under_its_clients() {
    let mut published = complete(&wanted(1));
    let lb = published.lb.as_mut().unwrap();
    lb.published = vec!["80/tcp".into()];
    assert!(plan(&wanted(1), &published, Options::default()).is_ok());
    let moved = |publish: &str| {
        let spec = spec(&[
            ("NUM_INSTANCES", "1"),
            ("LB_PORT", "81"),
            ("PUBLISH_LB", publish),
        ]);
        plan(&spec, &published, Options::default())
    };
    for publish in ["auto", "always"] {
        let refusal = moved(publish).unwrap_err();
        assert!(
            refusal.what.contains("without publishing port 81"),
            "{refusal:?}"
        );
    }
    assert!(moved("never").is_ok());
}

#[test]
fn instances_on_another_port_come_all_at_once() {
    let two = complete(&wanted(2));
    for check in ["none", "tcp"] {
        let spec = spec(&[
            ("NUM_INSTANCES", "3"),
            ("INSTANCE_PORT", "8080"),
            ("HEALTH_CHECK", check),
        ]);
        let planned = actions(&spec, &two);
        let sent_to: Vec<&Action> = planned
            .iter()
            .filter(|action| matches!(action, Action::Reload(_)))
            .collect();
        assert_eq!(sent_to, [&Action::Reload(vec![3, 4, 5])], "{planned:?}");
    }
}

fn states() -> impl Strategy<Value = State> {
    prop_oneof![
        4 => Just(State::Running),
        1 => Just(State::Starting),
        1 => Just(State::Created),
        2 => Just(State::Exited { code: 137 }),
    ]
}

prop_compose! {
    fn instances()(found in prop::collection::btree_map(
        1..7_u32,
        (states(), prop::bool::weighted(0.7), prop::bool::weighted(0.9)),
        0..6,
    )) -> Vec<Container> {
        found
            .into_iter()
            .map(|(number, (state, current, published))| {
                let mut found = instance(number, state, if current { "httpd" } else { "nginx" });
                if !published {
                    found.published = vec!["8080/tcp".into()];
                }
                found
            })
            .collect()
    }
}

prop_compose! {
    fn load_balancers()(
        kind in 0..5_u8,
        servers in prop::option::of(prop::collection::btree_set(1..7_u32, 0..6)),
        port in prop_oneof![Just("80"), Just("81")],
    ) -> (Option<Container>, Option<Found>) {
        let both = [("routable", "10.0.0.2"), ("web-net", "172.18.0.9")];
        let lb = |state, networks: &[(&str, &str)]| Some(container("lb", state, networks, "haproxy:1.7"));
        let lb = match kind {
            0 => None,
            1 => lb(State::Created, &both[..1]),
            2 => lb(State::Created, &both),
            3 => lb(State::Running, &both),
            _ => lb(State::Exited { code: 0 }, &both),
        };
        let written = spec(&[("LB_PORT", port)]);
        let file = servers.map(|servers| config(&written, &servers.into_iter().collect::<Vec<_>>()));
        let file = file.filter(|_| lb.is_some());
        (lb, file)
    }
}

prop_compose! {
    fn inventories()(
        instances in instances(),
        (lb, file) in load_balancers(),
        network in any::<bool>(),
        stale in any::<bool>(),
    ) -> Inventory {
        let spec = wanted(1);
        let needs_network = !instances.is_empty() || lb.as_ref().is_some_and(|lb| lb.is_on("web-net"));
        let networks = (network || needs_network).then(bridge).into_iter().collect();
        let containers = instances.into_iter().chain(lb);
        let mut inventory =
            Inventory::new(&spec.service, engine(), networks, containers);
        let running = inventory.lb.as_ref().is_some_and(Container::running);
        if stale && running {
            inventory.aim = Aim::Unsure(vec![1]);
        }
        inventory.config = file;
        inventory
    }
}

fn options() -> impl Strategy<Value = Options> {
    (1..4_usize, any::<bool>()).prop_map(|(batch, stop_first)| Options {
        batch,
        stop_first,
        overwrite: true,
        ..Options::default()
    })
}

/// After the plan for `spec` all is as wanted, and nothing is left to do.
fn one_plan_is_enough(before: &Inventory, options: Options, spec: &Spec) {
    let first = plan(spec, before, options).unwrap();
    let after = apply(&first, before);
    assert_eq!(after.instances.len(), spec.count.get());
    assert!(after.instances.values().all(Container::running));
    assert!(after.lb.as_ref().is_some_and(Container::running));
    let numbers: Vec<Number> = after.instances.keys().copied().collect();
    assert_eq!(in_config(&after), numbers);
    let second = plan(spec, &after, options).unwrap();
    assert!(second.is_empty(), "{:?}", second.steps);
}

#[test]
fn foreign_instances_behind_a_file_of_nobodys_are_replaced_by_one_plan() {
    let spec = wanted(1);
    let both = [("routable", "10.0.0.2"), ("web-net", "172.18.0.9")];
    let instances = [1, 4].map(|number| {
        let mut found = instance(number, State::Running, "nginx");
        found.published = vec!["8080/tcp".into()];
        found
    });
    let lb = container("lb", State::Running, &both, "haproxy:1.7");
    let containers = instances.into_iter().chain([lb]);
    let before = Inventory::new(&spec.service, engine(), vec![bridge()], containers);
    let options = Options {
        batch: 1,
        stop_first: true,
        overwrite: true,
        ..Options::default()
    };
    one_plan_is_enough(&before, options, &spec);
}

proptest! {
    // A case that fails is printed; the ones worth keeping become named tests, not a file beside the sources.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_there_one_plan_is_enough(
        before in inventories(),
        options in options(),
        count in 1..6_usize,
        checks in any::<bool>(),
    ) {
        one_plan_is_enough(&before, options, &wanted_checked(count, checks));
    }

    #[test]
    fn a_running_service_never_sends_to_fewer_than_it_did_or_should(
        before in inventories(),
        batch in 1..4_usize,
        count in 1..6_usize,
        checks in any::<bool>(),
    ) {
        let mut before = before;
        let both = [("routable", "10.0.0.2"), ("web-net", "172.18.0.9")];
        before.lb = Some(container("lb", State::Running, &both, "haproxy:1.7"));
        before.bridge = Some(bridge());
        let spec = wanted_checked(count, checks);
        let options = Options { batch, overwrite: true, ..Options::default() };
        let ready = |inventory: &Inventory| {
            let runs = |number: &Number| inventory.instances.get(number).is_some_and(Container::running);
            in_config(inventory).iter().filter(|number| runs(number)).count()
        };
        let least = ready(&before).min(count);
        let mut now = before.clone();
        for action in plan(&spec, &before, options).unwrap().actions() {
            act(action, &spec, &mut now);
            prop_assert!(ready(&now) >= least, "{:?} leaves {} of {least}", action, ready(&now));
        }
    }

    #[test]
    fn more_jobs_never_take_longer_than_one(
        before in inventories(),
        count in 1..6_usize,
        jobs in 1..8_usize,
    ) {
        let plan = plan(&wanted(count), &before, Options { overwrite: true, ..Options::default() }).unwrap();
        for (id, step) in plan.steps.iter().enumerate() {
            prop_assert!(step.needs.iter().all(|&need| need < id));
        }
        let length = |action: &Action| Duration::from_secs(if action.waits() { 1 } else { 5 });
        let alone: Duration = plan.actions().map(length).sum();
        prop_assert_eq!(simulate(&plan, 1, length), alone);
        prop_assert!(simulate(&plan, jobs, length) <= alone);
    }
}

#[test]
fn each_setting_of_the_load_balancer_that_changes_is_told() {
    let reasons = |before: &[(&str, &str)], after: &[(&str, &str)]| {
        let found = complete(&spec(before));
        plan(&spec(after), &found, Options::default())
            .unwrap()
            .reasons
    };
    let modern = ("LB_IMG", "haproxy:2.6");
    let to_stdout = [modern, ("LB_LOG", "stdout")];
    assert_eq!(reasons(&to_stdout, &[modern]), ["LB_LOG: stdout → syslog"]);
    assert_eq!(reasons(&[modern], &to_stdout), ["LB_LOG: syslog → stdout"]);
    assert_eq!(
        reasons(
            &[],
            &[
                ("LB_PORT", "81"),
                ("STATS_PORT", "9000"),
                ("LB_MAXCONN", "9")
            ]
        ),
        [
            "LB_PORT: 80 → 81",
            "LB_MAXCONN: 256 → 9",
            "STATS_PORT: unset → 9000"
        ]
    );
    assert_eq!(
        reasons(&[], &[("INSTANCE_PORT", "8080")]),
        [
            "`web-1`, `web-2` and `web-3`: to be replaced",
            "INSTANCE_PORT: 80 → 8080"
        ]
    );
    let none: [&str; 0] = [];
    assert_eq!(reasons(&to_stdout, &to_stdout), none);
    let deployed = plan(&spec(&to_stdout), &nothing(&wanted(3)), Options::default()).unwrap();
    assert_eq!(deployed.reasons, none);
}

#[test]
fn a_port_of_the_endpoint_is_not_given_to_a_second_instance() {
    let with = |arguments: &str, count: usize| {
        spec(&[
            ("INSTANCE_ARGS", arguments),
            ("NUM_INSTANCES", &count.to_string()),
            ("INSTANCE_IMG", "httpd:2"),
        ])
    };
    let running = |label: Option<String>| {
        let spec = wanted(1);
        let mut inventory = complete(&spec);
        let instance = inventory.instances.get_mut(&1).unwrap();
        instance.labels = label
            .map(|label| (LABEL.to_owned(), label))
            .into_iter()
            .collect();
        inventory
    };
    let stop_first = Options {
        stop_first: true,
        ..Options::default()
    };
    let fixed = with("-p 9090:9090", 1);
    let same = running(fixed.label());
    let refusal = plan(&fixed, &same, Options::default()).unwrap_err();
    assert!(refusal.what.contains("beside `web-1`"), "{}", refusal.what);
    assert!(refusal.hints[0].to_string().contains("--stop-first"));
    assert!(plan(&fixed, &same, stop_first).is_ok());
    // The old one does not have it, or there is room for one more.
    assert!(plan(&fixed, &running(None), Options::default()).is_ok());
    let range = with("-p 9090-9091:9090", 1);
    assert!(plan(&range, &running(range.label()), Options::default()).is_ok());
    // As `scale` asks for it.
    let two = Spec {
        count: wanted(2).count,
        ..fixed.clone()
    };
    let refusal = plan(&two, &same, Options::default()).unwrap_err();
    assert!(
        refusal
            .what
            .starts_with("INSTANCE_ARGS: `-p 9090:9090` gives the port 9090"),
        "{}",
        refusal.what
    );
}
