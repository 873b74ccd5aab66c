//! Numbers and addresses in payloads, as the helpers of Linux read them: without bounds, so that what is too large wraps,
//! and with nothing where a digit might stand.

/// Numbers with `separator` between them, up to `end`; any byte that is neither digit nor separator ends them where there
/// is no `end`. As many as there are places, else none. Says how many bytes they take.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_ftp.c `try_number`.
pub(super) fn list<const N: usize>(
    bytes: &[u8],
    separator: u8,
    end: Option<u8>,
) -> Option<([u32; N], usize)> {
    let mut numbers = [0u32; N];
    let mut at = 0;
    for (length, &byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                numbers[at] = numbers[at].wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
            }
            _ if byte == separator => {
                at += 1;
                if at == N {
                    return None;
                }
            }
            // A length of nothing is none.
            _ => {
                let is_end = end.is_none_or(|end| end == byte) && at == N - 1 && length > 0;
                return is_end.then_some((numbers, length));
            }
        }
    }
    None
}

/// The four numbers of an address: what is over a byte spills into the number before.
pub(super) fn address([a, b, c, d]: [u32; 4]) -> u32 {
    a << 24 | b << 16 | c << 8 | d
}

/// A decimal number as far as there are digits, of as many bits as asked for, and how many bytes it takes.
///
/// Source: linux 6.18 lib/vsprintf.c `simple_strtoul`.
pub(super) fn decimal(bytes: &[u8]) -> (u64, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold((0, 0), |(number, length), digit| {
        (number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')), length + 1)
    })
}

/// An IPv6 address up to `end` or the last byte, and how many bytes it takes. At most four digits a group, one `::`, an
/// IPv4 address in the place of the last two groups.
///
/// Source: linux 6.18 net/core/utils.c `in6_pton`.
pub(super) fn ipv6(bytes: &[u8], end: u8) -> Option<([u8; 16], usize)> {
    let mut address = [0u8; 16];
    // Bytes written so far, and how many of them when `::` came.
    let (mut filled, mut gap) = (0, None);
    let mut at = 0;
    if bytes.first() == Some(&b':') {
        if bytes.get(1) != Some(&b':') {
            return None;
        }
        (gap, at) = (Some(0), 2);
    }
    loop {
        let here = bytes.get(at).copied().filter(|&byte| byte != end && byte != 0);
        let Some(first) = here else {
            // Only behind `::` may nothing follow.
            if gap != Some(filled) {
                return None;
            }
            break;
        };
        // A fifth group digit is no digit; neither is anything behind the eighth group.
        let (mut word, mut digits) = (0u16, 0);
        while let Some(digit) =
            bytes.get(at + digits).filter(|&&byte| byte != end).and_then(|&byte| hex(byte))
        {
            if word & 0xf000 != 0 || filled == 16 {
                return None;
            }
            word = word << 4 | u16::from(digit);
            digits += 1;
        }
        if digits == 0 {
            let _ = first;
            return None;
        }
        let next = bytes.get(at + digits).copied().filter(|&byte| byte != end && byte != 0);
        if next == Some(b'.') {
            let may = if gap.is_some() { filled + 4 <= 16 } else { filled + 4 == 16 };
            let (quad, length) = ipv4(&bytes[at..], end).filter(|_| may)?;
            address[filled..filled + 4].copy_from_slice(&quad);
            (filled, at) = (filled + 4, at + length);
            break;
        }
        address.get_mut(filled..filled + 2)?.copy_from_slice(&word.to_be_bytes());
        (filled, at) = (filled + 2, at + digits);
        match next {
            None => break,
            Some(b':') if bytes.get(at + 1) == Some(&b':') && gap.is_none() && end != b':' => {
                (gap, at) = (Some(filled), at + 2);
            }
            Some(b':') if filled < 16 => at += 1,
            Some(_) => return None,
        }
    }
    match gap {
        None if filled == 16 => {}
        None => return None,
        // `::` stands for a group at least.
        Some(_) if filled == 16 => return None,
        Some(gap) => {
            let tail = filled - gap;
            address.copy_within(gap..filled, 16 - tail);
            address[gap..16 - tail].fill(0);
        }
    }
    Some((address, at))
}

/// Source: linux 6.18 net/core/utils.c `in4_pton`.
fn ipv4(bytes: &[u8], end: u8) -> Option<([u8; 4], usize)> {
    let (mut quad, mut at) = ([0u8; 4], 0);
    for index in 0..4 {
        let mut number = 0u32;
        let start = at;
        while let Some(&byte) = bytes.get(at).filter(|byte| **byte != end && byte.is_ascii_digit()) {
            number = number * 10 + u32::from(byte - b'0');
            at += 1;
            if number > 255 {
                return None;
            }
        }
        if at == start {
            return None;
        }
        quad[index] = number as u8;
        let next = bytes.get(at).copied().filter(|&byte| byte != end && byte != 0);
        match (index, next) {
            (3, None) => return Some((quad, at)),
            (0..=2, Some(b'.')) => at += 1,
            _ => return None,
        }
    }
    None
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_and_may_be_empty() {
        assert_eq!(list::<6>(b"10,0,0,1,16,146\r\n", b',', Some(b'\r')), Some(([10, 0, 0, 1, 16, 146], 15)));
        assert_eq!(list::<6>(b",,,,,\r", b',', Some(b'\r')), Some(([0; 6], 5)));
        assert_eq!(list::<6>(b"1,2,3,4,5,6,\r", b',', Some(b'\r')), None);
        assert_eq!(list::<6>(b"1,2,3,4,5\r", b',', Some(b'\r')), None);
        assert_eq!(list::<6>(b"1,2,3,4,5,6", b',', Some(b'\r')), None);
        assert_eq!(list::<6>(b"1,2,3,4,5,6)", b',', None), Some(([1, 2, 3, 4, 5, 6], 11)));
        assert_eq!(list::<2>(b"4294967297,1\r", b',', Some(b'\r')), Some(([1, 1], 12)));
        assert_eq!(list::<4>(b"10.0.0.1|", b'.', Some(b'|')), Some(([10, 0, 0, 1], 8)));
        assert_eq!(address([9, 256 + 1, 2, 3]), 0x0901_0203 | 1 << 24);
    }

    #[test]
    fn decimal_numbers_end_where_digits_do() {
        assert_eq!(decimal(b"167772161 4242"), (167_772_161, 9));
        assert_eq!(decimal(b" 1"), (0, 0));
        assert_eq!(decimal(b"18446744073709551617"), (1, 20));
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, usize)>) {
        let read = ipv6(text.as_bytes(), b'|');
        let expected = expected
            .map(|(address, length)| (address.parse::<std::net::Ipv6Addr>().unwrap().octets(), length));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn ipv6_addresses() {
        check("fd00:a::1|4242|", Some(("fd00:a::1", 9)));
        check("::|", Some(("::", 2)));
        check("1:2:3:4:5:6:7::|", Some(("1:2:3:4:5:6:7:0", 15)));
        check("1:2:3:4::6:7:8:9|", None);
        check("1:2:3:4:5:6:7:8::|", None);
        check("::1:2:3:4:5:6:10.0.0.1|", None);
        check("::1|", Some(("::1", 3)));
        check("1::|", Some(("1::", 3)));
        check("1:2:3:4:5:6:7:8|", Some(("1:2:3:4:5:6:7:8", 15)));
        check("::ffff:10.0.0.1|", Some(("::ffff:10.0.0.1", 15)));
        check("1:2:3:4:5:6:10.0.0.1|", Some(("1:2:3:4:5:6:10.0.0.1", 20)));
        for wrong in
            ["", "|", ":1|", "1:2|", "12345::|", "1:2:3:4:5:6:7:8:9|", "g::|", "1:::2|", "1::2::3|", "1:|"]
        {
            check(wrong, None);
        }
    }
}
