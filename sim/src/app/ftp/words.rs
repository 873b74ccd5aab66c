//! FTP's lines: replies, and addresses and ports in commands and replies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A reply's last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its three digits.
    pub code: u16,
    /// The words after them.
    pub text: String,
}

/// Where a data connection goes, as a command says it.
pub type Target = SocketAddr;

/// Bytes that come in pieces, as lines.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Lines {
    bytes: Vec<u8>,
}

/// Nobody's lines are longer; what is beyond is thrown away.
const LONGEST: usize = 4096;

impl Lines {
    pub(in crate::app) fn add(&mut self, data: &[u8]) {
        let room = LONGEST.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
    }

    pub(in crate::app) fn next(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n')?;
        let line: Vec<u8> = self.bytes.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// A reply's last line; `None` for the lines before it, and for what is none.
pub fn parse_reply(line: &str) -> Option<Reply> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.parse().ok().filter(|code| (100..600).contains(code))?;
    match rest.chars().next() {
        None => Some(Reply { code, text: String::new() }),
        Some(' ') => Some(Reply { code, text: rest[1..].to_owned() }),
        Some(_) => None,
    }
}

/// The words `PORT` and 227 have for an address and port.
pub(super) fn six_numbers(to: SocketAddr) -> Option<String> {
    let IpAddr::V4(address) = to.ip() else { return None };
    let [a, b, c, d] = address.octets();
    let [high, low] = to.port().to_be_bytes();
    Some(format!("{a},{b},{c},{d},{high},{low}"))
}

fn parse_six(text: &str) -> Option<SocketAddr> {
    let numbers: Vec<u8> =
        text.split(',').map(|number| number.trim().parse()).collect::<Result<_, _>>().ok()?;
    let &[a, b, c, d, high, low] = &numbers[..] else { return None };
    Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
}

/// The address and port in the text of a 227 reply.
pub fn parse_pasv(text: &str) -> Option<SocketAddr> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let end = text[start..].find(|letter: char| letter != ',' && !letter.is_ascii_digit());
    parse_six(&text[start..end.map_or(text.len(), |end| start + end)])
}

/// The port in the text of a 229 reply.
pub fn parse_epsv(text: &str) -> Option<u16> {
    let inside = text.get(text.find('(')? + 1..text.rfind(')')?)?;
    let bar = inside.chars().next()?;
    let parts: Vec<&str> = inside.split(bar).collect();
    match parts[..] {
        [_, "", "", port, ""] => port.parse().ok(),
        _ => None,
    }
}

/// `EPRT`'s words for an address and port.
pub(super) fn extended(to: SocketAddr) -> String {
    let family = if to.is_ipv4() { 1 } else { 2 };
    format!("|{family}|{}|{}|", to.ip(), to.port())
}

/// The address and port of a `PORT` or `EPRT` command.
pub fn parse_target(command: &str, argument: &str) -> Option<Target> {
    if command == "PORT" {
        return parse_six(argument);
    }
    let bar = argument.chars().next()?;
    let parts: Vec<&str> = argument.split(bar).collect();
    let [_, family, address, port, _] = parts[..] else { return None };
    let target = SocketAddr::new(address.parse().ok()?, port.parse().ok()?);
    let is_family = family == if target.is_ipv4() { "1" } else { "2" };
    is_family.then_some(target)
}
