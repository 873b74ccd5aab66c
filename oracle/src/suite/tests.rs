//! Blessing, and the formats.

use std::sync::Arc;

use conntruth_engine::{LINUX_6_18, Profile};

use crate::language;
use crate::paint::Paint;
use crate::target::Reference;

use super::{Blessing, File, Look, Origin, Suite, bless, jsonl, junit, replace, tap, text};

#[track_caller]
fn blessed(text: &str) -> (String, Vec<String>) {
    let script = Arc::new(language::read("test", text).unwrap_or_else(|messages| panic!("{messages}")));
    match bless("test", &script, &mut Reference::new(&LINUX_6_18))
        .unwrap_or_else(|messages| panic!("{messages}"))
    {
        Blessing::Nothing => (text.to_owned(), Vec::new()),
        Blessing::Text { text, left, .. } => (text, left),
    }
}

#[track_caller]
fn check(before: &str, after: &str) {
    assert_eq!(blessed(before), (after.to_owned(), Vec::new()));
    // And then all is well.
    assert_eq!(blessed(after).0, after);
}

#[test]
fn what_holds_stays_as_it_is() {
    check(
        "flow udp client:1 > server:2\n> (1)   =  new   30s   # so\n",
        "flow udp client:1 > server:2\n> (1)   =  new   30s   # so\n",
    );
}

#[test]
fn only_the_wrong_parts_change() {
    check(
        "# About.\nflow tcp client:1 > server:2\n\n+0  > S   # goes\n      = established  SYN_RECV *  # one\n      = because tcp-pick-up\n+1s < S.  = established [ASSURED]  event update\n",
        "# About.\nflow tcp client:1 > server:2\n\n+0  > S   # goes\n      = new  SYN_SENT *  # one\n      = because tcp-new-syn\n+1s < S.  = established reply []  event update\n",
    );
}

#[test]
fn packets_without_a_claim_get_one_where_the_file_keeps_them() {
    check(
        "flow udp client:1 > server:2\n+0   > (1)\n+1s  < (1)  # back\n",
        "flow udp client:1 > server:2\n+0   > (1)\n     = new 30s [UNREPLIED]\n+1s  < (1)  # back\n     = established reply 30s []\n",
    );
    check(
        "flow udp client:1 > server:2\n> (1)  = new\n< (1)  # back\n",
        "flow udp client:1 > server:2\n> (1)  = new\n< (1)  = established reply 30s []  # back\n",
    );
}

#[test]
fn packets_that_end_their_entry_say_so() {
    check(
        "flow tcp client:1 > server:2\n> S  = new\n< R.\n",
        "flow tcp client:1 > server:2\n> S  = new\n< R.  = established reply no entry\n",
    );
}

#[test]
fn one_claim_for_packets_that_differ_becomes_one_for_each() {
    check(
        "flow tcp client:1 > server:2\nopened  = new *\n",
        "flow tcp client:1 > server:2\nopened  = new *, established *, established *\n",
    );
}

#[test]
fn tables_and_sequences_are_mended() {
    check(
        "flow udp client:1 > server:2\n> (1) = new\ntable (empty)\nclasses new, new\nexpires 20s\ncount 4\n",
        "flow udp client:1 > server:2\n> (1) = new\ntable\n    udp 17 30 src=10.0.0.1 dst=10.0.1.1 sport=1 dport=2 [UNREPLIED] src=10.0.1.1 dst=10.0.0.1 sport=2 dport=1\nclasses new\nexpires 30s\ncount 0\n",
    );
    check(
        "flow udp client:1 > server:2\n> (1) = new\ntable\n    udp src=client [ASSURED]   # keys\n",
        "flow udp client:1 > server:2\n> (1) = new\ntable\n    udp 17 src=client [UNREPLIED]   # keys\n",
    );
}

#[test]
fn where_worlds_differ_nothing_is_written() {
    let text = "family 4 6\nflow icmp client > server\n> = new because udp-stream\n";
    let (after, left) = blessed(text);
    assert_eq!(after, text);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with("line 3: the variants or families differ"), "{left:?}");
}

#[test]
fn what_cannot_be_said_better_is_left_as_it_was() {
    // The sides go on talking while time passes: 300s were left, and are again.
    let text = "stack client server\n    server serves ftp 21\n    client ftp server:21 as ctl\nexpires 300s\n    client ftp ctl login anonymous\n    run until ctl done\n";
    let (after, left) = blessed(text);
    assert_eq!(after, text);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with("line 4: what was found is said already"), "{left:?}");
}

#[test]
fn a_file_is_replaced_whole() {
    let folder = std::env::temp_dir().join(format!("conntruth-replace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.ct");
    std::fs::write(&path, "old").unwrap();
    replace(&path, "new").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    assert!(replace(&folder.join("no/such/folder.ct"), "x").is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A suite with one world of each ending.
fn mixed() -> Suite {
    let file = |id: &str, text: &str| File {
        id: id.to_owned(),
        origin: Origin::Embedded,
        script: Arc::new(
            language::read(&format!("scenarios/{id}.ct"), text)
                .unwrap_or_else(|messages| panic!("{messages}")),
        ),
    };
    let files = [
        file("udp/passes", "# Passes.\nfamily 4 6\nflow udp client:1 > server:2\n> (1) = new\nexpires 30s\n"),
        file("udp/fails", "flow udp client:1 > server:2\n> (1) = new\n+1s > (1) = established 120s\n"),
        file(
            "hosts/later",
            "rules\n    filter forward ct label set web\nflow udp client:1 > server:2\n> (1) = new\n",
        ),
        file("old/skips", "profile linux-6.18\nflow udp client:1 > server:2\n> (1) = new\n"),
        file("empty", "flow udp client:1 > server:2\n> (1)\n"),
    ];
    let plans = Suite::plans(&files, LINUX_6_18.hz).unwrap_or_else(|error| panic!("{error}"));
    let other = Box::leak(Box::new(Profile { name: "another", ..LINUX_6_18 }));
    Suite::run(plans, &mut Reference::new(other), |_| {})
}

#[test]
fn each_format_tells_of_every_ending() {
    let suite = mixed();
    let look = |each| Look {
        paint: Paint::PLAIN,
        each,
        quiet: false,
        took: None,
        again: "conntruth run".to_owned(),
    };
    insta::assert_snapshot!("text", text(&suite, &look(false)));
    insta::assert_snapshot!("text_each", text(&suite, &look(true)));
    insta::assert_snapshot!("jsonl", jsonl(&suite));
    insta::assert_snapshot!("tap", tap(&suite));
    // The document names the moment it was made.
    let document = junit(&suite).unwrap();
    let stable: String =
        document.lines().filter(|line| !line.contains("uuid")).map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!("junit", stable);
    let quiet = text(&suite, &Look { quiet: true, ..look(false) });
    assert!(quiet.ends_with("\n2 passed, 2 failed, 1 skipped, 1 unsupported\n"), "{quiet}");
}
