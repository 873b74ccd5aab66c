//! What an ICMP error quotes: a packet's first bytes, as a router on the way, or a host at the end, cuts them.

/// How much of a packet is quoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quote {
    /// As much as fits into 576 bytes (IPv4, RFC 1812 4.3.2.3) or 1280 (IPv6, RFC 4443 2.4).
    #[default]
    Usual,
    /// So many bytes.
    Bytes(usize),
}

impl Quote {
    /// The quoted bytes of `packet`.
    pub fn of(self, packet: &[u8]) -> &[u8] {
        let most = match self {
            Quote::Bytes(bytes) => bytes,
            Quote::Usual if packet.first().is_some_and(|byte| byte >> 4 == 6) => 1280 - 48,
            Quote::Usual => 576 - 28,
        };
        &packet[..packet.len().min(most)]
    }
}
