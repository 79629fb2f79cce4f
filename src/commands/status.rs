//! `vch-lb status`: the service as it is.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::Context;
use crate::cli::StatusArgs;
use crate::docker::Docker;
use crate::entrance::{ALREADY_THERE, Entrance, Heard};
use crate::error::{Failure, exit, printable};
use crate::haproxy::Config;
use crate::haproxy::channel::Standing;
use crate::http::{self, Reply, Speaks};
use crate::inventory::{Endpoint, Inventory};
use crate::judge::{self, Demand, Quality};
use crate::look::{self, Wanted};
use crate::place::Place;
use crate::reach;
use crate::service::Service;
use crate::service::names::Count;
use crate::service::running;
use crate::settings::{self, Origin};
use crate::status::{Drift, Mends, Note, Row, Status, Verdict, status};
use crate::text;

pub(super) fn show(context: &Context<'_>, args: &StatusArgs) -> Result<u8, Failure> {
    let docker = context.docker()?;
    context.listen()?;
    let Some(every) = args.watch else {
        return once(context, &docker).map(|(text, code)| {
            context.ui.answer(&text);
            code
        });
    };
    let mut last = None;
    let mut away = false;
    loop {
        match (once(context, &docker), last) {
            (Ok((text, code)), _) => {
                (last, away) = (Some(code), false);
                context.ui.refresh(&text);
            }
            // Ctrl-C is how watching ends: it needs no words, whenever it comes.
            (Err(failure), None) => return context.interrupt.exit_code().ok_or(failure),
            // Whoever watches wants to see it come back, too.
            (Err(failure), Some(_)) => {
                let is_news = !away && context.interrupt.exit_code().is_none();
                if is_news {
                    context.ui.failure(&failure);
                    let every = text::seconds(every);
                    context.ui.status(&format!("looking again every {every}"));
                }
                away = true;
            }
        }
        context.interrupt.sleep(every);
        if let Some(code) = context.interrupt.exit_code() {
            return Ok(code);
        }
        if let Some(code) = last.filter(|_| context.ui.stdout_is_closed()) {
            return Ok(code);
        }
    }
}

fn once(context: &Context<'_>, docker: &Docker) -> Result<(String, u8), Failure> {
    let service = Service::from_settings(&context.settings)?;
    let wanted = Wanted {
        other_lb: true,
        ..Wanted::of(&service)
    };
    let inventory = look::look(docker, wanted)?;
    let count = wanted_count(context)?;
    let mends = Mends {
        suggest: &context.suggest,
        it: running::as_it_is(
            &service,
            &context.own_instance_args(),
            count,
            &inventory,
            &context.settings,
        ),
        other_lb: running::other_lb(&service, &context.settings, &inventory),
        now: SystemTime::now(),
        cert: context.cert_digest(),
        docker: &|call| docker.shown(call),
    };
    let mut status = status(
        &service,
        count.map(Count::get),
        &mends,
        &inventory,
        ways_in(docker, &service, &inventory),
    );
    let config = inventory.written_config();
    let speaks = config.map_or(Speaks::Http, |config| config.tuning.lb_speaks());
    let heard = heard(docker, &service, &inventory, &status.ways_in);
    let reply = heard.map(Heard::counted);
    let answers = reply.and_then(Reply::answers);
    match reply.map(|reply| judge::quality(reply, speaks)) {
        Some(Quality::Fails) if passes_check(status.ways_in.first(), config) => {}
        Some(Quality::Fails | Quality::Nobody) => {
            let reply = reply.unwrap_or(Reply::Silent);
            status.verdict = Verdict::Degraded;
            status.drift.push(Drift {
                what: reach::fails(&service.names.lb, reply),
                lines: Vec::new(),
                mend: context.suggest.command("logs", &[]),
            });
        }
        Some(Quality::Open | Quality::Untold) | None if status.verdict == Verdict::Healthy => {
            status.verdict = Verdict::Running;
        }
        Some(Quality::Works | Quality::Open | Quality::Untold) | None => {}
    }
    if let (Some(why), Some(place)) = (heard.and_then(Heard::why), status.ways_in.first()) {
        status.notes.push(Note::unsure(
            format!("{}: {}", reach::untold(place), why.words()),
            "ask from a machine that has no such network of its own, or from the endpoint's".into(),
        ));
    }
    let code = match status.verdict {
        Verdict::Healthy | Verdict::Running => exit::DONE,
        Verdict::Degraded | Verdict::NotDeployed => exit::NOT_AS_DESIRED,
    };
    let text = if context.ui.json() {
        let mut value = serde_json::json!({
            "schema": "vch-lb/status/1",
            "answers": answers,
            "http_status": reply.and_then(Reply::status),
        });
        if let (Some(object), Ok(serde_json::Value::Object(fields))) =
            (value.as_object_mut(), serde_json::to_value(&status))
        {
            object.extend(fields);
        }
        crate::text::escaped(&format!("{value:#}\n"))
    } else {
        let prefix = service.names.prefix.as_str();
        text(
            &status,
            prefix,
            &inventory.endpoint,
            heard,
            SystemTime::now(),
        )
    };
    Ok((text, code))
}

/// NUM_INSTANCES, if somebody set it.
fn wanted_count(context: &Context<'_>) -> Result<Option<Count>, Failure> {
    let value = context.settings.get(settings::NUM_INSTANCES);
    match value.origin {
        Origin::Default => Ok(None),
        _ => match Count::parse(&value.text) {
            Ok(count) => Ok(Some(count)),
            Err(why) => Err(Failure::usage(value.complaint(why))),
        },
    }
}

/// The ways in to the load balancer, as far as it can be told on which port it serves.
fn ways_in(docker: &Docker, service: &Service, inventory: &Inventory) -> Vec<Place> {
    let (Some(lb), Some(config)) = (&inventory.lb, inventory.written_config()) else {
        return Vec::new();
    };
    Entrance::new(docker, inventory, &service.external_net).ways_in(lb, config.lb_port)
}

/// Whether the service answers what HEALTH_CHECK calls right, where `/` is a failure: then that is what it is for.
fn passes_check(place: Option<&Place>, config: Option<&Config>) -> bool {
    let (Some(place), Some(config)) = (place, config) else {
        return false;
    };
    let speaks = config.tuning.lb_speaks();
    let siblings = Some(Reply::NotHttp);
    match judge::demand(&config.tuning.health, siblings, speaks) {
        Some(demand @ Demand::Check { path, host, .. }) if speaks == Speaks::Http => {
            let reply = http::check(&place.address, place.port, path, host, ALREADY_THERE);
            demand.met_by(reply, speaks)
        }
        _ => false,
    }
}

/// What the service replies, if there is a place to ask at.
fn heard(
    docker: &Docker,
    service: &Service,
    inventory: &Inventory,
    ways: &[Place],
) -> Option<Heard> {
    let (place, config) = (ways.first()?, inventory.written_config()?);
    let entrance = Entrance::new(docker, inventory, &service.external_net);
    let speaks = config.tuning.lb_speaks();
    Some(entrance.ask(service.names.lb.as_str(), config.lb_port, place, speaks))
}

fn text(
    status: &Status,
    prefix: &str,
    endpoint: &Endpoint,
    heard: Option<Heard>,
    now: SystemTime,
) -> String {
    let mut text = String::new();
    let verdict = match status.verdict {
        Verdict::Healthy => "healthy".to_owned(),
        Verdict::Running => "running".to_owned(),
        Verdict::Degraded => "degraded".to_owned(),
        // It may be somewhere else.
        Verdict::NotDeployed => {
            format!("not deployed on {}", printable(&endpoint.to_string()))
        }
    };
    let place = status.ways_in.first();
    let place = place.map_or(String::new(), |place| format!(" at {place}"));
    let reached = heard.map_or(String::new(), |heard| {
        format!(", {}", reach::in_words(heard))
    });
    let _ = writeln!(text, "service {prefix}: {verdict}{place}{reached}");
    if !status.containers.is_empty() {
        text.push('\n');
        text.push_str(&table(&status.containers, now));
    }
    if !(status.drift.is_empty() && status.notes.is_empty()) {
        text.push('\n');
    }
    for Note { what, way, mend } in &status.notes {
        let _ = writeln!(text, "{what}\n  {way}: {mend}");
    }
    for together in status.drift.chunk_by(|one, next| one.mend == next.mend) {
        for Drift { what, lines, .. } in together {
            let _ = writeln!(text, "{what}");
            for line in lines {
                let _ = writeln!(text, "  | {}", printable(line));
            }
        }
        let these = if together.len() == 1 { "it" } else { "them" };
        let _ = writeln!(text, "  to mend {these}: {}", together[0].mend);
    }
    text
}

fn table(rows: &[Row], now: SystemTime) -> String {
    let head = [
        "NAME",
        "STATE",
        "IMAGE",
        "ADDRESS",
        "PUBLISHED",
        "SINCE",
        "IN LB",
    ]
    .map(str::to_owned);
    let cells: Vec<[String; 7]> = std::iter::once(head)
        .chain(rows.iter().map(|row| cells(row, now)))
        .collect();
    text::columns(&cells)
}

fn cells(row: &Row, now: SystemTime) -> [String; 7] {
    let or_dash = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "-".into());
    let since = row.started_at.map(SystemTime::from);
    let age = since.map(|since| text::seconds(now.duration_since(since).unwrap_or_default()));
    let in_lb = row.in_lb.map(|sent| in_lb(sent, row.haproxy.as_ref()));
    [
        row.name.clone(),
        row.state.clone(),
        row.image.clone(),
        or_dash(&row.address),
        or_dash(&row.published),
        or_dash(&age),
        or_dash(&in_lb),
    ]
}

/// Whether the load balancer sends to an instance: in HAProxy's own words where it checks it, or was told otherwise.
fn in_lb(sent: bool, standing: Option<&Standing>) -> String {
    match standing.filter(|it| sent && !it.is_unchecked()) {
        None => if sent { "yes" } else { "no" }.to_owned(),
        Some(Standing { status, check }) => match check {
            // What has passed is not worth a word.
            Some(check) if status != "up" => format!("{status}: {check}"),
            _ => status.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Reply;
    use crate::inventory::tests::engine;
    use crate::moment::Moment;
    use crate::place::{Meaning, Via};

    #[test]
    fn haproxy_has_its_say_where_it_checks() {
        for (sent, said, cell) in [
            (true, None, "yes"),
            (false, None, "no"),
            (true, Some(("no check", None)), "yes"),
            (true, Some(("up", Some("L7OK 200"))), "up"),
            (
                true,
                Some(("up 1/3", Some("L7STS 503"))),
                "up 1/3: L7STS 503",
            ),
            (true, Some(("down", Some("L4CON"))), "down: L4CON"),
            (
                true,
                Some(("maint (resolution)", None)),
                "maint (resolution)",
            ),
            (false, Some(("up", Some("L7OK 200"))), "no"),
        ] {
            let standing = said.map(|(status, check)| Standing {
                status: status.into(),
                check: check.map(Into::into),
            });
            assert_eq!(in_lb(sent, standing.as_ref()), cell);
        }
    }

    #[test]
    fn a_status_is_a_table_and_its_drift() {
        let row = |name: &str, in_lb| Row {
            name: name.into(),
            state: "ready".into(),
            image: "httpd".into(),
            address: Some("172.18.0.2".into()),
            published: None,
            started_at: Moment::parse("2026-01-02T03:04:05.123456789Z"),
            in_lb,
            haproxy: None,
        };
        let drift = |what: &str, lines: &[&str], mend: &str| Drift {
            what: what.into(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            mend: mend.into(),
        };
        let status = Status {
            verdict: Verdict::Degraded,
            address: Some("10.0.0.2".into()),
            port: Some(80),
            ways_in: vec![Place {
                via: Via::Network,
                address: "10.0.0.2".into(),
                port: 80,
            }],
            containers: vec![row("lb", None), row("web-10", Some(true))],
            drift: vec![
                drift("something", &[], "vch-lb up"),
                drift("another thing", &["a line"], "vch-lb up"),
                drift("a third", &[], "vch-lb down"),
            ],
            notes: vec![Note::unsure("nobody knows".into(), "vch-lb up".into())],
        };
        let now = humantime::parse_rfc3339("2026-01-02T03:04:45Z").unwrap();
        let heard = Heard {
            reply: Reply::Status(200),
            meaning: Meaning::Its,
        };
        assert_eq!(
            text(&status, "web", &engine(), Some(heard), now),
            "service web: degraded at 10.0.0.2:80, answers\n\n\
             NAME    STATE  IMAGE  ADDRESS     PUBLISHED  SINCE  IN LB\n\
             lb      ready  httpd  172.18.0.2  -          40 s   -\n\
             web-10  ready  httpd  172.18.0.2  -          40 s   yes\n\n\
             nobody knows\n  to be sure: vch-lb up\n\
             something\nanother thing\n  | a line\n  to mend them: vch-lb up\n\
             a third\n  to mend it: vch-lb down\n"
        );
    }
}
