//! FTP's lines, as people's servers and clients write them.

use std::net::SocketAddr;

use super::words::{Lines, extended, parse_epsv, parse_pasv, parse_reply, parse_target, six_numbers};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

#[test]
fn replies() {
    for (line, code, text) in [
        ("220 ProFTPD Server (Debian)", 220, "ProFTPD Server (Debian)"),
        ("226", 226, ""),
        ("227 Entering Passive Mode (192,168,1,5,4,8).", 227, "Entering Passive Mode (192,168,1,5,4,8)."),
    ] {
        let reply = parse_reply(line).unwrap();
        assert_eq!((reply.code, &reply.text[..]), (code, text));
    }
    // Not the last line, or no reply at all.
    for line in ["220-Welcome", " and so on", "", "22", "99 No", "600 No", "abc def", "ünd so"] {
        assert_eq!(parse_reply(line), None, "{line:?}");
    }
}

#[test]
fn passive_replies() {
    let to = Some(address("192.168.1.5:1032"));
    for text in [
        "Entering Passive Mode (192,168,1,5,4,8).",
        "Entering Passive Mode 192,168,1,5,4,8",
        "=192,168,1,5,4,8",
    ] {
        assert_eq!(parse_pasv(text), to, "{text}");
    }
    for text in ["", "Entering Passive Mode", "(192,168,1,5,4)", "(192,168,1,5,4,256)", "(1,2,3,4,5,6,7)"] {
        assert_eq!(parse_pasv(text), None, "{text}");
    }
    assert_eq!(parse_epsv("Entering Extended Passive Mode (|||6446|)"), Some(6446));
    assert_eq!(parse_epsv("ok (!!!80!)"), Some(80));
    for text in ["", "(6446)", "(||6446|)", "(|||66446|)", ")(", "(|1||6446|)", "()"] {
        assert_eq!(parse_epsv(text), None, "{text}");
    }
}

#[test]
fn commands() {
    let v4 = address("10.0.0.1:40001");
    let v6 = address("[fd00::1]:40001");
    assert_eq!(six_numbers(v4).unwrap(), "10,0,0,1,156,65");
    assert_eq!(six_numbers(v6), None);
    assert_eq!(parse_target("PORT", &six_numbers(v4).unwrap()), Some(v4));
    for to in [v4, v6] {
        assert_eq!(parse_target("EPRT", &extended(to)), Some(to));
    }
    for (command, argument) in [
        ("PORT", "10,0,0,1,156"),
        ("PORT", "a,b,c,d,e,f"),
        ("EPRT", ""),
        ("EPRT", "|2|10.0.0.1|40001|"),
        ("EPRT", "|1|10.0.0.1|"),
        ("EPRT", "|1|10.0.0.1|70000|"),
    ] {
        assert_eq!(parse_target(command, argument), None, "{command} {argument}");
    }
}

#[test]
fn lines_come_in_pieces() {
    let mut lines = Lines::default();
    lines.add(b"220 Hel");
    assert_eq!(lines.next(), None);
    lines.add(b"lo\r\n331 Password\n");
    assert_eq!(lines.next().as_deref(), Some("220 Hello"));
    assert_eq!(lines.next().as_deref(), Some("331 Password"));
    assert_eq!(lines.next(), None);
    // Nobody's line is that long.
    lines.add(&[b'x'; 10_000]);
    lines.add(b"\n");
    assert_eq!(lines.next(), None);
}
