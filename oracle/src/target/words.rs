//! What the kernel says of a packet (`nf_conntrack_log_invalid`) for each of our reasons, and which of our numbers its
//! sentence must bear. Recorded from what Linux 6.18 logs; a reason that has no row is one of which it says nothing.

use conntruth_engine::{Reason, SctpState, Segment};

/// What is said for one reason.
struct Row {
    slug: &'static str,
    /// The sentence: `{bound}` is our number of that name, `{state}` our word, `{segment#}` the kernel's number for the
    /// word, `{tag^}` the number as it lies in memory (low byte first) in hexadecimal, `*` anything.
    words: &'static str,
    /// Not always: what decides is no number of the reason's.
    sometimes: bool,
}

const fn row(slug: &'static str, words: &'static str) -> Row {
    Row { slug, words, sometimes: false }
}

#[rustfmt::skip]
const WORDS: &[Row] = &[
    row("tcp-data-offset", "truncated packet"),
    row("tcp-checksum", "bad checksum"),
    row("tcp-flags", "invalid tcp flag combination"),
    row("tcp-new-invalid", "invalid new"),
    row("tcp-state", "packet (index {segment#}) in dir {direction#} invalid, state {state}"),
    row("tcp-ignored", "packet (index {segment#}) in dir * ignored, state {state}"),
    row("tcp-challenge-ack", "challenge-ack ignored"),
    row("tcp-rst-stale", "invalid rst"),
    row("tcp-seq-over", "SEQ is over upper bound {bound} (over the window of the receiver)"),
    row("tcp-ack-over", "ACK is over upper bound {bound} (ACKed data not seen yet)"),
    row("tcp-seq-under", "SEQ is under lower bound {bound} (already ACKed data retransmitted)"),
    row("tcp-ack-under", "ignored ACK under lower bound {bound} (possible overly delayed)"),
    row("tcp-overshoot", "{overshot} bytes more than expected"),
    row("udp-truncated", "short packet"),
    row("udp-length", "truncated/malformed packet"),
    row("udp-checksum", "bad checksum"),
    row("udplite-truncated", "short packet"),
    row("udplite-coverage", "invalid checksum coverage"),
    row("udplite-no-checksum", "checksum missing"),
    row("udplite-checksum", "bad checksum"),
    row("icmp-truncated", "short packet"),
    row("icmp-checksum", "bad hw icmp checksum"),
    row("icmp-type", "invalid icmp type"),
    row("icmp-wrong-target", "outer daddr * != inner *"),
    row("icmpv6-truncated", "short packet"),
    row("icmpv6-checksum", "ICMPv6 checksum failed"),
    row("icmpv6-redirect", "invalid saddr or hoplimit for redirect"),
    row("icmpv6-redirect-short", "short redirect"),
    row("sctp-truncated", "nf_ct_sctp: short packet"),
    row("sctp-checksum", "nf_ct_sctp: bad CRC"),
    row("sctp-chunks", "do_basic_checks failed. chunk num *, type {kind}, len * flag *"),
    row("sctp-state", "Invalid, old_state {state#}, dir {direction#}, type {kind}"),
    row("ftp-partial", "nf_ct_ftp: dropping packet: partial matching of `{command}*'"),
    row("expect-already", "nf_ct_*: dropping packet: cannot add expectation"),
    row("expect-no-port", "nf_ct_*: dropping packet: all ports in use"),
    row("nat-payload", "nf_ct_*: dropping packet: cannot mangle packet"),
    row("expect-busy", "nf_ct_*: dropping packet: cannot add expectation"),
    row("expect-full", "nf_ct_*: dropping packet: cannot add expectation"),
    // Chunks with a rule of their own for the tag are refused in silence.
    Row { sometimes: true, ..row("sctp-tag", "verification tag check failed {tag^} vs {expected^} for dir *") },
];

/// What is said, after the reason itself, when two ends outside the window have made it likely that the connection is
/// over and its timeout is lowered: of two sentences the later one is heard.
const LOWERED: &str = "packet (index *, dir *) response for index * lower timeout to *";
const MAY_LOWER: [&str; 2] = ["tcp-seq-over", "tcp-ack-over"];

/// Whether the kernel's words say what our reason says.
///
/// # Errors
/// What it should have said.
pub(crate) fn agree(reason: &Reason, said: Option<&str>) -> Result<(), String> {
    let numbers = reason.numbers();
    let find =
        |name: &str| numbers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_string());
    // The tracker had its say before the packet could not be translated, and of that we do not know the reason any more.
    const UNKNOWN: [&str; 4] = ["nat-header", "nat-error", "nat-no-address", "nat-interface"];
    if UNKNOWN.contains(&reason.slug()) && said.is_some_and(|said| said.starts_with("nf_ct_proto_")) {
        return Ok(());
    }
    match expected(reason.slug(), &find, said) {
        Some(holds) => holds,
        None if said.is_none() => Ok(()),
        None => Err("the kernel says nothing".to_owned()),
    }
}

/// Whether the kernel's words are those for the reason of this name, with the numbers that are claimed of it; none where it
/// has no words for that reason.
pub(crate) fn say(slug: &str, numbers: &[(&str, &str)], said: Option<&str>) -> Option<Result<(), String>> {
    let find =
        |name: &str| numbers.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
    expected(slug, &find, said)
}

fn expected(
    slug: &str,
    number: &dyn Fn(&str) -> Option<String>,
    said: Option<&str>,
) -> Option<Result<(), String>> {
    let row = WORDS.iter().find(|row| row.slug == slug)?;
    let expected = sentence(row.words, number);
    // `nf_ct_proto_6: ` stands before all of it.
    let said = said.map(|said| match said.split_once(": ") {
        Some((who, what)) if who.starts_with("nf_ct_proto_") => what,
        _ => said,
    });
    let holds = said.map_or(row.sometimes, |said| {
        fits(&expected, said) || MAY_LOWER.contains(&slug) && fits(LOWERED, said)
    });
    Some(if holds { Ok(()) } else { Err(format!("the kernel's words are \"{expected}\"")) })
}

/// The sentence with numbers in it, `*` where there is none.
fn sentence(words: &str, number: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = number(name.trim_end_matches(['#', '^']));
        text.push_str(before);
        text.push_str(&value.and_then(|value| written(name, value)).unwrap_or_else(|| "*".to_owned()));
        rest = after;
    }
    text + rest
}

/// A number or word as the kernel writes it.
fn written(name: &str, value: String) -> Option<String> {
    match (name.as_bytes().last(), value.parse::<u32>()) {
        (Some(b'#'), Err(_)) => index(&value).map(|index| index.to_string()),
        (Some(b'^'), Ok(number)) => Some(format!("{:x}", number.swap_bytes())),
        _ => Some(value),
    }
}

/// The kernel's number for a word.
fn index(word: &str) -> Option<usize> {
    let direction = ["original", "reply"].iter().position(|known| *known == word);
    let segment = || Segment::ALL.iter().position(|segment| segment.word() == word);
    let state = || SctpState::ALL.iter().position(|state| state.word() == word);
    direction.or_else(segment).or_else(state)
}

/// Whether a text is a pattern's, in which `*` is anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use conntruth_engine::{Direction, TcpState};

    use super::*;

    #[test]
    fn every_row_is_of_a_reason_and_names_its_numbers() {
        for row in WORDS {
            let info = Reason::ALL.iter().find(|info| info.slug == row.slug).expect(row.slug);
            for part in row.words.split('{').skip(1) {
                let name = part.split('}').next().unwrap_or_default().trim_end_matches(['#', '^']);
                assert!(info.numbers.contains(&name), "{}: {name}", row.slug);
            }
        }
    }

    #[test]
    fn numbers_are_compared_and_silence_too() {
        let over = Reason::TcpSeqOver { seq: 9000, end: 9000, bound: 8294, overshot: 707 };
        let said = "nf_ct_proto_6: SEQ is over upper bound 8294 (over the window of the receiver)";
        assert_eq!(agree(&over, Some(said)), Ok(()));
        assert!(agree(&over, Some(&said.replace("8294", "8295"))).is_err());
        assert!(agree(&over, Some("nf_ct_proto_6: bad checksum")).is_err() && agree(&over, None).is_err());
        let lowered = "nf_ct_proto_6: packet (index 2, dir 1) response for index 4 lower timeout to 75000";
        assert_eq!(agree(&over, Some(lowered)), Ok(()));
        let state = Reason::TcpStateInvalid {
            state: TcpState::SynSent2,
            segment: Segment::Ack,
            direction: Direction::Original,
        };
        assert_eq!(
            agree(&state, Some("nf_ct_proto_6: packet (index 3) in dir 0 invalid, state SYN_SENT2")),
            Ok(())
        );
        assert!(
            agree(&state, Some("nf_ct_proto_6: packet (index 3) in dir 1 invalid, state SYN_SENT2")).is_err()
        );
        let tag = Reason::SctpTag { tag: 77, expected: 1000 };
        let said = "nf_ct_proto_132: verification tag check failed 4d000000 vs e8030000 for dir 1";
        assert_eq!((agree(&tag, Some(said)), agree(&tag, None)), (Ok(()), Ok(())));
        assert_eq!(agree(&Reason::Generic { protocol: 8 }, None), Ok(()));
        assert!(agree(&Reason::Generic { protocol: 8 }, Some("anything")).is_err());
    }
}
