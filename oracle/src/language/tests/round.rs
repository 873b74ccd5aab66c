//! There and back: what is printed is read again as the same tree, and laying out twice changes nothing more.

use proptest::prelude::*;
use proptest::sample::select;

use super::HEADING;
use crate::language::ast::Story;
use crate::language::parse::field_words;
use crate::language::{format, parse, read};

/// Lines of every kind, canonical and not. They follow [`HEADING`].
const LINES: &[&str] = &[
    "+0 web > S win 64240 <mss 1460,sackOK,wscale 7,nop,nop,TS val 4294967295 ecr 0>",
    "A: +10ms web < S. 0:0(0) ack 1 <> = established reply SYN_RECV 60s []",
    "+1tick web > . <sack 1001:2001 next:next+1,eol,hex fe 04 aa bb,TS,sack abs 4294967290:10>",
    "+1h30min-2ticks web > P. 1:1461(1460) ack 1 win 0 urg 5 doff 15 checksum bad",
    "+0.5s web > FPU. seq next-1 ack abs 4294967295 \"GET / $$5\\r\\n\\x00\" checksum 0",
    "web > - seq -1 hex 0102 ff doff 0 cut 12 checksum 0x1234",
    "100x web > P. (1460) notrack zone 7 lost in forward",
    "web opened = new, established reply, established",
    "B: +1ms dns > (4) waits in postrouting = new no entry",
    "B: dns > (4) waits",
    "+1s A goes on = * because clash-resolved",
    "A is lost",
    "web > . = new = for linux-6.18 established 5d, invalid because tcp-seq-over\n        = event none",
    "web > . = for linux-6.18 * event none",
    "for linux-6.18 count 3",
    "+1s for linux-6.18 table\n    tcp 6\n    udp 17",
    "for linux-6.18 expires web 10s",
    "+5d",
    "again A = *",
    "+0 dns > (3000) len 20 fragments 1200 order 3,1,1 ipid 7 dontfrag 0 ttl 1 tos 0x10",
    "dns < fragment 0..1200 more at 8 = held",
    "dns > \"\" ipopt 94 04 00 00 iplen 20 ihl 15 ipversion 5 ipchecksum bad nexthdr 59 poke 13 hex 50 poke 0 hex 00",
    "lite > (8) coverage 8 checksum 0 = new 30s [UNREPLIED ASSURED]",
    "ping > = new 30.0s because icmp-query kind=8 id=7 unattached no entry",
    "ping < id 7 seq 1 (56) lost",
    "ping > timestamp request checksum bad = * event new new+reply event update reply+assured event destroy",
    "web < icmp unreachable port quote A bytes 28 = related reply ESTABLISHED 119.996s [ASSURED] event none status SEEN_REPLY+CONFIRMED",
    "10.9.9.9 > client icmpv4 type 3 code 4 rest 1280 quote (client:1 > server:9 udp (40) len 3) bytes 20 (4)",
    "fd00::9 > client icmpv6 echo request quote hex 60 00",
    "client > server raw 45 00 00 14 cut 3",
    "client:5000 > [fd00:b::1]:53 udp (40) ext hop ext dest hex 00 01 04 00 ext 200",
    "client > server proto 8 (20)",
    "box > server proto 99 hex 00 = new dropped mark 4294967295 zone 5 helper ftp master web accepted attached",
    "s > INIT tag 1 (12) vtag 0 checksum bad",
    "s < COOKIE_ECHO (4) + DATA flags 3 length 3 \"x\" + chunk 77 tag 5",
    "s > - vtag 4294967295",
    "tunnel > version 1 call 7 carries 0x880b (20)",
    "hidden web > P. (10)",
    "hidden\n    +1s web > P. (10)\n    web opened\n    +2s",
    "set tcp_timeout_established 1h",
    "table (empty)",
    "table\n    tcp 6 120 SYN_SENT src=client dst=10.0.1.1 sport=* [UNREPLIED] src=10.0.1.1 td_end=5 packets=1 [ASSURED] mark=0 use=1\n    unknown 8 600 src=10.0.0.1\n    reply td_scale=7",
    "+1s table web udp 17 30",
    "entry web ESTABLISHED 5d [] original_is_not_a_key",
    "entry web ESTABLISHED 5d [] timeout=30, stream_timeout=180 helper none",
    "entry 119.996s",
    "= web CLOSE 10s",
    "no entry web",
    "count 3",
    "states web SYN_SENT * TIME_WAIT",
    "states web\n    SYN_SENT\n    CLOSE",
    "classes web new, established reply, *, invalid",
    "events (none)",
    "events\n    new web SYN_SENT 120s\n    update reply+protoinfo\n    destroy tcp 6",
    "events update assured dns 120s [ASSURED]",
    "expires web 120s-1tick",
    "client connects server:7 as d give up after 2min keepalive 75s window 8000 deaf from 5000 hops 9 anyway",
    "server listens 7 backlog 5",
    "server echoes 7",
    "+1s server discards 9",
    "server offers 19 1000 bytes",
    "server answers 53",
    "server answers 53 200 bytes",
    "server ignores 53",
    "server serves ftp 21 file readme.txt 5000 bytes file empty 0 bytes",
    "client asks server:53 as q times 3 every 1s size 40 tries 2 patience 5s",
    "client pings 10.0.1.9 as p times 3 every 500ms size 56 hops 5",
    "client traces server as t patience 1s",
    "client scans server 22 80 443 as scan1",
    "client ftp server:21 as ctl",
    "client ftp c login anonymous",
    "client ftp c list active",
    "client ftp c get readme.txt passive",
    "client ftp c put notes.txt 300 bytes eprt",
    "client ftp c get readme.txt passive abort after 3000 bytes",
    "client ftp c get readme.txt active as data",
    "server serves tftp 69 file boot.img 3000 bytes",
    "server serves dns 53 name www.example 10.0.1.1 name www.example fd00:b::1",
    "client tftp server:69 get boot.img as t data blocks from 5000",
    "client tftp server:69 put notes.txt 300 bytes as t2",
    "client resolves www.example at server:53 as question patience 1s",
    "client streams server:5004 as media times 100 every 20ms size 172",
    "server discards 9 window 4000 reads 1000 every 1s",
    "server reads c 100 every 500ms",
    "server reads c",
    "client received readme.txt whole on c",
    "server serves irc 6667",
    "client irc server:6667 as chat from 5000",
    "client irc c offers notes.txt 3000 bytes to server data fetch",
    "resolved c 10.0.1.1",
    "resolved c nothing",
    "client ftp c quit",
    "client sends 1000 on c = established, established reply *",
    "server closes c",
    "client half-closes c",
    "client aborts c",
    "run 5s",
    "+1h run until c closed",
    "run until c open",
    "run until c gone",
    "run until c done",
    "run until quiet",
    "offload c",
    "offload nothing",
    "link client cut",
    "link client lose packet 1,2 up",
    "link box outside lose 5% down tcp port 80 flags S without . data longer 100",
    "link client delay by 50ms every 10",
    "link client duplicate after 5ms bursts 1% 30.5% udp",
    "link client corrupt byte 20 from 1s until 3s bare",
    "link client truncate 40 icmp",
    "link client corrupt cut at 1h restore at 2h",
    "believe c: client ESTABLISHED, server FIN_WAIT2, tracker nothing",
    "client sees timed-out on c",
    "client received 1000 on c hash 0x00000000deadbeef",
    "client received whole on c",
    "server sent 1000 on c",
    "took c 127s",
    "took c 1.5s",
    "answered c 3",
    "found c 22 open",
    "hops c box * server",
    "sockets server 2",
    "disagree c premature-expiry",
    "counter bad 3",
    "counter bad 3 bytes 120",
    "entry c ESTABLISHED",
];

fn without_variant(mut story: Story) -> Story {
    story.variant.clear();
    story
}

/// The property: if a text can be read, so can what is printed, as the same; and `fmt` is idempotent and keeps meaning.
#[track_caller]
fn check(text: &str) {
    let Ok(script) = parse("case.ct", text) else { return };
    let laid_out = format("case.ct", text).unwrap();
    let twice = format("case.ct", &laid_out).unwrap();
    assert!(twice == laid_out, "fmt is not idempotent:\n{text}\n-- once\n{laid_out}\n-- twice\n{twice}");
    let again = parse("case.ct", &laid_out).unwrap_or_else(|messages| panic!("{messages}\n{laid_out}"));
    assert_eq!(again.stories, script.stories, "fmt changes the meaning:\n{text}\nbecomes\n{laid_out}");
    for story in script.stories {
        let story = without_variant(story);
        let printed = story.to_string();
        let again =
            parse("printed.ct", &printed).unwrap_or_else(|messages| panic!("{messages}\nin\n{printed}"));
        assert_eq!(again.stories, [story], "in\n{printed}");
        assert_eq!(again.stories[0].to_string(), printed);
        assert_eq!(format("printed.ct", &printed).unwrap(), printed, "what is printed is not laid out");
    }
}

#[test]
fn every_line_is_read_and_comes_back() {
    let mut unread = Vec::new();
    for line in LINES {
        let text = format!(
            "rules filter forward counter name bad\n{HEADING}A: web > S\nclient connects server:7 as c anyway\n{line}\n"
        );
        match parse("case.ct", &text) {
            Ok(_) => check(&text),
            Err(messages) => unread.push(messages.list[0].title.clone()),
        }
    }
    // One line is wrong on purpose, so that this test is seen to see.
    assert_eq!(unread, ["`original_is_not_a_key` does not belong here"]);
}

#[test]
fn rules_come_back() {
    let text = "\
rules filter  forward ct state  established ,related accept
rules
    raw prerouting tcp dport {22,80-90} notrack
    filter input log prefix \"a # b, c\" counter name x tcp flags &(syn | ack)==syn reject   with tcp reset
    filter forward policy drop
flow tcp client:1 > server:2
+0 > S
counter x 1 bytes 40
";
    let script = read("case.ct", text).unwrap();
    let rules: Vec<String> = script.stories[0].rules.iter().map(|rule| rule.value.to_string()).collect();
    assert_eq!(
        rules,
        [
            "filter forward ct state established, related accept",
            "raw prerouting tcp dport { 22, 80-90 } notrack",
            "filter input log prefix \"a # b, c\" counter name x tcp flags & (syn|ack) == syn reject with tcp reset",
            "filter forward policy drop",
        ]
    );
    check(text);
}

#[test]
fn a_source_may_be_a_numbered_issue() {
    let text = "source openvswitch/ovs-issues #232  # on Windows\nflow tcp client:1 > server:2\n> S\n";
    let script = read("case.ct", text).unwrap();
    assert_eq!(script.stories[0].sources, ["openvswitch/ovs-issues #232"]);
    check(text);
}

#[test]
fn every_word_keeps_its_distance_from_hexadecimal() {
    // After `hex` come words of an even number of digits; a field that looks so would be swallowed.
    for word in field_words() {
        assert!(!(word.len() % 2 == 0 && word.bytes().all(|byte| byte.is_ascii_hexdigit())), "{word}");
    }
}

#[test]
fn rows_of_each_multiply_and_fill_in_anywhere() {
    let text = "\
flow tcp client:40000 > server:80
each flags state in S SYN_SENT | P. ESTABLISHED
each time in
    | \"120s [UNREPLIED]\"
    | *
    +${flags}0s     > S   # nothing is replaced in a $comment
+0      > $flags \"$$flags $ 5\"  = new $state $time
";
    let text = text.replace("+${flags}0s     > S ", "+0      > S ");
    let script = read("case.ct", &text).unwrap();
    let claims: Vec<String> =
        script.stories.iter().map(|story| story.steps[1].claims.as_ref().unwrap().to_string()).collect();
    assert_eq!(
        claims,
        [
            "new SYN_SENT 120s [UNREPLIED]",
            "new SYN_SENT *",
            "new ESTABLISHED 120s [UNREPLIED]",
            "new ESTABLISHED *"
        ]
    );
    // A part that a variable gave is found where the variable stands.
    let span = script.stories[0].steps[1].claims.as_ref().unwrap().each[0].state.as_ref().unwrap().span;
    assert_eq!(&text[span.range()], "$state");
    assert!(script.stories[0].steps[1].action.to_string().ends_with(r#""$$flags $$ 5""#));
    check(&text);
}

fn line() -> impl Strategy<Value = String> {
    let comment = select(&["", "", "  # a remark", "   "][..]);
    let indent = select(&["", "", "    ", "        "][..]);
    (indent, select(LINES), comment).prop_map(|(indent, line, comment)| {
        let line = line.replace('\n', &format!("\n{indent}"));
        format!("{indent}{line}{comment}")
    })
}

fn other_line() -> impl Strategy<Value = String> {
    let lines = [
        "",
        "  # a remark of its own",
        "    = established *  # known",
        "= 120s",
        "each n in 1 2",
        "each m o in 1 2 | 3 4",
        "each k in\n    | \"a b\"\n    | c",
        "        web > S win $n",
        "        opened",
    ];
    select(Vec::from(lines)).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_printed_and_read_again(lines in prop::collection::vec(prop_oneof![3 => line(), 2 => other_line()], 1..8)) {
        check(&format!("# About.\n{HEADING}A: web > S\nclient connects server:7 as c anyway\n{}\n", lines.join("\n")));
    }
}
