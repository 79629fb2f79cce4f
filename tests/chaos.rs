//! Chaos with a seed: random commands, deaths, faults and hand edits, and what has to be true after each of them.
//!
//! The seed decides what happens and in which order; where it happens is a [`World`]: the fake docker, where the same seed
//! tells the same story, or the testbed. What was promised is asked without the tool: by docker, and as clients do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// How many of the last acts' words are shown when something is not as promised.
const SHOWN: usize = 6;

/// How an `up` is called that mends, one after the other, until one of them does.
const MENDING: usize = 4;

/// Where it happens, and how one looks there without the tool.
pub(crate) trait World {
    /// INSTANCE_CTR_PREFIX, which the names of the network and the instances begin with.
    fn prefix(&self) -> String;
    /// LB_CTR_NAME.
    fn lb(&self) -> String;
    /// Runs the tool, which may be met by something in the middle.
    fn tool(&mut self, arguments: &[String], met_by: Option<&Met>) -> Ended;
    /// Two of them at once.
    fn both(&mut self, one: &[String], other: &[String]);
    /// Runs docker: what it printed, if it could.
    fn docker(&self, arguments: &[&str]) -> Option<String>;
    /// Another line in the load balancer's file, which nobody reloads.
    fn edit(&self) -> bool;
    /// Who answers clients, each instance as docker calls it; or why somebody was not answered.
    fn clients_meet(&self) -> Result<BTreeSet<String>, String>;
    /// Requests of a steady load that were lost since the last question.
    fn lost(&mut self) -> Vec<String>;
    /// How many requests that load has sent.
    fn sent(&self) -> usize;
    /// What this world can do to a container.
    fn harms(&self) -> &'static [&'static str];
    /// Arguments that every command gets which changes something.
    fn patience(&self) -> &'static [&'static str];
}

/// What meets the tool in the middle of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Met {
    /// A signal, at this part of a command's usual way, in percent.
    Signal(i32, u64),
    /// A call of docker that fails, or answers garbage; where nothing can be made to fail, a signal.
    Call { percent: u64, garbage: bool },
}

#[derive(Debug)]
pub(crate) struct Ended {
    /// None: by a signal.
    pub code: Option<i32>,
    pub said: String,
}

/// SplitMix64: the same numbers everywhere, and for ever.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// When it is enough.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Acts(usize),
    Time(Duration),
}

/// One story, from nothing to nothing.
pub(crate) struct Chaos<'a, W> {
    world: &'a mut W,
    dice: Dice,
    seed: u64,
    acts: Vec<String>,
    words: Vec<String>,
    counts: BTreeMap<String, usize>,
    /// Nothing has happened since a command's exit 0 that the service would have to be mended for.
    whole: bool,
    /// Some command has begun with it: `down` has something to take away.
    there: bool,
    image: &'static str,
    settings: Vec<String>,
    strangers: String,
}

const IMAGES: [&str; 2] = ["httpd", "httpd:2"];

const SETTINGS: [&[&str]; 7] = [
    &["--lb-balance", "leastconn"],
    &["--lb-balance", "roundrobin"],
    &["--lb-maxconn", "300"],
    &["--sticky", "cookie"],
    &["--health-check", "tcp"],
    &["--forwarded-for", "yes"],
    &["--jobs", "1"],
];

impl<'a, W: World> Chaos<'a, W> {
    pub(crate) fn new(world: &'a mut W, seed: u64) -> Self {
        Self {
            world,
            dice: Dice(seed),
            seed,
            acts: Vec::new(),
            words: Vec::new(),
            counts: BTreeMap::new(),
            whole: true,
            there: false,
            image: IMAGES[0],
            settings: Vec::new(),
            strangers: String::new(),
        }
    }

    /// Plays it; what is not as promised ends it, with the whole story.
    pub(crate) fn play(mut self, place: &str, until: Until) {
        let begun = Instant::now();
        if let Err(what) = self.story(until) {
            let mut story = format!(
                "seed {}: after {} acts: {what}\n",
                self.seed,
                self.acts.len()
            );
            for (number, act) in (1..).zip(&self.acts) {
                let _ = writeln!(story, "{number:>5}  {act}");
            }
            for words in self.words.iter().rev().take(SHOWN).rev() {
                let _ = writeln!(story, "---\n{}", words.trim_end());
            }
            let there = self.world.docker(&["ps", "-a"]).unwrap_or_default();
            panic!("{story}---\n{there}\n{what}");
        }
        let mut told = format!(
            "{place}, seed {}: {} acts in {} s, {} requests, no promise broken:",
            self.seed,
            self.acts.len(),
            begun.elapsed().as_secs(),
            self.world.sent()
        );
        for (act, count) in &self.counts {
            let _ = write!(told, " {act} {count},");
        }
        say(told.trim_end_matches(','));
    }

    fn story(&mut self, until: Until) -> Result<(), String> {
        let end = match until {
            Until::Time(time) => Instant::now() + time,
            Until::Acts(_) => Instant::now() + Duration::from_secs(86_400),
        };
        let acts = match until {
            Until::Acts(acts) => acts,
            Until::Time(_) => usize::MAX,
        };
        self.invite_strangers()?;
        while self.acts.len() < acts && Instant::now() < end {
            self.act()?;
            self.strangers_stay()?;
        }
        self.down()?;
        self.strangers_stay()
    }

    fn act(&mut self) -> Result<(), String> {
        if !self.there {
            return self.up(None);
        }
        match self.dice.below(100) {
            0..18 => self.up(None),
            18..34 => self.scale(None),
            34..44 => self.rollout(None),
            44..50 => self.fails(),
            50..58 => self.status(),
            58..61 => self.down(),
            61..73 => {
                self.harm();
                Ok(())
            }
            73..75 => self.cut_off(),
            75..79 => {
                self.edit();
                Ok(())
            }
            79..92 => {
                let percent = self.dice.next() % 100;
                let met = match self.dice.below(4) {
                    0 => Met::Signal(9, percent),
                    1 => Met::Signal(2, percent),
                    2 => Met::Call {
                        percent,
                        garbage: false,
                    },
                    _ => Met::Call {
                        percent,
                        garbage: true,
                    },
                };
                match self.dice.below(3) {
                    0 => self.up(Some(met)),
                    1 => self.scale(Some(met)),
                    _ => self.rollout(Some(met)),
                }
            }
            92..95 => self.at_once(),
            _ => self.mend(),
        }
    }

    // Acts.

    fn up(&mut self, met: Option<Met>) -> Result<(), String> {
        let count = 1 + self.dice.below(4);
        if self.dice.chance(30) {
            self.image = *self.dice.of::<&str>(&IMAGES);
        }
        if self.dice.chance(40) {
            self.settings = self
                .dice
                .of(&SETTINGS)
                .iter()
                .map(|&word| word.to_owned())
                .collect();
        }
        let arguments = self.up_with(count, self.image, &[]);
        self.there = true;
        self.change("up", &arguments, count, met)
    }

    fn up_with(&self, count: usize, image: &str, more: &[&str]) -> Vec<String> {
        let count = count.to_string();
        let mut words = vec!["up", "-n", &count, "--instance-img", image];
        words.extend(more);
        let settings = self.settings.iter().map(String::as_str);
        words.extend(settings);
        words.into_iter().map(str::to_owned).collect()
    }

    fn scale(&mut self, met: Option<Met>) -> Result<(), String> {
        let count = 1 + self.dice.below(4);
        let arguments = ["scale".to_owned(), count.to_string()];
        self.change("scale", &arguments, count, met)
    }

    fn rollout(&mut self, met: Option<Met>) -> Result<(), String> {
        let count = self.instances().len();
        let before = self.image;
        let image = *self.dice.of::<&str>(&IMAGES);
        let mut arguments = vec!["rollout", "--force", "--instance-img", image];
        if self.dice.chance(30) {
            arguments.extend(["--batch", "2"]);
        }
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        self.image = image;
        let done = self.change("rollout", &arguments, count, met);
        if self.acts.last().is_some_and(|act| !act.ends_with("exit 0")) {
            self.image = before;
        }
        done
    }

    /// A command that changes something, and what its end promises.
    fn change(
        &mut self,
        name: &str,
        arguments: &[String],
        count: usize,
        met: Option<Met>,
    ) -> Result<(), String> {
        let whole = self.whole;
        // A service that is whole loses no request, whatever the tool does with it and however that ends.
        self.world.lost();
        let was_there = !self.instances().is_empty();
        let ended = self.tool(name, arguments, met.as_ref());
        let lost = self.world.lost();
        if whole && was_there && !lost.is_empty() && met.is_none() {
            return Err(format!(
                "{} requests were lost: {:?}",
                lost.len(),
                &lost[..lost.len().min(3)]
            ));
        }
        if ended.code == Some(0) {
            // Where something had happened: which image a scaled service runs, and how many instances a rollout leaves, is
            // what was asked for before.
            if !whole && name != "up" {
                let count = if name == "scale" {
                    count
                } else {
                    self.instances().len()
                };
                return self
                    .serves(count)
                    .map_err(|what| format!("exit 0, but {what}"));
            }
            self.whole = true;
            return self.done(count);
        }
        if met.is_some() {
            self.whole = false;
            return Ok(());
        }
        if whole {
            return Err(format!(
                "it ended with {:?}, and nothing had happened",
                ended.code
            ));
        }
        Ok(())
    }

    /// An image that does not work: it is refused, and everything stays.
    fn fails(&mut self) -> Result<(), String> {
        let whole = self.whole;
        let before = self.containers();
        self.world.lost();
        let count = self.instances().len().max(1);
        let arguments = self.up_with(count, "httpd:broken", &[]);
        let ended = self.tool("broken image", &arguments, None);
        let lost = self.world.lost();
        if ended.code == Some(0) {
            return Err("an image that exits at once was rolled out".into());
        }
        if whole && !lost.is_empty() {
            return Err(format!(
                "{} requests were lost: {:?}",
                lost.len(),
                &lost[..lost.len().min(3)]
            ));
        }
        let after = self.containers();
        if whole && before != after {
            return Err(format!(
                "a failure left something else than was there:\n{before}\n{after}"
            ));
        }
        if whole {
            return self.serves(count);
        }
        Ok(())
    }

    fn status(&mut self) -> Result<(), String> {
        let arguments = [
            "status".to_owned(),
            "--format".to_owned(),
            "json".to_owned(),
        ];
        let ended = self.tool("status", &arguments, None);
        let healthy = ended.said.contains("\"verdict\": \"healthy\"")
            || ended.said.contains("\"verdict\":\"healthy\"");
        if healthy != (ended.code == Some(0)) {
            return Err(format!("`status` ended with {:?}", ended.code));
        }
        if healthy {
            let count = self.instances().len();
            return self
                .serves(count)
                .map_err(|what| format!("`status` says healthy, but {what}"));
        }
        if self.whole {
            return Err("`status` says that it is not healthy, and nothing had happened".into());
        }
        Ok(())
    }

    fn down(&mut self) -> Result<(), String> {
        let arguments = ["down".to_owned()];
        let ended = self.tool("down", &arguments, None);
        self.world.lost();
        if ended.code != Some(0) {
            return Err(format!("`down` ended with {:?}", ended.code));
        }
        (self.there, self.whole) = (false, true);
        let left = self.containers();
        if !left.is_empty() {
            return Err(format!("`down` left containers:\n{left}"));
        }
        let net = format!("{}-net", self.world.prefix());
        match self
            .world
            .docker(&["network", "ls", "--format", "{{.Name}}"])
        {
            Some(names) if names.lines().any(|name| name == net) => {
                Err(format!("`down` left the network {net}"))
            }
            _ => Ok(()),
        }
    }

    fn harm(&mut self) {
        let mut names = self.instances();
        names.push(self.world.lb());
        let name = self.dice.of(&names).clone();
        let harm = *self.dice.of(self.world.harms());
        let mut words: Vec<&str> = harm.split(' ').collect();
        words.push(&name);
        let could = self.world.docker(&words).is_some();
        let how = if could { "" } else { ": not possible" };
        self.told(words[0], &format!("docker {}", words.join(" ")), how);
        self.whole &= !could;
    }

    /// An instance is off its network for a while. Until it is back it is not the service's: `up` refuses, `down` leaves it.
    fn cut_off(&mut self) -> Result<(), String> {
        let names = self.instances();
        let Some(name) = names.get(self.dice.below(names.len().max(1))) else {
            return Ok(());
        };
        let net = format!("{}-net", self.world.prefix());
        let could = self
            .world
            .docker(&["network", "disconnect", &net, name])
            .is_some();
        let how = if could { "" } else { ": not possible" };
        self.told(
            "cut off",
            &format!("docker network disconnect {net} {name}, until the next look"),
            how,
        );
        if could {
            self.whole = false;
            self.status()?;
            self.world
                .docker(&["network", "connect", &net, name])
                .ok_or("it can't be put back")?;
        }
        Ok(())
    }

    fn edit(&mut self) {
        let could = self.world.edit();
        self.told(
            "edit",
            "another line in haproxy.cfg",
            if could { "" } else { ": not possible" },
        );
        self.whole &= !could;
    }

    fn at_once(&mut self) -> Result<(), String> {
        let (one, other) = (1 + self.dice.below(4), 1 + self.dice.below(4));
        let command = |count: usize| vec!["scale".to_owned(), count.to_string()];
        self.told(
            "at once",
            &format!("scale {one} and scale {other} at once"),
            "",
        );
        let (one, other) = (
            self.patiently(&command(one)),
            self.patiently(&command(other)),
        );
        self.world.both(&one, &other);
        self.whole = false;
        self.mend()
    }

    /// `up` brings back what was asked for, whatever has happened.
    fn mend(&mut self) -> Result<(), String> {
        let count = 1 + self.dice.below(4);
        let mut last = None;
        for turn in 0..MENDING {
            // What somebody wrote by hand is replaced when the tool is told to, no sooner.
            let more: &[&str] = if turn == 0 { &[] } else { &["--overwrite"] };
            let arguments = self.up_with(count, self.image, more);
            let ended = self.tool("mending up", &arguments, None);
            self.world.lost();
            if ended.code == Some(0) {
                self.whole = true;
                self.done(count)?;
                return self.status();
            }
            // What somebody holds is not the tool's to let go: it says who, and how.
            let held = ended
                .said
                .lines()
                .find_map(|line| line.strip_prefix("hint: docker unpause "));
            if let Some(name) = held {
                self.world.docker(&["unpause", name]);
            }
            last = ended.code;
        }
        Err(format!("`up` does not mend it: {last:?}"))
    }

    // Promises.

    /// After exit 0: so many instances, all of them run this image, and clients meet each of them and nobody else.
    fn done(&self, count: usize) -> Result<(), String> {
        let there = self.containers();
        let image = self.image;
        let right = |line: &&str| line.ends_with(&format!(" running {image}"));
        let instances = self.instances();
        let all = there
            .lines()
            .filter(|line| !line.starts_with(&format!("{} ", self.world.lb())));
        if instances.len() != count || !all.clone().all(|line| right(&line)) {
            return Err(format!(
                "exit 0, but there should be {count} of {image}:\n{there}"
            ));
        }
        self.serves(count)
            .map_err(|what| format!("exit 0, but {what}"))
    }

    /// Clients meet each instance, and nobody else.
    fn serves(&self, count: usize) -> Result<(), String> {
        let wanted: BTreeSet<String> = self.instances().into_iter().collect();
        if wanted.len() != count {
            return Err(format!("there are {wanted:?}"));
        }
        match self.world.clients_meet() {
            Ok(met) if met == wanted => Ok(()),
            Ok(met) => Err(format!("clients meet {met:?} of {wanted:?}")),
            Err(why) => Err(format!("a client was told: {why}")),
        }
    }

    fn strangers_stay(&self) -> Result<(), String> {
        let now = self.look_at_strangers();
        if now == self.strangers {
            Ok(())
        } else {
            Err(format!(
                "strangers were touched:\n{}\n{now}",
                self.strangers
            ))
        }
    }

    // Looks.

    /// The service's containers, one a line: name, id, state, image.
    fn containers(&self) -> String {
        let prefix = self.world.prefix();
        let numbered = |name: &str| {
            let number = name.strip_prefix(&format!("{prefix}-")).unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        let ours = |name: &str| name == self.world.lb() || numbered(name);
        self.listed(
            &ours,
            "{{.Name}} {{.Id}} {{.State.Status}} {{.Config.Image}}",
        )
    }

    fn instances(&self) -> Vec<String> {
        let there = self.containers();
        let names = there.lines().filter_map(|line| line.split(' ').next());
        names
            .filter(|name| *name != self.world.lb())
            .map(str::to_owned)
            .collect()
    }

    fn look_at_strangers(&self) -> String {
        let ours = |name: &str| {
            self.stranger_names()
                .iter()
                .any(|stranger| stranger == name)
        };
        let format = "{{.Name}} {{.Id}} {{.State.Status}} {{.State.StartedAt}} {{json .NetworkSettings.Networks}}";
        let net = format!("{}-net2", self.world.prefix());
        let network = self
            .world
            .docker(&["network", "inspect", "-f", "{{.Id}}", &net]);
        format!("{}{network:?}", self.listed(&ours, format))
    }

    fn listed(&self, wanted: &dyn Fn(&str) -> bool, format: &str) -> String {
        let names = self
            .world
            .docker(&["ps", "-a", "--format", "{{.Names}}"])
            .unwrap_or_default();
        let mut names: Vec<&str> = names.lines().filter(|name| wanted(name)).collect();
        names.sort_unstable();
        if names.is_empty() {
            return String::new();
        }
        let mut call = vec!["inspect", "-f", format];
        call.extend(names);
        let listed = self.world.docker(&call).unwrap_or_default();
        listed
            .split_inclusive('\n')
            .map(|line| line.trim_start_matches('/'))
            .collect()
    }

    /// Names that look like the service's.
    fn stranger_names(&self) -> [String; 4] {
        let (prefix, lb) = (self.world.prefix(), self.world.lb());
        [
            format!("{prefix}-extra"),
            format!("x{prefix}-1"),
            format!("{prefix}-1-old"),
            format!("{lb}-2"),
        ]
    }

    fn invite_strangers(&mut self) -> Result<(), String> {
        let net = format!("{}-net2", self.world.prefix());
        self.world
            .docker(&["network", "create", &net])
            .ok_or("no network for strangers")?;
        for name in self.stranger_names() {
            let call = ["run", "-d", "--name", &name, "--net", &net, "httpd"];
            self.world.docker(&call).ok_or("no strangers")?;
        }
        self.strangers = self.look_at_strangers();
        Ok(())
    }

    // The story.

    fn tool(&mut self, name: &str, arguments: &[String], met: Option<&Met>) -> Ended {
        let arguments = self.patiently(arguments);
        let ended = self.world.tool(&arguments, met);
        let how = match ended.code {
            Some(code) => format!(": exit {code}"),
            None => ": killed".into(),
        };
        let met_by = met
            .map(|met| format!(" met by {met:?}"))
            .unwrap_or_default();
        let name = if met.is_some() { "cut short" } else { name };
        self.told(
            name,
            &format!("vch-lb {}{met_by}", arguments.join(" ")),
            &how,
        );
        self.words
            .push(format!("{}\n{}", self.acts.last().unwrap(), ended.said));
        ended
    }

    fn patiently(&self, arguments: &[String]) -> Vec<String> {
        let mut arguments = arguments.to_vec();
        if !["status", "down"].contains(&arguments[0].as_str()) {
            arguments.extend(self.world.patience().iter().map(|&word| word.to_owned()));
        }
        arguments
    }

    fn told(&mut self, name: &str, act: &str, how: &str) {
        *self.counts.entry(name.to_owned()).or_default() += 1;
        say(&format!("{:>5}  {act}{how}", self.acts.len() + 1));
        self.acts.push(format!("{act}{how}"));
    }
}

/// Tells whoever asked for a story how it goes, past the capture of the test runner.
fn say(text: &str) {
    if asked().is_some() {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// What the environment asks for: VCH_LB_CHAOS_SEED, and VCH_LB_CHAOS_ACTS or VCH_LB_CHAOS_FOR, in seconds.
pub(crate) fn asked() -> Option<(u64, Until)> {
    let number = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let until = match number("VCH_LB_CHAOS_ACTS") {
        Some(acts) => Until::Acts(usize::try_from(acts).ok()?),
        None => Until::Time(Duration::from_secs(number("VCH_LB_CHAOS_FOR")?)),
    };
    Some((number("VCH_LB_CHAOS_SEED")?, until))
}
