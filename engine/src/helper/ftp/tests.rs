//! What the lines of both sides announce; that no bytes break the parser is a property.

use proptest::prelude::*;

use super::*;

const SENDER: Addr = Addr { hi: 0xfd00_000a_0000_0000, lo: 1 };

fn v4(a: u8, b: u8, c: u8, d: u8) -> Addr {
    Addr::v4([a, b, c, d])
}

#[track_caller]
fn check(line: &str, direction: Direction, family: Family, expected: Find) {
    assert_eq!(find(line.as_bytes(), direction, family, SENDER), expected, "{line:?}");
}

fn found(style: Style, address: Addr, port: u16, at: usize, length: usize) -> Find {
    Find::Found(Found { style, address, port, place: Place { at, length } })
}

#[test]
fn port() {
    let check = |line: &str, expected| check(line, Direction::Original, Family::Ipv4, expected);
    let port = |address, port, at, length| found(Style::FtpPort, address, port, at, length);
    check("PORT 10,0,0,1,16,146\r\n", port(v4(10, 0, 0, 1), 4242, 5, 15));
    check("port 10,0,0,1,16,146\r\n", port(v4(10, 0, 0, 1), 4242, 5, 15));
    check("PORTugal has 10 1,2,3,4,5,6\r", Find::Partial(Style::FtpPort));
    check("PORTxyz 10,0,0,1,16,14\r\n", port(v4(10, 0, 0, 1), 4110, 8, 14));
    check("PORT 1,2,3,4,300,5\r\n", port(v4(1, 2, 3, 4), 11269, 5, 13));
    check("PORT 10,0,0,1,0,0\r\n", port(v4(10, 0, 0, 1), 0, 5, 12));
    for partial in
        ["P", "PORT", "PORT ", "PORT\r\n", "PORT 10,0,0,1,16,146", "PORT 10,0,0,1,16,146\n", "PORT a\r"]
    {
        check(partial, Find::Partial(Style::FtpPort));
    }
    for other in ["USER a\r\n", "", "POR", " PORT 1,2,3,4,5,6\r\n"] {
        let expected = if "PORT".starts_with(other) { Find::Partial(Style::FtpPort) } else { Find::Nothing };
        check(other, expected);
    }
}

#[test]
fn eprt() {
    let eprt = |address, port, length| found(Style::FtpEprt, address, port, 5, length);
    let four = |line: &str, expected| check(line, Direction::Original, Family::Ipv4, expected);
    four("EPRT |1|10.0.0.1|4242|\r\n", eprt(v4(10, 0, 0, 1), 4242, 17));
    four("eprt !1!10.0.0.1!4242!\r\n", eprt(v4(10, 0, 0, 1), 4242, 17));
    four("EPRT |1|10.0.0.1|70000|\r\n", eprt(v4(10, 0, 0, 1), 4464, 18));
    for partial in
        ["E", "EPRT |2|fd00::1|1|\r\n", "EPRT |1|10.0.0.1|0|", "EPRT 11110.0.0.11424211", "EPRT |1|10.0.0|1|"]
    {
        four(partial, Find::Partial(Style::FtpEprt));
    }
    let six = |line: &str, expected| check(line, Direction::Original, Family::Ipv6, expected);
    six("EPRT |2|fd00:a::1|4242|\r\n", eprt(SENDER, 4242, 18));
    six("EPRT |1|10.0.0.1|4242|\r\n", Find::Partial(Style::FtpEprt));
    // Nobody asks which family PORT is of.
    six("PORT 253,0,0,10,16,146\r\n", found(Style::FtpPort, SENDER, 4242, 5, 17));
}

#[test]
fn answers() {
    let check = |line: &str, expected| check(line, Direction::Reply, Family::Ipv4, expected);
    let pasv = |port, at, length| found(Style::FtpPasv, v4(10, 0, 1, 1), port, at, length);
    check("227 Entering Passive Mode (10,0,1,1,16,146).\r\n", pasv(4242, 27, 15));
    check("227 10,0,1,1,1,2x", pasv(258, 4, 12));
    check("227 10,0,1,1,1,2", Find::Partial(Style::FtpPasv));
    check("227 no number\r\n", Find::Partial(Style::FtpPasv));
    check("229 Entering Extended Passive Mode (|||4242|)\r\n", found(Style::FtpEpsv, SENDER, 4242, 36, 8));
    for partial in ["229 (||4242|)", "229 |||4242|", "229 (|||0|)", "229 (|||x|)", "229 (", "229 (|||"] {
        check(partial, Find::Partial(Style::FtpEpsv));
    }
    check("230 in\r\n", Find::Nothing);
    check("PORT 10,0,0,1,16,146\r\n", Find::Nothing);
}

#[test]
fn two_places_behind_line_ends_are_remembered() {
    let mut places = Places::default();
    for seq in [100, 200, 200, 150] {
        places.add(seq);
    }
    assert_eq!(places.seqs, [150, 200]);
    places.add(50);
    assert_eq!(places.seqs, [150, 200]);
    places.add(0x8000_0000);
    assert_eq!(places.seqs, [0x8000_0000, 200]);
}

proptest! {
    /// Whatever stands in a segment: no panic, and what is found lies in it.
    #[test]
    fn any_bytes(
        line in "(PORT|EPRT|227 |229 |po|22)?[ (]?[|!1-9]{0,4}[0-9,.:|!)a-f]{0,40}[\r\n)|x]{0,2}",
        noise in proptest::collection::vec(any::<u8>(), 0..8),
        at in 0usize..48,
        reply in any::<bool>(),
        six in any::<bool>(),
    ) {
        let mut bytes = line.into_bytes();
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        let direction = if reply { Direction::Reply } else { Direction::Original };
        let family = if six { Family::Ipv6 } else { Family::Ipv4 };
        if let Find::Found(found) = find(&bytes, direction, family, SENDER) {
            prop_assert!(found.place.length > 0 && found.place.at + found.place.length <= bytes.len());
        }
    }
}
