//! A plan for people, as `--dry-run=plan` and `--confirm` show it: what changes, what that costs, how long it takes; and a
//! fingerprint of what it rests on. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use similar::TextDiff;

use crate::calls;
use crate::change::run::Patience;
use crate::change::schedule;
use crate::digest;
use crate::haproxy::{self, Config};
use crate::inventory::Inventory;
use crate::plan::{Action, Plan};
use crate::secrets::{MASK, Variables};
use crate::service::names::Number;
use crate::service::tuning::ServerAddress;
use crate::settings::NUM_INSTANCES;
use crate::text::{list, plural, seconds};
use crate::ui::{ERROR, FAINT, FINE, WARNING};

/// How many unchanged lines of haproxy.cfg are shown around those that change.
const AROUND: usize = 2;

/// What becomes of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    Add,
    Remove,
    /// One goes, another one comes in its place.
    Replace,
    /// It stays, and is changed.
    Change,
}

impl Sign {
    fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Remove => "-",
            Self::Replace => "-/+",
            Self::Change => "~",
        }
    }
}

/// One thing on the endpoint that does not stay as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub sign: Sign,
    /// `web-4`; `web-1 → web-4` where one takes the place of another.
    pub what: String,
    /// `httpd:2.4 → httpd:2`, `stopped`.
    pub how: Option<String>,
}

/// A setting that is another one than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub name: &'static str,
    pub from: String,
    pub to: String,
    /// Where the new value comes from; `None` where that is what runs.
    pub source: Option<String>,
}

/// Everything about a plan that an admin wants to know before it is carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// `Docker Engine 20.10.24 on engine`.
    pub endpoint: String,
    pub reasons: Vec<String>,
    pub settings: Vec<Setting>,
    /// haproxy.cfg as a unified diff; empty where it stays.
    pub diff: String,
    pub changes: Vec<Change>,
    /// Each time in which the service, or a part of it, does not answer.
    pub outages: Vec<String>,
    /// What else may hurt.
    pub risks: Vec<String>,
    /// What is waited for at least, and with every drain at its longest, in seconds: docker's own time, and that of pulls,
    /// come on top.
    pub seconds: (u64, u64),
    pub fingerprint: String,
}

/// The preview of `plan`, made from `before`. `source` tells where a setting's value comes from.
pub fn preview(
    plan: &Plan,
    before: &Inventory,
    patience: &Patience,
    jobs: usize,
    source: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Preview> {
    let to_come = config_to_come(plan, before)?;
    Ok(Preview {
        endpoint: before.endpoint.to_string(),
        reasons: plan.reasons.clone(),
        settings: settings(plan, before, source),
        diff: diff(plan, before, to_come.as_deref()),
        changes: changes(plan, before),
        outages: outages(plan, before),
        risks: risks(plan),
        seconds: (
            waits(plan, patience, jobs, Duration::ZERO),
            waits(plan, patience, jobs, patience.drain),
        ),
        fingerprint: fingerprint(plan, before, to_come.as_deref()),
    })
}

/// The last haproxy.cfg that the plan writes. An address that is not known yet is `ADDRESS-OF-NAME` in it.
fn config_to_come(plan: &Plan, before: &Inventory) -> anyhow::Result<Option<String>> {
    let (Some(spec), Some(servers)) = (plan.spec(), plan.servers()) else {
        return Ok(None);
    };
    let made: BTreeSet<Number> = plan.made().collect();
    let bridge = spec.names().network();
    let address = |number: Number, name: &str| {
        let known = before.instances.get(&number);
        let known = known.filter(|_| !made.contains(&number));
        match spec.tuning.server_address {
            ServerAddress::Name => name.to_owned(),
            ServerAddress::Ip => known
                .and_then(|instance| instance.address_on(&bridge))
                .map_or_else(|| format!("ADDRESS-OF-{name}"), str::to_owned),
        }
    };
    Config::by_address(spec, servers, address)
        .render()
        .map(Some)
}

fn settings(
    plan: &Plan,
    before: &Inventory,
    source: impl Fn(&str) -> Option<String>,
) -> Vec<Setting> {
    let config = before.written_config().filter(|_| plan.servers().is_some());
    let (Some(spec), Some(config)) = (plan.spec(), config) else {
        return Vec::new();
    };
    let mut changed = config.changes(spec);
    let (now, wanted) = (before.instances.len(), spec.count.get());
    if now != wanted {
        changed.insert(0, (NUM_INSTANCES, now.to_string(), wanted.to_string()));
    }
    let changed = changed.into_iter().map(|(name, from, to)| Setting {
        name,
        from,
        to,
        source: source(name),
    });
    changed.collect()
}

/// haproxy.cfg as it is in the load balancer, and as it will be. What LB_ARGS hold may be secret.
fn diff(plan: &Plan, before: &Inventory, to_come: Option<&str>) -> String {
    let (Some(spec), Some(to_come)) = (plan.spec(), to_come) else {
        return String::new();
    };
    let found = before.config.as_ref().filter(|found| found.odd.is_none());
    let now = found.map_or("", |found| found.text.as_str());
    let mut words = spec.tuning.lb_args.words().to_vec();
    if let Some(config) = before.written_config() {
        words.extend_from_slice(config.tuning.lb_args.words());
    }
    let hidden = |text: &str| {
        let (marked, marks) = Variables::default().marked(text, &words);
        marks
            .iter()
            .fold(marked, |text, (mark, _)| text.replace(mark, MASK))
    };
    let (now, to_come) = (hidden(now), hidden(to_come));
    let (from, to) = if now.is_empty() {
        ("nothing", "to come")
    } else {
        ("now", "to come")
    };
    let name = haproxy::CONFIG_NAME;
    TextDiff::from_lines(&now, &to_come)
        .unified_diff()
        .context_radius(AROUND)
        .header(&format!("{name} ({from})"), &format!("{name} ({to})"))
        .to_string()
}

fn changes(plan: &Plan, before: &Inventory) -> Vec<Change> {
    let names = plan.names();
    let image = plan.spec().map(|spec| spec.image.as_str());
    let has = |wanted: fn(&Action) -> bool| plan.actions().any(wanted);
    let mut changes = Vec::new();
    let mut add = |sign: Sign, what: String, how: Option<String>| {
        changes.push(Change { sign, what, how });
    };
    for action in plan.actions() {
        match action {
            Action::CreateNetwork => add(Sign::Add, format!("network {}", names.network()), None),
            Action::Pull(image) => add(Sign::Change, format!("image {image}"), Some("pull".into())),
            Action::Start(number) => add(
                Sign::Change,
                names.instance(*number),
                Some("start".to_owned()),
            ),
            _ => {}
        }
    }
    let mut leaving = plan.removed();
    for number in plan.made() {
        let name = names.instance(number);
        let old = leaving.next();
        let Some(old) = old else {
            add(Sign::Add, name, image.map(str::to_owned));
            continue;
        };
        let was = before.instances.get(&old).map(|old| old.image.clone());
        let how = match (was, image) {
            (Some(was), Some(image)) if was != image => Some(format!("{was} → {image}")),
            _ => image.map(str::to_owned),
        };
        let what = format!("{} → {name}", names.instance(old));
        add(Sign::Replace, what, how);
    }
    for number in leaving {
        add(Sign::Remove, names.instance(number), None);
    }
    let lb = names.lb.to_string();
    let image = plan.spec().map(|spec| spec.lb_image.to_string());
    let makes = has(|action| matches!(action, Action::CreateLb { .. }));
    if has(|action| *action == Action::SetLbAside) {
        add(Sign::Replace, lb.clone(), image);
    } else if makes {
        add(Sign::Add, lb.clone(), image);
    } else if has(|action| *action == Action::StartLb) {
        add(Sign::Change, lb.clone(), Some("start".to_owned()));
    }
    let reloads = plan.reloads();
    if reloads > 0 {
        let how = format!("reload {}", plural(reloads, "time"));
        add(Sign::Change, lb.clone(), Some(how));
    }
    if has(|action| *action == Action::RemoveLb) {
        add(Sign::Remove, lb, None);
    }
    if has(|action| *action == Action::RemoveLbAside) && before.lb_aside.is_some() {
        add(Sign::Remove, names.lb_aside(), None);
    }
    if has(|action| *action == Action::RemoveNetwork) {
        add(Sign::Remove, format!("network {}", names.network()), None);
    }
    changes
}

fn outages(plan: &Plan, before: &Inventory) -> Vec<String> {
    let lb = &plan.names().lb;
    let mut outages = Vec::new();
    if plan.actions().any(|action| *action == Action::RemoveLb) && before.has_served() {
        outages.push("the service ends".to_owned());
    }
    if plan.actions().any(|action| *action == Action::SetLbAside) {
        outages.push(format!(
            "from the end of `{lb}` until its successor has started nobody is answered"
        ));
    }
    // Only where old ones leave before their successors come is somebody stopped before a reload.
    let mut stopped = BTreeSet::new();
    for action in plan.actions() {
        match action {
            Action::Stop(numbers) => stopped.extend(numbers),
            Action::Run(_) if !stopped.is_empty() => {
                let names: Vec<String> = plan
                    .names()
                    .instances(&stopped.into_iter().collect::<Vec<_>>());
                let what = list(&names);
                let stop = match &names[..] {
                    [_] => format!("{what} stops before its successor starts"),
                    _ => format!("{what} stop before their successors start"),
                };
                outages.push(if names.len() == before.instances.len() {
                    format!("{stop}: nobody is answered meanwhile")
                } else {
                    format!("{stop}: fewer instances answer meanwhile")
                });
                break;
            }
            _ => {}
        }
    }
    outages
}

fn risks(plan: &Plan) -> Vec<String> {
    let mut risks = Vec::new();
    if let Some(spec) = plan.spec().filter(|_| plan.may_reset()) {
        risks.push(format!(
            "HAProxy of `{}` may reset a connection at each reload under heavy load",
            spec.lb_image
        ));
    }
    if plan.actions().any(|action| *action == Action::Drain) {
        risks.push("connections that last longer than --drain are cut".to_owned());
    }
    risks
}

/// How many seconds are waited, whatever docker takes.
fn waits(plan: &Plan, patience: &Patience, jobs: usize, drain: Duration) -> u64 {
    let settle = patience.settle;
    let watch = plan.spec().map_or(settle, |spec| spec.tuning.watch(settle));
    let length = |action: &Action| match action {
        Action::Watch(_) => watch,
        Action::Drain => drain,
        // They are kept so far apart.
        Action::Reload(_) => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    schedule::simulate(plan, jobs, length).as_secs()
}

/// What the plan rests on, and what it does: where either is another one, so is this.
fn fingerprint(plan: &Plan, before: &Inventory, to_come: Option<&str>) -> String {
    let mut seen = String::new();
    let mut ids: Vec<_> = before.ids.iter().collect();
    ids.sort();
    let _ = writeln!(seen, "{ids:?}");
    for container in before.containers() {
        let _ = writeln!(
            seen,
            "{} {:?} {} {:?}",
            container.name, container.state, container.image_id, container.labels
        );
    }
    let _ = writeln!(seen, "{:?}", before.images);
    let found = before.config.as_ref();
    let _ = writeln!(seen, "{:?}", found.map(|found| &found.text));
    let _ = writeln!(
        seen,
        "{:?}",
        found.and_then(|found| found.template.as_ref())
    );
    for action in plan.actions() {
        let _ = writeln!(seen, "{action:?}");
        for call in calls::changing(action, &plan.subject, plan.restarts, haproxy::CONFIG_NAME) {
            let _ = writeln!(seen, "{call:?}");
        }
    }
    let _ = writeln!(seen, "{to_come:?}");
    for (name, content) in plan.spec().map(calls::files).unwrap_or_default() {
        let _ = writeln!(seen, "{name} {}", digest::of(content));
    }
    digest::of(seen.as_bytes())
}

impl Preview {
    /// Whether anything changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// For a terminal; readable without colour.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.endpoint);
        for reason in &self.reasons {
            let _ = writeln!(text, "{reason}");
        }
        if !self.settings.is_empty() {
            text.push_str("\nsettings\n");
        }
        for Setting {
            name,
            from,
            to,
            source,
        } in &self.settings
        {
            let source = source.as_ref();
            let source = source.map_or(String::new(), |source| {
                format!("  {FAINT}({source}){FAINT:#}")
            });
            let _ = writeln!(text, "  {name}: {from} → {to}{source}");
        }
        if !self.diff.is_empty() {
            text.push('\n');
        }
        for line in self.diff.lines() {
            let _ = match line.as_bytes().first() {
                Some(b'+') => writeln!(text, "  {FINE}{line}{FINE:#}"),
                Some(b'-') => writeln!(text, "  {ERROR}{line}{ERROR:#}"),
                Some(b'@') => writeln!(text, "  {FAINT}{line}{FAINT:#}"),
                _ => writeln!(text, "  {line}"),
            };
        }
        if !self.changes.is_empty() {
            text.push('\n');
        }
        for Change { sign, what, how } in &self.changes {
            let paint = match sign {
                Sign::Add => FINE,
                Sign::Remove => ERROR,
                Sign::Replace | Sign::Change => WARNING,
            };
            let how = how
                .as_ref()
                .map_or(String::new(), |how| format!(" ({how})"));
            let sign = sign.text();
            let _ = writeln!(text, "  {paint}{sign:>3}{paint:#} {what}{how}");
        }
        text.push('\n');
        for outage in &self.outages {
            let _ = writeln!(text, "{ERROR}outage:{ERROR:#} {outage}");
        }
        for risk in &self.risks {
            let _ = writeln!(text, "{WARNING}risk:{WARNING:#} {risk}");
        }
        let _ = writeln!(text, "plan: {}", self.count());
        if !self.is_empty() {
            let _ = writeln!(text, "time: {}", self.time());
        }
        let _ = writeln!(text, "fingerprint: {}", self.fingerprint);
        text
    }

    /// `1 to add, 2 to replace, 1 to change`.
    fn count(&self) -> String {
        let of = |sign: Sign, word: &str| {
            let count = self.changes.iter().filter(|it| it.sign == sign).count();
            (count > 0).then(|| format!("{count} to {word}"))
        };
        let counts: Vec<String> = [
            of(Sign::Add, "add"),
            of(Sign::Replace, "replace"),
            of(Sign::Change, "change"),
            of(Sign::Remove, "remove"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if counts.is_empty() {
            "nothing to do".to_owned()
        } else {
            counts.join(", ")
        }
    }

    fn time(&self) -> String {
        let (least, most) = self.seconds;
        if most == 0 {
            return "what docker takes".to_owned();
        }
        let beside = "beside what docker takes";
        let [least, most] = [least, most].map(Duration::from_secs);
        if least == most {
            format!("{} {beside}", seconds(least))
        } else {
            format!(
                "{} {beside}, up to {} where connections last (--drain)",
                seconds(least),
                seconds(most)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::answer::Network;
    use crate::haproxy::read::Found;
    use crate::inventory::tests::{container, engine};
    use crate::inventory::{Container, Restarts, State};
    use crate::plan::Subject;
    use crate::plan::up::{self, Options};
    use crate::service::Spec;
    use crate::service::tests::spec;

    fn patience() -> Patience {
        Patience {
            wait: Duration::from_mins(1),
            settle: Duration::from_secs(2),
            drain: Duration::from_secs(10),
        }
    }

    fn instance(number: Number) -> Container {
        let net = [("web-net", "172.18.0.2")];
        let instance = container(&format!("web-{number}"), State::Running, &net, "httpd");
        Container {
            published: ["80/tcp".to_owned()].into(),
            ..instance
        }
    }

    /// A service of two that the script made.
    fn service() -> Inventory {
        let spec = spec(&[]);
        let nets = [("routable", "10.0.0.2"), ("web-net", "172.18.0.9")];
        let lb = container("lb", State::Running, &nets, "haproxy:1.7");
        let bridge = Network {
            name: "web-net".into(),
            driver: "bridge".into(),
            ..Network::default()
        };
        let there = [instance(1), instance(2), lb];
        let mut found = Inventory::new(&spec.service, engine(), vec![bridge], there);
        let text = Config::by_name(&spec, &[1, 2]).render().unwrap();
        found.config = Some(Found::new(text, None, None));
        found
    }

    fn shown(wanted: &Spec, before: &Inventory, options: Options) -> Preview {
        let plan = up::plan(wanted, before, options).unwrap();
        preview(&plan, before, &patience(), 4, |_| None).unwrap()
    }

    fn lines(preview: &Preview) -> Vec<String> {
        let line = |it: &Change| {
            let how = it.how.as_deref().unwrap_or("-");
            format!("{} {} {how}", it.sign.text(), it.what)
        };
        preview.changes.iter().map(line).collect()
    }

    #[test]
    fn each_kind_of_change_has_its_sign() {
        let before = service();
        let three = spec(&[("NUM_INSTANCES", "3")]);
        let shown_three = shown(&three, &before, Options::default());
        assert_eq!(lines(&shown_three), ["+ web-3 httpd", "~ lb reload 1 time"]);
        assert_eq!(shown_three.settings[0].name, NUM_INSTANCES);
        let one = spec(&[("NUM_INSTANCES", "1")]);
        let shown_one = shown(&one, &before, Options::default());
        assert_eq!(lines(&shown_one), ["- web-2 -", "~ lb reload 1 time"]);
        assert_eq!(shown_one.seconds, (1, 11));
        let other = spec(&[("NUM_INSTANCES", "2"), ("INSTANCE_IMG", "httpd:2")]);
        let options = Options {
            pull: Some(up::Pull::Always),
            ..Options::default()
        };
        let shown_other = shown(&other, &before, options);
        assert_eq!(
            lines(&shown_other),
            [
                "~ image httpd:2 pull",
                "-/+ web-1 → web-3 httpd → httpd:2",
                "-/+ web-2 → web-4 httpd → httpd:2",
                "~ lb reload 2 times"
            ]
        );
        assert!(shown_other.outages.is_empty());
        let first = Options {
            stop_first: true,
            ..options
        };
        assert_eq!(
            shown(&other, &before, first).outages,
            ["`web-1` stops before its successor starts: fewer instances answer meanwhile"]
        );
        let at_once = Options { batch: 2, ..first };
        assert_eq!(
            shown(&other, &before, at_once).outages,
            [
                "`web-1` and `web-2` stop before their successors start: nobody is answered meanwhile"
            ]
        );
    }

    #[test]
    fn what_takes_the_load_balancer_away_is_an_outage() {
        let before = service();
        let plan = crate::plan::down::plan(&spec(&[]).service, &before);
        let down = preview(&plan, &before, &patience(), 4, |_| None).unwrap();
        assert_eq!(down.outages, ["the service ends"]);
        assert!(down.diff.is_empty() && down.settings.is_empty(), "{down:?}");
        assert_eq!(down.count(), "4 to remove", "{down:?}");
        assert_eq!(down.time(), "what docker takes");
        let other = spec(&[("NUM_INSTANCES", "2"), ("LB_IMG", "haproxy:2.8")]);
        let options = Options {
            recreate_lb: true,
            ..Options::default()
        };
        let recreated = shown(&other, &before, options);
        assert_eq!(recreated.outages.len(), 1);
        assert!(lines(&recreated).contains(&"-/+ lb haproxy:2.8".to_owned()));
    }

    #[test]
    fn the_file_is_told_as_a_diff_and_no_secret_with_it() {
        let before = service();
        let wanted = spec(&[
            ("NUM_INSTANCES", "2"),
            ("LB_MAXCONN", "1000"),
            ("LB_ARGS", "--env TOKEN=s3cret"),
        ]);
        let options = Options {
            recreate_lb: true,
            ..Options::default()
        };
        let shown = shown(&wanted, &before, options);
        assert!(
            shown.diff.contains("-\tmaxconn 256\n+\tmaxconn 1000\n"),
            "{}",
            shown.diff
        );
        assert!(
            !shown.text().contains("s3cret") && shown.diff.contains("TOKEN=***"),
            "{shown:?}"
        );
    }

    #[test]
    fn another_state_or_another_plan_has_another_fingerprint() {
        let wanted = spec(&[("NUM_INSTANCES", "3")]);
        let of = |wanted: &Spec, before: &Inventory| {
            shown(wanted, before, Options::default()).fingerprint
        };
        let seen = of(&wanted, &service());
        assert_eq!(seen, of(&wanted, &service()));
        let mut stopped = service();
        stopped.instances.get_mut(&1).unwrap().state = State::Exited { code: 1 };
        let mut remade = service();
        remade.ids.insert("web-1".to_owned(), "other".to_owned());
        let four = spec(&[("NUM_INSTANCES", "4")]);
        let arguments = spec(&[("NUM_INSTANCES", "3"), ("LB_MAXCONN", "99")]);
        let mut moved = service();
        moved
            .images
            .insert("haproxy:1.7".to_owned(), "other".to_owned());
        let others = [
            of(&wanted, &moved),
            of(&wanted, &stopped),
            of(&wanted, &remade),
            of(&four, &service()),
            of(&arguments, &service()),
        ];
        let all: BTreeSet<&String> = others.iter().chain([&seen]).collect();
        assert_eq!(all.len(), 6, "{seen} {others:?}");
    }

    #[test]
    fn nothing_to_do_is_said() {
        let before = service();
        let plan = Plan::new(Subject::Up(spec(&[]).into()), Restarts::Never);
        let shown = preview(&plan, &before, &patience(), 4, |_| None).unwrap();
        let text = shown.text();
        assert!(
            text.contains("plan: nothing to do\n") && !text.contains("time:"),
            "{text}"
        );
    }
}
