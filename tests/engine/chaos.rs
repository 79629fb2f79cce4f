//! Chaos on the testbed, under load: only where `scripts/chaos` asks for it, as a story is never told twice alike here.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use crate::chaos_story::{Chaos, Ended, Met, World, asked};
use crate::production::Load;
use crate::service::Service;
use crate::traffic;

const CONFIG: &str = "/usr/local/etc/haproxy/haproxy.cfg";

/// About as long as a command takes.
const USUAL: u64 = 3_000;

struct Testbed {
    service: Service,
    load: Option<Load>,
    /// Requests of loads that are over.
    sent: usize,
}

impl Testbed {
    /// The words and code of a run, which is met in the middle.
    fn meet(&self, arguments: &[&str], signal: &str, percent: u64) -> Ended {
        let running = self.service.start(arguments);
        thread::sleep(Duration::from_millis(USUAL * percent / 100));
        running.signal(signal);
        let ran = running.end();
        Ended {
            code: ran.code,
            said: ran.to_string(),
        }
    }
}

impl Testbed {
    fn lb_runs(&self) -> bool {
        let state = self.docker(&["inspect", "-f", "{{.State.Status}}", &self.service.lb]);
        state.is_some_and(|state| state.trim() == "running")
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let net = format!("{}-net2", self.prefix());
        let filter = format!("network={net}");
        for id in self
            .docker(&["ps", "-aq", "--filter", &filter])
            .unwrap_or_default()
            .lines()
        {
            self.docker(&["rm", "-f", "-v", id]);
        }
        self.docker(&["network", "rm", &net]);
    }
}

impl World for Testbed {
    fn prefix(&self) -> String {
        self.service.prefix.clone()
    }

    fn lb(&self) -> String {
        self.service.lb.clone()
    }

    fn tool(&mut self, arguments: &[String], met_by: Option<&Met>) -> Ended {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match met_by {
            None => {
                let ran = self.service.tool(&words);
                Ended {
                    code: ran.code,
                    said: ran.to_string(),
                }
            }
            Some(Met::Signal(signal, percent)) => self.meet(&words, &signal.to_string(), *percent),
            Some(Met::Call { percent, garbage }) => {
                self.meet(&words, if *garbage { "KILL" } else { "TERM" }, *percent)
            }
        }
    }

    fn both(&mut self, one: &[String], other: &[String]) {
        let one: Vec<&str> = one.iter().map(String::as_str).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        let (one, other) = (self.service.start(&one), self.service.start(&other));
        one.end();
        other.end();
    }

    fn docker(&self, arguments: &[&str]) -> Option<String> {
        let output = self.service.endpoint.docker(arguments);
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn edit(&self) -> bool {
        let file = self.service.path("edited.cfg");
        let file = file.to_str().unwrap();
        let inside = format!("{}:{CONFIG}", self.service.lb);
        if self.docker(&["cp", &inside, file]).is_none() {
            return false;
        }
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text + "# by hand\n").unwrap();
        self.docker(&["cp", file, &inside]).is_some()
    }

    fn clients_meet(&self) -> Result<BTreeSet<String>, String> {
        if !self.lb_runs() {
            return Err("the load balancer does not run".into());
        }
        let address = self.service.address();
        let mut met = BTreeSet::new();
        // However the requests of the load fall in between, everybody gets his turn.
        for _ in 0..40 {
            match traffic::get(&address, self.service.port()) {
                Ok((200, body)) => met.extend(body.split(' ').next().map(str::to_owned)),
                other => return Err(format!("{other:?}")),
            }
        }
        Ok(met)
    }

    fn lost(&mut self) -> Vec<String> {
        let lost = self.load.take().map(Load::end).unwrap_or_default();
        self.sent += lost.answers() + lost.failures.len();
        self.load = self.lb_runs().then(|| Load::http(2, &self.service));
        lost.failures
    }

    fn sent(&self) -> usize {
        self.sent
    }

    fn harms(&self) -> &'static [&'static str] {
        &["kill", "stop", "rm -f", "restart", "pause"]
    }

    fn patience(&self) -> &'static [&'static str] {
        &["--wait", "10s"]
    }
}

#[test]
fn whatever_happens_what_is_said_is_so() {
    let Some((seed, until)) = asked() else {
        return;
    };
    let Some(mut service) = Service::new("chaos") else {
        return;
    };
    let series = std::env::var("VCH_LB_CHAOS_HAPROXY").unwrap_or_else(|_| "2.6".into());
    service.set("LB_IMG", &format!("haproxy:{series}"));
    let mut testbed = Testbed {
        service,
        load: None,
        sent: 0,
    };
    Chaos::new(&mut testbed, seed).play(&format!("haproxy:{series}"), until);
}
