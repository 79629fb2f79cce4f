//! Doing one action of a plan: its docker calls, what their answers mean, when to repeat them.
//!
//! Waiting is in `ready` and `reach`, the reload transaction in `reload`; which calls there are is said in `calls`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::calls;
use crate::docker::argv::{self, Argv};
use crate::docker::cause::Cause;
use crate::docker::layers::{Layers, PullLines};
use crate::docker::{Answer, CallError, Docker, answer, archive};
use crate::error::{Failure, Standing};
use crate::execute::Done;
use crate::guard::Guard;
use crate::haproxy::read::{Found, Odd};
use crate::haproxy::versions::Version;
use crate::haproxy::{self, Config};
use crate::http::Reply;
use crate::interrupt::Interrupt;
use crate::inventory::{self, Container, Inventory, Restarts};
use crate::moment::Moment;
use crate::others::Others;
use crate::plan::{Action, Back};
use crate::reach::Reach;
use crate::reload::Workers;
use crate::spec::names::Number;
use crate::spec::tuning::ServerAddress;
use crate::spec::{LABEL, Spec};
use crate::ui::Ui;
use crate::{ambiguous, config_file, look};

/// How long to pause before a call that met a passing trouble is repeated; after the last one it has failed.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// How often a copy that arrives truncated is repeated, and after which pause.
pub const COPIES: usize = 3;
pub const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How patient a run is, from the command line.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long the service, or an instance, may take to answer.
    pub wait: Duration,
    /// How long an instance has to run to count as ready where nothing else tells.
    pub settle: Duration,
    /// How long old connections may take to end.
    pub drain: Duration,
}

/// Everything that doing an action takes.
pub struct Performer<'a> {
    pub docker: Docker,
    pub spec: &'a Spec,
    /// Who starts the load balancer again when it ends.
    pub restarts: Restarts,
    /// What was there before this run.
    pub before: &'a Inventory,
    /// What this run knows of the service: what is otherwise is somebody else's.
    pub guard: &'a Guard,
    /// Whether this goes back, so that what others did is left alone.
    pub undoing: bool,
    pub ui: &'a Ui,
    pub interrupt: Interrupt,
    pub patience: Patience,
    /// Where haproxy.cfg is written on this workstation.
    pub config_path: String,
    pub memo: Mutex<Memo>,
}

/// What later actions, and the answer, need of earlier ones.
#[derive(Debug, Default)]
pub struct Memo {
    pub reach: Option<Reach>,
    pub workers: Workers,
    /// When the load balancer was started again that had ended, by the endpoint's clock.
    pub revived: Option<Moment>,
    /// A removal failed: what is left may still be on the network.
    pub left_over: bool,
    /// What the service replied before anything was changed; `None` where it was not asked.
    pub replied_before: Option<Reply>,
    /// What instances replied on their published ports before anything was changed, at best; `None` where none was asked.
    pub siblings: Option<Reply>,
    /// Those that the load balancer sends to in the end.
    pub servers: Vec<Number>,
    /// Instances that this run is going to remove.
    pub leaving: BTreeSet<Number>,
    /// Instances that have passed HAProxy's checks.
    pub passed: BTreeSet<Number>,
}

impl Performer<'_> {
    pub fn perform(&self, action: &Action) -> Result<Done, Failure> {
        match action {
            Action::CreateNetwork => self.create_network(action),
            Action::Run(number) => self.make_container(action, &self.spec.names.instance(*number)),
            Action::CreateLb { .. } => self.make_container(action, self.spec.names.lb.as_str()),
            Action::ConnectLb => self.connect_lb(action),
            Action::CopyConfig(servers) => {
                let text = self.write_config(servers, self.version_of_new_lb()?)?;
                if self.guard.has_company() {
                    self.others().none_started(&text)?;
                }
                self.copy_first_config(action, &text)
            }
            Action::CopyFiles => {
                if self.before.lb.as_ref().is_some_and(Container::running) {
                    self.others().none_changed()?;
                }
                self.copy_files(action)
            }
            Action::AwaitService => crate::reach::await_service(self).map(|()| Done::ByUs),
            Action::AwaitReady(numbers) => {
                crate::ready::await_ready(self, numbers).map(|()| Done::ByUs)
            }
            Action::Watch(numbers) => crate::ready::watch(self, numbers).map(|()| Done::ByUs),
            Action::Reload(servers) => {
                self.others().none_changed()?;
                let text = self.write_config(servers, self.spec.lb_version)?;
                // From the copy on the load balancer does not even start again without them.
                self.note_serving(&self.spec.names.instances(servers));
                crate::reload::reload(self, &text, servers).map(|()| Done::ByUs)
            }
            Action::RestoreConfig(back) => self.restore_config(*back),
            Action::Drain => crate::reload::drain(self).map(|()| Done::ByUs),
            Action::StopLb if self.others().is_untouched(self.spec.names.lb.as_str())? => {
                crate::signals::stop(self, action)
            }
            Action::StopLb => Ok(Done::ByUs),
            Action::Stop(numbers) => match self.others().untouched(numbers)? {
                ours if ours.is_empty() => Ok(Done::ByUs),
                ours => self.tolerating(&Action::Stop(ours), Cause::is_not_found),
            },
            Action::Remove(numbers) => match self.others().untouched(numbers)? {
                ours if ours.is_empty() => Ok(Done::ByUs),
                ours => {
                    self.guard.forgets(&self.spec.names.instances(&ours));
                    self.remove(&Action::Remove(ours))
                }
            },
            Action::RemoveLb => self.remove_lb(action, self.spec.names.lb.as_str()),
            Action::RemoveLbAside => self.remove_lb(action, &self.spec.names.lb_aside()),
            Action::RemoveNetwork => self.remove(action),
            Action::Pull(_) => self.pull(action),
            Action::StartLb => {
                // One that takes the place of another serves in its stead.
                if self.before.lb.is_some() || self.before.lb_aside.is_some() {
                    self.interrupt.note_all_serving();
                }
                self.plainly(action)
            }
            // Where it was not set aside after all, it is in its place.
            Action::TakeLbBack => {
                let names = &self.spec.names;
                self.guard
                    .renaming(&names.lb_aside(), names.lb.as_str(), || {
                        self.tolerating(action, |cause| {
                            cause.is_not_found() || cause.is_name_conflict()
                        })
                    })
            }
            Action::SetLbAside => {
                let names = &self.spec.names;
                let (lb, aside) = (names.lb.as_str(), names.lb_aside());
                self.guard.renaming(lb, &aside, || self.plainly(action))
            }
            Action::Start(_) => {
                self.memo().workers.note_moved();
                self.plainly(action)
            }
        }
    }

    /// Who else may be at the service.
    pub fn others(&self) -> Others<'_> {
        Others {
            docker: &self.docker,
            names: &self.spec.names,
            guard: self.guard,
            undoing: self.undoing,
            ui: self.ui,
        }
    }

    pub fn memo(&self) -> MutexGuard<'_, Memo> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The docker calls of `action` that change something.
    pub fn calls(&self, action: &Action) -> Vec<Argv> {
        calls::changing(action, self.spec, self.restarts, &self.config_path)
    }

    /// The calls of `action`, one after the other.
    fn plainly(&self, action: &Action) -> Result<Done, Failure> {
        for argv in self.calls(action) {
            self.change(&argv)
                .map_err(|error| self.not_done(action, &error))?;
        }
        Ok(Done::ByUs)
    }

    /// A pull tells on the way how many layers are there.
    fn pull(&self, action: &Action) -> Result<Done, Failure> {
        let label = calls::label(action, self.spec);
        for argv in self.calls(action) {
            self.repeated(&argv, || {
                let mut lines = PullLines::default();
                let (ui, label) = (self.ui.clone(), label.clone());
                self.docker.change_watched(&argv, move |chunk| {
                    if let Some(Layers { there, of }) = lines.read(chunk) {
                        ui.step_counts(&label, there, of, "layers");
                    }
                })
            })
            .map_err(|error| self.not_done(action, &error))?;
        }
        Ok(Done::ByUs)
    }

    /// Like [`Self::plainly`], where a failure of one of these causes means that there is nothing to do.
    pub fn tolerating(&self, action: &Action, fine: fn(Cause) -> bool) -> Result<Done, Failure> {
        for argv in self.calls(action) {
            match self.change(&argv) {
                Err(error) if !error.cause().is_some_and(fine) => {
                    return Err(self.not_done(action, &error));
                }
                _ => {}
            }
        }
        Ok(Done::ByUs)
    }

    /// Where somebody else has connected it, that is done; and somebody else is making the same service.
    fn connect_lb(&self, action: &Action) -> Result<Done, Failure> {
        for argv in self.calls(action) {
            match self.change(&argv) {
                Err(error) if error.cause().is_some_and(Cause::is_already_there) => {
                    self.guard.note_company();
                }
                Err(error) => return Err(self.not_done(action, &error)),
                Ok(_) => {}
            }
        }
        Ok(Done::ByUs)
    }

    fn remove_lb(&self, action: &Action, name: &str) -> Result<Done, Failure> {
        if !self.others().is_untouched(name)? {
            return Ok(Done::ByUs);
        }
        self.guard.forgets(&[name.to_owned()]);
        self.remove(action)
    }

    /// A removal is done where nothing of it is left, whatever became of the call.
    fn remove(&self, action: &Action) -> Result<Done, Failure> {
        let mut failure = None;
        for argv in self.calls(action) {
            // A network is not left by what could not be removed, nor by what is somebody else's, however long we wait.
            let removed = if self.memo().left_over || self.guard.met_others() {
                self.docker.change(&argv)
            } else {
                self.change(&argv)
            };
            match removed {
                Err(error) if !error.is_not_found() => {
                    failure.get_or_insert_with(|| self.not_done(action, &error));
                }
                _ => {}
            }
        }
        match failure {
            Some(failure) if !self.is_gone(action) => {
                self.memo().left_over = true;
                Err(failure)
            }
            Some(failure) => {
                self.ui.status(&format!(
                    "{failure}, docker says, but nothing of it is left"
                ));
                Ok(Done::ByUs)
            }
            None => Ok(Done::ByUs),
        }
    }

    /// Whether everything that `action` removes is gone; not, if nobody can tell.
    fn is_gone(&self, action: &Action) -> bool {
        let docker = self.docker.uninterruptible();
        let names = &self.spec.names;
        let gone =
            |names: &[String]| look::containers(&docker, names).is_ok_and(|found| found.is_empty());
        match action {
            Action::Remove(numbers) => gone(&names.instances(numbers)),
            Action::RemoveLb => gone(&[names.lb.to_string()]),
            Action::RemoveLbAside => gone(&[names.lb_aside()]),
            Action::RemoveNetwork => {
                let bridge = names.network();
                look::networks_called(&docker, &[self.spec.external_net.as_str(), &bridge])
                    .is_ok_and(|found| found.iter().all(|network| network.name != bridge))
            }
            _ => false,
        }
    }

    fn not_done(&self, action: &Action, error: &CallError) -> Failure {
        Failure::from_call(calls::not_done(action, self.spec), error)
    }

    /// A changing call, repeated where docker's words say that the trouble passes. Only for calls that may be repeated.
    pub fn change(&self, argv: &Argv) -> Result<Answer, CallError> {
        self.repeated(argv, || self.docker.change(argv))
    }

    fn repeated(
        &self,
        argv: &Argv,
        call: impl Fn() -> Result<Answer, CallError>,
    ) -> Result<Answer, CallError> {
        let mut pauses = PAUSES.iter();
        let mut settled = false;
        loop {
            match call() {
                Err(error) if self.settles(&error, &mut settled) => {}
                Err(error) if error.cause().is_some_and(Cause::is_transient) => match pauses.next()
                {
                    Some(&pause) if self.pause(argv, &error, pause) => {}
                    _ => return Err(error),
                },
                result => return result,
            }
        }
    }

    /// Whether `error` is that there are several networks called PREFIX-net, about which something was done for the first time.
    fn settles(&self, error: &CallError, settled: &mut bool) -> bool {
        if error.cause() != Some(Cause::NetworkAmbiguous) || *settled {
            return false;
        }
        *settled = true;
        ambiguous::settle(&self.docker, self.ui, &self.spec.names.network());
        true
    }

    /// Says that `argv` will be repeated and waits; `false` if an interrupt came meanwhile.
    fn pause(&self, argv: &Argv, error: &CallError, pause: Duration) -> bool {
        let words = error.words();
        let words = error.portlayer_message().unwrap_or_else(|| gist(&words));
        let seconds = crate::text::seconds(pause);
        self.ui.status(&format!(
            "{}: {words}; again in {seconds}",
            self.docker.shown(argv)
        ));
        self.sleep(pause)
    }

    /// Sleeps, but not through an interrupt: `false` if one came.
    pub fn sleep(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        loop {
            if self.interrupt.raised() {
                return false;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// The failure of having been interrupted, if that is the case.
    pub fn check_interrupt(&self) -> Result<(), Failure> {
        self.interrupt
            .signal()
            .map_or(Ok(()), |signal| Err(Failure::interrupted(signal)))
    }

    fn create_network(&self, action: &Action) -> Result<Done, Failure> {
        let network = self.spec.names.network();
        for argv in self.calls(action) {
            match self.change(&argv) {
                Ok(_) => {}
                Err(error) if error.cause().is_some_and(Cause::is_already_there) => {
                    self.ui.status(&format!(
                        "network {network} was created meanwhile by somebody else"
                    ));
                    return Ok(Done::ByOthers);
                }
                Err(error) => return Err(self.not_done(action, &error)),
            }
        }
        self.interrupt.note_standing(self.standing(
            "network",
            &network,
            &argv::network_rm(&network),
        ));
        Ok(Done::ByUs)
    }

    fn note_serving(&self, names: &[String]) {
        let containers = names.iter().map(|name| format!("container `{name}`"));
        self.interrupt.note_serving(&containers.collect::<Vec<_>>());
    }

    fn standing(&self, what: &str, name: &str, remove: &Argv) -> Standing {
        Standing {
            what: format!("{what} `{name}`"),
            remove: self.docker.shown(remove),
        }
    }

    /// `docker run` and `docker create`: repeated only after a look at what the failed call left behind.
    fn make_container(&self, action: &Action, name: &str) -> Result<Done, Failure> {
        let Some(argv) = self.calls(action).pop() else {
            return Ok(Done::ByUs);
        };
        self.interrupt.note_standing(self.standing(
            "container",
            name,
            &argv::rm_force(&[name.to_owned()]),
        ));
        self.guard.makes(name);
        let mut pauses = PAUSES.iter();
        let mut settled = false;
        loop {
            let error = match self.docker.change(&argv) {
                Ok(answer) => {
                    let Some(id) = printed_id(&answer) else {
                        let error = self.docker.bad_answer(&argv, no_id(&answer));
                        return Err(self.not_done(action, &error));
                    };
                    self.guard.made(name, &id);
                    return Ok(Done::ByUs);
                }
                Err(error) => error,
            };
            let cause = error.cause();
            if cause.is_some_and(Cause::is_name_conflict) {
                self.guard.forgets(&[name.to_owned()]);
                return self.made_meanwhile(action, name, &error);
            }
            let settles = self.settles(&error, &mut settled);
            let passes = cause.is_some_and(|cause| {
                cause.is_transient() || cause.retry_after_removal() || cause.is_port_conflict()
            });
            if !(passes || settles) || !self.ready_to_repeat(action, name)? {
                return Err(self.not_done(action, &error));
            }
            if settles {
                continue;
            }
            match pauses.next() {
                Some(&pause) if self.pause(&argv, &error, pause) => {}
                _ => return Err(self.not_done(action, &error)),
            }
        }
    }

    /// Removes what a failed `run` or `create` left behind; `false` where it must not be repeated: the container is
    /// there and runs.
    fn ready_to_repeat(&self, action: &Action, name: &str) -> Result<bool, Failure> {
        match look::container(&self.docker, name)? {
            None => Ok(true),
            Some(found) if found.running() => Ok(false),
            Some(_) => {
                let rm = argv::rm_force(&[name.to_owned()]);
                match self.change(&rm) {
                    Err(error) if !error.is_not_found() => Err(self.not_done(action, &error)),
                    _ => Ok(true),
                }
            }
        }
    }

    /// The name was free when this run looked: somebody else made the container since.
    fn made_meanwhile(
        &self,
        action: &Action,
        name: &str,
        error: &CallError,
    ) -> Result<Done, Failure> {
        let alike = look::container(&self.docker, name)?.filter(|found| self.is_alike(found));
        let listed = look::listed(&self.docker, &self.spec.names)?;
        let listed = listed.iter().find(|listed| listed.name == name);
        if let Some(listed) = alike.and(listed) {
            self.guard.adopts(name, &listed.id);
            self.ui
                .status(&format!("{name} was made meanwhile by somebody else"));
            Ok(Done::ByOthers)
        } else {
            Err(self.not_done(action, error))
        }
    }

    /// Whether a container that somebody else made is what this run would have made.
    fn is_alike(&self, found: &Container) -> bool {
        let Spec {
            names,
            external_net,
            ..
        } = self.spec;
        let there = found.is_on(&names.network()) || found.is_on(external_net.as_str());
        let (image, label) = if found.name == names.lb.as_str() {
            (&self.spec.lb_image, self.spec.lb_label())
        } else {
            (&self.spec.image, self.spec.label())
        };
        there && found.image == image.as_str() && found.labels.get(LABEL) == label.as_ref()
    }

    /// The configuration that sends to `servers`, at the addresses that they have now.
    fn config(&self, servers: &[Number]) -> Result<Config, Failure> {
        if self.spec.tuning.server_address == ServerAddress::Name {
            return Ok(Config::by_name(self.spec, servers));
        }
        let bridge = self.spec.names.network();
        let found = look::containers(&self.docker, &self.spec.names.instances(servers))?;
        let addresses: HashMap<&str, &str> = found
            .iter()
            .filter_map(|found| Some((found.name.as_str(), found.address_on(&bridge)?)))
            .collect();
        let names = self.spec.names.instances(servers);
        if let Some(lost) = names
            .iter()
            .find(|name| !addresses.contains_key(name.as_str()))
        {
            return Err(Failure::failed(format!(
                "`{lost}` has no address on `{bridge}`"
            )));
        }
        let address = |_, name: &str| addresses.get(name).copied().unwrap_or_default().to_owned();
        Ok(Config::by_address(self.spec, servers, address))
    }

    /// Puts the certificate and the admin's own template beside haproxy.cfg.
    fn copy_files(&self, action: &Action) -> Result<Done, Failure> {
        for (name, content) in calls::files(self.spec) {
            self.put_file(name, content)
                .map_err(|error| self.not_done(action, &error))?;
        }
        Ok(Done::ByUs)
    }

    /// A copy into a running container may arrive truncated on a VCH: it is read back.
    fn put_file(&self, name: &str, content: &[u8]) -> Result<(), CallError> {
        let lb = self.spec.names.lb.as_str();
        let argv = calls::restore(lb);
        let archive =
            archive::pack(name, content).map_err(|why| self.docker.bad_answer(&argv, why))?;
        for _ in 0..COPIES {
            self.repeated(&argv, || {
                self.docker.change_with_stdin(&argv, archive.clone())
            })?;
            match look::file_in(&self.docker, lb, name) {
                Ok(there) if there.as_deref() != Some(content) => {
                    self.ui.status(&format!(
                        "{name} did not arrive whole in {lb}: copying it again"
                    ));
                    self.sleep(AGAIN_AFTER);
                }
                // Where it can't be read back, docker's word has to do.
                _ => return Ok(()),
            }
        }
        Err(self
            .docker
            .bad_answer(&argv, format!("{name} does not arrive whole in `{lb}`")))
    }

    /// HAProxy's version in the load balancer that was created: it is asked only where its image's tag does not tell.
    fn version_of_new_lb(&self) -> Result<Option<Version>, Failure> {
        if self.spec.lb_version.is_some() {
            return Ok(self.spec.lb_version);
        }
        let lb = look::container(&self.docker, self.spec.names.lb.as_str())?;
        Ok(lb.and_then(|lb| lb.haproxy))
    }

    /// Renders haproxy.cfg for `servers` and HAProxy of `version`, and writes it on this workstation.
    fn write_config(
        &self,
        servers: &[Number],
        version: Option<Version>,
    ) -> Result<String, Failure> {
        let config = Config {
            version,
            ..self.config(servers)?
        };
        let text = config.render()?;
        self.write_text(&text)?;
        self.guard.writes(&text);
        Ok(text)
    }

    /// Writes `text` as the haproxy.cfg on this workstation. What an own template holds may be secret.
    pub fn write_text(&self, text: &str) -> Result<(), Failure> {
        let secret = self.spec.template.is_some();
        config_file::write(Path::new(&self.config_path), text, secret)
    }

    /// Copies the haproxy.cfg on this workstation, which holds `text`, into the load balancer: as the script does it, or so
    /// that everybody may read it there, where not everybody may here.
    pub fn copy_config(&self, text: &str) -> Result<(), CallError> {
        let found = self.before.config.as_ref();
        // docker would write where a link leads to.
        let odd = found.is_some_and(|found| found.odd.is_some());
        let secret = self.spec.template.is_some();
        if !odd && config_file::is_for_everybody(Path::new(&self.config_path), secret) {
            let argv = calls::copy(self.spec, &self.config_path);
            return self.change(&argv).map(drop);
        }
        let argv = calls::restore(self.spec.names.lb.as_str());
        let archive = archive::pack(haproxy::CONFIG_NAME, text.as_bytes())
            .map_err(|why| self.docker.bad_answer(&argv, why))?;
        self.repeated(&argv, || {
            self.docker.change_with_stdin(&argv, archive.clone())
        })
        .map(drop)
    }

    /// Copies haproxy.cfg into a load balancer that does not run yet, and reads it back: whoever deploys another service from
    /// the same directory at the same time writes the same file.
    fn copy_first_config(&self, action: &Action, text: &str) -> Result<Done, Failure> {
        let lb = self.spec.names.lb.as_str();
        for _ in 0..COPIES {
            self.copy_config(text)
                .map_err(|error| self.not_done(action, &error))?;
            match look::file_in(&self.docker, lb, haproxy::CONFIG_NAME) {
                Ok(there) if there.as_deref() != Some(text.as_bytes()) => {
                    self.ui.status(&format!(
                        "the haproxy.cfg in {lb} is not the one that was written: writing and copying it again"
                    ));
                    self.sleep(AGAIN_AFTER);
                    self.check_interrupt()?;
                    self.others().none_started(text)?;
                    self.write_text(text)?;
                }
                // Where it can't be read back, docker's word has to do.
                _ => return Ok(Done::ByUs),
            }
        }
        let what =
            format!("the haproxy.cfg in the load balancer `{lb}` is not the one that was written");
        Err(Failure::failed(what).hinted(
            "if another service is deployed from this directory at the same time, --config-out gives each a file of its own",
        ))
    }

    /// Puts the file from before back into the load balancer.
    fn restore_config(&self, back: Back) -> Result<Done, Failure> {
        let Some(found) = &self.before.config else {
            return Ok(Done::ByUs);
        };
        if self.others().other_file().is_some() {
            self.ui.status(&format!(
                "the haproxy.cfg in {} is somebody else's: it is left as it is",
                self.spec.names.lb
            ));
            return Ok(Done::ByUs);
        }
        let template = found
            .template
            .as_deref()
            .map(|text| (haproxy::TEMPLATE_NAME, text.as_bytes()));
        let cert = found.cert.as_deref().map(|pem| (haproxy::CERT_NAME, pem));
        for (name, content) in template.into_iter().chain(cert) {
            self.put_file(name, content).map_err(|error| {
                Failure::from_call(format!("the {name} from before is not back"), &error)
            })?;
        }
        for (name, _) in calls::files(self.spec) {
            let config = found.config.as_ref();
            let was_there = match name {
                haproxy::TEMPLATE_NAME => found.template.is_some(),
                _ => config.is_none_or(|config| config.tuning.tls),
            };
            if !was_there {
                self.take_away(name)?;
            }
        }
        if let Some(odd) = &found.odd {
            self.put_odd(odd, back)?;
        } else if back == Back::Stopped {
            self.put_config(&found.text)?;
        } else {
            let text = self.text_to_go_back_to(found)?;
            crate::reload::back_to(self, &text)?;
            if text != found.text {
                self.leave_as_found(found);
            }
        }
        Ok(Done::ByUs)
    }

    /// A file that this run put beside haproxy.cfg goes again. Where it can't be removed it is emptied: nothing names it.
    fn take_away(&self, name: &str) -> Result<(), Failure> {
        let lb = self.spec.names.lb.as_str();
        let removed = self.docker.change(&calls::remove_file(lb, name)).is_ok();
        if removed && matches!(look::file_in(&self.docker, lb, name), Ok(None)) {
            return Ok(());
        }
        self.put_file(name, b"").map_err(|error| {
            Failure::from_call(format!("the {name} in `{lb}` is not taken away"), &error)
        })
    }

    /// The load balancer runs without those that don't, but how many the service is to have is read off its file. Not so
    /// with addresses: those from before may be wrong by now.
    fn leave_as_found(&self, found: &Found) {
        let by_ip = found
            .config
            .as_ref()
            .is_some_and(|config| config.tuning.server_address == ServerAddress::Ip);
        if by_ip || !self.has_all_servers(found) {
            return;
        }
        if let Err(failure) = self.put_config(&found.text) {
            self.ui.warn(&failure.what);
        }
    }

    /// Whether all that a file sends to are there, running or not.
    fn has_all_servers(&self, found: &Found) -> bool {
        let config = found.config.as_ref();
        let numbers = config.map(Config::numbers).unwrap_or_default();
        self.others()
            .all_there(&self.spec.names.instances(&numbers))
    }

    /// Puts the file from before back after a reload that failed, unless somebody else's is there: the old worker serves on.
    /// What others removed is not sent to again.
    pub fn put_back(&self, found: &Found) -> Result<(), Failure> {
        if self.others().other_file().is_some() {
            return Ok(());
        }
        if found.odd.is_some() || self.has_all_servers(found) {
            return self.put_found(found);
        }
        self.put_config(&self.text_to_go_back_to(found)?)
    }

    /// The file from before, sending to those of its servers that can be sent to now: HAProxy takes no name that does not
    /// resolve, and one that was stopped and started again may have another address.
    fn text_to_go_back_to(&self, found: &Found) -> Result<String, Failure> {
        let Some(config) = found
            .config
            .as_ref()
            .filter(|_| !found.edited() && !found.other_template)
        else {
            return Ok(found.text.clone());
        };
        let names = self.spec.names.instances(&config.numbers());
        let there = look::containers(&self.docker, &names)?;
        if there.is_empty() && !names.is_empty() {
            let lb = &self.spec.names.lb;
            let what = format!(
                "the haproxy.cfg from before is not back in `{lb}`: none of the instances that it sends to is there"
            );
            return Err(Failure::failed(what));
        }
        let back = inventory::as_far_as_there(config, &there, &self.spec.names);
        let same = config.servers.iter().map(|server| &server.address);
        if back.servers.is_empty() || same.eq(back.servers.iter().map(|server| &server.address)) {
            return Ok(found.text.clone());
        }
        let kept: BTreeSet<Number> = back.numbers().into_iter().collect();
        for lost in config.numbers() {
            if !kept.contains(&lost) {
                self.ui.status(&format!(
                    "`{}` does not run: the load balancer goes back to the others",
                    self.spec.names.instance(lost)
                ));
            }
        }
        Ok(back.render()?)
    }

    /// What lay in place of the file goes back where HAProxy does not run another one by now.
    fn put_odd(&self, odd: &Odd, back: Back) -> Result<(), Failure> {
        let runs_another = back != Back::Stopped && self.memo().workers.may_run_another();
        match odd.archive().filter(|_| !runs_another) {
            Some(archive) => self.put_archive(archive),
            None => Err(Failure::failed(format!(
                "what lay in place of the haproxy.cfg in `{}` can't be put back",
                self.spec.names.lb
            ))),
        }
    }

    fn put_archive(&self, archive: &[u8]) -> Result<(), Failure> {
        let lb = self.spec.names.lb.as_str();
        let argv = calls::restore(lb);
        let put = || self.docker.change_with_stdin(&argv, archive.to_vec());
        self.repeated(&argv, put).map(drop).map_err(|error| {
            let what = format!("what lay in place of the haproxy.cfg in `{lb}` is not back");
            Failure::from_call(what, &error)
        })
    }

    /// Puts back what `found` tells of, where HAProxy runs nothing else.
    fn put_found(&self, found: &Found) -> Result<(), Failure> {
        match &found.odd {
            Some(odd) => self.put_odd(odd, Back::Stopped),
            None => self.put_config(&found.text),
        }
    }

    /// Writes `text` straight into the load balancer, past the local file.
    pub fn put_config(&self, text: &str) -> Result<(), Failure> {
        self.guard.writes(text);
        self.put_file(haproxy::CONFIG_NAME, text.as_bytes())
            .map_err(|error| {
                let lb = &self.spec.names.lb;
                Failure::from_call(
                    format!("the haproxy.cfg from before is not back in `{lb}`"),
                    &error,
                )
            })
    }
}

/// The line that says what the matter is: docker puts pulling before it, and which call failed or how to get help behind.
fn gist(words: &str) -> &str {
    let daemons = words.lines().find(|line| line.contains("from daemon: "));
    daemons
        .or_else(|| words.lines().rfind(|line| !line.is_empty()))
        .unwrap_or_default()
}

/// `docker run -d` and `docker create` print the container's ID, 64 hexadecimal digits, on the last line.
fn printed_id(answer: &Answer) -> Option<String> {
    let text = answer.text();
    answer::short_id(text.trim_end().lines().last().unwrap_or_default())
}

fn no_id(answer: &Answer) -> String {
    let said: String = answer.text().trim().chars().take(200).collect();
    let mut why = if said.is_empty() {
        "docker succeeded, but printed no container ID".to_owned()
    } else {
        format!(
            "docker succeeded, but printed no container ID: {}",
            crate::error::printable(&said)
        )
    };
    if !answer.stderr.trim().is_empty() {
        why = format!("{why}\n{}", answer.stderr.trim());
    }
    why
}
