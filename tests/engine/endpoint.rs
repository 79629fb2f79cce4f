//! The endpoint that the tests run on, and the docker clients that are there to reach it with.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const SWITCH: &str = "VCH_LB_ENGINE_TESTS";

/// Where the environment says that the testbed's engine is.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub host: String,
    pub certs: PathBuf,
    path: OsString,
}

/// The endpoint, if these tests are asked for at all.
pub(crate) fn endpoint() -> Option<&'static Endpoint> {
    static ENDPOINT: OnceLock<Option<Endpoint>> = OnceLock::new();
    ENDPOINT
        .get_or_init(|| {
            if env::var_os(SWITCH).is_none_or(|value| value != "1") {
                return None;
            }
            let setting = |name: &str| {
                env::var(name).unwrap_or_else(|_| {
                    panic!("{SWITCH}=1 wants {name} too: eval \"$(scripts/testbed env)\"")
                })
            };
            setting("DOCKER_TLS_VERIFY");
            Some(Endpoint {
                host: setting("DOCKER_HOST"),
                certs: PathBuf::from(setting("DOCKER_CERT_PATH")),
                path: env::var_os("PATH").unwrap_or_default(),
            })
        })
        .as_ref()
}

impl Endpoint {
    /// The engine's own address, without scheme and port.
    pub(crate) fn address(&self) -> &str {
        let rest = self.host.trim_start_matches("tcp://");
        rest.split(':').next().unwrap_or(rest)
    }

    /// A program with the endpoint, and nothing else, in its environment.
    pub(crate) fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", home)
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", &self.certs)
            .stdin(Stdio::null());
        // Where coverage is measured, the binary is told so by this.
        if let Some(file) = env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", file);
        }
        command
    }

    /// Runs `docker` as it is found in PATH.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Output {
        // No test has a configuration of its own for this client, so a folder that isn't there will do.
        self.command(Path::new("docker"), Path::new("/nonexistent"))
            .args(arguments)
            .output()
            .expect("docker is in PATH")
    }

    /// Every docker client in PATH and in the system's own folders, the first one first.
    pub(crate) fn clients(&self) -> Vec<PathBuf> {
        let system = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
        let mut seen = BTreeSet::new();
        env::split_paths(&self.path)
            .chain(system)
            .filter_map(|folder| fs::canonicalize(folder.join("docker")).ok())
            .filter(|client| seen.insert(client.clone()))
            .collect()
    }
}
