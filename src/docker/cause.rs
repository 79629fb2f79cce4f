//! What docker's own words mean: the texts of Docker Engine (20.10 to 28), the docker client and vSphere Integrated
//! Containers, as causes with a remedy.
//!
//! `TABLE` is the only place that knows a text. Reading and judging only: nothing here runs docker or prints.

use crate::message::{Message, vch_lb};
use Cause as C;

#[cfg(test)]
mod tests;

/// A known reason why a docker call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    // The docker client, and its way to the endpoint
    /// The docker client does not know an argument, or not its value.
    BadArgument,
    /// The docker client has no such command.
    UnknownCommand,
    /// The docker client could not run the credential helper that its configuration names.
    CredentialHelper,
    /// There is no docker context of that name.
    ContextNotFound,
    /// The endpoint's address is not one that docker understands.
    BadHost,
    /// The client's own certificate, its key or the CA cannot be read or do not belong together.
    TlsFiles,
    /// The ssh server turned the connection away: it takes only so many at a time.
    SshBusy,
    /// The ssh that was to carry the connection failed.
    Ssh,
    /// The user may not use the engine's socket.
    SocketPermission,
    /// The endpoint wants an older API than the client speaks.
    ClientTooNew,
    /// The endpoint wants a newer API than the client was told to speak.
    ClientTooOld,
    /// A flag needs an API that the endpoint does not have.
    FlagTooNew,
    /// Whatever answers at the address is no docker API, or lacks that call.
    NotDocker,
    /// A VCH without TLS was reached by a name that it cannot tie to its own addresses.
    HostHeader,
    /// One side speaks TLS, the other does not.
    TlsMismatch,
    /// The endpoint's certificate is made for another name or address.
    TlsServerName,
    /// The endpoint's certificate is past its time, or not there yet.
    TlsExpired,
    /// The endpoint's certificate comes from a CA that the client does not trust.
    TlsServerUntrusted,
    /// The endpoint refuses the client's certificate, or misses one.
    TlsClientCert,
    /// The endpoint's host name does not resolve.
    EndpointNameUnknown,
    /// The connection to the endpoint broke while a call was under way.
    ConnectionLost,
    /// A proxy stands between the client and the endpoint.
    Proxy,
    /// The engine on this machine is not running.
    EngineNotRunning,
    /// Nothing answers at the endpoint's address.
    EndpointUnreachable,
    /// An authorization plugin of the endpoint forbids the call.
    AuthorizationDenied,
    // Images and registries
    /// The name of an image is malformed.
    BadReference,
    /// The VCH pulls from the registries on its whitelist only.
    NotWhitelisted,
    /// The registry no longer serves the manifest schema that a VCH can read.
    Schema1Gone,
    /// The engine no longer reads the manifest schema that the registry serves.
    Schema1Refused,
    /// The registry limits pulls.
    RateLimited,
    /// The registry's certificate is not trusted by the endpoint.
    RegistryCertificate,
    /// The registry speaks plain HTTP, which the endpoint does not accept.
    RegistryPlainHttp,
    /// The login at the registry is past its time.
    LoginExpired,
    /// The repository does not exist, or asks for a login.
    PullDenied,
    /// The repository has no such tag or digest.
    ImageUnknown,
    /// The image is not on the endpoint.
    ImageAbsent,
    /// The image is made for another platform.
    WrongPlatform,
    /// The registry cannot be reached from the endpoint.
    RegistryUnreachable,
    /// The registry, or the way to it, failed for now.
    RegistryTrouble,
    // Containers
    /// A container of that name exists.
    NameConflict,
    /// The name is not one that a container can have.
    BadName,
    /// There is no such container.
    ContainerNotFound,
    /// The container is not running.
    NotRunning,
    /// The container is running, and the call is for one that is not.
    StillRunning,
    /// The container is being removed.
    BeingRemoved,
    /// The container is paused.
    Paused,
    /// The endpoint keeps no log of the container that it could read.
    NoLog,
    // Networks, addresses and ports
    /// A network of that name exists.
    NetworkExists,
    /// There is no such network.
    NetworkNotFound,
    /// Several networks have that name.
    NetworkAmbiguous,
    /// Containers are still on the network.
    NetworkInUse,
    /// The network belongs to the endpoint itself.
    NetworkBuiltin,
    /// The container is on that network already.
    AlreadyConnected,
    /// A container on `host` or `none` cannot be put on a network.
    HostNetwork,
    /// The swarm network does not take containers of its own accord.
    NetworkNotAttachable,
    /// The endpoint has no address range left for one more network.
    NetworksExhausted,
    /// The subnet overlaps with another network's.
    SubnetOverlap,
    /// A container can be on one external network of a VCH.
    SecondExternalNetwork,
    /// A container can be created on one network of a VCH.
    OneNetworkAtCreate,
    /// All addresses of the network are taken.
    AddressesExhausted,
    /// That address is taken.
    AddressTaken,
    /// The network does not give out that address.
    AddressNotAllowed,
    /// That port of the endpoint is taken.
    PortAllocated,
    /// The engine may not bind a port below 1024.
    PrivilegedPort,
    /// A `-p` of a form that a VCH does not take.
    PortForm,
    /// The firewall of the VCH's container network lets no published port in.
    FirewallClosed,
    /// The firewall of the VCH's container network is open to its peers, so a bare port cannot be published.
    FirewallNeedsMapping,
    /// The engine's own iptables rules are gone or refused.
    Iptables,
    // Starting
    /// The image does not hold the command.
    CommandNotFound,
    /// The command is not executable.
    CommandNotExecutable,
    /// Neither the image nor the call names a command.
    NoCommand,
    /// A directory or volume could not be mounted.
    Mount,
    /// The limits for memory or CPU are not ones that the endpoint accepts.
    ResourceLimits,
    /// The disk of the engine is full.
    DiskFull,
    /// The VCH's quota is used up.
    Quota,
    /// The ESX host has as many VMs as it can have.
    VmLimit,
    /// The endpoint is out of memory or CPU.
    ResourcesShort,
    /// The vSphere port group has no port left.
    PortGroupFull,
    /// The container VM lost its power while it was starting.
    PoweredOff,
    /// The container VM did not start in time.
    StartTimedOut,
    /// The engine's runtime could not start the process.
    Runtime,
    // What a VCH lacks, and how it fails
    /// The VCH has no volume store.
    NoVolumeStore,
    /// A VCH cannot mount a directory of the workstation.
    BindMount,
    /// A VCH does not have this call.
    NotImplemented,
    /// A VCH does not have this filter.
    FilterUnsupported,
    /// A volume or disk is still attached to another container.
    DeviceInUse,
    /// Another operation on the same container is under way.
    Busy,
    /// The ESX host is away from its vCenter.
    HostDisconnected,
    /// The VCH's account in vSphere lacks a right.
    VspherePermission,
    /// `docker wait` on a VCH ends after three minutes.
    WaitCap,
    /// The VCH's port layer failed in a way that is not known here.
    PortLayer,
    // Copying
    /// The path to copy to is not in the container.
    CopyTarget,
    /// The path to copy to is read-only.
    CopyReadOnly,
    /// The copy broke off, and may be cut short.
    CopyInterrupted,
}

/// One message. It matches where, on one line, one of `on` occurs (any line will do if there are none) and all of `says`
/// occur in that order. All in lower case.
struct Row {
    on: &'static [&'static str],
    says: &'static [&'static str],
    cause: Cause,
}

const fn says(says: &'static [&'static str], cause: Cause) -> Row {
    Row {
        on: &[],
        says,
        cause,
    }
}

/// The client could not talk to the endpoint.
const fn link(says: &'static [&'static str], cause: Cause) -> Row {
    let on = &[
        "error during connect",
        "cannot connect to the docker daemon",
        "failed to connect to the docker api",
        "an error occurred trying to connect",
    ];
    Row { on, says, cause }
}

/// The endpoint could not talk to a registry.
const fn registry(says: &'static [&'static str], cause: Cause) -> Row {
    let on = &[
        "/v2/",
        "/token?",
        "failed to resolve reference",
        "failed to do request",
        "failed to copy: httpreadseeker",
        "error pulling image",
        "error while pulling image",
        "download failed after attempts",
    ];
    Row { on, says, cause }
}

/// The messages, from specific to general: the first row that matches wins.
#[rustfmt::skip]
static TABLE: &[Row] = &[
    // The client itself
    says(&["error getting credentials - err: "], C::CredentialHelper),
    says(&["is not a docker command"], C::UnknownCommand),
    says(&["unknown command: docker "], C::UnknownCommand),
    says(&["unknown flag: "], C::BadArgument),
    says(&["unknown shorthand flag: "], C::BadArgument),
    says(&["flag needs an argument: "], C::BadArgument),
    says(&["invalid argument \"", "\" for \"", "flag"], C::BadArgument),
    says(&["invalid containerport: "], C::BadArgument),
    says(&["invalid reference format"], C::BadReference),
    says(&["invalid repository name ("], C::BadReference),
    says(&["context \"", "context not found"], C::ContextNotFound),
    says(&["context \"", "\" does not exist"], C::ContextNotFound),
    says(&["current context \"", "is not found on the file system"], C::ContextNotFound),
    says(&["unable to resolve docker endpoint: open ", ".pem"], C::TlsFiles),
    says(&["failed to retrieve context tls info"], C::TlsFiles),
    says(&["could not load x509 key pair"], C::TlsFiles),
    says(&["could not read ca certificate"], C::TlsFiles),
    says(&["private key does not match public key"], C::TlsFiles),
    says(&["invalid bind address"], C::BadHost),
    says(&["unable to parse docker host"], C::BadHost),
    says(&["command [ssh ", "has exited with", "exchange_identification: "], C::SshBusy),
    says(&["command [ssh ", "has exited with", "connection reset by "], C::SshBusy),
    says(&["command [ssh ", "has exited with", "connection closed by "], C::SshBusy),
    says(&["command [ssh ", "has exited with"], C::Ssh),
    says(&["permission denied while trying to connect to the docker"], C::SocketPermission),
    says(&["dial unix ", "connect: permission denied"], C::SocketPermission),
    says(&["is not supported by this client: the minimum supported api version"], C::ClientTooNew),
    says(&["client is newer than server"], C::ClientTooNew),
    says(&["client version ", " is too new"], C::ClientTooNew),
    says(&["client version ", " is too old"], C::ClientTooOld),
    says(&["requires api version"], C::FlagTooNew),
    says(&["request returned ", " for api route and version"], C::NotDocker),
    says(&["error response from daemon: page not found"], C::NotDocker),
    says(&["invalid host header"], C::HostHeader),
    says(&["authorization denied by plugin"], C::AuthorizationDenied),

    // Between client and endpoint
    says(&["malformed http response"], C::TlsMismatch),
    says(&["http request to an https server"], C::TlsMismatch),
    link(&["server gave http response to https client"], C::TlsMismatch),
    link(&["first record does not look like a tls handshake"], C::TlsMismatch),
    link(&["x509: certificate is valid for "], C::TlsServerName),
    link(&["x509: cannot validate certificate for "], C::TlsServerName),
    link(&["x509: certificate is not valid for any names"], C::TlsServerName),
    link(&["x509: certificate relies on legacy common name"], C::TlsServerName),
    link(&["x509: certificate has expired or is not yet valid"], C::TlsExpired),
    link(&["x509:"], C::TlsServerUntrusted),
    says(&["probably has client authentication (--tlsverify) enabled"], C::TlsClientCert),
    link(&["bad certificate"], C::TlsClientCert),
    link(&["certificate required"], C::TlsClientCert),
    link(&["remote error: tls: "], C::TlsClientCert),
    link(&["proxyconnect tcp: "], C::Proxy),
    link(&["proxy authentication required"], C::Proxy),
    link(&[": forbidden"], C::Proxy),
    link(&[": service unavailable"], C::Proxy),
    link(&[": bad gateway"], C::Proxy),
    link(&["no such host"], C::EndpointNameUnknown),
    link(&["server misbehaving"], C::EndpointNameUnknown),
    link(&["temporary failure in name resolution"], C::EndpointNameUnknown),
    link(&["/archive", "connection reset by peer"], C::CopyInterrupted),
    link(&["/archive", "broken pipe"], C::CopyInterrupted),
    link(&["connection reset by peer"], C::ConnectionLost),
    link(&["broken pipe"], C::ConnectionLost),
    link(&[": eof"], C::ConnectionLost),
    link(&["unexpected eof"], C::ConnectionLost),
    link(&["/pipe/", "the system cannot find the file specified"], C::EngineNotRunning),
    link(&["/pipe/", "the docker client must be run elevated to connect"], C::EngineNotRunning),
    says(&["cannot connect to the docker daemon at unix://"], C::EngineNotRunning),
    says(&["cannot connect to the docker daemon at npipe://"], C::EngineNotRunning),
    says(&["failed to connect to the docker api at unix://"], C::EngineNotRunning),
    says(&["failed to connect to the docker api at npipe://"], C::EngineNotRunning),
    link(&[], C::EndpointUnreachable),

    // Images
    says(&["access denied to unauthorized registry"], C::NotWhitelisted),
    says(&["missing signature key"], C::Schema1Gone),
    says(&["manifest_unknown"], C::Schema1Gone),
    says(&["oci index found"], C::Schema1Gone),
    says(&["oci manifest found"], C::Schema1Gone),
    says(&["manifest version 2, schema 1 support is disabled"], C::Schema1Refused),
    says(&["manifest version 2, schema 1 support has been removed"], C::Schema1Refused),
    says(&["manifest version 2, schema 1 has been removed"], C::Schema1Refused),
    says(&["download failed", "manifest invalid"], C::Schema1Gone),
    says(&["toomanyrequests"], C::RateLimited),
    says(&["429 too many requests"], C::RateLimited),
    says(&["authorization token has expired"], C::LoginExpired),
    says(&["token has expired"], C::LoginExpired),
    says(&["pull access denied"], C::PullDenied),
    says(&["unauthorized: "], C::PullDenied),
    says(&["no basic auth credentials"], C::PullDenied),
    says(&["denied: requested access to the resource is denied"], C::PullDenied),
    says(&["denied: access forbidden"], C::PullDenied),
    says(&["denied: permission "], C::PullDenied),
    says(&["denied: denied"], C::PullDenied),
    says(&["unauthorized to access repository: "], C::PullDenied),
    says(&["error response from daemon: denied"], C::PullDenied),
    says(&["error response from daemon: unauthorized"], C::PullDenied),
    says(&["error parsing http 403 response body: "], C::PullDenied),
    registry(&["401 unauthorized"], C::PullDenied),
    registry(&["403 forbidden"], C::PullDenied),
    says(&["no matching manifest for"], C::WrongPlatform),
    says(&["not found in repository"], C::ImageUnknown),
    says(&["manifest unknown"], C::ImageUnknown),
    says(&["unknown: artifact ", " not found"], C::ImageUnknown),
    says(&["unknown: repository ", " not found"], C::ImageUnknown),
    says(&["name unknown: "], C::ImageUnknown),
    says(&["manifest for ", " not found"], C::ImageUnknown),
    says(&["failed to resolve reference", ": not found"], C::ImageUnknown),
    says(&["error: image ", " not found"], C::ImageUnknown),
    says(&["image operating system ", "cannot be used on this platform"], C::WrongPlatform),
    says(&["was found but does not match the specified platform"], C::WrongPlatform),
    says(&["was found but its platform"], C::WrongPlatform),
    says(&["exec format error"], C::WrongPlatform),
    says(&["no such image: "], C::ImageAbsent),
    says(&["error from portlayer", "x509:"], C::PortLayer),
    registry(&["x509:"], C::RegistryCertificate),
    says(&["/v1.", "x509:"], C::TlsServerUntrusted), // the path of docker's own API, by a client that says less
    says(&["x509:"], C::RegistryCertificate),
    registry(&["server gave http response to https client"], C::RegistryPlainHttp),
    registry(&["first record does not look like a tls handshake"], C::RegistryPlainHttp),
    registry(&["tls handshake timeout"], C::RegistryTrouble),
    registry(&["i/o timeout"], C::RegistryTrouble),
    registry(&["client.timeout exceeded"], C::RegistryTrouble),
    registry(&["request canceled"], C::RegistryTrouble),
    registry(&["context deadline exceeded"], C::RegistryTrouble),
    registry(&["500 internal server error"], C::RegistryTrouble),
    registry(&["502 bad gateway"], C::RegistryTrouble),
    registry(&["503 service"], C::RegistryTrouble),
    registry(&["504 gateway time"], C::RegistryTrouble),
    registry(&[": eof"], C::RegistryTrouble),
    registry(&["unexpected eof"], C::RegistryTrouble),
    registry(&["connection reset by peer"], C::RegistryTrouble),
    registry(&["server misbehaving"], C::RegistryTrouble),
    registry(&["temporary failure in name resolution"], C::RegistryTrouble),
    says(&["received unexpected http status: 5"], C::RegistryTrouble),
    says(&["layer verification failed for digest"], C::RegistryTrouble),
    registry(&["no such host"], C::RegistryUnreachable),
    registry(&["connection refused"], C::RegistryUnreachable),
    registry(&["no route to host"], C::RegistryUnreachable),
    registry(&["network is unreachable"], C::RegistryUnreachable),
    registry(&["proxyconnect tcp: "], C::RegistryUnreachable),

    // Between client and endpoint, by a client that says less
    says(&["server gave http response to https client"], C::TlsMismatch),
    says(&["bad certificate"], C::TlsClientCert),
    says(&["certificate required"], C::TlsClientCert),

    // Containers
    says(&["conflict. the name "], C::NameConflict),
    says(&["is already in use by container"], C::NameConflict),
    says(&["invalid container name ("], C::BadName),
    says(&["removal of container ", " is already in progress"], C::BeingRemoved),
    says(&["is marked for removal"], C::BeingRemoved),
    says(&["container which is dead or marked for removal"], C::BeingRemoved),
    says(&["you cannot remove a running container"], C::StillRunning),
    says(&["stop the container before removing or force remove"], C::StillRunning),
    says(&["the container is starting"], C::StillRunning),
    says(&["no such container: "], C::ContainerNotFound),
    says(&["no such object: "], C::ContainerNotFound),
    says(&["container ", " is not running"], C::NotRunning),
    says(&["container (", ") has been stopped"], C::NotRunning),
    says(&["container ", " is restarting, wait until the container is running"], C::NotRunning),
    says(&["configured logging driver does not support reading"], C::NoLog),
    says(&["container ", " is paused"], C::Paused),
    says(&["container is paused and must be unpaused first"], C::Paused),

    // Networks and addresses
    says(&["endpoint with name ", " already exists in network "], C::AlreadyConnected),
    says(&["is already attached to network "], C::AlreadyConnected),
    says(&["network ", " already exists"], C::NetworkExists), // also `vicnetwork x already exists`
    says(&["network ", " is ambiguous"], C::NetworkAmbiguous),
    says(&["has active endpoints"], C::NetworkInUse),
    says(&["cannot remove builtin scope"], C::NetworkBuiltin),
    says(&["is a pre-defined network and cannot be removed"], C::NetworkBuiltin),
    says(&["operation is not permitted on predefined ", " network"], C::NetworkBuiltin),
    says(&["container sharing network namespace with another container or host"], C::HostNetwork),
    says(&["container cannot be disconnected from host network or connected to host network"], C::HostNetwork),
    says(&["container cannot be connected to multiple networks with one of the networks in private (none) mode"], C::HostNetwork),
    says(&["network ", " not manually attachable"], C::NetworkNotAttachable),
    says(&["no ip addresses available in allocated range"], C::NetworksExhausted),
    says(&["could not find ip range"], C::NetworksExhausted),
    says(&["all predefined address pools have been fully subnetted"], C::NetworksExhausted),
    says(&["could not find an available, non-overlapping ipv4 address pool"], C::NetworksExhausted),
    says(&["overlaps with scope"], C::SubnetOverlap),
    says(&["pool overlaps with other one on this address space"], C::SubnetOverlap),
    says(&["can only be added to at most one mapped network"], C::SecondExternalNetwork),
    says(&["network endpoint only"], C::OneNetworkAtCreate), // also `one vicnetwork endpoint only`
    says(&["no available ip address"], C::AddressesExhausted),
    says(&["no available ipv4 addresses on this network's address pools"], C::AddressesExhausted),
    says(&["not within pool's range"], C::AddressNotAllowed),
    says(&["cannot set static ip"], C::AddressNotAllowed),
    says(&["it does not belong to any of this network's subnets"], C::AddressNotAllowed),
    says(&["no configured subnet contains ip address"], C::AddressNotAllowed),
    says(&["user specified ip address is supported"], C::AddressNotAllowed),
    says(&["user-specified ip address is supported"], C::AddressNotAllowed),
    says(&["cannot reserve ip range"], C::AddressTaken),

    // Ports; `bind: address already in use` is a port, the bare words are an address
    says(&["port is already allocated"], C::PortAllocated),
    says(&["bind: address already in use"], C::PortAllocated),
    says(&["failed to bind host port", "address already in use"], C::PortAllocated),
    says(&["failed to listen on ", "address already in use"], C::PortAllocated),
    says(&["ports are not available: "], C::PortAllocated),
    says(&["port ", " is not available"], C::PortAllocated),
    says(&["address already in use"], C::AddressTaken),
    says(&["cannot expose privileged port"], C::PrivilegedPort),
    says(&["bind: permission denied"], C::PrivilegedPort),
    says(&["ports cannot be published via container network"], C::FirewallClosed),
    says(&["must specify a mapping (firewall configured for "], C::FirewallNeedsMapping),
    says(&["cannot include both a redirect and a range"], C::PortForm),
    says(&["host port ranges are not supported"], C::PortForm),
    says(&["host ip for port bindings"], C::PortForm),
    says(&["iptables: no chain/target/match by that name"], C::Iptables),
    says(&["iptables failed: "], C::Iptables),

    // Starting
    says(&["no space left on device"], C::DiskFull),
    says(&["error mounting \""], C::Mount),
    says(&["are you trying to mount a directory onto a file"], C::Mount),
    says(&["bind source path does not exist"], C::Mount),
    says(&["invalid mount config for type"], C::Mount),
    says(&["invalid volume specification"], C::Mount),
    says(&["no such file or directory for container: "], C::CopyTarget), // a VCH's, for what is copied out
    says(&["executable file not found in $path"], C::CommandNotFound),
    says(&["no such executable in path"], C::CommandNotFound),
    says(&["exec", "no such file or directory"], C::CommandNotFound),
    says(&["error from portlayer", "no such file or directory"], C::CommandNotFound),
    says(&["exec", "permission denied"], C::CommandNotExecutable),
    says(&["no command specified"], C::NoCommand),
    says(&["minimum memory limit allowed is"], C::ResourceLimits),
    says(&["container init was oom-killed (memory limit too low?)"], C::ResourceLimits),
    says(&["range of cpus is from "], C::ResourceLimits),
    says(&["error parsing cpu count"], C::ResourceLimits),
    says(&["cannot allocate memory"], C::ResourcesShort),
    says(&["insufficient for the operation"], C::ResourcesShort),
    says(&["insufficient resources"], C::ResourcesShort),
    says(&["container count exceeds limit"], C::Quota),
    says(&["storage quota exceeds"], C::Quota),
    says(&["a value exceeded the acceptable range"], C::VmLimit),
    says(&["vds host error"], C::PortGroupFull),
    says(&["temporarily disconnected"], C::HostDisconnected),
    says(&["permission to perform this operation was denied"], C::VspherePermission),
    says(&["unexpectedly powered off"], C::PoweredOff),
    says(&["powerstate=poweredoff"], C::PoweredOff),
    says(&["containerwaithandler"], C::WaitCap),
    says(&["unable to wait for process launch status"], C::StartTimedOut),
    says(&["context deadline exceeded"], C::StartTimedOut),

    // What a VCH lacks
    says(&["no volume store named"], C::NoVolumeStore),
    says(&["mounting directories as a data volume is not supported"], C::BindMount),
    says(&["does not yet implement"], C::NotImplemented),
    says(&["is not currently supported by vic"], C::FilterUnsupported),
    says(&["unrecognised filter value"], C::FilterUnsupported),
    says(&["invalid filter '"], C::FilterUnsupported),

    // Copying
    says(&["truncated copy"], C::CopyInterrupted),
    says(&["error writing files to device"], C::CopyInterrupted),
    says(&["write: connection reset by peer"], C::CopyInterrupted),
    says(&["no such file or directory for container"], C::CopyTarget), // VIC
    says(&["could not find the file "], C::CopyTarget),
    says(&["no such container:path: "], C::CopyTarget), // docker's client until 20.10
    says(&["extraction point is not a directory"], C::CopyTarget),
    says(&["failed to process given path"], C::CopyTarget),
    says(&["no such directory"], C::CopyTarget),
    says(&["container rootfs is marked read-only"], C::CopyReadOnly),
    says(&["mounted volume is marked read-only"], C::CopyReadOnly),

    // Whatever else, the general last
    says(&["no such network: "], C::NetworkNotFound), // docker's client until 20.10
    says(&["scope ", " not found"], C::NetworkNotFound),
    says(&["network ", " not found"], C::NetworkNotFound),
    says(&["addcontainernotfound"], C::NetworkNotFound),
    says(&["container ", " not found"], C::ContainerNotFound),
    says(&["device ", " in use"], C::DeviceInUse),
    says(&["conflict error from portlayer"], C::Busy),
    says(&["commitconflict"], C::Busy),
    says(&["concurrentaccess"], C::Busy),
    says(&["taskinprogress"], C::Busy),
    says(&["invalid state from start guest program"], C::Busy),
    says(&["already in progress"], C::Busy),
    says(&["resource in use"], C::Busy),
    says(&["resource locked"], C::Busy),
    says(&["guest operations agent could not be contacted"], C::Busy),
    says(&["server error from portlayer:"], C::PortLayer),
    says(&["oci runtime create failed"], C::Runtime),
    says(&["oci runtime exec failed"], C::Runtime),
    says(&["i/o timeout"], C::EndpointUnreachable),
    says(&["connection refused"], C::EndpointUnreachable),
];

/// How much of docker's stderr is looked at: what matters comes last, below any progress.
const TAIL: usize = 64 * 1024;

/// Says why docker failed, if the end of its stderr holds a text that is known.
pub fn classify(stderr: &str) -> Option<Cause> {
    let start = stderr.ceil_char_boundary(stderr.len().saturating_sub(TAIL));
    let text = stderr[start..].to_ascii_lowercase();
    TABLE
        .iter()
        .find(|row| row.matches(&text))
        .map(|row| row.cause)
}

impl Row {
    fn matches(&self, text: &str) -> bool {
        self.says.iter().all(|part| text.contains(part))
            && (self.on.is_empty() || self.on.iter().any(|mark| text.contains(mark)))
            && text.lines().any(|line| self.matches_line(line))
    }

    fn matches_line(&self, line: &str) -> bool {
        let mut rest = Some(line);
        for part in self.says {
            rest = rest
                .and_then(|rest| rest.split_once(part))
                .map(|(_, after)| after);
        }
        rest.is_some() && (self.on.is_empty() || self.on.iter().any(|mark| line.contains(mark)))
    }
}

/// What a VCH's port layer itself said: `<part>` of `… &{Code:0 Message:<part>}`, which go-swagger wraps around it.
pub fn portlayer_message(stderr: &str) -> Option<&str> {
    let (before, after) = stderr.rsplit_once("Message:")?;
    if !before.contains("&{Code:") {
        return None;
    }
    let mut open = 0_usize;
    let end = after.find(|c| match c {
        '{' => {
            open += 1;
            false
        }
        '}' if open > 0 => {
            open -= 1;
            false
        }
        '}' => true,
        _ => false,
    });
    // Without its brace the wrapper was cut off: what follows on later lines is no part of it.
    let message = &after[..end.unwrap_or(after.len())];
    let first = message.lines().next().unwrap_or_default().trim();
    Some(first).filter(|first| !first.is_empty())
}

impl Cause {
    /// Says what to do about it, as shown after `hint: `.
    #[rustfmt::skip]
    pub fn hint(self) -> Message {
        let hint = match self {
            C::BadArgument => "docker does not take one of the arguments as given; check INSTANCE_ARGS and LB_ARGS against `docker run --help` of this client",
            C::UnknownCommand => "use a docker client that has this command: 19.03 or later",
            C::CredentialHelper => "install the credential helper that docker's config.json names, or remove its `credsStore` or `credHelpers` entry and `docker login` again",
            C::ContextNotFound => "pick a context from `docker context ls`, or unset DOCKER_CONTEXT and give the endpoint with --host",
            C::BadHost => "give the endpoint as tcp://HOST:2376, unix:///PATH or ssh://USER@HOST, in DOCKER_HOST or with --host",
            C::TlsFiles => "point DOCKER_CERT_PATH at a directory with matching ca.pem, cert.pem and key.pem, for a VCH the ones that vic-machine wrote",
            C::SshBusy => "sshd takes only so many connections at a time (MaxStartups): use --jobs 1, raise that limit there, or let ssh share one (ControlMaster auto, ControlPersist in ~/.ssh/config)",
            C::Ssh => "make `ssh HOST docker version` work without a prompt first: host name, key, and docker on the far side",
            C::SocketPermission => "join the group that owns the docker socket (`docker`, after a new login), run as a user who may use it, or set DOCKER_HOST to another endpoint",
            C::ClientTooNew => "set DOCKER_API_VERSION to what the endpoint speaks (1.25 on a VCH), or use a docker client from 17.10 to 28",
            C::ClientTooOld => "unset DOCKER_API_VERSION, or raise it to the minimum that the endpoint names; if it is not set, upgrade the docker client",
            C::FlagTooNew => "leave that flag out of INSTANCE_ARGS and LB_ARGS, or unset DOCKER_API_VERSION if the endpoint speaks a newer API; a VCH speaks 1.25",
            C::NotDocker => "whatever answers there has no such docker API; check the port in DOCKER_HOST, DOCKER_API_VERSION, and that no proxy stands between (NO_PROXY)",
            C::HostHeader => "a VCH without TLS answers only to names that it knows as its own; use its IP address in DOCKER_HOST",
            C::TlsMismatch => "one side speaks TLS and the other does not: use port 2376 with DOCKER_TLS_VERIFY or --tls, port 2375 with neither (DOCKER_TLS_VERIFY counts as set even when 0)",
            C::TlsServerName => "set DOCKER_HOST to the name or address that the endpoint's certificate was made for",
            C::TlsExpired => "compare this machine's clock with the dates of the endpoint's certificate; an expired one has to be renewed by the endpoint's admin",
            C::TlsServerUntrusted => "put the endpoint's CA into ca.pem of DOCKER_CERT_PATH; for a VCH made with --no-tlsverify unset DOCKER_TLS_VERIFY, so that docker uses TLS without verifying it",
            C::TlsClientCert => "the endpoint wants a client certificate from its own CA: set DOCKER_CERT_PATH to the directory with cert.pem and key.pem made for it",
            C::EndpointNameUnknown => "the endpoint's host name does not resolve; check DOCKER_HOST and this machine's DNS",
            C::ConnectionLost => "the connection to the endpoint broke; if no call works, check for TLS on one side only (2375 or 2376), else run vch-lb again: it goes on from what is there",
            C::Proxy => "a proxy stands in the way: docker takes HTTPS_PROXY and HTTP_PROXY for its endpoint, too; put the endpoint's host into NO_PROXY, or unset them",
            C::EngineNotRunning => "no engine runs on this machine, or not with that socket: start it (`systemctl start docker`, Docker Desktop), or set DOCKER_HOST to the endpoint that is meant (a VCH: tcp://VCH:2376)",
            C::EndpointUnreachable => "nothing answers there: check that the endpoint is up, that DOCKER_HOST has its address and port (a VCH: 2376, or 2375 without TLS), and the firewalls between; where HTTPS_PROXY is set, NO_PROXY has to name the endpoint",
            C::AuthorizationDenied => "the endpoint's authorization plugin forbids this call to you; ask its admin",
            C::BadReference => "write INSTANCE_IMG and LB_IMG as [REGISTRY/]NAME[:TAG], the name in lower case and without blanks",
            C::NotWhitelisted => "use a registry that `docker info` lists as whitelisted, or ask the VCH's admin for `vic-machine configure --whitelist-registry`",
            C::Schema1Gone => "a VCH reads schema 1 manifests only, and this registry (Docker Hub too) serves none; push the image to a Harbor that converts, or use one that the VCH has with --pull missing",
            C::Schema1Refused => "the registry has the image in a format that this engine dropped; pull and push it again with a newer docker, or choose a newer tag",
            C::RateLimited => "wait for the registry's limit to pass, `docker login`, name a mirror in INSTANCE_IMG and LB_IMG, or use what the endpoint has with --pull missing",
            C::RegistryCertificate => "the endpoint does not trust the registry: an engine wants its CA in /etc/docker/certs.d/REGISTRY, a VCH `vic-machine configure --registry-ca` by its admin",
            C::RegistryPlainHttp => "the registry speaks plain HTTP; put TLS on it, or have it listed as insecure: `insecure-registries` of an engine, `--insecure-registry` of a VCH",
            C::LoginExpired => "the login at the registry has expired (at ECR after 12 hours): `docker login` there again, or use what the endpoint has with --pull missing",
            C::PullDenied => "check the names in INSTANCE_IMG and LB_IMG; for a private repository `docker login REGISTRY` first",
            C::ImageUnknown => "the registry has no such tag or digest; check the tags in INSTANCE_IMG and LB_IMG",
            C::ImageAbsent => "the endpoint does not have the image; use --pull missing, or load it there before --pull never",
            C::WrongPlatform => "the image is made for another platform; use one for the endpoint's (a VCH: linux/amd64, no manifest lists)",
            C::RegistryUnreachable => "the endpoint itself (not this machine) must reach the registry: check the host in the image's name, and the endpoint's DNS, routes and proxy, or use --pull missing",
            C::RegistryTrouble => "the registry, or the endpoint's way to it, fails for now; try again, or use what the endpoint has with --pull missing",
            C::NameConflict => "a container of that name exists; remove it with `docker rm -f`, or choose another INSTANCE_CTR_PREFIX or LB_CTR_NAME",
            C::BadName => "use letters, digits, `_`, `.` and `-` in INSTANCE_CTR_PREFIX and LB_CTR_NAME, a letter or digit first",
            C::ContainerNotFound => "the container is gone, perhaps by another hand; run vch-lb again, which makes what is missing",
            C::NotRunning => return "the container is not running; see why with `docker logs`, then let " + vch_lb("up") + " start it",
            C::StillRunning => "stop the container first, or remove it with `docker rm -f`",
            C::BeingRemoved => "the container is being removed; try again in a moment",
            C::Paused => "someone paused the container; `docker unpause` it",
            C::NoLog => "its logging driver keeps nothing that docker could read: look where `--log-driver` sends it, or take that out of INSTANCE_ARGS",
            C::NetworkExists => "a network of that name exists; use it if it is a bridge network of this service, else choose another INSTANCE_CTR_PREFIX",
            C::NetworkNotFound => "set EXTERNAL_NET to a network from `docker network ls`; on a VCH it has to be a container network that its admin made (`--container-network`)",
            C::NetworkAmbiguous => return "several networks have that name: remove those that nobody is on by the IDs that `docker network ls` shows; of an INSTANCE_CTR_PREFIX-net " + vch_lb("up") + " and " + vch_lb("down") + " do that",
            C::NetworkInUse => "containers are still on the network, perhaps stopped ones: `docker network inspect NAME`; on an engine `docker network disconnect -f NAME CONTAINER` takes one off; if there are none, a VCH 1.5.2 to 1.5.4 leaked one",
            C::NetworkBuiltin => "that network belongs to the endpoint itself; choose another INSTANCE_CTR_PREFIX or EXTERNAL_NET",
            C::AlreadyConnected => "the container is on that network already; nothing to do",
            C::HostNetwork => "a container on `host` or `none` cannot join the service's network; set EXTERNAL_NET to a network of its own",
            C::NetworkNotAttachable => "set EXTERNAL_NET to another network, or make this swarm network with `--attachable`",
            C::NetworksExhausted => "no address range is left for another network: remove unused ones (`docker network ls`); a VCH has room for 15, more with `--bridge-network-range`, an engine with `default-address-pools`",
            C::SubnetOverlap => "choose a subnet that no other network has",
            C::SecondExternalNetwork => "a container can be on one container network of a VCH; leave `--net` out of LB_ARGS and INSTANCE_ARGS",
            C::OneNetworkAtCreate => "a VCH creates a container on one network only; leave `--net` and `--network` out of INSTANCE_ARGS and LB_ARGS",
            C::AddressesExhausted => "the network has no free address: remove containers on it that are not needed, stopped ones too, or choose another EXTERNAL_NET",
            C::AddressTaken => "another container has that address, or a VCH holds it for a removed one; give another with `--ip` in LB_ARGS, or none",
            C::AddressNotAllowed => "the network does not give out that address; give one within its subnet and range with `--ip` in LB_ARGS, or none",
            C::PortAllocated => "something else has that port of the endpoint; choose another LB_PORT, LB_REDIRECT_PORT or STATS_PORT, or free that one (PUBLISH_LB says whether the load balancer takes one)",
            C::PrivilegedPort => "the engine may not bind ports below 1024, as one without root; choose a higher LB_PORT",
            C::PortForm => "a VCH takes one `-p` per port, without a range of host ports and without another host address; change INSTANCE_ARGS or LB_ARGS",
            C::FirewallClosed => "the firewall of EXTERNAL_NET lets nobody in; use another one, or ask the VCH's admin for `--container-network-firewall NET:published`",
            C::FirewallNeedsMapping => "publish the port as PORT:PORT, or not at all: the firewall of EXTERNAL_NET is open to its peers already",
            C::Iptables => "docker's rules are missing from the engine's firewall; have the docker daemon restarted there, which writes them again",
            C::CommandNotFound => "the image does not hold that command; check INSTANCE_CMD, `--entrypoint` in INSTANCE_ARGS and LB_ARGS, and the images themselves",
            C::CommandNotExecutable => "the command in the image may not be executed; check INSTANCE_CMD and `--user` in INSTANCE_ARGS, and the file's mode in the image",
            C::NoCommand => "the image has no command of its own; give one in INSTANCE_CMD",
            C::Mount => "check `--volume` and `--mount` in INSTANCE_ARGS and LB_ARGS; a host path is one of the endpoint, not of this machine",
            C::ResourceLimits => "change `--memory` and `--cpus` in INSTANCE_ARGS or LB_ARGS to what the endpoint accepts; on a VCH `--cpuset-cpus` is a number of CPUs",
            C::DiskFull => "the endpoint's disk is full; remove unused images and containers there",
            C::Quota => "the VCH's quota is used up; remove containers or images, or ask its admin to raise it",
            C::VmLimit => "an ESX host holds 512 VMs, container VMs included; remove containers that are not needed",
            C::ResourcesShort => "the endpoint is out of memory or CPU; lower NUM_INSTANCES, or `--memory` in INSTANCE_ARGS (on a VCH 2g unless given, 512m at least)",
            C::PortGroupFull => "the vSphere port group has no port left; ask the vSphere admin for more, or remove containers",
            C::PoweredOff => "the container VM died while it booted; look at its log and at the resources of the VCH, remove it and try again",
            C::StartTimedOut => "the VCH gave the container no address or no start within 3 minutes: check DHCP or the address pool of the network, and lower --jobs; remove the container before trying again",
            C::Runtime => "the engine could not start the process; docker's words above say at which step, and INSTANCE_ARGS, LB_ARGS and the image decide it",
            C::NoVolumeStore => "the VCH has no volume store `default`; leave `--volume` out, use an image without VOLUME, or ask its admin for `--volume-store`",
            C::BindMount => "a VCH cannot mount a directory of the host; leave it out of INSTANCE_ARGS and LB_ARGS and build the files into the image",
            C::NotImplemented => "a VCH does not have this call; change networks and settings by making the container anew",
            C::FilterUnsupported => "the endpoint does not know that filter; please report it, since vch-lb should not use it",
            C::DeviceInUse => "a VCH attaches a volume to one running container at a time; stop the other one, or use no named volume for more than one instance",
            C::Busy => "the VCH is at work on the same container; try again, with a lower --jobs if it persists",
            C::HostDisconnected => "the ESX host is away from its vCenter; try again when it is back",
            C::VspherePermission => "the VCH's account lacks a right in vSphere; ask its admin (`vic-machine configure --ops-grant-perms`)",
            C::WaitCap => "a VCH ends `docker wait` after 3 minutes; wait again",
            C::PortLayer => "the VCH failed inside; try once more, then ask its admin for the logs at https://VCH:2378",
            C::CopyTarget => "the container lacks that path; LB_IMG has to be laid out as the official haproxy image is, with /usr/local/etc/haproxy",
            C::CopyReadOnly => "the configuration cannot be copied to a read-only place; leave `--read-only` and read-only volumes out of LB_ARGS",
            C::CopyInterrupted => "the copy broke off and may be cut short; try again, and if it keeps failing stop the load balancer, copy, and start it",
        };
        hint.into()
    }

    /// True if the same call, repeated after a pause of seconds, has a good chance: a few times at most.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            C::RegistryTrouble
                | C::SshBusy
                | C::BeingRemoved
                | C::NetworkInUse
                | C::DeviceInUse
                | C::Busy
                | C::WaitCap
                | C::CopyInterrupted
        )
    }

    /// True if the same call has a chance, but only once the container that the failed one left behind is removed.
    pub fn retry_after_removal(self) -> bool {
        matches!(self, C::PoweredOff | C::StartTimedOut)
    }

    /// True if docker or the endpoint cannot be used at all, so that any other call would fail alike: exit code 4.
    pub fn endpoint_unusable(self) -> bool {
        matches!(
            self,
            C::ContextNotFound
                | C::BadHost
                | C::TlsFiles
                | C::Ssh
                | C::SocketPermission
                | C::ClientTooNew
                | C::ClientTooOld
                | C::NotDocker
                | C::HostHeader
                | C::TlsMismatch
                | C::TlsServerName
                | C::TlsExpired
                | C::TlsServerUntrusted
                | C::TlsClientCert
                | C::EndpointNameUnknown
                | C::ConnectionLost
                | C::Proxy
                | C::EngineNotRunning
                | C::EndpointUnreachable
        )
    }

    /// True if no connection to the endpoint came about.
    pub fn endpoint_unreachable(self) -> bool {
        matches!(
            self,
            C::EndpointNameUnknown | C::EngineNotRunning | C::EndpointUnreachable
        )
    }

    /// True if a container of that name exists: ours from an earlier attempt, or another's.
    pub fn is_name_conflict(self) -> bool {
        self == C::NameConflict
    }

    /// True if what a `network create` or `network connect` was to bring about is so already.
    pub fn is_already_there(self) -> bool {
        matches!(self, C::NetworkExists | C::AlreadyConnected)
    }

    /// True if the container, network or image of the call does not exist. A removal is then done.
    pub fn is_not_found(self) -> bool {
        matches!(
            self,
            C::ContainerNotFound | C::NetworkNotFound | C::ImageAbsent
        )
    }

    /// True if a copy out of a container that is there found no such file: a VCH's words for it are those for a command that
    /// is not there.
    pub fn is_missing_path(self) -> bool {
        matches!(self, C::CopyTarget | C::CommandNotFound)
    }

    /// True if the container of the call is not running. A stop is then done, a signal needs a start instead.
    pub fn is_not_running(self) -> bool {
        self == C::NotRunning
    }

    /// True if a port of the endpoint is taken. Not transient by itself, since a port that the user chose stays taken; one that
    /// the engine chose (`-p 80`) was lost in a race, and another attempt gets another one, after removal of what was created.
    pub fn is_port_conflict(self) -> bool {
        self == C::PortAllocated
    }
}
