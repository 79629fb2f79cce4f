//! What replies and states mean for a change: does it work, is it worse than before, was nothing shown? Pure.
//!
//! Asking is elsewhere: the service in `reach`, instances in `ready`, both over and over in `probe`.

use crate::http::{Reply, Speaks};
use crate::inventory::{Container, Health, State};
use crate::service::tuning::HealthCheck;

/// What one reply says of whoever gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// Nothing was learned: no route, or no response in time.
    Untold,
    /// Nobody is there: refused, closed, or HAProxy's own page for a backend that it can't reach.
    Nobody,
    /// Somebody is there, and fails: 5xx, or what is no HTTP where HTTP is spoken.
    Fails,
    /// A connection stays open: it leads somewhere, and whether to somebody who works is not told.
    Open,
    Works,
}

/// Reads a reply to `GET /`, or to a connection where something else than HTTP is spoken.
///
/// HAProxy's own page (`Reply::NoServer`) is known by its text. An instance that sends the same text, and a load balancer
/// with a page of the admin's own, can't be told apart by it: both are failures, with or without that.
pub fn quality(reply: Reply, speaks: Speaks) -> Quality {
    match reply {
        Reply::Status(status) if status < 500 => Quality::Works,
        Reply::NotHttp if speaks == Speaks::Tcp => Quality::Works,
        Reply::Status(_) | Reply::NotHttp => Quality::Fails,
        Reply::NoServer | Reply::Refused | Reply::Closed => Quality::Nobody,
        Reply::Open => Quality::Open,
        Reply::Mute | Reply::Silent => Quality::Untold,
    }
}

/// The better one of two replies to the same question; of equal ones the first.
pub fn better(one: Reply, other: Reply, speaks: Speaks) -> Reply {
    // A connection is more than none.
    let rank = |reply: Reply| (quality(reply, speaks), reply == Reply::Mute);
    if rank(other) > rank(one) { other } else { one }
}

/// How a service stands after a change, by what it replied before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Works,
    /// It worked before, and does so no more; or somebody answered, and now nobody does.
    Worse,
    /// It does not work, and did not before.
    AsBefore,
    /// Nobody can tell.
    NotShown,
}

/// Compares. `before` is `None` where nothing was asked, or nothing served; `elsewhere`: it was asked at another port
/// then, so that silence now says nothing about the service.
pub fn service(before: Option<Reply>, now: Reply, speaks: Speaks, elsewhere: bool) -> Service {
    let was = before.map_or(Quality::Untold, |before| quality(before, speaks));
    match (was, quality(now, speaks)) {
        (_, Quality::Works) => Service::Works,
        (Quality::Works | Quality::Open, Quality::Fails | Quality::Nobody)
        | (Quality::Fails, Quality::Nobody) => Service::Worse,
        (Quality::Works | Quality::Open, Quality::Untold) if !elsewhere => Service::Worse,
        (_, Quality::Fails | Quality::Nobody) => Service::AsBefore,
        (_, Quality::Open | Quality::Untold) => Service::NotShown,
    }
}

/// What an instance has to answer before it is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand<'a> {
    /// What HEALTH_CHECK calls right, as HAProxy will ask.
    Check {
        path: &'a str,
        /// `None`: 2xx and 3xx, HAProxy's default.
        status: Option<u16>,
        host: Option<&'a str>,
    },
    /// Less than 500 to `GET /`, as an instance from before does.
    Works,
    /// Anything: those from before do no better.
    Anything,
}

/// What is demanded of instances that are new, where those from before replied `siblings` at best; `None` where nothing
/// can be demanded, since not even those are reached from here.
pub fn demand(health: &HealthCheck, siblings: Option<Reply>, speaks: Speaks) -> Option<Demand<'_>> {
    let siblings = siblings.filter(|&reply| is_there(reply))?;
    Some(match health {
        HealthCheck::Http { path, status, host } => Demand::Check {
            path,
            status: *status,
            host: host.as_deref(),
        },
        _ if quality(siblings, speaks) >= Quality::Open => Demand::Works,
        _ => Demand::Anything,
    })
}

/// Whether somebody was met: one that takes its time is there.
pub fn is_there(reply: Reply) -> bool {
    matches!(
        reply,
        Reply::Status(_) | Reply::NotHttp | Reply::Open | Reply::Mute
    )
}

impl Demand<'_> {
    pub fn met_by(self, reply: Reply, speaks: Speaks) -> bool {
        match (self, reply) {
            (Self::Check { status, .. }, Reply::Status(got)) => {
                status.map_or((200..400).contains(&got), |wanted| got == wanted)
            }
            (Self::Check { .. }, _) => false,
            // An instance is asked at its own port: there a connection that stays is one to a program that listens.
            (Self::Works, _) => quality(reply, speaks) >= Quality::Open,
            (Self::Anything, _) => is_there(reply),
        }
    }
}

/// A reply in words that follow on a name: `answers 503`.
pub fn in_words(reply: Reply) -> String {
    match reply {
        Reply::Status(status) => format!("answers {status}"),
        Reply::NoServer => "answers 503, in HAProxy's words for no server".into(),
        Reply::NotHttp => "answers, but not in HTTP".into(),
        Reply::Open => "takes the connection, and nothing more is told".into(),
        Reply::Mute => "takes the connection, but gives no answer".into(),
        Reply::Closed => "closes the connection without an answer".into(),
        Reply::Refused => "refuses the connection".into(),
        Reply::Silent => "gives no answer from here".into(),
    }
}

/// The same of a reply from before: `answered 200`.
pub fn in_words_then(reply: Reply) -> String {
    match reply {
        Reply::Status(status) => format!("answered {status}"),
        Reply::NotHttp => "answered, but not in HTTP".into(),
        reply => in_words(reply),
    }
}

/// What helps an instance that a check was answered so by, where that is known: many programs refuse requests without a
/// Host header.
pub fn hint_for_check(health: &HealthCheck, status: u16) -> Option<&'static str> {
    let names_none = matches!(health, HealthCheck::Http { host: None, .. });
    (status == 400 && names_none).then_some(
        "HAProxy's checks have no Host header, and many programs answer 400 to that: HEALTH_HOST names one",
    )
}

/// How a container stands that has to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs, and docker's own health check, if there is one, has passed.
    Up {
        /// Whether that check says so.
        healthy: bool,
    },
    /// It runs again after it had ended: that it stays has to be seen.
    Restarted,
    /// It may still come up.
    Coming,
    /// It has ended, or docker calls it unhealthy.
    Lost,
}

/// Judges a container as it is `now`, by what it was `before` this run; what docker's health check said of it then does
/// not count against it.
pub fn life(before: Option<&Container>, now: &Container) -> Life {
    let before = before.filter(|before| before.running());
    let known = before.is_some_and(|before| before.health == now.health);
    let restarts = before.map_or(0, |before| before.restarts);
    match (&now.state, now.health) {
        (State::Running, Health::Healthy) => Life::Up { healthy: true },
        (State::Running, _) if known && now.restarts == restarts => Life::Up { healthy: false },
        (State::Created | State::Starting, _) | (State::Running, Health::Starting) => Life::Coming,
        (State::Running, Health::None) if now.restarts > restarts => Life::Restarted,
        (State::Running, Health::None) => Life::Up { healthy: false },
        (State::Running, Health::Unhealthy) | (State::Exited { .. } | State::Other(_), _) => {
            Life::Lost
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::container;

    #[test]
    fn every_reply_says_something() {
        use Quality::{Fails, Nobody, Untold, Works};
        for (reply, in_http, in_tcp) in [
            (Reply::Status(200), Works, Works),
            (Reply::Status(404), Works, Works),
            (Reply::Status(499), Works, Works),
            (Reply::Status(500), Fails, Fails),
            (Reply::Status(503), Fails, Fails),
            (Reply::NotHttp, Fails, Works),
            (Reply::Open, Quality::Open, Quality::Open),
            (Reply::NoServer, Nobody, Nobody),
            (Reply::Refused, Nobody, Nobody),
            (Reply::Closed, Nobody, Nobody),
            (Reply::Mute, Untold, Untold),
            (Reply::Silent, Untold, Untold),
        ] {
            assert_eq!(quality(reply, Speaks::Http), in_http, "{reply:?}");
            assert_eq!(quality(reply, Speaks::Tcp), in_tcp, "{reply:?}");
        }
    }

    #[test]
    fn of_two_replies_the_better_one_counts() {
        use Reply::{Mute, NoServer, Refused, Silent, Status};
        for (one, other, best) in [
            (Status(503), Status(200), Status(200)),
            (Status(404), Status(200), Status(404)),
            (NoServer, Status(500), Status(500)),
            (Silent, Refused, Refused),
            (Silent, Mute, Mute),
            (Mute, Silent, Mute),
            (Mute, NoServer, NoServer),
        ] {
            assert_eq!(better(one, other, Speaks::Http), best, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_service_is_judged_by_what_it_was() {
        use Reply::{Mute, NoServer, Refused, Silent, Status};
        use Service::{AsBefore, NotShown, Works, Worse};
        let (ok, error) = (Status(200), Status(503));
        for (before, now, verdict) in [
            (Some(ok), ok, Works),
            (Some(ok), Status(404), Works),
            (Some(ok), error, Worse),
            (Some(ok), NoServer, Worse),
            (Some(ok), Refused, Worse),
            (Some(ok), Mute, Worse),
            (Some(ok), Silent, Worse),
            (Some(error), ok, Works),
            (Some(error), Status(500), AsBefore),
            (Some(error), NoServer, Worse),
            (Some(error), Silent, NotShown),
            (Some(NoServer), ok, Works),
            (Some(NoServer), error, AsBefore),
            (Some(NoServer), NoServer, AsBefore),
            (Some(NoServer), Silent, NotShown),
            (Some(Silent), ok, Works),
            (Some(Silent), error, AsBefore),
            (Some(Silent), Silent, NotShown),
            (None, ok, Works),
            (None, error, AsBefore),
            (None, NoServer, AsBefore),
            (None, Mute, NotShown),
        ] {
            let judged = service(before, now, Speaks::Http, false);
            assert_eq!(judged, verdict, "{before:?} {now:?}");
        }
        let moved = |now| service(Some(ok), now, Speaks::Http, true);
        assert_eq!(moved(Silent), NotShown);
        assert_eq!(moved(Refused), Worse);
        assert_eq!(moved(error), Worse);
    }

    #[test]
    fn a_check_that_lacks_a_host_is_told_so() {
        let http = |host: Option<&str>| HealthCheck::Http {
            path: "/".into(),
            status: None,
            host: host.map(str::to_owned),
        };
        let hint = hint_for_check(&http(None), 400).unwrap();
        assert!(hint.contains("HEALTH_HOST"), "{hint}");
        for (health, status) in [
            (http(None), 404),
            (http(Some("shop")), 400),
            (HealthCheck::Tcp, 400),
        ] {
            assert_eq!(hint_for_check(&health, status), None, "{health:?} {status}");
        }
    }

    #[test]
    fn what_is_demanded_of_an_instance_is_what_haproxy_will_ask_or_what_its_siblings_do() {
        let http = |status| HealthCheck::Http {
            path: "/health".into(),
            status,
            host: Some("shop".into()),
        };
        let check = |status| Demand::Check {
            path: "/health",
            status,
            host: Some("shop"),
        };
        let (any, exact) = (http(None), http(Some(204)));
        for (health, siblings, demanded) in [
            (&HealthCheck::None, None, None),
            (&HealthCheck::None, Some(Reply::Silent), None),
            (&HealthCheck::None, Some(Reply::Refused), None),
            (
                &HealthCheck::None,
                Some(Reply::Status(404)),
                Some(Demand::Works),
            ),
            (
                &HealthCheck::Tcp,
                Some(Reply::Status(200)),
                Some(Demand::Works),
            ),
            (
                &HealthCheck::None,
                Some(Reply::Status(503)),
                Some(Demand::Anything),
            ),
            (
                &HealthCheck::None,
                Some(Reply::Mute),
                Some(Demand::Anything),
            ),
            (&any, None, None),
            (&any, Some(Reply::Status(503)), Some(check(None))),
            (&exact, Some(Reply::NotHttp), Some(check(Some(204)))),
        ] {
            let found = demand(health, siblings, Speaks::Http);
            assert_eq!(found, demanded, "{health:?} {siblings:?}");
        }
        for (demand, reply, met) in [
            (check(None), Reply::Status(200), true),
            (check(None), Reply::Status(399), true),
            (check(None), Reply::Status(404), false),
            (check(None), Reply::Mute, false),
            (check(Some(404)), Reply::Status(404), true),
            (check(Some(200)), Reply::Status(204), false),
            (Demand::Works, Reply::Status(404), true),
            (Demand::Works, Reply::Status(500), false),
            (Demand::Works, Reply::Mute, false),
            (Demand::Works, Reply::Refused, false),
            (Demand::Anything, Reply::Status(500), true),
            (Demand::Anything, Reply::Mute, true),
            (Demand::Anything, Reply::Refused, false),
        ] {
            assert_eq!(
                demand.met_by(reply, Speaks::Http),
                met,
                "{demand:?} {reply:?}"
            );
        }
    }

    #[test]
    fn a_container_that_is_to_run_is_judged_by_its_state_its_health_and_its_restarts() {
        let with = |state: State, health, restarts| Container {
            restarts,
            health,
            ..container("web-1", state, &[], "httpd")
        };
        let runs = |health, restarts| with(State::Running, health, restarts);
        let other = |word: &str| with(State::Other(word.into()), Health::None, 3);
        let up = Life::Up { healthy: false };
        for (before, now, life_now) in [
            (None, runs(Health::None, 0), up),
            (None, runs(Health::Healthy, 0), Life::Up { healthy: true }),
            (None, runs(Health::Starting, 0), Life::Coming),
            (None, runs(Health::Unhealthy, 0), Life::Lost),
            (None, runs(Health::None, 1), Life::Restarted),
            (None, runs(Health::Healthy, 1), Life::Up { healthy: true }),
            (None, with(State::Created, Health::None, 0), Life::Coming),
            (None, with(State::Starting, Health::None, 0), Life::Coming),
            (
                None,
                with(State::Exited { code: 0 }, Health::None, 0),
                Life::Lost,
            ),
            (None, other("restarting"), Life::Lost),
            (None, other("dead"), Life::Lost),
            // As it was before is not this run's doing.
            (
                Some(runs(Health::Unhealthy, 0)),
                runs(Health::Unhealthy, 0),
                up,
            ),
            (
                Some(runs(Health::Starting, 0)),
                runs(Health::Starting, 0),
                up,
            ),
            (Some(runs(Health::None, 5)), runs(Health::None, 5), up),
            (
                Some(runs(Health::None, 5)),
                runs(Health::None, 6),
                Life::Restarted,
            ),
            (
                Some(runs(Health::Healthy, 0)),
                runs(Health::Unhealthy, 0),
                Life::Lost,
            ),
            (
                Some(runs(Health::Starting, 0)),
                runs(Health::Unhealthy, 0),
                Life::Lost,
            ),
            (
                Some(with(State::Exited { code: 1 }, Health::Unhealthy, 0)),
                runs(Health::Unhealthy, 0),
                Life::Lost,
            ),
            (
                Some(runs(Health::None, 0)),
                with(State::Exited { code: 1 }, Health::None, 0),
                Life::Lost,
            ),
        ] {
            assert_eq!(life(before.as_ref(), &now), life_now, "{before:?} {now:?}");
        }
    }
}
