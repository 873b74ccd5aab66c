//! Noise: whatever is read, there is an answer, soon and in little memory. Never a panic.

use proptest::prelude::*;
use proptest::sample::select;

use super::HEADING;
use crate::language::{Message, Messages, format, read};

/// Words that the language has a use for, and a few that it has none for.
const SOUP: &[&str] = &[
    "flow",
    "host",
    "each",
    "in",
    "set",
    "family",
    "grade",
    "source",
    "profile",
    "must",
    "4",
    "6",
    "tcp",
    "udp",
    "icmp",
    "icmpv6",
    "sctp",
    "gre",
    "proto",
    "client:1",
    "server",
    "server:2",
    "box",
    "10.0.0.1",
    "fd00::1",
    "[fd00::1]:80",
    ">",
    "<",
    "web",
    "dns",
    "ping",
    "s",
    "tunnel",
    "lite",
    "A:",
    "B:",
    "A",
    "+0",
    "+1s",
    "+5d",
    "+1tick",
    "+1h-1tick",
    "100x",
    "99999999999x",
    "0x",
    "S",
    "S.",
    ".",
    "P.",
    "-",
    "FPU",
    "1:1461(1460)",
    "(",
    ")",
    "(10)",
    "(999999)",
    "seq",
    "ack",
    "next+1",
    "abs",
    "4294967296",
    "win",
    "<mss",
    "1460,sackOK>",
    "<>",
    "<sack",
    "TS",
    "hex",
    "00",
    "ff",
    "0",
    "1",
    "\"text\\x00\"",
    "\"",
    "\\",
    "quote",
    "bytes",
    "type",
    "code",
    "echo",
    "request",
    "unreachable",
    "port",
    "again",
    "opened",
    "hidden",
    "table",
    "(empty)",
    "events",
    "(none)",
    "entry",
    "no",
    "states",
    "classes",
    "count",
    "expires",
    "SYN_SENT",
    "ESTABLISHED",
    "*",
    "=",
    ",",
    "new",
    "established",
    "reply",
    "invalid",
    "120s",
    "1.5s",
    "999999999d",
    "0.0000000000000001s",
    "[",
    "]",
    "[UNREPLIED]",
    "[]",
    "because",
    "tcp-seq-over",
    "bound=5",
    "event",
    "update",
    "assured+reply",
    "status",
    "SEEN_REPLY",
    "mark",
    "zone",
    "helper",
    "master",
    "dropped",
    "rejected",
    "rules",
    "filter",
    "forward",
    "counter",
    "src=10.0.0.1",
    "dport=*",
    "packets=",
    "=5",
    "tcp_loose",
    "tcp_timeout_close",
    "1h",
    "-1",
    "ttl",
    "ext",
    "hop",
    "ipopt",
    "cut",
    "fragments",
    "order",
    "1,2,3",
    "fragment",
    "0..8",
    "at",
    "more",
    "last",
    "poke",
    "notrack",
    "lost",
    "forward",
    "INIT",
    "tag",
    "+",
    "vtag",
    "version",
    "call",
    "rules",
    "rule",
    "client",
    "connects",
    "as",
    "$",
    "$$",
    "$n",
    "${n}",
    "${",
    "|",
    "#",
    "é",
    "\u{2028}",
    "\u{0}",
    "\u{feff}",
    "\t",
    "\r",
];

/// Reads and lays out; all there is to fear is a panic.
fn feed(text: &str) {
    if let Err(messages) = read("noise.ct", text) {
        assert!(!messages.list.is_empty());
        let shown = messages.to_string();
        assert!(shown.contains("noise.ct"), "a message without its file:\n{shown}");
        let _ = messages.render(true);
    }
    if let Ok(laid_out) = format("noise.ct", text) {
        assert!(format("noise.ct", &laid_out).is_ok(), "laid out it cannot be read:\n{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        feed(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn words_in_any_order_are_read_or_refused(
        lines in prop::collection::vec(prop::collection::vec(select(SOUP), 0..12), 1..12),
        heading in any::<bool>(),
    ) {
        let lines: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
        feed(&format!("{}{}", if heading { HEADING } else { "" }, lines.join("\n    ")));
    }

    #[test]
    fn a_message_may_point_anywhere(text in ".{0,40}", start in 0..60_usize, end in 0..60_usize) {
        let list = vec![Message::new("wrong", crate::language::ast::Span::new(start, end)).label("here").help("no")];
        let _ = Messages { name: "noise.ct".to_owned(), text, list }.to_string();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every byte is a word of the soup or itself.
    #[test]
    fn bytes_as_words_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let words = bytes.iter().map(|&byte| match SOUP.get(usize::from(byte)) {
            Some(word) => format!("{word} "),
            None if byte == 0xff => "\n".to_owned(),
            None => char::from(byte).to_string(),
        });
        feed(&format!("{HEADING}{}", words.collect::<String>()));
    }
}

#[test]
fn what_would_take_too_much_is_refused() {
    let flow = "flow tcp client:1 > server:2\n";
    let many = |each: &str| (0..40).map(|n| format!("each v{n} in {each}\n")).collect::<String>();
    for (text, expected) in [
        (format!("{flow}999999999x > S\n"), "a packet can be sent 1 to 100000 times"),
        (format!("{flow}+99999999999999999999d\n"), "`99999999999999999999d` is more than a hundred years"),
        (format!("{flow}+40000d\n"), "`40000d` is more than a hundred years"),
        (
            format!("{flow}> P. (99999999999999999999)\n"),
            "a payload's length takes 0 to 65535, not 99999999999999999999",
        ),
        (format!("{flow}> P. hex {}\n", "00 ".repeat(5000)), ""),
        (format!("{flow}> P. hex {}\n", "00".repeat(9000)), "a line takes at most 16384 bytes"),
        (format!("{flow}{}> S\n", many("1 2")), "more than 10000 variants, or too much text in all of them"),
        (
            format!("{flow}each v in {}\n> P. \"{}\"\n", "a".repeat(9000), "$v".repeat(9)),
            "with its variables replaced this line is over 16384 bytes",
        ),
        (
            format!("{flow}> icmp echo request {}", "quote (> icmp echo request ".repeat(500)),
            "too many quotes inside each other",
        ),
        ("\n".repeat(2_000_000), "a scenario takes at most 1048576 bytes"),
    ] {
        let title =
            read("noise.ct", &text).err().map_or(String::new(), |messages| messages.list[0].title.clone());
        assert_eq!(title, expected);
    }
}

#[test]
fn many_mistakes_are_counted_and_not_all_shown() {
    let text = "what\n".repeat(50);
    let messages = read("noise.ct", &text).unwrap_err();
    assert_eq!(messages.list.len(), 50);
    assert!(messages.to_string().ends_with("and 30 more in noise.ct"));
}
