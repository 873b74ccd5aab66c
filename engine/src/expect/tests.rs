//! Which expectations there may be at a time, and which one a packet finds.

use super::*;
use crate::tuple::protocol;

const CLASS: ExpectClass = ExpectClass { name: "", max_expected: 2, timeout_secs: 300 };

fn expectation(master: u64, from: Option<u8>, port: u16, class: u8) -> Expectation {
    let address = |last| Addr::v4([10, 0, 0, last]);
    let tuple = |src: Addr, dst_id| Tuple {
        src,
        dst: address(1),
        src_id: 0,
        dst_id,
        protocol: protocol::TCP,
        family: Family::Ipv4,
    };
    Expectation {
        number: 0,
        tuple: tuple(from.map(address).unwrap_or_default(), port),
        mask: from.map_or_else(SourceMask::default, |_| SourceMask::address(Family::Ipv4)),
        class,
        flags: ExpectFlags::default(),
        master: ConnId::from(master),
        master_tuple: tuple(address(9), 21),
        helper: Helper::Ftp,
        zone: 0,
        assigns: None,
        follows: None,
        expires: Jiffies(1000 + u64::from(port)),
        listened: true,
    }
}

fn first_packet(from: u8, port: u16) -> Tuple {
    Tuple { src: Addr::v4([10, 0, 0, from]), src_id: 20, ..expectation(1, None, port, 0).tuple }
}

/// Expects one more, and says which ports had to go and whether it was refused.
#[track_caller]
fn check(table: &mut ExpectTable, new: Expectation, gone: &[u16], refused: Option<Refused>) {
    let related = table.relate(new, CLASS, 4, false);
    let ports: Vec<u16> = related.gone.iter().map(|gone| gone.tuple.dst_id).collect();
    assert_eq!((&ports[..], related.refused), (gone, refused));
    assert_eq!(table.keys.values().map(Vec::len).sum::<usize>(), table.all.len());
    assert_eq!(table.masters.values().map(Vec::len).sum::<usize>(), table.all.len());
    assert_eq!(table.deadlines.len(), table.all.len());
}

#[test]
fn the_same_one_again_takes_the_place_of_the_first() {
    let table = &mut ExpectTable::default();
    check(table, expectation(1, Some(2), 80, 0), &[], None);
    check(table, expectation(1, Some(2), 80, 0), &[80], None);
    check(table, expectation(1, Some(2), 80, 1), &[], Some(Refused::Already));
    check(table, expectation(2, Some(2), 80, 0), &[], Some(Refused::Busy));
    check(table, Expectation { zone: 1, ..expectation(2, Some(2), 80, 0) }, &[], None);
    assert_eq!(table.relate(expectation(2, Some(2), 80, 0), CLASS, 4, true).refused, Some(Refused::Already));
}

#[test]
fn two_that_take_the_same_packets_clash() {
    let table = &mut ExpectTable::default();
    check(table, expectation(1, Some(2), 80, 0), &[], None);
    check(table, expectation(1, Some(3), 80, 0), &[], None);
    check(table, expectation(1, None, 80, 0), &[], Some(Refused::Busy));
    check(table, expectation(1, None, 81, 0), &[80], None);
}

#[test]
fn the_oldest_of_a_class_makes_way_and_the_table_has_an_end() {
    let table = &mut ExpectTable::default();
    for (port, class, gone) in [(80, 0, &[][..]), (81, 0, &[]), (90, 1, &[]), (82, 0, &[80]), (91, 1, &[])] {
        check(table, expectation(1, Some(2), port, class), gone, None);
    }
    let full = Some(Refused::Full { count: 4, max: 4 });
    check(table, expectation(2, Some(2), 70, 0), &[], full);
    // What had to go for it is gone all the same.
    table.remove_of(ConnId::from(1));
    check(table, expectation(2, Some(2), 70, 0), &[], None);
    assert_eq!(table.relate(expectation(1, Some(2), 83, 0), CLASS, 1, false).gone.len(), 1);
}

#[test]
fn a_packet_finds_the_newest_that_it_fits() {
    let mut table = ExpectTable::default();
    let mut add = |new| table.relate(new, CLASS, 100, false);
    add(expectation(1, None, 80, 0));
    add(Expectation { flags: ExpectFlags::INACTIVE, ..expectation(2, None, 81, 0) });
    let found = |from, port, zone| table.find(&first_packet(from, port), zone).map(|found| found.number);
    assert_eq!(found(7, 80, 0), Some(1));
    assert_eq!((found(7, 80, 1), found(7, 81, 0), found(7, 82, 0)), (None, None, None));
}

#[test]
fn they_end_in_the_order_of_their_deadlines_and_newest_first_with_their_master() {
    let mut table = ExpectTable::default();
    for port in [83, 81, 82, 84] {
        table.relate(expectation(u64::from(port % 2), None, port, 0), CLASS, 100, false);
    }
    let text = serde_json::to_string(&table).unwrap();
    let mut again: ExpectTable = serde_json::from_str(&text).unwrap();
    assert_eq!(again.all, table.all);
    assert_eq!(again.first_deadline(), Some(Jiffies(1081)));
    assert!(again.next_due(Jiffies(1080)).is_none());
    let ports: Vec<u16> =
        std::iter::from_fn(|| again.next_due(Jiffies(1083))).map(|gone| gone.tuple.dst_id).collect();
    assert_eq!(ports, [81, 82, 83]);
    let ports: Vec<u16> =
        std::iter::from_fn(|| table.remove_of(ConnId::from(1))).map(|gone| gone.tuple.dst_id).collect();
    assert_eq!(ports, [81, 83]);
}

/// Lines that conntrack 1.4.7 and the running kernel have printed.
#[test]
fn listings() {
    let mut table = ExpectTable::default();
    let address = |last| Addr::v4([10, 0, last, 1]);
    let mut new = expectation(1, Some(1), 4242, 0);
    new.expires = Jiffies(299 * 250);
    (new.tuple.src, new.tuple.dst) = (address(1), address(0));
    new.master_tuple = Tuple {
        src: address(0),
        dst: address(1),
        src_id: 4000,
        dst_id: 21,
        protocol: protocol::TCP,
        family: Family::Ipv4,
    };
    table.relate(new, CLASS, 100, false);
    let shown = table.last().unwrap().snapshot(Jiffies(0), Ticks::new(250));
    assert_eq!(
        shown.to_string(),
        "299 proto=6 src=10.0.1.1 dst=10.0.0.1 sport=0 dport=4242 mask-src=255.255.255.255 \
         mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.0.1 master-dst=10.0.1.1 sport=4000 dport=21 \
         class=0 helper=ftp"
    );
    assert_eq!(
        ExpectProcLine(&shown).to_string(),
        "299 l3proto = 2 proto=6 src=10.0.1.1 dst=10.0.0.1 sport=0 dport=4242 ftp"
    );
    let flags = ExpectFlags(ExpectFlags::PERMANENT.0 | ExpectFlags::INACTIVE.0);
    let line = ExpectProcLine(&ExpectSnapshot { flags, ..shown }).to_string();
    assert!(line.ends_with(" sport=0 dport=4242 PERMANENT,INACTIVE ftp"), "{line}");
}
