//! ICMP and ICMPv6: queries and their answers are connections; errors belong to the connection they quote.
//!
//! Errors are dealt with before any lookup of their own tuple ([`error_stage`]). They change nothing about the
//! connection they are about: no timer, no counter, no bit.

use super::{Decision, Rules, Segment, is_family, tuple};
use crate::conn::Conn;
use crate::reason::Reason;
use crate::sysctl::Knob;
use crate::tuple::{Family, Tuple, is_query, protocol};
use crate::wire::checksum;
use crate::wire::ip::{Datagram, transport};

const HEADER: usize = 8;
/// ICMP types that are known; from linux include/uapi/linux/icmp.h `NR_ICMP_TYPES`.
const LAST_TYPE: u8 = 18;
const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
/// Multicast listener (130 to 132, 143), neighbour discovery (133 to 136), multicast router discovery (151, 152).
const UNTRACKED_V6: [u8; 10] = [130, 131, 132, 133, 134, 135, 136, 143, 151, 152];
const REDIRECT: u8 = 137;
const REDIRECT_HEADER: usize = 40;
const OPTION_REDIRECTED: u8 = 4;

/// What comes of a message before its own tuple is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ErrorStage {
    /// Not an error: tracked by its own tuple.
    Normal,
    /// Never tracked.
    Untracked(Reason),
    /// INVALID. An error is shown with the connection it would be about.
    Invalid(Reason, Option<Tuple>),
    /// About the connection that has this tuple, which travels as the error does.
    About { tuple: Tuple, kind: u8, code: u8 },
}

/// Sorts out errors, and what is not tracked.
///
/// Source: linux 6.18 `nf_conntrack_icmpv4_error`, `nf_conntrack_icmpv6_error`.
pub(crate) fn error_stage(segment: &Segment<'_>) -> ErrorStage {
    match (segment.datagram.family, segment.protocol) {
        (Family::Ipv4, protocol::ICMP) => {
            icmp_error(segment).unwrap_or_else(|reason| invalid(segment, reason))
        }
        (Family::Ipv6, protocol::ICMPV6) => {
            icmpv6_error(segment).unwrap_or_else(|reason| invalid(segment, reason))
        }
        _ => ErrorStage::Normal,
    }
}

fn invalid(segment: &Segment<'_>, reason: Reason) -> ErrorStage {
    let quoted_at = match (segment.datagram.family, segment.bytes) {
        (Family::Ipv4, [kind, ..]) if ERRORS.contains(kind) => HEADER,
        // A redirect is about something only if what it was caused by comes first of its options.
        (Family::Ipv6, [REDIRECT, 0, ..]) if quotes(segment) => REDIRECT_HEADER + HEADER,
        (Family::Ipv6, [..128, ..]) => HEADER,
        _ => {
            return ErrorStage::Invalid(
                reason,
                tuple(&segment.datagram, segment.protocol, segment.bytes).ok(),
            );
        }
    };
    ErrorStage::Invalid(reason, about(segment, quoted_at).ok())
}

fn icmp_error(segment: &Segment<'_>) -> Result<ErrorStage, Reason> {
    let length = segment.bytes.len() as u32;
    let &[kind, code, ..] = segment.bytes.first_chunk::<HEADER>().ok_or(Reason::IcmpTruncated { length })?;
    // The IP header is summed with it, so a message of zeroes alone is no sum of nothing, and right.
    let sum = checksum::sum(segment.bytes);
    if segment.verify && sum != 0 && !checksum::is_intact(sum) {
        return Err(Reason::IcmpChecksum {});
    }
    match kind {
        _ if kind > LAST_TYPE => Err(Reason::IcmpType { kind }),
        _ if ERRORS.contains(&kind) => Ok(ErrorStage::About { tuple: about(segment, HEADER)?, kind, code }),
        _ => Ok(ErrorStage::Normal),
    }
}

fn icmpv6_error(segment: &Segment<'_>) -> Result<ErrorStage, Reason> {
    let length = segment.bytes.len() as u32;
    let &[kind, code, ..] =
        segment.bytes.first_chunk::<HEADER>().ok_or(Reason::Icmpv6Truncated { length })?;
    if segment.verify && !checksum::is_transport_intact(&segment.datagram, protocol::ICMPV6, segment.bytes) {
        return Err(Reason::Icmpv6Checksum {});
    }
    match kind {
        _ if UNTRACKED_V6.contains(&kind) => Ok(ErrorStage::Untracked(Reason::Icmpv6Untracked { kind })),
        REDIRECT => redirect(segment, code),
        128.. => Ok(ErrorStage::Normal),
        _ => Ok(ErrorStage::About { tuple: about(segment, HEADER)?, kind, code }),
    }
}

/// Source: linux 6.18 `nf_conntrack_icmpv6_redirect`.
fn redirect(segment: &Segment<'_>, code: u8) -> Result<ErrorStage, Reason> {
    let length = segment.bytes.len();
    if length < REDIRECT_HEADER {
        return Err(Reason::Icmpv6RedirectShort { length: length as u32 });
    }
    if code != 0 {
        return Ok(ErrorStage::Normal);
    }
    let (hop_limit, (src, _)) = (segment.datagram.hop_limit(), segment.datagram.addresses());
    let is_link_local = src.hi >> 54 == 0xfe80 >> 6;
    if hop_limit != 255 || !is_link_local {
        return Err(Reason::Icmpv6Redirect { hop_limit });
    }
    match segment.bytes[REDIRECT_HEADER..] {
        [] | [_] | [_, 0, ..] => Err(Reason::Icmpv6RedirectOptions {}),
        [OPTION_REDIRECTED, ..] => {
            let tuple = about(segment, REDIRECT_HEADER + HEADER)?;
            Ok(ErrorStage::About { tuple, kind: REDIRECT, code })
        }
        _ => Ok(ErrorStage::Normal),
    }
}

fn quotes(redirect: &Segment<'_>) -> bool {
    redirect.bytes.get(REDIRECT_HEADER) == Some(&OPTION_REDIRECTED)
}

/// The tuple of what an error quotes, turned round: so it is the one that packets have which travel as the error does.
///
/// Source: linux 6.18 `nf_conntrack_inet_error`.
fn about(segment: &Segment<'_>, quoted_at: usize) -> Result<Tuple, Reason> {
    let quoted = segment.bytes.get(quoted_at..).unwrap_or_default();
    let short = Reason::IcmpInnerShort { length: quoted.len() as u32 };
    let inner = Datagram::quoted(segment.datagram.family, quoted).ok_or(short)?;
    let part = transport(&inner).map_err(|_| short)?;
    let quoted = tuple(&inner, part.protocol, inner.from(part.offset)).map_err(|_| short)?;
    quoted.invert().ok_or(Reason::IcmpInnerNoInverse {})
}

/// IPv4: the type that opened the entry is asked about at every packet.
pub(super) fn track(conn: &Conn, segment: &Segment<'_>, rules: &Rules, why: &mut Reason) -> Decision {
    if !is_family(segment, Family::Ipv4) {
        return Decision::Invalid.because(why, Reason::IcmpFamily { protocol: segment.protocol });
    }
    let opened_by = conn.tuples[0].icmp_type();
    if !is_query(protocol::ICMP, opened_by) {
        return Decision::Invalid.because(why, Reason::IcmpNewInvalid { kind: opened_by });
    }
    let (kind, id) = (segment.bytes[0], conn.tuples[0].src_id);
    let reason = if is_query(protocol::ICMP, kind) {
        Reason::IcmpQuery { kind, id }
    } else {
        Reason::IcmpReply { kind, id }
    };
    Decision::renew(conn, rules.profile.switches.icmp_renews, rules.timeout(Knob::Icmp)).because(why, reason)
}

/// IPv6: the type is asked about only at the first packet.
pub(super) fn track_v6(conn: &Conn, segment: &Segment<'_>, rules: &Rules, why: &mut Reason) -> Decision {
    if !is_family(segment, Family::Ipv6) {
        return Decision::Invalid.because(why, Reason::IcmpFamily { protocol: segment.protocol });
    }
    let opened_by = conn.tuples[0].icmp_type();
    if !conn.is_confirmed() && !is_query(protocol::ICMPV6, opened_by) {
        return Decision::Invalid.because(why, Reason::Icmpv6NewInvalid { kind: opened_by });
    }
    let (kind, id) = (segment.bytes[0], conn.tuples[0].src_id);
    let reason = if is_query(protocol::ICMPV6, kind) {
        Reason::Icmpv6Query { kind, id }
    } else {
        Reason::Icmpv6Reply { kind, id }
    };
    Decision::renew(conn, rules.profile.switches.icmpv6_renews, rules.timeout(Knob::Icmpv6))
        .because(why, reason)
}
