//! The load balancer's configuration: values to the text of haproxy.cfg, and back.
//!
//! Pure. With nothing but the script's variables the text is the script's, byte for byte. What HAProxy says about a
//! configuration (its log, `haproxy -c`) is read in `log`.

pub mod log;
pub mod read;

use handlebars::Handlebars;
use serde::Serialize;

use crate::spec::Spec;
use crate::spec::names::{Number, Port};

/// Where every official image looks for it.
pub const CONFIG_PATH: &str = "/usr/local/etc/haproxy/haproxy.cfg";
/// The directory of [`CONFIG_PATH`].
pub const CONFIG_DIR: &str = "/usr/local/etc/haproxy";
/// The last part of [`CONFIG_PATH`].
pub const CONFIG_NAME: &str = "haproxy.cfg";

const TEMPLATE: &str = include_str!("../../templates/haproxy.cfg.hbs");

/// One `server` line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The instance's: the line is called `serverN`.
    pub number: Number,
    /// The container's name, or its address on the bridge network.
    pub address: String,
}

/// What a haproxy.cfg of ours says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    #[serde(serialize_with = "as_number")]
    pub lb_port: Port,
    #[serde(serialize_with = "as_number")]
    pub instance_port: Port,
    /// Whether a reload has to be told to hand its listening sockets over (HAProxy 1.8 to 2.5 lose connections
    /// otherwise, 1.7 can't).
    pub hand_over: bool,
    /// By number, ascending.
    pub servers: Vec<Server>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn as_number<S: serde::Serializer>(port: &Port, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(port.get())
}

impl Config {
    /// The configuration that `spec` asks for, sending to `servers`.
    pub fn new(spec: &Spec, servers: Vec<Server>) -> Self {
        Self {
            lb_port: spec.lb_port,
            instance_port: spec.instance_port,
            hand_over: spec
                .lb_image
                .version_in_tag()
                .is_some_and(|version| version >= (1, 8)),
            servers,
        }
    }

    /// The configuration that sends to the instances with these numbers by name.
    pub fn by_name(spec: &Spec, numbers: &[Number]) -> Self {
        let server = |&number: &Number| Server {
            number,
            address: spec.names.instance(number),
        };
        Self::new(spec, numbers.iter().map(server).collect())
    }

    /// The text of haproxy.cfg.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(handlebars::no_escape);
        Ok(handlebars.render_template(TEMPLATE, self)?)
    }

    pub fn numbers(&self) -> Vec<Number> {
        self.servers.iter().map(|server| server.number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::spec;

    #[test]
    fn the_defaults_render_the_file_of_the_script() {
        let text = Config::by_name(&spec(&[]), &[1, 2, 3]).render().unwrap();
        assert_eq!(text, include_str!("../../tests/golden/default.cfg"));
    }

    #[test]
    fn every_variable_of_the_script_arrives_in_its_place() {
        let spec = spec(&[("INSTANCE_PORT", "8080"), ("LB_PORT", "443")]);
        let text = Config::by_name(&spec, &[1, 7]).render().unwrap();
        assert_eq!(text, include_str!("../../tests/golden/ports.cfg"));
    }

    #[test]
    fn from_1_8_on_a_reload_hands_its_sockets_over() {
        let spec = spec(&[("LB_IMG", "haproxy:2.6")]);
        let text = Config::by_name(&spec, &[1]).render().unwrap();
        assert_eq!(text, include_str!("../../tests/golden/hand-over.cfg"));
    }
}
