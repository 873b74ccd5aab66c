//! What a client's lines offer; that no bytes break the parser is a property.

use proptest::prelude::*;

use super::*;

fn own(offer: &Offer) -> bool {
    offer.address == 0x0a00_0001 && offer.port != 0
}

#[track_caller]
fn check(line: &str, expected: Result<u16, &str>) {
    let found = find(line.as_bytes(), own).map(|offer| offer.port);
    assert_eq!(found.map_err(|reason| reason.slug()), expected, "{line:?}");
}

#[test]
fn offers() {
    check("PRIVMSG bob :\x01DCC SEND file 167772161 4242 100\x01\r\n", Ok(4242));
    check("\r\n  privmsg bob :\x01DCC CHAT chat 167772161 4242\x01\r\n", Ok(4242));
    check("PRIVMSG bob :\x01DCC MOVE x 167772161     4242 aaaa\x01\n", Ok(4242));
    check("PRIVMSG bob :\x01DCC SEND file 4462739457 4242\x01\r\n", Ok(4242));
    check("PRIVMSG bob :\x01DCC SEND file 167772161 69778\x01\r\n", Ok(4242));
    check("PRIVMSG bob :\x01DCC SEND file 167772162 4242\x01\r\n", Err("irc-forged"));
    check("PRIVMSG bob :\x01DCC SEND CHAT 167772161 4242 1000\x01\r\n", Ok(4242));
    check("PRIVMSG bob :\x01DCC SEND CHAT x 167772161 4242 1000\x01\r\n", Err("irc-forged"));
    check(
        "PRIVMSG bob :\x01DCC SEND x 1 4242 1000\x01 :\x01DCC SEND x 167772161 4242 1000\x01\r\n",
        Err("irc-forged"),
    );
    check("PRIVMSG bob :\x01DCC SEND file 167772161 0 aaa\x01\r\n", Err("irc-forged"));
    check("PRIVMSG bob :\x01DCC SEND file 167772161 4242 aaaa\x01", Err("irc-unreadable"));
    check("PRIVMSG bob :\x01DCC send file 167772161 4242\x01\r\n", Err("irc-no-offer"));
    check("PRIVMSG bob :hello, how are you today, my friend?\r\n", Err("irc-no-offer"));
    check("PRIVMSG b :\x01DCC SEND x 1 4\x01\r\n", Err("irc-no-offer"));
    check("JOIN #channel and some more words to be long enough\r\n", Err("irc-no-message"));
}

#[test]
fn only_the_first_part_of_a_segment_is_looked_at() {
    let long = |blanks: usize| {
        let mut line = b"PRIVMSG bob".to_vec();
        line.extend(std::iter::repeat_n(b'x', blanks));
        line.extend_from_slice(b" :\x01DCC SEND file 167772161 4242\x01\r\n");
        find(&line, own).is_ok()
    };
    assert!(long(4000));
    assert!(!long(4090));
}

proptest! {
    /// Whatever stands in a segment: no panic, and what is found lies in it.
    #[test]
    fn any_bytes(
        line in "[ \r\n]{0,3}(PRIVMSG |privmsg )?[a-z]{0,4}( :)?(\u{1}DCC )?(SEND |CHAT |TSEND )?[a-z]{0,6}[ 0-9]{0,30}[\u{1}\r\n]{0,3}",
        noise in proptest::collection::vec(any::<u8>(), 0..8),
        at in 0usize..60,
    ) {
        let mut bytes = line.into_bytes();
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        if let Ok(offer) = find(&bytes, |_| true) {
            prop_assert!(offer.place.at + offer.place.length <= bytes.len());
        }
    }
}
