//! Claims that are qualified by a profile: they hold for it in the place of those that are not, and for nobody else.

use conntruth::scenario::{Plan, Verdict};
use conntruth::target::{Reference, Target};
use conntruth_engine::{LINUX_6_18, Profile};
use conntruth_tests::plans;

/// Like Linux 6.18 in all but its name, and in what a repeated SYN does to the timeout.
static OTHER: Profile = Profile { name: "other", tcp_syn_again_keeps_timeout: false, ..LINUX_6_18 };

fn ended(plan: &Plan, profile: &'static Profile) -> Verdict {
    let mut target = Reference::new(profile);
    plan.refuses(&target.identity()).unwrap_or_else(|| plan.verdict(&plan.run(&mut target)))
}

/// How a story ends under Linux 6.18, and under the other profile.
#[track_caller]
fn check(steps: &str, linux: &Verdict, other: &Verdict) {
    let text = format!("flow tcp client:1 > server:2\n> S\n{steps}\n");
    for plan in plans("profiles", &text) {
        assert_eq!(&ended(&plan, &LINUX_6_18), linux, "linux-6.18\n{text}");
        assert_eq!(&ended(&plan, &OTHER), other, "other\n{text}");
    }
}

use Verdict::{Failed, Passed};

#[test]
fn a_claim_for_a_profile_takes_the_place_of_the_common_one() {
    check("+1s > S seq 0 = new 120s", &Failed, &Passed);
    check("+1s > S seq 0 = new 119s", &Passed, &Failed);
    check("+1s > S seq 0 = new 120s\n    = for linux-6.18 new 119s", &Passed, &Passed);
    check("+1s > S seq 0 = new 120s\n    = for linux-6.18 new 120s", &Failed, &Passed);
    check("+1s > S seq 0 = new 119s\n    = for linux-6.18 new 119s", &Passed, &Failed);
    // It takes the place of all of it.
    check("+1s > S seq 0 = invalid\n    = for linux-6.18 119s\n    = event none", &Passed, &Failed);
    check("+1s > S seq 0 = invalid\n    = for linux-6.18 119s\n    = event new", &Failed, &Failed);
}

#[test]
fn where_nothing_is_claimed_about_a_profile_it_is_skipped() {
    let skipped = Verdict::Skipped("it claims nothing about other".to_owned());
    check("= for linux-6.18 new", &Passed, &skipped);
    check("for linux-6.18 count 1", &Passed, &skipped);
    check("for linux-6.18 count 2", &Failed, &skipped);
    check("count 1\nfor linux-6.18 count 2", &Failed, &Passed);
}

#[test]
fn time_passes_for_all() {
    check("+1s > S seq 0 = *\nfor linux-6.18 expires 119s\ncount 0", &Passed, &Failed);
    check(
        "+1s > S seq 0 = *\nfor linux-6.18 expires 119s\nfor linux-6.18 count 0\n+1s\ncount 0",
        &Passed,
        &Passed,
    );
}
