//! The network layer: what the host checks before any hook sees a packet, and how the tracker finds the transport header.
//!
//! [`receive`] is what comes before PREROUTING, [`transport`] what the tracker does after reassembly. Routing, hop limits
//! and IPv4 options come later in the kernel and are no business of the tracker's.

use crate::reason::Reason;
use crate::tuple::{Addr, Family};
use crate::wire::checksum;

/// IPv6 next-header values that are not transport protocols.
mod next {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const NONE: u8 = 59;
    pub(super) const DESTINATION: u8 = 60;
}

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// The IPv6 fragment header.
pub(crate) const FRAGMENT_HEADER: usize = 8;

/// A datagram that has passed the host's checks, without what a link put behind it. A view: what is asked for now and
/// then is read from the bytes when it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub family: Family,
    /// IPv4: the protocol; IPv6: the first next-header value (see [`transport`]).
    pub protocol: u8,
    /// See [`Datagram::fragment`].
    pub is_fragment: bool,
    /// Of the IPv4 header with its options, or of the IPv6 header alone.
    pub header_len: u32,
    /// From the first byte of the network header to the last of the payload; never less than the header without
    /// options.
    pub bytes: &'a [u8],
}

/// What makes a datagram a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentInfo {
    pub id: u32,
    /// In bytes, a multiple of eight.
    pub offset: u32,
    pub more: bool,
    /// Where the fragmented part begins: behind the IPv4 header or the IPv6 fragment header. Beyond the end when the
    /// fragment header itself is cut short (and then nothing else here counts).
    pub data_at: u32,
    /// IPv6: where the next-header value stands that names the fragment header.
    pub named_at: u32,
}

impl<'a> Datagram<'a> {
    /// The bytes from `offset` on; none when that lies beyond the end, as an IPv6 extension header can say.
    pub(crate) fn from(&self, offset: u32) -> &'a [u8] {
        self.bytes.get(offset as usize..).unwrap_or_default()
    }

    /// Source and destination address.
    #[inline]
    pub(crate) fn addresses(&self) -> (Addr, Addr) {
        match self.family {
            Family::Ipv4 => {
                let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *self.header::<IPV4_HEADER>();
                (Addr::v4([s0, s1, s2, s3]), Addr::v4([d0, d1, d2, d3]))
            }
            Family::Ipv6 => ipv6_addresses(self.header()),
        }
    }

    /// IPv4's time to live.
    pub(crate) fn hop_limit(&self) -> u8 {
        match self.family {
            Family::Ipv4 => self.bytes[8],
            Family::Ipv6 => self.bytes[7],
        }
    }

    /// What it is a fragment of.
    #[inline]
    pub(crate) fn fragment(&self) -> Option<FragmentInfo> {
        match self.family {
            _ if !self.is_fragment => None,
            Family::Ipv4 => Some(ipv4_fragment(self.header())),
            Family::Ipv6 => ipv6_fragment(self.bytes),
        }
    }

    #[inline]
    fn header<const N: usize>(&self) -> &'a [u8; N] {
        self.bytes.first_chunk().expect("a datagram has its header")
    }

    /// The datagram quoted in an ICMP error, of which nothing is checked, not even its version and length.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_ct_get_tuplepr`.
    pub(crate) fn quoted(family: Family, bytes: &'a [u8]) -> Option<Datagram<'a>> {
        match family {
            Family::Ipv4 => Some(ipv4_view(bytes.first_chunk()?, bytes)),
            Family::Ipv6 => Some(ipv6_view(bytes.first_chunk()?, bytes)),
        }
    }
}

/// Checks a packet from the link as the host does before PREROUTING, and cuts off what the link has put behind it.
///
/// With `offload` a length of zero stands for all bytes: a capture took the packet before it was segmented.
///
/// # Errors
/// The rule by which the host throws the packet away.
#[inline(always)]
pub(crate) fn receive(bytes: &[u8], offload: bool) -> Result<Datagram<'_>, Reason> {
    let length = bytes.len() as u32;
    match bytes.first().map(|first| first >> 4) {
        Some(4) => match bytes.first_chunk() {
            Some(header) => receive_ipv4(header, bytes, offload),
            None => Err(Reason::IpTooShort { length, needed: IPV4_HEADER as u32 }),
        },
        Some(6) => match bytes.first_chunk() {
            Some(header) => receive_ipv6(header, bytes, offload),
            None => Err(Reason::IpTooShort { length, needed: IPV6_HEADER as u32 }),
        },
        Some(version) => Err(Reason::IpVersion { version }),
        None => Err(Reason::IpTooShort { length, needed: IPV4_HEADER as u32 }),
    }
}

/// A datagram that reassembly has made: what the host checks was checked of its fragments, and it is none any more.
pub(crate) fn reassembled(bytes: &[u8]) -> Option<Datagram<'_>> {
    match bytes.first()? >> 4 {
        4 => Some(ipv4_view(bytes.first_chunk()?, bytes)),
        _ => Some(ipv6_view(bytes.first_chunk()?, bytes)),
    }
}

/// Source: linux 6.18 net/ipv4/ip_input.c `ip_rcv_core`.
#[inline(always)]
fn receive_ipv4<'a>(
    header: &[u8; IPV4_HEADER],
    bytes: &'a [u8],
    offload: bool,
) -> Result<Datagram<'a>, Reason> {
    let length = bytes.len() as u32;
    let mut datagram = ipv4_view(header, bytes);
    let header_len = datagram.header_len as usize;
    if header_len < IPV4_HEADER || bytes.len() < header_len {
        return Err(Reason::IpHeaderLength { header: datagram.header_len, length });
    }
    let claimed = u32::from(u16::from_be_bytes([header[2], header[3]]));
    // A card that is to fill in the length is to fill in the checksum over it, too.
    let is_left_to_card = claimed == 0 && offload;
    // A header without options has a length that the compiler knows.
    let sum =
        if header_len == IPV4_HEADER { checksum::sum(header) } else { checksum::sum(&bytes[..header_len]) };
    if !is_left_to_card && !checksum::is_intact(sum) {
        return Err(Reason::IpHeaderChecksum {});
    }
    let total = if is_left_to_card { length } else { claimed };
    if length < total || total < datagram.header_len {
        return Err(Reason::IpTotalLength { total, length });
    }
    datagram.bytes = &bytes[..total as usize];
    Ok(datagram)
}

/// Of IPv4's flags and offset, the bits of which a fragment has some set.
const MORE_AND_OFFSET: u16 = 0x3fff;

#[inline]
fn ipv4_view<'a>(header: &[u8; IPV4_HEADER], bytes: &'a [u8]) -> Datagram<'a> {
    Datagram {
        family: Family::Ipv4,
        protocol: header[9],
        is_fragment: u16::from_be_bytes([header[6], header[7]]) & MORE_AND_OFFSET != 0,
        header_len: u32::from(header[0] & 0xf) * 4,
        bytes,
    }
}

fn ipv4_fragment(header: &[u8; IPV4_HEADER]) -> FragmentInfo {
    let field = u16::from_be_bytes([header[6], header[7]]);
    FragmentInfo {
        id: u32::from(u16::from_be_bytes([header[4], header[5]])),
        offset: u32::from(field & 0x1fff) * 8,
        more: field & 0x2000 != 0,
        data_at: u32::from(header[0] & 0xf) * 4,
        named_at: 0,
    }
}

/// Source: linux 6.18 net/ipv6/ip6_input.c `ip6_rcv_core`.
#[inline(always)]
fn receive_ipv6<'a>(
    header: &[u8; IPV6_HEADER],
    bytes: &'a [u8],
    offload: bool,
) -> Result<Datagram<'a>, Reason> {
    let mut datagram = ipv6_view(header, bytes);
    check_ipv6_addresses(ipv6_addresses(header))?;
    let payload = u32::from(u16::from_be_bytes([header[4], header[5]]));
    let follow = (bytes.len() - IPV6_HEADER) as u32;
    // No length and a hop-by-hop header: a jumbogram, or as long as what has come.
    let has_length = payload != 0 || datagram.protocol != next::HOP_BY_HOP;
    if has_length && !(payload == 0 && offload) {
        if payload > follow {
            return Err(Reason::IpPayloadLength { payload, length: follow });
        }
        datagram.bytes = &bytes[..IPV6_HEADER + payload as usize];
    }
    if datagram.protocol == next::HOP_BY_HOP {
        datagram.bytes = hop_by_hop(datagram.bytes, payload)?;
    }
    if payload != 0 && is_extension(datagram.protocol) {
        datagram.is_fragment = ipv6_fragment(datagram.bytes).is_some();
    }
    Ok(datagram)
}

#[inline]
fn ipv6_view<'a>(header: &[u8; IPV6_HEADER], bytes: &'a [u8]) -> Datagram<'a> {
    Datagram {
        family: Family::Ipv6,
        protocol: header[6],
        is_fragment: false,
        header_len: IPV6_HEADER as u32,
        bytes,
    }
}

#[inline]
fn ipv6_addresses(header: &[u8; IPV6_HEADER]) -> (Addr, Addr) {
    let word = |at: usize| u64::from_be_bytes(*header[at..].first_chunk().expect("eight bytes of forty"));
    (Addr { hi: word(8), lo: word(16) }, Addr { hi: word(24), lo: word(32) })
}

/// RFC 4291: the loopback address stays at home, a multicast address sends nothing, and the scopes "reserved" and
/// "interface" leave no interface.
fn check_ipv6_addresses((src, dst): (Addr, Addr)) -> Result<(), Reason> {
    const LOOPBACK: Addr = Addr { hi: 0, lo: 1 };
    let is_multicast = |addr: Addr| addr.hi >> 56 == 0xff;
    let scope = (dst.hi >> 48) & 0xf;
    if src == LOOPBACK || dst == LOOPBACK || is_multicast(src) || (is_multicast(dst) && scope <= 1) {
        return Err(Reason::IpAddress {});
    }
    Ok(())
}

/// Reads the hop-by-hop options as every host on the way does, and cuts a jumbogram to its length.
///
/// Source: linux 6.18 net/ipv6/exthdrs.c `ipv6_parse_hopopts`, `ip6_parse_tlv`.
fn hop_by_hop(bytes: &[u8], payload: u32) -> Result<&[u8], Reason> {
    const PAD_1: u8 = 0;
    const PAD_N: u8 = 1;
    const ROUTER_ALERT: u8 = 5;
    /// Labels of a security domain, of which none is configured.
    const CALIPSO: u8 = 7;
    const IOAM: u8 = 49;
    const JUMBO: u8 = 194;
    /// Padding never needs more.
    const MOST_PADDING: usize = 7;
    /// `net.ipv6.max_hbh_opts_number`.
    const MOST_OPTIONS: usize = 8;

    let rest = &bytes[IPV6_HEADER..];
    let length = rest.get(1).map_or(8, |&words| (usize::from(words) + 1) * 8);
    if rest.len() < length {
        return Err(Reason::IpHopByHopLength { header: length as u32, length: rest.len() as u32 });
    }
    let (mut at, mut padding, mut options, mut end) = (2, 0, 0, bytes.len());
    while at < length {
        let option = rest[at];
        let bad = Reason::IpHopByHop { option, offset: at as u32 };
        if option == PAD_1 {
            padding += 1;
            at += 1;
            if padding > MOST_PADDING {
                return Err(bad);
            }
            continue;
        }
        let body = match rest[at..length] {
            [_, size, ref body @ ..] if body.len() >= usize::from(size) => &body[..usize::from(size)],
            _ => return Err(bad),
        };
        if option == PAD_N {
            padding += body.len() + 2;
            if padding > MOST_PADDING || body.iter().any(|&b| b != 0) {
                return Err(bad);
            }
        } else {
            (options, padding) = (options + 1, 0);
            let fits = match option {
                ROUTER_ALERT => body.len() == 2,
                CALIPSO => false,
                IOAM => at % 4 == 0,
                JUMBO => match *body {
                    [a, b, c, d] if at % 4 == 2 => {
                        let jumbo = u32::from_be_bytes([a, b, c, d]) as usize;
                        end = IPV6_HEADER.saturating_add(jumbo);
                        payload == 0 && jumbo > usize::from(u16::MAX) && jumbo <= rest.len()
                    }
                    _ => false,
                },
                // The two high bits say what one who does not know an option must do: only 00 is to skip it.
                _ => option >> 6 == 0,
            };
            if options > MOST_OPTIONS || !fits {
                return Err(bad);
            }
        }
        at += body.len() + 2;
    }
    Ok(&bytes[..end.min(bytes.len())])
}

/// Whether a next-header value names an extension header that is walked over. ESP, mobility and HIP are not: to the
/// tracker they are transport protocols of their own.
///
/// Source: linux 6.18 net/ipv6/exthdrs_core.c `ipv6_ext_hdr`.
fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        next::HOP_BY_HOP
            | next::ROUTING
            | next::FRAGMENT
            | next::AUTHENTICATION
            | next::NONE
            | next::DESTINATION
    )
}

fn extension_length(protocol: u8, field: u8) -> usize {
    match protocol {
        next::FRAGMENT => FRAGMENT_HEADER,
        next::AUTHENTICATION => (usize::from(field) + 2) * 4,
        _ => (usize::from(field) + 1) * 8,
    }
}

/// Finds the first fragment header.
///
/// Source: linux 6.18 net/ipv6/netfilter/nf_conntrack_reasm.c `find_prev_fhdr`.
fn ipv6_fragment(bytes: &[u8]) -> Option<FragmentInfo> {
    let (mut protocol, mut at, mut named_at) = (bytes[6], IPV6_HEADER, 6);
    while protocol != next::FRAGMENT {
        if !is_extension(protocol) || protocol == next::NONE {
            return None;
        }
        let &[following, field] = bytes.get(at..)?.first_chunk()?;
        named_at = at;
        at += extension_length(protocol, field);
        protocol = following;
    }
    let mut fragment = FragmentInfo {
        id: 0,
        offset: 0,
        more: false,
        data_at: (at + FRAGMENT_HEADER) as u32,
        named_at: named_at as u32,
    };
    if let [_, _, high, low, a, b, c, d, ..] = *bytes.get(at..)? {
        let field = u16::from_be_bytes([high, low]);
        fragment.id = u32::from_be_bytes([a, b, c, d]);
        fragment.offset = u32::from(field & 0xfff8);
        fragment.more = field & 1 != 0;
    }
    Some(fragment)
}

/// Where a datagram's transport header is, and of which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transport {
    pub protocol: u8,
    /// From the start of the datagram; may lie beyond its end (see [`Datagram::from`]).
    pub offset: u32,
}

/// Finds the transport header, as the tracker does: no length is checked but that of what must be read.
///
/// # Errors
/// When there is none: a later fragment, "no next header", a chain of extension headers that breaks off.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `get_l4proto`.
#[inline(always)]
pub(crate) fn transport(datagram: &Datagram<'_>) -> Result<Transport, Reason> {
    let direct = Transport { protocol: datagram.protocol, offset: datagram.header_len };
    match datagram.family {
        Family::Ipv4 => match datagram.fragment() {
            Some(FragmentInfo { offset, .. }) if offset != 0 => Err(Reason::L4Fragment { offset }),
            _ if datagram.bytes.len() < datagram.header_len as usize => Err(Reason::L4NotFound {}),
            _ => Ok(direct),
        },
        Family::Ipv6 if !is_extension(datagram.protocol) => Ok(direct),
        Family::Ipv6 => skip_extensions(datagram.bytes, datagram.protocol, datagram.header_len as usize),
    }
}

/// Source: linux 6.18 net/ipv6/exthdrs_core.c `ipv6_skip_exthdr`.
pub(crate) fn skip_extensions(bytes: &[u8], mut protocol: u8, mut at: usize) -> Result<Transport, Reason> {
    while is_extension(protocol) {
        let rest = bytes.get(at..).unwrap_or_default();
        let &[following, field] = match rest.first_chunk() {
            Some(start) if protocol != next::NONE => start,
            _ => return Err(Reason::L4NotFound {}),
        };
        if protocol == next::FRAGMENT {
            match *rest {
                [_, _, high, low, ..] => match u32::from(u16::from_be_bytes([high, low]) & 0xfff8) {
                    0 => {}
                    offset => return Err(Reason::L4Fragment { offset }),
                },
                _ => return Err(Reason::L4NotFound {}),
            }
        }
        at += extension_length(protocol, field);
        protocol = following;
    }
    Ok(Transport { protocol, offset: at as u32 })
}

#[cfg(test)]
mod tests;
