//! Where a service is and what it replied there, and how that is said.

use crate::entrance::{ALREADY_THERE, Heard};
use crate::http::Reply;
use crate::judge;
use crate::place::{Place, Why};
use crate::service::names::ContainerName;

/// Where the service is, and what it replied there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The ways in, first the one that is for clients.
    pub ways_in: Vec<Place>,
    /// As far as it counts: one that may be another's is none.
    pub reply: Reply,
    /// Somebody is there, but nobody knows who.
    pub why: Option<Why>,
}

impl Reach {
    /// What was heard at the first of `ways_in`, if there is one.
    pub fn new(ways_in: Vec<Place>, heard: Option<Heard>) -> Self {
        Self {
            ways_in,
            reply: heard.map_or(Reply::Silent, Heard::counted),
            why: heard.and_then(Heard::why),
        }
    }

    /// Where clients get to the service.
    pub fn place(&self) -> Option<&Place> {
        self.ways_in.first()
    }

    /// Whether the service was seen to answer, be it with a failure. If not, this workstation may have no route to it.
    pub fn answered(&self) -> bool {
        matches!(self.reply, Reply::Status(_) | Reply::NotHttp)
    }
}

/// What that means, for the line that tells where the service is.
pub fn in_words(heard: Heard) -> String {
    if heard.why().is_some() {
        return "whether it answers can't be told from here".into();
    }
    match heard.reply {
        Reply::Status(status) if status < 500 => "answers".into(),
        Reply::Status(status) => format!("answers {status}"),
        Reply::NotHttp => "answers".into(),
        Reply::Open => "takes connections".into(),
        Reply::NoServer | Reply::Refused | Reply::Closed => "does not answer".into(),
        Reply::Mute => format!("no answer within {} s", ALREADY_THERE.respond.as_secs()),
        Reply::Silent => "no answer from here".into(),
    }
}

/// What is said of a service that is there and does not work.
pub fn fails(lb: &ContainerName, reply: Reply) -> String {
    match reply {
        Reply::Status(_) | Reply::NotHttp => {
            format!("the service behind `{lb}` {}", judge::in_words(reply))
        }
        Reply::NoServer => format!("`{lb}` answers that no instance is there"),
        Reply::Refused => format!("connections to `{lb}` are refused"),
        Reply::Closed => format!("connections to `{lb}` are closed without an answer"),
        Reply::Open | Reply::Mute | Reply::Silent => format!("`{lb}` does not answer"),
    }
}

/// What is said of a reply that may be another's.
pub fn untold(place: &Place) -> String {
    format!("whether the service answers at {place} can't be told from here")
}
