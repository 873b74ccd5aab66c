//! What is counted for a few packets whose cells are known.

use std::sync::Arc;

use conntruth_engine::{Direction, LINUX_6_18, SctpState, Segment, TcpState};

use super::{Chunk, Coverage, Watched};
use crate::language;
use crate::scenario::{Happens, Plan};
use crate::target::{Batch, Reading, Reference, Target};

fn coverage(text: &str) -> Coverage {
    let script = Arc::new(language::read("test", text).unwrap_or_else(|messages| panic!("{messages}")));
    let mut target = Watched::new(Reference::new(&LINUX_6_18), Coverage::new(&LINUX_6_18));
    let plans = Plan::all("test", &script, LINUX_6_18.hz).unwrap_or_else(|messages| panic!("{messages}"));
    for plan in &plans {
        plan.run(&mut target);
    }
    plans.iter().for_each(same_in_a_batch);
    target.coverage
}

/// A world that is asked at once reaches the same; where its entries are not read, some of it, and nothing else.
#[track_caller]
fn same_in_a_batch(plan: &Plan) {
    let arrivals = plan.happens().filter_map(|happens| match happens.what {
        Happens::Packet(arrival) => Some(arrival.clone()),
        _ => None,
    });
    let world: Vec<_> = arrivals.collect();
    let fresh = || Watched::new(Reference::new(&LINUX_6_18), Coverage::new(&LINUX_6_18));
    let mut alone = fresh();
    plan.run(&mut alone);
    for reading in [Reading::Each, Reading::Last, Reading::Never] {
        let mut batched = fresh();
        let batch = Batch { config: plan.config().clone(), worlds: vec![world.clone()], reading };
        batched.batch(&batch).unwrap();
        for (some, all) in batched.coverage.tcp().zip(alone.coverage.tcp()) {
            assert!(some.reached <= all.reached, "{some:?} is not {all:?}, {reading:?}");
        }
        if reading == Reading::Each {
            assert_eq!(batched.coverage.to_string(), alone.coverage.to_string());
        }
    }
}

/// Exactly these cells of TCP's table were asked, each so often.
#[track_caller]
fn check_tcp(text: &str, expected: &[(Direction, Segment, TcpState, u64)]) {
    let asked: Vec<_> = coverage(text)
        .tcp()
        .filter(|cell| cell.reached > 0)
        .map(|cell| (cell.direction, cell.kind, cell.state, cell.reached))
        .collect();
    assert_eq!(asked, expected);
}

#[track_caller]
fn check_sctp(text: &str, expected: &[(Direction, Chunk, SctpState)]) {
    let asked: Vec<_> = coverage(text)
        .sctp()
        .filter(|cell| cell.reached > 0)
        .map(|cell| (cell.direction, cell.kind, cell.state))
        .collect();
    assert_eq!(asked, expected);
}

use Direction::{Original, Reply};

#[test]
fn a_handshake_asks_three_cells() {
    check_tcp(
        "flow tcp client:1 > server:2\nopened\n",
        &[
            (Original, Segment::Syn, TcpState::None, 1),
            (Original, Segment::Ack, TcpState::SynRecv, 1),
            (Reply, Segment::SynAck, TcpState::SynSent, 1),
        ],
    );
}

#[test]
fn what_is_judged_by_its_header_asks_none() {
    check_tcp("flow tcp client:1 > server:2\n> -\n> . doff 4\n> S checksum bad\n> S cut 12\n", &[]);
}

#[test]
fn an_invalid_segment_asks_in_the_direction_of_its_entry() {
    check_tcp(
        "flow tcp client:1 > server:2\n> S\n< F.\n< R. ack abs 77\n",
        &[
            (Original, Segment::Syn, TcpState::None, 1),
            (Reply, Segment::Fin, TcpState::SynSent, 1),
            (Reply, Segment::Rst, TcpState::SynSent, 1),
        ],
    );
}

#[test]
fn a_connection_that_is_reopened_asks_twice() {
    let closed = "flow tcp client:1 > server:2\nopened\n> F.\n< F.\n> .\n";
    check_tcp(
        &format!("{closed}client:1 > server:2 tcp S seq abs 900000\n"),
        &[
            (Original, Segment::Syn, TcpState::None, 2),
            (Original, Segment::Syn, TcpState::TimeWait, 1),
            (Original, Segment::Fin, TcpState::Established, 1),
            (Original, Segment::Ack, TcpState::SynRecv, 1),
            (Original, Segment::Ack, TcpState::LastAck, 1),
            (Reply, Segment::SynAck, TcpState::SynSent, 1),
            (Reply, Segment::Fin, TcpState::FinWait, 1),
        ],
    );
}

#[test]
fn a_segment_in_pieces_asks_once_when_it_is_whole() {
    check_tcp(
        "family 4 6\nflow tcp client:1 > server:2\n> S\n< S.\n> P. (100) fragments 40\n",
        &[
            (Original, Segment::Syn, TcpState::None, 2),
            (Original, Segment::Ack, TcpState::SynRecv, 2),
            (Reply, Segment::SynAck, TcpState::SynSent, 2),
        ],
    );
}

#[test]
fn an_entry_that_has_died_is_forgotten() {
    check_tcp(
        "flow tcp client:1 > server:2\n> S\n+121s > .\n< R\n+1s > .\n",
        &[
            (Original, Segment::Syn, TcpState::None, 1),
            (Original, Segment::Ack, TcpState::None, 2),
            (Reply, Segment::Rst, TcpState::Established, 1),
        ],
    );
}

#[test]
fn each_chunk_asks_from_where_the_one_before_has_led() {
    let chunk = |number| Chunk::of(number).unwrap();
    check_sctp(
        "flow sctp client:1 > server:2\n> INIT\n< INIT_ACK\n> COOKIE_ECHO + DATA (20)\n< COOKIE_ACK + SHUTDOWN\n",
        &[
            (Original, Chunk::INIT, SctpState::None),
            (Original, chunk(10), SctpState::CookieWait),
            (Reply, Chunk::INIT_ACK, SctpState::Closed),
            (Reply, chunk(7), SctpState::Established),
            (Reply, Chunk::COOKIE_ACK, SctpState::CookieEchoed),
        ],
    );
}

#[test]
fn parts_of_a_run_add_up() {
    let (one, two) = (
        "set acct 1\nflow tcp client:1 > server:2\n> S\n",
        "set tcp_loose 0\nflow udp client:1 > server:2\n> (4)\n",
    );
    let mut sum = coverage(one);
    sum.merge(&coverage(two));
    sum.merge(&coverage(one));
    let sums = sum.sums();
    assert_eq!((sums.worlds, sums.packets, sums.sysctls.reached, sums.reasons.reached), (3, 3, 2, 2));
    assert_eq!(sum.tcp().map(|cell| cell.reached).sum::<u64>(), 2);
    let acct = sum.knobs().find(|(knob, _)| *knob == conntruth_engine::Knob::Acct).unwrap();
    assert_eq!(acct.1, [(1, 2)]);
}
