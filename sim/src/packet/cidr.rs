//! An address with the length of its network's prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address in its network: `10.0.0.1/24`, `fd00::1/64`. As a destination of a route the host part does not count.
///
/// ```
/// use conntruth_sim::packet::Cidr;
/// let home: Cidr = "10.0.0.1/24".parse().unwrap();
/// assert!(home.contains("10.0.0.77".parse().unwrap()));
/// assert!(!home.contains("10.0.1.77".parse().unwrap()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// Bits of the network's prefix.
    pub prefix: u8,
}

/// Text that is no address with a prefix length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CidrError(String);

impl Cidr {
    /// An address with a prefix length; `None` where that is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Cidr> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= longest).then_some(Cidr { address, prefix })
    }

    /// Whether an address is in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Cidr, CidrError> {
        let error = || CidrError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(whole), |prefix| prefix.parse().map_err(|_| error()))?;
        Cidr::new(address, prefix).ok_or_else(error)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no address with a prefix length, such as 10.0.0.1/24 or fd00::1/64", self.0)
    }
}

impl std::error::Error for CidrError {}
