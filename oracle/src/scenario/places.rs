//! Who lives where: the hosts of a story, their addresses in the family at hand, and the tracker's own.

use std::net::IpAddr;

use conntruth_engine::Family;

use crate::language::Message;
use crate::language::ast::packet::{Endpoint, HostRef};
use crate::language::ast::{Host, Name, Side, Story};

/// The hosts that are there unless a story names them itself.
const HOSTS: [(&str, [&str; 2], Side); 2] = [
    ("client", ["10.0.0.1", "fd00:a::1"], Side::Inside),
    ("server", ["10.0.1.1", "fd00:b::1"], Side::Outside),
];
/// The tracker's own addresses, on each side.
const BOX: [(Side, [&str; 2]); 3] = [
    (Side::Inside, ["10.0.0.254", "fd00:a::fe"]),
    (Side::Outside, ["10.0.1.254", "fd00:b::fe"]),
    (Side::Dmz, ["10.0.2.254", "fd00:c::fe"]),
];

/// The tracker's own name.
const BOX_NAME: &str = "box";

/// A place in the address space for one world, so that many can be asked about in one tracker. Lane 0 has the
/// addresses that scenarios name; every other lane has a block of its own for the first hosts of either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane(u32);

impl Lane {
    /// The scenarios' own addresses.
    pub const FIRST: Lane = Lane(0);
    /// Lanes there are, the first not counted: all of 10.1.0.0 to 10.127.255.255, and the same in 10.128.0.0/9.
    pub const COUNT: u32 = (127 << 16) / Lane::HOSTS;
    /// Addresses that a lane has on either side.
    const HOSTS: u32 = 4;

    /// The lane of a running number: they are used up one after the other before any is used again.
    pub const fn number(count: u64) -> Lane {
        Lane((count % Lane::COUNT as u64) as u32 + 1)
    }

    /// Where a host of the scenarios' networks (10.0.0.1 to .3, 10.0.1.1 to .3, and the like in IPv6) lives in this
    /// lane. Others are everywhere the same.
    fn place(self, address: IpAddr) -> IpAddr {
        let block = |first: [u8; 2], host: u8| {
            let base = u32::from_be_bytes([first[0], first[1], 0, 0]);
            IpAddr::V4((base + (self.0 - 1) * Lane::HOSTS + u32::from(host)).into())
        };
        match address {
            _ if self == Lane::FIRST => address,
            IpAddr::V4(v4) => match v4.octets() {
                [10, 0, 0, host @ 1..=3] => block([10, 1], host),
                [10, 0, 1, host @ 1..=3] => block([10, 129], host),
                _ => address,
            },
            IpAddr::V6(v6) => match v6.segments() {
                [0xfd00, net @ (0xa | 0xb), 0, 0, 0, 0, 0, host @ 1..=3] => {
                    let (high, low) = ((self.0 >> 16) as u16, self.0 as u16);
                    IpAddr::from([0xfd00, net, high, low, 0, 0, 0, host])
                }
                _ => address,
            },
        }
    }
}

/// The hosts of one story.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    lane: Lane,
    family: Family,
    hosts: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    name: String,
    /// The host of which this is another interface.
    of: Option<String>,
    addresses: Vec<IpAddr>,
    /// `None`: the tracker itself.
    side: Option<Side>,
}

/// One end of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub address: IpAddr,
    /// The side of the tracker it is on; `None` for the tracker itself.
    pub side: Option<Side>,
}

impl Places {
    /// The hosts of a story, with names standing for addresses of `family`.
    pub fn new(story: &Story, family: Family, lane: Lane) -> Places {
        let named = |name: &str| story.hosts.iter().any(|host| host.name.value == name);
        let mut hosts: Vec<Place> = story.hosts.iter().map(Place::said).collect();
        for (name, addresses, side) in HOSTS.iter().filter(|(name, ..)| !named(name)) {
            hosts.push(Place {
                name: (*name).to_owned(),
                of: None,
                addresses: parsed(addresses),
                side: Some(*side),
            });
        }
        if !named(BOX_NAME) {
            for (_, addresses) in &BOX {
                hosts.push(Place {
                    name: BOX_NAME.to_owned(),
                    of: None,
                    addresses: parsed(addresses),
                    side: None,
                });
            }
        }
        for host in hosts.iter_mut().filter(|host| host.side.is_some()) {
            host.addresses.iter_mut().for_each(|address| *address = lane.place(*address));
        }
        Places { lane, family, hosts }
    }

    /// Both ends of a packet. A literal address decides the family of the name at the other end.
    ///
    /// # Errors
    /// When a name is unknown or has no address of the family.
    pub fn ends(&self, from: &Endpoint, to: &Endpoint) -> Result<[Spot; 2], Box<Message>> {
        let literal = [from, to].into_iter().find_map(|end| match end.host {
            HostRef::Address(address) => Some(family_of(address)),
            HostRef::Name(_) => None,
        });
        let family = literal.unwrap_or(self.family);
        let (sender, receiver) = (self.known(from, family)?, self.known(to, family)?);
        // `box` has an address on each side: the one that faces the other end.
        let facing = |other: &[Spot]| other.iter().find_map(|spot| spot.side).unwrap_or(Side::Inside);
        let [sender_faces, receiver_faces] = [facing(&receiver), facing(&sender)];
        Ok([choose(&sender, sender_faces), choose(&receiver, receiver_faces)])
    }

    /// All hosts and their addresses, the tracker's own left out, with the side each lives on.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[IpAddr], Side)> {
        let hosts = self.hosts.iter().filter(|host| host.of.is_none());
        hosts.filter_map(|host| Some((&*host.name, &*host.addresses, host.side?)))
    }

    /// The further interfaces of hosts: each with its owner, its name, addresses and side.
    pub fn interfaces(&self) -> impl Iterator<Item = (&str, &str, &[IpAddr], Side)> {
        let hosts = self.hosts.iter();
        hosts.filter_map(|host| Some((host.of.as_deref()?, &*host.name, &*host.addresses, host.side?)))
    }

    /// The address of a host in the family at hand that other hosts talk to.
    pub fn address(&self, host: &HostRef) -> Option<IpAddr> {
        match host {
            HostRef::Address(address) => Some(*address),
            HostRef::Name(name) => self.named(&name.value, self.family).first().map(|spot| spot.address),
        }
    }

    /// A host's address of a family; of the tracker's own host that on the inside.
    ///
    /// # Errors
    /// When the name is unknown or has no address of the family.
    pub fn only(&self, host: &Name, family: Family) -> Result<IpAddr, Box<Message>> {
        let spots = self.named(&host.value, family);
        match spots.first() {
            Some(spot) => Ok(spot.address),
            None => Err(self.missing(host, family).into()),
        }
    }

    /// The name of the host that has an address.
    pub fn name_of(&self, address: IpAddr) -> Option<&str> {
        let found = self.hosts.iter().find(|host| host.addresses.contains(&address));
        found.map(|host| host.of.as_ref().unwrap_or(&host.name).as_str())
    }

    fn known(&self, end: &Endpoint, family: Family) -> Result<Vec<Spot>, Box<Message>> {
        match &end.host {
            HostRef::Address(address) => Ok(vec![self.spot(self.lane.place(*address))]),
            HostRef::Name(name) => {
                let spots = self.named(&name.value, family);
                if spots.is_empty() { Err(self.missing(name, family).into()) } else { Ok(spots) }
            }
        }
    }

    fn named(&self, name: &str, family: Family) -> Vec<Spot> {
        let hosts = self.hosts.iter().filter(|host| host.name == name);
        hosts
            .flat_map(|host| host.addresses.iter().map(|address| Spot { address: *address, side: host.side }))
            .filter(|spot| family_of(spot.address) == family)
            .collect()
    }

    /// An address without a name lives where its network does.
    fn spot(&self, address: IpAddr) -> Spot {
        let host = self.hosts.iter().find(|host| host.addresses.contains(&address));
        Spot { address, side: host.map_or_else(|| Some(side_of(address)), |host| host.side) }
    }

    fn missing(&self, name: &Name, family: Family) -> Message {
        let word = if family == Family::Ipv4 { "IPv4" } else { "IPv6" };
        match self.hosts.iter().any(|host| host.name == name.value) {
            true => Message::new(format!("`{}` has no {word} address", name.value), name.span)
                .help(format!("give it one: `host {} ADDRESS`", name.value)),
            false => Message::new(format!("there is no host `{}`", name.value), name.span)
                .help("`client`, `server` and `box` are there; others need a `host` line"),
        }
    }
}

impl Place {
    fn said(host: &Host) -> Place {
        let side = host.side.or_else(|| host.addresses.first().map(|address| side_of(*address)));
        let side = if host.name.value == BOX_NAME { None } else { side };
        let of = host.of.as_ref().map(|owner| owner.value.clone());
        Place { name: host.name.value.clone(), of, addresses: host.addresses.clone(), side }
    }
}

/// The address of the tracker that faces `side`, or the only one there is.
fn choose(spots: &[Spot], side: Side) -> Spot {
    let faces = |spot: &&Spot| spot.side.is_some() || side_of(spot.address) == side;
    *spots.iter().find(faces).unwrap_or(&spots[0])
}

/// The hosts of a story that do not live where their network does, and the interface behind which each lives.
pub(crate) fn routes(story: &Story) -> Vec<(IpAddr, String)> {
    let hosts = story.hosts.iter().filter(|host| host.name.value != BOX_NAME);
    let strays = hosts.flat_map(|host| host.addresses.iter().zip(std::iter::repeat(host.side)));
    let strays = strays
        .filter_map(|(address, side)| Some((*address, side.filter(|side| *side != side_of(*address))?)));
    strays.map(|(address, side)| (address, side.name().to_owned())).collect()
}

/// 10.0.0.0/24 and fd00:a::/64 are inside, and the lanes' blocks beside them; 10.0.2.0/24 and fd00:c::/64 are the dmz; all
/// the rest of the world is outside.
pub(crate) fn side_of(address: IpAddr) -> Side {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [10, 0, 0, _] | [10, 1..=127, ..] => Side::Inside,
            [10, 0, 2, _] => Side::Dmz,
            _ => Side::Outside,
        },
        IpAddr::V6(v6) => match v6.segments() {
            [0xfd00, 0xa, ..] => Side::Inside,
            [0xfd00, 0xc, ..] => Side::Dmz,
            _ => Side::Outside,
        },
    }
}

/// The family of an address.
pub(crate) fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}
