//! Every way to the endpoint, with every docker client that is here.

use std::path::Path;
use std::process::Command;

use vch_lb::service::docker_flags;

use crate::docker_help;
use crate::service::Service;

/// Deploys and runs again, both with `arguments` and `more`.
fn deploys(service: &Service, arguments: &[&str], more: &dyn Fn(&mut Command)) {
    let mut call = vec!["up", "-n", "2"];
    call.extend(arguments);
    let run = || {
        service.tool_with(&call, |command| {
            more(command);
            command
        })
    };
    let ran = run();
    service.answers(ran.succeeded());
    service.serves(&service.instances(1..=2), "1");
    let before = service.containers();
    let again = run();
    again.succeeded().says("up to date");
    service.answers(&again);
    assert_eq!(service.containers(), before);
    // A change by reload: what the readiness gate relies on differs with the way to the endpoint.
    call[2] = "3";
    let grown = service.tool_with(&call, |command| {
        more(command);
        command
    });
    service.answers(grown.succeeded());
    service.serves(&service.instances(1..=3), "1");
}

#[test]
fn every_flag_of_every_client_is_listed() {
    let Some(service) = Service::new("flags") else {
        return;
    };
    for client in service.endpoint.clients() {
        for command in ["run", "create"] {
            let help = Command::new(&client).args([command, "--help"]).output();
            let help = String::from_utf8(help.unwrap().stdout).unwrap();
            let flags = docker_help::flags(&help);
            assert!(flags.len() > 60, "{}: {help}", client.display());
            for (short, name, takes_value) in flags {
                let listed = docker_flags::flag(name);
                let listed = listed.map(|flag| (flag.short, flag.takes_value));
                assert_eq!(
                    listed,
                    Some((short, takes_value)),
                    "{} {command} has {name}: find out whether the client reads this workstation for it, and list it in \
                     src/service/docker_flags.rs with its class",
                    client.display()
                );
            }
        }
    }
}

#[test]
fn every_client_deploys_and_finds_what_it_deployed() {
    let Some(service) = Service::new("clients") else {
        return;
    };
    let clients = service.endpoint.clients();
    assert!(!clients.is_empty());
    drop(service);
    for (number, client) in clients.iter().enumerate() {
        let Some(service) = Service::new(&format!("client{number}")) else {
            return;
        };
        deploys(&service, &["--docker", client.to_str().unwrap()], &|_| {});
    }
}

#[test]
fn every_client_speaks_the_api_of_a_vch() {
    let Some(service) = Service::new("apis") else {
        return;
    };
    let clients = service.endpoint.clients();
    drop(service);
    for (number, client) in clients.iter().enumerate() {
        let Some(service) = Service::new(&format!("api{number}")) else {
            return;
        };
        deploys(
            &service,
            &["--docker", client.to_str().unwrap()],
            &|command| {
                command.env("DOCKER_API_VERSION", "1.25");
            },
        );
    }
}

#[test]
fn a_service_of_one_client_is_another_ones_too() {
    let Some(service) = Service::new("mixed") else {
        return;
    };
    let clients = service.endpoint.clients();
    service
        .tool(&[
            "up",
            "-n",
            "2",
            "--docker",
            clients.first().unwrap().to_str().unwrap(),
        ])
        .succeeded();
    service.is_up_to_date(&[
        "up",
        "-n",
        "2",
        "--docker",
        clients.last().unwrap().to_str().unwrap(),
    ]);
}

#[test]
fn the_endpoint_is_given_as_a_flag() {
    let Some(service) = Service::new("flag") else {
        return;
    };
    deploys(&service, &["-H", &service.endpoint.host], &|command| {
        command.env_remove("DOCKER_HOST");
    });
}

#[test]
fn the_endpoint_is_a_docker_context() {
    let Some(service) = Service::new("context") else {
        return;
    };
    let config = service.path("docker-config");
    let bare = |command: &mut Command| {
        command
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_TLS_VERIFY")
            .env_remove("DOCKER_CERT_PATH");
        command.env("DOCKER_CONFIG", &config);
    };
    let certs = service.endpoint.certs.display();
    let endpoint = format!(
        "host={},ca={certs}/ca.pem,cert={certs}/cert.pem,key={certs}/key.pem",
        service.endpoint.host
    );
    let docker = |arguments: &[&str]| {
        let mut command = service
            .endpoint
            .command(Path::new("docker"), &service.path(""));
        bare(&mut command);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    docker(&["context", "create", "testbed", "--docker", &endpoint]);
    deploys(&service, &["--context", "testbed"], &bare);
    let by_environment = service.tool_with(&["up", "-n", "3"], |command| {
        bare(command);
        command.env("DOCKER_CONTEXT", "testbed")
    });
    by_environment.succeeded().says("up to date");
    docker(&["context", "use", "testbed"]);
    let by_use = service.tool_with(&["up", "-n", "3"], |command| {
        bare(command);
        command
    });
    by_use.succeeded().says("up to date");
}
