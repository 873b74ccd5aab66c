//! A network of our own: two namespaces, the tracker's and that of the hosts around it, joined by cables.
//!
//! ```text
//!   hosts          │ box (this process)
//!   far end ───────┼── inside   10.0.0.254/24  fd00:a::fe/64
//!   far end ───────┼── outside  10.0.1.254/24  fd00:b::fe/64
//!   far end ───────┼── dmz      10.0.2.254/24  fd00:c::fe/64
//! ```
//!
//! Nothing of it has a name outside of this process, so all of it ends with the process. The hosts' namespace has no
//! addresses and tracks nothing: packets are put into the far ends, and read from them, as bytes. The cables resolve no
//! addresses, and all networks but the first lie behind a gateway, because the kernel's table of neighbours is one for
//! all namespaces, and small.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::unistd::{getegid, geteuid};

use crate::target::host::SIDES as CABLES;

use super::netlink::{Messages, Socket, enlarge};
use super::sys;

/// The gateways, which nobody plays.
const GATEWAYS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(169, 254, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1))];

/// The Ethernet address of the tracker's end of every cable; the far ends have others, so that the hosts' namespace
/// takes nothing for its own.
pub(super) const ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];

/// The largest packet that a cable takes.
pub(super) const MTU: u32 = 65_535;

/// What the hosts' side needs of the kernel: it is to see packets, and have no part in them.
const QUIET: [(&str, &str); 3] = [
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/ipv4/ip_forward", "0"),
];

/// How the tracker's host is set up before its interfaces are: it forwards, believes any source, and says nothing by
/// itself.
const ROUTER: [(&str, &str); 16] = [
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/router_solicitations", "0"),
    ("net/ipv6/conf/default/addr_gen_mode", "1"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/default/send_redirects", "0"),
    ("net/ipv4/conf/all/accept_local", "1"),
    ("net/ipv4/conf/all/accept_source_route", "1"),
    // It sends as many errors as rules want.
    ("net/ipv4/icmp_ratelimit", "0"),
    ("net/ipv4/icmp_ratemask", "0"),
    ("net/ipv6/icmp/ratelimit", "0"),
    ("net/ipv6/icmp/ratemask", "0"),
    ("net/ipv4/ip_forward", "1"),
];

/// What is missing on this machine, in a sentence for people.
#[derive(Debug)]
pub(super) struct Missing(pub(super) String);

impl Missing {
    pub(super) fn of(what: &str) -> impl FnOnce(io::Error) -> Missing + '_ {
        move |error| Missing(format!("{what}: {error}"))
    }
}

/// The far ends of the cables, as sockets of packets, in their order.
pub(super) struct Network {
    pub(super) ends: [OwnedFd; CABLES.len()],
}

/// Puts this process into a network of its own. It must have a single thread.
///
/// # Errors
/// What this machine lacks for it.
pub(super) fn enter() -> Result<Network, Missing> {
    own_user()?;
    configure(&QUIET)?;
    let hosts = here()?;
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|error| Missing(format!("a second network namespace cannot be made: {error}")))?;
    let this = here()?;
    configure(&ROUTER)?;
    connect(&hosts).map_err(Missing::of("the interfaces of the namespace cannot be set up"))?;
    let within = |namespace: &OwnedFd| {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|error| Missing(format!("the hosts' namespace cannot be entered: {error}")))
    };
    within(&hosts)?;
    let ends = far_ends().map_err(Missing::of("packets cannot be put into the namespace (AF_PACKET)"));
    within(&this)?;
    Ok(Network { ends: ends? })
}

/// A user namespace, in which an ordinary user may do all this; and the first network namespace. Root needs none.
fn own_user() -> Result<(), Missing> {
    let (user, group) = (geteuid(), getegid());
    if user.is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(|error| {
        Missing(format!(
            "this user may not make namespaces ({error}): allow it with `sysctl user.max_user_namespaces=1000` \
             (on some systems also kernel.unprivileged_userns_clone=1), or run as root"
        ))
    })?;
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text).map_err(Missing::of("the user cannot be mapped"))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {user} 1"))?;
    write("gid_map", format!("0 {group} 1"))
}

fn here() -> Result<OwnedFd, Missing> {
    fs::File::open("/proc/self/ns/net").map(OwnedFd::from).map_err(Missing::of("/proc is not there"))
}

fn configure(files: &[(&str, &str)]) -> Result<(), Missing> {
    for (file, value) in files {
        let path = format!("/proc/sys/{file}");
        match fs::write(&path, value) {
            Ok(()) => {}
            // A kernel without IPv6 has nothing to be quiet about.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Missing(format!("{path} cannot be set in the namespace: {error}"))),
        }
    }
    Ok(())
}

/// Flags of a request that makes something.
const MAKE: u16 = (libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
/// `IFLA_INFO_KIND`, `IFLA_INFO_DATA`, `VETH_INFO_PEER`.
/// The gateway is taken to be there.
const RTNH_F_ONLINK: u32 = 4;
const KIND: u16 = 1;
const DATA: u16 = 2;
const PEER: u16 = 1;

fn connect(hosts: &OwnedFd) -> io::Result<()> {
    let mut route = Socket::open(SockProtocol::NetlinkRoute, 0, 16)?;
    let mut message = Messages::default();
    for cable in &CABLES {
        message.begin(libc::RTM_NEWLINK, MAKE, &link(0, false));
        ends(&mut message, cable.name);
        message.put(libc::IFLA_ADDRESS, &ADDRESS);
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.put(KIND, b"veth").nest(DATA, |data| {
                data.nest(PEER, |peer| {
                    peer.raw(&link(0, false));
                    ends(peer, cable.name);
                    peer.put(libc::IFLA_NET_NS_FD, &hosts.as_raw_fd().to_ne_bytes());
                });
            });
        });
    }
    route.command(&message)?;
    message.clear();
    message.begin(libc::RTM_NEWLINK, ACK, &link(index("lo")?, true));
    for cable in &CABLES {
        let interface = index(cable.name)?;
        message.begin(libc::RTM_NEWLINK, ACK, &link(interface, true));
        for (address, length) in cable.addresses {
            message
                .begin(libc::RTM_NEWADDR, MAKE, &address_header(address, length, interface))
                .put(libc::IFA_LOCAL, &octets(address))
                .put(libc::IFA_ADDRESS, &octets(address));
        }
    }
    route.command(&message)?;
    message.clear();
    for cable in &CABLES {
        for (network, length) in cable.routes {
            let gateway = GATEWAYS[usize::from(network.is_ipv6())];
            message
                .begin(libc::RTM_NEWROUTE, MAKE, &route_header(*network, *length))
                .put(libc::RTA_DST, &octets(*network))
                .put(libc::RTA_GATEWAY, &octets(gateway))
                .put(libc::RTA_OIF, &index(cable.name)?.to_ne_bytes());
        }
    }
    route.command(&message)
}

/// Takes routes to single hosts away, and makes others.
pub(super) fn replace_routes(old: &[(IpAddr, String)], new: &[(IpAddr, String)]) -> io::Result<()> {
    let mut message = Messages::default();
    for (kind, flags, routes) in [(libc::RTM_DELROUTE, ACK, old), (libc::RTM_NEWROUTE, MAKE, new)] {
        for (host, interface) in routes {
            let length = if host.is_ipv4() { 32 } else { 128 };
            let gateway = GATEWAYS[usize::from(host.is_ipv6())];
            message
                .begin(kind, flags, &route_header(*host, length))
                .put(libc::RTA_DST, &octets(*host))
                .put(libc::RTA_GATEWAY, &octets(gateway))
                .put(libc::RTA_OIF, &index(interface)?.to_ne_bytes());
        }
    }
    Socket::open(SockProtocol::NetlinkRoute, 0, 16)?.command(&message)
}

/// What both ends of a cable have.
fn ends(message: &mut Messages, name: &str) {
    message
        .put(libc::IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat())
        .put(libc::IFLA_MTU, &MTU.to_ne_bytes());
}

/// `struct ifinfomsg`; cables resolve no addresses.
fn link(interface: u32, up: bool) -> Vec<u8> {
    let flags = (libc::IFF_NOARP | if up { libc::IFF_UP } else { 0 }) as u32;
    let words = [0, interface, flags, flags];
    words.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect()
}

/// `struct ifaddrmsg`, without duplicate address detection.
fn address_header(address: IpAddr, length: u8, interface: u32) -> Vec<u8> {
    let mut header = vec![family(address), length, libc::IFA_F_NODAD as u8, 0];
    header.extend_from_slice(&interface.to_ne_bytes());
    header
}

/// `struct rtmsg`: a route of the main table to a gateway that is taken to be there.
fn route_header(network: IpAddr, length: u8) -> Vec<u8> {
    let mut header = vec![family(network), length, 0, 0];
    header.extend_from_slice(&[
        libc::RT_TABLE_MAIN,
        libc::RTPROT_STATIC,
        libc::RT_SCOPE_UNIVERSE,
        libc::RTN_UNICAST,
    ]);
    header.extend_from_slice(&RTNH_F_ONLINK.to_ne_bytes());
    header
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn index(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}

/// The far ends of the cables; this process must be in the hosts' namespace.
fn far_ends() -> io::Result<[OwnedFd; CABLES.len()]> {
    let mut message = Messages::default();
    for cable in &CABLES {
        message.begin(libc::RTM_NEWLINK, ACK, &link(index(cable.name)?, true));
    }
    Socket::open(SockProtocol::NetlinkRoute, 0, 16)?.command(&message)?;
    let open = |name: &str| {
        let end = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        enlarge(&end);
        sys::bind_packet(end.as_fd(), index(name)?)?;
        Ok::<_, io::Error>(end)
    };
    Ok([open(CABLES[0].name)?, open(CABLES[1].name)?, open(CABLES[2].name)?])
}
