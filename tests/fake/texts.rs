//! The words of the two endpoints that more than one command needs. Those that only one command says stay there.

use crate::config::Config;
use crate::reply::Refusal;

/// What a VCH answers when two of its operations meet.
pub(crate) const VCH_CONFLICTS: [&str; 3] = [
    "Conflict error from portlayer: [PUT /containers/{handle}][409] commitConflict  &{Code:0 Message:container modified during this operation}",
    "Server error from portlayer: [PUT /containers/{handle}][500] commitDefault  &{Code:0 Message:ConcurrentAccess: the object has been changed}",
    "Resource in use",
];

/// What a VCH answers to a signal while another operation has the guest.
pub(crate) const VCH_GUEST_BUSY: &str =
    "Server error from portlayer: invalid state from start guest program";

/// A container that isn't there, where the client looks it up itself before it acts (`rm`, `exec`, `logs`, `inspect`).
pub(crate) fn no_such_container(config: &Config, name: &str) -> Refusal {
    if config.client_at_least(23) || config.is_vch() {
        Refusal::Daemon(format!("No such container: {name}"))
    } else {
        Refusal::Client(format!("Error: No such container: {name}"))
    }
}

/// A container that isn't there, where the endpoint says so (`start`, `stop`, `connect`).
pub(crate) fn no_such_container_daemon(name: &str) -> Refusal {
    Refusal::Daemon(format!("No such container: {name}"))
}

/// A network that isn't there.
pub(crate) fn no_such_network(config: &Config, name: &str) -> Refusal {
    if config.client_at_least(23) || config.is_vch() {
        Refusal::Daemon(format!("network {name} not found"))
    } else {
        Refusal::Client(format!("Error: No such network: {name}"))
    }
}

/// A name that another container has.
pub(crate) fn name_conflict(config: &Config, name: &str, id: &str) -> String {
    if config.is_vch() {
        format!(
            "conflict. The name \"{name}\" is already in use by container {id}. You have to remove (or rename) that container to be able to re use that name."
        )
    } else {
        format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
        )
    }
}

/// A verb that a VCH lacks.
pub(crate) fn unimplemented(method: &str) -> Refusal {
    Refusal::Daemon(format!(
        "vSphere Integrated Containers does not yet implement {method}"
    ))
}

/// The port layer's wrapping of what went wrong when a container was put on a network.
pub(crate) fn scope_error(message: &str) -> String {
    format!(
        "Server error from portlayer: [POST /scopes/{{scope}}/containers][500] addContainerInternalServerError  &{{Code:0 Message:{message}}}"
    )
}
