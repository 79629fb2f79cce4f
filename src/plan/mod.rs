//! Plans: the ordered steps from what is there to what is wanted. Pure: computed without any I/O, then shown or executed.
//!
//! A plan's order is the script's, and every step comes after those that it needs: run one by one from the first to the
//! last, it is right. Which of them may go side by side follows from what each needs.

pub mod down;
pub mod undo;
pub mod up;

use crate::haproxy::versions;
use crate::inventory::Restarts;
use crate::receipt::Phase;
use crate::service::names::{ImageRef, Names, Number};
use crate::service::{Service, Spec};

/// A step's place in its plan.
pub type StepId = usize;

/// What one step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Pull(ImageRef),
    CreateNetwork,
    /// `docker run` of a new instance.
    Run(Number),
    /// `docker start` of an instance that is there.
    Start(Number),
    /// Each of `publish` is opened as `-p PORT:PORT`.
    CreateLb {
        publish: Vec<u16>,
    },
    ConnectLb,
    /// Copies the certificate and the admin's own template into the load balancer.
    CopyFiles,
    /// Copies haproxy.cfg, sending to these instances, into a load balancer that does not run.
    CopyConfig(Vec<Number>),
    StartLb,
    /// Waits until the load balancer runs, has its address, and, where it can be reached from here, answers; with
    /// HEALTH_CHECK, until it has checked its instances.
    AwaitService,
    /// Waits until these instances are ready.
    AwaitReady(Vec<Number>),
    /// Makes the running load balancer send to these instances, as a transaction.
    Reload(Vec<Number>),
    /// Watches these instances a little longer before the old ones go: with HEALTH_CHECK, until HAProxy has checked them.
    Watch(Vec<Number>),
    /// Waits until the workers from before the last reloads are gone.
    Drain,
    Stop(Vec<Number>),
    Remove(Vec<Number>),
    /// Ends the load balancer.
    StopLb,
    /// Renames the load balancer: another one takes its place.
    SetLbAside,
    /// Gives it its name back.
    TakeLbBack,
    RemoveLbAside,
    RemoveLb,
    RemoveNetwork,
    /// Puts the file from before back into the load balancer.
    RestoreConfig(Back),
}

/// From where a load balancer comes back to its file from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// It does not run: the file is all.
    Stopped,
    /// It was asked to run another file, and may.
    Asked,
    /// It runs another file, and sends to instances that the one from before does not know.
    Elsewhere,
}

impl Action {
    /// What goes on meanwhile, for the receipt of `--probe`.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Reload(_) | Self::RestoreConfig(_) => Phase::Reloading,
            Self::Watch(_) => Phase::Watching,
            Self::Drain => Phase::Draining,
            Self::Stop(_)
            | Self::Remove(_)
            | Self::StopLb
            | Self::SetLbAside
            | Self::TakeLbBack
            | Self::RemoveLbAside
            | Self::RemoveLb
            | Self::RemoveNetwork => Phase::Stopping,
            Self::Pull(_)
            | Self::CreateNetwork
            | Self::Run(_)
            | Self::Start(_)
            | Self::CreateLb { .. }
            | Self::CopyFiles
            | Self::ConnectLb
            | Self::CopyConfig(_)
            | Self::StartLb
            | Self::AwaitService
            | Self::AwaitReady(_) => Phase::Starting,
        }
    }

    /// Whether what comes after it must not happen without it, not even in undoing, which otherwise goes on: an instance
    /// would be taken away that the load balancer sends to.
    pub fn has_to_succeed(&self) -> bool {
        *self == Self::RestoreConfig(Back::Elsewhere)
    }

    /// Whether it only waits: nothing on the endpoint is changed.
    #[cfg(test)]
    fn waits(&self) -> bool {
        matches!(
            self,
            Self::AwaitService | Self::AwaitReady(_) | Self::Watch(_) | Self::Drain
        )
    }
}

/// One action, what has to be done before, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    pub needs: Vec<StepId>,
}

/// Which service a plan is about, and how it is wanted, where anything is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Of `up`, and of undoing it.
    Up(Box<Spec>),
    /// Of `down`, which makes nothing: no step of it asks how anything is wanted.
    Down(Service),
}

impl Subject {
    pub fn service(&self) -> &Service {
        match self {
            Self::Up(spec) => &spec.service,
            Self::Down(service) => service,
        }
    }

    pub fn spec(&self) -> Option<&Spec> {
        match self {
            Self::Up(spec) => Some(spec),
            Self::Down(_) => None,
        }
    }
}

/// Steps in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub subject: Subject,
    /// Who starts the load balancer that is there again when it ends.
    pub restarts: Restarts,
    pub steps: Vec<Step>,
    /// Why it is not empty, in words, where that is not obvious.
    pub reasons: Vec<String>,
}

impl Plan {
    pub fn new(subject: Subject, restarts: Restarts) -> Self {
        Self {
            subject,
            restarts,
            steps: Vec::new(),
            reasons: Vec::new(),
        }
    }

    pub fn names(&self) -> &Names {
        &self.subject.service().names
    }

    pub fn spec(&self) -> Option<&Spec> {
        self.subject.spec()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether nothing of the service is changed.
    pub fn only_pulls(&self) -> bool {
        self.actions()
            .all(|action| matches!(action, Action::Pull(_)))
    }

    /// Appends a step that needs the steps in `needs`.
    pub fn add(&mut self, action: Action, needs: &[StepId]) -> StepId {
        debug_assert!(
            needs.iter().all(|&need| need < self.steps.len()),
            "steps come after what they need"
        );
        self.steps.push(Step {
            action,
            needs: needs.to_vec(),
        });
        self.steps.len() - 1
    }

    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.steps.iter().map(|step| &step.action)
    }

    /// Instances that it makes.
    pub fn made(&self) -> impl Iterator<Item = Number> {
        self.actions().filter_map(|action| match action {
            Action::Run(number) => Some(*number),
            _ => None,
        })
    }

    /// Instances that it removes.
    pub fn removed(&self) -> impl Iterator<Item = Number> {
        let removed = self.actions().filter_map(|action| match action {
            Action::Remove(numbers) => Some(numbers),
            _ => None,
        });
        removed.flatten().copied()
    }

    /// How often the load balancer is reloaded.
    pub fn reloads(&self) -> usize {
        let is_one = |action: &&Action| matches!(action, Action::Reload(_));
        self.actions().filter(is_one).count()
    }

    /// Those that the last haproxy.cfg which it writes sends to; `None` where it writes none.
    pub fn servers(&self) -> Option<&[Number]> {
        let sent_to = self.actions().filter_map(|action| match action {
            Action::CopyConfig(servers) | Action::Reload(servers) => Some(servers),
            _ => None,
        });
        sent_to.last().map(Vec::as_slice)
    }

    /// Whether a reload may cost a connection: HAProxy 1.7 can't hand its listening sockets over.
    pub fn may_reset(&self) -> bool {
        let version = self.spec().and_then(|spec| spec.lb_version);
        self.reloads() > 0 && version.is_some_and(|version| version < versions::HANDS_OVER)
    }
}
