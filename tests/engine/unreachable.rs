//! Endpoints that can't be used: exit code 4, and a hint that names the cause.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::service::{Ran, Service};

/// `up` with every docker client that is here.
fn with_every_client(
    service: &Service,
    more: impl Fn(&mut Command) -> &mut Command,
    check: impl Fn(&Ran),
) {
    for client in service.endpoint.clients() {
        let ran = service.tool_with(&["up", "--docker", client.to_str().unwrap()], &more);
        ran.exited(4).answers_nothing().says("info --format");
        check(&ran);
    }
    service.is_gone();
}

/// A CA that the testbed knows nothing of, its certificate being the client's as well.
fn other_authority(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=another CA",
            "-keyout",
            "key.pem",
            "-out",
            "ca.pem",
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::copy(folder.join("ca.pem"), folder.join("cert.pem")).unwrap();
}

#[test]
fn nothing_listens_there() {
    let Some(service) = Service::new("closed") else {
        return;
    };
    let host = format!("tcp://{}:1", service.endpoint.address());
    with_every_client(
        &service,
        |command| command.env("DOCKER_HOST", &host),
        |ran| {
            ran.says("hint: nothing answers there");
        },
    );
}

#[test]
fn the_endpoints_certificate_is_from_another_authority() {
    let Some(service) = Service::new("other-ca") else {
        return;
    };
    let certs = service.path("certs");
    other_authority(&certs);
    with_every_client(
        &service,
        |command| command.env("DOCKER_CERT_PATH", &certs),
        |ran| {
            ran.says("hint: put the endpoint's CA into ca.pem of DOCKER_CERT_PATH");
        },
    );
}

#[test]
fn the_clients_certificate_is_from_another_authority() {
    let Some(service) = Service::new("other-cert") else {
        return;
    };
    let certs = service.path("certs");
    other_authority(&certs);
    fs::copy(service.endpoint.certs.join("ca.pem"), certs.join("ca.pem")).unwrap();
    with_every_client(
        &service,
        |command| command.env("DOCKER_CERT_PATH", &certs),
        |ran| {
            ran.says("hint: the endpoint wants a client certificate from its own CA");
        },
    );
}

#[test]
fn there_are_no_certificates() {
    let Some(service) = Service::new("no-certs") else {
        return;
    };
    let certs = service.path("nowhere");
    with_every_client(
        &service,
        |command| command.env("DOCKER_CERT_PATH", &certs),
        |ran| {
            ran.says("hint: point DOCKER_CERT_PATH at a directory with matching");
        },
    );
}

#[test]
fn plain_text_to_an_endpoint_with_tls() {
    let Some(service) = Service::new("plain") else {
        return;
    };
    with_every_client(
        &service,
        |command| {
            command
                .env_remove("DOCKER_TLS_VERIFY")
                .env_remove("DOCKER_CERT_PATH")
        },
        |ran| {
            ran.says("hint: one side speaks TLS and the other does not");
        },
    );
}

#[test]
fn tls_to_an_endpoint_without() {
    let Some(service) = Service::new("tls") else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let refuse = |mut stream: TcpStream| {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        };
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = refuse(stream);
        }
    });
    with_every_client(
        &service,
        |command| command.env("DOCKER_HOST", &host),
        |ran| {
            ran.says("hint: one side speaks TLS and the other does not");
        },
    );
}

#[test]
fn an_api_that_the_endpoint_does_not_speak() {
    let Some(service) = Service::new("api") else {
        return;
    };
    with_every_client(
        &service,
        |command| command.env("DOCKER_API_VERSION", "1.99"),
        |ran| {
            ran.says("hint: set DOCKER_API_VERSION to what the endpoint speaks");
        },
    );
}

#[test]
fn a_context_that_does_not_exist() {
    let Some(service) = Service::new("no-context") else {
        return;
    };
    with_every_client(
        &service,
        |command| {
            command
                .env_remove("DOCKER_HOST")
                .env("DOCKER_CONTEXT", "nowhere")
        },
        |ran| {
            ran.says("hint: pick a context from `docker context ls`");
        },
    );
}

#[test]
fn a_client_that_is_not_there() {
    let Some(service) = Service::new("no-client") else {
        return;
    };
    let ran = service.tool(&["up", "--docker", "/nowhere/docker"]);
    ran.exited(4)
        .answers_nothing()
        .says("no docker client: `/nowhere/docker` was not found\nhint: ");
}
