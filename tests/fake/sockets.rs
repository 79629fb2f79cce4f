//! `cat /proc/net/tcp /proc/net/tcp6` in a container: the sockets of its network namespace.
//!
//! Who answers at a container's addresses and ports is the test itself, so its sockets are found in this machine's table.

use std::fs;
use std::net::Ipv4Addr;

use crate::Ctx;
use crate::config::Sockets;
use crate::containers::Container;
use crate::reply::Reply;

const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

pub(crate) fn table(ctx: &Ctx, container: &Container) -> Reply {
    if ctx.config.sockets == Sockets::Unreadable {
        return Reply::error("cat: can't open '/proc/net/tcp': Permission denied", 1);
    }
    let mut reply = Reply::line(HEAD);
    if ctx.config.sockets == Sockets::Elsewhere {
        for port in served(container) {
            reply.out(&format!("   0: 00000000:{port:04X} 00000000:0000 0A 0:0"));
        }
        return reply;
    }
    let machine = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    for line in machine.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, ..] = words[..] else {
            continue;
        };
        if let Some((local, port)) = socket(local)
            && is_the_tests(ctx, local)
            && let Some(inside) = inside(container, local, port)
        {
            let ip = u32::from(local).swap_bytes();
            reply.out(&format!("   0: {ip:08X}:{inside:04X} {remote} {state} 0:0"));
        }
    }
    reply
}

/// Whether an address is one of this test's: others run beside it.
fn is_the_tests(ctx: &Ctx, local: Ipv4Addr) -> bool {
    let preset = ctx.config.networks.get("routable").and_then(Option::as_ref);
    let subnet = preset.and_then(|preset| preset.subnet.as_deref());
    let first = subnet.and_then(|subnet| subnet.split('/').next()?.parse::<Ipv4Addr>().ok());
    first.is_none_or(|first| first.octets()[..3] == local.octets()[..3])
}

/// The ports that the load balancer's configuration binds.
fn served(container: &Container) -> Vec<u16> {
    let text = container.loaded_config.as_deref().unwrap_or_default();
    let binds = text.lines().filter_map(|line| {
        let address = line.trim().strip_prefix("bind ")?;
        address.split_whitespace().next()?.rsplit_once(':')
    });
    binds.filter_map(|(_, port)| port.parse().ok()).collect()
}

/// The container's own port, if a socket of this machine stands for one of the container's.
fn inside(container: &Container, local: Ipv4Addr, port: u16) -> Option<u16> {
    let address = local.to_string();
    let mut networks = container.networks.values();
    if networks.any(|endpoint| endpoint.address == address) {
        return Some(port);
    }
    let mut published = container.publish.iter();
    published
        .find(|publish| publish.bound == Some(port))
        .map(|publish| publish.container)
}

fn socket(text: &str) -> Option<(Ipv4Addr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?.swap_bytes();
    Some((ip.into(), u16::from_str_radix(port, 16).ok()?))
}
