//! Things that must be noticed: a claim that is wrong, a tracker that is wrong, a scenario that proves nothing.

use conntruth::coverage::{Coverage, INDISTINCT_TCP, Indistinct};
use conntruth::scenario::{Plan, Verdict};
use conntruth::suite::Suite;
use conntruth::target::Reference;
use conntruth_engine::{LINUX_6_18, Next, Profile, SctpState, Segment, TcpState};
use conntruth_tests::{embedded, plans, run, sctp_mutant, tcp_mutant};

/// How the worlds of a text end.
#[track_caller]
fn verdicts(text: &str) -> Vec<Verdict> {
    let mut target = Reference::new(&LINUX_6_18);
    let ended = plans("canary", text).into_iter().map(|plan| {
        let record = plan.run(&mut target);
        plan.verdict(&record)
    });
    ended.collect::<Vec<_>>()
}

#[track_caller]
fn check(text: &str, expected: Verdict) {
    let verdicts = verdicts(text);
    assert!(
        !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict == expected),
        "{text}\n{verdicts:?}"
    );
}

#[test]
fn the_suite_itself_passes() {
    let totals = run(&embedded(), &LINUX_6_18).totals();
    assert_eq!(totals.failed, 0);
    assert!(totals.passed > 0 && totals.claims > totals.passed);
}

#[test]
fn each_part_of_a_claim_can_be_wrong() {
    let story = |claims: &str| format!("set acct 1\nflow tcp client:1 > server:2\n> S\n    = {claims}\n");
    check(
        &story(
            "new SYN_SENT 120s [UNREPLIED] because tcp-new-syn end=1001 event new accepted attached mark 0",
        ),
        Verdict::Passed,
    );
    for wrong in [
        "established",
        "new reply",
        "SYN_RECV",
        "new 119s",
        "new 2min+1tick",
        "new []",
        "new [UNREPLIED ASSURED]",
        "because tcp-pick-up",
        "because tcp-new-syn end=1000",
        "event none",
        "event update",
        "event new event update",
        "status SEEN_REPLY",
        "mark 1",
        "zone 1",
        "helper ftp",
        "dropped",
        "unattached",
        "no entry",
    ] {
        check(&story(wrong), Verdict::Failed);
    }
}

#[test]
fn each_check_can_be_wrong() {
    let story = |check: &str| format!("flow tcp client:1 > server:2\n> S\n{check}\n");
    for right in [
        "count 1",
        "entry SYN_SENT 120s [UNREPLIED] sport=1 reply sport=2",
        "states SYN_SENT",
        "states *",
        "classes new",
        "events new SYN_SENT 120s",
        "expires 120s",
        "table\n    tcp 6 120 SYN_SENT src=client dst=10.0.1.1 sport=1 dport=* [UNREPLIED] src=server",
    ] {
        check(&story(right), Verdict::Passed);
    }
    for wrong in [
        "count 0",
        "entry SYN_RECV",
        "entry 119s",
        "entry []",
        "entry sport=2",
        "entry sport=1 reply sport=1",
        "no entry",
        "states SYN_RECV",
        "states SYN_SENT SYN_RECV",
        "states * SYN_RECV",
        "classes established",
        "classes new, new",
        "events (none)",
        "events new SYN_RECV",
        "events update",
        "expires 119s",
        "expires 121s",
        "expires 120s+1tick",
        "table (empty)",
        "table tcp 6 119",
        "table udp 17",
        "table\n    tcp 6 120 SYN_SENT src=server",
        "table\n    tcp 6 120 SYN_SENT\n    tcp 6 120 SYN_SENT",
    ] {
        check(&story(wrong), Verdict::Failed);
    }
}

#[test]
fn a_scenario_that_claims_nothing_fails() {
    check("flow tcp client:1 > server:2\n> S\n< S.\n", Verdict::Failed);
}

/// Whether a world of an area fails under a profile.
struct Area(Vec<Plan>);

impl Area {
    fn of(name: &str) -> Area {
        let mut files = embedded();
        files.retain(|file| file.id.starts_with(name));
        // Those that are about cells notice a wrong one first.
        files.sort_by_key(|file| !file.id.contains("/table/"));
        Area(Suite::plans(&files, LINUX_6_18.hz).unwrap_or_else(|error| panic!("{error}")))
    }

    fn notices(&self, profile: &'static Profile) -> bool {
        let mut target = Reference::new(profile);
        self.0.iter().any(|plan| plan.verdict(&plan.run(&mut target)) == Verdict::Failed)
    }
}

/// Every cell of TCP's table in turn says each of the other things it could say, and the suite notices each, but for
/// those that no packet can tell.
#[test]
fn each_wrong_cell_of_tcp_is_noticed() {
    let area = Area::of("tcp/");
    let states = TcpState::ALL.into_iter().skip(1).map(Next::To);
    let all: Vec<Next<TcpState>> = states.chain([Next::Ignore, Next::Invalid]).collect();
    let mut changes = 0;
    for cell in Coverage::new(&LINUX_6_18).tcp() {
        for wrong in all.iter().filter(|wrong| **wrong != cell.next) {
            let same = |row: &&Indistinct<Segment, TcpState>| {
                (row.direction, row.kind, row.state, row.other)
                    == (cell.direction, cell.kind, cell.state, *wrong)
            };
            let is_seen = cell.unreachable.is_none() && !INDISTINCT_TCP.iter().any(|row| same(&row));
            let noticed = area.notices(tcp_mutant(cell.direction, cell.kind, cell.state, *wrong));
            assert_eq!(noticed, is_seen, "{wrong:?} in {cell:?}");
            changes += usize::from(cell.unreachable.is_none());
        }
    }
    assert_eq!(changes, 950);
}

/// The same for SCTP's.
#[test]
fn each_wrong_cell_of_sctp_is_noticed() {
    let area = Area::of("sctp/");
    for cell in Coverage::new(&LINUX_6_18).sctp() {
        let wrong = match cell.next {
            Next::To(SctpState::Established) => Next::To(SctpState::CookieWait),
            _ => Next::To(SctpState::Established),
        };
        let noticed = area.notices(sctp_mutant(cell.direction, cell.kind, cell.state, wrong));
        assert_eq!(noticed, cell.unreachable.is_none(), "{cell:?}");
    }
}
