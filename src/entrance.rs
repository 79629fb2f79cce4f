//! The entrance to a service: where it is, and whether what comes from there is its load balancer's.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::connections;
use crate::docker::Docker;
use crate::docker::answer::Network;
use crate::http::{self, Reply, Speaks, Within};
use crate::inventory::{Container, Endpoint, Inventory};
use crate::judge::{self, Quality};
use crate::place::{self, Meaning, Place, Shown, Why};
use crate::service::names::{NetworkName, Port};

/// How long a service that is there may take: a workstation without a route to it waits a second.
pub const ALREADY_THERE: Within = Within {
    connect: Duration::from_secs(1),
    respond: Duration::from_secs(5),
};

/// A service that is there is asked so often before it counts as one that does not answer, and again after so long: a
/// connection may get lost, to a reload for one.
pub const ATTEMPTS: u32 = 2;
pub const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// What a service that is there replies.
fn ask(place: &Place, speaks: Speaks, pause: impl Fn(Duration)) -> Reply {
    let mut reply = ask_twice(place, speaks);
    for _ in 1..ATTEMPTS {
        // HAProxy's own word counts at once.
        if !matches!(reply, Reply::Refused | Reply::Closed) {
            break;
        }
        pause(AGAIN_AFTER);
        reply = ask_twice(place, speaks);
    }
    reply
}

/// Two questions at a time, and the better answer counts: one of them may be handed to an instance that has died.
fn ask_twice(place: &Place, speaks: Speaks) -> Reply {
    let (sender, replies) = mpsc::channel();
    for _ in 0..2 {
        let (sender, place) = (sender.clone(), place.clone());
        thread::spawn(move || {
            // Nobody listens any more where the other question was answered.
            let _ = sender.send(http::ask(&place.address, place.port, speaks, ALREADY_THERE));
        });
    }
    drop(sender);
    let mut told = Reply::Silent;
    for reply in replies {
        told = judge::better(told, reply, speaks);
        if judge::quality(told, speaks) >= Quality::Open {
            break;
        }
    }
    told
}

/// Everything that is needed to find the load balancer's entrance.
#[derive(Clone, Copy)]
pub struct Entrance<'a> {
    docker: &'a Docker,
    endpoint: &'a Endpoint,
    external: Option<&'a Network>,
    external_net: &'a NetworkName,
}

/// A reply, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub reply: Reply,
    pub meaning: Meaning,
}

impl Heard {
    /// Whether the load balancer answers; `None` where that can't be told from here.
    pub fn answers(self) -> Option<bool> {
        match self.meaning {
            Meaning::Its => self.reply.answers(),
            Meaning::Unknown(_) => None,
        }
    }

    /// The reply as far as it counts: one that may be another's is none.
    pub fn counted(self) -> Reply {
        match self.meaning {
            Meaning::Its => self.reply,
            Meaning::Unknown(_) => Reply::Silent,
        }
    }

    /// Why the reply is nobody's.
    pub fn why(self) -> Option<Why> {
        match self.meaning {
            Meaning::Its => None,
            Meaning::Unknown(why) => Some(why),
        }
    }
}

impl<'a> Entrance<'a> {
    pub fn new(
        docker: &'a Docker,
        inventory: &'a Inventory,
        external_net: &'a NetworkName,
    ) -> Self {
        Self {
            docker,
            endpoint: &inventory.endpoint,
            external: inventory.external.as_ref(),
            external_net,
        }
    }

    /// The ways in to `lb`, which serves on `port`; first the one that is for its clients.
    pub fn ways_in(self, lb: &Container, port: Port) -> Vec<Place> {
        let host = || self.docker.host().cloned();
        let external_net = self.external_net.as_str();
        place::ways_in(lb, external_net, port, self.endpoint.kind, host)
    }

    /// The way in to `lb` that is for its clients.
    pub fn place(self, lb: &Container, port: Port) -> Option<Place> {
        self.ways_in(lb, port).into_iter().next()
    }

    /// Asks `lb`, which serves on `port`, at `place`.
    pub fn ask(self, lb: &str, port: Port, place: &Place, speaks: Speaks) -> Heard {
        let reply = ask(place, speaks, |pause| self.docker.pause(pause));
        self.heard(lb, port, place, reply)
    }

    /// Whose reply it is that came from `place`: `lb`, asked for its own connections where that decides, serves on `port`.
    pub fn heard(self, lb: &str, port: Port, place: &Place, reply: Reply) -> Heard {
        let doubt = self.doubt(place);
        let shown = if place::has_to_be_shown(reply, doubt) {
            connections::shown(self.docker, lb, port.get(), place)
        } else {
            Shown::Nothing
        };
        let meaning = place::meaning(reply, doubt, shown);
        Heard { reply, meaning }
    }

    /// Whether what answers at `place` may be somebody else.
    pub fn doubt(self, place: &Place) -> Option<place::Doubt> {
        place::doubt(
            place,
            self.endpoint,
            || self.docker.host().cloned(),
            self.external,
            &connections::workstation(place),
            |nobody| connections::intercepted(place, nobody),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn asked(port: u16) -> Reply {
        let place = Place {
            via: place::Via::Network,
            address: "127.0.0.1".into(),
            port,
        };
        ask(&place, Speaks::Http, thread::sleep)
    }

    #[test]
    fn one_question_that_a_dead_instance_gets_does_not_hide_the_answer_of_the_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            // The first connection is held in silence.
            let _dead = listener.accept().unwrap();
            let (mut alive, _) = listener.accept().unwrap();
            let _ = alive.read(&mut [0; 1024]);
            let _ = alive.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            std::thread::park();
        });
        assert_eq!(asked(port).answers(), Some(true));
    }

    #[test]
    fn a_service_that_loses_connections_once_is_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            // What a reload does to those that wait to be taken.
            for _ in 0..2 {
                drop(listener.accept());
            }
            loop {
                let (mut alive, _) = listener.accept().unwrap();
                let _ = alive.read(&mut [0; 1024]);
                let _ = alive.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        assert_eq!(asked(port), Reply::Status(200));
    }
}
