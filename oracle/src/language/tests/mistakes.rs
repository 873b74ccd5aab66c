//! Typical mistakes, and what their author is told. Each snapshot is to be read with tired eyes.

use crate::language::read;

const FLOW: &str = "flow tcp client:40000 > server:80\n";

/// Name of the mistake, the file. `+` lines follow [`FLOW`].
const MISTAKES: &[(&str, &str)] = &[
    ("word that is no class", "@+0      > S   = establishd SYN_SENT"),
    ("class in capitals", "@+0      > S   = NEW SYN_SENT 120s"),
    ("unknown state", "@+0      > S   = new SYN_SEND 120s"),
    ("flag without brackets", "@+0      > S   = new SYN_SENT UNREPLIED"),
    ("unknown flag", "@+0      > S   = new SYN_SENT 120s [UNREPLYED]"),
    ("bracket not closed", "@+0      > S   = new [UNREPLIED"),
    ("timeout without a unit", "@+0      > S   = new SYN_SENT 120"),
    ("unknown unit", "@+0      > S   = new SYN_SENT 120sec"),
    ("minutes as m", "@+5m     > S"),
    ("unknown reason", "@+0      > S   = invalid because tcp-seq-overr"),
    ("unknown number of a reason", "@+0      > S   = invalid because tcp-seq-over sequence=5"),
    ("part said twice", "@+0      > S   = new new"),
    ("equals and nothing", "@+0      > S   ="),
    ("claim without a packet", "@        = new SYN_SENT"),
    ("claim under a check", "@+0      > S\ntable (empty)\n        = new"),
    ("more claims than packets", "@+0      > S   = new, established"),
    ("unknown change", "@+0      > S   = new event update asured+reply"),
    ("unknown status bit", "@+0      > S   = new status SEENREPLY"),
    ("unknown sysctl", "@set tcp_losse 0\n+0 > S"),
    ("sysctl out of range", "@set tcp_loose 5\n+0 > S"),
    ("sysctl without a value", "@set tcp_loose\n+0 > S"),
    ("sysctl in half seconds", "@set tcp_timeout_close 1.5s\n+0 > S"),
    ("no flow", "+0 > S"),
    ("several flows, none named", "flow a tcp client:1 > server:2\nflow b tcp client:2 > server:2\n+0 > S"),
    ("several flows, one without a name", "@flow b tcp client:2 > server:2\n+0 b > S"),
    ("unknown flow", "flow web tcp client:1 > server:2\n+0 wbe > S"),
    ("unknown host", "+0 cleint:1 > server:2 tcp S"),
    ("flow name used twice", "flow a tcp client:1 > server:2\nflow a udp client:2 > server:2\n+0 a > S"),
    ("flow named as a word", "flow table tcp client:1 > server:2\n+0 > S"),
    ("protocol misspelt", "flow tpc client:1 > server:2\n+0 > S"),
    ("flow without a port", "flow tcp client > server:2\n+0 > S"),
    ("port too large", "flow tcp client:70000 > server:2\n+0 > S"),
    ("address that is none", "host ann 10.0.0.300\n+0 ann:1 > server:2 tcp S"),
    ("flow after the first step", "@+0 > S\nflow b udp client:1 > server:2"),
    ("no flags", "@+0 > win 100"),
    ("ACK as a letter", "@+0 > SA"),
    ("flags spelt out", "@+0 > SYN"),
    ("which way", "@S"),
    ("waiting in words", "@+0 > S\nwait 5s"),
    ("bare length", "flow udp client:1 > server:2\n+0 > 100"),
    ("bare words", "flow udp client:1 > server:2\n+0 > hello"),
    ("flags in small letters", "@+0 > s."),
    ("unknown field of a segment", "@+0 > S window 100"),
    ("window too large", "@+0 > S win 70000"),
    ("field twice", "@+0 > S win 1 win 2"),
    ("range that does not fit", "@+0 > P. 1:1461(1000)"),
    ("no sequence number", "@+0 > . seq nxt+1"),
    ("unknown option", "@+0 > S <mss 1460,sackok>"),
    ("options not closed", "@+0 > S <mss 1460"),
    ("half a byte", "@+0 > P. hex 0f1"),
    ("payload and hex", "@+0 > P. (10) hex 00"),
    ("quote not closed", "@+0 > P. \"GET /"),
    ("unknown escape", "@+0 > P. \"a\\q\""),
    ("whole packet as hex", "+0 client > server hex 45 00"),
    ("no protocol", "+0 client:1 > server:2 S"),
    ("ports of ICMP", "+0 client:1 > server:2 icmp echo request"),
    ("no port of UDP", "+0 client > server udp (4)"),
    ("sender to the right", "+0 client:1 < server:2 udp (4)"),
    ("which ICMP message", "+0 client > server icmp (4)"),
    ("which unreachable", "+0 client > server icmp unreachable (4)"),
    ("unknown ICMP code", "+0 client > server icmp unreachable prot"),
    ("unknown label", "@A: +0 > S\n+0 server > client icmp unreachable port quote B"),
    ("label that comes later", "@+0 server > client icmp unreachable port quote A\nA: +0 > S"),
    ("label twice", "@A: +0 > S\nA: +0 > S"),
    ("time without a plus", "@10ms > S"),
    ("too many times", "@999999999x > S"),
    ("fragment ends before it begins", "@+0 > P. (100) fragment 80..40"),
    ("cut twice", "@+0 > P. (100) cut 10 fragments 8"),
    ("unknown hook", "@+0 > S lost in forwad"),
    ("lost and waiting", "@A: +0 > S lost waits in forward"),
    ("waits without a label", "@+0 > S waits in forward"),
    ("several that wait", "@A: +0 > P. (100) fragments 40 waits"),
    ("hidden and waiting", "@hidden\n    A: > S waits\n+0 A goes on"),
    ("goes on without having waited", "@A: +0 > S\n+0 A goes on"),
    ("goes on twice", "@A: +0 > S waits\n+0 A goes on\n+0 A is lost"),
    ("unknown packet goes on", "@First: +0 > S waits\n+0 Frist goes on"),
    ("goes nowhere", "@A: +0 > S waits\n+0 A goes"),
    ("is dropped", "@A: +0 > S waits\n+0 A is dropped"),
    ("unknown word", "@+0 > S\ntabel (empty)"),
    ("table of nothing", "@+0 > S\ntable"),
    ("key of no table", "@+0 > S\ntable\n    tcp 6 sorce=10.0.0.1"),
    ("line of proc", "@+0 > S\ntable ipv4 2 tcp 6 120 SYN_SENT"),
    ("wrong number of a protocol", "@+0 > S\ntable tcp 17 120 SYN_SENT"),
    ("states in small letters", "@+0 > S\nstates syn_sent"),
    ("claim on what is hidden", "@hidden > S\n        = new"),
    ("variable that is none", "@each n in 1 2\n    +0 > S win $m"),
    ("row too short", "@each n m in 1 2 | 3\n    +0 > S win $n"),
    ("each without in", "@each n 1 2\n    +0 > S win $n"),
    ("family that is none", "@family 4 5\n+0 > S"),
    (
        "host without an address of the family",
        "host ann 10.0.0.7\nfamily 4 6\nflow tcp ann:1 > server:2\n+0 > S",
    ),
    ("message of the other family", "family 6\n+0 client > server icmp source quench"),
    ("extension header in IPv4", "@+0 > S ext hop"),
    ("claim for no profile", "@+0 > S = for = new"),
    ("claim for an unknown profile", "@+0 > S = for linux-6.81 new"),
    ("two claims for a profile", "@+0 > S = for linux-6.18 new\n        = for linux-6.18 established"),
    ("packet for a profile", "@for linux-6.18 > S"),
    ("check for an unknown profile", "@+0 > S\nfor linx-6.18 count 1"),
    ("unknown profile", "@profile linux-6.81\n+0 > S"),
    ("rules of nothing", "@rules\n+0 > S"),
    ("unknown table", "@rules\n    filtr forward drop\n+0 > S"),
    ("unknown hook of a rule", "@rules\n    filter forwrd drop\n+0 > S"),
    ("no chain there", "@rules\n    raw forward drop\n+0 > S"),
    ("unknown statement", "@rules\n    filter forward acept\n+0 > S"),
    ("unknown value", "@rules\n    filter forward ct state new,establishd accept\n+0 > S"),
    ("unknown field", "@rules\n    filter forward tcp dprt 80 drop\n+0 > S"),
    ("port too large", "@rules\n    filter forward tcp dport 65536 drop\n+0 > S"),
    ("two protocols", "@rules\n    filter forward tcp dport 80 udp dport 53 drop\n+0 > S"),
    ("behind a verdict", "@rules\n    filter forward drop counter\n+0 > S"),
    ("too late not to track", "@rules\n    filter forward notrack\n+0 > S"),
    ("reject in postrouting", "@rules\n    filter postrouting reject\n+0 > S"),
    ("address of the other family", "@rules\n    filter forward ip saddr fd00::1 drop\n+0 > S"),
    ("set without an end", "@rules\n    filter forward tcp dport { 80, 81 drop\n+0 > S"),
    ("counter of no rule", "@rules\n    filter forward counter name bad\n+0 > S\ncounter bda 1"),
    ("rules behind a step", "@+0 > S\nrules\n    filter forward drop"),
    ("nothing happens", "@"),
    ("several at once", "@+0      > Sx\n        = new\n+1q     > S\n+0      > S = nwe\nset tcp_lose 1"),
];

fn text(file: &str) -> String {
    match file.strip_prefix('@') {
        Some(steps) => format!("{FLOW}{steps}\n"),
        None => format!("{file}\n"),
    }
}

#[test]
fn every_mistake_has_a_message_with_its_place() {
    let pages: Vec<String> = MISTAKES
        .iter()
        .map(|(name, file)| {
            let text = text(file);
            let Err(messages) = read("case.ct", &text) else {
                return format!("## {name}\n\nNO MISTAKE FOUND\n");
            };
            format!("## {name}\n\n{messages}\n")
        })
        .collect();
    insta::assert_snapshot!("mistakes", pages.join("\n"));
}
