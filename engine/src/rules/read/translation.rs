//! Reading what translates: `snat ip to 10.0.1.254:1024-2047 random`, `dnat to [fd00::1]:80`, `masquerade`, `redirect
//! to :8080`.

use std::net::IpAddr;

use super::cursor::Cursor;
use super::{Read, error};
use crate::nat::Range;
use crate::rules::statement::{Translation, Translator};
use crate::tuple::{Addr, Family};

/// The flags, and what each does.
const FLAGS: &[(&str, Flag)] = &[
    ("random", Flag::Random),
    // The same since linux 6.x's search: net/netfilter/nf_nat_core.c `NF_NAT_RANGE_PROTO_RANDOM_ALL`.
    ("fully-random", Flag::Random),
    ("persistent", Flag::Persistent),
];

#[derive(Clone, Copy)]
enum Flag {
    Random,
    Persistent,
}

/// The rest of a statement, behind its first word.
pub(super) fn translation(cursor: &mut Cursor<'_>, by: Translator) -> Read<Translation> {
    let takes_address = matches!(by, Translator::Source | Translator::Destination);
    let mut said = None;
    if takes_address {
        for (word, family) in [("ip", Family::Ipv4), ("ip6", Family::Ipv6)] {
            if cursor.eat(word) {
                said = Some(family);
            }
        }
    }
    let (mut family, mut range) = (None, Range::default());
    if cursor.eat("to") {
        (family, range) = target(cursor, takes_address, said)?;
    } else if takes_address {
        return Err(cursor.unexpected("`to` and an address: `to 10.0.1.254`", ["to"]));
    }
    if cursor.peek_word().is_some_and(|word| FLAGS.iter().any(|(flag, _)| *flag == word)) {
        loop {
            match cursor.word_from(FLAGS, "`random`, `fully-random` or `persistent`")? {
                Flag::Random => range.random = true,
                Flag::Persistent => range.persistent = true,
            }
            if !cursor.eat_mark(",") {
                break;
            }
        }
    }
    Ok(Translation { by, family, range })
}

/// Addresses and ports in one word: `10.0.1.1-10.0.1.9:80-90`, `[fd00::1]-[fd00::9]:80`, `:80`.
fn target(
    cursor: &mut Cursor<'_>,
    takes_address: bool,
    said: Option<Family>,
) -> Read<(Option<Family>, Range)> {
    let expected = match (takes_address, said) {
        (false, _) => "a port or a range of them: `:8080`, `:1024-2047`",
        (true, Some(Family::Ipv4)) => "an IPv4 address, with a port or without: `10.0.1.1`, `10.0.1.1:80-90`",
        (true, Some(Family::Ipv6)) => "an IPv6 address, with a port or without: `fd00::1`, `[fd00::1]:80`",
        (true, None) => "an address, with a port or without: `10.0.1.1`, `10.0.1.1:80-90`, `[fd00::1]:80`",
    };
    let Some(word) = cursor.peek_word() else { return Err(cursor.unexpected(expected, [])) };
    let (addresses, ports) = match split(word) {
        Some((_, None)) if !takes_address => return Err(cursor.unexpected(expected, [])),
        Some((addresses, ports)) => (addresses, ports),
        None => return Err(cursor.unexpected(expected, [])),
    };
    if addresses.is_empty() && said.is_some() {
        return Err(cursor.unexpected(expected, []));
    }
    if !addresses.is_empty() && !takes_address {
        return Err(error("this takes no address: it is the host's own", cursor.here(), expected.to_owned()));
    }
    let addresses = match addresses {
        "" => None,
        text => Some(
            range(text, |text| unbracketed(text).parse::<IpAddr>().ok())
                .ok_or_else(|| cursor.unexpected(expected, []))?,
        ),
    };
    let families = addresses.map(|(first, last)| (family(first), family(last)));
    match families {
        Some((first, last)) if first != last => {
            let title = "one end of this range is IPv4, the other IPv6";
            return Err(error(title, cursor.here(), "both of one family".to_owned()));
        }
        Some((first, _)) if said.is_some_and(|said| said != first) => {
            let title = "the address is not of the family that is said before it";
            return Err(error(title, cursor.here(), expected.to_owned()));
        }
        _ => {}
    }
    let ports = match ports {
        None => None,
        Some(text) => Some(
            range(text, |text| text.parse::<u16>().ok())
                .ok_or_else(|| cursor.unexpected("a port, or a range of ports: `80`, `1024-2047`", []))?,
        ),
    };
    let addresses = addresses.map(|(first, last)| (Addr::from(first), Addr::from(last)));
    let is_backwards = addresses.is_some_and(|(first, last)| first > last)
        || ports.is_some_and(|(first, last)| first > last);
    if is_backwards {
        let expected = "the smaller value first".to_owned();
        return Err(error("this range ends before it begins", cursor.here(), expected));
    }
    let range = Range { addresses, ports, ..Range::default() };
    Ok(cursor.then((families.map(|(family, _)| family), range)))
}

/// Addresses and ports of a word. An IPv6 address that ports follow stands in brackets.
fn split(word: &str) -> Option<(&str, Option<&str>)> {
    if let Some(ports) = word.strip_prefix(':').filter(|rest| !rest.starts_with(':')) {
        return Some(("", Some(ports)));
    }
    if word.starts_with('[') {
        let end = word.rfind(']')? + 1;
        return match word[end..].strip_prefix(':') {
            Some(ports) => Some((&word[..end], Some(ports))),
            None => word[end..].is_empty().then_some((word, None)),
        };
    }
    match word.split_once(':') {
        Some((addresses, ports)) if addresses.contains('.') => Some((addresses, Some(ports))),
        _ => Some((word, None)),
    }
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

fn range<T: Copy>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<(T, T)> {
    if let Some(one) = read(text) {
        return Some((one, one));
    }
    let (first, last) = text.split_once('-')?;
    Some((read(first)?, read(last)?))
}

fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}
