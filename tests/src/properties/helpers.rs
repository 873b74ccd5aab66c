//! Helpers: control connections whose words are nearly right, and what they announce.

use std::collections::BTreeSet;
use std::fmt::Write;

use conntruth::generate::Traffic;
use conntruth::language;
use conntruth::target::Reference;
use conntruth_engine::LINUX_6_18;

/// A helper, the flow that it reads, and what is said there when it is right: `>` from the client, `<` from the server.
struct Speech {
    helper: &'static str,
    flow: &'static str,
    opened: bool,
    lines: &'static [&'static str],
}

const FTP: Speech = Speech {
    helper: "ftp tcp 21",
    flow: "tcp client:40000 > server:21",
    opened: true,
    lines: &[
        "> PORT 10,0,0,1,16,146\\r\\n",
        "< 227 Entering Passive Mode (10,0,1,1,16,147)\\r\\n",
        "> EPRT |1|10.0.0.1|4244|\\r\\n",
        "< 229 Entering Extended Passive Mode (|||4245|)\\r\\n",
        "> USER a\\r\\n",
        "< 220 hello\\r\\n",
        "> PORT 10,0,0,1,",
        "< 227 =10,0,1,1,0,20",
    ],
};

const IRC: Speech = Speech {
    helper: "irc tcp 6667",
    flow: "tcp client:40000 > server:6667",
    opened: true,
    lines: &[
        "> PRIVMSG bob :\\x01DCC CHAT chat 167772161 4242\\x01\\r\\n",
        "> \\x01DCC SEND file 167772161 4243 99\\x01\\n",
        "> PRIVMSG bob :\\x01DCC TSEND ",
        "< :server 001\\r\\n",
    ],
};

const TFTP: Speech = Speech {
    helper: "tftp udp 69",
    flow: "udp client:40000 > server:69",
    opened: false,
    lines: &[
        "> \\x00\\x01file\\x00octet\\x00",
        "> \\x00\\x02file\\x00octet\\x00",
        "< \\x00\\x05\\x00\\x01no\\x00",
    ],
};

/// What bytes mean as a story of a helper: its words, parts of them, any other bytes, time, ends, and those that were
/// announced.
fn story(speech: &Speech, mut bytes: &[u8]) -> String {
    let mut text = format!("helper {}\nflow ctl {}\n", speech.helper, speech.flow);
    text.push_str("flow data tcp server:20 > client:4242\nflow tftp udp server:4000 > client:40000\n\n");
    text.push_str(if speech.opened { "ctl opened\n" } else { "data > S\n" });
    let verb = if speech.opened { "P. " } else { "" };
    let mut steps = 0;
    while let [kind, detail, rest @ ..] = bytes
        && steps < 24
    {
        bytes = rest;
        steps += 1;
        let _ = match kind % 16 {
            0..6 => {
                let line = speech.lines[usize::from(*detail) % speech.lines.len()];
                let (way, said) = line.split_at(2);
                writeln!(text, "ctl {way}{verb}\"{said}\"")
            }
            6..10 => {
                let (payload, rest) = bytes.split_at(bytes.len().min(usize::from(detail % 48)));
                bytes = rest;
                let said: String = payload.iter().map(|byte| format!("\\x{byte:02x}")).collect();
                let way = if kind & 1 == 0 { '>' } else { '<' };
                writeln!(text, "ctl {way} {verb}\"{said}\"")
            }
            10 => writeln!(text, "data > S"),
            11 => writeln!(text, "tftp > (4)"),
            12 => writeln!(text, "+{detail}s"),
            13 if speech.opened => writeln!(text, "ctl > R"),
            14 if speech.opened => writeln!(text, "ctl < F."),
            _ => writeln!(text, "set expect_max {}", u32::from(*detail % 4) + 1),
        };
    }
    text
}

fn check(speech: &Speech, bytes: &[u8]) {
    let text = story(speech, bytes);
    let script = language::read("helper", &text).unwrap_or_else(|messages| panic!("{messages}\n{text}"));
    let Some(traffic) = script.stories.first().and_then(|story| Traffic::of(story.clone())) else {
        panic!("it cannot be built:\n{text}")
    };
    let mut most = 0;
    let ended = traffic.run(&mut Reference::new(&LINUX_6_18), |reference, _, _| {
        let engine = reference.engine();
        let mut count = 0;
        for expected in engine.expectations() {
            count += 1;
            let master = engine.conn(expected.master);
            assert!(master.is_some(), "{expected} has outlived its master\n{text}");
            assert!(expected.deadline > engine.now(), "{expected} is over\n{text}");
        }
        let mut dead = BTreeSet::new();
        for conn in engine.conns() {
            assert_eq!(conn.original.invert(), Some(conn.reply), "{text}");
            dead.extend(conn.master.filter(|master| engine.conn(*master).is_none()).map(|id| id.number()));
        }
        // Those that are gone and held by their children still take a place, and nothing else does.
        assert_eq!(engine.counted(), engine.len() + dead.len(), "{text}");
        most = most.max(count);
        assert!(count <= 16, "{count} expectations\n{text}");
    });
    assert_eq!(ended, Ok(()), "{text}");
}

/// FTP's payload, both ways.
pub fn ftp(bytes: &[u8]) {
    check(&FTP, bytes);
}

/// IRC's payload.
pub fn irc(bytes: &[u8]) {
    check(&IRC, bytes);
}

/// TFTP's payload.
pub fn tftp(bytes: &[u8]) {
    check(&TFTP, bytes);
}

/// Expectations are there only while their masters are.
pub fn expectations_have_masters(bytes: &[u8]) {
    match bytes.split_first() {
        Some((first, rest)) if first % 4 == 0 => irc(rest),
        Some((first, rest)) if first % 4 == 1 => tftp(rest),
        _ => ftp(bytes),
    }
}
