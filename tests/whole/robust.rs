//! Whatever a file says, the program answers: with messages, or with a run. It never panics, and never writes a file
//! that it cannot read.

use std::sync::{Arc, OnceLock};

use conntruth::Paint;
use conntruth::language;
use conntruth::scenario::{Detail, Plan, diagnose, ladder};
use conntruth::suite::{Blessing, bless};
use conntruth::target::Reference;
use conntruth_engine::LINUX_6_18;
use conntruth_tests::embedded;
use proptest::prelude::*;
use proptest::sample::Index;

/// The lines of all scenarios: what mutations are made of.
fn lines() -> &'static [String] {
    static LINES: OnceLock<Vec<String>> = OnceLock::new();
    LINES.get_or_init(|| {
        embedded()
            .iter()
            .flat_map(|file| file.script.text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    })
}

fn texts() -> &'static [String] {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| embedded().iter().map(|file| file.script.text.clone()).collect())
}

/// A change to a text.
#[derive(Clone, Debug)]
enum Change {
    Remove(Index),
    Double(Index),
    Insert(Index, Index),
    Word(Index, Index, Index, Index),
    Digit(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        index().prop_map(Change::Remove),
        index().prop_map(Change::Double),
        (index(), index()).prop_map(|(at, line)| Change::Insert(at, line)),
        (index(), index(), index(), index()).prop_map(|(a, b, c, d)| Change::Word(a, b, c, d)),
        (index(), b'0'..=b'9').prop_map(|(at, digit)| Change::Digit(at, digit)),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
    for change in changes.iter().filter(|_| !text.is_empty()) {
        if all.is_empty() {
            break;
        }
        match change {
            Change::Remove(at) => drop(all.remove(at.index(all.len()))),
            Change::Double(at) => {
                let at = at.index(all.len());
                all.insert(at, all[at].clone());
            }
            Change::Insert(at, line) => {
                all.insert(at.index(all.len()), lines()[line.index(lines().len())].clone())
            }
            Change::Word(at, word, line, other) => {
                let line: Vec<&str> = lines()[line.index(lines().len())].split(' ').collect();
                let at = at.index(all.len());
                let mut words: Vec<&str> = all[at].split(' ').collect();
                let word = word.index(words.len());
                words[word] = line[other.index(line.len())];
                all[at] = words.join(" ");
            }
            Change::Digit(at, digit) => {
                let at = at.index(all.len());
                let places: Vec<usize> = all[at]
                    .bytes()
                    .enumerate()
                    .filter(|(_, byte)| byte.is_ascii_digit())
                    .map(|(at, _)| at)
                    .collect();
                if let Some(place) = places.get(usize::from(*digit) % places.len().max(1)) {
                    all[at].replace_range(place..&(place + 1), &char::from(*digit).to_string());
                }
            }
        }
    }
    all.join("\n") + "\n"
}

/// Takes a text as far as it goes.
fn take(text: &str) {
    let Ok(script) = language::read("mutant", text) else { return };
    let script = Arc::new(script);
    let Ok(plans) = Plan::all("mutant", &script, LINUX_6_18.hz) else { return };
    let mut target = Reference::new(&LINUX_6_18);
    for plan in plans.iter().take(4) {
        let record = plan.run(&mut target);
        let _ = plan.verdict(&record);
        let _ = ladder(plan, &record, Detail::Source, Paint::PLAIN);
        let _ = diagnose(plan, &record, Paint::PLAIN);
    }
    match bless("mutant", &script, &mut target) {
        Ok(Blessing::Nothing) => {}
        Ok(Blessing::Text { text: blessed, left, .. }) => {
            let again = language::read("blessed", &blessed);
            let again = again
                .unwrap_or_else(|messages| panic!("what was blessed cannot be read: {messages}\n{text}"));
            let twice = bless("mutant", &Arc::new(again), &mut target).unwrap();
            let settled = twice == Blessing::Nothing || !left.is_empty();
            assert!(settled, "blessed\n{blessed}\nwants to be blessed again: {twice:?}");
        }
        // Then nothing is written.
        Err(_) => {}
    }
}

proptest! {
    // `PROPTEST_CASES=40000` looks longer.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_scenario_is_read_and_run_or_refused(
        text in any::<Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let text = &texts()[text.index(texts().len())];
        take(&changed(text, &changes));
    }

    #[test]
    fn any_text_is_answered(text in "(?s).{0,200}") {
        take(&text);
    }
}
