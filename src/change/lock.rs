//! The service's lock: one change at a time. It is a lease that ends with its holder: a script in the load balancer holds a
//! file locked for as long as its stdin is open here.
//!
//! None is taken where nothing serves yet, on a VCH (an exec takes seconds there, and may say that it succeeded though it
//! never ran), and where the image lacks what it takes: there `guard` alone watches over what others do.

use std::time::{Duration, SystemTime};

use crate::docker::argv;
use crate::docker::cause::Cause;
use crate::docker::spawn::Held;
use crate::docker::{CallError, Docker};
use crate::text::{printable, seconds};

const SCRIPT: &str = include_str!("lock.sh");

/// How long it may take to be told whether it is free.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest name of a holder that is passed on.
const WHO_LIMIT: usize = 200;

/// What came of trying to take it.
#[derive(Debug)]
pub enum Lock {
    Held(Box<Held>),
    /// Somebody else has it: who, since when and for what, in his words.
    Busy(String),
    /// It can't be had, for this reason, if that is worth telling.
    Without(Option<String>),
}

/// Tries to take the lock in `lb` for `who`. The error is one that concerns every call.
pub fn take(docker: &Docker, lb: &str, who: &str) -> Result<Lock, CallError> {
    let argv = argv::exec_held(lb, &["sh", "-c", SCRIPT, "vch-lb", who]);
    match docker.hold(&argv, PATIENCE) {
        Ok((held, line)) => Ok(said(held, &line)),
        Err(error) if error.interrupted().is_some() => Err(error),
        Err(error) => {
            let nobody = |cause: Cause| cause.is_not_running() || cause.is_not_found();
            let worth = !error.cause().is_some_and(nobody);
            let why = || {
                if error.timed_out() {
                    return format!("no answer within {}", seconds(PATIENCE));
                }
                first_line(&error.words())
            };
            Ok(Lock::Without(worth.then(why)))
        }
    }
}

/// What the script's first line says; another's is docker's, or a VCH's, that never ran it.
fn said(held: Held, line: &str) -> Lock {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("held", "") => Lock::Held(Box::new(held)),
        ("busy", who) => Lock::Busy(by(who)),
        ("without", why) => Lock::Without(Some(cleaned(why))),
        _ => Lock::Without(Some(cleaned(line))),
    }
}

/// Whoever may write in the load balancer may write anything here.
fn by(who: &str) -> String {
    match cleaned(who) {
        who if who.is_empty() => "somebody who does not say who".to_owned(),
        who => who,
    }
}

fn cleaned(text: &str) -> String {
    let short: String = text.trim().chars().take(WHO_LIMIT).collect();
    printable(&short)
}

fn first_line(words: &str) -> String {
    cleaned(words.lines().next().unwrap_or_default())
}

/// How whoever takes the lock calls himself: `root@ws1, vch-lb scale 4, since 2026-01-02T03:04:05Z`.
pub fn who(user: &str, host: &str, command: &str, now: SystemTime) -> String {
    let since = humantime::format_rfc3339_seconds(now);
    cleaned(&format!("{user}@{host}, vch-lb {command}, since {since}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_tells_who_he_is_in_one_clean_line() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let who = who("ro\u{1b}ot", "ws1\n", "scale 4", now);
        assert_eq!(who.lines().count(), 1);
        assert!(!who.contains('\u{1b}'), "{who}");
        assert!(
            who.ends_with(", vch-lb scale 4, since 1970-01-02T00:00:00Z"),
            "{who}"
        );
    }

    #[test]
    fn what_another_holder_says_is_cleaned_and_short() {
        assert_eq!(by(" "), "somebody who does not say who");
        assert!(!by("a\u{1b}[31m").contains('\u{1b}'));
        assert!(by(&"x".repeat(9_999)).len() <= WHO_LIMIT);
    }
}
