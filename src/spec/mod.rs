//! What is wanted: the settings given meaning. All validation of settings happens here, before anything is tried. Pure.

pub mod names;
pub mod running;

use names::{ContainerName, Count, ImageRef, Names, NetworkName, Port, Prefix};

use crate::error::Failure;
use crate::settings::{self, Settings};

/// A service, as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub names: Names,
    pub image: ImageRef,
    pub count: Count,
    pub instance_port: Port,
    pub lb_port: Port,
    pub lb_image: ImageRef,
    pub external_net: NetworkName,
}

impl Spec {
    /// Checks every setting; the failure names each that can't be used, its value and where it came from.
    pub fn from_settings(settings: &Settings) -> Result<Self, Failure> {
        let mut read = Reader {
            settings,
            complaints: Vec::new(),
        };
        let prefix = read.value(settings::INSTANCE_CTR_PREFIX, Prefix::parse);
        let lb = read.value(settings::LB_CTR_NAME, ContainerName::parse);
        let image = read.value(settings::INSTANCE_IMG, ImageRef::parse);
        let count = read.value(settings::NUM_INSTANCES, Count::parse);
        let instance_port = read.value(settings::INSTANCE_PORT, Port::parse);
        let lb_port = read.value(settings::LB_PORT, Port::parse);
        let lb_image = read.value(settings::LB_IMG, ImageRef::parse);
        let external_net = read.value(settings::EXTERNAL_NET, NetworkName::parse);
        let names = prefix.zip(lb).map(|(prefix, lb)| Names { prefix, lb });
        if let Some(names) = &names {
            read.check_names(names, count, external_net.as_ref());
        }
        let spec = (|| {
            Some(Self {
                names: names?,
                image: image?,
                count: count?,
                instance_port: instance_port?,
                lb_port: lb_port?,
                lb_image: lb_image?,
                external_net: external_net?,
            })
        })();
        read.finish(spec)
    }
}

/// The part of the settings that tells a service from others, for commands that need no more.
pub fn identity(settings: &Settings) -> Result<(Names, NetworkName), Failure> {
    let mut read = Reader {
        settings,
        complaints: Vec::new(),
    };
    let prefix = read.value(settings::INSTANCE_CTR_PREFIX, Prefix::parse);
    let lb = read.value(settings::LB_CTR_NAME, ContainerName::parse);
    let external_net = read.value(settings::EXTERNAL_NET, NetworkName::parse);
    let names = prefix.zip(lb).map(|(prefix, lb)| Names { prefix, lb });
    if let Some(names) = &names {
        read.check_names(names, None, external_net.as_ref());
    }
    read.finish(names.zip(external_net))
}

/// Reads settings and collects what is wrong with them, so that all of it is said at once.
struct Reader<'a> {
    settings: &'a Settings,
    complaints: Vec<String>,
}

impl Reader<'_> {
    fn value<T>(&mut self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.settings.get(name);
        match parse(&value.text) {
            Ok(parsed) => Some(parsed),
            Err(why) => {
                self.complaints.push(value.complaint(why));
                None
            }
        }
    }

    /// Names that are fine by themselves may still meet each other.
    fn check_names(&mut self, names: &Names, count: Option<Count>, external: Option<&NetworkName>) {
        if let Some(Err(why)) = count.map(|count| names.fits(count.get())) {
            self.complain(settings::INSTANCE_CTR_PREFIX, &why);
        }
        if names.number_of(names.lb.as_str()).is_some() {
            let prefix = self.settings.get(settings::INSTANCE_CTR_PREFIX);
            let why = format!(
                "with {} `{}` this is an instance's name",
                prefix.setting.name, prefix.text
            );
            self.complain(settings::LB_CTR_NAME, &why);
        }
        if external.is_some_and(|external| external.as_str() == names.network()) {
            self.complain(
                settings::EXTERNAL_NET,
                "this is the name of the instances' own network",
            );
        }
    }

    fn complain(&mut self, name: &str, why: &str) {
        self.complaints.push(self.settings.get(name).complaint(why));
    }

    fn finish<T>(self, value: Option<T>) -> Result<T, Failure> {
        match (value, self.complaints.as_slice()) {
            (Some(value), []) => Ok(value),
            (_, complaints) => Err(Failure::usage(complaints.join("\n       "))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn settings(given: &[(&str, &str)]) -> Settings {
        let given = |name: &str| {
            given
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::resolve(given, |_| None)
    }

    /// The script's defaults with a few settings changed.
    pub(crate) fn spec(given: &[(&str, &str)]) -> Spec {
        Spec::from_settings(&settings(given)).expect("valid settings")
    }

    fn refusal(given: &[(&str, &str)]) -> String {
        Spec::from_settings(&settings(given))
            .expect_err("a refusal")
            .what
    }

    #[test]
    fn the_defaults_are_accepted() {
        let spec = spec(&[]);
        assert_eq!(spec.names.instance(1), "web-1");
        assert_eq!(spec.names.network(), "web-net");
        assert_eq!(spec.count.get(), 3);
    }

    #[test]
    fn a_refusal_names_setting_value_and_source() {
        assert_eq!(
            refusal(&[("LB_PORT", "80x")]),
            "LB_PORT is `80x` (--lb-port): a port is a whole number from 1 to 65535"
        );
        let all = refusal(&[
            ("LB_PORT", "0"),
            ("INSTANCE_IMG", "-x"),
            ("NUM_INSTANCES", "0"),
        ]);
        assert_eq!(all.lines().count(), 3, "{all}");
    }

    #[test]
    fn names_that_meet_each_other_are_refused() {
        assert!(refusal(&[("LB_CTR_NAME", "web-7")]).contains("an instance's name"));
        assert!(refusal(&[("EXTERNAL_NET", "web-net")]).contains("own network"));
        let prefix = "w".repeat(59);
        assert!(
            refusal(&[("INSTANCE_CTR_PREFIX", &prefix), ("NUM_INSTANCES", "10000")])
                .contains("DNS")
        );
        spec(&[("INSTANCE_CTR_PREFIX", &prefix)]);
    }

    #[test]
    fn identity_asks_for_names_only() {
        let given = settings(&[("NUM_INSTANCES", "many"), ("LB_PORT", "x")]);
        assert!(identity(&given).is_ok());
        assert!(identity(&settings(&[("LB_CTR_NAME", "-")])).is_err());
    }
}
