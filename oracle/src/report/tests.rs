//! What a run says to others: causes, pages, summaries, badges.

use std::path::PathBuf;
use std::sync::Arc;

use conntruth_engine::{LINUX_6_18, Profile};

use super::{Run, badge, markdown, write};
use crate::language;
use crate::scenario::{Detail, Plan, ladder};
use crate::suite::{Suite, causes, ktap, text};
use crate::target::{
    Arrival, Config, Entry, Happening, Identity, Observation, Reference, Refusal, Release, Setting, Target,
};
use crate::{Paint, suite};

/// Another implementation: the reference with other semantics, under another name.
struct Other {
    name: &'static str,
    inner: Reference,
}

impl Other {
    fn new(name: &'static str, change: impl FnOnce(&mut Profile)) -> Other {
        let mut profile = Profile { ..LINUX_6_18 };
        change(&mut profile);
        Other { name, inner: Reference::new(Box::leak(Box::new(profile))) }
    }
}

impl Target for Other {
    fn identity(&self) -> Identity {
        let version = "2 <b>&".to_owned();
        Identity { name: self.name.to_owned(), version, ..self.inner.identity() }
    }
    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        self.inner.begin(config)
    }
    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.inner.set(setting)
    }
    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        self.inner.packet(arrival)
    }
    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        self.inner.release(release)
    }
    fn advance(&mut self, to: conntruth_engine::Time) -> Result<Vec<Happening>, Refusal> {
        self.inner.advance(to)
    }
    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        self.inner.table()
    }
}

/// Never ASSURED from SYN_RECV on, and with a shorter first timeout.
fn other() -> Other {
    Other::new("other", |profile| {
        profile.switches.tcp_assured_from_syn_recv = false;
        profile.defaults = &[(conntruth_engine::Knob::TcpSynSent, 60)];
    })
}

fn ran(texts: &[(&str, &str)], target: &mut dyn Target) -> Suite {
    let plans = texts.iter().flat_map(|(id, text)| {
        let script = Arc::new(language::read(id, text).unwrap_or_else(|messages| panic!("{messages}")));
        Plan::all(id, &script, LINUX_6_18.hz).unwrap_or_else(|messages| panic!("{messages}"))
    });
    Suite::run(plans.collect(), target, |_| {})
}

const SYN: &str = "# <script>alert(1)</script> & \"so\"\nflow tcp client:1 > server:2\n> S  = new SYN_SENT 120s [UNREPLIED]\n";
const OPEN: &str = "flow tcp client:1 > server:2\nopened\n+1s > . = established ESTABLISHED 5d [ASSURED]\n";
const LATE: &str = "flow tcp client:1 > server:2\n> S = new *\n< S. = established reply *\n> . = established ESTABLISHED 5d [ASSURED]\n";
const FINE: &str = "flow udp client:1 > server:2\n> (1) = new 30s [UNREPLIED]\n";

fn texts() -> [(&'static str, &'static str); 4] {
    [("tcp/syn", SYN), ("tcp/open", OPEN), ("tcp/late", LATE), ("udp/fine", FINE)]
}

#[test]
fn failures_have_causes_and_what_others_follow_from_comes_first() {
    let suite = ran(&texts(), &mut other());
    let causes = causes(&suite);
    let found: Vec<(&str, usize, &str)> = causes
        .iter()
        .map(|grounds| (grounds.cause.as_str(), grounds.worlds.len(), grounds.worlds[0].as_str()))
        .collect();
    // A later claim fails in the second world, but its first packet differs already.
    assert_eq!(found, [("tcp-new-syn: timeout differs", 2, "tcp/syn")]);
    assert_eq!(causes[0].differs, [["timeout", "120.000s", "60.000s"]]);
    assert!(causes[0].numbers.contains("end 1001") && causes[0].source.contains("tcp_new"));
    let look =
        suite::Look { paint: Paint::PLAIN, each: false, quiet: true, took: None, again: String::new() };
    let text = text(&suite, &look);
    assert!(text.contains("2 failed, 1 cause\n"), "{text}");
    assert!(text.ends_with("2 passed, 2 failed, 0 skipped\n"), "{text}");
}

#[test]
fn causes_that_follow_from_each_other_know_it() {
    let mut other = Other::new("other", |profile| {
        profile.switches.tcp_assured_from_syn_recv = false;
        profile.switches.tcp_assured_from_established = false;
        profile.switches.udp_assured = false;
    });
    let udp = "flow udp client:1 > server:2\n> (1)\n< (1)\n+3s > (1) = established 120s [ASSURED]\n";
    let suite = ran(&[("tcp/late", LATE), ("udp/stream", udp)], &mut other);
    let causes: Vec<String> = causes(&suite).into_iter().map(|grounds| grounds.cause).collect();
    assert_eq!(
        causes,
        [
            "tcp-in-window: status differs (SEEN_REPLY+ASSURED+CONFIRMED / SEEN_REPLY+CONFIRMED)",
            "udp-stream: status differs (SEEN_REPLY+ASSURED+CONFIRMED / SEEN_REPLY+CONFIRMED)"
        ]
    );
}

#[test]
fn a_cause_that_others_were_seen_to_follow_comes_before_them_however_rare() {
    let alone = format!("set tcp_timeout_syn_sent 60\n{LATE}");
    let texts = [("tcp/a", &*alone), ("tcp/b", &*alone), ("tcp/late", LATE)];
    let causes = causes(&ran(&texts, &mut other()));
    let found: Vec<(&str, usize)> =
        causes.iter().map(|grounds| (grounds.slug.as_str(), grounds.worlds.len())).collect();
    assert_eq!(found, [("tcp-new-syn", 1), ("tcp-in-window", 2)]);
    assert_eq!((&*causes[0].then, &*causes[1].then), (&[1][..], &[][..]));
}

#[test]
fn wrong_claims_have_no_cause() {
    let wrong = "flow udp client:1 > server:2\n> (1) = new 31s\n";
    let suite = ran(&[("udp/wrong", wrong)], &mut Reference::new(&LINUX_6_18));
    assert_eq!(suite.totals().failed, 1);
    assert!(causes(&suite).is_empty());
}

#[test]
fn a_summary_says_what_ci_should_show() {
    let run = Run::of(&ran(&texts(), &mut other()), "conntruth run");
    let text = markdown(&run);
    assert!(text.starts_with("## ✗ conntruth: other 2 &lt;b&gt;&amp;\n"), "{text}");
    assert!(text.contains("| tcp | 1 | **2** | 0 |"), "{text}");
    assert!(text.contains("It behaves like profile linux-6.18 except in 3 of 4 worlds"), "{text}");
    assert!(text.contains("1. **tcp-new-syn: timeout differs**: worlds 2, the smallest tcp/syn"), "{text}");
    assert_eq!(
        badge(&run),
        "{\"schemaVersion\":1,\"label\":\"conntruth other\",\"message\":\"2/4 passed\",\"color\":\"red\"}\n"
    );
}

#[test]
fn ktap_is_what_the_kernels_tools_read() {
    let text = ktap(&ran(&texts(), &mut other()));
    let results: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert_eq!(
        results,
        [
            "KTAP version 1",
            "1..2",
            "  KTAP version 1",
            "  1..3",
            "  not ok 1 tcp/syn",
            "  ok 2 tcp/open",
            "  not ok 3 tcp/late",
            "not ok 1 tcp",
            "  KTAP version 1",
            "  1..1",
            "  ok 1 udp/fine",
            "ok 2 udp"
        ]
    );
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("conntruth-report-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

#[test]
fn runs_of_several_targets_stand_in_one_report_and_words_stay_words() {
    let folder = folder("two");
    write(&folder, &Run::of(&ran(&texts(), &mut other()), "conntruth run --target other")).unwrap();
    let reference = ran(&texts(), &mut Reference::new(&LINUX_6_18));
    let written = write(&folder, &Run::of(&reference, "conntruth run")).unwrap();
    assert_eq!((written.runs, written.pages), (2, 5));
    // The same run again takes the place of the old one.
    let written = write(&folder, &Run::of(&reference, "conntruth run")).unwrap();
    assert_eq!(written.runs, 2);
    let index = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(index.contains("2 failed for 1 cause") && index.contains("2 &lt;b&gt;&amp;"));
    let page = std::fs::read_to_string(folder.join("scenarios/tcp.syn.html")).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp;"), "{page}");
    assert!(!page.contains("<script") && page.contains("the first difference"), "{page}");
    for text in [index, page] {
        assert!(!text.contains("http:") && !text.contains("https:"), "nothing is loaded from anywhere");
    }
    std::fs::write(folder.join("data/zzz.json"), "{}").unwrap();
    let error = write(&folder, &Run::of(&reference, "conntruth run")).unwrap_err().to_string();
    assert!(error.contains("zzz.json: this is no run that can be shown"), "{error}");
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn ids_that_would_leave_the_folder_do_not() {
    let folder = folder("ids");
    let texts = [("../../etc/x", FINE), ("..//..etc/X", FINE), ("a\u{0}b:c", FINE), ("", FINE)];
    let written = write(&folder, &Run::of(&ran(&texts, &mut Reference::new(&LINUX_6_18)), "")).unwrap();
    assert_eq!(written.pages, 5);
    let names = std::fs::read_dir(folder.join("scenarios")).unwrap().count();
    assert_eq!(names, 4);
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn steps_as_data_are_those_of_the_ladder() {
    let suite = ran(&[("tcp/open", OPEN)], &mut Reference::new(&LINUX_6_18));
    let world = &suite.worlds[0];
    let record = world.record.as_ref().unwrap();
    let steps = crate::scenario::told(&world.plan, record, "linux-6.18");
    let lines = ladder(&world.plan, record, Detail::Brief, Paint::PLAIN);
    assert_eq!(steps.len(), lines.lines().count() - 1);
    for step in steps {
        assert!(lines.contains(&step.text), "{} in\n{lines}", step.text);
    }
}
