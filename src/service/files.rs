//! The files that settings name: the certificate and the admin's own template, checked before anything is changed. Pure.

use super::Spec;
use super::certificate;
use super::names::Number;
use crate::error::Failure;
use crate::haproxy::Config;
use crate::haproxy::read::Found;
use crate::settings::{self, Settings};

/// Checks certificate and template of `spec`.
pub fn check(spec: &Spec, settings: &Settings) -> Result<(), Failure> {
    let complaint = |name: &str, why: &str| Failure::usage(settings.get(name).complaint(why));
    if let Some(pem) = &spec.cert {
        certificate::check(pem).map_err(|why| complaint(settings::TLS_CERT, &why))?;
    }
    if let Some(template) = &spec.template {
        check_template(spec, settings, template)
            .map_err(|why| complaint(settings::TEMPLATE, &why))?;
    }
    Ok(())
}

fn check_template(spec: &Spec, settings: &Settings, template: &str) -> Result<(), String> {
    for value in settings.iter().filter(|value| value.is_set()) {
        let variable = value.setting.variable_for(&value.text);
        if let Some(variable) = variable.filter(|variable| !template.contains(variable)) {
            return Err(format!(
                "{} is `{}`, but the template does not use `{variable}`",
                value.setting.name, value.text
            ));
        }
    }
    let numbers: Vec<Number> = (1..).take(spec.count.get().min(3)).collect();
    let config = Config::by_name(spec, &numbers);
    let text = config.render().map_err(|error| format!("{error:#}"))?;
    let found = Found::new(text, spec.template.clone(), spec.lb_version);
    let read = found.config.as_ref();
    if read.is_none_or(|read| read.lb_port != spec.lb_port) {
        return Err("what it renders has no `bind *:{{lb_port}}` that comes before any other `bind`, or no servers".into());
    }
    let as_rendered = read
        .is_some_and(|read| read.numbers() == numbers && read.instance_port == spec.instance_port);
    let again = read.and_then(|read| read.render().ok());
    if !as_rendered || again.as_ref() != Some(&found.text) {
        return Err("what it renders has no line `server server{{number}} {{address}}:{{../instance_port}}` for each of the \
                    servers, so that the service could not be recognised again"
            .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file::Assignments;

    const OWN: &str = "listen x\n\tbind *:{{lb_port}}\n\tmode {{mode}}\n{{#each servers}}\tserver server{{number}} \
                       {{address}}:{{../instance_port}}\n{{/each}}";

    fn refusal(
        template: Option<&str>,
        cert: Option<&str>,
        given: &[(&str, &str)],
    ) -> Option<String> {
        let all: Vec<(&str, &str)> = given
            .iter()
            .copied()
            .chain([("TEMPLATE", "own.hbs"), ("TLS_CERT", "")])
            .collect();
        let flag = |name: &str| {
            all.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, text)| (*text).to_owned())
        };
        let settings = Settings::resolve(flag, |_| None, &Assignments::default());
        let mut spec = Spec::from_settings(&settings).unwrap();
        spec.template = template.map(str::to_owned);
        spec.cert = cert.map(|cert| cert.as_bytes().to_vec());
        check(&spec, &settings).err().map(|failure| failure.what)
    }

    #[test]
    fn a_template_that_can_be_recognised_again_is_accepted() {
        assert_eq!(refusal(Some(OWN), None, &[]), None);
        assert_eq!(refusal(Some(OWN), None, &[("LB_MODE", "tcp")]), None);
    }

    #[test]
    fn a_template_that_lacks_what_a_setting_needs_is_refused_with_both_names() {
        for (name, value) in [
            ("HEALTH_CHECK", "tcp"),
            ("STATS_PORT", "9000"),
            ("STICKY", "cookie"),
            ("LB_MAXCONN", "9"),
        ] {
            let refusal = refusal(Some(OWN), None, &[(name, value)]).unwrap();
            assert!(
                refusal.contains("TEMPLATE") && refusal.contains(name),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_template_that_cannot_be_recognised_again_is_refused() {
        for template in [
            "",
            "listen x\n",
            &OWN.replace("server{{number}}", "s{{number}}"),
            &OWN.replace("*:{{lb_port}}", "*:81"),
            &OWN.replace("{{../instance_port}}", "81"),
            &OWN.replace("{{address}}", "x y"),
            "{{#each servers}}",
            "{{nothing}}",
        ] {
            assert!(refusal(Some(template), None, &[]).is_some(), "{template}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_template_is_one_sentence() {
        let told = |template: &str| refusal(Some(template), None, &[]).unwrap();
        assert_eq!(
            told(&OWN.replace("{{mode}}", "{{lb_maxcon}}")),
            "TEMPLATE is `own.hbs` (--template): line 3, column 7: there is no variable `lb_maxcon`; did you mean \
             `lb_maxconn`?"
        );
        let nested = told(&OWN.replace("{{address}}", "{{addres}}"));
        assert!(
            nested.ends_with("there is no variable `addres`; did you mean `address`?"),
            "{nested}"
        );
        let inside = told(&OWN.replace("{{../instance_port}}", "{{instance_port}}"));
        assert!(
            inside.ends_with(
                "there is no variable `instance_port`; did you mean `../instance_port`?"
            ),
            "{inside}"
        );
        assert!(told("{{nothing_such}}").ends_with("there is no variable `nothing_such`"));
        for broken in ["x\n{{#each servers}}", "x {{", "x\n{{foo bar}}"] {
            let told = told(broken);
            assert_eq!(told.lines().count(), 1, "{told}");
            assert!(
                told.contains(": line ") && !told.contains("nnamed"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        let cert = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(refusal(Some(OWN), Some(&format!("{cert}{key}")), &[]), None);
        assert!(
            refusal(Some(OWN), Some(cert), &[])
                .unwrap()
                .contains("no private key")
        );
        assert!(
            refusal(Some(OWN), Some(key), &[])
                .unwrap()
                .contains("no certificate")
        );
    }
}
