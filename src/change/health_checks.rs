//! Whether instances pass HAProxy's own checks (HEALTH_CHECK), by its log and by what the service answers.
//!
//! HAProxy takes every server for up until a first check fails, at each start and each reload anew: an answer right after
//! it proves nothing. Checks that pass are not told, so that they are over has to be a matter of time. Nothing here runs
//! without HEALTH_CHECK.

use std::time::{Duration, Instant};

use super::lb_log;
use super::run::{Run, lock};
use crate::autopsy;
use crate::entrance;
use crate::error::Failure;
use crate::haproxy::log::Checks;
use crate::http::{self, Reply, Within};
use crate::inventory::Container;
use crate::judge;
use crate::moment::Moment;
use crate::place::Place;
use crate::service::Spec;
use crate::service::names::Number;
use crate::settings::HEALTH_CHECK;
use crate::text;

/// How often it is looked whether nobody is left, where that is an outage.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often it is looked whether a server that is out comes back.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How many of HAProxy's lines a failure quotes.
const QUOTED: usize = 10;
/// HAProxy answers at once where it has no server left. A service that takes longer has one.
const ATTEMPT: Within = Within::each(Duration::from_secs(1));

/// HAProxy took its configuration at `at`; what the log says later than `mark` is about that.
struct Since {
    at: Instant,
    mark: Option<Moment>,
}

/// After a reload: waits until the first checks of `numbers` are over and none of them is out any more, at most `--wait`.
/// Where those that served before are all out, that is an outage, and nothing is waited for.
pub fn pass_after_reload(run: &Run<'_>, numbers: &[Number]) -> Result<(), Failure> {
    let last = run.workers().last_reload();
    let Some((at, mark)) = last.filter(|_| run.spec.tuning.checks()) else {
        return Ok(());
    };
    let proved = numbers
        .iter()
        .all(|&number| lock(&run.passed).contains(&number) || served_before(run, number));
    let lb = run.before.lb.as_ref();
    let waiting = Waiting {
        run,
        since: Since { at, mark },
        judged: &|number| numbers.contains(&number),
        patient: !proved,
        place: lb.and_then(|lb| place(run, lb)),
    };
    waiting.pass()?;
    lock(&run.passed).extend(numbers);
    Ok(())
}

/// After the start of `lb`, which took place after `started`: the same for its instances, but for those that ran before
/// and have been checked so then already: one of those does not keep a service from being mended.
pub fn pass_after_start(
    run: &Run<'_>,
    lb: Option<&Container>,
    started: Instant,
) -> Result<(), Failure> {
    if !run.spec.tuning.checks() {
        return Ok(());
    }
    Waiting {
        run,
        since: Since {
            at: started,
            mark: former_end(run),
        },
        judged: &|number| is_news(run, number),
        patient: true,
        place: lb.and_then(|lb| place(run, lb)),
    }
    .pass()
}

/// The failure of a load balancer that has started and has no server.
pub fn none_passes(run: &Run<'_>) -> Option<Failure> {
    if !run.spec.tuning.checks() {
        return None;
    }
    let mark = former_end(run);
    let found = Found::look(run, mark, &|_| true).ok()?;
    Some(found.failure(run))
}

/// When a load balancer that is started again ended: older lines of its log are about its former life.
fn former_end(run: &Run<'_>) -> Option<Moment> {
    let ended = run.before.lb.as_ref()?.finished_at?;
    // No container starts within the second in which a VCH says that it ended.
    Some(ended.at_the_latest())
}

/// Whether the load balancer sent to instance `number` before this run.
fn served_before(run: &Run<'_>, number: Number) -> bool {
    let before = run.before;
    let config = before.written_config();
    let sent_to = config.is_some_and(|config| config.numbers().contains(&number));
    sent_to && ran_before(run, number)
}

fn ran_before(run: &Run<'_>, number: Number) -> bool {
    let instance = run.before.instances.get(&number);
    instance.is_some_and(Container::running)
}

/// Whether it was this run that brought instance `number`, or the check.
fn is_news(run: &Run<'_>, number: Number) -> bool {
    let config = run.before.written_config();
    let other_check = config.is_some_and(|config| config.tuning.health != run.spec.tuning.health);
    other_check || !ran_before(run, number)
}

fn place(run: &Run<'_>, lb: &Container) -> Option<Place> {
    run.entrance().place(lb, run.spec.lb_port)
}

/// Waits for the checks to pass.
struct Waiting<'a> {
    run: &'a Run<'a>,
    since: Since,
    judged: &'a dyn Fn(Number) -> bool,
    /// Whether all of them may be out for a while: nobody lost a service by that.
    patient: bool,
    /// Where the service can be asked.
    place: Option<Place>,
}

impl Waiting<'_> {
    fn pass(&self) -> Result<(), Failure> {
        let Self { run, .. } = *self;
        let deadline = Instant::now() + run.patience.wait;
        let whole = run.spec.tuning.first_checks();
        loop {
            let first_checks = whole.saturating_sub(self.since.at.elapsed());
            let until = if self.patient {
                first_checks
            } else {
                first_checks.min(LOOK_EVERY)
            };
            run.sleep(until);
            run.check_interrupt()?;
            let over = self.since.at.elapsed() >= whole;
            let mut found = Found::look(run, self.since.mark, self.judged)?;
            if found.failing.is_empty() {
                // HAProxy 1.7 and 1.8 don't tell of their checks: that nobody is left can be asked for.
                found.outage |= self.nobody_is_left(over);
            }
            if found.passes() {
                if over {
                    return Ok(());
                }
            } else if Instant::now() >= deadline || (found.outage && !self.patient) {
                return Err(found.failure(run));
            } else if over {
                run.sleep(AGAIN_AFTER);
            }
        }
    }

    /// Whether the service itself says so: HAProxy's own word counts at once, and for anything else it is asked again, since a
    /// connection may get lost.
    fn nobody_is_left(&self, over: bool) -> bool {
        for attempt in 0..entrance::ATTEMPTS {
            if attempt > 0 {
                self.run.sleep(entrance::AGAIN_AFTER);
            }
            match self.asked(over) {
                Some(Reply::NoServer) => return true,
                Some(_) => {}
                None => return false,
            }
        }
        true
    }

    /// A reply that says that nobody is left. While first checks are still to come, a connection may be lost to the reload,
    /// and only HAProxy's own word counts, where it is news.
    fn asked(&self, over: bool) -> Option<Reply> {
        if !over && self.patient {
            return None;
        }
        let place = self.place.as_ref()?;
        let spec = self.run.spec;
        let speaks = spec.tuning.lb_speaks();
        let reply = http::ask(&place.address, place.port, speaks, ATTEMPT);
        let lb = spec.names().lb.as_str();
        let counts = |reply: Reply| {
            let heard = self.run.entrance().heard(lb, spec.lb_port, place, reply);
            heard.answers() == Some(false)
        };
        if reply.answers() != Some(false) || !counts(reply) {
            return None;
        }
        let news = self.run.replied.service != Some(Reply::NoServer);
        (over || (reply == Reply::NoServer && news)).then_some(reply)
    }
}

/// What is known of the checks at one moment.
struct Found {
    /// Those that are judged and out.
    failing: Vec<Number>,
    /// Whether no server at all is left.
    outage: bool,
    /// HAProxy's own lines.
    words: Vec<String>,
}

impl Found {
    fn look(
        run: &Run<'_>,
        since: Option<Moment>,
        judged: &dyn Fn(Number) -> bool,
    ) -> Result<Self, Failure> {
        let lines = lb_log::read_log(run, since)?;
        let checks = Checks::new(lines.iter().map(|line| line.text.as_str()));
        let nobody_left = checks.nobody_left();
        let outage = nobody_left.is_some();
        // Where nobody is left, all are to blame.
        let mut down: Vec<(Number, &str)> = checks
            .down()
            .filter(|&(number, _)| outage || judged(number))
            .collect();
        down.sort_unstable();
        let words = down.iter().map(|&(_, line)| line).take(QUOTED);
        Ok(Self {
            failing: down.iter().map(|&(number, _)| number).collect(),
            outage,
            words: words.chain(nobody_left).map(str::to_owned).collect(),
        })
    }

    fn passes(&self) -> bool {
        self.failing.is_empty() && !self.outage
    }

    /// What helps, where HAProxy's words tell it.
    fn hint(&self, spec: &Spec) -> Option<&'static str> {
        let told = |status: &u16| {
            let code = format!("code: {status}");
            self.words.iter().any(|line| line.contains(&code))
        };
        let status = [400].into_iter().find(told)?;
        judge::hint_for_check(&spec.tuning.health, status)
    }

    fn failure(&self, run: &Run<'_>) -> Failure {
        let (spec, docker) = (run.spec, &run.docker);
        let lb = &spec.names().lb;
        let check = check(spec);
        let names = spec.names().instances(&self.failing);
        let what = match &names[..] {
            [] => format!(
                "`{lb}` answers that no instance passes its check, {check}, on port {}",
                spec.instance_port
            ),
            [one] => format!("`{one}` fails the check of `{lb}`, {check}"),
            _ => format!("{} fail the check of `{lb}`, {check}", text::list(&names)),
        };
        let mut failure = Failure::failed(what)
            .hinted(self.hint(spec).unwrap_or(
                "HAProxy sends nothing to an instance that fails HEALTH_CHECK; --wait gives instances more time",
            ));
        if !self.words.is_empty() {
            failure = failure.worded(self.words.join("\n"));
        }
        let tail = names.first().map(|name| autopsy::log_tail(docker, name));
        failure.logs.extend(tail);
        failure
    }
}

/// `HEALTH_CHECK=http:/health`.
fn check(spec: &Spec) -> String {
    format!("{HEALTH_CHECK}={}", spec.tuning.text(HEALTH_CHECK))
}
