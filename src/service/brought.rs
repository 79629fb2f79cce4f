//! What arguments bring in from this workstation: the values of `--env-file`, `--env NAME`, `--label-file` and
//! `--security-opt seccomp=FILE`, of which the argument itself tells nothing. Pure: whoever asks says how to read.
//!
//! Two instances with the same arguments are alike only if these brought in the same. So what came in is part of what is
//! compared: as a digest beside the arguments in the instance's label, never the values.
//!
//! Whoever may read the label may read the values, too: in the same answer of `docker inspect`. But labels get further than
//! that, into listings and metrics. So a digest has 32 bits only, too few to find a secret by that could not be guessed
//! anyway, and the service's name goes into it, so that equal values of two services don't look alike. A random salt in the
//! same label would hinder nobody who guesses, and would make each run's calls others.

use std::ffi::OsString;
use std::io;

use hmac_sha256::HMAC;

/// What docker's client reads for one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Lines `NAME=VALUE`, or `NAME` for a variable of the environment.
    EnvFile(String),
    /// Lines `NAME=VALUE`.
    LabelFile(String),
    /// A variable of the environment.
    Variable(String),
    /// A file that is passed on whole.
    Seccomp(String),
}

/// How this workstation is read.
#[derive(Clone, Copy)]
pub struct Workstation<'a> {
    pub file: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
}

/// The digest of what `source` brings in, for the service whose instances are called `prefix`-N. The error is a clause.
pub fn digest(
    source: &Source,
    prefix: &str,
    workstation: Workstation<'_>,
) -> Result<String, String> {
    let read = |path: &str| {
        (workstation.file)(path)
            .map_err(|error| format!("`{path}` can't be read: {}", crate::text::reason(&error)))
    };
    let content = match source {
        Source::EnvFile(path) => assignments(&read(path)?, workstation.variable),
        Source::LabelFile(path) => assignments(&read(path)?, &|_| None),
        Source::Seccomp(path) => read(path)?,
        Source::Variable(name) => (workstation.variable)(name)
            .ok_or_else(|| format!("{name} is not set in the environment"))?
            .into_encoded_bytes(),
    };
    let mac = HMAC::mac(content, format!("vch-lb {prefix}"));
    let [a, b, c, d, ..] = mac;
    Ok(format!("{:08x}", u32::from_be_bytes([a, b, c, d])))
}

/// What docker takes from the lines of a file: comments and empty lines say nothing, and a name alone stands for the
/// variable, if it is set.
fn assignments(file: &[u8], variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<u8> {
    let mut taken = Vec::new();
    for line in file.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii_start();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        taken.extend_from_slice(line);
        if !line.contains(&b'=') {
            let name = String::from_utf8_lossy(line.trim_ascii_end());
            if let Some(value) = variable(&name) {
                taken.push(b'=');
                taken.extend(value.into_encoded_bytes());
            }
        }
        taken.push(b'\n');
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &Source, file: &'static str, value: Option<&'static str>) -> String {
        let workstation = Workstation {
            file: &|path| match path {
                "app.env" => Ok(file.as_bytes().to_vec()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            variable: &|_| value.map(OsString::from),
        };
        digest(source, "web", workstation).unwrap_or_else(|why| why)
    }

    #[test]
    fn a_digest_tells_of_what_docker_takes_and_of_nothing_else() {
        let file = Source::EnvFile("app.env".into());
        let of_file = |text, value| told(&file, text, value);
        let first = of_file("A=1\nB\n", None);
        assert_eq!(first.len(), 8, "{first}");
        assert_eq!(first, of_file("# a comment\n\n  A=1\nB\n", None));
        for other in [
            of_file("A=2\nB\n", None),
            of_file("A=1\nB\nC=1\n", None),
            of_file("A=1\nB\n", Some("x")),
            told(&Source::LabelFile("app.env".into()), "A=2\nB\n", Some("x")),
        ] {
            assert_ne!(first, other);
        }
        let variable = Source::Variable("A".into());
        assert_ne!(
            told(&variable, "", Some("1")),
            told(&variable, "", Some("2"))
        );
        let other_service = digest(
            &variable,
            "shop",
            Workstation {
                file: &|_| Ok(Vec::new()),
                variable: &|_| Some("1".into()),
            },
        );
        assert_ne!(told(&variable, "", Some("1")), other_service.unwrap());
    }

    #[test]
    fn what_is_missing_is_named() {
        let variable = Source::Variable("SECRET".into());
        assert_eq!(
            told(&variable, "", None),
            "SECRET is not set in the environment"
        );
        let file = Source::Seccomp("none.json".into());
        assert!(told(&file, "", None).starts_with("`none.json` can't be read: "));
    }
}
