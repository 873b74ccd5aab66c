//! Captures become scenarios that say the same, and scenarios survive the way through a capture.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conntruth_engine::{Class, LINUX_6_18};
use conntruth_sim::capture::Capture;

use super::{Imported, Trouble, import};
use crate::export::capture;
use crate::language;
use crate::replay::Replayer;
use crate::scenario::{Plan, Verdict};
use crate::suite::{Suite, embedded};
use crate::target::Reference;

fn imported(bytes: &[u8]) -> Result<Imported, Trouble> {
    let mut capture = Capture::new(bytes).unwrap();
    import("test.pcap", &mut capture, &mut Replayer::new(&LINUX_6_18), &[], &LINUX_6_18)
}

fn plans(text: &str) -> Vec<Plan> {
    let script = Arc::new(language::read("test", text).unwrap_or_else(|messages| panic!("{messages}")));
    Plan::all("test", &script, LINUX_6_18.hz).unwrap_or_else(|messages| panic!("{messages}"))
}

#[track_caller]
fn holds(text: &str) {
    for plan in plans(text) {
        let record = plan.run(&mut Reference::new(&LINUX_6_18));
        assert_eq!(plan.verdict(&record), Verdict::Passed, "{text}");
    }
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "pcap" || ending == "pcapng"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

#[test]
fn real_captures_become_scenarios_with_the_same_classes() {
    for path in fixtures() {
        let name = path.display();
        let imported =
            imported(&std::fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(imported.agree, imported.packets, "{name}\n{}", imported.text);
        assert_eq!(language::format("test", &imported.text).unwrap(), imported.text, "{name}");
        holds(&imported.text);
    }
}

#[test]
fn what_goes_without_saying_is_left_out() {
    let path = fixtures().into_iter().find(|path| path.ends_with("http-get.pcap")).unwrap();
    let imported = imported(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!((imported.flows, imported.raw), (1, 0), "{}", imported.text);
    insta::assert_snapshot!(imported.text);
}

/// The classes of a world's packets.
fn classes(plan: &Plan) -> Vec<Class> {
    let record = plan.run(&mut Reference::new(&LINUX_6_18));
    record.seen.into_iter().filter_map(|seen| seen.packet.map(|packet| packet.class)).collect()
}

/// Every fifth world of the suite: what a capture can hold is told again with the same classes.
#[test]
fn scenarios_survive_the_way_through_a_capture() {
    let files = embedded().unwrap_or_else(|error| panic!("{error}"));
    let plans = Suite::plans(&files, LINUX_6_18.hz).unwrap_or_else(|error| panic!("{error}"));
    let reference = crate::target::Target::identity(&Reference::new(&LINUX_6_18));
    let mut compared = 0;
    // A capture may be cut short, so headers whose lengths contradict the packet mean something else in one.
    let odd = |plan: &Plan| plan.id.scenario.starts_with("ip/");
    let whole = |plan: &&Plan| plan.refuses(&reference).is_none() && !plan.has_hosts() && !odd(plan);
    for plan in plans.iter().step_by(5).filter(whole) {
        let (bytes, missing) = capture(plan);
        let packets = plan.packets();
        if !missing.is_nothing() || packets == 0 || packets > 200 {
            continue;
        }
        let again = match imported(&bytes) {
            Ok(again) => again,
            Err(Trouble::Empty | Trouble::TooLong { .. }) => continue,
            Err(error) => panic!("{}: {error}", plan.id),
        };
        // A packet that does not even begin like IP is none to a reader of captures.
        if again.packets == packets {
            let told = self::plans(&again.text);
            assert_eq!(classes(&told[0]), classes(plan), "{}\n{}", plan.id, again.text);
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn what_is_no_story_is_said() {
    let empty = capture(&plans("flow tcp client:1 > server:2\ncount 0\n")[0]).0;
    assert!(matches!(imported(&empty), Err(Trouble::Empty)));
    let many = capture(&plans("flow udp client:1 > server:2\n2001x > (1)\n")[0]).0;
    let error = imported(&many).unwrap_err().to_string();
    assert!(error.contains("more than 2000 packets"), "{error}");
}

/// What the language has words for stands there in words.
#[test]
fn other_protocols_and_errors_have_words() {
    let stories = [
        (
            "flow sctp client:1 > server:2\n> INIT\n< INIT_ACK\n> COOKIE_ECHO + DATA (40)\n< COOKIE_ACK\n> SHUTDOWN\n",
            &[
                "flow sctp 10.0.0.1:1 > 10.0.1.1:2",
                "> INIT tag 1000\n",
                "< INIT_ACK tag 5000\n",
                " + DATA (40)",
            ][..],
        ),
        (
            "flow gre client > server\n> call 7 (20)\n< (40)\n",
            &["flow gre 10.0.0.1 > 10.0.1.1", "> call 7 (20)"],
        ),
        (
            "flow udp client:1 > server:2\nA: > (40)\nserver > client icmp unreachable port quote A\n",
            &[
                "10.0.1.1 > 10.0.0.1 icmp unreachable port quote (10.0.0.1:1 > 10.0.1.1:2 udp (40))",
                "related",
            ],
        ),
        (
            "family 6\nflow tcp client:1 > server:2\nA: > S\nserver > client icmp unreachable too-big rest 1280 quote A\n",
            &["rest 1280 quote ([fd00:a::1]:1 > [fd00:b::1]:2 tcp ", "related"],
        ),
    ];
    for (story, words) in stories {
        let (bytes, missing) = capture(&plans(story)[0]);
        assert!(missing.is_nothing());
        let imported = imported(&bytes).unwrap();
        assert_eq!((imported.raw, imported.agree), (0, imported.packets), "{}", imported.text);
        for words in words {
            assert!(imported.text.contains(words), "no `{words}` in\n{}", imported.text);
        }
        holds(&imported.text);
    }
}
