use std::collections::HashSet;

use proptest::prelude::*;

use super::{Cause, Cause as C, TABLE, TAIL, classify, portlayer_message};

/// What `run` and `create` of a client from 28 on print, around the daemon's words. Older ones end in a full stop and
/// `See 'docker run --help'.`
fn run(words: &str) -> String {
    format!(
        "docker: Error response from daemon: {words}\n\nRun 'docker run --help' for more information\n"
    )
}

fn run_20(words: &str) -> String {
    format!("docker: Error response from daemon: {words}.\nSee 'docker run --help'.\n")
}

fn daemon(words: &str) -> String {
    format!("Error response from daemon: {words}\n")
}

fn client(words: &str) -> String {
    format!("{words}\n")
}

const ID: &str = "8445208aeb6f76686a3f9350fd28d57d05c2219fb8ecfcd89e807d9edc081da9";

/// Texts of the docker client, 20.10 to 29, and what it says of the connection.
#[rustfmt::skip]
fn of_the_client() -> Vec<(String, Cause)> {
    vec![
        (client("docker: 'context' is not a docker command.\nSee 'docker --help'"), C::UnknownCommand),
        (client("docker: unknown command: docker context\n\nRun 'docker --help' for more information"), C::UnknownCommand),
        (client("unknown flag: --bogus\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'docker run --help' for more information"), C::BadArgument),
        (client("unknown shorthand flag: 'z' in -z\nSee 'docker run --help'."), C::BadArgument),
        (client("flag needs an argument: --name\nSee 'docker run --help'."), C::BadArgument),
        (client("invalid argument \"1x\" for \"-m, --memory\" flag: invalid suffix: 'x'\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]"), C::BadArgument),
        (client("docker: invalid containerPort: 99999\n\nRun 'docker run --help' for more information"), C::BadArgument),
        (client("error getting credentials - err: exec: \"docker-credential-desktop\": executable file not found in $PATH, out: ``"), C::CredentialHelper),
        (client("Failed to initialize: unable to resolve docker endpoint: context \"nope\": context not found: open /root/.docker/contexts/meta/ca37/meta.json: no such file or directory"), C::ContextNotFound),
        (client("context \"nope\" does not exist"), C::ContextNotFound),
        (client("Current context \"nope\" is not found on the file system, please check your config file at /root/.docker/config.json"), C::ContextNotFound),
        (client("Failed to initialize: unable to resolve docker endpoint: invalid bind address format: foo://x"), C::BadHost),
        (client("unable to parse docker host `vch`"), C::BadHost),
        (client("unable to resolve docker endpoint: open /home/admin/.docker/ca.pem: no such file or directory"), C::TlsFiles),
        (client("Failed to initialize: failed to retrieve context tls info: ca.pem seems invalid"), C::TlsFiles),
        (client("Failed to initialize: failed to retrieve context tls info: tls: private key does not match public key"), C::TlsFiles),
        (client("Could not load X509 key pair: tls: failed to find any PEM data in certificate input"), C::TlsFiles),
        (client("could not read CA certificate \"/home/admin/.docker/ca.pem\": open /home/admin/.docker/ca.pem: no such file or directory"), C::TlsFiles),
        (client("error during connect: Get \"http://docker.example.com/v1.50/containers/json\": command [ssh -o ConnectTimeout=30 -T -- engine docker system dial-stdio] has exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=ssh: connect to host engine port 22: Connection refused\n"), C::Ssh),
        (client("Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/containers/json\": dial unix /var/run/docker.sock: connect: permission denied"), C::SocketPermission),
        (client("docker: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Head \"http://%2Fvar%2Frun%2Fdocker.sock/_ping\": dial unix /var/run/docker.sock: connect: permission denied\n\nRun 'docker run --help' for more information"), C::SocketPermission),
        (client("permission denied while trying to connect to the docker API at unix:///var/run/docker.sock"), C::SocketPermission),
        (client("dial unix /var/run/docker.sock: connect: permission denied"), C::SocketPermission),
        (client("API version 1.25 is not supported by this client: the minimum supported API version is 1.44"), C::ClientTooNew),
        (daemon("client is newer than server (client API version: 1.41, server API version: 1.25)"), C::ClientTooNew),
        (daemon("client version 1.99 is too new. Maximum supported API version is 1.41"), C::ClientTooNew),
        (daemon("client version 1.10 is too old. Minimum supported API version is 1.19, please upgrade your client to a newer version"), C::ClientTooOld),
        (daemon("client version 1.25 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"), C::ClientTooOld),
        (client("\"--health-start-period\" requires API version 1.29, but the Docker daemon API version is 1.25"), C::FlagTooNew),
        (client("request returned 404 Not Found for API route and version http://10.0.0.1:8080/v1.50/containers/json, check if the server supports the requested API version"), C::NotDocker),
        (client("request returned Bad Gateway for API route and version http://proxy:3128/v1.41/info, check if the server supports the requested API version"), C::NotDocker),
        (daemon("page not found"), C::NotDocker),
        (daemon("invalid host header from 10.0.0.7:51410 to requested host vch.example:2375"), C::HostHeader),
        (daemon("authorization denied by plugin opa-docker-authz: request rejected by administrative policy"), C::AuthorizationDenied),
        (client("error during connect: Get \"https://vch:2375/v1.25/info\": http: server gave HTTP response to HTTPS client"), C::TlsMismatch),
        (client("Get \"https://vch:2375/v1.25/info\": http: server gave HTTP response to HTTPS client"), C::TlsMismatch),
        (client("error during connect: Get \"https://vch:2375/v1.50/containers/json\": tls: first record does not look like a TLS handshake"), C::TlsMismatch),
        (daemon("Client sent an HTTP request to an HTTPS server."), C::TlsMismatch),
        (client("error during connect: Get \"http://vch:2376/v1.24/info\": net/http: HTTP/1.x transport connection broken: malformed HTTP response \"\\x15\\x03\\x01\\x00\\x02\\x02\".\n* Are you trying to connect to a TLS-enabled daemon without TLS?"), C::TlsMismatch),
        (client("error during connect: Get \"https://10.0.0.5:2376/v1.50/info\": tls: failed to verify certificate: x509: cannot validate certificate for 10.0.0.5 because it doesn't contain any IP SANs"), C::TlsServerName),
        (client("error during connect: Get \"https://vch:2376/v1.24/info\": x509: certificate is valid for vch.example.com, not vch"), C::TlsServerName),
        (client("error during connect: Get \"https://vch:2376/v1.24/info\": x509: certificate relies on legacy Common Name field, use SANs instead"), C::TlsServerName),
        (client("error during connect: Get \"https://vch:2376/v1.50/info\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-01-02T03:04:05Z is after 2025-01-02T03:04:05Z"), C::TlsExpired),
        (client("error during connect: Get \"https://vch:2376/v1.24/info\": x509: certificate signed by unknown authority"), C::TlsServerUntrusted),
        (client("docker: error during connect: Head \"https://vch:2376/_ping\": tls: failed to verify certificate: x509: certificate signed by unknown authority\n\nRun 'docker run --help' for more information"), C::TlsServerUntrusted),
        (client("Get https://vch:2376/v1.25/info: x509: certificate signed by unknown authority"), C::TlsServerUntrusted),
        (client("error during connect: Get \"https://vch:2376/v1.50/info\": remote error: tls: certificate required"), C::TlsClientCert),
        (client("error during connect: Get \"https://vch:2376/v1.50/info\": remote error: tls: unknown certificate authority"), C::TlsClientCert),
        (client("The server probably has client authentication (--tlsverify) enabled. Please check your TLS client certification settings: Get \"https://vch:2376/v1.24/info\": remote error: tls: bad certificate"), C::TlsClientCert),
        (client("the server probably has client authentication (--tlsverify) enabled; check your TLS client certification settings: Get \"https://vch:2376/v1.51/info\": remote error: tls: handshake failure"), C::TlsClientCert),
        (client("error during connect: Get \"http://nosuch.invalid:2375/v1.50/containers/json\": dial tcp: lookup nosuch.invalid on 10.0.0.53:53: no such host"), C::EndpointNameUnknown),
        (client("failed to connect to the docker API at tcp://nosuch.invalid:2375: lookup nosuch.invalid on 10.0.0.53:53: server misbehaving"), C::EndpointNameUnknown),
        (client("error during connect: Get \"http://127.0.0.1:2376/v1.50/containers/json\": read tcp 127.0.0.1:49806->127.0.0.1:2376: read: connection reset by peer"), C::ConnectionLost),
        (client("error during connect: Post \"http://vch:2376/v1.24/containers/create?name=web-1\": EOF"), C::ConnectionLost),
        (client("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"), C::EngineNotRunning),
        (client("error during connect: Get \"http://%2F%2F.%2Fpipe%2FdockerDesktopLinuxEngine/v1.51/containers/json\": open //./pipe/dockerDesktopLinuxEngine: The system cannot find the file specified."), C::EngineNotRunning),
        (client("docker: error during connect: Post http://%2F%2F.%2Fpipe%2Fdocker_engine/v1.40/containers/create: open //./pipe/docker_engine: The system cannot find the file specified. In the default daemon configuration on Windows, the docker client must be run elevated to connect. This error may also indicate that the docker daemon is not running."), C::EngineNotRunning),
        (client("error during connect: Get \"https://192.0.2.1:2376/v1.50/containers/json\": Proxy Authentication Required"), C::Proxy),
        (client("error during connect: Get \"https://192.0.2.1:2376/v1.50/containers/json\": Forbidden"), C::Proxy),
        (client("error during connect: Get \"https://192.0.2.1:2376/v1.24/containers/json\": Service Unavailable"), C::Proxy),
        (client("error during connect: Get \"https://vch:2376/v1.24/info\": proxyconnect tcp: dial tcp 10.0.0.3:3128: i/o timeout"), C::Proxy),
        (client("Cannot connect to the Docker daemon at tcp://192.0.2.1:2376. Is the docker daemon running?"), C::EndpointUnreachable),
        (client("error during connect: Get \"http://docker.example.com/v1.24/containers/json\": command [ssh -l root -- vch docker system dial-stdio] has exited with exit status 255, please make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=kex_exchange_identification: read: Connection reset by peer"), C::SshBusy),
        (client("error during connect: Get \"http://docker.example.com/v1.50/info\": command [ssh -o ConnectTimeout=30 -T -- vch docker system dial-stdio] has exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.5 port 22\n"), C::SshBusy),
        (client("error during connect: Get \"http://docker.example.com/v1.50/info\": command [ssh -o ConnectTimeout=30 -T -- vch docker system dial-stdio] has exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=Connection reset by 10.0.0.5 port 22\n"), C::SshBusy),
        (client("docker: Cannot connect to the Docker daemon at tcp://vch:2376. Is the docker daemon running?.\nSee 'docker run --help'."), C::EndpointUnreachable),
        (client("failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory"), C::EngineNotRunning),
        (client("error during connect: Get \"https://vch:2376/v1.24/info\": dial tcp 10.0.0.5:2376: connect: no route to host"), C::EndpointUnreachable),
        (client("error during connect: Get \"https://vch:2376/v1.24/info\": dial tcp 10.0.0.5:2376: i/o timeout"), C::EndpointUnreachable),
        (client("dial tcp 10.0.0.5:2376: i/o timeout"), C::EndpointUnreachable),
        (client("dial tcp 10.0.0.5:2376: connect: connection refused"), C::EndpointUnreachable),
    ]
}

/// Texts about images: engines pass them on as their own, a VCH writes them into the pull's stream, without a prefix.
#[rustfmt::skip]
fn of_images() -> Vec<(String, Cause)> {
    let pull = "Using default tag: latest\n";
    let layers = "Unable to find image 'web:1' locally\n1: Pulling from library/web\n56bec22e3559: Already exists\n\
                  a3ed95caeb02: Waiting\n";
    vec![
        (daemon("pull access denied for 1.dkr.ecr.eu-west-1.amazonaws.com/web, repository does not exist or may require 'docker login': denied: Your authorization token has expired. Reauthenticate and try again."), C::LoginExpired),
        (client("denied: Your Authorization Token has expired. Please run 'aws ecr get-login' to fetch a new one."), C::LoginExpired),
        (daemon("unknown: artifact shop/web:9 not found"), C::ImageUnknown),
        (daemon("unknown: repository shop/nope not found"), C::ImageUnknown),
        (daemon("name unknown: The repository with name 'web' does not exist in the registry with id '1'"), C::ImageUnknown),
        (daemon("denied: requested access to the resource is denied"), C::PullDenied),
        (daemon("denied"), C::PullDenied),
        (daemon("denied: denied"), C::PullDenied),
        (daemon("denied: Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"projects/p/locations/eu/repositories/r\" (or it may not exist)"), C::PullDenied),
        (daemon("Head \"https://registry.gitlab.com/v2/g/web/manifests/1\": denied: access forbidden"), C::PullDenied),
        (daemon("unauthorized: access to the requested resource is not authorized"), C::PullDenied),
        (daemon("unauthorized"), C::PullDenied),
        (daemon("unauthorized to access repository: shop/web, action: pull: unauthorized to access repository: shop/web, action: pull"), C::PullDenied),
        (daemon("error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: \"<html>\\r\\n<head><title>403 Forbidden</title></head>\""), C::PullDenied),
        (client("invalid reference format: repository name (library/Web) must be lowercase"), C::BadReference),
        (client("docker: invalid reference format.\nSee 'docker run --help'."), C::BadReference),
        (client("docker: Access denied to unauthorized registry (hub.example) while VCH is in whitelist mode.\nSee 'docker run --help'."), C::NotWhitelisted),
        (client("Pulling from library/haproxy\nError while pulling image manifest: missing signature key."), C::Schema1Gone),
        (client("Error while pulling image manifest: MANIFEST_UNKNOWN: OCI index found, but accept header does not support OCI indexes"), C::Schema1Gone),
        (client("OCI index found, but accept header does not support OCI indexes"), C::Schema1Gone),
        (client("OCI manifest found, but accept header does not support OCI manifests"), C::Schema1Gone),
        (daemon("[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support is disabled by default and will be removed in an upcoming release. Suggest the author of docker.io/library/haproxy:1.3 to upgrade the image"), C::Schema1Refused),
        (daemon("Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of docker.io/library/haproxy:1.3 to upgrade"), C::Schema1Refused),
        (pull.to_owned() + &daemon("toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"), C::RateLimited),
        (daemon("failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/a/b/manifests/sha256:7a54: 429 Too Many Requests - Server message: toomanyrequests: limit"), C::RateLimited),
        (daemon("Get \"https://harbor.example/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority"), C::RegistryCertificate),
        (daemon("Get https://harbor.example/v2/app/manifests/v1.2: x509: certificate has expired or is not yet valid"), C::RegistryCertificate),
        (client("Get https://harbor.example/v2/: x509: certificate signed by unknown authority"), C::RegistryCertificate),
        (daemon("Get \"https://registry.local:5000/v2/\": http: server gave HTTP response to HTTPS client"), C::RegistryPlainHttp),
        (layers.to_owned() + &run_20("pull access denied for nope, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"), C::PullDenied),
        (client("pull access denied for nope, repository does not exist or may require 'docker login'"), C::PullDenied),
        (daemon("Head \"https://ghcr.io/v2/a/b/manifests/latest\": unauthorized: authentication required"), C::PullDenied),
        (daemon("Head \"https://1234.dkr.ecr.eu-west-1.amazonaws.com/v2/a/manifests/1\": no basic auth credentials"), C::PullDenied),
        (daemon("failed to resolve reference \"harbor.example/a/b:1\": unexpected status from HEAD request to https://harbor.example/v2/a/b/manifests/1: 401 Unauthorized"), C::PullDenied),
        (client("Tag faketag not found in repository library/busybox"), C::ImageUnknown),
        (client("Error: image library/nope not found"), C::ImageUnknown),
        (daemon("manifest for haproxy:1.77 not found: manifest unknown: manifest unknown"), C::ImageUnknown),
        (daemon("failed to resolve reference \"docker.io/library/haproxy:1.77\": docker.io/library/haproxy:1.77: not found"), C::ImageUnknown),
        (run("No such image: web:latest"), C::ImageAbsent),
        (daemon("no such image: web: No such image: web:latest"), C::ImageAbsent),
        (daemon("no matching manifest for linux/amd64 in the manifest list entries"), C::WrongPlatform),
        (daemon("no matching manifest for linux/arm64/v8 in the manifest list entries: no match for platform in manifest: not found"), C::WrongPlatform),
        (client("image operating system \"windows\" cannot be used on this platform"), C::WrongPlatform),
        (run_20("image with reference web was found but does not match the specified platform: wanted linux/arm64, actual: linux/amd64"), C::WrongPlatform),
        (run("failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/bin/x\": exec format error: unknown"), C::WrongPlatform),
        (pull.to_owned() + &daemon("Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.53:53: no such host"), C::RegistryUnreachable),
        (daemon("Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"), C::RegistryUnreachable),
        (daemon("failed to resolve reference \"reg.local/a:1\": failed to do request: Head \"https://reg.local/v2/a/manifests/1\": dial tcp 10.0.0.9:443: connect: no route to host"), C::RegistryUnreachable),
        (daemon("Get \"https://registry-1.docker.io/v2/\": proxyconnect tcp: dial tcp 10.0.0.3:3128: connect: connection refused"), C::RegistryUnreachable),
        (daemon("Head \"https://registry-1.docker.io/v2/library/postgres/manifests/10\": net/http: TLS handshake timeout"), C::RegistryTrouble),
        (daemon("Get https://registry-1.docker.io/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"), C::RegistryTrouble),
        (layers.to_owned() + &run("Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 8.8.8.8:53: read udp 10.0.2.15:36190->8.8.8.8:53: i/o timeout"), C::RegistryTrouble),
        (client("error pulling image configuration: download failed after attempts=6: dial tcp 104.18.125.25:443: i/o timeout"), C::RegistryTrouble),
        (layers.to_owned() + "docker: received unexpected HTTP status: 503 Service Unavailable.\nSee 'docker run --help'.\n", C::RegistryTrouble),
        (daemon("failed to resolve reference \"docker.io/library/web:1\": unexpected status from HEAD request to https://registry-1.docker.io/v2/library/web/manifests/1: 503 Service Unavailable"), C::RegistryTrouble),
        (daemon("Get https://registry-1.docker.io/v2/: EOF"), C::RegistryTrouble),
        (daemon("Get \"https://registry-1.docker.io/v2/\": read tcp 10.0.0.2:4711->1.2.3.4:443: read: connection reset by peer"), C::RegistryTrouble),
        (daemon("Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io on 192.168.65.1:53: server misbehaving"), C::RegistryTrouble),
        (daemon("Get \"https://auth.docker.io/token?scope=repository%3Alibrary%2Fweb%3Apull&service=registry.docker.io\": context deadline exceeded"), C::RegistryTrouble),
        (client("filesystem layer verification failed for digest sha256:1234"), C::RegistryTrouble),
    ]
}

/// Texts of Docker Engine, 20.10 to 28.
#[rustfmt::skip]
fn of_the_engine() -> Vec<(String, Cause)> {
    vec![
        (daemon("configured logging driver does not support reading"), C::NoLog),
        (run_20(&format!("Conflict. The container name \"/web-1\" is already in use by container \"{ID}\". You have to remove (or rename) that container to be able to reuse that name")), C::NameConflict),
        (run("Invalid container name (bad/name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"), C::BadName),
        (daemon("No such container: lb"), C::ContainerNotFound),
        (daemon("No such container: lb") + "Error: failed to start containers: lb\n", C::ContainerNotFound),
        (daemon("Cannot kill container: lb: No such container: lb"), C::ContainerNotFound),
        (client("[]\nError: No such object: lb"), C::ContainerNotFound),
        (daemon(&format!("Cannot kill container: lb: Container {ID} is not running")), C::NotRunning),
        (daemon(&format!("cannot kill container: lb: container {ID} is not running")), C::NotRunning),
        (daemon(&format!("Container {ID} is not running")), C::NotRunning),
        (daemon(&format!("You cannot remove a running container {ID}. Stop the container before attempting removal or force remove")), C::StillRunning),
        (daemon("cannot remove container \"/lb\": container is running: stop the container before removing or force remove"), C::StillRunning),
        (daemon("removal of container web-1 is already in progress"), C::BeingRemoved),
        (daemon("container is marked for removal and cannot be started"), C::BeingRemoved),
        (daemon("can not get logs from container which is dead or marked for removal"), C::BeingRemoved),
        (daemon(&format!("Container {ID} is paused, unpause the container before exec")), C::Paused),
        (daemon("network with name web-net already exists"), C::NetworkExists),
        (run("network web-net not found"), C::NetworkNotFound),
        (client("Error: No such network: web-net"), C::NetworkNotFound),
        (run("failed to set up container networking: network routable not found"), C::NetworkNotFound),
        (daemon("network web-net not found") + "exit status 1\n", C::NetworkNotFound),
        (daemon("network web-net is ambiguous (2 matches found on name)"), C::NetworkAmbiguous),
        (daemon("2 matches found based on name: network web-net is ambiguous"), C::NetworkAmbiguous),
        (daemon("error while removing network: network web-net id 07c16f6378598a6a has active endpoints") + "exit status 1\n", C::NetworkInUse),
        (daemon("error while removing network: network web-net has active endpoints (name:\"web-1\" id:\"0c374bb68bee\")") + "exit status 1\n", C::NetworkInUse),
        (daemon("bridge is a pre-defined network and cannot be removed") + "exit status 1\n", C::NetworkBuiltin),
        (daemon("operation is not permitted on predefined bridge network"), C::NetworkBuiltin),
        (daemon("endpoint with name lb already exists in network web-net"), C::AlreadyConnected),
        (daemon("container sharing network namespace with another container or host cannot be connected to any other network"), C::HostNetwork),
        (daemon("Could not attach to network mesh: rpc error: code = PermissionDenied desc = network mesh not manually attachable"), C::NetworkNotAttachable),
        (daemon("all predefined address pools have been fully subnetted"), C::NetworksExhausted),
        (daemon("could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"), C::NetworksExhausted),
        (daemon("Pool overlaps with other one on this address space"), C::SubnetOverlap),
        (run("no available IPv4 addresses on this network's address pools: routable (07c16f6378)"), C::AddressesExhausted),
        (run_20("Address already in use"), C::AddressTaken),
        (run("failed to set up container networking: Address already in use"), C::AddressTaken),
        (run("Invalid address 10.78.1.9: It does not belong to any of this network's subnets"), C::AddressNotAllowed),
        (run_20("user specified IP address is supported only when connecting to networks with user configured subnets"), C::AddressNotAllowed),
        (run("invalid endpoint settings:\nuser-specified IP address is supported on user-defined networks only"), C::AddressNotAllowed),
        (run("driver failed programming external connectivity on endpoint lb (0c374bb68bee): Bind for 0.0.0.0:80 failed: port is already allocated"), C::PortAllocated),
        (run("failed to set up container networking: driver failed programming external connectivity on endpoint lb (f8fe35ccbf6a): Bind for 0.0.0.0:80 failed: port is already allocated"), C::PortAllocated),
        (run_20("driver failed programming external connectivity on endpoint lb (b0afdc882efb): Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use"), C::PortAllocated),
        (daemon("failed to set up container networking: driver failed programming external connectivity on endpoint lb (d5bda004c9be): failed to bind host port for 0.0.0.0:80:172.18.0.2:80/tcp: address already in use") + "Error: failed to start containers: lb\n", C::PortAllocated),
        (run("Ports are not available: exposing port TCP 0.0.0.0:80 -> 0.0.0.0:0: listen tcp 0.0.0.0:80: bind: address already in use"), C::PortAllocated),
        (run_20("driver failed programming external connectivity on endpoint lb (d21f): Error starting userland proxy: error while calling PortManager.AddPort(): cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), or set CAP_NET_BIND_SERVICE on rootlesskit binary, or choose a larger port number (>= 1024): listen tcp4 0.0.0.0:80: bind: permission denied"), C::PrivilegedPort),
        (run_20("driver failed programming external connectivity on endpoint lb (a1b2):  (iptables failed: iptables --wait -t nat -A DOCKER -p tcp -d 0/0 --dport 80 -j DNAT --to-destination 172.17.0.2:80 ! -i docker0: iptables: No chain/target/match by that name.\n (exit status 1))"), C::Iptables),
        (run_20("OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"nope\": executable file not found in $PATH: unknown"), C::CommandNotFound),
        (format!("{ID}\n") + &run("failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"nope\": executable file not found in $PATH: unknown"), C::CommandNotFound),
        (run("failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/bin/nope\": stat /bin/nope: no such file or directory: unknown"), C::CommandNotFound),
        (client("OCI runtime exec failed: exec failed: unable to start container process: exec: \"haproxy\": executable file not found in $PATH: unknown"), C::CommandNotFound),
        (run("failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/bin/np\": permission denied: unknown"), C::CommandNotExecutable),
        (run("No command specified"), C::NoCommand),
        (run("invalid mount config for type \"bind\": bind source path does not exist: /nope"), C::Mount),
        (run("failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting \"/x\" to rootfs at \"/y\": mount /x:/y (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"), C::Mount),
        (run("invalid volume specification: 'relative/path:rel': invalid mount config for type \"volume\": invalid mount path: 'rel' mount path must be absolute"), C::Mount),
        (run("Minimum memory limit allowed is 6MB"), C::ResourceLimits),
        (run("range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"), C::ResourceLimits),
        (run("failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?): unknown"), C::ResourceLimits),
        (run_20("mkdir /var/lib/docker/overlay2/80b87cb3384f-init: no space left on device"), C::DiskFull),
        (client("failed to register layer: write /usr/lib/x.so: no space left on device"), C::DiskFull),
        (run("failed to create shim task: OCI runtime create failed: runc create failed: fork/exec /proc/self/exe: cannot allocate memory: unknown"), C::ResourcesShort),
        (run("failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to apply cgroup configuration: unknown"), C::Runtime),
        (daemon("Could not find the file /usr/local/etc/haproxy in container lb"), C::CopyTarget),
        (client("Error: No such container:path: lb:/usr/local/etc/haproxy/haproxy.cfg"), C::CopyTarget),
        (client("time=\"2026-11-24T19:37:06Z\" level=error msg=\"Can't close tar writer: io: read/write on closed pipe\"\nno such directory"), C::CopyTarget),
        (daemon("extraction point is not a directory"), C::CopyTarget),
        (daemon("container rootfs is marked read-only"), C::CopyReadOnly),
        (daemon("mounted volume is marked read-only"), C::CopyReadOnly),
    ]
}

/// Texts of VIC engine, 1.1 to 1.5.8.
#[rustfmt::skip]
fn of_a_vch() -> Vec<(String, Cause)> {
    let create = |words: &str| {
        run_20(&format!(
            "Server error from portlayer: [POST /scopes/{{scope}}/containers][500] addContainerInternalServerError  &{{Code:0 Message:{words}}}"
        ))
    };
    let portlayer = |words: &str| daemon(&format!("Server error from portlayer: {words}"));
    vec![
        (daemon("network web-net already exists"), C::NetworkExists),
        (client("Error while pulling image manifest: download failed: Unexpected http code: 400 (Bad Request), URL: https://r.example.com/v2/web/manifests/latestMessage: manifest invalid"), C::Schema1Gone),
        (client("Tag 9 not found in repository library/httpd"), C::ImageUnknown),
        (portlayer("No such file or directory for container: lb"), C::CopyTarget),
        (client("No such file or directory for container: lb"), C::CopyTarget),
        (portlayer("Cannot reserve IP range 10.0.0.9 - 10.0.0.9.  Not within pool's range 10.0.1.1 - 10.0.1.9"), C::AddressNotAllowed),
        (run_20("Server error from portlayer: [POST /scopes/{scope}/containers][500] addContainerInternalServerError  &{Code:0 Message:scope routable not found}"), C::NetworkNotFound),
        (daemon("vicnetwork web-net already exists"), C::NetworkExists),
        (daemon("no IP addresses available in allocated range 172.16.0.0/12"), C::NetworksExhausted),
        (portlayer("could not find IP range for mask ffff0000"), C::NetworksExhausted),
        (portlayer("subnet 172.18.0.0/16 overlaps with scope other-net subnet 172.18.0.0/16"), C::SubnetOverlap),
        (daemon("web-net has active endpoints") + "exit status 1\n", C::NetworkInUse),
        (daemon("cannot remove builtin scope") + "exit status 1\n", C::NetworkBuiltin),
        (run_20("Server error from portlayer: [POST /scopes/{scope}/containers][404] addContainerNotFound  &{Code:0 Message:scope routable not found}"), C::NetworkNotFound),
        (run_20("Server error from portlayer: [POST /scopes/{scope}/containers][404] addContainerNotFound "), C::NetworkNotFound),
        (portlayer("network web-net not found"), C::NetworkNotFound),
        (daemon("container lb not found"), C::ContainerNotFound),
        (create("container can only be added to at most one mapped network"), C::SecondExternalNetwork),
        (run_20("NetworkMode error: Container can be connected to one vicnetwork endpoint only"), C::OneNetworkAtCreate),
        (run_20("NetworkMode error: Container can be connected to one network endpoint only"), C::OneNetworkAtCreate),
        (run_20(&format!("conflict. The name \"web-1\" is already in use by container {ID}. You have to remove (or rename) that container to be able to re use that name.")), C::NameConflict),
        (create("ports cannot be published via container network routable (firewall configured as either \"closed\" or \"outbound\")"), C::FirewallClosed),
        (create("ports published via container network routable must specify a mapping (firewall configured for \"peers\" - no need for publishing unless redirecting)"), C::FirewallNeedsMapping),
        (create("ports published on external networks cannot include both a redirect and a range (8000-8010:80)"), C::PortForm),
        (run_20("Server error from portlayer: host port ranges are not supported for port bindings"), C::PortForm),
        (run_20("Server error from portlayer: host IP for port bindings is only supported for 0.0.0.0 and the public interface IP address"), C::PortForm),
        (portlayer("error mapping ports: port 8083 is not available"), C::PortAllocated),
        (portlayer("No available IP address in current network routable"), C::AddressesExhausted),
        (portlayer("Cannot reserve IP range 10.0.0.9 - 10.0.0.9.  Already in use") + "Error: failed to start containers: lb\n", C::AddressTaken),
        (create("Cannot reserve IP range 10.0.0.9 - 10.0.0.9.  Not within pool's range 10.0.1.1 - 10.0.1.9"), C::AddressNotAllowed),
        (create("Cannot set static IP (60.0.9.150) when default gateway is not set for network public"), C::AddressNotAllowed),
        (portlayer("unable to wait for process launch status: operation timed out: context deadline exceeded"), C::StartTimedOut),
        (portlayer("Post https://vc.example/sdk: context deadline exceeded"), C::StartTimedOut),
        (portlayer("unable to wait for process launch status: container VM has unexpectedly powered off"), C::PoweredOff),
        (portlayer("unable to wait for process launch status: powerState=poweredOff"), C::PoweredOff),
        (portlayer("fakeCommand: no such executable in PATH."), C::CommandNotFound),
        (portlayer("stat /not/there: no such file or directory"), C::CommandNotFound),
        (client(&format!("Unable to find image 'web:1' locally\n1: Pulling from library/web\n56bec22e3559: Already exists\nStatus: Image is up to date for web:1\n{}", run_20("No command specified"))), C::NoCommand),
        (daemon("Conflict error from portlayer: [PUT /containers/{handle}][409] commitConflict  &{Code:0 Message:Cannot complete operation due to concurrent modification by another operation.}"), C::Busy),
        (portlayer("[PUT /containers/{handle}][409] commitConflict  &{Code:0 Message:collision of concurrent operations}"), C::Busy),
        (portlayer("ConcurrentAccess: container modified during this operation"), C::Busy),
        (daemon("Cannot kill container lb: Server error from portlayer: invalid state from start guest program"), C::Busy),
        (daemon("Cannot kill container lb: Server error from portlayer: The guest operations agent could not be contacted."), C::Busy),
        (daemon("ContainerStart request is already in progress for container 'web-1'."), C::Busy),
        (daemon("Resource in use"), C::Busy),
        (daemon("Resource locked: Resource locked for device 1234"), C::Busy),
        (run_20("Conflict error from portlayer: device vol1 in use"), C::DeviceInUse),
        (run_20("Container count exceeds limit 10. containers: 9, reservation: 2"), C::Quota),
        (client("Storage quota exceeds. Storage quota: 10GB, image storage usage: 9.800GB, container storage usage: 1.000GB"), C::Quota),
        (run_20("Server error from portlayer: A value exceeded the acceptable range"), C::VmLimit),
        (portlayer("The available Memory resources in the parent resource pool are insufficient for the operation"), C::ResourcesShort),
        (portlayer("Insufficient resources. Error: failed to start containers: 6b78caa2dbd3"), C::ResourcesShort),
        (run_20("Server error from portlayer: A general system error occurred: vDS host error: see faultCause"), C::PortGroupFull),
        (run_20("No volume store named (default) exists"), C::NoVolumeStore),
        (run_20("Bad request error from portlayer: mounting directories as a data volume is not supported."), C::BindMount),
        (daemon("vSphere Integrated Containers does not yet implement DisconnectContainerFromNetwork"), C::NotImplemented),
        (daemon("filter ancestor is not currently supported by vic"), C::FilterUnsupported),
        (daemon("Unrecognised filter value for status: healthy"), C::FilterUnsupported),
        (daemon("Invalid filter 'bogusfilter'"), C::FilterUnsupported),
        (daemon("You cannot remove a running container. Stop the container before attempting removal or use -f"), C::StillRunning),
        (daemon("The container is starting.  To remove use -f"), C::StillRunning),
        (daemon(&format!("Cannot kill container lb: {ID} is not running")), C::NotRunning),
        (daemon("Cannot kill container lb: No such container: lb"), C::ContainerNotFound),
        (portlayer("container (lb) is not running"), C::NotRunning),
        (portlayer("container (8445208aeb6f) has been stopped"), C::NotRunning),
        (portlayer("unexpected copy failure may result in truncated copy, please try again"), C::CopyInterrupted),
        (portlayer("error writing files to device 8445208aeb6f"), C::CopyInterrupted),
        (client("error during connect: Put \"https://vch:2376/v1.25/containers/lb/archive?noOverwriteDirNonDir=true&path=%2F\": write tcp 10.0.0.2:4711->10.0.0.5:2376: write: connection reset by peer"), C::CopyInterrupted),
        (portlayer("write tcp 10.0.0.5:4711->10.0.0.6:443: write: connection reset by peer"), C::CopyInterrupted),
        (portlayer("failed to process given path"), C::CopyTarget),
        (portlayer(&format!("ContainerWaitHandler({ID}) Error: context deadline exceeded")), C::WaitCap),
        (portlayer("Couldn't remove container. The ESX host is temporarily disconnected. Please try again later."), C::HostDisconnected),
        (portlayer("Permission to perform this operation was denied."), C::VspherePermission),
        (run_20("Server error from portlayer: Error parsing CPU count: strconv.ParseInt: parsing \"0-3\": invalid syntax"), C::ResourceLimits),
        (portlayer("Post https://vc.example/sdk: x509: certificate signed by unknown authority"), C::PortLayer),
        (portlayer("Stop failed with: unknown fault"), C::PortLayer),
    ]
}

fn all() -> Vec<(String, Cause)> {
    [of_the_client(), of_images(), of_the_engine(), of_a_vch()].concat()
}

#[test]
fn real_texts_have_their_cause() {
    for (text, cause) in all() {
        assert_eq!(classify(&text), Some(cause), "{text}");
    }
}

#[test]
fn every_cause_has_a_real_text() {
    let seen: HashSet<_> = all().into_iter().map(|(_, cause)| cause).collect();
    let last = Cause::CopyInterrupted;
    assert_eq!(seen.len(), last as usize + 1);
}

#[test]
fn no_row_hides_behind_a_more_general_one() {
    for row in TABLE {
        let text = format!("{} {}", row.on.first().unwrap_or(&""), row.says.join(" "));
        let first = TABLE
            .iter()
            .find(|row| row.matches(&text))
            .expect("a row matches its own text");
        assert!(
            std::ptr::eq(first, row),
            "{text:?} is taken by {:?}, {:?}",
            first.says,
            first.cause
        );
        assert_eq!(text, text.to_lowercase());
    }
}

#[test]
fn what_is_not_known_has_no_cause() {
    for text in [
        "",
        "\n",
        "56bec22e3559: Already exists\na3ed95caeb02: Pull complete\n",
        "Unable to find image 'web:1' locally\n",
        "WARNING: Your kernel does not support swap limit capabilities or the cgroup is not mounted.\n",
        "Error response from daemon: something new\n",
        "lstat /tmp/haproxy.cfg: no such file or directory\n",
        "exit status 1\n",
    ] {
        assert_eq!(classify(text), None, "{text}");
    }
}

#[test]
fn words_on_different_lines_or_in_another_order_are_not_put_together() {
    assert_eq!(classify("network: a\nb already exists"), None);
    assert_eq!(classify("already exists: network "), None);
}

#[test]
fn only_the_end_of_a_long_text_counts() {
    let known = "Error response from daemon: No such container: lb\n";
    let garbage = "\u{e9}\u{1f433}".repeat(TAIL / 2);
    assert_eq!(
        classify(&format!("{garbage}{known}")),
        Some(C::ContainerNotFound)
    );
    assert_eq!(classify(&format!("{known}{garbage}")), None);
}

#[test]
fn hints_read_as_hints() {
    let causes: HashSet<_> = TABLE.iter().map(|row| row.cause).collect();
    assert_eq!(causes.len(), Cause::CopyInterrupted as usize + 1);
    for cause in causes {
        let hint = cause.hint().to_string();
        assert!(hint.len() < 240, "{cause:?}: {} bytes", hint.len());
        assert!(
            !hint.ends_with('.') && !hint.ends_with(char::is_whitespace),
            "{cause:?}"
        );
        assert!(!hint.starts_with(char::is_uppercase), "{cause:?}");
        assert!(!hint.contains("  ") && !hint.contains('\n'), "{cause:?}");
    }
}

#[test]
fn a_cause_asks_for_one_reaction_only() {
    for cause in TABLE.iter().map(|row| row.cause) {
        let reactions = [
            cause.is_transient(),
            cause.retry_after_removal(),
            cause.endpoint_unusable(),
            cause.is_name_conflict(),
            cause.is_already_there(),
            cause.is_not_found(),
            cause.is_not_running(),
            cause.is_port_conflict(),
        ];
        assert!(
            reactions.iter().filter(|&&asked| asked).count() <= 1,
            "{cause:?}"
        );
    }
}

#[test]
fn portlayer_messages_are_unwrapped() {
    for (text, message) in [
        (
            "docker: Error response from daemon: Server error from portlayer: [POST /scopes/{scope}/containers][500] addContainerInternalServerError  &{Code:0 Message:scope x not found}.\nSee 'docker run --help'.\n",
            Some("scope x not found"),
        ),
        (
            "[PUT /containers/{handle}][409] commitConflict  &{Code:0 Message:a {b} c}",
            Some("a {b} c"),
        ),
        (
            "&{Code:500 Message:[GET /x][404] xNotFound &{Code:404 Message:inner}}",
            Some("inner"),
        ),
        (
            "&{Code:0 Message:cut off\nSee 'docker run --help'.",
            Some("cut off"),
        ),
        (
            "&{Code:0 Message:first line\nsecond line}",
            Some("first line"),
        ),
        ("&{Code:0 Message:}", None),
        ("Server error from portlayer: no wrapper", None),
        ("429 Too Many Requests - Server Message: slow down", None),
        ("", None),
    ] {
        assert_eq!(portlayer_message(text), message, "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), times in 1_usize..400) {
        let long = text.repeat(times.min((1 << 20) / text.len().max(1)));
        classify(&long);
        portlayer_message(&long);
        portlayer_message(&format!("&{{Code:0 Message:{text}"));
    }

    #[test]
    fn a_known_text_is_found_below_any_other_lines_and_in_any_case(noise in "[a-z0-9 .-]{0,40}", index in any::<prop::sample::Index>()) {
        let all = all();
        let (text, cause) = &all[index.index(all.len())];
        prop_assume!(classify(&noise).is_none());
        prop_assert_eq!(classify(&format!("{noise}\n{text}")), Some(*cause));
        prop_assert_eq!(classify(&text.to_ascii_uppercase()), Some(*cause));
    }
}
