//! Cables: what they are like, and what goes wrong on them.

use conntruth_sim::Chance;
use conntruth_sim::link::{Fault, Way, What, When};
use conntruth_sim::packet::protocol as number;

use super::host_name;
use crate::language::ast::Span;
use crate::language::ast::host::{Cable, CableWord, fault};
use crate::language::message::{Message, Parse};
use crate::language::parse::cursor::{Cursor, parse_number};
use crate::language::parse::{Reader, tcp};

const INTERFACES: &[(&str, &str)] =
    &[("inside", "inside"), ("outside", "outside"), ("dmz", "dmz"), ("front", "front"), ("behind", "behind")];
const CABLE_WORDS: &[&str] = &[
    "latency",
    "jitter",
    "bandwidth",
    "queue",
    "mtu",
    "lose",
    "corrupt",
    "truncate",
    "duplicate",
    "delay",
    "reorder",
    "cut",
    "restore",
];

impl Reader<'_> {
    /// `link client latency 20ms lose 5% up`
    pub(in crate::language::parse) fn cable(&self, cursor: &mut Cursor<'_>, span: Span) -> Parse<Cable> {
        let host = host_name(cursor, &self.names)?;
        let interface = cursor.eat_from(INTERFACES);
        let mut words = Vec::new();
        while !cursor.is_at_end() {
            words.push(cable_word(cursor)?);
        }
        if words.is_empty() {
            return cursor.unexpected("what the cable is like, such as `latency 20ms`", []).fail();
        }
        Ok(Cable { host, interface, words, span })
    }
}

fn cable_word(cursor: &mut Cursor<'_>) -> Parse<CableWord> {
    let start = cursor.here();
    let word = cursor.peek_word().unwrap_or("");
    if !CABLE_WORDS.contains(&word) {
        return cursor
            .unexpected("what the cable is like, or what goes wrong on it", CABLE_WORDS.iter().copied())
            .fail();
    }
    cursor.next();
    let what = match word {
        "latency" => return Ok(CableWord::Latency(cursor.length("the latency")?.value)),
        "jitter" => return Ok(CableWord::Jitter(cursor.length("the jitter")?.value)),
        "bandwidth" => return bandwidth(cursor),
        "queue" => return Ok(CableWord::Queue(cursor.number("the queue in bytes", 1..=1 << 40)?.value)),
        "mtu" => return Ok(CableWord::Mtu(cursor.number("the MTU", 68..=65_535)?.value)),
        "cut" => return Ok(CableWord::Cut(moment(cursor)?)),
        "restore" => return Ok(CableWord::Restore(moment(cursor)?)),
        "lose" => What::Lose,
        "truncate" => {
            What::Truncate { length: cursor.number("the length that is left", 0..=65_535)?.value as usize }
        }
        "corrupt" if cursor.eat("byte").is_some() => {
            What::Corrupt { at: Some(cursor.number("the byte", 0..=65_535)?.value as usize) }
        }
        "corrupt" => What::Corrupt { at: None },
        "duplicate" if cursor.eat("after").is_some() => What::Duplicate { after: nanos(cursor)? },
        "duplicate" => What::Duplicate { after: 0 },
        _ => {
            if cursor.eat("by").is_none() {
                return cursor.unexpected("`by` and how long: `delay by 50ms`", ["by"]).fail();
            }
            What::Delay { by: nanos(cursor)? }
        }
    };
    let mut rule = fault(what);
    when(cursor, &mut rule)?;
    while !cursor.is_at_end() && filter(cursor, &mut rule)? {}
    match rule.check() {
        Ok(()) => Ok(CableWord::Fault(rule)),
        Err(error) => Message::new(error.to_string(), start.to(cursor.before())).fail(),
    }
}

/// `at 1h`
fn moment(cursor: &mut Cursor<'_>) -> Parse<Option<crate::language::ast::Length>> {
    match cursor.eat("at") {
        Some(_) => Ok(Some(cursor.length("when")?.value)),
        None => Ok(None),
    }
}

fn nanos(cursor: &mut Cursor<'_>) -> Parse<u64> {
    Ok(cursor.length("how long")?.value.nanos)
}

/// `10Mbit`, `64kbit`, `9600bit`
fn bandwidth(cursor: &mut Cursor<'_>) -> Parse<CableWord> {
    let name = cursor.word("the bandwidth, such as `10Mbit`")?;
    let units = [("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000), ("bit", 1)];
    let found = units.iter().find_map(|(unit, factor)| {
        let number = parse_number(name.value.strip_suffix(unit)?)??;
        number.checked_mul(*factor)
    });
    match found.filter(|&bits| bits > 0) {
        Some(bits) => Ok(CableWord::Bandwidth(bits)),
        None => Message::new(format!("`{}` is no bandwidth", name.value), name.span)
            .label("expected one such as `10Mbit` or `64kbit`")
            .fail(),
    }
}

/// `5%`, `packet 3,4`, `every 10`, `bursts 1% 30%`, `from 1s until 3s`, `all`
fn when(cursor: &mut Cursor<'_>, rule: &mut Fault) -> Parse<()> {
    if cursor.peek_word().is_some_and(|word| word.ends_with('%')) {
        rule.when = When::Chance(chance(cursor)?);
    } else if cursor.eat("packet").is_some() || cursor.eat("packets").is_some() {
        let mut numbers = vec![cursor.number("the packet", 0..=u64::MAX)?.value];
        while cursor.eat_mark(',').is_some() {
            numbers.push(cursor.number("the packet", 0..=u64::MAX)?.value);
        }
        rule.when = When::Numbers(numbers);
    } else if cursor.eat("every").is_some() {
        rule.when = When::Every(cursor.number("every so-manieth packet", 0..=u64::MAX)?.value);
    } else if cursor.eat("bursts").is_some() {
        rule.when = When::Burst { begins: chance(cursor)?, ends: chance(cursor)? };
    } else if cursor.eat("from").is_some() {
        let from = nanos(cursor)?;
        if cursor.eat("until").is_none() {
            return cursor.unexpected("`until` and when it ends", ["until"]).fail();
        }
        rule.when = When::Between { from, until: nanos(cursor)? };
    } else {
        cursor.eat("all");
    }
    Ok(())
}

/// `5%`, `0.1%`
fn chance(cursor: &mut Cursor<'_>) -> Parse<Chance> {
    let name = cursor.word("how likely, such as `5%`")?;
    let percent =
        name.value.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let millionths = percent.and_then(|digits| {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let part: u32 = format!("{fraction:0<4}").parse().ok().filter(|_| fraction.len() <= 4)?;
        whole.parse::<u32>().ok()?.checked_mul(10_000)?.checked_add(part)
    });
    match millionths.and_then(Chance::in_a_million) {
        Some(chance) => Ok(chance),
        None => Message::new(format!("`{}` is no chance", name.value), name.span)
            .label("expected `0%` to `100%`, at most four digits after the point")
            .fail(),
    }
}

/// A word that says which packets a fault is about; whether there was one.
fn filter(cursor: &mut Cursor<'_>, rule: &mut Fault) -> Parse<bool> {
    const WAYS: &[(&str, Way)] = &[("up", Way::Up), ("down", Way::Down)];
    const PROTOCOLS: &[(&str, u8)] =
        &[("tcp", number::TCP), ("udp", number::UDP), ("icmp", number::ICMP), ("icmpv6", number::ICMPV6)];
    if let Some(way) = cursor.eat_from(WAYS) {
        rule.way = Some(way.value);
    } else if let Some(protocol) = cursor.eat_from(PROTOCOLS) {
        rule.only.protocol = Some(protocol.value);
    } else if cursor.eat("port").is_some() {
        rule.only.port = Some(cursor.fit("the port", 65_535)?);
    } else if cursor.eat("flags").is_some() {
        rule.only.flags_set = flags(cursor)?;
    } else if cursor.eat("without").is_some() {
        rule.only.flags_clear = flags(cursor)?;
    } else if cursor.eat("data").is_some() {
        rule.only.data = Some(true);
    } else if cursor.eat("bare").is_some() {
        rule.only.data = Some(false);
    } else if cursor.eat("longer").is_some() {
        rule.only.longer_than = Some(cursor.number("the length", 0..=65_535)?.value as usize);
    } else if cursor.peek_word().is_some_and(|word| CABLE_WORDS.contains(&word)) {
        return Ok(false);
    } else {
        let known =
            ["up", "down", "tcp", "udp", "icmp", "port", "flags", "without", "data", "bare", "longer"];
        return cursor
            .unexpected("which packets: `up`, `down`, `tcp`, `port N`, `flags S`, `data`, ...", known)
            .fail();
    }
    Ok(true)
}

fn flags(cursor: &mut Cursor<'_>) -> Parse<u8> {
    let name = cursor.word("flags, such as `S.`")?;
    match tcp::bits(&name.value) {
        Some(bits) => Ok(bits),
        None => Message::new(format!("`{}` are no flags", name.value), name.span)
            .label("expected letters of `SFRP.UEW`")
            .fail(),
    }
}
