//! Every knob of the tracker under its own name: one table of name, default, range, unit and source.
//!
//! Values are what a person writes to the file: seconds, switches, counts. A changed timeout counts from the next
//! packet that sets one; deadlines that stand keep standing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a knob's number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// 0 is off, anything else on.
    Switch,
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// One of a few settings, explained beside the knob.
    Choice,
}

/// A row of the table of knobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KnobInfo {
    /// Which knob.
    #[serde(skip)]
    pub knob: Knob,
    /// The whole name, as `sysctl` takes it.
    pub name: &'static str,
    /// The value in a new namespace of the profile's kernel.
    pub default: i32,
    /// The smallest value that can be written.
    pub min: i32,
    /// The largest value that can be written.
    pub max: i32,
    /// What the number means.
    pub unit: Unit,
    /// What it does.
    pub meaning: &'static str,
    /// Kernel file and symbol.
    pub source: &'static str,
}

/// What can be written, lowest and highest.
type Range = (i32, i32);

/// Seconds are kept as an `int` of jiffies, at 250 a second. A timeout that is not positive is over at once.
const SECONDS: Range = (-i32::MAX / 250, i32::MAX / 250);
const ANY: Range = (0, i32::MAX);
const SOME: Range = (1, i32::MAX);
const FLAG: Range = (0, 1);
const EVENTS: Range = (0, 2);
const BYTE: Range = (0, 255);

macro_rules! knobs {
    ($( $knob:ident $name:literal $default:literal $max:ident $unit:ident $meaning:literal, $source:literal; )*) => {
        /// A knob of the tracker.
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Knob { $( #[doc = concat!("`", $name, "`: ", $meaning)] $knob, )* }

        impl Knob {
            /// The table of knobs, in the order of the names.
            pub const ALL: &'static [KnobInfo] = &[ $( KnobInfo {
                knob: Knob::$knob,
                name: $name,
                default: $default,
                min: $max.0,
                max: $max.1,
                unit: Unit::$unit,
                meaning: $meaning,
                source: concat!("linux 6.18 ", $source),
            } ),* ];
        }
    };
}

knobs! {
    Acct "net.netfilter.nf_conntrack_acct" 0 FLAG Switch "count packets and bytes of new connections", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_ACCT";
    Buckets "net.netfilter.nf_conntrack_buckets" 262144 ANY Count "hash buckets; early drop looks at eight of them", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_BUCKETS";
    Checksum "net.netfilter.nf_conntrack_checksum" 1 FLAG Switch "packets that come in with a wrong checksum are INVALID", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_CHECKSUM";
    Events "net.netfilter.nf_conntrack_events" 2 EVENTS Choice "0: no events; 1: always; 2: for connections made while somebody listens", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_EVENTS";
    ExpectMax "net.netfilter.nf_conntrack_expect_max" 4096 SOME Count "most connections that are expected at a time", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_EXPECT_MAX";
    Frag6High "net.netfilter.nf_conntrack_frag6_high_thresh" 4194304 ANY Bytes "memory for IPv6 fragments; over it every fragment is dropped", "net/ipv6/netfilter/nf_conntrack_reasm.c nf_ct_frag6_sysctl_table";
    Frag6Low "net.netfilter.nf_conntrack_frag6_low_thresh" 3145728 ANY Bytes "kept for programs that set it; today's kernel does not use it", "net/ipv6/netfilter/nf_conntrack_reasm.c nf_ct_frag6_sysctl_table";
    Frag6Time "net.netfilter.nf_conntrack_frag6_timeout" 60 SECONDS Seconds "how long an incomplete IPv6 datagram is kept", "net/ipv6/netfilter/nf_conntrack_reasm.c nf_ct_frag6_sysctl_table";
    Generic "net.netfilter.nf_conntrack_generic_timeout" 600 SECONDS Seconds "protocols without a tracker of their own", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TIMEOUT_GENERIC";
    Gre "net.netfilter.nf_conntrack_gre_timeout" 30 SECONDS Seconds "GRE that was not answered", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TIMEOUT_GRE";
    GreStream "net.netfilter.nf_conntrack_gre_timeout_stream" 180 SECONDS Seconds "GRE that was answered", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TIMEOUT_GRE_STREAM";
    Icmp "net.netfilter.nf_conntrack_icmp_timeout" 30 SECONDS Seconds "ICMP queries", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TIMEOUT_ICMP";
    Icmpv6 "net.netfilter.nf_conntrack_icmpv6_timeout" 30 SECONDS Seconds "ICMPv6 queries", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TIMEOUT_ICMPV6";
    Max "net.netfilter.nf_conntrack_max" 262144 ANY Count "most entries in the table; 0 is no limit", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_MAX";
    SctpClosed "net.netfilter.nf_conntrack_sctp_timeout_closed" 10 SECONDS Seconds "SCTP in CLOSED", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    SctpCookieEchoed "net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed" 3 SECONDS Seconds "SCTP in COOKIE_ECHOED", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    SctpCookieWait "net.netfilter.nf_conntrack_sctp_timeout_cookie_wait" 3 SECONDS Seconds "SCTP in COOKIE_WAIT", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    SctpEstablished "net.netfilter.nf_conntrack_sctp_timeout_established" 210 SECONDS Seconds "SCTP in ESTABLISHED", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    SctpHeartbeatSent "net.netfilter.nf_conntrack_sctp_timeout_heartbeat_sent" 30 SECONDS Seconds "SCTP in HEARTBEAT_SENT", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    SctpShutdownAckSent "net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent" 3 SECONDS Seconds "SCTP in SHUTDOWN_ACK_SENT", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    SctpShutdownRecd "net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd" 3 SECONDS Seconds "SCTP in SHUTDOWN_RECD", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    SctpShutdownSent "net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent" 3 SECONDS Seconds "SCTP in SHUTDOWN_SENT", "net/netfilter/nf_conntrack_proto_sctp.c sctp_timeouts";
    TcpBeLiberal "net.netfilter.nf_conntrack_tcp_be_liberal" 0 FLAG Switch "segments outside the window are taken as if inside", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TCP_LIBERAL";
    TcpIgnoreInvalidRst "net.netfilter.nf_conntrack_tcp_ignore_invalid_rst" 0 FLAG Switch "a RST before what was acknowledged is not INVALID", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TCP_IGNORE_INVALID_RST";
    TcpLoose "net.netfilter.nf_conntrack_tcp_loose" 1 FLAG Switch "unknown connections are picked up mid-stream", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TCP_LOOSE";
    TcpMaxRetrans "net.netfilter.nf_conntrack_tcp_max_retrans" 3 BYTE Count "so many repeated ACKs cut the timeout to that of max_retrans", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_PROTO_TCP_MAX_RETRANS";
    TcpClose "net.netfilter.nf_conntrack_tcp_timeout_close" 10 SECONDS Seconds "TCP in CLOSE, and after any RST", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpCloseWait "net.netfilter.nf_conntrack_tcp_timeout_close_wait" 60 SECONDS Seconds "TCP in CLOSE_WAIT", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpEstablished "net.netfilter.nf_conntrack_tcp_timeout_established" 432000 SECONDS Seconds "TCP in ESTABLISHED", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpFinWait "net.netfilter.nf_conntrack_tcp_timeout_fin_wait" 120 SECONDS Seconds "TCP in FIN_WAIT", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpLastAck "net.netfilter.nf_conntrack_tcp_timeout_last_ack" 30 SECONDS Seconds "TCP in LAST_ACK", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpRetrans "net.netfilter.nf_conntrack_tcp_timeout_max_retrans" 300 SECONDS Seconds "most for TCP that retransmits, or has a zero window", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpSynRecv "net.netfilter.nf_conntrack_tcp_timeout_syn_recv" 60 SECONDS Seconds "TCP in SYN_RECV", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpSynSent "net.netfilter.nf_conntrack_tcp_timeout_syn_sent" 120 SECONDS Seconds "TCP in SYN_SENT", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpTimeWait "net.netfilter.nf_conntrack_tcp_timeout_time_wait" 120 SECONDS Seconds "TCP in TIME_WAIT", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    TcpUnack "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged" 300 SECONDS Seconds "most for TCP with unacknowledged data, or picked up and not answered", "net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts";
    Timestamp "net.netfilter.nf_conntrack_timestamp" 0 FLAG Switch "note when new connections begin and end", "net/netfilter/nf_conntrack_standalone.c NF_SYSCTL_CT_TIMESTAMP";
    Udp "net.netfilter.nf_conntrack_udp_timeout" 30 SECONDS Seconds "UDP that is no stream", "net/netfilter/nf_conntrack_proto_udp.c udp_timeouts";
    UdpStream "net.netfilter.nf_conntrack_udp_timeout_stream" 120 SECONDS Seconds "UDP streams", "net/netfilter/nf_conntrack_proto_udp.c udp_timeouts";
    FtpLoose "nf_conntrack_ftp.loose" 0 FLAG Switch "FTP may announce connections to third parties", "net/netfilter/nf_conntrack_ftp.c loose";
    IpfragHigh "net.ipv4.ipfrag_high_thresh" 4194304 ANY Bytes "memory for IPv4 fragments; over it every fragment is dropped", "net/ipv4/ip_fragment.c ip4_frags_ns_ctl_table";
    IpfragLow "net.ipv4.ipfrag_low_thresh" 3145728 ANY Bytes "kept for programs that set it; today's kernel does not use it", "net/ipv4/ip_fragment.c ip4_frags_ns_ctl_table";
    IpfragMaxDist "net.ipv4.ipfrag_max_dist" 64 ANY Count "so many fragments of one source in between empty a datagram; 0 is off", "net/ipv4/ip_fragment.c ip4_frags_ctl_table";
    IpfragTime "net.ipv4.ipfrag_time" 30 SECONDS Seconds "how long an incomplete IPv4 datagram is kept", "net/ipv4/ip_fragment.c ip4_frags_ns_ctl_table";
}

const KNOBS: usize = Knob::ALL.len();

impl Knob {
    /// The knob's row.
    pub fn info(self) -> &'static KnobInfo {
        &Knob::ALL[self as usize]
    }

    /// Finds a knob by its whole name, or with `net.netfilter.`, `nf_conntrack_` or `net.ipv4.` left out.
    pub fn find(name: &str) -> Option<Knob> {
        let name = name.replace('/', ".");
        let names = |info: &&KnobInfo| {
            ["", "net.netfilter.", "net.netfilter.nf_conntrack_", "net.ipv4."]
                .iter()
                .any(|prefix| info.name.strip_prefix(prefix) == Some(&name))
        };
        Knob::ALL.iter().find(names).map(|info| info.knob)
    }

    /// The name without what every knob of the tracker begins with: `tcp_loose`, `ipfrag_time`.
    pub fn short_name(self) -> &'static str {
        let name = self.info().name;
        name.strip_prefix("net.netfilter.nf_conntrack_").or(name.strip_prefix("net.ipv4.")).unwrap_or(name)
    }
}

/// Why a knob could not be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SysctlError {
    /// No knob has this name.
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<&'static str>,
    },
    /// The kernel refuses this value.
    OutOfRange {
        /// The knob.
        knob: Knob,
        /// The value asked for.
        value: i64,
        /// The smallest that would do.
        min: i32,
        /// The largest that would do.
        max: i32,
    },
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SysctlError::Unknown { name, nearest: None } => write!(f, "there is no sysctl `{name}`"),
            SysctlError::Unknown { name, nearest: Some(nearest) } => {
                write!(f, "there is no sysctl `{name}`; did you mean `{nearest}`?")
            }
            SysctlError::OutOfRange { knob, value, min, max } => {
                write!(f, "`{}` takes {min} to {max}, not {value}", knob.short_name())
            }
        }
    }
}

impl std::error::Error for SysctlError {}

/// The settings of one engine. Serialised as the values that differ from their defaults, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, i64>", into = "BTreeMap<&'static str, i32>")]
pub struct Sysctls([i32; KNOBS]);

impl Sysctls {
    /// All knobs at their defaults.
    pub fn new() -> Sysctls {
        let mut values = [0; KNOBS];
        for (value, info) in values.iter_mut().zip(Knob::ALL) {
            *value = info.default;
        }
        Sysctls(values)
    }

    /// At their defaults but for these: another kernel's, say.
    pub fn with(defaults: &[(Knob, i32)]) -> Sysctls {
        let mut sysctls = Sysctls::new();
        for (knob, value) in defaults {
            sysctls.0[*knob as usize] = *value;
        }
        sysctls
    }

    /// A knob's value.
    pub const fn get(&self, knob: Knob) -> i32 {
        self.0[knob as usize]
    }

    /// Whether a switch is on.
    pub const fn is_on(&self, knob: Knob) -> bool {
        self.get(knob) != 0
    }

    /// Sets a knob.
    ///
    /// # Errors
    /// When the kernel would refuse the value.
    pub fn set(&mut self, knob: Knob, value: i64) -> Result<(), SysctlError> {
        let (min, max) = self.range(knob);
        let fits = i32::try_from(value).ok().filter(|value| (min..=max).contains(value));
        self.0[knob as usize] = fits.ok_or(SysctlError::OutOfRange { knob, value, min, max })?;
        Ok(())
    }

    /// The two thresholds for fragments bound each other.
    fn range(&self, knob: Knob) -> Range {
        let KnobInfo { min, max, .. } = *knob.info();
        match knob {
            Knob::Frag6High => (self.get(Knob::Frag6Low), max),
            Knob::Frag6Low => (min, self.get(Knob::Frag6High)),
            Knob::IpfragHigh => (self.get(Knob::IpfragLow), max),
            Knob::IpfragLow => (min, self.get(Knob::IpfragHigh)),
            _ => (min, max),
        }
    }

    /// Sets a knob by name (see [`Knob::find`]).
    ///
    /// # Errors
    /// When there is no such knob, or the kernel would refuse the value.
    pub fn set_by_name(&mut self, name: &str, value: i64) -> Result<Knob, SysctlError> {
        let knob = Knob::find(name)
            .ok_or_else(|| SysctlError::Unknown { name: name.to_owned(), nearest: nearest_knob(name) })?;
        self.set(knob, value)?;
        Ok(knob)
    }

    /// The knobs that differ from their defaults, with their values.
    pub fn changed(&self) -> impl Iterator<Item = (Knob, i32)> + '_ {
        Knob::ALL
            .iter()
            .filter(|info| self.get(info.knob) != info.default)
            .map(|info| (info.knob, self.get(info.knob)))
    }
}

impl From<Sysctls> for BTreeMap<&'static str, i32> {
    fn from(sysctls: Sysctls) -> BTreeMap<&'static str, i32> {
        sysctls.changed().map(|(knob, value)| (knob.info().name, value)).collect()
    }
}

impl TryFrom<BTreeMap<String, i64>> for Sysctls {
    type Error = SysctlError;

    fn try_from(values: BTreeMap<String, i64>) -> Result<Sysctls, SysctlError> {
        let mut sysctls = Sysctls::new();
        // Two thresholds bound each other: what is refused at first may fit when the other has moved.
        let refused = values.iter().filter(|(name, value)| sysctls.set_by_name(name, **value).is_err());
        let refused: Vec<_> = refused.collect();
        refused.into_iter().try_for_each(|(name, value)| sysctls.set_by_name(name, *value).map(drop))?;
        Ok(sysctls)
    }
}

impl Default for Sysctls {
    fn default() -> Sysctls {
        Sysctls::new()
    }
}

/// The knob whose short name shares the most with `name`: for "did you mean".
fn nearest_knob(name: &str) -> Option<&'static str> {
    let name = name.rsplit('.').next().unwrap_or(name).trim_start_matches("nf_conntrack_");
    let (distance, nearest) = Knob::ALL
        .iter()
        .map(|info| (edit_distance(name, info.knob.short_name()), info.knob.short_name()))
        .min()?;
    (distance <= name.len() / 2).then_some(nearest)
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let cost = (diagonal + usize::from(l != *r)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, info) in Knob::ALL.iter().enumerate() {
            assert_eq!(info.knob as usize, index);
            assert!((info.min..=info.max).contains(&info.default), "{}", info.name);
        }
    }

    #[test]
    fn settings_serialise_as_what_differs() {
        let mut sysctls = Sysctls::new();
        sysctls.set(Knob::IpfragHigh, 6_000_000).unwrap();
        sysctls.set(Knob::IpfragLow, 5_000_000).unwrap();
        sysctls.set(Knob::Frag6Low, 0).unwrap();
        sysctls.set(Knob::Frag6High, 1).unwrap();
        let text = serde_json::to_string(&sysctls).unwrap();
        assert!(text.contains(r#""net.ipv4.ipfrag_low_thresh":5000000"#), "{text}");
        assert_eq!(serde_json::from_str::<Sysctls>(&text).unwrap(), sysctls);
        assert_eq!(serde_json::from_str::<Sysctls>(r#"{"tcp_loose":0}"#).unwrap().get(Knob::TcpLoose), 0);
        let error = serde_json::from_str::<Sysctls>(r#"{"tcp_loose":9}"#).unwrap_err();
        assert!(error.to_string().starts_with("`tcp_loose` takes 0 to 1, not 9"), "{error}");
    }

    #[test]
    fn knobs_are_found_by_every_usual_name() {
        for name in ["tcp_loose", "nf_conntrack_tcp_loose", "net.netfilter.nf_conntrack_tcp_loose"] {
            assert_eq!(Knob::find(name), Some(Knob::TcpLoose));
        }
        assert_eq!(Knob::find("ipfrag_time"), Some(Knob::IpfragTime));
        let mut sysctls = Sysctls::new();
        let error = sysctls.set_by_name("tcp_losse", 1).unwrap_err();
        assert_eq!(error.to_string(), "there is no sysctl `tcp_losse`; did you mean `tcp_loose`?");
        assert!(sysctls.set(Knob::TcpLoose, -1).is_err());
    }
}
