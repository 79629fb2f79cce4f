//! How a docker call that did not succeed is told.

use super::CallError;
use super::cause::Cause;
use crate::error::{Failure, Kind};
use crate::text::printable;

impl Failure {
    /// `what` did not happen because a docker call failed. Of a VCH's errors, in which the reason stands last, it is said
    /// first. A call that an interrupt ended failed by nothing else.
    pub fn from_call(what: impl Into<String>, error: &CallError) -> Self {
        if let Some(signal) = error.interrupted() {
            return Self::interrupted(signal);
        }
        let mut what = what.into();
        if let Some(reason) = error.portlayer_message() {
            what = format!("{what}: {}", printable(reason));
        }
        let kind = if error.endpoint_unusable() {
            Kind::Unusable
        } else if error.cause() == Some(Cause::NetworkAmbiguous) {
            Kind::NetworkAmbiguous
        } else {
            Kind::Failed
        };
        Self {
            call: Some(error.call().to_owned()),
            words: Some(error.words()),
            hints: error.hint().into_iter().collect(),
            ..Self::new(kind, what)
        }
    }
}
